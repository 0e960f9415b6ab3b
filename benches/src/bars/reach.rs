//! From when on a loop runs as fast as it ever will.
//!
//! A program tells when each of many equal steps was done. The *pace* of a stretch is the median time of its steps: a step in
//! which the scheduler took the processor away is longer, and says nothing of the code.

use crate::stats::median;

/// Steps over which the pace is taken, some milliseconds.
const WINDOW: usize = 20;
/// As fast is what takes at most so much longer.
const SLOWER: f64 = 1.0 / 0.95;

/// The times of single steps, in ms.
pub(super) struct Pace(Vec<f64>);

impl Pace {
    /// Of the moments at which steps were done.
    pub(super) fn of(steps_ms: &[f64]) -> Self {
        let pairs = steps_ms.windows(2);
        Self(pairs.map(|pair| pair[1] - pair[0]).collect())
    }

    /// The pace of the second half; none if there are too few steps.
    pub(super) fn steady(&self) -> Option<f64> {
        let half = self.0.get(self.0.len() / 2..)?;
        (half.len() >= WINDOW).then(|| median(half))?
    }
}

/// When the first window of steps began that was as fast as `steady`, at 0.95 of its speed or more, if all that came after
/// was so too, taken together. In ms since whatever the moments count from.
pub(super) fn reached(steps_ms: &[f64], steady: f64) -> Option<f64> {
    let pace = Pace::of(steps_ms).0;
    let fast = |steps: &[f64]| median(steps).is_some_and(|pace| pace <= steady * SLOWER);
    let last = pace.len().checked_sub(WINDOW)?;
    let found = (0..=last).find(|at| fast(&pace[*at..*at + WINDOW]) && fast(&pace[*at..]))?;
    // The window may have begun before the last slow step was over: half of it may be slow.
    let slow = pace[found..found + WINDOW / 2]
        .iter()
        .rposition(|step| *step > steady * SLOWER);
    steps_ms
        .get(slow.map_or(found, |slow| found + slow + 1))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::{Pace, reached};

    /// So many steps, each of so many ms, one row after the other.
    fn steps(rows: &[(usize, f64)]) -> Vec<f64> {
        let times = rows
            .iter()
            .flat_map(|(count, ms)| std::iter::repeat_n(*ms, *count));
        let add = |now: &mut f64, ms| {
            *now += ms;
            Some(*now)
        };
        times.scan(0.0, add).collect()
    }

    #[test]
    fn the_moment_of_the_change_is_found() {
        let check = |rows: &[(usize, f64)], expected: Option<f64>| {
            assert_eq!(reached(&steps(rows), 1.0), expected, "{rows:?}");
        };
        check(&[(50, 2.0), (100, 1.0)], Some(100.0));
        check(&[(100, 1.0)], Some(1.0));
        check(&[(50, 2.0), (100, 1.04)], Some(100.0));
        check(&[(50, 2.0), (100, 1.125)], None);
        // A step that was interrupted changes nothing, nor does a lucky one.
        check(&[(50, 2.0), (30, 1.0), (1, 8.0), (70, 1.0)], Some(100.0));
        check(&[(20, 2.0), (3, 1.0), (27, 2.0), (100, 1.0)], Some(97.0));
        // Fast for a while only.
        check(&[(50, 1.0), (100, 2.0)], None);
        check(&[(5, 1.0)], None);
    }

    #[test]
    fn steady_is_the_second_half() {
        let pace = |rows: &[(usize, f64)]| Pace::of(&steps(rows)).steady();
        assert_eq!(pace(&[(100, 2.0), (110, 1.0)]), Some(1.0));
        assert_eq!(pace(&[(100, 1.0), (5, 9.0)]), Some(1.0));
        assert_eq!(pace(&[(10, 1.0)]), None);
        assert_eq!(pace(&[]), None);
    }
}
