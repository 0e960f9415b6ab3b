//! What host functions do to the store while their guest waits: it must see all of it, and go on.

use crate::support::{call_i32, in_each_mode, instance};
use std::sync::Arc;
use upshift::{
    Caller, Engine, Extern, ExternRef, Func, Instance, Linker, Memory, MemoryType, Module, Ref,
    Result, Store, Val,
};

/// Reads everything that the host may change, before and after the host changes it.
const WATCHER: &str = r#"(module
    (import "host" "change" (func $change (param i32)))
    (memory (export "memory") 1)
    (table (export "table") 1 funcref)
    (global $g (export "global") (mut i32) (i32.const 0))
    (type $t (func (result i32)))
    (func (export "watch") (param $round i32) (result i32)
        (local $before i32) (local $kept i64)
        (local.set $before (i32.add (global.get $g) (i32.add (memory.size) (table.size))))
        (local.set $kept (i64.extend_i32_u (i32.load (i32.const 8))))
        (call $change (local.get $round))
        ;; The last word of the memory, the last function of the table, the global.
        (i32.add
            (i32.add
                (i32.load (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)))
                (call_indirect (type $t) (i32.sub (table.size) (i32.const 1))))
            (i32.add
                (global.get $g)
                (i32.sub (i32.load (i32.const 8)) (i32.wrap_i64 (local.get $kept)))))))"#;

fn change(mut caller: Caller<'_, ()>, round: i32) -> Result<()> {
    let item = |caller: &mut Caller<'_, ()>, name| caller.get_export(name).expect("an export");
    let memory = item(&mut caller, "memory").into_memory().expect("a memory");
    let table = item(&mut caller, "table").into_table().expect("a table");
    let global = item(&mut caller, "global").into_global().expect("a global");
    memory.grow(&mut caller, 1)?;
    let last = memory.data_size(&caller) - 4;
    memory.write(&mut caller, last, &(round * 100).to_le_bytes())?;
    let mut word = [0; 4];
    memory.read(&caller, 8, &mut word)?;
    let next = i32::from_le_bytes(word) + 7;
    memory.write(&mut caller, 8, &next.to_le_bytes())?;
    let func = Func::wrap(&mut caller, move || round * 10_000);
    table.grow(&mut caller, 3, Ref::Func(Some(func)))?;
    global.set(&mut caller, Val::I32(round))?;
    Ok(())
}

#[test]
fn guests_see_what_the_host_changes() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let change = Func::wrap(&mut store, change);
        let guest = instance(&mut store, WATCHER, &[change.into()]);
        let watch = guest
            .get_typed_func::<i32, i32>(&mut store, "watch")
            .unwrap();
        for round in 1..20 {
            let expected = round * 10_000 + round * 100 + round + 7;
            assert_eq!(watch.call(&mut store, round).unwrap(), expected);
        }
    });
}

/// Instances, memories and functions in great number, made while guests run; each instance makes the next one.
#[test]
fn instances_made_by_host_functions() {
    in_each_mode(|engine| {
        let module = Module::new(
            engine,
            r#"(module (import "host" "next" (func $next (param i32) (result i32)))
                (memory 1) (global $mine (mut i32) (i32.const 0))
                (func (export "go") (param i32) (result i32)
                    (global.set $mine (local.get 0))
                    (i32.store (local.get 0) (local.get 0))
                    (i32.add
                        (if (result i32) (local.get 0)
                            (then (call $next (i32.sub (local.get 0) (i32.const 1))))
                            (else (i32.const 0)))
                        (i32.mul (global.get $mine)
                            (i32.eq (i32.load (local.get 0)) (global.get $mine))))))"#,
        )
        .unwrap();
        let mut linker = Linker::new(engine);
        linker
            .func_wrap(
                "host",
                "next",
                |mut caller: Caller<'_, Option<Setup>>, n: i32| -> Result<i32> {
                    let setup = caller.data().clone().expect("it was set");
                    let instance = setup.0.instantiate(&mut caller, &setup.1)?;
                    Memory::new(&mut caller, MemoryType::new(1, None))?;
                    let go = instance.get_typed_func::<i32, i32>(&mut caller, "go")?;
                    go.call(&mut caller, n)
                },
            )
            .unwrap();
        let mut store = Store::new(engine, None);
        *store.data_mut() = Some(Setup(linker.clone(), module.clone()));
        let first = linker.instantiate(&mut store, &module).unwrap();
        let go = first.get_typed_func::<i32, i32>(&mut store, "go").unwrap();
        for n in [0, 1, 5, 40] {
            assert_eq!(go.call(&mut store, n).unwrap(), n * (n + 1) / 2);
        }
    });
}

#[derive(Clone)]
struct Setup(Linker<Option<Setup>>, Module);

/// Everything that the host gave a store is dropped with it, once.
#[test]
fn what_a_store_owns_goes_with_it() {
    let engine = Engine::default();
    let token = Arc::new(());
    for round in 0..3 {
        let mut store = Store::new(&engine, Arc::clone(&token));
        let captured = Arc::clone(&token);
        let host = Func::wrap(&mut store, move || {
            i32::try_from(Arc::strong_count(&captured)).unwrap()
        });
        ExternRef::new(&mut store, Arc::clone(&token)).unwrap();
        let guest: Instance = instance(
            &mut store,
            r#"(module (import "" "" (func $f (result i32))) (func (export "go") (result i32) (call $f)))"#,
            &[Extern::Func(host)],
        );
        assert_eq!(call_i32(&mut store, guest, "go").unwrap(), 4);
        if round == 0 {
            drop(store);
            assert_eq!(Arc::strong_count(&token), 1);
        } else {
            let data = store.into_data();
            assert_eq!(Arc::strong_count(&data), 2);
        }
    }
    assert_eq!(Arc::strong_count(&token), 1);
}
