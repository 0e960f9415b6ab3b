//! Several threads: who compiles, who waits, in which order jobs run, and what dropping does.

use super::{
    Arc, Barrier, Ending, FuncIndex, FuncState, TierErrorKind, TierPolicy, TierSink,
    TieringOptions, Tuning, World, options, steady, thread,
};
use upshift_abi::CompileErrorKind;

#[test]
fn concurrent_first_calls_compile_once() {
    for policy in [
        TierPolicy::Dynamic,
        TierPolicy::Optimizing,
        TierPolicy::Eager,
    ] {
        for _ in 0..20 {
            let world = World::new(options(policy));
            let barrier = Barrier::new(8);
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        barrier.wait();
                        for func in 1..=3 {
                            world.call(func).unwrap();
                        }
                    });
                }
            });
            world.manager.drain();
            let stub = match policy {
                TierPolicy::Optimizing => &world.optimizing,
                TierPolicy::Dynamic | TierPolicy::Baseline | TierPolicy::Eager => &world.baseline,
            };
            let mut compiled = stub.compiled();
            compiled.sort_unstable();
            assert_eq!(compiled, [1, 2, 3], "{policy:?}");
        }
    }
}

/// Those who waited for a first compile that fails try for themselves, one after the other.
#[test]
fn a_failed_first_compile_is_one_callers_error() {
    let world = World::new(options(TierPolicy::Dynamic));
    world
        .baseline
        .ends(1, &[Ending::Error(CompileErrorKind::Limit)]);
    let barrier = Barrier::new(4);
    let results: Vec<_> = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    world.call(1)
                })
            })
            .collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });
    let failed = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(failed, 1, "{results:?}");
    assert!(results.contains(&Err(TierErrorKind::Limit)));
    assert_eq!(world.baseline.compiled(), [1, 1]);
}

/// Optimizing compiles never run on a guest's thread, baseline ones on the guest's own.
#[test]
fn compiles_run_where_the_stack_is_big_enough() {
    let after = TieringOptions {
        tier_up_after: Some(1),
        ..options(TierPolicy::Dynamic)
    };
    for options in [
        options(TierPolicy::Dynamic),
        options(TierPolicy::Optimizing),
        after,
        TieringOptions {
            threads: 1.try_into().unwrap(),
            ..options(TierPolicy::Optimizing)
        },
    ] {
        let world = World::new(options);
        world.call(1).unwrap();
        world.flip(1, 0);
        world.manager.drain();
        world.tiers.compile_all_first(&world.loaded).unwrap();
        assert_eq!(world.state(1), FuncState::Optimized);
        assert!(world.optimizing.calls().iter().all(|call| call.on_pool));
        let baseline = world.baseline.calls();
        assert!(baseline.iter().take(1).all(|call| !call.on_pool));
    }
}

/// One worker: the hotter function first, whatever was asked first; a raise moves forward.
#[test]
fn hotter_functions_go_first() {
    let world = World::new(options(TierPolicy::Dynamic));
    for func in 1..=3 {
        world.call(func).unwrap();
    }
    let (lets_go, started) = world.optimizing.holds(1);
    world.flip(1, 0);
    started.recv().unwrap();
    world.flip(3, 0);
    world.flip(2, 0);
    // Three more flips: four budgets are spent in function 2.
    for _ in 0..3 {
        world.flip(2, 0);
    }
    assert_eq!(world.manager.stats().queue_len, 2);
    drop(lets_go);
    world.manager.drain();
    assert_eq!(world.optimizing.compiled(), [1, 2, 3]);
    assert!(
        world.events(2).contains("request:0 raise"),
        "{}",
        world.events(2)
    );
    let stats = world.manager.stats();
    assert_eq!(
        usize::try_from(stats.raises).unwrap(),
        world.events(2).matches("raise").count()
    );
    assert_eq!(
        world.optimizing.workers(),
        1,
        "one worker serves a busy queue"
    );
}

/// Jobs hold their module weakly: when it goes, its jobs go, and nobody waits for the running one.
#[test]
fn dropping_a_module_drops_its_jobs() {
    let world = World::new(options(TierPolicy::Dynamic));
    for func in 1..=3 {
        world.call(func).unwrap();
    }
    let (lets_go, started) = world.optimizing.holds(1);
    world.flip(1, 0);
    started.recv().unwrap();
    world.flip(2, 0);
    world.flip(3, 0);
    let World {
        manager,
        tiers,
        loaded,
        optimizing,
        ..
    } = world;
    drop(tiers);
    drop(loaded);
    drop(lets_go);
    manager.drain();
    // The worker's own handle keeps the module alive until function 1 is done; how far it gets with
    // the others depends on whose handle was the last, but nothing is left in the queue.
    assert_eq!(optimizing.compiled()[0], 1);
    assert_eq!(manager.stats().queue_len, 0);
}

/// Dropping the manager and the module while a job runs waits for nothing.
#[test]
fn dropping_everything_does_not_wait() {
    let world = World::new(options(TierPolicy::Dynamic));
    world.call(1).unwrap();
    world.call(2).unwrap();
    let (lets_go, started) = world.optimizing.holds(1);
    world.flip(1, 0);
    started.recv().unwrap();
    world.flip(2, 0);
    let optimizing = world.optimizing.clone();
    drop(world);
    // Still held: had a drop waited for the job, this would not be reached.
    assert_eq!(optimizing.compiled(), [1]);
    drop(lets_go);
}

/// Flips, first calls and scheduled tier-ups from many threads: every function ends in optimized code
/// that was compiled once per tier.
#[test]
fn storms_end_well() {
    for tier_up_after in [None, Some(3)] {
        for _ in 0..20 {
            let world = World::new(TieringOptions {
                tier_up_after,
                ..options(TierPolicy::Dynamic)
            });
            let barrier = Arc::new(Barrier::new(6));
            thread::scope(|scope| {
                for number in 0..6 {
                    let (world, barrier) = (&world, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        for round in 0..30 {
                            let func = 1 + (number + round) % 3;
                            world.call(func).unwrap();
                            world.flip(func, 0);
                        }
                    });
                }
            });
            world.manager.drain();
            for func in 1..=3 {
                assert_eq!(world.state(func), FuncState::Optimized);
                let entry = world.tiers.compile_first(&world.loaded, FuncIndex(func));
                assert_eq!(entry.unwrap(), world.loaded.entries().load(func - 1));
            }
            for stub in [&world.baseline, &world.optimizing] {
                let mut compiled = stub.compiled();
                compiled.sort_unstable();
                assert_eq!(compiled, [1, 2, 3]);
            }
        }
    }
}

/// While more is queued or being compiled than may be spent, nothing else is asked for, however hot it is.
#[test]
fn what_is_spent_on_compiling_is_bounded() {
    let tuning = Tuning {
        compile_fixed_us: 10_000,
        compile_burst_us: 5_000,
        ..steady()
    };
    let world = World::new(TieringOptions {
        tuning,
        ..options(TierPolicy::Dynamic)
    });
    let first = "first:b publish:b install:b";
    for func in [1, 3] {
        world.call(func).unwrap();
    }
    let (lets_go, started) = world.optimizing.holds(1);
    world.flip(1, 0);
    started.recv().unwrap();
    for _ in 0..5 {
        world.flip(3, 0);
    }
    assert_eq!(world.events(3), first, "10 ms of 5 are being spent");
    drop(lets_go);
    world.manager.drain();
    // It took next to nothing.
    world.flip(3, 0);
    world.manager.drain();
    let up = format!("{first} request:0 start finish publish:o install:o retire:b free:b");
    assert_eq!(world.events(3), up);
}

/// A long queue raises the bar for what is not in it.
#[test]
fn a_long_queue_raises_the_bar() {
    let tuning = Tuning {
        compile_fixed_us: 1_000,
        queue_percent: 100,
        ..steady()
    };
    let world = World::new(TieringOptions {
        tuning,
        ..options(TierPolicy::Dynamic)
    });
    for func in [1, 3] {
        world.call(func).unwrap();
    }
    let (lets_go, started) = world.optimizing.holds(1);
    world.flip(1, 0);
    started.recv().unwrap();
    world.flip(3, 0);
    assert!(!world.events(3).contains("request"), "twice the budget");
    world.flip(3, 0);
    assert!(world.events(3).contains("request"));
    drop(lets_go);
    world.manager.drain();
}

/// Without work the threads end, and the compiler's memory goes with them.
#[test]
fn an_idle_pool_gives_its_memory_back() {
    let tuning = Tuning {
        compile_idle_ms: 0,
        ..steady()
    };
    let world = World::new(TieringOptions {
        tuning,
        ..options(TierPolicy::Dynamic)
    });
    for func in 1..=3 {
        world.call(func).unwrap();
        world.flip(func, 0);
        world.manager.wait_for_end();
        assert_eq!(world.state(func), FuncState::Optimized);
        assert_eq!(world.optimizing.live_workers(), 0, "after function {func}");
    }
    assert!(world.optimizing.workers() >= 1);
}
