//! `ref.func`, and the cold path of `call_indirect`.

use super::run;
use crate::func::record_bits;
use crate::store::StoreInner;
use crate::store::failure::Failure;
use crate::table::FuncElement;
use std::ptr::NonNull;
use upshift_abi::{TableEntry, TrapCode, TypeId, VmContext};
use upshift_module::FuncIndex;

/// Rule LIBCALL. `ref.func`: the address of the function's record.
pub(super) unsafe extern "C" fn ref_func(vmctx: *mut VmContext, func: u32) -> u64 {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let record = store.instance_func_record(instance, FuncIndex(func))?;
            Ok(record_bits(record))
        })
    }
}

/// Rule LIBCALL. Address of an entry of the expected type, or a trap with the right code.
pub(super) unsafe extern "C" fn indirect_slow(
    vmctx: *mut VmContext,
    table: u32,
    index: u32,
    expected: u32,
) -> u64 {
    // SAFETY: rule LIBCALL: called by its exit stub.
    unsafe {
        run(vmctx, |store, instance| {
            let table = store.instances[instance].tables[table as usize] as usize;
            let entry = checked_entry(store, table, u64::from(index), TypeId(expected))?;
            Ok(entry.as_ptr().expose_provenance() as u64)
        })
    }
}

fn checked_entry(
    store: &mut StoreInner,
    table: usize,
    index: u64,
    expected: TypeId,
) -> Result<NonNull<TableEntry>, Failure> {
    let element = store.tables[table]
        .func_element(index)
        .ok_or(TrapCode::UndefinedElement)?;
    let record = match element {
        FuncElement::Null => return Err(TrapCode::UninitializedElement.into()),
        FuncElement::Record(record) => record,
        FuncElement::Lazy(vmctx, func) => store.resolve_element(table, index, vmctx, func)?,
    };
    // SAFETY: rule RECORD: records are immutable and live as long as the store.
    if unsafe { record.as_ref() }.type_id != expected {
        return Err(TrapCode::IndirectCallTypeMismatch.into());
    }
    let entry = store.tables[table].entry(index);
    entry.ok_or(TrapCode::UndefinedElement.into())
}
