//! First calls of functions, and counters.

use super::run;
use crate::arch::x64::SavedRegisters;
use crate::error::RuntimeError;
use crate::loaded::CounterVisit;
use crate::store::failure::Failure;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_abi::{EntrySlot, SiteIndex, TrapCode, VmContext};
use upshift_module::FuncIndex;

/// Rule LIBCALL. A function without code is called: gives its slot, or null having failed.
pub(super) unsafe extern "C" fn lazy_compile(vmctx: *mut VmContext, func: u32) -> *const EntrySlot {
    // SAFETY: rule LIBCALL: called by the lazy stub.
    let slot = unsafe {
        run(vmctx, |store, instance| {
            let loaded = Arc::clone(&store.instances[instance].loaded);
            let func = FuncIndex(func);
            let compiled = loaded.sink().compile_first(&loaded, func);
            compiled.map_err(Failure::Compile)?;
            let slot = loaded.entries().slot_of(func);
            slot.ok_or_else(|| RuntimeError::misuse("an import was compiled").into())
        })
    };
    ptr::with_exposed_provenance(slot)
}

/// Rule LIBCALL. A counter flipped its sign: rearms it; gives the address of a loop entry with the registers prepared
/// for it, or 0.
pub(super) unsafe extern "C" fn counter_overflow(
    vmctx: *mut VmContext,
    func: u32,
    site: u32,
    registers: *mut SavedRegisters,
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
            let Some(defined) = loaded.module().env().defined_func(func) else {
                return Ok(0);
            };
            let instance = &store.instances[instance];
            let body = loaded.module().func(func);
            let sites = body.map_or(0, |body| body.outline().indirect_calls());
            if sites > 0 {
                let targets = &mut instance.take_targets(defined, sites);
                loaded.sink().indirect_calls(&loaded, func, targets);
            }
            // Only the running thread writes counters.
            let counter = instance.counter(defined);
            let value = counter.load(Ordering::Relaxed).cast_unsigned();
            let visit = CounterVisit {
                site: SiteIndex(site),
                entries: value & 0xff,
                counter: value,
            };
            let reply = loaded.sink().counter_overflow(&loaded, func, visit);
            counter.store(reply.rearm, Ordering::Relaxed);
            match reply.entry {
                None => Ok(0),
                // Rule OSR: the stub passes its frame, and the baseline frame is the one that it has published.
                Some(entry) => Ok(super::osr::prepare(store, vmctx, &mut *registers, &entry)),
            }
        })
    }
}
