//! Tier-up as it happens, told by events: nothing here looks at a clock.

use crate::support::{POLICIES, assert_trap, instance};
use std::sync::Arc;
use upshift::{
    Caller, CompileMode, Config, Engine, Event, EventKind, Func, Module, RingBuffer, Store, Tier,
    TierPolicy, TrapCode, Val,
};

/// An engine and what it tells.
fn watched(config: &mut Config) -> (Engine, Arc<RingBuffer>) {
    let events = Arc::new(RingBuffer::new(100_000));
    let engine = Engine::new(config.events(Arc::clone(&events) as _)).unwrap();
    (engine, events)
}

/// Which functions got entry slots with code of this tier.
fn installed(events: &[Event], tier: Tier) -> Vec<u32> {
    let mut funcs: Vec<u32> = events
        .iter()
        .filter(|event| event.kind == EventKind::Installed { tier })
        .map(|event| event.func.0)
        .collect();
    funcs.sort_unstable();
    funcs
}

/// `run` calls `$mix` until the host says stop, then a thousand times more.
const HOT: &str = r#"(module
    (import "host" "stop" (func $stop (result i32)))
    (func $mix (param $x i64) (result i64)
        (local $i i32)
        (local.set $i (i32.const 20))
        (loop $l
            (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005))
                (i64.const 1442695040888963407)))
            (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (local.get $x))
    (func (export "run") (result i64 i32)
        (local $x i64) (local $calls i32) (local $left i32)
        (local.set $left (i32.const 1000))
        (loop $l
            (local.set $x (call $mix (local.get $x)))
            (local.set $calls (i32.add (local.get $calls) (i32.const 1)))
            (br_if $l (i32.eqz (call $stop))))
        (loop $l
            (local.set $x (call $mix (local.get $x)))
            (local.set $calls (i32.add (local.get $calls) (i32.const 1)))
            (br_if $l (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (local.get $x) (local.get $calls)))"#;

fn mixed(calls: i32) -> i64 {
    (0..calls * 20).fold(0, |x: i64, _| {
        x.wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407)
    })
}

/// One call of the guest, during which its function is replaced: the host only says stop when the optimized code
/// is in its slot.
#[test]
fn code_is_replaced_while_the_program_runs() {
    for policy in [TierPolicy::Dynamic, TierPolicy::Eager] {
        for mode in [CompileMode::Lazy, CompileMode::Eager] {
            let (engine, events) = watched(Config::new().tier_policy(policy).compile_mode(mode));
            let mut store = Store::new(&engine, 0_u32);
            let watch = (engine.clone(), Arc::clone(&events));
            let stop = Func::wrap(&mut store, move |mut caller: Caller<'_, u32>| -> i32 {
                *caller.data_mut() += 1;
                assert!(*caller.data() < 10_000_000, "never optimized");
                if caller.data().is_multiple_of(64) {
                    watch.0.wait_for_tier_up();
                    return i32::from(installed(&watch.1.events(), Tier::Optimizing).contains(&1));
                }
                0
            });
            let guest = instance(&mut store, HOT, &[stop.into()]);
            let run = guest
                .get_typed_func::<(), (i64, i32)>(&mut store, "run")
                .unwrap();
            let (x, calls) = run.call(&mut store, ()).unwrap();
            assert!(calls > 1000);
            assert_eq!(x, mixed(calls), "{policy:?} {mode:?}");
            assert!(installed(&events.events(), Tier::Baseline).contains(&1));
            let stats = engine.stats();
            assert!(stats.retired >= 1 && stats.tier(Tier::Optimizing).installs >= 1);
        }
    }
}

/// A program that is one long loop: the loop itself gets optimized code, the function, which is called once, does not.
#[test]
fn a_running_loop_is_entered_in_the_middle() {
    let text = r#"(module
        (import "host" "stop" (func $stop (result i32)))
        (func (export "run") (result i64) (local $i i64) (local $sum i64)
            (loop $outer
                (loop $l
                    (local.set $sum (i64.add (local.get $sum) (i64.mul (local.get $i) (local.get $i))))
                    (local.set $i (i64.add (local.get $i) (i64.const 1)))
                    (br_if $l (i64.ne (i64.const 0) (i64.and (local.get $i) (i64.const 0xffff)))))
                (br_if $outer (i32.eqz (call $stop))))
            (i64.sub (local.get $sum) (local.get $i))))"#;
    for osr in [true, false] {
        let (engine, events) = watched(Config::new().osr(osr));
        let mut store = Store::new(&engine, 0_u32);
        let watch = engine.clone();
        let stop = Func::wrap(&mut store, move |mut caller: Caller<'_, u32>| -> i32 {
            *caller.data_mut() += 1;
            watch.wait_for_tier_up();
            let entered = watch.stats().osr_entries > 0;
            assert!(*caller.data() < 10_000 || !osr, "never entered");
            i32::from(entered || *caller.data() == 1_000 && !osr)
        });
        let guest = instance(&mut store, text, &[stop.into()]);
        let run = guest.get_typed_func::<(), i64>(&mut store, "run").unwrap();
        let sum = run.call(&mut store, ()).unwrap();
        let rounds = i64::from(*store.data()) << 16;
        let expected = (0..rounds).fold(0_i64, |sum, i| sum.wrapping_add(i.wrapping_mul(i)));
        assert_eq!(sum, expected.wrapping_sub(rounds));
        let steps = steps(&events.events(), 1);
        let entered = steps.iter().any(|step| step.starts_with("entered"));
        assert_eq!(entered, osr, "{steps:?}");
        let installed = installed(&events.events(), Tier::Optimizing).contains(&1);
        assert!(!(osr && installed), "{steps:?}");
    }
}

/// A function that is called again and again, from outside, gets optimized; one that is not, does not.
#[test]
fn hot_functions_are_optimized_and_cold_ones_are_not() {
    let (engine, events) = watched(&mut Config::new());
    let mut store = Store::new(&engine, ());
    let text = r#"(module
        (func (export "hot") (param i32) (result i32) (local $n i32)
            (loop $l (local.set $n (i32.add (local.get $n) (local.get 0)))
                (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
            (local.get $n))
        (func (export "cold") (param i32) (result i32) (local.get 0)))"#;
    let guest = instance(&mut store, text, &[]);
    let hot = guest.get_typed_func::<i32, i32>(&mut store, "hot").unwrap();
    let cold = guest
        .get_typed_func::<i32, i32>(&mut store, "cold")
        .unwrap();
    cold.call(&mut store, 1).unwrap();
    let mut rounds = 0;
    while installed(&events.events(), Tier::Optimizing).is_empty() {
        rounds += 1;
        assert!(rounds < 100_000, "never optimized");
        assert_eq!(hot.call(&mut store, 1000).unwrap(), 500_500);
        engine.wait_for_tier_up();
    }
    assert_eq!(hot.call(&mut store, 1000).unwrap(), 500_500);
    assert_eq!(installed(&events.events(), Tier::Optimizing), [0]);
    assert_eq!(installed(&events.events(), Tier::Baseline), [0, 1]);
}

/// The steps of one function, without sizes and times.
fn steps(events: &[Event], func: u32) -> Vec<String> {
    let of_func = events.iter().filter(|event| event.func.0 == func);
    of_func
        .filter_map(|event| match event.kind {
            EventKind::FirstCompiled { tier, .. } => Some(format!("first {}", tier.name())),
            EventKind::TierRequested { .. } => Some("requested".into()),
            EventKind::JobFinished { .. } => Some("finished".into()),
            EventKind::Published { tier, .. } => Some(format!("published {}", tier.name())),
            EventKind::Installed { tier } => Some(format!("installed {}", tier.name())),
            EventKind::CodeRetired { tier, .. } => Some(format!("retired {}", tier.name())),
            EventKind::OsrEntered { site } => Some(format!("entered {}", site.0)),
            EventKind::FunctionValidated { .. }
            | EventKind::PriorityRaised { .. }
            | EventKind::Inlined { .. }
            | EventKind::CodeFreed { .. }
            | EventKind::OsrStarted { .. }
            | EventKind::OsrRequested { .. }
            | EventKind::OsrCompiled { .. }
            | EventKind::OsrRefused { .. }
            | EventKind::JobStarted { .. }
            | EventKind::JobSkipped { .. }
            | EventKind::Failed { .. } => None,
        })
        .collect()
}

#[test]
fn tier_up_after_so_many_calls() {
    let text = r#"(module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))"#;
    for policy in [TierPolicy::Dynamic, TierPolicy::Eager] {
        for after in [0, 1, 2, 5] {
            let (engine, events) = watched(Config::new().tier_policy(policy).tier_up_after(after));
            let mut store = Store::new(&engine, ());
            let guest = instance(&mut store, text, &[]);
            let f = guest.get_typed_func::<i32, i32>(&mut store, "f").unwrap();
            for call in 0..8 {
                let optimized = !installed(&events.events(), Tier::Optimizing).is_empty();
                assert_eq!(optimized, after > 0 && call >= after, "before call {call}");
                assert_eq!(f.call(&mut store, 7).unwrap(), 21);
                let optimized = !installed(&events.events(), Tier::Optimizing).is_empty();
                assert_eq!(optimized, call + 1 >= after, "after call {call}");
                if after == 0 {
                    break;
                }
            }
            let found = steps(&events.events(), 0);
            let expected: &[&str] = if after == 0 {
                &[
                    "first optimizing",
                    "published optimizing",
                    "installed optimizing",
                ]
            } else {
                &[
                    "first baseline",
                    "published baseline",
                    "installed baseline",
                    "finished",
                    "published optimizing",
                    "installed optimizing",
                    "retired baseline",
                ]
            };
            let found: Vec<&str> = found
                .iter()
                .map(String::as_str)
                .filter(|s| *s != "requested")
                .collect();
            assert_eq!(found, expected, "after {after}");
        }
    }
}

/// Eleven functions, all of them called by the first.
fn eleven() -> String {
    let funcs: String = (0..10)
        .map(|i| format!("(func $f{i} (result i32) (i32.mul (i32.const {i}) (i32.const {i})))"))
        .collect();
    let calls: String = (0..10).map(|i| format!("(call $f{i}) i32.add ")).collect();
    format!(r#"(module (func (export "all") (result i32) (i32.const 1) {calls}) {funcs})"#)
}

const ALL: i32 = 286;

#[test]
fn masks_force_functions_into_tiers() {
    for policy in POLICIES {
        for mode in [CompileMode::Lazy, CompileMode::Eager] {
            let mut config = Config::new();
            config
                .tier_policy(policy)
                .compile_mode(mode)
                .tier_mask(|func| {
                    Some(if func % 2 == 0 {
                        Tier::Baseline
                    } else {
                        Tier::Optimizing
                    })
                });
            let (engine, events) = watched(&mut config);
            let mut store = Store::new(&engine, ());
            let guest = instance(&mut store, &eleven(), &[]);
            for _ in 0..100 {
                assert_eq!(
                    crate::support::call_i32(&mut store, guest, "all").unwrap(),
                    ALL
                );
            }
            engine.wait_for_tier_up();
            let events = events.events();
            assert_eq!(installed(&events, Tier::Baseline), [0, 2, 4, 6, 8, 10]);
            assert_eq!(installed(&events, Tier::Optimizing), [1, 3, 5, 7, 9]);
        }
    }
}

#[test]
fn policies_decide_who_compiles() {
    let every: Vec<u32> = (0..11).collect();
    for mode in [CompileMode::Lazy, CompileMode::Eager] {
        for (policy, baseline, optimizing) in [
            (TierPolicy::Eager, &every[..], &every[..]),
            (TierPolicy::Baseline, &every[..], &[]),
            (TierPolicy::Optimizing, &[], &every[..]),
        ] {
            let mut config = Config::new();
            // Where all callees are inlined nobody calls them.
            config
                .tier_policy(policy)
                .compile_mode(mode)
                .inlining(false);
            let (engine, events) = watched(&mut config);
            let module = Module::new(&engine, eleven()).unwrap();
            let first = if policy == TierPolicy::Optimizing {
                Tier::Optimizing
            } else {
                Tier::Baseline
            };
            let ready = installed(&events.events(), first).len();
            assert_eq!(ready, if mode == CompileMode::Eager { 11 } else { 0 });
            let mut store = Store::new(&engine, ());
            let guest = upshift::Instance::new(&mut store, &module, &[]).unwrap();
            for _ in 0..2 {
                assert_eq!(
                    crate::support::call_i32(&mut store, guest, "all").unwrap(),
                    ALL
                );
                engine.wait_for_tier_up();
            }
            let events = events.events();
            assert_eq!(
                installed(&events, Tier::Baseline),
                baseline,
                "{policy:?} {mode:?}"
            );
            assert_eq!(
                installed(&events, Tier::Optimizing),
                optimizing,
                "{policy:?} {mode:?}"
            );
            let stats = engine.stats();
            assert_eq!(stats.functions, 11);
            assert_eq!(stats.tier(Tier::Baseline).functions, baseline.len() as u64);
            assert_eq!(
                stats.tier(Tier::Optimizing).functions,
                optimizing.len() as u64
            );
        }
    }
}

/// Functions over many operators, and arguments that find their edges.
const OPERATORS: &str = r#"(module (memory 1)
    (func (export "0") (param i64 f64) (result i64) (i64.div_s (local.get 0) (i64.const -1)))
    (func (export "1") (param i64 f64) (result i64) (i64.rem_s (local.get 0) (i64.const 7)))
    (func (export "2") (param i64 f64) (result i64) (i64.trunc_f64_s (local.get 1)))
    (func (export "3") (param i64 f64) (result i64) (i64.trunc_sat_f64_u (local.get 1)))
    (func (export "4") (param i64 f64) (result i64)
        (i64.reinterpret_f64 (f64.min (local.get 1) (f64.convert_i64_u (local.get 0)))))
    (func (export "5") (param i64 f64) (result i64)
        (i64.store (i32.wrap_i64 (local.get 0)) (local.get 0))
        (i64.load32_s (i32.wrap_i64 (local.get 0))))
    (func (export "6") (param i64 f64) (result i64)
        (i64.rotl (local.get 0) (i64.popcnt (local.get 0))))
    (func (export "7") (param i64 f64) (result i64)
        (block $c (block $b (block $a
            (br_table $a $b $c (i32.wrap_i64 (local.get 0))))
            (return (i64.const 1)))
            (return (i64.const 2)))
        (i64.extend8_s (local.get 0)))
    (func (export "8") (param i64 f64) (result i64)
        (select (local.get 0) (i64.clz (local.get 0)) (f64.lt (local.get 1) (f64.const 0)))))"#;

#[test]
fn both_tiers_give_the_same_answers() {
    let longs = [
        0,
        1,
        -1,
        2,
        8,
        65_528,
        65_529,
        i64::MIN,
        i64::MAX,
        0x1234_5678_9abc_def0,
    ];
    let doubles = [0.0, -0.0, 1.5, -1.5, 1e30, f64::NAN, f64::INFINITY, 9.2e18];
    let answers = |config: &mut Config| {
        let (engine, _) = watched(config);
        let mut store = Store::new(&engine, ());
        let guest = instance(&mut store, OPERATORS, &[]);
        let mut answers = Vec::new();
        for round in 0..3 {
            for name in 0..9 {
                let func = guest.get_func(&mut store, &name.to_string()).unwrap();
                for (long, double) in longs.iter().flat_map(|l| doubles.map(|d| (*l, d))) {
                    let mut result = [Val::I32(0)];
                    let outcome = func.call(&mut store, &[long.into(), double.into()], &mut result);
                    let code: Option<TrapCode> = outcome.err().map(|e| e.trap().unwrap().code());
                    answers.push((
                        round,
                        name,
                        long,
                        code,
                        result[0].i64().filter(|_| code.is_none()),
                    ));
                }
            }
            engine.wait_for_tier_up();
        }
        answers
    };
    let expected = answers(Config::new().tier_policy(TierPolicy::Baseline));
    for policy in POLICIES {
        for mode in [CompileMode::Lazy, CompileMode::Eager] {
            let found = answers(Config::new().tier_policy(policy).compile_mode(mode));
            assert_eq!(found, expected, "{policy:?} {mode:?}");
        }
    }
    for after in [0, 1, 3] {
        assert_eq!(
            answers(Config::new().tier_up_after(after)),
            expected,
            "after {after}"
        );
    }
}

/// A module that goes away while its functions wait for the optimizing tier leaves nothing behind.
#[test]
fn modules_dropped_while_queued() {
    let (engine, _) = watched(Config::new().tier_policy(TierPolicy::Eager));
    for _ in 0..20 {
        let mut store = Store::new(&engine, ());
        let guest = instance(&mut store, &eleven(), &[]);
        assert_eq!(
            crate::support::call_i32(&mut store, guest, "all").unwrap(),
            ALL
        );
    }
    engine.wait_for_tier_up();
    assert_eq!(engine.stats().queue_length, 0);
    let mut store = Store::new(&engine, ());
    let guest = instance(
        &mut store,
        "(module (func (export \"f\") (result i32) unreachable))",
        &[],
    );
    assert_trap(
        crate::support::call_i32(&mut store, guest, "f"),
        TrapCode::Unreachable,
    );
}
