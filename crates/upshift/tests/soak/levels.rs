//! Compiles and frees for as long as one likes, over many threads and stores, in a code space that is much too small for all of it.
//!
//! The short test is one of the normal tests; `cargo xtask soak --minutes N` runs the long one. Modules come and go, and while
//! they are there their functions are replaced under the threads that run them, deep in calls and loops. Every result is compared
//! with what Rust computes. Code and memory must stay where they were after the first third.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use upshift::{Config, Engine, Linker, Module, Store, TierPolicy};

const FUNCS: u64 = 40;
/// Steps in the body of a function's loop.
const STEPS: usize = 10;
const THREADS: u64 = 6;
/// Modules that are there at the same time.
const MODULES: u64 = 6;
/// Stores that a module has before another takes its place.
const STORES: u64 = 30;
/// Calls of a module by each store.
const CALLS: i64 = 40;
/// The engines' code spaces.
const CODE_BYTES: usize = 1 << 20;

/// A module that is different for every seed.
fn text(seed: u64) -> String {
    let mut text =
        String::from(r#"(module (import "host" "salt" (func $salt (param i64) (result i64)))"#);
    for i in 0..FUNCS {
        let (rounds, turn, factor, salted) = shape(seed, i);
        let salt = if salted {
            "(local.set $x (call $salt (local.get $x)))"
        } else {
            ""
        };
        let step = format!(
            "(local.set $x (i64.add (i64.const {i})
                (i64.mul (i64.rotl (local.get $x) (i64.const {turn})) (i64.const {factor}))))"
        );
        let steps = step.repeat(STEPS);
        let _ = write!(
            text,
            "(func $f{i} (param $x i64) (result i64) (local $n i32)
                (local.set $n (i32.const {rounds}))
                (loop $l
                    {steps} {salt}
                    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (local.get $x))"
        );
    }
    text.push_str("(func $all (param $x i64) (result i64) (local.get $x)");
    for i in 0..FUNCS {
        let _ = write!(text, "(call $f{i})");
    }
    text.push_str(
        r#") (func $run (export "run") (param $x i64) (param $depth i32) (result i64)
            (if (result i64) (local.get $depth)
                (then (i64.add (i64.const 1)
                    (call $run (local.get $x) (i32.sub (local.get $depth) (i32.const 1)))))
                (else (call $all (local.get $x))))))"#,
    );
    text
}

/// What function `i` does: rounds, bits to turn, a factor, and whether the host has a say.
fn shape(seed: u64, i: u64) -> (u64, u64, i64, bool) {
    let mixed = (seed * FUNCS + i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (
        2 + i % 5,
        1 + mixed % 61,
        (mixed | 1).cast_signed(),
        i % 8 == 3,
    )
}

fn salt(x: i64) -> i64 {
    x.rotate_left(9) ^ 0x5a
}

/// What `run` gives.
fn expected(seed: u64, mut x: i64, depth: i32) -> i64 {
    for i in 0..FUNCS {
        let (rounds, turn, factor, salted) = shape(seed, i);
        for _ in 0..rounds {
            for _ in 0..STEPS {
                let turned = x.rotate_left(u32::try_from(turn).unwrap());
                x = turned.wrapping_mul(factor).wrapping_add(i.cast_signed());
            }
            if salted {
                x = salt(x);
            }
        }
    }
    x.wrapping_add(i64::from(depth))
}

/// Resident memory of the process in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// The greatest values that were seen.
#[derive(Default)]
struct Peak {
    live: AtomicU64,
    resident: AtomicU64,
}

impl Peak {
    fn note(&self, engine: &Engine) {
        let live = engine.stats().code_bytes_live;
        self.live.fetch_max(live, Ordering::Relaxed);
        self.resident.fetch_max(resident(), Ordering::Relaxed);
    }
}

fn soak(mut config: Config, time: Duration) {
    let engine = Engine::new(config.code_reserve_bytes(CODE_BYTES)).unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("host", "salt", salt).unwrap();
    let modules: Vec<_> = (0..MODULES)
        .map(|seed| Mutex::new((seed, Module::new(&engine, text(seed)).unwrap(), 0)))
        .collect();
    let next_seed = AtomicU64::new(MODULES);
    let (early, late) = (Peak::default(), Peak::default());
    let started = Instant::now();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (engine, linker, modules) = (&engine, &linker, &modules);
            let (next_seed, early, late) = (&next_seed, &early, &late);
            scope.spawn(move || {
                let mut round = number;
                while started.elapsed() < time {
                    round += 1;
                    let place = &modules[usize::try_from(round % MODULES).unwrap()];
                    let (seed, module, stores) = {
                        let mut place = place.lock().unwrap();
                        place.2 += 1;
                        place.clone()
                    };
                    run(linker, &module, seed);
                    if stores == STORES {
                        let seed = next_seed.fetch_add(1, Ordering::Relaxed);
                        let module = Module::new(engine, text(seed)).unwrap();
                        *place.lock().unwrap() = (seed, module, 0);
                    }
                    let third = started.elapsed() < time / 3;
                    (if third { early } else { late }).note(engine);
                }
            });
        }
    });
    check(&engine, &early, &late, next_seed.into_inner());
}

/// One store's life.
fn run(linker: &Linker<()>, module: &Module, seed: u64) {
    let mut store = Store::new(module.engine(), ());
    let guest = linker.instantiate(&mut store, module).unwrap();
    let run = guest.get_typed_func::<(i64, i32), i64>(&mut store, "run");
    let run = run.unwrap();
    for x in 0..CALLS {
        let depth = i32::try_from(x % 9).unwrap() * 20;
        let found = run.call(&mut store, (x, depth)).unwrap();
        assert_eq!(found, expected(seed, x, depth), "module {seed}, call {x}");
    }
}

fn check(engine: &Engine, early: &Peak, late: &Peak, modules: u64) {
    engine.wait_for_tier_up();
    engine.free_retired_code();
    let stats = engine.stats();
    let (early_live, late_live) = (
        early.live.load(Ordering::Relaxed),
        late.live.load(Ordering::Relaxed),
    );
    let (early_resident, late_resident) = (
        early.resident.load(Ordering::Relaxed),
        late.resident.load(Ordering::Relaxed),
    );
    println!(
        "{modules} modules; published {} and {}, retired {}, freed {} bytes; code {early_live} then {late_live}, \
         resident {early_resident} then {late_resident} bytes",
        stats.baseline.code_bytes,
        stats.optimizing.code_bytes,
        stats.retired_bytes,
        stats.freed_bytes,
    );
    let published = stats.baseline.code_bytes + stats.optimizing.code_bytes;
    assert!(published > 3 * late_live, "much more than is there");
    // What a module had retired when it was dropped went with it.
    assert!(stats.freed_bytes * 2 > stats.retired_bytes, "{stats:?}");
    assert!(late_live <= CODE_BYTES as u64);
    assert!(late_live <= early_live + early_live / 2, "code is level");
    assert!(
        late_resident <= early_resident + early_resident / 2,
        "memory is level"
    );
}

fn configs() -> Vec<Config> {
    let mut eager = Config::new();
    eager.tier_policy(TierPolicy::Eager).threads(3);
    let mut scheduled = Config::new();
    scheduled.tier_up_after(9).osr_after(30);
    vec![eager, scheduled]
}

#[test]
fn ten_seconds() {
    for config in configs() {
        soak(config, Duration::from_secs(5));
    }
}

/// `UPSHIFT_SOAK_MINUTES` says how long; 2 minutes by default.
#[test]
#[ignore = "takes minutes"]
fn minutes() {
    let minutes = std::env::var("UPSHIFT_SOAK_MINUTES").ok();
    let minutes = minutes.map_or(2, |text| text.parse().expect("a number of minutes"));
    for config in configs() {
        soak(config, Duration::from_secs(minutes * 30));
    }
}
