//! What runs out: stack, code space, memory; and instantiation that fails half-way.

use crate::support::{assert_kind, assert_trap, call_i32, in_each_mode};
use std::fmt::Write as _;
use std::thread;
use upshift::{
    Caller, CompileMode, Config, Engine, ErrorKind, Extern, Func, Instance, Linker, Module, Store,
    Tier, TierPolicy, TrapCode,
};

#[test]
fn failed_instantiations_leave_the_store_usable() {
    let texts = [
        (
            r#"(memory 1) (data (i32.const 65536) "x")"#,
            TrapCode::MemoryOutOfBounds,
        ),
        (
            r#"(memory 1) (data (i32.const 0) "x") (data (i32.const -1) "xy")"#,
            TrapCode::MemoryOutOfBounds,
        ),
        (
            "(table 1 funcref) (func $f) (elem (i32.const 1) $f)",
            TrapCode::TableOutOfBounds,
        ),
        ("(func $f unreachable) (start $f)", TrapCode::Unreachable),
        ("(func $f (call $f)) (start $f)", TrapCode::StackOverflow),
    ];
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let good = Module::new(
            engine,
            r#"(module (memory 1) (data (i32.const 5) "\07")
                (func (export "seven") (result i32) (i32.load8_u (i32.const 5))))"#,
        )
        .unwrap();
        for (text, code) in texts {
            let bad = Module::new(engine, format!("(module {text})")).unwrap();
            assert_trap(Instance::new(&mut store, &bad, &[]), code);
            let extra = Func::wrap(&mut store, || {}).into();
            assert_kind(Instance::new(&mut store, &bad, &[extra]), ErrorKind::Link);
            let instance = Instance::new(&mut store, &good, &[]).unwrap();
            assert_eq!(call_i32(&mut store, instance, "seven").unwrap(), 7);
        }
    });
}

/// A function in a table of another instance works although its own instantiation failed (spec 4.5.4).
#[test]
fn what_a_failed_instantiation_left_in_a_table() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let owner = crate::support::instance(
            &mut store,
            r#"(module (table (export "t") 2 funcref) (type $t (func (result i32)))
                (func (export "go") (result i32) (call_indirect (type $t) (i32.const 0))))"#,
            &[],
        );
        let table = owner.get_table(&mut store, "t").unwrap();
        let failing = Module::new(
            engine,
            r#"(module (import "" "" (table 2 funcref)) (memory 1)
                (func $f (result i32) (i32.add (memory.size) (i32.const 4)))
                (elem (i32.const 0) $f) (data (i32.const 70000) "x"))"#,
        )
        .unwrap();
        assert_trap(
            Instance::new(&mut store, &failing, &[table.into()]),
            TrapCode::MemoryOutOfBounds,
        );
        drop(failing);
        assert_eq!(call_i32(&mut store, owner, "go").unwrap(), 5);
    });
}

/// Recursion without end, through the host and without.
const RECURSION: &str = r#"(module
    (import "host" "again" (func $again))
    (func $down (export "down") (param i32) (result i32)
        (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func (export "run") (result i32) (call $down (i32.const 0)))
    (func (export "through") (result i32) (call $again) (i32.const 0))
    (func (export "six") (result i32) (i32.const 6)))"#;

/// Overflows the stack of this thread, several times.
fn overflow(engine: &Engine) {
    let mut linker = Linker::new(engine);
    linker
        .func_wrap("host", "again", |mut caller: Caller<'_, u32>| {
            *caller.data_mut() += 1;
            let through = caller.get_export("through").and_then(Extern::into_func);
            let through = through.expect("the export").typed::<(), i32>(&caller)?;
            through.call(&mut caller, ()).map(drop)
        })
        .unwrap();
    let module = Module::new(engine, RECURSION).unwrap();
    let mut store = Store::new(engine, 0);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    for _ in 0..3 {
        assert_trap(
            call_i32(&mut store, instance, "run"),
            TrapCode::StackOverflow,
        );
        assert_trap(
            call_i32(&mut store, instance, "through"),
            TrapCode::StackOverflow,
        );
        assert_eq!(call_i32(&mut store, instance, "six").unwrap(), 6);
    }
    assert!(*store.data() > 3);
}

#[test]
fn stack_overflow_on_threads_of_all_sizes() {
    in_each_mode(|engine| {
        for kib in [512, 1024, 16 << 10] {
            let engine = engine.clone();
            let thread = thread::Builder::new().stack_size(kib << 10);
            thread
                .spawn(move || overflow(&engine))
                .unwrap()
                .join()
                .unwrap();
        }
    });
}

/// A thread without room for a guest gets the trap at once.
#[test]
fn threads_that_are_too_small() {
    let engine = crate::support::engine();
    let module = Module::new(
        &engine,
        r#"(module (func (export "f") (result i32) (i32.const 1)))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let thread = thread::Builder::new().stack_size(100 << 10).spawn(move || {
        assert_trap(call_i32(&mut store, instance, "f"), TrapCode::StackOverflow);
        store
    });
    let mut store = thread.unwrap().join().unwrap();
    assert_eq!(call_i32(&mut store, instance, "f").unwrap(), 1);
}

#[test]
fn the_stack_limit_is_what_the_host_says() {
    let text = r#"(module
        (global $n (mut i32) (i32.const 0))
        (func $down (global.set $n (i32.add (global.get $n) (i32.const 1))) (call $down))
        (func (export "run") (result i32) (call $down) (i32.const 0))
        (func (export "depth") (result i32) (global.get $n)))"#;
    let depth = |bytes| {
        let mut config = Config::new();
        config
            .max_wasm_stack(bytes)
            .tier_policy(TierPolicy::Baseline);
        let mut store = Store::new(&Engine::new(&config).unwrap(), ());
        let instance = crate::support::instance(&mut store, text, &[]);
        assert_trap(
            call_i32(&mut store, instance, "run"),
            TrapCode::StackOverflow,
        );
        call_i32(&mut store, instance, "depth").unwrap()
    };
    let (small, large) = (depth(64 << 10), depth(512 << 10));
    assert!(
        small > 10 && large > 6 * small && large < 10 * small,
        "{small} {large}"
    );
}

const FUNCTIONS: usize = 1000;

/// A module of many functions, each with a kilobyte of code or more; function `i` gives `i`.
fn large() -> String {
    let mut text = String::from("(module (memory 1)");
    for i in 0..FUNCTIONS {
        let _ = write!(text, r#"(func (export "{i}") (result i32)"#);
        for k in 0..60_u64 {
            let number = (k + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let _ = write!(
                text,
                "(i64.store offset={} (i32.const {i}) (i64.const {}))",
                64 + 8 * k,
                number.cast_signed()
            );
        }
        let _ = write!(text, "(i32.const {i}))");
    }
    text.push(')');
    text
}

/// The least that an engine takes.
const CODE_BYTES: usize = 1 << 20;

fn tiny(policy: TierPolicy, mode: CompileMode) -> Engine {
    let mut config = Config::new();
    config
        .tier_policy(policy)
        .compile_mode(mode)
        .code_reserve_bytes(CODE_BYTES);
    Engine::new(&config).unwrap()
}

#[test]
fn a_full_code_space_is_an_error() {
    let text = large();
    for policy in crate::support::POLICIES {
        let engine = tiny(policy, CompileMode::Eager);
        assert_kind(Module::new(&engine, &text), ErrorKind::Resource);
        // What the failed module held is free again, so small ones still fit.
        let mut store = Store::new(&engine, ());
        let small = crate::support::instance(
            &mut store,
            r#"(module (func (export "f") (result i32) (i32.const 3)))"#,
            &[],
        );
        assert_eq!(call_i32(&mut store, small, "f").unwrap(), 3);

        let engine = tiny(policy, CompileMode::Lazy);
        let module = Module::new(&engine, &text).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let outcomes: Vec<_> = (0..FUNCTIONS)
            .map(|i| call_i32(&mut store, instance, &i.to_string()))
            .collect();
        let full = outcomes
            .iter()
            .position(Result::is_err)
            .expect("no room for all");
        assert!(full > 10, "{full}");
        for (i, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(found) => assert_eq!(usize::try_from(found), Ok(i)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Resource, "{error}"),
            }
        }
        engine.wait_for_tier_up();
        // What has code still runs, and a full engine says so again, each time.
        assert_eq!(call_i32(&mut store, instance, "0").unwrap(), 0);
        drop((store, module));
        let stats = engine.stats();
        assert!(stats.tier(Tier::Baseline).failures + stats.tier(Tier::Optimizing).failures > 0);
    }
}

#[test]
fn memory_styles_give_the_same_answers() {
    for reserve in [None, Some(true), Some(false)] {
        for policy in crate::support::POLICIES {
            let mut config = Config::new();
            config.memory_reservation(reserve).tier_policy(policy);
            let engine = Engine::new(&config).unwrap();
            let mut store = Store::new(&engine, ());
            let instance = crate::support::instance(
                &mut store,
                r#"(module (memory 1 2)
                    (func (export "at") (param i32) (result i32) (i32.load offset=16 (local.get 0)))
                    (func (export "far") (param i32) (result i32) (i32.load offset=0xffffffff (local.get 0)))
                    (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#,
                &[],
            );
            let get = |store: &mut Store<()>, name| {
                instance.get_typed_func::<u32, i32>(store, name).unwrap()
            };
            let (at, far) = (get(&mut store, "at"), get(&mut store, "far"));
            let limit = 65_536 - 16 - 4;
            for (func, address, good) in [
                (at, 0, true),
                (at, limit, true),
                (at, limit + 1, false),
                (at, u32::MAX, false),
                (far, 0, false),
                (far, 1, false),
                (far, u32::MAX, false),
            ] {
                let outcome = func.call(&mut store, address);
                if good {
                    assert_eq!(outcome.unwrap(), 0);
                } else {
                    assert_trap(outcome, TrapCode::MemoryOutOfBounds);
                }
            }
            assert_eq!(call_i32(&mut store, instance, "grow").unwrap(), 1);
            assert_eq!(at.call(&mut store, limit + 1).unwrap(), 0);
            assert_eq!(at.call(&mut store, limit + 65_536).unwrap(), 0);
            assert_trap(
                at.call(&mut store, limit + 65_537),
                TrapCode::MemoryOutOfBounds,
            );
        }
    }
}

#[test]
fn bad_modules_are_errors() {
    let engine = crate::support::engine();
    let deep = "(".repeat(100_000);
    let nested = format!(
        "(module (func {}))",
        "(block ".repeat(20_000) + &")".repeat(20_000)
    );
    let cases: [(&[u8], ErrorKind); 8] = [
        (b"", ErrorKind::Malformed),
        (b"\0asm", ErrorKind::Malformed),
        (b"\0asm\x02\0\0\0", ErrorKind::Malformed),
        (b"\0elf\x01\0\0\0", ErrorKind::Malformed),
        (b"\xff\xfe", ErrorKind::Malformed),
        (b"(module", ErrorKind::Malformed),
        (deep.as_bytes(), ErrorKind::Malformed),
        (b"(module (func (result i32)))", ErrorKind::Invalid),
    ];
    for (bytes, kind) in cases {
        assert_kind(Module::new(&engine, bytes), kind);
        assert_kind(Module::validate(&engine, bytes), kind);
        assert_kind(Module::from_vec(&engine, bytes.to_vec()), kind);
    }
    // Whatever the text parser thinks of such nesting, it must say so.
    let _ = Module::new(&engine, nested);
    assert_kind(Module::from_file(&engine, "no such file"), ErrorKind::Io);
}
