//! Bodies in place of calls: whose code runs, and what backtraces say.

use crate::support::{assert_trap, in_each_mode, instance};
use upshift::{Extern, Instance, Module, Store, TrapCode};

/// Calls a function of its own type through a table that another instance may have written to.
const SHARED_TABLE: &str = r#"(module
    (type $get (func (result i32)))
    (import "host" "table" (table 3 funcref))
    (import "host" "who" (global $who i32))
    (func $own (export "own") (result i32) (global.get $who))
    (elem declare func $own)
    (func (export "put") (param i32) (table.set (local.get 0) (ref.func $own)))
    (func (export "get") (param i32) (result i32)
        (i32.add (call_indirect (type $get) (local.get 0)) (i32.const 100)))
    (func (export "sum") (result i32) (local i32 i32)
        (loop $l
            (local.set 1 (i32.add (local.get 1) (call_indirect (type $get) (i32.rem_u (local.get 0) (i32.const 2)))))
            (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 10))))
        (local.get 1)))"#;

/// Two instances of one module: the entry slots are the same, the contexts are not.
#[test]
fn the_instance_in_the_table_counts() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let host = Module::new(
            engine,
            r#"(module (table (export "table") 3 funcref)
                (global (export "one") i32 (i32.const 1)) (global (export "two") i32 (i32.const 2)))"#,
        )
        .unwrap();
        let host = Instance::new(&mut store, &host, &[]).unwrap();
        let guest = Module::new(engine, SHARED_TABLE).unwrap();
        let [one, two] = ["one", "two"].map(|who| {
            let imports: Vec<Extern> = ["table", who]
                .map(|name| host.get_export(&mut store, name).unwrap())
                .into();
            Instance::new(&mut store, &guest, &imports).unwrap()
        });
        for (at, instance) in [(0, one), (1, two)] {
            let put = instance
                .get_typed_func::<i32, ()>(&mut store, "put")
                .unwrap();
            put.call(&mut store, at).unwrap();
        }
        for _ in 0..3 {
            for instance in [one, two] {
                let get = instance
                    .get_typed_func::<i32, i32>(&mut store, "get")
                    .unwrap();
                assert_eq!(get.call(&mut store, 0).unwrap(), 101);
                assert_eq!(get.call(&mut store, 1).unwrap(), 102);
                assert_trap(get.call(&mut store, 2), TrapCode::UninitializedElement);
                assert_trap(get.call(&mut store, 3), TrapCode::UndefinedElement);
                let sum = instance
                    .get_typed_func::<(), i32>(&mut store, "sum")
                    .unwrap();
                assert_eq!(sum.call(&mut store, ()).unwrap(), 15);
            }
            engine.wait_for_tier_up();
        }
    });
}

/// Three functions that call each other for ever, in a circle.
const CIRCLE: &str = r#"(module
    (func $a (export "a") (param i32) (result i32) (i32.add (call $b (local.get 0)) (i32.const 1)))
    (func $b (param i32) (result i32) (i32.add (call $c (local.get 0)) (i32.const 2)))
    (func $c (param i32) (result i32) (local i32)
        (loop $l
            (local.set 1 (i32.add (local.get 1) (call $a (local.get 0))))
            (br_if $l (i32.eqz (local.get 1))))
        (local.get 1)))"#;

/// However many of them are in one frame, the stack ends, and the backtrace has each call.
#[test]
fn endless_recursion_overflows() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let circle = instance(&mut store, CIRCLE, &[]);
        let a = circle.get_typed_func::<i32, i32>(&mut store, "a").unwrap();
        for _ in 0..2 {
            let error = assert_trap(a.call(&mut store, 0), TrapCode::StackOverflow);
            let frames = error.trap().expect("a trap").backtrace().frames();
            assert_eq!(frames.len(), 64);
            let indices: Vec<u32> = frames.iter().map(upshift::Frame::func_index).collect();
            for pair in indices.windows(2) {
                assert_eq!(pair[0], (pair[1] + 1) % 3, "{indices:?}");
            }
            engine.wait_for_tier_up();
        }
    });
}
