//! Schedules: what was recorded happens again, at the same visits, and gives the same.

use crate::support::{POLICIES, assert_kind, instance};
use std::num::Wrapping;
use std::sync::Barrier;
use std::thread;
use upshift::{
    Config, Engine, ErrorKind, Func, FuncIndex, Instance, Module, ModuleSchedule, Schedule,
    ScheduleAction, ScheduleRecorder, ScheduleStep, SiteIndex, Store, Tier, TierPolicy, Tuning,
};

/// `run` (function 3) mixes numbers through calls, nested loops and memory. 0 is small, 1 has a loop, 2 nests two.
const WORK: &str = r#"(module
    (memory 1)
    (func $scramble (param $x i64) (result i64)
        (i64.mul (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 29)))
            (i64.const 0x1e3779b97f4a7c15)))
    (func $repeat (param $x i64) (param $n i32) (result i64)
        (loop $l
            (local.set $x (call $scramble (i64.add (local.get $x) (i64.const 3))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $x))
    (func $nest (param $x i64) (param $n i32) (result i64) (local $m i32)
        (loop $outer
            (local.set $m (i32.const 4))
            (loop $inner
                (i64.store (i32.and (i32.mul (local.get $m) (local.get $n)) (i32.const 0xff8)) (local.get $x))
                (local.set $x (i64.add (i64.rotl (local.get $x) (i64.const 7))
                    (i64.load (i32.and (i32.wrap_i64 (local.get $x)) (i32.const 0xff8)))))
                (br_if $inner (local.tee $m (i32.sub (local.get $m) (i32.const 1)))))
            (local.set $x (call $repeat (local.get $x) (i32.const 3)))
            (br_if $outer (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $x))
    (func (export "run") (param $x i64) (param $n i32) (result i64)
        (loop $l
            (local.set $x (call $nest (local.get $x) (i32.const 5)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $x)))"#;

/// Loops of the functions of [`WORK`].
const LOOPS: [u32; 4] = [0, 1, 2, 1];

fn module(engine: &Engine) -> Module {
    Module::new(engine, WORK).unwrap()
}

/// A few calls in one store.
fn answers(module: &Module, calls: i64, rounds: i32) -> Vec<i64> {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let run = instance
        .get_typed_func::<(i64, i32), i64>(&mut store, "run")
        .unwrap();
    (0..calls)
        .map(|x| run.call(&mut store, (x, rounds)).unwrap())
        .collect()
}

/// The answers of an engine, and what it records.
fn recorded(config: &mut Config) -> (Vec<i64>, Schedule) {
    let recorder = ScheduleRecorder::new();
    let engine = Engine::new(config.record_tiering(&recorder)).unwrap();
    let answers = answers(&module(&engine), 20, 50);
    (answers, recorder.schedule())
}

fn baseline() -> Vec<i64> {
    let engine = Engine::new(Config::new().tier_policy(TierPolicy::Baseline)).unwrap();
    answers(&module(&engine), 20, 50)
}

/// Thresholds that are reached within the test.
fn hurry() -> Tuning {
    Tuning {
        compile_fixed_us: 2,
        busy_factor: 1,
        compile_burst_us: u32::MAX,
        compile_ns_per_byte: 0,
        ..Tuning::default()
    }
}

/// A replay does the same at the same visits, which its own recording shows; five of them do.
#[test]
fn recordings_are_replayed_exactly() {
    let expected = baseline();
    let mut installs = 0;
    for policy in POLICIES {
        for forced in [None, Some(2)] {
            let mut config = Config::new();
            config.tier_policy(policy).tuning(hurry());
            config.tier_up_after(forced).osr_after(forced);
            let (answers, schedule) = recorded(&mut config);
            assert_eq!(answers, expected, "{policy:?}");
            installs += schedule.steps();
            let schedule: Schedule = schedule.to_string().parse().unwrap();
            for _ in 0..5 {
                let mut config = Config::new();
                let (answers, again) = recorded(config.replay_tiering(schedule.clone()));
                assert_eq!(answers, expected, "{policy:?}");
                assert_eq!(again.to_string(), schedule.to_string(), "{policy:?}");
            }
        }
    }
    assert!(
        installs > 12,
        "expected schedules with steps, found {installs}"
    );
}

/// What is in the recording of a policy that never waits is known beforehand.
#[test]
fn recordings_name_what_the_policy_did() {
    for (policy, tier) in [
        (TierPolicy::Baseline, None),
        (TierPolicy::Optimizing, Some(0)),
    ] {
        let (_, schedule) = recorded(Config::new().tier_policy(policy));
        let counts: Vec<u64> = schedule.modules[0].steps.iter().map(|s| s.count).collect();
        let expected = tier.map_or(Vec::new(), |count| vec![count; 4]);
        assert_eq!(counts, expected, "{policy:?}");
    }
    // Masked functions go their own way, the others follow the policy.
    let mask = |func| (func == 1).then_some(Tier::Optimizing);
    let mut config = Config::new();
    config.tier_policy(TierPolicy::Baseline).tier_mask(mask);
    let (_, schedule) = recorded(&mut config);
    assert_eq!(schedule.modules[0].steps, [step(1, 0, 0)]);
    // A function's last step is its install, and a loop that runs when its function is optimized may be entered later.
    let (_, schedule) = recorded(Config::new().tuning(hurry()));
    for func in 0..4 {
        let steps = schedule.modules[0].steps.iter();
        let of_func = steps.filter(|step| step.func.0 == func);
        let installs = of_func.filter(|step| step.action == ScheduleAction::Install);
        assert!(installs.count() <= 1, "{schedule}");
    }
}

fn step(func: u32, site: u32, count: u64) -> ScheduleStep {
    ScheduleStep {
        func: FuncIndex(func),
        site: SiteIndex(site),
        count,
        action: ScheduleAction::Install,
    }
}

fn enter(func: u32, site: u32, count: u64) -> ScheduleStep {
    let action = ScheduleAction::Enter;
    ScheduleStep {
        action,
        ..step(func, site, count)
    }
}

fn schedule(steps: &[ScheduleStep]) -> Schedule {
    let bytes = wat::parse_str(WORK).unwrap();
    Schedule {
        modules: vec![ModuleSchedule::new(&bytes, steps.to_vec())],
    }
}

/// Schedules by hand: installs at loops, before the first call, and together with an entering.
#[test]
fn schedules_by_hand() {
    let rows: &[&[ScheduleStep]] = &[
        &[],
        &[step(0, 0, 0)],
        &[step(0, 0, 1), step(1, 0, 1), step(2, 0, 1), step(3, 0, 1)],
        &[step(1, 1, 3), enter(1, 1, 3)],
        &[
            enter(2, 2, 7),
            enter(2, 1, 9),
            enter(2, 2, 30),
            step(2, 2, 31),
        ],
        &[enter(3, 1, 50), enter(3, 1, 51), step(3, 0, 3)],
        &[step(3, 0, 3), step(0, 0, 5000), step(1, 0, 1)],
    ];
    let expected = baseline();
    for &row in rows {
        let by_hand = schedule(row);
        let (answers, done) = recorded(Config::new().replay_tiering(by_hand.clone()));
        assert_eq!(answers, expected, "{row:?}");
        let mut sorted = done.modules[0].steps.clone();
        sorted.sort_unstable();
        let mut wanted = row.to_vec();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted);
        assert_eq!(by_hand.missing_in(&done), []);
    }
    let beyond = schedule(&[step(3, 0, 21), step(0, 0, 1)]);
    let (_, done) = recorded(Config::new().replay_tiering(beyond.clone()));
    assert_eq!(beyond.missing_in(&done), [step(3, 0, 21)]);
}

#[test]
fn schedules_of_other_modules_are_refused() {
    let load = |schedule: Schedule, text: &str| {
        let engine = Engine::new(Config::new().replay_tiering(schedule)).unwrap();
        Module::new(&engine, text)
    };
    let other = load(schedule(&[]), "(module (func))");
    let error = assert_kind(other, ErrorKind::Type);
    assert!(error.to_string().contains("SHA-256"), "{error}");
    assert_kind(load(Schedule::default(), WORK), ErrorKind::Type);
    let error = assert_kind(load(schedule(&[step(4, 0, 1)]), WORK), ErrorKind::Type);
    assert!(error.to_string().contains("from 0 to 3"), "{error}");
    load(schedule(&[step(3, 0, 1)]), WORK).unwrap();
}

/// A module that is loaded twice has a part for each; modules that come in pieces wait until they are whole.
#[test]
fn parts_go_to_modules_in_order() {
    let bytes = wat::parse_str(WORK).unwrap();
    let load = |config: &mut Config| {
        let recorder = ScheduleRecorder::new();
        let engine = Engine::new(config.record_tiering(&recorder)).unwrap();
        let first = Module::from_stream(&engine, &*bytes).unwrap();
        let second = module(&engine);
        let result = (answers(&first, 2, 2), answers(&second, 20, 5));
        (result, recorder.schedule())
    };
    for mode in [upshift::CompileMode::Lazy, upshift::CompileMode::Eager] {
        let mut config = Config::new();
        config.tier_up_after(15).osr_after(30).compile_mode(mode);
        let (expected, recorded) = load(&mut config);
        assert_eq!(recorded.modules.len(), 2);
        assert_ne!(recorded.modules[0], recorded.modules[1]);
        let mut config = Config::new();
        config.replay_tiering(recorded.clone()).compile_mode(mode);
        assert_eq!(load(&mut config), (expected, recorded));
    }
}

/// A small deterministic generator (SplitMix64).
struct Random(Wrapping<u64>);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 += 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0;
        z = (z ^ (z >> 30)) * Wrapping(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)) * Wrapping(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).0 % limit
    }
}

/// Installs and enterings at random visits.
fn random_schedule(random: &mut Random) -> Schedule {
    let mut steps = Vec::new();
    for (func, loops) in (0..).zip(LOOPS) {
        let reach = 1 << random.below(13);
        if random.below(4) > 0 {
            let site = u32::try_from(random.below(u64::from(loops) + 1)).unwrap();
            steps.push(step(func, site, 1 + random.below(reach)));
        }
        for _ in 0..random.below(6) * u64::from(loops) {
            let site = 1 + u32::try_from(random.below(loops.into())).unwrap();
            steps.push(enter(func, site, 1 + random.below(reach)));
        }
    }
    steps.sort_unstable();
    steps.dedup();
    schedule(&steps)
}

/// Eight threads with stores of their own run one module, while it gets optimized code at random visits of random sites.
///
/// `UPSHIFT_STRESS_ROUNDS=5000` goes on for longer (`cargo xtask schedules` does), and `UPSHIFT_STRESS_SEED` begins elsewhere.
#[test]
fn threads_under_random_schedules() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds = number("UPSHIFT_STRESS_ROUNDS").unwrap_or(40);
    let first = number("UPSHIFT_STRESS_SEED").unwrap_or(0);
    let engine = Engine::new(Config::new().tier_policy(TierPolicy::Baseline)).unwrap();
    let expected = answers(&module(&engine), 6, 10);
    for seed in first..first + rounds {
        let mut random = Random(Wrapping(seed));
        let schedule = random_schedule(&mut random);
        let recorder = ScheduleRecorder::new();
        let mut config = Config::new();
        config
            .replay_tiering(schedule.clone())
            .record_tiering(&recorder);
        config.interruption(random.below(2) == 0);
        if random.below(3) == 0 {
            config.baseline_registers(0);
        }
        let module = module(&Engine::new(&config).unwrap());
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..3 {
                        let found = answers(&module, 6, 10);
                        assert_eq!(found, expected, "seed {seed}\n{schedule}");
                    }
                });
            }
        });
        // Nothing happens that was not asked for, and nothing twice.
        let done = recorder.schedule();
        assert_eq!(done.missing_in(&schedule), [], "seed {seed}\n{schedule}");
    }
}

/// What a policy decides about a running loop is recorded as well, and happens again.
#[test]
fn a_running_loop_is_entered_again() {
    let text = r#"(module
        (import "host" "wait" (func $wait))
        (func (export "run") (result i64) (local $i i64) (local $sum i64)
            (loop $outer
                (loop $l
                    (local.set $sum (i64.add (local.get $sum) (i64.mul (local.get $i) (local.get $i))))
                    (local.set $i (i64.add (local.get $i) (i64.const 1)))
                    (br_if $l (i64.ne (i64.const 0) (i64.and (local.get $i) (i64.const 0xfff)))))
                (call $wait)
                (br_if $outer (i64.lt_u (local.get $i) (i64.const 0x40000))))
            (local.get $sum)))"#;
    let run = |config: &mut Config| {
        let recorder = ScheduleRecorder::new();
        let engine = Engine::new(config.record_tiering(&recorder)).unwrap();
        let mut store = Store::new(&engine, ());
        let wait = Func::wrap(&mut store, move || engine.wait_for_tier_up());
        let guest = instance(&mut store, text, &[wait.into()]);
        let run = guest.get_typed_func::<(), i64>(&mut store, "run").unwrap();
        (run.call(&mut store, ()).unwrap(), recorder.schedule())
    };
    let (sum, recorded) = run(Config::new().tuning(hurry()));
    let expected = (0..0x40000_i64).fold(0_i64, |sum, i| sum.wrapping_add(i * i));
    assert_eq!(sum, expected);
    let steps = &recorded.modules[0].steps;
    assert!(
        steps
            .iter()
            .any(|step| step.action == ScheduleAction::Enter),
        "{recorded}"
    );
    assert_eq!(
        run(Config::new().replay_tiering(recorded.clone())),
        (sum, recorded)
    );
}
