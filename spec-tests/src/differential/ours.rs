//! Runs calls in Upshift.

use super::outcome::{Call, End, Kind, Run, Value, host};
use upshift::{
    Engine, Error, ErrorKind, Extern, Instance, Linker, Module, Store, TrapCode, Val, ValType,
};

fn value(val: &Val) -> Value {
    match val {
        Val::I32(v) => Value::I32(*v),
        Val::I64(v) => Value::I64(*v),
        Val::F32(bits) => Value::f32(*bits),
        Val::F64(bits) => Value::f64(*bits),
        Val::V128(bits) => Value::digest(&bits.to_le_bytes()),
        Val::FuncRef(func) => Value::Ref {
            null: func.is_none(),
        },
        Val::ExternRef(value) => Value::Ref {
            null: value.is_none(),
        },
    }
}

fn val(value: Value, ty: ValType) -> Val {
    match value {
        Value::I32(v) => Val::I32(v),
        Value::I64(v) => Val::I64(v),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::Ref { .. } => Val::default_for_ty(ty).expect("references can be null"),
    }
}

fn kind(ty: ValType) -> Kind {
    match ty {
        ValType::I32 => Kind::I32,
        ValType::I64 => Kind::I64,
        ValType::F32 => Kind::F32,
        ValType::F64 => Kind::F64,
        ValType::V128 | ValType::Ref(_) => Kind::Ref,
    }
}

fn end(error: &Error) -> End {
    let Some(trap) = error.trap() else {
        return End::Other(format!("{:?}: {error}", error.kind()));
    };
    match trap.code() {
        TrapCode::StackOverflow => End::StackOverflow,
        TrapCode::MemoryOutOfBounds => End::Memory,
        TrapCode::TableOutOfBounds | TrapCode::UndefinedElement => End::Table,
        TrapCode::UninitializedElement => End::NullCall,
        TrapCode::IndirectCallTypeMismatch => End::Signature,
        TrapCode::IntegerDivideByZero => End::DivideByZero,
        TrapCode::IntegerOverflow => End::Overflow,
        TrapCode::BadConversionToInteger => End::Conversion,
        TrapCode::Unreachable => End::Unreachable,
        code @ (TrapCode::Interrupt | _) => End::Other(code.to_string()),
    }
}

/// A linker with a host function for every import.
fn linker(engine: &Engine, module: &Module) -> Linker<u64> {
    let mut linker: Linker<u64> = Linker::new(engine);
    linker.allow_shadowing(true);
    for import in module.imports() {
        let import_type = import.ty();
        let Some(ty) = import_type.func() else {
            continue;
        };
        let results: Vec<Kind> = ty.results().map(kind).collect();
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

fn state(store: &mut Store<u64>, instance: Instance) -> Vec<(String, Value)> {
    let externs: Vec<(String, Extern)> = instance
        .exports(&mut *store)
        .map(|export| (export.name().to_owned(), export.into_extern()))
        .collect();
    let mut state = vec![(
        "the host".to_owned(),
        Value::I64(store.data().cast_signed()),
    )];
    for (name, item) in externs {
        let found = match item {
            Extern::Func(_) => continue,
            Extern::Global(global) => value(&global.get(&mut *store)),
            Extern::Memory(memory) => Value::digest(memory.data(&*store)),
            Extern::Table(table) => {
                let nulls: Vec<u8> = (0..table.size(&*store))
                    .map(|at| table.get(&mut *store, at).expect("within the size"))
                    .map(|entry| u8::from(entry.is_null()))
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
    let module = match Module::new(engine, bytes) {
        Ok(module) => module,
        Err(error) => return vec![Run::ended(end(&error))],
    };
    let linker = linker(engine, &module);
    let mut current: Option<(Store<u64>, Instance)> = None;
    let mut runs = Vec::new();
    for call in calls {
        if call.fresh || current.is_none() {
            let mut store = Store::new(engine, 0);
            current = match linker.instantiate(&mut store, &module) {
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
            .get_func(&mut *store, &call.name)
            .expect("it is exported");
        let ty = func.ty(&*store);
        let args: Vec<Val> = ty
            .params()
            .zip(&call.args)
            .map(|(t, a)| val(*a, t))
            .collect();
        let mut results: Vec<Val> = ty
            .results()
            .map(|t| Val::default_for_ty(t).expect("references can be null"))
            .collect();
        let mut run = match func.call(&mut *store, &args, &mut results) {
            Ok(()) => Run {
                values: results.iter().map(value).collect(),
                ..Run::default()
            },
            Err(error) if error.kind() == ErrorKind::Trap => Run::ended(end(&error)),
            Err(error) => Run::ended(End::Other(format!("{:?}: {error}", error.kind()))),
        };
        run.state = state(store, *instance);
        runs.push(run);
    }
    runs
}
