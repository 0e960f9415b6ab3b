//! Stubs: the only machine code that the runtime spells itself.

pub(crate) mod x64;

use std::ffi::c_void;
use upshift_abi::{EntrySlot, HostContext, Libcall, VmContext};

/// Compiles a function at its first call: vmctx of the callee, index of the function.
pub(crate) type LazyCompile = unsafe extern "C" fn(*mut VmContext, u32) -> *const EntrySlot;

/// Runs a host function: its context, arguments in and results out.
pub(crate) type HostCall = unsafe extern "C" fn(*mut HostContext, *mut [u8; 16]);

/// Addresses of the Rust functions that stubs call.
#[derive(Clone, Copy, Debug)]
pub struct LibcallTable {
    pub(crate) address: fn(Libcall) -> *const c_void,
    pub(crate) lazy_compile: LazyCompile,
    pub(crate) host_call: HostCall,
}

impl LibcallTable {
    /// `address(l)` is the helper of `l`: an `extern "C"` function of vmctx and the types of
    /// `l.signature()`, which never unwinds and which sets [`Activation::failed`](upshift_abi::Activation::failed)
    /// when it fails. `lazy_compile(vmctx, func)` gives the slot of a function of that module (index
    /// with imports), which has code now, or null having set `failed`. `host_call(context, values)` finds the arguments in
    /// `values`, one per 16 bytes in the order of the type, little-endian from the first byte on,
    /// and leaves the results there; there is room for the longer of the two lists.
    ///
    /// # Safety
    /// Rule STUB: what the addresses point to is as described.
    #[must_use]
    pub unsafe fn new(
        address: fn(Libcall) -> *const c_void,
        lazy_compile: LazyCompile,
        host_call: HostCall,
    ) -> Self {
        Self {
            address,
            lazy_compile,
            host_call,
        }
    }
}
