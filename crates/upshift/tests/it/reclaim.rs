//! Code that is freed while programs run. Addresses of freed code are not used again here (debug builds) and hold `int3`, so code
//! that is freed too early stops the process.

use crate::support::{assert_trap, instance};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use upshift::{
    Caller, Config, Engine, EventKind, Func, Instance, Linker, Module, RingBuffer, Store, Tier,
    TrapCode, TypedFunc,
};

/// `down` calls itself so often, and then the host; `deep` does the same and then traps.
const DOWN: &str = r#"(module $m
    (import "host" "bottom" (func $bottom (param i32) (result i32)))
    (func $down (export "down") (param $n i32) (result i32)
        (if (result i32) (local.get $n)
            (then (i32.add (call $down (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
            (else (call $bottom (i32.const 7)))))
    (func $deep (export "deep") (param $n i32) (result i32)
        (if (result i32) (local.get $n)
            (then (i32.add (call $deep (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
            (else (drop (call $bottom (i32.const 7))) (unreachable))))
    (func $wait (export "wait") (result i32) (call $bottom (i32.const 9)))
    (func $spin (export "spin") (drop (call $bottom (i32.const 9))) (loop (br 0))))"#;

/// From call 20 of a function on it runs in optimized code; the calls before that are still in baseline code.
fn engine() -> Engine {
    Engine::new(Config::new().tier_up_after(20)).unwrap()
}

/// Retired bytes, and those of them that were freed, after as much was freed as can be.
fn bytes(engine: &Engine) -> (u64, u64) {
    engine.wait_for_tier_up();
    engine.free_retired_code();
    let stats = engine.stats();
    (stats.retired_bytes, stats.freed_bytes)
}

/// Nothing is on a stack, so all that is retired can be freed.
#[track_caller]
fn assert_all_freed(engine: &Engine) {
    let (retired, freed) = bytes(engine);
    assert!(retired > 0, "something was retired");
    assert_eq!(retired, freed);
}

/// Something is retired, and all of it is on a stack.
#[track_caller]
fn assert_kept(engine: &Engine) {
    let (retired, freed) = bytes(engine);
    assert!(retired > 0, "something was retired");
    assert_eq!(freed, 0);
}

/// What the host function `bottom` does.
type Bottom = Box<dyn FnMut(i32) -> i32 + Send>;

fn guest(engine: &Engine, bottom: Bottom) -> (Store<()>, Instance) {
    let mut store = Store::new(engine, ());
    let bottom = Mutex::new(bottom);
    let bottom = Func::wrap(&mut store, move |x: i32| (bottom.lock().unwrap())(x));
    let guest = instance(&mut store, DOWN, &[bottom.into()]);
    (store, guest)
}

fn down(store: &mut Store<()>, guest: Instance, name: &str) -> TypedFunc<i32, i32> {
    guest.get_typed_func(store, name).unwrap()
}

/// Twenty baseline frames at the bottom of the stack, optimized ones above: the code stays while they do.
#[test]
fn frames_keep_their_code() {
    let engine = engine();
    let inside = engine.clone();
    let check = move |x| {
        assert_kept(&inside);
        x * 2
    };
    let (mut store, guest) = guest(&engine, Box::new(check));
    let down = down(&mut store, guest, "down");
    assert_eq!(down.call(&mut store, 100).unwrap(), 114);
    assert_all_freed(&engine);
    // The next calls find all of it freed.
    let before = engine.stats();
    drop(store);
    assert_eq!(engine.stats().freed_bytes, before.freed_bytes);
}

#[test]
fn traps_and_backtraces_go_through_retired_frames() {
    let engine = engine();
    let inside = engine.clone();
    let check = move |x| {
        assert_kept(&inside);
        x
    };
    let (mut store, guest) = guest(&engine, Box::new(check));
    let deep = down(&mut store, guest, "deep");
    let error = assert_trap(deep.call(&mut store, 40), TrapCode::Unreachable);
    let trap = error.trap().unwrap();
    let frames = trap.backtrace().frames();
    assert_eq!(frames.len(), 41);
    assert!(frames.iter().all(|frame| frame.func_name() == Some("deep")));
    let offsets = frames.iter().skip(1).map(|frame| frame.func_offset());
    assert!(offsets.clone().all(|offset| offset.is_some()));
    assert_eq!(offsets.collect::<std::collections::HashSet<_>>().len(), 1);
    assert_all_freed(&engine);
}

/// Two stores on one thread, one entered from a host function of the other, both with baseline frames.
#[test]
fn nested_activations_of_two_stores_keep_their_code() {
    let engine = engine();
    let module = Module::new(&engine, DOWN).unwrap();
    let start = |bottom: Bottom| {
        let mut store = Store::new(&engine, ());
        let bottom = Mutex::new(bottom);
        let bottom = Func::wrap(&mut store, move |x: i32| (bottom.lock().unwrap())(x));
        let guest = Instance::new(&mut store, &module, &[bottom.into()]).unwrap();
        let down = down(&mut store, guest, "down");
        (store, down)
    };
    let at_the_bottom = engine.clone();
    let (mut inner, inner_down) = start(Box::new(move |x| {
        assert_kept(&at_the_bottom);
        x
    }));
    let between = engine.clone();
    let (mut outer, outer_down) = start(Box::new(move |_| {
        let result = inner_down.call(&mut inner, 30).unwrap();
        // The inner store's frames are gone, the outer one's are not.
        assert_kept(&between);
        result
    }));
    assert_eq!(outer_down.call(&mut outer, 10).unwrap(), 47);
    assert_all_freed(&engine);
}

/// A thread whose guest waits in a host function, in the function of this name. The sender lets it go on, and it gives its result and
/// drops the store.
fn waiting(module: &Module, name: &'static str) -> (Sender<()>, thread::JoinHandle<i32>) {
    let (lets_go, gate) = channel::<()>();
    let (there, hears) = channel::<()>();
    let module = module.clone();
    let thread = thread::spawn(move || {
        let mut store = Store::new(module.engine(), ());
        let gate: Mutex<(Sender<()>, Receiver<()>)> = Mutex::new((there, gate));
        let bottom = Func::wrap(&mut store, move |x: i32| {
            let gate = gate.lock().unwrap();
            gate.0.send(()).unwrap();
            gate.1.recv().unwrap();
            x
        });
        let guest = Instance::new(&mut store, &module, &[bottom.into()]).unwrap();
        if name == "wait" {
            let wait = guest.get_typed_func::<(), i32>(&mut store, name).unwrap();
            return wait.call(&mut store, ()).unwrap();
        }
        down(&mut store, guest, name).call(&mut store, 5).unwrap()
    });
    hears.recv().unwrap();
    (lets_go, thread)
}

/// Threads that wait in host functions hold nothing up but the code that they have frames of.
#[test]
fn threads_that_wait_outside_are_walked() {
    for (name, kept, result) in [("wait", false, 9), ("down", true, 12)] {
        let engine = engine();
        let module = Module::new(&engine, DOWN).unwrap();
        let threads: Vec<_> = (0..3).map(|_| waiting(&module, name)).collect();
        let mut store = Store::new(&engine, ());
        let bottom = Func::wrap(&mut store, |x: i32| x);
        let guest = Instance::new(&mut store, &module, &[bottom.into()]).unwrap();
        let down = down(&mut store, guest, "down");
        assert_eq!(down.call(&mut store, 50).unwrap(), 57);
        if kept {
            assert_kept(&engine);
        } else {
            assert_all_freed(&engine);
        }
        // The store moves to another thread and is dropped there.
        thread::spawn(move || drop(store)).join().unwrap();
        for (lets_go, thread) in threads {
            lets_go.send(()).unwrap();
            assert_eq!(thread.join().unwrap(), result);
        }
        assert_all_freed(&engine);
    }
}

/// A loop without exits delays what is freed until it ends, and no longer.
#[test]
fn a_thread_in_a_loop_answers_when_it_leaves() {
    let engine = engine();
    let module = Module::new(&engine, DOWN).unwrap();
    let (there, hears) = channel::<()>();
    let mut spinning = Store::new(&engine, ());
    let there = Mutex::new(there);
    let bottom = Func::wrap(&mut spinning, move |x: i32| {
        there.lock().unwrap().send(()).unwrap();
        x
    });
    let guest = Instance::new(&mut spinning, &module, &[bottom.into()]).unwrap();
    let handle = spinning.interrupt_handle();
    let spinning = thread::spawn(move || {
        let spin = guest.get_typed_func::<(), ()>(&mut spinning, "spin");
        let ended = spin.unwrap().call(&mut spinning, ());
        assert_trap(ended, TrapCode::Interrupt);
        spinning
    });
    hears.recv().unwrap();
    let mut store = Store::new(&engine, ());
    let bottom = Func::wrap(&mut store, |x: i32| x);
    let guest = Instance::new(&mut store, &module, &[bottom.into()]).unwrap();
    let down = down(&mut store, guest, "down");
    assert_eq!(down.call(&mut store, 50).unwrap(), 57);
    let (retired, _) = bytes(&engine);
    assert!(retired > 0);
    handle.interrupt();
    // The store is there still, but does not run.
    let spinning = spinning.join().unwrap();
    assert_all_freed(&engine);
    drop(spinning);
}

/// `sum` leaves its baseline code in a loop; in the round `again` it has the host call it, which optimizes it as a whole.
const SUM: &str = r#"(module
    (import "host" "again" (func $again (param i32)))
    (func (export "sum") (param $n i32) (param $again i32) (result i32) (local $sum i32)
        (loop $l
            (if (i32.eq (local.get $n) (local.get $again))
                (then (call $again (local.get $n))))
            (local.set $sum (i32.add (local.get $sum) (local.get $n)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;

/// The baseline code goes although its function runs, since its frame was replaced; the loop's code stays until it is left.
#[test]
fn loops_go_after_the_code_that_they_were_entered_from() {
    let events = Arc::new(RingBuffer::new(1_000));
    let mut config = Config::new();
    config.tier_up_after(3).osr_after(2).events(events.clone());
    let engine = Engine::new(&config).unwrap();
    let freed = move || -> Vec<Tier> {
        let tiers = [Tier::Baseline, Tier::Optimizing];
        let freed = |kind: EventKind| {
            let of =
                |tier: &Tier| matches!(kind, EventKind::CodeFreed { tier: it, .. } if it == *tier);
            tiers.into_iter().find(of)
        };
        let events = events.events().into_iter();
        events.filter_map(|event| freed(event.kind)).collect()
    };
    let mut linker = Linker::new(&engine);
    let inside = engine.clone();
    let freed_inside = freed.clone();
    let again = move |mut caller: Caller<'_, ()>, _: i32| {
        let sum = caller.get_export("sum").and_then(|sum| sum.into_func());
        let sum = sum.unwrap().typed::<(i32, i32), i32>(&caller).unwrap();
        for _ in 0..5 {
            assert_eq!(sum.call(&mut caller, (10, 0)).unwrap(), 55);
        }
        inside.free_retired_code();
        assert_eq!(freed_inside(), [Tier::Baseline], "its frame was replaced");
        let stats = inside.stats();
        assert_eq!(stats.retired, 2, "the loop's code as well");
        assert!(stats.freed_bytes < stats.retired_bytes);
    };
    linker.func_wrap("host", "again", again).unwrap();
    let module = Module::new(&engine, SUM).unwrap();
    let mut store = Store::new(&engine, ());
    let guest = linker.instantiate(&mut store, &module).unwrap();
    let sum = guest.get_typed_func::<(i32, i32), i32>(&mut store, "sum");
    let sum = sum.unwrap();
    assert_eq!(sum.call(&mut store, (100, 50)).unwrap(), 5050);
    assert_all_freed(&engine);
    assert_eq!(freed(), [Tier::Baseline, Tier::Optimizing]);
    assert_eq!(sum.call(&mut store, (100, 0)).unwrap(), 5050);
}

/// A code space that has room for all functions in either tier, but not in both, is enough.
#[test]
fn optimized_code_takes_the_room_of_baseline_code() {
    let room = 1 << 20;
    let mut config = Config::new();
    config.code_reserve_bytes(room).tier_up_after(2).threads(1);
    let engine = Engine::new(&config).unwrap();
    let funcs: String = (0..FUNCS).map(large).collect();
    let calls: String = (0..FUNCS)
        .map(|i| format!("(call $f{i} (local.get 0)) i64.add "))
        .collect();
    let text = format!(
        r#"(module {funcs} (func (export "all") (param i64) (result i64) (i64.const 0) {calls}))"#
    );
    let mut store = Store::new(&engine, ());
    let guest = instance(&mut store, &text, &[]);
    let all = guest.get_typed_func::<i64, i64>(&mut store, "all").unwrap();
    let expected = all.call(&mut store, 3).unwrap();
    for _ in 0..4 {
        assert_eq!(all.call(&mut store, 3).unwrap(), expected);
    }
    let stats = engine.stats();
    let published = stats.baseline.code_bytes + stats.optimizing.code_bytes;
    assert!(published > room as u64, "{published} bytes");
    assert_eq!(stats.optimizing.failures, 0);
    assert_eq!(stats.optimizing.installs, u64::from(FUNCS) + 1);
    assert!(stats.freed_bytes > stats.retired_bytes / 2, "{stats:?}");
}

const FUNCS: u32 = 60;

/// A function with about 15 KB of code in either tier.
fn large(index: u32) -> String {
    let steps: String = (0..500)
        .map(|i| {
            let (factor, turn) = (1_000_001 + i * 2000 + index, 1 + i % 60);
            format!(
                "(local.set 0 (i64.rotl (i64.xor (i64.mul (local.get 0) (i64.const {factor}))
                    (i64.const {factor})) (i64.const {turn})))"
            )
        })
        .collect();
    format!("(func $f{index} (param i64) (result i64) {steps} (local.get 0))")
}
