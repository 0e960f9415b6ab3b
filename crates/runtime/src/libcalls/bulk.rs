//! Bulk operations on memories and tables. Out of bounds is a trap with nothing written (spec 4.4.7).

use super::run;
use crate::instance::segments::Span;
use crate::store::StoreInner;
use crate::store::failure::Failure;
use crate::table::Table;
use std::ptr;
use upshift_abi::{TrapCode, VmContext};
use upshift_module::{DataIndex, ElemIndex};

fn span(to: u32, from: u32, count: u32) -> Span {
    Span {
        to: u64::from(to),
        from: u64::from(from),
        count: u64::from(count),
    }
}

/// Rule LIBCALL. `memory.init`
pub(super) unsafe extern "C" fn memory_init(
    vmctx: *mut VmContext,
    memory: u32,
    segment: u32,
    to: u32,
    from: u32,
    count: u32,
) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            store.memory_init(instance, memory, DataIndex(segment), span(to, from, count))
        });
    }
}

/// Rule LIBCALL. `memory.copy`
pub(super) unsafe extern "C" fn memory_copy(
    vmctx: *mut VmContext,
    to_memory: u32,
    from_memory: u32,
    to: u32,
    from: u32,
    count: u32,
) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let address = |memory: u32, start: u32| -> Result<*mut u8, Failure> {
                let memory = store.instances[instance].memories[memory as usize];
                store.memories[memory as usize]
                    .span(u64::from(start), u64::from(count))
                    .ok_or(TrapCode::MemoryOutOfBounds.into())
            };
            let (source, target) = (address(from_memory, from)?, address(to_memory, to)?);
            // Rule MEMORY: both spans are inside their memories; they may overlap.
            ptr::copy(source, target, count as usize);
            Ok(())
        });
    }
}

/// Rule LIBCALL. `memory.fill`
pub(super) unsafe extern "C" fn memory_fill(
    vmctx: *mut VmContext,
    memory: u32,
    to: u32,
    value: u32,
    count: u32,
) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let memory = store.instances[instance].memories[memory as usize];
            let target = store.memories[memory as usize]
                .span(u64::from(to), u64::from(count))
                .ok_or(TrapCode::MemoryOutOfBounds)?;
            // Rule MEMORY: the span is inside the memory.
            ptr::write_bytes(target, value.to_le_bytes()[0], count as usize);
            Ok(())
        });
    }
}

/// Rule LIBCALL. `data.drop`
pub(super) unsafe extern "C" fn data_drop(vmctx: *mut VmContext, segment: u32) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            store.data_drop(instance, DataIndex(segment));
            Ok(())
        });
    }
}

/// Rule LIBCALL. `table.init`
pub(super) unsafe extern "C" fn table_init(
    vmctx: *mut VmContext,
    table: u32,
    segment: u32,
    to: u32,
    from: u32,
    count: u32,
) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            store.table_init(instance, table, ElemIndex(segment), span(to, from, count))
        });
    }
}

/// Rule LIBCALL. `table.copy`
pub(super) unsafe extern "C" fn table_copy(
    vmctx: *mut VmContext,
    to_table: u32,
    from_table: u32,
    to: u32,
    from: u32,
    count: u32,
) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let tables = &store.instances[instance].tables;
            let (target, source) = (tables[to_table as usize], tables[from_table as usize]);
            let span = span(to, from, count);
            copy_elements(store, target as usize, source as usize, span)
                .ok_or(TrapCode::TableOutOfBounds.into())
        });
    }
}

fn copy_elements(store: &mut StoreInner, target: usize, source: usize, span: Span) -> Option<()> {
    if target == source {
        return store.tables[target].copy_within(span.to, span.from, span.count);
    }
    let (target, source): (&mut Table, &Table) = {
        let [target, source] = store.tables.get_disjoint_mut([target, source]).ok()?;
        (target, source)
    };
    target.copy_from(span.to, source, span.from, span.count)
}

/// Rule LIBCALL. `elem.drop`
pub(super) unsafe extern "C" fn elem_drop(vmctx: *mut VmContext, segment: u32) {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            store.elem_drop(instance, ElemIndex(segment));
            Ok(())
        });
    }
}
