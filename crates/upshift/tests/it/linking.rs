//! Imports: errors that list everything, names that are taken, aliases, start functions.

use crate::support::{assert_kind, assert_trap, call_i32, in_each_mode, instance};
use upshift::{
    Caller, Engine, ErrorKind, Func, Instance, Linker, Memory, MemoryType, Module, Store, TrapCode,
};

const NEEDY: &str = r#"(module
    (import "env" "add" (func (param i32 i64) (result f32)))
    (import "env" "memory" (memory 1 2))
    (import "env" "table" (table 3 funcref))
    (import "other" "global" (global (mut f64)))
    (import "other" "present" (func))
    (import "other" "wrong" (func (param i32))))"#;

#[test]
fn everything_missing_is_listed_with_its_type() {
    let engine = crate::support::engine();
    let module = Module::new(&engine, NEEDY).unwrap();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("other", "present", || {}).unwrap();
    linker.func_wrap("other", "wrong", |_: i64| 1_i32).unwrap();
    let error = assert_kind(linker.instantiate(&mut store, &module), ErrorKind::Link);
    let text = error.to_string();
    for part in [
        "env.add: func",
        "env.memory: memory 1 2",
        "env.table: table 3 funcref",
        "other.global: global mut f64",
        "other.wrong: expected func",
        "i64",
        "f32",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("other.present"), "{text}");
    assert_eq!(text.lines().count(), 7, "{text}");
}

#[test]
fn given_imports_are_all_checked() {
    let engine = crate::support::engine();
    let module = Module::new(
        &engine,
        r#"(module (import "a" "f" (func (param i32))) (import "a" "g" (func)) (import "a" "m" (memory 2)))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, ());
    let f = Func::wrap(&mut store, || {});
    let g = Func::wrap(&mut store, |_: i32| {});
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).unwrap();
    let imports = [f.into(), g.into(), memory.into()];
    for count in 0..imports.len() {
        let outcome = Instance::new(&mut store, &module, &imports[..count]);
        assert_kind(outcome, ErrorKind::Link);
    }
    let error = assert_kind(
        Instance::new(&mut store, &module, &imports),
        ErrorKind::Link,
    );
    for name in ["a.f", "a.g", "a.m"] {
        assert!(error.to_string().contains(name), "{error}");
    }
    memory.grow(&mut store, 1).unwrap();
    Instance::new(&mut store, &module, &[g.into(), f.into(), memory.into()]).unwrap();
    let swapped = [memory.into(), f.into(), g.into()];
    assert_kind(
        Instance::new(&mut store, &module, &swapped),
        ErrorKind::Link,
    );
}

#[test]
fn names_aliases_and_shadowing() {
    let engine = crate::support::engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("a", "one", || 1_i32).unwrap();
    let taken = linker.func_wrap("a", "one", || 2_i32).map(|_| ());
    assert_kind(taken, ErrorKind::Link);
    linker.alias("a", "one", "b", "uno").unwrap();
    assert_kind(
        linker.alias("a", "two", "b", "due").map(|_| ()),
        ErrorKind::Link,
    );
    linker.alias_module("b", "c").unwrap();
    let module = Module::new(
        &engine,
        r#"(module (import "c" "uno" (func $f (result i32))) (export "f" (func $f)))"#,
    )
    .unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    assert_eq!(call_i32(&mut store, instance, "f").unwrap(), 1);
    linker.allow_shadowing(true);
    linker.func_wrap("c", "uno", || 2_i32).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    assert_eq!(call_i32(&mut store, instance, "f").unwrap(), 2);
    linker.instance(&mut store, "d", instance).unwrap();
    assert!(linker.get(&mut store, "d", "f").is_some());
    assert!(linker.get(&mut store, "d", "g").is_none());
}

#[test]
fn unknown_functions_fail_when_called() {
    let engine = crate::support::engine();
    let mut linker = Linker::new(&engine);
    let module = Module::new(
        &engine,
        r#"(module (import "far" "away" (func $f (param i32) (result funcref)))
            (func (export "fine") (result i32) (i32.const 4))
            (func (export "go") (result i32) (drop (call $f (i32.const 1))) (i32.const 5)))"#,
    )
    .unwrap();
    linker.define_unknown_imports_as_traps(&module).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    assert_eq!(call_i32(&mut store, instance, "fine").unwrap(), 4);
    let error = assert_kind(call_i32(&mut store, instance, "go"), ErrorKind::Link);
    assert!(error.to_string().contains("far.away"), "{error}");
}

#[test]
fn start_functions() {
    in_each_mode(|engine| {
        let mut linker = Linker::new(engine);
        linker
            .func_wrap("host", "note", |mut caller: Caller<'_, u32>, n: u32| {
                // The instance is there for the host, before `Instance::new` has returned.
                assert!(caller.get_export("memory").is_some());
                *caller.data_mut() += n;
            })
            .unwrap();
        let text = |body: &str| {
            format!(
                r#"(module (import "host" "note" (func $note (param i32))) (memory (export "memory") 1)
                    (func $start (call $note (i32.const 3)) {body}) (start $start))"#
            )
        };
        let mut store = Store::new(engine, 0);
        let good = Module::new(engine, text("")).unwrap();
        linker.instantiate(&mut store, &good).unwrap();
        assert_eq!(*store.data(), 3);
        let bad = Module::new(engine, text("unreachable")).unwrap();
        let error = assert_trap(linker.instantiate(&mut store, &bad), TrapCode::Unreachable);
        let frames = error.trap().unwrap().backtrace().frames();
        assert_eq!(frames[0].func_name(), Some("start"));
        assert_eq!(*store.data(), 6);
        linker.instantiate(&mut store, &good).unwrap();
        assert_eq!(*store.data(), 9);
        // An imported function can be the start function.
        let import =
            Module::new(engine, r#"(module (import "" "s" (func $s)) (start $s))"#).unwrap();
        let start = Func::wrap(&mut store, |mut caller: Caller<'_, u32>| {
            *caller.data_mut() = 1
        });
        Instance::new(&mut store, &import, &[start.into()]).unwrap();
        assert_eq!(*store.data(), 1);
    });
}

#[test]
fn reactors_are_initialized() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        let reactor = Module::new(
            engine,
            r#"(module (global $g (mut i32) (i32.const 1))
                (func (export "_initialize") (global.set $g (i32.const 8)))
                (func (export "get") (result i32) (global.get $g)))"#,
        )
        .unwrap();
        linker.module(&mut store, "reactor", &reactor).unwrap();
        let user = Module::new(
            engine,
            r#"(module (import "reactor" "get" (func $get (result i32)))
                (func (export "go") (result i32) (i32.add (call $get) (i32.const 1))))"#,
        )
        .unwrap();
        let user = linker.instantiate(&mut store, &user).unwrap();
        assert_eq!(call_i32(&mut store, user, "go").unwrap(), 9);
    });
}

#[test]
fn exports_by_name_and_type() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let instance = instance(
        &mut store,
        r#"(module (func (export "f") (param i32)) (memory (export "m") 1 3)
            (table (export "t") 2 externref) (global (export "g") i64 (i64.const 5)))"#,
        &[],
    );
    let names: Vec<_> = instance
        .exports(&mut store)
        .map(|export| export.name().to_owned())
        .collect();
    assert_eq!(names, ["f", "m", "t", "g"]);
    for (name, expected) in [
        ("m", "memory 1 3"),
        ("t", "table 2 externref"),
        ("g", "global i64"),
    ] {
        let export = instance.get_export(&mut store, name).unwrap();
        assert_eq!(export.ty(&store).to_string(), expected);
        assert!(export.into_func().is_none());
    }
    assert!(instance.get_export(&mut store, "x").is_none());
    assert!(instance.get_memory(&mut store, "f").is_none());
    let typed = instance.get_typed_func::<i32, ()>(&mut store, "f");
    typed.unwrap().call(&mut store, 1).unwrap();
    assert_kind(
        instance.get_typed_func::<i64, ()>(&mut store, "f"),
        ErrorKind::Type,
    );
    assert_kind(
        instance.get_typed_func::<i32, i32>(&mut store, "f"),
        ErrorKind::Type,
    );
    assert_kind(
        instance.get_typed_func::<i32, ()>(&mut store, "m"),
        ErrorKind::Link,
    );
}
