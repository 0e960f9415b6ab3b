//! Runs calls in wasmi, an interpreter that shares no compiler with Upshift.

use super::outcome::{Call, End, Kind, Run, Value, host};
use wasmi::{
    Config, Engine, Error, Extern, Instance, Linker, Module, Store, TrapCode, Val, ValType,
};

/// An interpreter that recurses as deep as the generated modules' fuel lasts.
pub(crate) fn engine() -> Engine {
    let mut config = Config::default();
    config
        .set_max_recursion_depth(5000)
        .set_max_stack_height(64 << 20);
    Engine::new(&config)
}

fn value(val: &Val) -> Value {
    match val {
        Val::I32(v) => Value::I32(*v),
        Val::I64(v) => Value::I64(*v),
        Val::F32(v) => Value::f32(v.to_bits()),
        Val::F64(v) => Value::f64(v.to_bits()),
        Val::V128(v) => Value::digest(&v.as_u128().to_le_bytes()),
        Val::FuncRef(func) => Value::Ref {
            null: func.is_null(),
        },
        Val::ExternRef(value) => Value::Ref {
            null: value.is_null(),
        },
    }
}

fn val(value: Value, ty: ValType) -> Val {
    match value {
        Value::I32(v) => Val::I32(v),
        Value::I64(v) => Val::I64(v),
        Value::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
        Value::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
        Value::Ref { .. } => Val::default(ty),
    }
}

fn kind(ty: ValType) -> Kind {
    match ty {
        ValType::I32 => Kind::I32,
        ValType::I64 => Kind::I64,
        ValType::F32 => Kind::F32,
        ValType::F64 => Kind::F64,
        ValType::V128 | ValType::FuncRef | ValType::ExternRef => Kind::Ref,
    }
}

fn end(error: &Error) -> End {
    match error.as_trap_code() {
        Some(TrapCode::StackOverflow) => End::StackOverflow,
        Some(TrapCode::MemoryOutOfBounds) => End::Memory,
        Some(TrapCode::TableOutOfBounds) => End::Table,
        Some(TrapCode::IndirectCallToNull) => End::NullCall,
        Some(TrapCode::BadSignature) => End::Signature,
        Some(TrapCode::IntegerDivisionByZero) => End::DivideByZero,
        Some(TrapCode::IntegerOverflow) => End::Overflow,
        Some(TrapCode::BadConversionToInteger) => End::Conversion,
        Some(TrapCode::UnreachableCodeReached) => End::Unreachable,
        Some(_) | None => End::Other(error.to_string()),
    }
}

fn linker(engine: &Engine, module: &Module) -> Linker<u64> {
    let mut linker: Linker<u64> = Linker::new(engine);
    linker.allow_shadowing(true);
    for import in module.imports() {
        let Some(ty) = import.ty().func() else {
            continue;
        };
        let results: Vec<Kind> = ty.results().iter().copied().map(kind).collect();
        linker
            .func_new(
                import.module(),
                import.name(),
                ty.clone(),
                move |mut caller, args, out| {
                    let args: Vec<Value> = args.iter().map(value).collect();
                    let values = host(&args, &results, caller.data_mut());
                    for (out, value) in out.iter_mut().zip(values) {
                        *out = val(value, out.ty());
                    }
                    Ok(())
                },
            )
            .expect("names may be defined again");
    }
    linker
}

fn state(store: &Store<u64>, instance: Instance) -> Vec<(String, Value)> {
    let mut state = vec![(
        "the host".to_owned(),
        Value::I64(store.data().cast_signed()),
    )];
    for export in instance.exports(store) {
        let name = export.name().to_owned();
        let found = match export.into_extern() {
            Extern::Func(_) => continue,
            Extern::Global(global) => value(&global.get(store)),
            Extern::Memory(memory) => Value::digest(memory.data(store)),
            Extern::Table(table) => {
                let nulls: Vec<u8> = (0..table.size(store))
                    .map(|at| value(&table.get(store, at).expect("within the size")))
                    .map(|entry| u8::from(entry == Value::Ref { null: true }))
                    .collect();
                Value::digest(&nulls)
            }
        };
        state.push((name, found));
    }
    state.sort_by(|a, b| a.0.cmp(&b.0));
    state
}

/// Makes the calls, one after the other.
pub(crate) fn run(engine: &Engine, bytes: &[u8], calls: &[Call]) -> Vec<Run> {
    let module = Module::new(engine, bytes).expect("generated modules are valid");
    let linker = linker(engine, &module);
    let mut current: Option<(Store<u64>, Instance)> = None;
    let mut runs = Vec::new();
    for call in calls {
        if call.fresh || current.is_none() {
            let mut store = Store::new(engine, 0);
            current = match linker.instantiate_and_start(&mut store, &module) {
                Ok(instance) => Some((store, instance)),
                Err(error) => {
                    runs.push(Run::ended(end(&error)));
                    None
                }
            };
        }
        let Some((store, instance)) = &mut current else {
            continue;
        };
        let func = instance
            .get_func(&*store, &call.name)
            .expect("it is exported");
        let ty = func.ty(&*store);
        let args: Vec<Val> = ty
            .params()
            .iter()
            .zip(&call.args)
            .map(|(t, a)| val(*a, *t))
            .collect();
        let mut results: Vec<Val> = ty.results().iter().map(|t| Val::default(*t)).collect();
        let mut run = match func.call(&mut *store, &args, &mut results) {
            Ok(()) => Run {
                values: results.iter().map(value).collect(),
                ..Run::default()
            },
            Err(error) => Run::ended(end(&error)),
        };
        run.state = state(store, *instance);
        runs.push(run);
    }
    runs
}

/// The exported functions with the types of their parameters.
pub(crate) fn exports(engine: &Engine, bytes: &[u8]) -> Vec<(String, Vec<Kind>)> {
    let module = Module::new(engine, bytes).expect("generated modules are valid");
    module
        .exports()
        .filter_map(|export| {
            let params = export.ty().func()?.params().iter().copied().map(kind);
            Some((export.name().to_owned(), params.collect()))
        })
        .collect()
}
