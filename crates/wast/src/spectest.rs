//! The `spectest` host module that the official scripts import.
//!
//! Its print functions take their arguments and print nothing: standard output belongs to the guest.

use upshift::{
    Engine, Error, Extern, Func, FuncType, Global, GlobalType, Linker, Memory, MemoryType,
    Mutability, Ref, RefType, Store, Table, TableType, Val, ValType,
};

/// Defines the module `spectest`.
pub(crate) fn define(linker: &mut Linker<()>, store: &mut Store<()>) -> Result<(), Error> {
    let engine = store.engine().clone();
    for (name, params) in [
        ("print", vec![]),
        ("print_i32", vec![ValType::I32]),
        ("print_i64", vec![ValType::I64]),
        ("print_f32", vec![ValType::F32]),
        ("print_f64", vec![ValType::F64]),
        ("print_i32_f32", vec![ValType::I32, ValType::F32]),
        ("print_f64_f64", vec![ValType::F64, ValType::F64]),
    ] {
        define_print(linker, store, &engine, name, params)?;
    }
    for (name, ty, value) in [
        ("global_i32", ValType::I32, Val::I32(666)),
        ("global_i64", ValType::I64, Val::I64(666)),
        ("global_f32", ValType::F32, Val::F32(666.6_f32.to_bits())),
        ("global_f64", ValType::F64, Val::F64(666.6_f64.to_bits())),
    ] {
        let ty = GlobalType::new(ty, Mutability::Const);
        let global = Global::new(&mut *store, ty, value)?;
        linker.define(&*store, "spectest", name, Extern::Global(global))?;
    }
    let ty = TableType::new(RefType::FUNCREF, 10, Some(20));
    let table = Table::new(&mut *store, ty, Ref::Func(None))?;
    linker.define(&*store, "spectest", "table", Extern::Table(table))?;
    let memory = Memory::new(&mut *store, MemoryType::new(1, Some(2)))?;
    linker.define(&*store, "spectest", "memory", Extern::Memory(memory))?;
    Ok(())
}

fn define_print(
    linker: &mut Linker<()>,
    store: &mut Store<()>,
    engine: &Engine,
    name: &str,
    params: Vec<ValType>,
) -> Result<(), Error> {
    let ty = FuncType::new(engine, params, []);
    let func = Func::new(&mut *store, ty, |_, _, _| Ok(()));
    linker.define(&*store, "spectest", name, Extern::Func(func))?;
    Ok(())
}
