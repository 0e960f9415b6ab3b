//! The engines that run a module: drawn anew for each, within three kinds.

use super::random::Random;
use upshift::{CompileMode, Config, Tier, TierPolicy, Tuning};

/// A configuration with a name that tells all of it.
pub(crate) struct Gear {
    pub(crate) name: String,
    pub(crate) config: Config,
}

impl Gear {
    /// One of each kind.
    pub(crate) fn draw(random: &mut Random) -> [Self; 3] {
        [
            Self::baseline(random),
            Self::optimizing(random),
            Self::mixed(random),
        ]
    }

    /// Tier-up at this call, loops entered at this back-edge.
    pub(crate) fn forced(random: &mut Random, calls: u32, back_edges: u32) -> Self {
        let mut gear = Self::new(random, TierPolicy::Dynamic);
        gear.limit_registers(random);
        gear.note(&format!(
            "tier-up at call {calls}, loops entered at back-edge {back_edges}"
        ));
        crate::force(&mut gear.config, calls, back_edges);
        gear
    }

    /// Counters that ask for the optimizing tier almost at once.
    pub(crate) fn hurried(random: &mut Random) -> Self {
        let mut gear = Self::new(random, TierPolicy::Dynamic);
        gear.limit_registers(random);
        gear.hurry();
        gear
    }

    /// A policy with what every policy lets vary.
    fn new(random: &mut Random, policy: TierPolicy) -> Self {
        let mut gear = Self {
            name: format!("{policy:?}"),
            config: Config::new(),
        };
        gear.config.tier_policy(policy).code_quarantine(true);
        if random.chance(30) {
            gear.note("memories checked by comparisons");
            gear.config.memory_reservation(false);
        }
        if random.chance(50) {
            gear.note("compiled ahead");
            gear.config.compile_mode(CompileMode::Eager);
        }
        if random.chance(50) {
            gear.note("no interruption");
            gear.config.interruption(false);
        }
        gear
    }

    fn note(&mut self, what: &str) {
        self.name.push_str(", ");
        self.name.push_str(what);
    }

    /// Fewer registers for baseline code, most of the time; 0 stands for the minimum.
    fn limit_registers(&mut self, random: &mut Random) {
        if random.chance(60) {
            let registers = random.pick(&[0, 0, 6, 7, 8, 10]);
            self.note(&format!("{registers} registers"));
            self.config.baseline_registers(Some(registers));
        }
    }

    fn baseline(random: &mut Random) -> Self {
        let mut gear = Self::new(random, TierPolicy::Baseline);
        gear.limit_registers(random);
        gear
    }

    fn optimizing(random: &mut Random) -> Self {
        let mut gear = Self::new(random, TierPolicy::Optimizing);
        gear.inline(random);
        gear
    }

    /// No, the usual or all inlining; call it after what else changes the tuning.
    fn inline(&mut self, random: &mut Random) {
        match random.below(5) {
            0 => {
                self.note("nothing inlined");
                self.config.inlining(false);
            }
            1 | 2 => {
                self.note("all inlined");
                self.config.tuning(Tuning::default().inline_all());
            }
            _ => {}
        }
    }

    /// Both tiers: forced per function, forced at a call, or whenever the queue gets there.
    fn mixed(random: &mut Random) -> Self {
        let kind = random.below(6);
        let policy = match kind {
            0 => TierPolicy::Eager,
            1 => TierPolicy::Baseline,
            _ => TierPolicy::Dynamic,
        };
        let mut gear = Self::new(random, policy);
        gear.limit_registers(random);
        match kind {
            0 => {}
            1 => gear.mask(random.next(), u64::MAX),
            2 => gear.mask(random.next(), random.next()),
            3 => gear.hurry(),
            _ => {}
        }
        if kind == 2 || kind > 3 {
            let calls = random.below(4);
            gear.note(&format!("tier-up after {calls} calls"));
            gear.config.tier_up_after(Some(calls));
        }
        if kind != 1 && kind != 3 && random.chance(60) {
            let visits = 1 + random.below(4);
            gear.inline(random);
            gear.note(&format!("loops entered at visit {visits}"));
            gear.config.osr_after(Some(visits));
        }
        gear
    }

    /// Forces function `n` if bit `n` of `forced` is set: into the optimizing tier if that bit of `optimized` is set.
    fn mask(&mut self, optimized: u64, forced: u64) {
        self.note(&format!("{optimized:#x} optimized of {forced:#x} forced"));
        self.config.tier_mask(move |func| {
            let bit = |bits: u64| (bits >> (func % 64)) & 1 == 1;
            let tier = if bit(optimized) {
                Tier::Optimizing
            } else {
                Tier::Baseline
            };
            bit(forced).then_some(tier)
        });
    }

    /// Counters ask for the optimizing tier almost at once.
    fn hurry(&mut self) {
        self.note("in a hurry");
        self.config.tuning(Tuning {
            compile_fixed_us: 2,
            busy_factor: 1,
            compile_burst_us: u32::MAX,
            compile_ns_per_byte: 0,
            ..Tuning::default()
        });
    }
}
