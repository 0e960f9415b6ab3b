//! Rust helpers of generated code, by category.
//!
//! Every helper is an `extern "C"` function, reached through an exit stub (rule LIBCALL of
//! docs/unsafe.md): wasm frames are above it, and its caller is not Rust. So it never unwinds. Its
//! body runs in [`run`], which catches panics and leaves what went wrong in the store; the stub then
//! jumps to the landing pad.

mod bulk;
mod host;
mod memory;
mod osr;
mod reference;
mod table;
mod tiering;

pub(crate) use osr::LoopCell;

use crate::arch::LibcallTable;
use crate::store::StoreInner;
use crate::store::failure::Failure;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use upshift_abi::{Libcall, StoreContext, VmContext};

/// The helpers' addresses, for [`CodeSpace::new`](crate::CodeSpace::new).
#[must_use]
pub fn libcall_table() -> LibcallTable {
    // SAFETY: rule LIBCALL: `address` gives for each helper a function of its signature, none of which
    // unwinds; so are the other two.
    unsafe { LibcallTable::new(address, tiering::lazy_compile, host::host_call) }
}

fn address(libcall: Libcall) -> *const c_void {
    match libcall {
        Libcall::MemoryGrow => memory::memory_grow as *const c_void,
        Libcall::MemoryInit => bulk::memory_init as *const c_void,
        Libcall::MemoryCopy => bulk::memory_copy as *const c_void,
        Libcall::MemoryFill => bulk::memory_fill as *const c_void,
        Libcall::DataDrop => bulk::data_drop as *const c_void,
        Libcall::TableGet => table::table_get as *const c_void,
        Libcall::TableSet => table::table_set as *const c_void,
        Libcall::TableGrow => table::table_grow as *const c_void,
        Libcall::TableFill => table::table_fill as *const c_void,
        Libcall::TableInit => bulk::table_init as *const c_void,
        Libcall::TableCopy => bulk::table_copy as *const c_void,
        Libcall::ElemDrop => bulk::elem_drop as *const c_void,
        Libcall::RefFunc => reference::ref_func as *const c_void,
        Libcall::IndirectSlow => reference::indirect_slow as *const c_void,
        Libcall::CounterOverflow => tiering::counter_overflow as *const c_void,
    }
}

/// Runs the body of a helper with the store and the position of the calling instance.
///
/// # Safety
/// `vmctx` is what an exit stub got from generated code: the context of an instance whose store
/// runs wasm on this thread, with no reference to the store in use.
unsafe fn run<R: Default>(
    vmctx: *mut VmContext,
    body: impl FnOnce(&mut StoreInner, usize) -> Result<R, Failure>,
) -> R {
    // SAFETY: rule LIBCALL: the caller's promise; contexts live as long as their store.
    let (context, instance) = unsafe { ((*vmctx).store, (*vmctx).instance.addr()) };
    // SAFETY: as above.
    unsafe { run_in(context, |store| body(store, instance)) }
}

/// Runs the body of a helper with the store.
///
/// # Safety
/// As for [`run`], `context` being that of the store.
unsafe fn run_in<R: Default>(
    context: *mut StoreContext,
    body: impl FnOnce(&mut StoreInner) -> Result<R, Failure>,
) -> R {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: rule STORE-ALIAS: `StoreInner::call` left the pointer and does not use its reference
        // until wasm returns, so this one is the only one in use.
        let store = unsafe { &mut *(*context).store.get().cast::<StoreInner>() };
        body(store)
    }));
    let failure = match outcome {
        Ok(Ok(value)) => return value,
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::Panic(payload),
    };
    // SAFETY: the caller's promise.
    unsafe { fail(context, failure) };
    R::default()
}

/// Leaves a failure in the store and marks the activation, for the exit stub to see.
///
/// # Safety
/// As for [`run_in`].
#[cold]
unsafe fn fail(context: *mut StoreContext, failure: Failure) {
    // SAFETY: rule STORE-ALIAS: as in `run_in`; the body's reference is gone.
    let store = unsafe { &mut *(*context).store.get().cast::<StoreInner>() };
    // SAFETY: rule LIBCALL: an exit stub published where its caller's frame is.
    let frames = unsafe { crate::activation::capture_frames(&*context) };
    let frames = store.resolve_frames(&frames);
    store.failure = Some((failure, frames));
    // SAFETY: rule LIBCALL: wasm runs, so there is an activation, in the frame of the entry stub.
    unsafe { (*(*context).activation.load(Ordering::Relaxed)).failed = 1 };
}
