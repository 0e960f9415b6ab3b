//! What optimizing compiles are told: a script, then the answers of the profile.

use super::{
    FuncIndex, FuncState, Ordering, SiteIndex, Tier, TierMask, TierPolicy, TierSink,
    TieringOptions, World, options,
};
use crate::budget::Shape;
use TierPolicy::{Dynamic, Eager, Optimizing};
use upshift_abi::Profile;
use upshift_runtime::CounterVisit;

/// What happens, all to one function.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Its first call.
    Call,
    /// Its counter flips at the entry after so many entries; the pool is idle afterwards.
    Flip(u32),
    /// An instance goes away whose counter says that it was entered so often.
    Drop(u32),
}
use Step::{Call, Drop, Flip};

struct Case {
    name: &'static str,
    options: TieringOptions,
    steps: &'static [Step],
    entries: u64,
    is_final: bool,
    inlined: bool,
}

/// A counter after so many entries and rounds together, and so many entries.
fn counter(world: &World, func: u32, visits: u32, entries: u32) -> u32 {
    let body = world.loaded.module().func(FuncIndex(func)).unwrap();
    let step = world.tiers.plan(Shape::of(body)).step.unsigned_abs();
    visits.saturating_mul(step).saturating_add(entries)
}

/// The least counter that has flipped after so many entries.
fn flipped(world: &World, func: u32, entries: u32) -> u32 {
    let one = counter(world, func, 1, 0);
    counter(world, func, (1_u32 << 31).div_ceil(one), entries)
}

fn check(cases: Vec<Case>) {
    for case in cases {
        let (world, func) = (World::new(case.options), 3);
        for &step in case.steps {
            match step {
                Call => world.call(func).unwrap(),
                Flip(entries) => {
                    let visit = CounterVisit {
                        site: SiteIndex::ENTRY,
                        entries: entries & 0xff,
                        counter: flipped(&world, func, entries),
                    };
                    world
                        .tiers
                        .counter_overflow(&world.loaded, FuncIndex(func), visit);
                }
                Drop(entries) => {
                    let held = counter(&world, func, entries, entries).cast_signed();
                    let mut counters = [0, 0, held].into_iter();
                    world.tiers.instance_dropped(&world.loaded, &mut counters);
                }
            }
            world.manager.drain();
        }
        let profile = world.tiers.profile();
        let func = FuncIndex(func);
        assert_eq!(profile.entries(func), case.entries, "{}", case.name);
        assert_eq!(profile.is_final(func), case.is_final, "{}", case.name);
        let inlinee = profile.inlinee(func);
        assert_eq!(inlinee.is_some(), case.inlined, "{}", case.name);
        assert!(inlinee.is_none_or(|body| body.index() == func));
        let import = FuncIndex(0);
        assert!(profile.inlinee(import).is_none() && !profile.is_final(import));
        assert_eq!(profile.entries(import), 0);
    }
}

fn masked(tier: Tier) -> TieringOptions {
    TieringOptions {
        mask: Some(TierMask::new(move |func| (func.0 == 3).then_some(tier))),
        ..options(Dynamic)
    }
}

fn scheduled(tier_up_after: Option<u32>, osr_after: Option<u32>) -> TieringOptions {
    TieringOptions {
        tier_up_after,
        osr_after,
        ..options(Dynamic)
    }
}

#[test]
fn entries_and_bodies() {
    let row = |name, options, steps, (entries, is_final, inlined)| Case {
        name,
        options,
        steps,
        entries,
        is_final,
        inlined,
    };
    check(vec![
        // Nobody knows the module before its first call.
        row("new", options(Dynamic), &[], (0, false, false)),
        row("called", options(Dynamic), &[Call], (1, false, true)),
        row(
            "flipped",
            options(Dynamic),
            &[Call, Flip(900)],
            (900, true, true),
        ),
        row(
            "flipped twice",
            options(Dynamic),
            &[Call, Flip(900), Flip(25)],
            (925, true, true),
        ),
        row(
            "instances that went",
            options(Dynamic),
            &[Call, Drop(30), Drop(1), Drop(0)],
            (31, false, true),
        ),
        row("eager", options(Eager), &[Call], (1, true, true)),
        row("not counted", options(Optimizing), &[Call], (1, true, true)),
        row(
            "never optimized",
            masked(Tier::Baseline),
            &[Call, Flip(900)],
            (1, false, false),
        ),
        row(
            "forced up",
            masked(Tier::Optimizing),
            &[Call],
            (1, true, true),
        ),
        row(
            "calls count one by one",
            scheduled(Some(2), None),
            &[Call, Flip(1), Flip(1), Flip(1)],
            (3, true, false),
        ),
        row(
            "visits of loops count",
            scheduled(None, Some(1)),
            &[Call, Flip(1)],
            (1, false, true),
        ),
    ]);
}

#[test]
fn final_code_stays() {
    let world = World::new(options(Dynamic));
    world.call(1).unwrap();
    world.flip(1, 0);
    world.manager.drain();
    assert_eq!(world.state(1), FuncState::Optimized);
    assert!(world.tiers.profile().is_final(FuncIndex(1)));
    let entry = world.loaded.entries().load(0);
    world.call(1).unwrap();
    world.flip(1, 0);
    world.manager.drain();
    assert_eq!(world.loaded.entries().load(0), entry);
}

/// What one flip tells: sites of the function, and whom they called.
type Sample = &'static [(u32, Option<u32>)];
const SAME: Sample = &[(0, Some(1)), (1, None)];
const OTHER: Sample = &[(1, Some(2))];

#[test]
fn targets() {
    type Row = (TieringOptions, &'static [Sample], [Option<u32>; 2]);
    let rows: [Row; 5] = [
        (options(Dynamic), &[], [None, None]),
        (options(Dynamic), &[SAME, SAME], [None, None]),
        (options(Dynamic), &[SAME, SAME, SAME], [Some(1), None]),
        (options(Eager), &[SAME, SAME, OTHER, SAME], [Some(1), None]),
        // Where single calls count, nobody is looked at.
        (scheduled(Some(9), None), &[SAME, SAME, SAME], [None, None]),
    ];
    for (options, samples, expected) in rows {
        let name = format!("{options:?} {samples:?}");
        let world = World::new(options);
        world.call(3).unwrap();
        for sample in samples {
            let mut targets = sample
                .iter()
                .map(|&(site, func)| (site, func.map(FuncIndex)));
            let func = FuncIndex(3);
            world
                .tiers
                .indirect_calls(&world.loaded, func, &mut targets);
        }
        world.manager.drain();
        let profile = world.tiers.profile();
        let found = [0, 1].map(|site| profile.indirect_target(FuncIndex(3), site));
        assert_eq!(found, expected.map(|func| func.map(FuncIndex)), "{name}");
    }
}

/// Below the budget, a flip leaves up to two entries in the counter.
#[test]
fn entries_are_kept_until_the_budget_is_used_up() {
    let mut options = options(Dynamic);
    // So long a budget that interruption makes many spans of it.
    options.interruption = true;
    options.tuning.compile_fixed_us = 1_000_000;
    let world = World::new(options);
    world.call(3).unwrap();
    let func = FuncIndex(3);
    let body = world.loaded.module().func(func).unwrap();
    for (entries, kept, noted) in [(0, 0, 0), (1, 1, 0), (2, 2, 0), (300, 2, 298)] {
        let before = world.tiers.entered[2].load(Ordering::Relaxed);
        let visit = CounterVisit {
            site: SiteIndex(1),
            entries: entries & 0xff,
            counter: flipped(&world, 3, entries),
        };
        let reply = world.tiers.counter_overflow(&world.loaded, func, visit);
        let rearm = reply.rearm.cast_unsigned();
        assert_eq!(
            (rearm & 0xff, world.tiers.entries_in(body, rearm)),
            (kept, kept)
        );
        let after = world.tiers.entered[2].load(Ordering::Relaxed);
        assert_eq!(after - before, noted, "{entries}");
    }
}
