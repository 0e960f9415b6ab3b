//! One thread, one script, the expected events: every policy, forced mode and failure.

use super::{
    Arc, CompileErrorKind, CompileMode, Ending, FuncIndex, FuncState, Tier, TierErrorKind,
    TierMask, TierPolicy, TierSink, TieringOptions, Tuning, World, options, steady,
};
use Ending::{Code, Error, Panic};
use FuncState::{Baseline, Failed, Lazy, Optimized};
use TierPolicy::{Dynamic, Eager};

/// What happens, all to one function.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A call while the entry slot holds the lazy stub; how it ends.
    Call(Result<(), TierErrorKind>),
    /// A counter flips at this site; the pool is idle afterwards.
    Flip(u32),
    /// All functions are compiled ahead; how it ends.
    Ahead(Result<(), TierErrorKind>),
}
use Step::{Ahead, Call, Flip};

struct Case {
    name: &'static str,
    options: TieringOptions,
    func: u32,
    /// How the compiles of the function end, per tier.
    baseline: &'static [Ending],
    optimizing: &'static [Ending],
    steps: &'static [Step],
    events: &'static str,
    state: FuncState,
}

impl Case {
    fn new(name: &'static str, options: TieringOptions, steps: &'static [Step]) -> Self {
        Self {
            name,
            options,
            func: 1,
            baseline: &[],
            optimizing: &[],
            steps,
            events: "",
            state: Lazy,
        }
    }

    fn ends(mut self, events: &'static str, state: FuncState) -> Self {
        (self.events, self.state) = (events, state);
        self
    }

    fn func(mut self, func: u32) -> Self {
        self.func = func;
        self
    }

    fn baseline(mut self, endings: &'static [Ending]) -> Self {
        self.baseline = endings;
        self
    }

    fn optimizing(mut self, endings: &'static [Ending]) -> Self {
        self.optimizing = endings;
        self
    }
}

fn check(cases: Vec<Case>) {
    for case in cases {
        let world = World::new(case.options);
        world.baseline.ends(case.func, case.baseline);
        world.optimizing.ends(case.func, case.optimizing);
        for &step in case.steps {
            match step {
                Call(expected) => {
                    assert_eq!(world.call(case.func), expected, "{}", case.name);
                }
                Flip(site) => {
                    world.flip(case.func, site);
                }
                Ahead(expected) => {
                    let result = world.tiers.compile_all_first(&world.loaded);
                    let result = result.map_err(|error| error.kind());
                    assert_eq!(result, expected, "{}", case.name);
                }
            }
            world.manager.drain();
        }
        assert_eq!(world.events(case.func), case.events, "{}", case.name);
        assert_eq!(world.state(case.func), case.state, "{}", case.name);
        let lazy = world.loaded.entries().is_lazy(case.func - 1);
        assert_eq!(lazy, !case.state.has_code(), "{}", case.name);
    }
}

fn after(calls: u32) -> TieringOptions {
    TieringOptions {
        tier_up_after: Some(calls),
        ..options(Dynamic)
    }
}

fn masked(policy: TierPolicy, tier: Tier) -> TieringOptions {
    TieringOptions {
        mask: Some(TierMask::new(move |func| (func.0 == 1).then_some(tier))),
        ..options(policy)
    }
}

fn ahead(policy: TierPolicy, threads: usize) -> TieringOptions {
    TieringOptions {
        mode: CompileMode::Eager,
        threads: threads.try_into().unwrap(),
        ..options(policy)
    }
}

const UP: &str =
    "first:b publish:b install:b request:0 start finish publish:o install:o retire:b free:b";

#[test]
fn policies() {
    let first = "first:b publish:b install:b";
    check(vec![
        Case::new(
            "nothing happens to what is not called",
            options(Dynamic),
            &[],
        )
        .ends("", Lazy),
        Case::new("one call", options(Dynamic), &[Call(Ok(()))]).ends(first, Baseline),
        Case::new(
            "a late call",
            options(Dynamic),
            &[Call(Ok(())), Call(Ok(()))],
        )
        .ends(first, Baseline),
        Case::new("dynamic", options(Dynamic), &[Call(Ok(())), Flip(0)]).ends(UP, Optimized),
        Case::new(
            "dynamic, old code flips on",
            options(Dynamic),
            &[Call(Ok(())), Flip(0), Flip(0)],
        )
        .ends(UP, Optimized),
        Case::new(
            "dynamic, by a loop",
            options(Dynamic),
            &[Call(Ok(())), Flip(1), Flip(1)],
        )
        .func(2)
        .ends(
            "first:b publish:b install:b request:1 start finish publish:o install:o retire:b free:b",
            Optimized,
        ),
        Case::new(
            "baseline",
            options(TierPolicy::Baseline),
            &[Call(Ok(())), Flip(0)],
        )
        .ends(first, Baseline),
        Case::new(
            "optimizing",
            options(TierPolicy::Optimizing),
            &[Call(Ok(()))],
        )
        .ends("first:o publish:o install:o", Optimized),
        Case::new("eager", options(Eager), &[Call(Ok(()))]).ends(
            "first:b publish:b install:b request:policy start finish publish:o install:o retire:b free:b",
            Optimized,
        ),
    ]);
}

#[test]
fn ahead_of_time() {
    for threads in [1, 2, 5] {
        check(vec![
            Case::new("dynamic", ahead(Dynamic, threads), &[Ahead(Ok(())), Flip(0)])
                .func(3)
                .ends(UP, Optimized),
            Case::new("eager", ahead(Eager, threads), &[Ahead(Ok(()))]).ends(
                "first:b publish:b install:b request:policy start finish publish:o install:o retire:b free:b",
                Optimized,
            ),
            Case::new(
                "optimizing, twice",
                ahead(TierPolicy::Optimizing, threads),
                &[Ahead(Ok(())), Ahead(Ok(()))],
            )
            .ends("first:o publish:o install:o", Optimized),
            Case::new(
                "failing, then lazily",
                ahead(TierPolicy::Baseline, threads),
                &[Ahead(Err(TierErrorKind::Unsupported)), Call(Ok(()))],
            )
            .baseline(&[Error(CompileErrorKind::Unsupported)])
            .ends("fail:b:Unsupported first:b publish:b install:b", Baseline),
            Case::new(
                "panicking",
                ahead(TierPolicy::Optimizing, threads),
                &[Ahead(Err(TierErrorKind::Internal))],
            )
            .optimizing(&[Panic])
            .ends("fail:o:Internal", Lazy),
        ]);
    }
}

#[test]
fn forced_modes() {
    let first = "first:b publish:b install:b";
    check(vec![
        Case::new("before the first call", after(0), &[Call(Ok(()))])
            .ends("first:o publish:o install:o", Optimized),
        Case::new(
            "at the first call",
            after(1),
            &[Call(Ok(())), Flip(0), Flip(0)],
        )
        .ends(UP, Optimized),
        Case::new("not yet", after(3), &[Call(Ok(())), Flip(0), Flip(0)]).ends(first, Baseline),
        Case::new(
            "at the third call",
            after(3),
            &[Call(Ok(())), Flip(0), Flip(0), Flip(0)],
        )
        .ends(UP, Optimized),
        Case::new(
            "loops do not count",
            after(2),
            &[Call(Ok(())), Flip(0), Flip(1), Flip(1)],
        )
        .func(2)
        .ends(first, Baseline),
        Case::new("refused", after(1), &[Call(Ok(())), Flip(0), Flip(0)])
            .optimizing(&[Error(CompileErrorKind::Limit)])
            .ends(
                "first:b publish:b install:b request:0 start fail:o:Limit",
                Failed,
            ),
        Case::new(
            "held down",
            masked(Eager, Tier::Baseline),
            &[Call(Ok(())), Flip(0)],
        )
        .ends(first, Baseline),
        Case::new(
            "pushed up",
            masked(TierPolicy::Baseline, Tier::Optimizing),
            &[Call(Ok(()))],
        )
        .ends("first:o publish:o install:o", Optimized),
        Case::new(
            "beside the mask",
            masked(TierPolicy::Baseline, Tier::Optimizing),
            &[Call(Ok(()))],
        )
        .func(2)
        .ends(first, Baseline),
    ]);
}

#[test]
fn failures() {
    use TierErrorKind::{Internal, Limit};
    let small = TieringOptions {
        tuning: Tuning {
            max_body_bytes: 10,
            ..steady()
        },
        ..options(Dynamic)
    };
    check(vec![
        Case::new(
            "first compile, then again",
            options(Dynamic),
            &[Call(Err(Limit)), Call(Ok(()))],
        )
        .baseline(&[Error(CompileErrorKind::Limit), Code(1)])
        .ends("fail:b:Limit first:b publish:b install:b", Baseline),
        Case::new(
            "first compile panics",
            options(Dynamic),
            &[Call(Err(Internal)), Call(Ok(()))],
        )
        .baseline(&[Panic])
        .ends("fail:b:Internal first:b publish:b install:b", Baseline),
        Case::new(
            "refused for good",
            options(Dynamic),
            &[Call(Ok(())), Flip(0), Flip(0)],
        )
        .optimizing(&[Error(CompileErrorKind::Unsupported)])
        .ends(
            "first:b publish:b install:b request:0 start fail:o:Unsupported",
            Failed,
        ),
        Case::new(
            "optimizing panics",
            options(Eager),
            &[Call(Ok(())), Flip(0)],
        )
        .optimizing(&[Panic])
        .ends(
            "first:b publish:b install:b request:policy start fail:o:Internal",
            Failed,
        ),
        Case::new(
            "too much for the only tier",
            options(TierPolicy::Optimizing),
            &[Call(Ok(()))],
        )
        .optimizing(&[Error(CompileErrorKind::Limit)])
        .ends("fail:o:Limit first:b publish:b install:b", Baseline),
        Case::new(
            "a bug in the only tier",
            options(TierPolicy::Optimizing),
            &[Call(Err(Internal))],
        )
        .optimizing(&[Panic])
        .ends("fail:o:Internal", Lazy),
        Case::new(
            "too large",
            small.clone(),
            &[Call(Ok(())), Flip(0), Flip(0)],
        )
        .func(3)
        .ends("first:b publish:b install:b skip:TooLarge", Failed),
        Case::new("small enough", small, &[Call(Ok(())), Flip(0)]).ends(UP, Optimized),
    ]);
}

#[test]
fn imports_have_no_code() {
    let world = World::new(options(Dynamic));
    for func in [0, 4, u32::MAX] {
        let func = FuncIndex(func);
        let error = world.tiers.compile_first(&world.loaded, func).unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Internal);
        assert_eq!(world.tiers.state(func), None);
        assert_eq!(world.events(func.0), "");
    }
}

/// Code that does not fit leaves the baseline code running; a dropped module makes room.
#[test]
fn a_full_code_space_refuses_until_a_module_goes() {
    let world = World::with_code_space(options(Dynamic), 1 << 20);
    world.optimizing.ends(1, &[Code(64 << 20)]);
    world.call(1).unwrap();
    world.flip(1, 0);
    world.manager.drain();
    let full = "first:b publish:b install:b request:0 start finish fail:o:Resource";
    assert_eq!((&*world.events(1), world.state(1)), (full, Baseline));
    world.flip(1, 0);
    world.manager.drain();
    assert_eq!(world.events(1), full, "no request while there is no room");
    drop(world.manager.module(world.loaded.module()));
    world.flip(1, 0);
    world.manager.drain();
    let room = format!("{full} request:0 start finish publish:o install:o retire:b free:b");
    assert_eq!((&*world.events(1), world.state(1)), (&*room, Optimized));
}

/// Under interruption the counter comes by often; the budget is reached over several flips, and
/// instances that are dropped add to it.
#[test]
fn time_adds_up_over_flips_and_instances() {
    let tuning = Tuning {
        budget_percent: 50,
        compile_fixed_us: 100_000,
        run_ps_per_visit: 0,
        run_ps_per_byte: 250,
        interrupt_us: 4_000,
        ..steady()
    };
    let start = || {
        let world = World::new(TieringOptions {
            interruption: true,
            tuning,
            ..options(Dynamic)
        });
        world.call(1).unwrap();
        world
    };
    let needed = 50_000 / 4_000 + 1;
    let by_flips = start();
    for flip in 1..=needed {
        assert!(!by_flips.events(1).contains("request"), "flip {flip}");
        assert!(by_flips.flip(1, 0) >= 0);
    }
    by_flips.manager.drain();
    assert_eq!(by_flips.events(1), UP);

    let by_instances = start();
    let half = 1 << 30;
    for instance in 0..2 * needed {
        let early = instance < 2 * needed - 3;
        let requested = by_instances.events(1).contains("request");
        assert!(!(early && requested), "instance {instance}");
        let counters = &mut [half, 0, -1].into_iter();
        by_instances
            .tiers
            .instance_dropped(&by_instances.loaded, counters);
    }
    by_instances.manager.drain();
    assert_eq!(by_instances.state(1), Optimized);
    assert_eq!((by_instances.state(2), by_instances.state(3)), (Lazy, Lazy));
}

/// The step that the baseline compiler is told, by policy.
#[test]
fn counter_steps() {
    let step = |options: TieringOptions, func: u32| {
        let world = World::new(options);
        world.call(func).unwrap();
        world.baseline.calls()[0].counter_step
    };
    assert_eq!(step(options(TierPolicy::Baseline), 1), None);
    assert_eq!(step(after(1), 1), Some(i32::MIN));
    let polling = TieringOptions {
        interruption: true,
        ..options(TierPolicy::Baseline)
    };
    assert!(step(polling, 2).unwrap() > 0);
    assert!(step(options(Dynamic), 3).unwrap() > step(options(Dynamic), 1).unwrap());
}

/// While a job is in flight, a loop comes by much more often than an entry.
#[test]
fn loops_poll_while_a_job_is_in_flight() {
    let world = World::new(options(Dynamic));
    let (lets_go, started) = world.optimizing.holds(2);
    world.call(2).unwrap();
    assert!(world.flip(2, 1) > 0, "requested: polls");
    started.recv().unwrap();
    assert_eq!(world.state(2), FuncState::Compiling);
    assert!(world.flip(2, 1) > 0, "compiling: polls");
    assert_eq!(world.flip(2, 0), 0, "an entry takes the new code by itself");
    drop(lets_go);
    world.manager.drain();
    assert_eq!(world.flip(2, 1), 0);
}

#[test]
fn stats_follow_events() {
    let world = World::new(options(Dynamic));
    world.optimizing.ends(2, &[Error(CompileErrorKind::Limit)]);
    world.optimizing.ends(3, &[Code(100)]);
    for func in 1..=3 {
        world.call(func).unwrap();
        world.flip(func, 0);
        world.manager.drain();
    }
    let stats = world.manager.stats();
    assert_eq!((stats.functions, stats.requests, stats.jobs), (3, 3, 3));
    assert_eq!((stats.baseline.functions, stats.baseline.installs), (3, 3));
    assert_eq!(
        (stats.optimizing.functions, stats.optimizing.installs),
        (2, 2)
    );
    assert_eq!((stats.optimizing.failures, stats.baseline.failures), (1, 0));
    assert_eq!(
        (stats.baseline.code_bytes, stats.optimizing.code_bytes),
        (3, 101)
    );
    assert_eq!((stats.retired, stats.skipped, stats.queue_len), (2, 0, 0));
    assert!(stats.guest_compile_time >= stats.baseline.compile_time);
    assert_eq!(stats.tier(Tier::Optimizing), &stats.optimizing);
}

/// A sink that panics loses its events and harms nothing else.
#[test]
fn a_panicking_sink_is_survived() {
    struct Panics;
    impl crate::EventSink for Panics {
        fn event(&self, _: &crate::Event) {
            panic!("a sink's");
        }
    }
    let world = World::new(options(Eager));
    let quiet = TieringOptions {
        sink: Some(Arc::new(Panics)),
        ..options(Eager)
    };
    let manager = crate::TierManager::new(quiet, world.baseline.clone(), world.optimizing.clone());
    let tiers = manager.module(world.loaded.module());
    tiers.compile_first(&world.loaded, FuncIndex(1)).unwrap();
    manager.drain();
    assert_eq!(tiers.state(FuncIndex(1)), Some(Optimized));
    assert_eq!(manager.stats().optimizing.installs, 1);
}

/// The policy Eager queues each function as soon as it has baseline code, and nothing else: no counter has a say in whether. Compiled ahead, all are
/// queued when the last one is done; one worker takes the cheapest per expected use first.
#[test]
fn eager_queues_what_has_baseline_code() {
    let world = World::new(options(Eager));
    world.call(2).unwrap();
    world.manager.drain();
    let up = "first:b publish:b install:b request:policy start finish publish:o install:o retire:b free:b";
    assert_eq!((&*world.events(2), world.state(2)), (up, Optimized));
    // What was never called has no code, and is in no queue.
    assert_eq!((&*world.events(1), world.state(1)), ("", Lazy));
    assert_eq!((&*world.events(3), world.state(3)), ("", Lazy));

    let world = World::new(ahead(Eager, 1));
    let (lets_go, started) = world.optimizing.holds(2);
    world.tiers.compile_all_first(&world.loaded).unwrap();
    started.recv().unwrap();
    assert_eq!(world.baseline.compiled(), [1, 2, 3]);
    let request =
        |event: &crate::Event| matches!(event.kind, crate::EventKind::TierRequested { .. });
    let events = world.ring.events();
    let first_request = events.iter().position(request).unwrap();
    let last_install = events.iter().rposition(|event| {
        let tier = Tier::Baseline;
        event.kind == crate::EventKind::Installed { tier }
    });
    assert!(last_install.unwrap() < first_request, "{events:?}");
    assert_eq!(events.iter().filter(|event| request(event)).count(), 3);
    drop(lets_go);
    world.manager.drain();
    for func in 1..=3 {
        assert_eq!(world.state(func), Optimized);
    }
}
