//! First calls of functions, and counters.

use super::run;
use crate::code_space::CodePtr;
use crate::store::failure::Failure;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_abi::{SiteIndex, TrapCode, VmContext};
use upshift_module::FuncIndex;

/// Rule LIBCALL. A function without code is called: gives its entry, or null having failed.
pub(super) unsafe extern "C" fn lazy_compile(vmctx: *mut VmContext, func: u32) -> *const u8 {
    // SAFETY: rule LIBCALL: called by the lazy stub.
    let code: Option<CodePtr> = unsafe {
        run(vmctx, |store, instance| {
            let loaded = Arc::clone(&store.instances[instance].loaded);
            let code = loaded.sink().compile_first(&loaded, FuncIndex(func));
            code.map(Some).map_err(Failure::Compile)
        })
    };
    code.map_or(ptr::null(), CodePtr::as_ptr)
}

/// Rule LIBCALL. A counter flipped its sign: rearms it; gives the address of an OSR entry, or 0.
pub(super) unsafe extern "C" fn counter_overflow(
    vmctx: *mut VmContext,
    func: u32,
    site: u32,
) -> u64 {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let interrupt = &store.shared.context().interrupt;
            if interrupt.load(Ordering::SeqCst) != 0 {
                return Err(TrapCode::Interrupt.into());
            }
            let loaded = Arc::clone(&store.instances[instance].loaded);
            let func = FuncIndex(func);
            let reply = loaded
                .sink()
                .counter_overflow(&loaded, func, SiteIndex(site));
            let defined = loaded.module().env().defined_func(func);
            if let Some(defined) = defined {
                // Rule VMCTX: inside the context's block; only the running thread writes counters.
                store.instances[instance]
                    .counter(defined)
                    .write(reply.rearm);
            }
            Ok(reply.osr_entry.map_or(0, |code| code.addr() as u64))
        })
    }
}
