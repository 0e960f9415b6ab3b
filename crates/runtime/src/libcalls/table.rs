//! Access to single elements of tables, growth and filling.

use super::run;
use crate::instance::segments::element;
use crate::raw::RawVal;
use crate::store::StoreInner;
use crate::table::Element;
use upshift_abi::{TrapCode, VmContext};

/// -1 of wasm.
const REFUSED: u32 = u32::MAX;

fn position(store: &StoreInner, instance: usize, table: u32) -> usize {
    store.instances[instance].tables[table as usize] as usize
}

/// A reference that wasm holds, so that it is right, as an element of the table.
fn element_of(store: &StoreInner, table: usize, reference: u64) -> Element {
    element(
        RawVal::from_ref(reference),
        store.tables[table].holds_funcs(),
    )
}

/// Rule LIBCALL. `table.get`
pub(super) unsafe extern "C" fn table_get(vmctx: *mut VmContext, table: u32, index: u32) -> u64 {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let table = position(store, instance, table);
            let element = store.table_element(table, u64::from(index))?;
            element.ok_or(TrapCode::TableOutOfBounds.into())
        })
    }
}

/// Rule LIBCALL. `table.set`
pub(super) unsafe extern "C" fn table_set(
    vmctx: *mut VmContext,
    table: u32,
    index: u32,
    reference: u64,
) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let table = position(store, instance, table);
            let value = element_of(store, table, reference);
            let done = store.tables[table].set(u64::from(index), value);
            done.ok_or(TrapCode::TableOutOfBounds.into())
        });
    }
}

/// Rule LIBCALL. `table.grow`: the old size, or -1.
pub(super) unsafe extern "C" fn table_grow(
    vmctx: *mut VmContext,
    table: u32,
    reference: u64,
    delta: u32,
) -> u32 {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let table = position(store, instance, table);
            let value = element_of(store, table, reference);
            let old = store.tables[table].grow(u64::from(delta), value);
            Ok(old
                .and_then(|old| u32::try_from(old).ok())
                .unwrap_or(REFUSED))
        })
    }
}

/// Rule LIBCALL. `table.fill`
pub(super) unsafe extern "C" fn table_fill(
    vmctx: *mut VmContext,
    table: u32,
    start: u32,
    reference: u64,
    count: u32,
) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let table = position(store, instance, table);
            let value = element_of(store, table, reference);
            let done = store.tables[table].fill(u64::from(start), value, u64::from(count));
            done.ok_or(TrapCode::TableOutOfBounds.into())
        });
    }
}
