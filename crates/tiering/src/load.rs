//! What compiling in the background costs, measured while running.
//!
//! Three things are measured at each compile of a worker, all for the engine as a whole:
//!
//! * its *scale*: processor time over predicted time. A body whose compile takes longer must be hotter.
//! * its *crowding*: how much of the time the worker waited for a core. A compile on an idle core costs the guest a few
//!   percent of its speed for that long; one that has to share the guest's core takes time from it. What looks like a share of
//!   half is all that a fair scheduler lets the worker have then, so that much waiting counts as fully crowded.
//! * its processor time, which is taken from an *account*. The account fills with the time that passes, by a share that
//!   depends on the crowding, up to a burst. While it is overdrawn, with what is queued and being compiled, nobody
//!   queues more. So whatever estimates and budgets get wrong, compiling takes no more than its share, and
//!   what a guest loses to it is bounded by that share times the crowding.
//!
//! Estimates are relaxed atomics: racing workers lose a sample at worst.

use crate::budget::{Plan, saturate};
use crate::tuning::Tuning;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One, of numbers that are fractions.
const ONE: u32 = 1_024;
/// Bounds of the scale: a quarter, and four.
const SCALE: std::ops::RangeInclusive<u32> = ONE / 4..=ONE * 4;
/// A compile that took less says nothing of how crowded the cores are, in microseconds.
const CROWDING_MIN_US: u32 = 200;

/// What a piece of work took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cost {
    /// Processor time of the thread in microseconds.
    pub(crate) cpu_us: u32,
    /// Time that passed in microseconds.
    pub(crate) wall_us: u32,
}

/// Measures the work of the thread that makes it.
pub(crate) struct Stopwatch {
    cpu: Duration,
    wall: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            cpu: thread_time(),
            wall: Instant::now(),
        }
    }

    /// The cost since the start; for the thread that started it.
    pub(crate) fn stop(&self) -> Cost {
        Cost {
            cpu_us: micros(thread_time().saturating_sub(self.cpu)),
            wall_us: micros(self.wall.elapsed()),
        }
    }
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn micros(time: Duration) -> u32 {
    saturate(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// What is queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Backlog {
    /// Predicted time of jobs that wait, in microseconds.
    pub(crate) queued_us: u64,
    /// Predicted time of jobs that are being compiled, in microseconds.
    pub(crate) running_us: u64,
    /// Number of workers, at least 1.
    pub(crate) workers: u32,
}

impl Backlog {
    /// Time until a worker gets to a job that is queued now, in microseconds.
    pub(crate) fn wait_us(&self) -> u64 {
        self.queued_us.saturating_add(self.running_us) / u64::from(self.workers.max(1))
    }
}

/// Compile time that may be spent.
#[derive(Clone, Copy, Debug)]
struct Account {
    level_us: i64,
    /// When it was last filled, in microseconds since the engine was made.
    at_us: u64,
}

/// What is known of the cost of compiling.
#[derive(Debug)]
pub(crate) struct Load {
    started: Instant,
    scale: AtomicU32,
    crowding: AtomicU32,
    account: Mutex<Account>,
}

impl Load {
    /// Predictions are taken as they are, and as many cores for idle as the guest leaves.
    pub(crate) fn new(tuning: &Tuning, cores: usize) -> Self {
        Self {
            started: Instant::now(),
            scale: AtomicU32::new(ONE),
            crowding: AtomicU32::new(if cores > 1 { 0 } else { ONE }),
            account: Mutex::new(Account {
                level_us: tuning.compile_burst_us.into(),
                at_us: 0,
            }),
        }
    }

    /// Microseconds since it was made.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Takes a finished compile of a worker into account.
    pub(crate) fn record(&self, predicted_us: u32, cost: Cost) {
        let sample = u64::from(cost.cpu_us) * u64::from(ONE) / u64::from(predicted_us.max(1));
        average(
            &self.scale,
            saturate(sample).clamp(*SCALE.start(), *SCALE.end()),
        );
        if cost.wall_us >= CROWDING_MIN_US {
            let waited_us = u64::from(cost.wall_us.saturating_sub(cost.cpu_us));
            let sample = waited_us * 2 * u64::from(ONE) / u64::from(cost.wall_us);
            average(&self.crowding, saturate(sample).min(ONE));
        }
        let mut account = self.account();
        account.level_us = account.level_us.saturating_sub(cost.cpu_us.into());
    }

    /// The time that a function must have spent in baseline code before it is queued. A job that waits long had better be
    /// worth it, so the queue raises the bar.
    pub(crate) fn required_us(&self, tuning: &Tuning, plan: &Plan, backlog: Backlog) -> u32 {
        let one = u64::from(ONE);
        let scale = u64::from(self.scale.load(Ordering::Relaxed));
        let busy = blend(one, one * u64::from(tuning.busy_factor), self.crowding());
        let scaled = (u64::from(plan.budget_us) * scale / one).saturating_mul(busy) / one;
        let queue = backlog
            .wait_us()
            .saturating_mul(tuning.queue_percent.into())
            / 100;
        saturate(scaled.saturating_add(queue.min(scaled))).max(1)
    }

    /// How long until the account allows for another compile, in microseconds; 0 is now.
    pub(crate) fn wait_us(&self, tuning: &Tuning, backlog: Backlog, now_us: u64) -> u32 {
        let idle = u64::from(tuning.compile_share_percent) * u64::from(backlog.workers.max(1));
        let percent = blend(idle, tuning.busy_share_percent.into(), self.crowding()).max(1);
        let mut account = self.account();
        let passed_us = now_us.saturating_sub(account.at_us);
        let earned = i64::try_from(passed_us.saturating_mul(percent) / 100).unwrap_or(i64::MAX);
        // What is less than a microsecond stays to be earned.
        if earned > 0 {
            let burst = i64::from(tuning.compile_burst_us);
            account.level_us = account.level_us.saturating_add(earned).min(burst);
            account.at_us = now_us.max(account.at_us);
        }
        let pending = backlog.queued_us.saturating_add(backlog.running_us);
        let pending = i64::try_from(pending).unwrap_or(i64::MAX);
        let missing = pending.saturating_sub(account.level_us);
        let missing = u64::try_from(missing).unwrap_or(0);
        saturate(missing.saturating_mul(100) / percent)
    }

    fn crowding(&self) -> u32 {
        self.crowding.load(Ordering::Relaxed)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves an average an eighth of the way to a sample.
fn average(value: &AtomicU32, sample: u32) {
    let old = value.load(Ordering::Relaxed);
    let new = (u64::from(old) * 7 + u64::from(sample)) / 8;
    // The eighth that is lost to rounding must not keep it from the sample.
    let new = if saturate(new) == old {
        old + u32::from(sample > old)
    } else {
        saturate(new)
    };
    value.store(new, Ordering::Relaxed);
}

/// Between two numbers.
fn blend(idle: u64, busy: u64, crowding: u32) -> u64 {
    let (one, crowding) = (u64::from(ONE), u64::from(crowding.min(ONE)));
    idle.saturating_mul(one - crowding)
        .saturating_add(busy.saturating_mul(crowding))
        / one
}

#[cfg(test)]
mod tests {
    use super::{Backlog, Cost, Load};
    use crate::budget::{Plan, Shape};
    use crate::tuning::Tuning;

    const TUNING: Tuning = Tuning::DEFAULT;

    fn plan() -> Plan {
        let shape = Shape {
            body_bytes: 1_000,
            loops: 0,
            helpers: false,
            indirect_calls: false,
        };
        TUNING.budget_plan(shape, false)
    }

    fn queued(queued_us: u64, workers: u32) -> Backlog {
        Backlog {
            queued_us,
            running_us: 0,
            workers,
        }
    }

    /// What a machine is like: cores, predicted and measured time of a hundred compiles, queue -> budget in percent of the
    /// predicted one.
    #[test]
    fn budgets_follow_what_is_measured() {
        let same = (1_000, 1_000, 1_000);
        for (cores, (predicted_us, cpu_us, wall_us), backlog, expected) in [
            (2, same, queued(0, 1), 100),
            // Compiles take twice as long as predicted, half as long, and no time at all.
            (2, (1_000, 2_000, 2_000), queued(0, 1), 200),
            (2, (1_000, 500, 500), queued(0, 1), 50),
            (2, (1_000, 0, 0), queued(0, 1), 25),
            (2, (1_000, 900_000, 900_000), queued(0, 1), 400),
            // The worker gets half a core, or hardly any; on one core too, once it has measured.
            (2, (1_000, 1_000, 2_000), queued(0, 1), 500),
            (2, (1_000, 1_000, 90_000), queued(0, 1), 500),
            (2, (1_000, 1_000, 1_333), queued(0, 1), 300),
            (1, same, queued(0, 1), 100),
            // Too short to tell.
            (1, (10, 10, 10), queued(0, 1), 500),
            // A quarter of the queue's time is added, at most the budget itself.
            (2, same, queued(540, 1), 110),
            (2, same, queued(540, 2), 105),
            (2, same, queued(u64::MAX, 1), 200),
        ] {
            let load = Load::new(&TUNING, cores);
            for _ in 0..100 {
                load.record(predicted_us, Cost { cpu_us, wall_us });
            }
            let required = load.required_us(&TUNING, &plan(), backlog) * 100 / plan().budget_us;
            let case = (cores, predicted_us, cpu_us, wall_us, backlog);
            assert!(required.abs_diff(expected) <= 2, "{case:?}: {required}");
        }
    }

    /// The account fills by its share of the time, up to the burst, and what is pending counts as spent.
    #[test]
    fn the_account_bounds_what_is_spent() {
        let burst = u64::from(TUNING.compile_burst_us);
        let load = Load::new(&TUNING, 2);
        let wait = |backlog, now_us| u64::from(load.wait_us(&TUNING, backlog, now_us));
        assert_eq!(wait(queued(0, 1), 0), 0);
        assert_eq!(wait(queued(burst, 1), 0), 0);
        assert_eq!(wait(queued(burst + 500, 1), 0), 500);
        assert_eq!(
            wait(queued(burst + 500, 2), 0),
            250,
            "two workers earn more"
        );
        assert_eq!(
            wait(queued(burst + 500, 1), 1 << 40),
            500,
            "no more than the burst is saved"
        );
        let now = 1 << 40;
        let debt = 3 * TUNING.compile_burst_us;
        let (cpu_us, wall_us) = (debt, debt);
        load.record(debt, Cost { cpu_us, wall_us });
        assert_eq!(wait(queued(0, 1), now), 2 * burst);
        assert_eq!(wait(queued(0, 1), now + burst), burst);
        assert_eq!(wait(queued(0, 1), now + 2 * burst), 0);

        // Without an idle core there is less to spend.
        let load = Load::new(&TUNING, 1);
        let busy = u64::from(TUNING.busy_share_percent);
        let wait = load.wait_us(&TUNING, queued(burst + 300, 1), 0);
        assert_eq!(u64::from(wait), 300 * 100 / busy);
    }

    /// No thresholds and no load make the arithmetic panic or stop for good.
    #[test]
    fn extremes_are_harmless() {
        for value in [0, 1, u32::MAX] {
            let tuning = Tuning {
                budget_percent: value,
                busy_factor: value,
                queue_percent: value,
                compile_share_percent: value,
                busy_share_percent: value,
                compile_burst_us: value,
                ..TUNING
            };
            for cores in [0, 1, 64] {
                let load = Load::new(&tuning, cores);
                for us in [0, 1, u32::MAX] {
                    let (cpu_us, wall_us) = (us, u32::MAX - us);
                    load.record(us, Cost { cpu_us, wall_us });
                    for backlog in [queued(0, 0), queued(u64::MAX, u32::MAX)] {
                        assert!(load.required_us(&tuning, &plan(), backlog) >= 1);
                        load.wait_us(&tuning, backlog, 0);
                        load.wait_us(&tuning, backlog, u64::MAX);
                    }
                }
            }
        }
    }
}
