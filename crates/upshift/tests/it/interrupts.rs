//! Stopping guests from other threads, in every mode and every kind of loop.

use crate::support::{assert_trap, call_i32, in_each_mode, instance};
use std::sync::mpsc::channel;
use std::thread;
use upshift::{Caller, Extern, Func, Store, TrapCode};

/// Says that it runs, then never ends by itself.
const GUESTS: &[(&str, &str)] = &[
    ("tight loop", "(loop $l (br $l))"),
    (
        "loop with memory",
        "(loop $l
            (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
            (br_if $l (i32.ne (i32.load (i32.const 4)) (i32.const 1))))",
    ),
    (
        "nested loops",
        "(loop $o (local.set $i (i32.const 100))
            (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
            (br $o))",
    ),
    (
        "loop with calls",
        "(loop $l (drop (call $small (i32.const 3))) (br $l))",
    ),
    ("deep recursion", "(drop (call $fib (i32.const 200)))"),
    (
        "indirect recursion",
        "(drop (call_indirect (type $t) (i32.const 200) (i32.const 0)))",
    ),
    (
        "loop with helpers",
        "(loop $l (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) (br $l))",
    ),
    (
        "loop with host calls",
        "(loop $l (drop (call $same (i32.const 1))) (br $l))",
    ),
];

fn text(body: &str) -> String {
    format!(
        r#"(module
            (import "host" "ready" (func $ready))
            (import "host" "same" (func $same (param i32) (result i32)))
            (memory 1) (table 1 funcref) (elem (i32.const 0) $ifib)
            (type $t (func (param i32) (result i32)))
            (func $small (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
            (func $fib (param i32) (result i32)
                (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                    (then (local.get 0))
                    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                        (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
            (func $ifib (type $t)
                (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                    (then (local.get 0))
                    (else (i32.add
                        (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
                        (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 2)) (i32.const 0))))))
            (func $body (local $i i32) {body})
            (func (export "run") (call $ready) (call $body))
            (func (export "warm") (result i32)
                (i32.add (call $fib (i32.const 5)) (call $small (i32.const 1)))))"#
    )
}

#[test]
fn every_guest_can_be_stopped() {
    in_each_mode(|engine| {
        for (name, body) in GUESTS {
            let (ready, wait) = channel();
            let mut store = Store::new(engine, ());
            let imports: [Extern; 2] = [
                Func::wrap(&mut store, move || ready.send(()).expect("somebody waits")).into(),
                Func::wrap(&mut store, |n: i32| n).into(),
            ];
            let instance = instance(&mut store, &text(body), &imports);
            let run = instance
                .get_typed_func::<(), ()>(&mut store, "run")
                .unwrap();
            let handle = store.interrupt_handle();
            thread::scope(|scope| {
                scope.spawn(move || {
                    // Once for each call below.
                    for _ in 0..2 {
                        wait.recv().expect("the guest says that it runs");
                        handle.interrupt();
                    }
                });
                for _ in 0..2 {
                    let error = assert_trap(run.call(&mut store, ()), TrapCode::Interrupt);
                    let frames = error.trap().unwrap().backtrace().frames();
                    assert!(!frames.is_empty(), "{name}");
                    assert_eq!(call_i32(&mut store, instance, "warm").unwrap(), 8, "{name}");
                }
            });
        }
    });
}

#[test]
fn an_interrupt_waits_for_the_next_call() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, 0);
        let handle = store.interrupt_handle();
        let text = text("(loop $l (br $l))");
        let imports: [Extern; 2] = [
            Func::wrap(&mut store, || {}).into(),
            Func::wrap(&mut store, |n: i32| n).into(),
        ];
        let instance = instance(&mut store, &text, &imports);
        for _ in 0..3 {
            handle.interrupt();
            handle.interrupt();
            // Both asked for the same, and one trap uses it up.
            assert_trap(call_i32(&mut store, instance, "warm"), TrapCode::Interrupt);
            assert_eq!(call_i32(&mut store, instance, "warm").unwrap(), 8);
        }
        drop(store);
        handle.interrupt();
    });
}

/// An interrupt while a host function runs stops the guest that called it, and whatever guest the host calls first.
#[test]
fn an_interrupt_during_a_host_function() {
    const TEXT: &str = r#"(module (import "" "" (func $f (param i32)))
        (func (export "spin") (param i32) (call $f (local.get 0)) (loop $l (br $l)))
        (func (export "seven") (result i32) (i32.const 7)))"#;
    in_each_mode(|engine| {
        let mut store = Store::new(engine, None);
        *store.data_mut() = Some(store.interrupt_handle());
        let host = Func::wrap(
            &mut store,
            |mut caller: Caller<'_, Option<upshift::InterruptHandle>>, nest: i32| {
                let handle = caller.data().clone().expect("it was set");
                handle.interrupt();
                if nest == 0 {
                    return;
                }
                let seven = caller.get_export("seven").and_then(Extern::into_func);
                let seven = seven.unwrap().typed::<(), i32>(&caller).unwrap();
                assert_trap(seven.call(&mut caller, ()), TrapCode::Interrupt);
                assert_eq!(seven.call(&mut caller, ()).unwrap(), 7);
                handle.interrupt();
            },
        );
        let instance = instance(&mut store, TEXT, &[host.into()]);
        let spin = instance
            .get_typed_func::<i32, ()>(&mut store, "spin")
            .unwrap();
        for nest in [0, 1, 0, 1] {
            assert_trap(spin.call(&mut store, nest), TrapCode::Interrupt);
            assert_eq!(call_i32(&mut store, instance, "seven").unwrap(), 7);
        }
    });
}

/// Stores have interrupts of their own, also when one runs inside the other.
#[test]
fn an_interrupt_of_an_outer_store() {
    in_each_mode(|engine| {
        let mut inner = Store::new(engine, ());
        let seven = instance(
            &mut inner,
            r#"(module (func (export "seven") (result i32) (i32.const 7)))"#,
            &[],
        );
        let inner = std::sync::Mutex::new(inner);
        let mut outer = Store::new(engine, ());
        let handle = outer.interrupt_handle();
        let host = Func::wrap(&mut outer, move || {
            handle.interrupt();
            let mut inner = inner.lock().unwrap();
            call_i32(&mut *inner, seven, "seven").unwrap()
        });
        let spin = instance(
            &mut outer,
            r#"(module (import "" "" (func $f (result i32)))
                (func (export "spin") (result i32) (drop (call $f)) (loop $l (br $l)) unreachable))"#,
            &[host.into()],
        );
        for _ in 0..2 {
            assert_trap(call_i32(&mut outer, spin, "spin"), TrapCode::Interrupt);
        }
    });
}
