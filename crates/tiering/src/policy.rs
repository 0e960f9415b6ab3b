//! What the host chooses, and the decisions that follow from it without looking at any state.
//!
//! | choice | asked by |
//! |---|---|
//! | which compiler makes a function's first code | [`TieringOptions::first_tier`] |
//! | what that code counts | [`TieringOptions::counting`] |
//! | whether a function may leave the baseline tier | [`TieringOptions::may_tier_up`] |
//! | whether its body may become part of its callers | [`TieringOptions::may_inline`] |
//!
//! A replayed schedule wins over everything (`scheduled.rs` asks it first), then a [`TierMask`], then
//! [`TieringOptions::tier_up_after`], then the policy.

use crate::events::EventSink;
use crate::schedule::{Due, Schedule, ScheduleRecorder};
use crate::tuning::Tuning;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use upshift_abi::{SiteIndex, Tier};
use upshift_module::FuncIndex;

/// Which tier a function runs in, and when it changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TierPolicy {
    /// Baseline first; counters decide what is optimized, and when.
    #[default]
    Dynamic,
    /// Baseline first; every function is queued for the optimizing tier as soon as it has baseline
    /// code, the one with the smallest cost per expected use first.
    Eager,
    /// Baseline only: deterministic, compile time linear in the body.
    Baseline,
    /// The optimizing tier only, before the first call. A body beyond a limit of that compiler
    /// gets baseline code instead.
    Optimizing,
}

/// When functions get their first code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum CompileMode {
    /// Each at its first call.
    #[default]
    Lazy,
    /// All of them, in parallel, before the module is handed out.
    Eager,
}

/// Forces single functions into a tier, for tests and research: `Some(Baseline)` never leaves
/// baseline code, `Some(Optimizing)` is optimized before its first call, none follows the policy.
#[derive(Clone)]
pub struct TierMask(Arc<dyn Fn(FuncIndex) -> Option<Tier> + Send + Sync>);

impl TierMask {
    /// A mask by function index. It must give the same answer each time.
    pub fn new(mask: impl Fn(FuncIndex) -> Option<Tier> + Send + Sync + 'static) -> Self {
        Self(Arc::new(mask))
    }

    /// The tier that the function is forced into.
    #[must_use]
    pub fn get(&self, func: FuncIndex) -> Option<Tier> {
        (self.0)(func)
    }
}

impl fmt::Debug for TierMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TierMask")
    }
}

/// Everything that an engine's [`TierManager`](crate::TierManager) is told.
#[derive(Clone)]
pub struct TieringOptions {
    /// Which tier a function runs in.
    pub policy: TierPolicy,
    /// When functions get their first code.
    pub mode: CompileMode,
    /// How many threads may compile at the same time, the calling thread among them. The
    /// background pool keeps one worker even when this is 1.
    pub threads: NonZeroUsize,
    /// Forces the moment of tier-up, under the policies Dynamic and Eager: the `n`-th call of a
    /// function (over all instances and threads) compiles it in the optimizing tier before it goes
    /// on, itself still in baseline code; call `n + 1` runs the optimized code. 0 optimizes before
    /// the first call. Counters and queue have no say then.
    pub tier_up_after: Option<u32>,
    /// Forces the moment of on-stack replacement, under the policies Dynamic and Eager: from the `n`-th visit of a loop's
    /// header in baseline code on (over all instances and threads; entering the loop is the first visit), optimized
    /// code is entered there, compiled while the guest waits. Counters and queue have no say then.
    pub osr_after: Option<u32>,
    /// Forces single functions into a tier.
    pub mask: Option<TierMask>,
    /// Writes down at which visits functions get optimized code. Every site enters the slow path then.
    pub recorder: Option<ScheduleRecorder>,
    /// Functions get optimized code at these visits, and only at these: policy, mask, counters and queue have no say then.
    pub replay: Option<Arc<Schedule>>,
    /// Whether loops of baseline code must come by the slow path every few milliseconds, so that
    /// an interrupt is seen.
    pub interruption: bool,
    /// For tests: how many registers of each class baseline code may allocate.
    pub baseline_registers: Option<u8>,
    /// Thresholds; they change when things happen, never what a program computes.
    pub tuning: Tuning,
    /// Who is told of every event; none costs nothing.
    pub sink: Option<Arc<dyn EventSink>>,
}

impl Default for TieringOptions {
    fn default() -> Self {
        Self {
            policy: TierPolicy::default(),
            mode: CompileMode::default(),
            threads: available_parallelism().unwrap_or(NonZeroUsize::MIN),
            tier_up_after: None,
            osr_after: None,
            mask: None,
            recorder: None,
            replay: None,
            interruption: false,
            baseline_registers: None,
            tuning: Tuning::default(),
            sink: None,
        }
    }
}

impl fmt::Debug for TieringOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieringOptions")
            .field("policy", &self.policy)
            .field("mode", &self.mode)
            .field("threads", &self.threads)
            .field("tier_up_after", &self.tier_up_after)
            .field("osr_after", &self.osr_after)
            .field("mask", &self.mask)
            .field("recorder", &self.recorder.is_some())
            .field("replay", &self.replay.is_some())
            .field("interruption", &self.interruption)
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}

/// What baseline code of a function counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counting {
    /// Nothing: no counter in the code.
    Off,
    /// Time, only to look for an interrupt.
    Poll,
    /// Time, up to the function's budget.
    Budget,
    /// Every site enters the slow path.
    EverySite,
}

impl TieringOptions {
    /// Which compiler makes the function's first code.
    pub(crate) fn first_tier(&self, func: FuncIndex) -> Tier {
        match (self.forced(func), self.policy) {
            (Some(tier), _) => tier,
            (None, TierPolicy::Optimizing) => Tier::Optimizing,
            (None, TierPolicy::Baseline) => Tier::Baseline,
            (None, TierPolicy::Dynamic | TierPolicy::Eager) => match self.tier_up_after {
                Some(0) => Tier::Optimizing,
                Some(_) | None => Tier::Baseline,
            },
        }
    }

    /// Whether the function may leave baseline code later.
    pub(crate) fn may_tier_up(&self, func: FuncIndex) -> bool {
        self.forced(func).is_none()
            && match self.policy {
                TierPolicy::Dynamic | TierPolicy::Eager => true,
                TierPolicy::Baseline | TierPolicy::Optimizing => false,
            }
    }

    /// What the function's baseline code counts.
    pub(crate) fn counting(&self, func: FuncIndex) -> Counting {
        match (self.may_tier_up(func), self.every_site()) {
            (true, true) => Counting::EverySite,
            (true, false) => Counting::Budget,
            (false, _) => self.uncounted(),
        }
    }

    /// What baseline code counts that nobody will replace.
    pub(crate) fn uncounted(&self) -> Counting {
        if self.interruption {
            Counting::Poll
        } else {
            Counting::Off
        }
    }

    /// Whether the function's body may be copied into its callers: not if its code is to be baseline code, nor if
    /// each of its calls counts.
    pub(crate) fn may_inline(&self, func: FuncIndex) -> bool {
        let every_call = self.tier_up_after.is_some() || self.needs_whole_modules();
        !every_call && self.forced(func) != Some(Tier::Baseline)
    }

    /// Whether the function is queued as soon as it has baseline code.
    pub(crate) fn queues_at_once(&self, func: FuncIndex) -> bool {
        self.policy == TierPolicy::Eager && !self.scheduled() && self.may_tier_up(func)
    }

    /// Whether counts of visits decide alone.
    fn scheduled(&self) -> bool {
        self.tier_up_after.is_some() || self.osr_after.is_some() || self.replay.is_some()
    }

    /// Whether visits are counted.
    pub(crate) fn every_site(&self) -> bool {
        self.scheduled() || self.recorder.is_some()
    }

    /// Whether nothing of a module can be compiled before all of it is there.
    pub(crate) fn needs_whole_modules(&self) -> bool {
        self.recorder.is_some() || self.replay.is_some()
    }

    /// Whether what a policy decides is recorded.
    pub(crate) fn records_policy(&self) -> bool {
        self.recorder.is_some() && !self.scheduled()
    }

    /// What the forced modes want at a visit of a site.
    pub(crate) fn due(&self, site: SiteIndex, count: u64) -> Due {
        let entry = site == SiteIndex::ENTRY;
        Due {
            install: entry && self.tier_up_after.map(u64::from) == Some(count),
            enter: !entry && self.osr_after.is_some_and(|from| count >= u64::from(from)),
        }
    }

    /// Number of workers of the background pool: one thread is left to the guest.
    pub(crate) fn background_workers(&self) -> usize {
        self.threads.get().saturating_sub(1).max(1)
    }

    fn forced(&self, func: FuncIndex) -> Option<Tier> {
        self.mask.as_ref().and_then(|mask| mask.get(func))
    }
}

#[cfg(test)]
mod tests {
    use super::{Counting, TierMask, TierPolicy, TieringOptions};
    use upshift_abi::Tier;
    use upshift_module::FuncIndex;

    /// policy, schedule, mask of function 0, interruption -> first tier, counting, queued at once
    type Row = (
        TierPolicy,
        Option<u32>,
        Option<Tier>,
        bool,
        (Tier, Counting, bool),
    );

    const ROWS: &[Row] = {
        use Counting::{Budget, EverySite, Off, Poll};
        use Tier::{Baseline as B, Optimizing as O};
        use TierPolicy::{Baseline, Dynamic, Eager, Optimizing};
        &[
            (Dynamic, None, None, false, (B, Budget, false)),
            (Eager, None, None, true, (B, Budget, true)),
            (Baseline, None, None, false, (B, Off, false)),
            (Baseline, None, None, true, (B, Poll, false)),
            (Optimizing, None, None, false, (O, Off, false)),
            (Optimizing, None, Some(B), true, (B, Poll, false)),
            (Dynamic, Some(0), None, false, (O, EverySite, false)),
            (Dynamic, Some(1), None, false, (B, EverySite, false)),
            (Eager, Some(1), None, false, (B, EverySite, false)),
            (Baseline, Some(1), None, false, (B, Off, false)),
            (Eager, None, Some(B), false, (B, Off, false)),
            (Baseline, None, Some(O), false, (O, Off, false)),
        ]
    };

    #[test]
    fn decisions() {
        for &(policy, tier_up_after, mask, interruption, expected) in ROWS {
            let mask = TierMask::new(move |func| if func.0 == 0 { mask } else { None });
            let options = TieringOptions {
                policy,
                tier_up_after,
                mask: Some(mask),
                interruption,
                ..TieringOptions::default()
            };
            let func = FuncIndex(0);
            let actual = (
                options.first_tier(func),
                options.counting(func),
                options.queues_at_once(func),
            );
            assert_eq!(actual, expected, "{options:?}");
        }
    }
}
