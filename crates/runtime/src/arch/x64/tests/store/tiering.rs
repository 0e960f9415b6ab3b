//! Counters, and modules shared between threads.

use super::{TestEngine, body, call};
use dynasmrt::{DynasmApi, dynasm};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_abi::{Libcall, RelocTarget};

/// Counts down from -1, and goes to the slow path at once.
pub(super) fn counting() -> super::Body {
    body(|loaded, asm, sites| {
        let counter = i32::try_from(loaded.layout().counter(1)).unwrap();
        dynasm!(asm ; .arch x64
            ; push rbp ; mov rbp, rsp ; push r15 ; sub rsp, 8 ; mov r15, rdi
            ; add DWORD [r15 + counter], 1
            ; mov eax, [r15 + counter] ; mov [rbp - 16], rax
            ; push 1 ; push 4);
        sites.reloc(asm, 1, RelocTarget::Libcall(Libcall::CounterOverflow));
        dynasm!(asm ; .arch x64 ; .u8 0xe8 ; .i32 0);
        sites.call(asm);
        dynasm!(asm ; .arch x64
            ; mov rax, [rbp - 16]
            ; mov r15, [rbp - 8] ; leave ; ret);
    })
}

#[test]
fn counters_are_rearmed_and_folded() {
    let engine = TestEngine::new();
    let text = r#"(module (func) (func (export "f") (result i32) unreachable) (func))"#;
    let (loaded, sink) = engine.load(text, vec![(1, counting())]);
    let mut store = engine.store();
    let (a, _) = store.instantiate(&loaded, &[]).unwrap();
    let (b, _) = store.instantiate(&loaded, &[]).unwrap();
    assert_eq!(call(&mut store, a, "f", &[]).unwrap(), 1);
    let rearmed = u64::from((-999_i32).cast_unsigned());
    assert_eq!(call(&mut store, a, "f", &[]).unwrap(), rearmed);
    assert_eq!(
        call(&mut store, b, "f", &[]).unwrap(),
        1,
        "counters are the instance's"
    );
    // The last number is the low byte of the counter.
    assert_eq!(
        *sink.overflows.lock().unwrap(),
        [(1, 4, 1), (1, 4, 25), (1, 4, 1)]
    );
    drop(store);
    assert_eq!(*sink.folded.lock().unwrap(), vec![vec![0, -1000, 0]; 2]);
}

#[test]
fn threads_share_a_module() {
    let engine = TestEngine::new();
    let text = r#"(module (memory (export "m") 1)
        (func (export "f") (param i32) (result i32) unreachable)
        (func (export "g") (param i32) (result i32) unreachable))"#;
    let square = || {
        body(|_, asm, _| {
            dynasm!(asm ; .arch x64 ; mov eax, esi ; imul eax, esi ; ret);
        })
    };
    let (loaded, sink) = engine.load(text, vec![(0, square()), (1, square())]);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (loaded, engine) = (Arc::clone(&loaded), &engine);
            scope.spawn(move || {
                for round in 0..50 {
                    let mut store = engine.store();
                    let (instance, _) = store.instantiate(&loaded, &[]).unwrap();
                    for name in ["f", "g"] {
                        let n = thread * 100 + round;
                        assert_eq!(call(&mut store, instance, name, &[n]).unwrap(), n * n);
                    }
                }
            });
        }
    });
    assert_eq!(sink.first_compiles.load(Ordering::Relaxed), 2);
    assert_eq!(sink.folded.lock().unwrap().len(), 400);
}
