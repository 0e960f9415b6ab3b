//! Traps, errors and panics, at each depth of nesting; interruption.

use super::{Body, TestEngine, body, call, call_import, func, host_func};
use crate::{CallError, ExternHandle, InstanceHandle, RawVal, StoreInner};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use upshift_abi::{StoreContext, TrapCode, VmContext};
use upshift_module::{FuncIndex, FuncType, ValType};

/// `down(n)` calls the host with n, which calls `down(n - 1)`; `boom` traps.
const NESTED: &str = r#"(module
    (import "h" "host" (func $host (param i32)))
    (func (export "down") (param i32) unreachable)
    (func (export "boom") unreachable))"#;

fn boom() -> Body {
    body(|_, asm, sites| {
        dynasm!(asm ; .arch x64 ; push rbp ; mov rbp, rsp);
        sites.trap(asm, TrapCode::Unreachable);
        dynasm!(asm ; .arch x64 ; ud2);
    })
}

/// What the innermost host function does.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Return,
    Trap,
    Error,
    Panic,
}

/// What a host function makes of the end of the call it made: hands it on.
fn hand_on(error: CallError) -> crate::Payload {
    match error {
        CallError::Panic(payload) => std::panic::resume_unwind(payload),
        CallError::Host { payload, .. } => payload,
        other @ (CallError::Trap { .. } | CallError::Compile { .. } | CallError::Runtime(_)) => {
            Box::new(other)
        }
    }
}

fn nested(end: End) -> (StoreInner, InstanceHandle) {
    let engine = TestEngine::new();
    let (loaded, _) = engine.load(NESTED, vec![(1, call_import(0)), (2, boom())]);
    let mut store = engine.store();
    let ty = FuncType::new([ValType::I32], []);
    let host = host_func(&mut store, ty, move |host| {
        let instance = host.caller_instance.expect("an import knows its caller");
        let depth = host.values[0].u32();
        if depth > 0 {
            let down = func(host.store, instance, "down");
            return host
                .store
                .call(down, &[RawVal::from_u32(depth - 1)], &mut [])
                .map_err(hand_on);
        }
        match end {
            End::Return => Ok(()),
            End::Error => Err(Box::new("the host's error")),
            End::Panic => std::panic::resume_unwind(Box::new("the host's panic")),
            End::Trap => {
                let boom = func(host.store, instance, "boom");
                host.store.call(boom, &[], &mut []).map_err(hand_on)
            }
        }
    });
    let (instance, _) = store.instantiate(&loaded, &[host]).unwrap();
    (store, instance)
}

#[test]
fn every_end_reaches_the_outermost_caller() {
    for depth in [0, 1, 3] {
        for end in [End::Return, End::Trap, End::Error, End::Panic, End::Return] {
            let (mut store, instance) = nested(end);
            for _ in 0..2 {
                check_end(call(&mut store, instance, "down", &[depth]), end, depth);
            }
        }
    }
}

fn check_end(result: Result<u64, CallError>, end: End, depth: u64) {
    match (end, result) {
        (End::Return, Ok(_)) => {}
        (End::Error, Err(CallError::Host { payload, frames })) => {
            assert_eq!(payload.downcast_ref(), Some(&"the host's error"));
            assert_eq!(frames.len(), 1, "the outermost entry's own frames");
        }
        (End::Panic, Err(CallError::Panic(payload))) => {
            assert_eq!(payload.downcast_ref(), Some(&"the host's panic"));
        }
        (End::Trap, Err(CallError::Host { payload, .. })) => {
            let inner = payload.downcast::<CallError>().expect("the inner error");
            let CallError::Trap { code, frames } = *inner else {
                panic!("expected a trap, found {inner:?}");
            };
            assert_eq!(code, TrapCode::Unreachable);
            let funcs: Vec<_> = frames.iter().map(|frame| frame.func.0).collect();
            let mut expected = vec![2];
            expected.resize(usize::try_from(depth).unwrap() + 2, 1);
            assert_eq!(funcs, expected, "all nested entries");
            let offset = frames[0].wasm_offset.expect("a trap site");
            assert!((1000..2000).contains(&offset));
            assert!(frames[1].wasm_offset.is_some_and(|offset| offset >= 2000));
        }
        (end, result) => panic!("expected {end:?} at {depth}, found {result:?}"),
    }
}

#[test]
fn a_host_function_called_from_the_host_panics_through() {
    let mut store = TestEngine::new().store();
    let ty = FuncType::new([], []);
    let host = host_func(&mut store, ty, |_| {
        std::panic::resume_unwind(Box::new(5_u8))
    });
    let ExternHandle::Func(host) = host else {
        panic!("expected a function");
    };
    let payload = catch_unwind(AssertUnwindSafe(|| store.call(host, &[], &mut []))).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&5_u8));
}

#[test]
fn made_up_function_references_of_hosts_are_refused() {
    let engine = TestEngine::new();
    let text = r#"(module (import "h" "f" (func (result funcref)))
        (func (export "f") (result funcref) unreachable))"#;
    let (loaded, _) = engine.load(text, vec![(1, call_import(0))]);
    let mut store = engine.store();
    let host = host_func(&mut store, FuncType::new([], [ValType::FUNCREF]), |call| {
        call.values[0] = RawVal::from_ref(0x1000);
        Ok(())
    });
    let (instance, _) = store.instantiate(&loaded, &[host]).unwrap();
    let error = call(&mut store, instance, "f", &[]).unwrap_err();
    assert!(matches!(error, CallError::Runtime(_)), "{error:?}");
}

/// A loop that looks at the interrupt word, after it told the host that it runs.
fn spin() -> Body {
    body(|loaded, asm, sites| {
        let import = i32::try_from(loaded.layout().func_import(FuncIndex(0))).unwrap();
        let store = i32::try_from(std::mem::offset_of!(VmContext, store)).unwrap();
        let word = i32::try_from(std::mem::offset_of!(StoreContext, interrupt)).unwrap();
        dynasm!(asm ; .arch x64
            ; push rbp ; mov rbp, rsp ; push rbx ; push rdi
            ; mov rbx, [rdi + store]
            ; mov rax, [rdi + import + 8]
            ; mov rdi, [rdi + import]
            ; call QWORD [rax]);
        sites.call(asm);
        dynasm!(asm ; .arch x64 ; ->again: ; cmp DWORD [rbx + word], 0 ; je ->again);
        sites.trap(asm, TrapCode::Interrupt);
        dynasm!(asm ; .arch x64 ; ud2);
    })
}

#[test]
fn an_interrupt_stops_one_call() {
    let engine = TestEngine::new();
    let text = r#"(module (import "h" "running" (func))
        (func (export "spin") unreachable)
        (func (export "touch") unreachable))"#;
    let (loaded, _) = engine.load(text, vec![(1, spin()), (2, call_import(0))]);
    let mut store = engine.store();
    let running = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&running);
    let host = host_func(&mut store, FuncType::new([], []), move |_| {
        flag.store(true, Ordering::SeqCst);
        Ok(())
    });
    let (instance, _) = store.instantiate(&loaded, &[host]).unwrap();
    let handle = store.interrupt_handle();
    for _ in 0..20 {
        running.store(false, Ordering::SeqCst);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !running.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                handle.interrupt();
            });
            let error = call(&mut store, instance, "spin", &[]).unwrap_err();
            assert!(
                matches!(
                    error,
                    CallError::Trap {
                        code: TrapCode::Interrupt,
                        ..
                    }
                ),
                "{error:?}"
            );
        });
        assert!(call(&mut store, instance, "touch", &[]).is_ok(), "used up");
    }
    drop(store);
    handle.interrupt();
}
