//! What may be shared between threads, and eight threads on one module while it tiers up.

use crate::support::in_each_mode;
use std::cell::Cell;
use std::sync::Barrier;
use std::thread;
use upshift::{
    Config, Engine, Error, ExternRef, Func, Global, Instance, InterruptHandle, Linker, Memory,
    Module, Store, Table, Trap, TypedFunc, Val,
};

#[test]
fn what_is_send_and_sync() {
    fn both<T: Send + Sync>() {}
    fn send<T: Send>() {}
    both::<Engine>();
    both::<Config>();
    both::<Module>();
    both::<Linker<()>>();
    // A linker holds no data.
    both::<Linker<Cell<u8>>>();
    both::<Linker<std::rc::Rc<u8>>>();
    both::<InterruptHandle>();
    both::<Error>();
    both::<Trap>();
    both::<(Func, Memory, Table, Global, Instance, ExternRef, Val)>();
    both::<TypedFunc<(i32, Option<Func>), Option<ExternRef>>>();
    both::<Store<u32>>();
    send::<Store<Cell<u8>>>();
}

const WORK: &str = r#"(module $work
    (import "host" "salt" (func $salt (param i64) (result i64)))
    (memory 1)
    (func $mix (param $x i64) (result i64)
        (i64.mul
            (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 29)))
            (i64.const 0x1e3779b97f4a7c15)))
    (func $step (param $x i64) (param $n i32) (result i64)
        (if (result i64) (i32.and (local.get $n) (i32.const 1))
            (then (call $mix (i64.add (local.get $x) (i64.extend_i32_u (local.get $n)))))
            (else (call $salt (local.get $x)))))
    (func (export "work") (param $x i64) (param $n i32) (result i64)
        (loop $l
            (local.set $x (call $step (local.get $x) (local.get $n)))
            (i64.store (i32.and (local.get $n) (i32.const 0xff8)) (local.get $x))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (i64.add (local.get $x) (i64.load (i32.const 8)))))"#;

/// What the guest computes, in Rust. `memory` stays between calls, as the guest's.
fn expected(memory: &mut [i64; 512], mut x: i64, n: i32) -> i64 {
    for n in (1..=n).rev() {
        if n & 1 == 1 {
            x = x.wrapping_add(i64::from(n));
            x = (x ^ (x.cast_unsigned() >> 29).cast_signed()).wrapping_mul(0x1e37_79b9_7f4a_7c15);
        } else {
            x = x.rotate_left(7);
        }
        memory[usize::try_from(n & 0xff8).unwrap() / 8] = x;
    }
    x.wrapping_add(memory[1])
}

#[test]
fn eight_threads_on_one_module() {
    in_each_mode(|engine| {
        let linker = linker(engine);
        let module = Module::new(engine, WORK).unwrap();
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for seed in 0..8 {
                let (linker, module, start) = (&linker, &module, &start);
                scope.spawn(move || {
                    let mut store = Store::new(module.engine(), Cell::new(0));
                    let instance = linker.instantiate(&mut store, module).unwrap();
                    let work = instance.get_typed_func::<(i64, i32), i64>(&mut store, "work");
                    let work = work.unwrap();
                    let mut memory = [0; 512];
                    start.wait();
                    for round in 0..60 {
                        let n = 1 + round * 7 % 50;
                        let found = work.call(&mut store, (seed, n)).unwrap();
                        assert_eq!(found, expected(&mut memory, seed, n), "round {round}");
                    }
                });
            }
        });
    });
}

/// A store moves between threads, also between calls of one function.
#[test]
fn a_store_moves() {
    in_each_mode(|engine| {
        let module = Module::new(engine, WORK).unwrap();
        let mut store = Store::new(engine, Cell::new(0));
        let instance = linker(engine).instantiate(&mut store, &module).unwrap();
        let work = instance
            .get_typed_func::<(i64, i32), i64>(&mut store, "work")
            .unwrap();
        let mut memory = [0; 512];
        for n in 1..6 {
            let moved = thread::spawn(move || {
                let found = work.call(&mut store, (3, n));
                (store, found)
            });
            let (back, found) = moved.join().unwrap();
            store = back;
            assert_eq!(found.unwrap(), expected(&mut memory, 3, n));
        }
    });
}

fn linker(engine: &Engine) -> Linker<Cell<i32>> {
    let mut linker = Linker::new(engine);
    linker
        .func_wrap("host", "salt", |x: i64| x.rotate_left(7))
        .unwrap();
    linker
}

/// Engines, modules and stores come and go while others compile.
#[test]
fn engines_come_and_go() {
    thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                for _ in 0..4 {
                    let engine = Engine::new(Config::new().threads(2)).unwrap();
                    let linker = linker(&engine);
                    let module = Module::new(&engine, WORK).unwrap();
                    let mut store = Store::new(&engine, Cell::new(0));
                    let instance = linker.instantiate(&mut store, &module).unwrap();
                    drop((module, linker, engine));
                    let work = instance.get_typed_func::<(i64, i32), i64>(&mut store, "work");
                    let found = work.unwrap().call(&mut store, (seed, 2000)).unwrap();
                    assert_eq!(found, expected(&mut [0; 512], seed, 2000));
                }
            });
        }
    });
}
