//! Mixing stores and engines: an error of kind `Store`, or a panic where the API has no way to say so.

use crate::support::{assert_kind, in_each_mode, instance};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use upshift::{
    Engine, Error, ErrorKind, Extern, ExternRef, Func, Global, GlobalType, Instance, Linker,
    Memory, MemoryType, Module, Mutability, Ref, RefType, Store, Table, TableType, TypedFunc, Val,
    ValType,
};

type Typed = TypedFunc<(Option<Func>, Option<ExternRef>), Option<Func>>;

/// One of everything.
struct Items {
    guest: Func,
    typed: Typed,
    host: Func,
    memory: Memory,
    table: Table,
    externs: Table,
    global: Global,
    instance: Instance,
    word: ExternRef,
}

const TEXT: &str = r#"(module
    (memory (export "memory") 1)
    (table (export "table") 2 funcref)
    (global (export "global") (mut funcref) (ref.null func))
    (func (export "guest") (param funcref externref) (result funcref) (local.get 0))
    (func (export "nothing")))"#;

fn items(store: &mut Store<u32>) -> Items {
    let instance = instance(store, TEXT, &[]);
    let ty = TableType::new(RefType::EXTERNREF, 2, None);
    Items {
        guest: instance.get_func(&mut *store, "guest").unwrap(),
        typed: instance.get_typed_func(&mut *store, "guest").unwrap(),
        host: Func::wrap(&mut *store, |_: Option<Func>, _: Option<ExternRef>| {}),
        memory: instance.get_memory(&mut *store, "memory").unwrap(),
        table: instance.get_table(&mut *store, "table").unwrap(),
        externs: Table::new(&mut *store, ty, Ref::Extern(None)).unwrap(),
        global: instance.get_global(&mut *store, "global").unwrap(),
        instance,
        word: ExternRef::new(&mut *store, "word").unwrap(),
    }
}

#[track_caller]
fn refuses<R: Debug>(outcome: Result<R, Error>) {
    assert_kind(outcome, ErrorKind::Store);
}

#[track_caller]
fn panics<R>(run: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
}

/// Uses `other`, which is of another store, with `store`, whose own things are `own`.
fn mix(store: &mut Store<u32>, own: &Items, other: &Items) {
    let null = [Val::FuncRef(None), Val::ExternRef(None)];
    let mut none = [Val::I32(0)];
    refuses(other.guest.call(&mut *store, &null, &mut none));
    refuses(other.host.call(&mut *store, &null, &mut []));
    refuses(
        other
            .guest
            .typed::<(Option<Func>, Option<ExternRef>), Option<Func>>(&*store),
    );
    refuses(
        other
            .instance
            .get_typed_func::<(), ()>(&mut *store, "nothing"),
    );
    // References as arguments, of guests and of host functions.
    for func in [own.guest, own.host] {
        let mut results = vec![Val::I32(0); func.ty(&*store).results().len()];
        for alien in [
            [Val::FuncRef(Some(other.guest)), null[1]],
            [Val::FuncRef(Some(other.host)), null[1]],
            [null[0], Val::ExternRef(Some(other.word))],
        ] {
            refuses(func.call(&mut *store, &alien, &mut results));
        }
    }
    let typed = own.typed;
    refuses(typed.call(&mut *store, (Some(other.host), None)));
    refuses(typed.call(&mut *store, (None, Some(other.word))));
    refuses(other.typed.call(&mut *store, (None, None)));
    // As results of a host function.
    let (func, word) = (other.guest, other.word);
    let giving = Func::wrap(&mut *store, move || Some(func));
    refuses(giving.call(&mut *store, &[], &mut none));
    let giving = Func::wrap(&mut *store, move || (1_i32, Some(word)));
    refuses(giving.call(&mut *store, &[], &mut [Val::I32(0), Val::I32(0)]));
    in_containers(store, own, other);
    by_panic(store, other);
}

fn in_containers(store: &mut Store<u32>, own: &Items, other: &Items) {
    let func = Ref::Func(Some(other.guest));
    let word = Ref::Extern(Some(other.word));
    refuses(own.table.set(&mut *store, 0, func));
    refuses(own.table.grow(&mut *store, 1, func));
    refuses(own.table.fill(&mut *store, 0, func, 1));
    refuses(own.externs.set(&mut *store, 0, word));
    refuses(own.externs.grow(&mut *store, 1, word));
    refuses(other.table.set(&mut *store, 0, Ref::Func(None)));
    refuses(other.table.grow(&mut *store, 1, Ref::Func(None)));
    refuses(other.table.fill(&mut *store, 0, Ref::Func(None), 1));
    refuses(other.memory.grow(&mut *store, 1));
    refuses(own.global.set(&mut *store, other.host.into()));
    refuses(other.global.set(&mut *store, Val::FuncRef(None)));
    refuses(other.word.data(&*store).map(|_| ()));
    let ty = TableType::new(RefType::FUNCREF, 1, None);
    refuses(Table::new(&mut *store, ty, func));
    let ty = GlobalType::new(ValType::EXTERNREF, Mutability::Const);
    refuses(Global::new(&mut *store, ty, other.word.into()));
    assert_eq!(own.table.size(&*store), 2);
    assert!(own.table.get(&mut *store, 0).unwrap().is_null());
}

fn by_panic(store: &mut Store<u32>, other: &Items) {
    panics(|| other.guest.ty(&*store));
    panics(|| other.memory.ty(&*store));
    panics(|| other.memory.data(&*store).len());
    panics(|| other.memory.data_mut(&mut *store).len());
    panics(|| other.memory.read(&*store, 0, &mut [0]));
    panics(|| other.memory.write(&mut *store, 0, &[0]));
    panics(|| other.table.get(&mut *store, 0));
    panics(|| other.table.size(&*store));
    panics(|| other.global.get(&mut *store));
    panics(|| other.global.ty(&*store));
    panics(|| other.instance.get_export(&mut *store, "guest"));
    panics(|| other.instance.exports(&mut *store).len());
    panics(|| Extern::Memory(other.memory).ty(&*store));
}

/// The store of `own` still works.
fn works(store: &mut Store<u32>, own: &Items) {
    let mut results = [Val::I32(0)];
    let args = [own.host.into(), own.word.into()];
    own.guest.call(&mut *store, &args, &mut results).unwrap();
    assert_eq!(results[0].func_ref(), Some(Some(own.host)));
}

#[test]
fn values_of_other_stores() {
    in_each_mode(|engine| {
        let mut first = Store::new(engine, 1);
        let mut second = Store::new(engine, 2);
        let mut third = Store::new(&Engine::default(), 3);
        let own = items(&mut first);
        for store in [&mut second, &mut third] {
            let other = items(store);
            mix(&mut first, &own, &other);
            mix(store, &other, &own);
            works(&mut first, &own);
            works(store, &other);
        }
    });
}

#[test]
fn imports_and_linkers_of_other_stores() {
    in_each_mode(|engine| {
        let elsewhere = Engine::default();
        let mut own = Store::new(engine, 1);
        let mut other = Store::new(engine, 2);
        let mut far = Store::new(&elsewhere, 3);
        let module = Module::new(engine, TEXT).unwrap();
        refuses(Instance::new(&mut far, &module, &[]));
        refuses(Linker::new(engine).instantiate(&mut far, &module));
        refuses(Linker::new(&elsewhere).instantiate(&mut own, &module));
        refuses(Linker::new(&elsewhere).instantiate(&mut far, &module));

        let things = items(&mut own);
        let exports: [(&str, Extern); 4] = [
            (
                "(func (param funcref externref) (result funcref))",
                things.guest.into(),
            ),
            ("(memory 1)", things.memory.into()),
            ("(table 2 funcref)", things.table.into()),
            ("(global (mut funcref))", things.global.into()),
        ];
        for (ty, item) in exports {
            let importing =
                Module::new(engine, format!(r#"(module (import "" "" {ty}))"#)).unwrap();
            Instance::new(&mut own, &importing, &[item]).unwrap();
            refuses(Instance::new(&mut other, &importing, &[item]));
            let mut linker = Linker::new(engine);
            refuses(linker.define(&other, "", "", item).map(|_| ()));
            linker.define(&own, "", "", item).unwrap();
            linker.instantiate(&mut own, &importing).unwrap();
            refuses(linker.instantiate(&mut other, &importing));
        }
        let mut linker = Linker::new(engine);
        refuses(linker.instance(&mut other, "", things.instance).map(|_| ()));
        works(&mut own, &things);
    });
}

/// Handles of a store that is gone are refused by the next ones, wherever those lie.
#[test]
fn handles_of_a_dropped_store() {
    let engine = crate::support::engine();
    let other = {
        let mut store = Store::new(&engine, 1);
        items(&mut store)
    };
    let mut store = Store::new(&engine, 1);
    let own = items(&mut store);
    mix(&mut store, &own, &other);
    works(&mut store, &own);
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).unwrap();
    assert_ne!(memory, other.memory);
}
