//! Stubs (skeleton).

use std::ffi::c_void;
use upshift_abi::{HostContext, Libcall, VmContext};

/// Addresses of the Rust functions that stubs call.
#[derive(Clone, Copy, Debug)]
pub struct LibcallTable {
    pub(crate) address: fn(Libcall) -> *const c_void,
    pub(crate) lazy_compile: unsafe extern "C" fn(*mut VmContext, u32) -> *const u8,
    pub(crate) host_call: unsafe extern "C" fn(*mut HostContext, *mut [u8; 16]),
}

impl LibcallTable {
    /// `address(l)` is the helper of `l`, an `extern "C"` function of vmctx and the types of `l.signature()`, which never
    /// unwinds. `lazy_compile(vmctx, func)` gives the code of a function of that module (index with imports), or null
    /// having set `Activation::failed`. `host_call(context, values)` finds the arguments in `values`, one per 16 bytes in
    /// the order of the specification, and leaves the results there.
    ///
    /// # Safety
    /// What the addresses point to is as described.
    #[must_use]
    pub unsafe fn new(
        address: fn(Libcall) -> *const c_void,
        lazy_compile: unsafe extern "C" fn(*mut VmContext, u32) -> *const u8,
        host_call: unsafe extern "C" fn(*mut HostContext, *mut [u8; 16]),
    ) -> Self {
        Self {
            address,
            lazy_compile,
            host_call,
        }
    }
}
