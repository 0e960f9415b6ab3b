//! Calls of host functions.

use super::run_in;
use crate::func::{HostCall, HostFunc, HostThunk};
use crate::pc_map::lookup_return_pc;
use crate::raw::RawVal;
use crate::store::StoreInner;
use crate::store::failure::Failure;
use crate::store::handles::InstanceHandle;
use std::sync::atomic::Ordering;
use upshift_abi::HostContext;

/// Rule LIBCALL. `values` holds the arguments in order and takes the results.
pub(crate) unsafe extern "C" fn host_call(context: *mut HostContext, values: *mut [u8; 16]) {
    let thunk = context.cast_const().cast::<HostThunk>();
    // SAFETY: rule HOST: the context that a host stub passes is the first field of a thunk, which, with
    // the host function, lives as long as the store.
    let (store, thunk, host) = unsafe { ((*thunk).store(), &*thunk, &*(*thunk).func()) };
    let ty = &host.info.ty;
    let count = ty.params().len().max(ty.results().len());
    // SAFETY: rule HOST: the stub's array has a place for each parameter and each result.
    let values = unsafe { std::slice::from_raw_parts_mut(values.cast::<RawVal>(), count) };
    // SAFETY: rule LIBCALL: called by a host stub.
    unsafe { run_in(store, |store| call(store, thunk, host, values)) }
}

fn call(
    store: &mut StoreInner,
    thunk: &HostThunk,
    host: &HostFunc,
    values: &mut [RawVal],
) -> Result<(), Failure> {
    let caller = thunk.caller.or_else(|| caller_by_stack(store));
    let store_id = store.id;
    let outcome = (host.callback)(HostCall {
        caller_instance: caller.map(|index| InstanceHandle {
            store: store_id,
            index,
        }),
        store,
        values,
    });
    outcome.map_err(Failure::Host)?;
    if host.info.funcref_results {
        store.check_funcrefs(host.info.ty.results(), values)?;
    }
    Ok(())
}

/// The instance that called through a table: known if its module has one instance only.
fn caller_by_stack(store: &StoreInner) -> Option<u32> {
    let activation = store.shared.context().activation.load(Ordering::Relaxed);
    // SAFETY: rule LIBCALL: wasm runs, so there is an activation, whose exit the stub published.
    let pc = unsafe { (*activation).exit_pc };
    let owner = lookup_return_pc(pc)?.owner;
    let mut callers = (0..).zip(&store.instances);
    let mut callers = callers.by_ref().filter(|(_, i)| i.loaded.owner() == owner);
    let (index, _) = callers.next()?;
    callers.next().is_none().then_some(index)
}
