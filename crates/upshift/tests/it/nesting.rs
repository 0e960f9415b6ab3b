//! Host -> wasm -> host -> wasm, with every way to stop at each depth, in one store and in several.

use crate::support::{assert_trap, in_each_mode};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Arc, Mutex};
use upshift::{
    Caller, Engine, Error, ErrorKind, Extern, Func, Linker, Module, Result, Store, TrapCode,
    TypedFunc,
};

#[derive(Debug, PartialEq)]
struct Stop(u32);

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stop {}", self.0)
    }
}

impl std::error::Error for Stop {}

/// What a panic carries: found again by its type and value.
#[derive(Debug, PartialEq)]
struct Payload(u32);

/// What happens at the innermost host function.
const RETURN: u32 = 0;
const TRAP: u32 = 1;
const FAULT: u32 = 2;
const FAIL: u32 = 3;
const PANIC: u32 = 4;
const HOST_TRAP: u32 = 5;
const OVERFLOW: u32 = 6;

/// What a host function further out does about it.
const PASS: u32 = 0;
const CATCH: u32 = 1;

const TEXT: &str = r#"(module
    (import "host" "step" (func $step (param i32 i32 i32) (result i32)))
    (memory 1)
    (func $deeper (export "deeper") (param $depth i32) (param $what i32) (param $catch i32) (result i32)
        (local $keep i32)
        (local.set $keep (i32.mul (local.get $depth) (i32.const 1000)))
        (i32.add (i32.const 1) (i32.sub
            (i32.add (call $step (local.get $depth) (local.get $what) (local.get $catch)) (local.get $keep))
            (i32.mul (local.get $depth) (i32.const 1000)))))
    (func (export "trap") unreachable)
    (func (export "fault") (drop (i32.load (i32.const -8))))
    (func $overflow (export "overflow") (call $overflow)))"#;

#[derive(Default)]
struct Data {
    depth: u32,
    deepest: u32,
    caught: u32,
}

fn export(caller: &mut Caller<'_, Data>, name: &str) -> Func {
    let export = caller.get_export(name).and_then(Extern::into_func);
    export.expect("the guest exports it")
}

fn innermost(caller: &mut Caller<'_, Data>, what: u32) -> Result<i32> {
    let name = match what {
        RETURN => return Ok(7),
        FAIL => return Err(Stop(9).into()),
        PANIC => panic_any(Payload(11)),
        HOST_TRAP => {
            let trap = upshift::Trap::new(TrapCode::IntegerOverflow);
            return Err(Error::new(trap).context("by the host"));
        }
        TRAP => "trap",
        FAULT => "fault",
        _ => "overflow",
    };
    export(caller, name).call(&mut *caller, &[], &mut [])?;
    Ok(-1)
}

fn step(mut caller: Caller<'_, Data>, depth: u32, what: u32, catch: u32) -> Result<i32> {
    caller.data_mut().depth += 1;
    caller.data_mut().deepest = caller.data().deepest.max(caller.data().depth);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if depth == 0 {
            return innermost(&mut caller, what);
        }
        let deeper = export(&mut caller, "deeper");
        let deeper = deeper.typed::<(u32, u32, u32), i32>(&caller)?;
        deeper.call(&mut caller, (depth - 1, what, catch))
    }));
    caller.data_mut().depth -= 1;
    // Every second level catches, if asked to.
    let catches = catch == CATCH && depth % 2 == 1;
    match outcome {
        Ok(Err(_)) | Err(_) if catches => {
            caller.data_mut().caught += 1;
            // The store is of use right here, between the guests.
            let deeper = export(&mut caller, "deeper").typed::<(u32, u32, u32), i32>(&caller)?;
            assert_eq!(deeper.call(&mut caller, (2, RETURN, PASS))?, 7 + 3);
            Ok(100)
        }
        Ok(outcome) => outcome,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

fn guest(store: &mut Store<Data>) -> TypedFunc<(u32, u32, u32), i32> {
    let engine = store.engine().clone();
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "step", step).unwrap();
    let module = Module::new(&engine, TEXT).unwrap();
    let instance = linker.instantiate(&mut *store, &module).unwrap();
    instance.get_typed_func(&mut *store, "deeper").unwrap()
}

/// What came out, as text; the backtrace's length for traps.
fn run(
    store: &mut Store<Data>,
    args: (u32, u32, u32),
    deeper: TypedFunc<(u32, u32, u32), i32>,
) -> String {
    let outcome = catch_unwind(AssertUnwindSafe(|| deeper.call(&mut *store, args)));
    assert_eq!(store.data().depth, 0);
    match outcome {
        Ok(Ok(value)) => format!("value {value}"),
        Ok(Err(error)) => {
            let stop = error.downcast_ref::<Stop>().map(|stop| stop.0);
            let trap = error.trap().map(|trap| {
                let frames = trap.backtrace().frames();
                let deeper = frames.iter().filter(|f| f.func_name() == Some("deeper"));
                (trap.code(), deeper.count())
            });
            format!("{:?} {stop:?} {trap:?}", error.kind())
        }
        Err(payload) => format!("panic {:?}", payload.downcast_ref::<Payload>()),
    }
}

/// What must come out when nobody catches.
fn expected(depth: u32, what: u32) -> String {
    let trap = |code: TrapCode| {
        format!(
            "{:?} None {:?}",
            ErrorKind::Trap,
            Some((code, depth as usize + 1))
        )
    };
    match what {
        RETURN => format!("value {}", 7 + depth + 1),
        TRAP => trap(TrapCode::Unreachable),
        FAULT => trap(TrapCode::MemoryOutOfBounds),
        FAIL => format!("{:?} Some(9) None", ErrorKind::Host),
        PANIC => format!("panic {:?}", Some(Payload(11))),
        HOST_TRAP => trap(TrapCode::IntegerOverflow),
        _ => format!("{:?} None Some((StackOverflow, 0))", ErrorKind::Trap),
    }
}

#[test]
fn every_stop_at_every_depth() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, Data::default());
        let deeper = guest(&mut store);
        for depth in [0, 1, 2, 5, 20] {
            for what in [RETURN, TRAP, FAULT, FAIL, PANIC, HOST_TRAP, OVERFLOW] {
                let found = run(&mut store, (depth, what, PASS), deeper);
                let found = if what == OVERFLOW {
                    // How many frames are kept of such a stack is not the point.
                    found.split("StackOverflow").next().map(str::to_owned)
                } else {
                    Some(found)
                };
                let expected = expected(depth, what);
                let expected = expected.split("StackOverflow").next().map(str::to_owned);
                assert_eq!(found, expected, "depth {depth}, {what}");
                assert_eq!(run(&mut store, (1, RETURN, PASS), deeper), "value 9");
            }
            assert!(store.data().deepest > depth);
        }
    });
}

#[test]
fn whoever_catches_goes_on() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, Data::default());
        let deeper = guest(&mut store);
        let mut caught = 0;
        for depth in [1, 2, 3, 8] {
            for what in [TRAP, FAULT, FAIL, PANIC, HOST_TRAP, OVERFLOW] {
                caught += 1;
                // Level 1 catches, whatever is further out just returns.
                let expected = format!("value {}", 100 + depth);
                assert_eq!(
                    run(&mut store, (depth, what, CATCH), deeper),
                    expected,
                    "{what}"
                );
                assert_eq!(store.data().caught, caught);
            }
        }
    });
}

/// A trap that a host function raises keeps what the host said about it, and gets the guest's backtrace.
#[test]
fn context_around_a_trap_stays() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, Data::default());
        let deeper = guest(&mut store);
        let outcome = deeper.call(&mut store, (0, HOST_TRAP, PASS));
        let error = assert_trap(outcome, TrapCode::IntegerOverflow);
        assert_eq!(
            error.to_string(),
            "by the host: wasm trap: integer overflow"
        );
        let frames = error.trap().unwrap().backtrace().frames();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].func_name(), Some("deeper"));
    });
}

/// Stores that run one inside the other: store `n` calls into store `n - 1`.
struct Inner {
    store: Store<()>,
    func: TypedFunc<u32, u32>,
}

fn chain(engine: &Engine, length: u32) -> Inner {
    let mut store = Store::new(engine, ());
    let inner = (length > 0).then(|| Arc::new(Mutex::new(chain(engine, length - 1))));
    let host = Func::wrap(&mut store, move |what: u32| -> Result<u32> {
        match (&inner, what) {
            (Some(inner), _) => {
                let mut inner = inner
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                let func = inner.func;
                func.call(&mut inner.store, what)
            }
            (None, PANIC) => panic_any(Payload(13)),
            (None, FAIL) => Err(Stop(14).into()),
            (None, _) => Ok(40),
        }
    });
    let instance = crate::support::instance(
        &mut store,
        r#"(module (import "" "" (func $next (param i32) (result i32)))
            (func (export "go") (param i32) (result i32)
                (if (i32.eq (local.get 0) (i32.const 1)) (then unreachable))
                (i32.add (i32.const 1) (call $next (local.get 0)))))"#,
        &[host.into()],
    );
    let func = instance.get_typed_func(&mut store, "go").unwrap();
    Inner { store, func }
}

#[test]
fn stores_inside_stores() {
    in_each_mode(|engine| {
        for length in [1, 2, 6] {
            let mut outer = chain(engine, length);
            let func = outer.func;
            for _ in 0..3 {
                assert_eq!(
                    func.call(&mut outer.store, RETURN).unwrap(),
                    40 + length + 1
                );
                assert_trap(func.call(&mut outer.store, TRAP), TrapCode::Unreachable);
                let error = func.call(&mut outer.store, FAIL).unwrap_err();
                assert_eq!(error.downcast_ref::<Stop>(), Some(&Stop(14)));
                let panic = catch_unwind(AssertUnwindSafe(|| func.call(&mut outer.store, PANIC)));
                let payload = panic.expect_err("a panic");
                assert_eq!(payload.downcast_ref::<Payload>(), Some(&Payload(13)));
            }
        }
    });
}

/// A panic of a host function that the host calls, without wasm in between.
#[test]
fn panics_of_direct_calls() {
    let mut store = Store::new(&crate::support::engine(), 5_u32);
    let inner = Func::wrap(&mut store, |_: Caller<'_, u32>| -> () {
        panic_any(Payload(15))
    });
    let outer = Func::wrap(&mut store, move |mut caller: Caller<'_, u32>| -> u32 {
        let panic = catch_unwind(AssertUnwindSafe(|| inner.call(&mut caller, &[], &mut [])));
        assert!(panic.expect_err("a panic").is::<Payload>());
        *caller.data_mut() += 1;
        *caller.data()
    });
    let instance = crate::support::instance(
        &mut store,
        r#"(module (import "" "" (func $f (result i32)))
            (func (export "go") (result i32) (drop (call $f)) (call $f)))"#,
        &[outer.into()],
    );
    assert_eq!(
        crate::support::call_i32(&mut store, instance, "go").unwrap(),
        7
    );
    assert_eq!(*store.data(), 7);
}
