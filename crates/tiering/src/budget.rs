//! The arithmetic of budgets: how long a function runs in baseline code before it is optimized, and how its counter finds out.
//!
//! All functions share one number: a counter starts at 0 and flips its sign at 2^31. What differs is
//! the step that a function adds per site, chosen so that the flip comes when the time spent in its
//! baseline code is about one *span*. A span is the function's budget, or shorter where interrupts
//! must be seen in time; a function that flips below its budget is armed again for the rest.

use crate::tuning::Tuning;
use upshift_module::ValidatedFunc;

/// Where the sign flips.
const FLIP: u64 = 1 << 31;
/// The low byte of a counter counts entries, so steps are multiples of this.
const ENTRIES: u64 = 1 << 8;

const PS_PER_US: u64 = 1_000_000;

/// Flips within the budget of a function that calls through tables: each is a sample of whom it calls.
const SAMPLES: u64 = 8;

/// What the budget is computed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    /// Size of the body in bytes.
    pub(crate) body_bytes: u32,
    /// Number of loops.
    pub(crate) loops: u32,
    /// Whether it calls helpers of the runtime.
    pub(crate) helpers: bool,
    /// Whether it calls through tables: whom, is looked at when its counter flips.
    pub(crate) indirect_calls: bool,
}

impl Shape {
    /// The shape of a body.
    pub(crate) fn of(func: ValidatedFunc<'_>) -> Self {
        Self {
            body_bytes: func.body_bytes(),
            loops: func.outline().loops().into(),
            helpers: func.outline().has_libcalls(),
            indirect_calls: func.outline().indirect_calls() > 0,
        }
    }
}

/// How a function counts: times in microseconds of baseline code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    /// Time after which the optimizing tier is asked for, before calibration.
    pub(crate) budget_us: u32,
    /// Time from a counter at 0 to its flip.
    pub(crate) span_us: u32,
    /// What each site adds.
    pub(crate) step: i32,
}

impl Tuning {
    /// Predicted time of an optimizing compile in microseconds, before calibration; at least 1.
    pub(crate) fn compile_us(&self, shape: Shape) -> u32 {
        let body_us = u64::from(shape.body_bytes) * u64::from(self.compile_ns_per_byte) / 1_000;
        saturate(body_us + u64::from(self.compile_fixed_us)).max(1)
    }

    /// The plan of a function that counts up to its budget.
    pub(crate) fn budget_plan(&self, shape: Shape, interruption: bool) -> Plan {
        let mut budget = u64::from(self.compile_us(shape)) * u64::from(self.budget_percent) / 100;
        if shape.body_bytes > self.large_body_bytes {
            budget *= u64::from(self.large_factor);
        }
        let budget_us = saturate(budget).max(1);
        let visits_max = if interruption {
            self.interrupt_visits(shape)
        } else {
            FLIP
        };
        self.plan(shape, budget_us, visits_max)
    }

    /// The plan of a function that only looks for interrupts.
    pub(crate) fn poll_plan(&self, shape: Shape) -> Plan {
        self.plan(shape, u32::MAX, self.interrupt_visits(shape))
    }

    /// How urgent a function is: saved time per compile time, in thousandths, when it is taken to
    /// run on for as long as it has run already.
    pub(crate) fn priority(&self, shape: Shape, spent_us: u32) -> u64 {
        u64::from(spent_us) * 1_000 / u64::from(self.compile_us(shape))
    }

    /// How urgent a function is that nobody has counted yet: a loop is expected to make its body
    /// worth eight calls. Below the priority of every function whose budget is used up.
    pub(crate) fn expected_priority(&self, shape: Shape) -> u64 {
        let uses = 1 + 8 * u64::from(shape.loops.min(8));
        uses * 1_000 / u64::from(self.compile_us(shape))
    }

    /// Time between two visits of the slow path by a loop that waits for code, when this long passes until a worker gets to what
    /// is queued now. A visit costs little, but a long wait has many.
    pub(crate) fn poll_us(&self, wait_us: u64) -> u32 {
        let share_us = wait_us.saturating_mul(self.poll_percent.into()) / 100;
        saturate(share_us).max(self.poll_us).max(1)
    }

    /// Whether a body may be queued at all.
    pub(crate) fn accepts(&self, shape: Shape) -> bool {
        shape.body_bytes <= self.max_body_bytes
    }

    fn plan(&self, shape: Shape, budget_us: u32, visits_max: u64) -> Plan {
        let visit_ps = self.visit_ps(shape);
        let flips = if shape.indirect_calls { SAMPLES } else { 1 };
        let visits = u64::from(budget_us) * PS_PER_US / visit_ps / flips;
        let visits = visits.clamp(2, visits_max.max(2));
        // Rounded up: a span that is the budget uses it up.
        let span_us =
            saturate(visits.saturating_mul(visit_ps).div_ceil(PS_PER_US)).clamp(1, budget_us);
        Plan {
            budget_us,
            span_us,
            step: i32::try_from(FLIP.div_ceil(visits).next_multiple_of(ENTRIES)).unwrap_or(1 << 30),
        }
    }

    /// How many sites may be visited before the slow path looks for an interrupt. Reckons with more time than is usual,
    /// since here too many visits do harm.
    fn interrupt_visits(&self, shape: Shape) -> u64 {
        let bytes_ps = u64::from(bytes_between(shape)) * u64::from(self.interrupt_ps_per_byte);
        let visit_ps = bytes_ps.saturating_add(self.run_ps_per_visit.into());
        let visits = u64::from(self.interrupt_us) * PS_PER_US / visit_ps.max(1);
        if shape.helpers {
            visits.min(u64::from(self.interrupt_helper_visits))
        } else {
            visits
        }
    }

    /// Time from one site to the next in picoseconds, as it is on average.
    fn visit_ps(&self, shape: Shape) -> u64 {
        let ps_per_byte = if shape.loops > 0 {
            self.loop_ps_per_byte
        } else {
            self.run_ps_per_byte
        };
        let bytes = bytes_between(shape).min(self.visit_bytes_max);
        let bytes_ps = u64::from(bytes) * u64::from(ps_per_byte);
        bytes_ps.saturating_add(self.run_ps_per_visit.into()).max(1)
    }
}

/// Bytes of a body per site.
fn bytes_between(shape: Shape) -> u32 {
    (shape.body_bytes / shape.loops.saturating_add(1)).max(4)
}

impl Plan {
    /// The counter value from which the flip comes after about this time, at most one span: a multiple of the step, so that
    /// the remainder by it stays the number of entries.
    pub(crate) fn rearm(&self, time_us: u32) -> i32 {
        let step = u64::from(self.step.unsigned_abs());
        let share = FLIP * u64::from(time_us.min(self.span_us)) / u64::from(self.span_us);
        let visits = FLIP.saturating_sub(share.max(step)) / step;
        i32::try_from(visits * step).unwrap_or(i32::MAX)
    }

    /// The time to the flip of a counter with this value, in microseconds.
    pub(crate) fn left_us(&self, counter: i32) -> u32 {
        let left = FLIP - u64::from(counter.max(0).unsigned_abs());
        saturate(left * u64::from(self.span_us) / FLIP)
    }
}

/// The number, or the greatest one.
pub(crate) fn saturate(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{FLIP, Plan, Shape, Tuning};

    fn shape(body_bytes: u32, loops: u32, helpers: bool) -> Shape {
        Shape {
            body_bytes,
            loops,
            helpers,
            indirect_calls: false,
        }
    }

    /// Visits until the counter flips, starting at `from`.
    fn flip_after(plan: &Plan, from: i32) -> u64 {
        let step = u64::from(plan.step.unsigned_abs());
        (FLIP - u64::from(from.unsigned_abs())).div_ceil(step)
    }

    #[test]
    fn plans_are_sound_for_every_shape() {
        let tuning = Tuning::default();
        for body_bytes in [0, 1, 2, 30, 1_000, 100_000, 100_001, 7_654_321, u32::MAX] {
            for loops in [0, 1, 7, 5_000, u32::MAX] {
                for interruption in [false, true] {
                    let helpers = body_bytes % 2 == 0;
                    let shape = shape(body_bytes, loops, helpers);
                    let sampled = Shape {
                        indirect_calls: true,
                        ..shape
                    };
                    for plan in [
                        tuning.budget_plan(shape, interruption),
                        tuning.budget_plan(sampled, interruption),
                        tuning.poll_plan(shape),
                    ] {
                        assert!(plan.step > 0, "{shape:?} {plan:?}");
                        assert!(plan.span_us <= plan.budget_us, "{shape:?} {plan:?}");
                        assert!(flip_after(&plan, 0) >= 2, "{shape:?} {plan:?}");
                        for time in [0, 1, 50, plan.span_us, u32::MAX] {
                            let from = plan.rearm(time);
                            assert!(
                                from >= 0 && from % plan.step == 0,
                                "{shape:?} {plan:?} {time}"
                            );
                            let visits = flip_after(&plan, from);
                            assert!(visits >= 1 && visits <= flip_after(&plan, 0));
                        }
                        assert_eq!(plan.rearm(plan.span_us), 0, "{shape:?} {plan:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn budgets_grow_with_size_and_visits_with_smallness() {
        let tuning = Tuning::default();
        let plan = |body_bytes, loops| tuning.budget_plan(shape(body_bytes, loops, false), false);
        assert!(plan(30, 0).budget_us < plan(3_000, 0).budget_us);
        assert!(plan(100_001, 0).budget_us > 3 * plan(100_000, 0).budget_us);
        // The same time is more visits when less happens between two sites.
        assert!(plan(1_000, 9).step < plan(1_000, 0).step);
        // About 0.1 ms in a small function, as other engines are tuned.
        assert!((50..500).contains(&plan(100, 0).budget_us));
    }

    #[test]
    fn interruption_bounds_the_span() {
        let tuning = Tuning::default();
        let plan = |bytes, loops, helpers| tuning.budget_plan(shape(bytes, loops, helpers), true);
        for (bytes, loops) in [(40_000, 400), (90_000, 3), (400_000, 0)] {
            assert!(plan(bytes, loops, false).span_us <= tuning.interrupt_us);
            assert!(plan(bytes, loops, false).budget_us > tuning.interrupt_us);
        }
        // Half a megabyte between two sites may be run through each time.
        assert!(flip_after(&plan(400_000, 0, false), 0) <= 40);
        assert!(flip_after(&plan(40, 1, true), 0) <= 64);
        assert!(flip_after(&plan(40, 1, false), 0) > 10_000);
    }

    #[test]
    fn uncounted_functions_rank_below_counted_ones() {
        let tuning = Tuning::default();
        for body_bytes in [2, 100, 10_000, 1 << 20] {
            for loops in [0, 3, 400] {
                let shape = shape(body_bytes, loops, false);
                let plan = tuning.budget_plan(shape, false);
                assert!(tuning.expected_priority(shape) < tuning.priority(shape, plan.budget_us));
            }
        }
    }
}
