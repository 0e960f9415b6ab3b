//! `memory.grow`.

use super::run;
use upshift_abi::VmContext;

/// -1 of wasm.
const REFUSED: u32 = u32::MAX;

/// Rule LIBCALL. Old size in pages, or -1.
pub(super) unsafe extern "C" fn memory_grow(vmctx: *mut VmContext, memory: u32, delta: u32) -> u32 {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let memory = store.instances[instance].memories[memory as usize];
            let old = store.memories[memory as usize].grow(u64::from(delta));
            Ok(old
                .and_then(|old| u32::try_from(old).ok())
                .unwrap_or(REFUSED))
        })
    }
}
