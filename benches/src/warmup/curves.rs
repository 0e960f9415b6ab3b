//! What the curves of a warm-up say: when which part of the work was done, and how fast it went by then.

use crate::schema::WarmupCurve;
use crate::stats::{Estimate, median};

/// Parts of the work in which speed is looked at: long enough that a step that is a little longer than others does
/// not matter.
const WINDOWS: usize = 20;

/// When each step was done, the median over the samples, in ms.
pub(crate) fn median_curve(curve: &WarmupCurve) -> Vec<f64> {
    let steps = curve.samples.iter().map(Vec::len).min().unwrap_or(0);
    let at = |step: usize| curve.samples.iter().map(move |sample| sample[step]);
    (0..steps)
        .filter_map(|step| median(&at(step).collect::<Vec<f64>>()))
        .collect()
}

/// When a part of the work, in per cent, was done.
pub(crate) fn time_to(curve: &[f64], percent: usize) -> Option<f64> {
    let steps = (curve.len() * percent).div_ceil(100);
    curve.get(steps.checked_sub(1)?).copied()
}

/// The same with its interval over the samples.
pub(crate) fn estimate_to(curve: &WarmupCurve, percent: usize) -> Option<Estimate> {
    let times = curve.samples.iter();
    let times: Vec<f64> = times
        .filter_map(|sample| time_to(sample, percent))
        .collect();
    Estimate::of(&times)
}

/// Steps per second over the second half of the work, with its interval over the samples.
pub(crate) fn steady(curve: &WarmupCurve) -> Option<Estimate> {
    let speeds = curve.samples.iter().filter_map(|sample| {
        let half = sample.len() / 2;
        let time = sample.last()? - sample.get(half.checked_sub(1)?)?;
        (time > 0.0).then(|| to_f64(sample.len() - half) * 1000.0 / time)
    });
    Estimate::of(&speeds.collect::<Vec<f64>>())
}

/// For each engine, from when on it worked at 95 % of the best speed: the end of the first twentieth of the work for which
/// it took at most 1/0.95 of the time that the fastest of all engines took for the same twentieth, and likewise for all
/// that was left from there on, so that one lucky twentieth does not count. Comparing the same part of the work lets steps
/// be of different length. None if that never happened.
pub(crate) fn warm_from(curves: &[Vec<f64>]) -> Vec<Option<f64>> {
    let windows: Vec<Vec<Window>> = curves.iter().map(|curve| windows(curve)).collect();
    let best = |index: usize, of: fn(&Window) -> f64| {
        let same = windows.iter().filter_map(|engine| engine.get(index));
        same.map(of).fold(f64::INFINITY, f64::min)
    };
    let as_fast = |index: usize, window: &Window, of: fn(&Window) -> f64| {
        of(window) * 0.95 <= best(index, of)
    };
    let first = |engine: &Vec<Window>| {
        let mut parts = engine.iter().enumerate();
        let found = parts.find(|(index, window)| {
            as_fast(*index, window, |window| window.time)
                && as_fast(*index, window, |window| window.rest)
        });
        found.map(|(_, window)| window.end)
    };
    windows.iter().map(first).collect()
}

/// A part of the work, in ms.
struct Window {
    /// When it was done.
    end: f64,
    /// How long it took.
    time: f64,
    /// How long it and all after it took.
    rest: f64,
}

/// The parts of the work; fewer if there are few steps. The first starts with the first step, so that loading is not
/// counted as work.
fn windows(curve: &[f64]) -> Vec<Window> {
    let (steps, Some(last)) = (curve.len(), curve.last()) else {
        return Vec::new();
    };
    let count = WINDOWS.min(steps - 1);
    let edge = |index: usize| curve[(steps - 1) * index / count];
    let window = |index| Window {
        end: edge(index + 1),
        time: edge(index + 1) - edge(index),
        rest: last - edge(index),
    };
    (0..count).map(window).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{estimate_to, median_curve, steady, time_to, warm_from};
    use crate::schema::WarmupCurve;

    /// An engine that does `slow` steps of 2 ms after `load` ms, then steps of `fast` ms, 100 in all.
    pub(crate) fn curve(engine: &str, load: f64, slow: u32, fast: f64) -> WarmupCurve {
        let sample = |jitter: f64| {
            let step = |index: u32| if index < slow { 2.0 } else { fast };
            let time = |time: &mut f64, index: u32| {
                *time += step(index) * jitter;
                Some(*time)
            };
            (0..100).scan(load, time).collect()
        };
        WarmupCurve {
            engine: engine.to_owned(),
            samples: [1.0, 0.98, 1.03].map(sample).to_vec(),
            problem: None,
        }
    }

    #[test]
    fn figures_of_a_curve() {
        let check = |curve: &WarmupCurve, ten: f64, all: f64, speed: f64| {
            let middle = median_curve(curve);
            assert_eq!(middle.len(), 100);
            let near = |found: Option<f64>, expected: f64| {
                let found = found.expect("100 steps");
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            };
            near(time_to(&middle, 10), ten);
            near(estimate_to(curve, 100).map(|time| time.median), all);
            near(steady(curve).map(|speed| speed.median), speed);
        };
        check(&curve("baseline", 0.0, 100, 1.0), 20.0, 200.0, 500.0);
        check(&curve("optimizing", 50.0, 0, 1.0), 60.0, 150.0, 1000.0);
        check(&curve("dynamic", 0.0, 10, 1.0), 20.0, 110.0, 1000.0);
    }

    #[test]
    fn warm_is_as_fast_as_the_fastest() {
        let check = |curves: &[WarmupCurve], expected: &[Option<f64>]| {
            let curves: Vec<Vec<f64>> = curves.iter().map(median_curve).collect();
            let found = warm_from(&curves);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let same = match (found, expected) {
                    (Some(found), Some(expected)) => (found - expected).abs() < 1e-6,
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
                assert!(same, "{found:?} {expected:?}");
            }
        };
        check(
            &[
                curve("baseline", 0.0, 100, 1.0),
                curve("optimizing", 50.0, 0, 1.0),
                curve("dynamic", 0.0, 10, 1.0),
            ],
            &[None, Some(55.0), Some(25.0)],
        );
        check(&[curve("alone", 0.0, 100, 1.0)], &[Some(10.0)]);
        check(&[], &[]);
    }

    #[test]
    fn no_steps_no_figures() {
        let none = WarmupCurve {
            engine: "none".to_owned(),
            samples: vec![vec![], vec![]],
            problem: None,
        };
        assert!(median_curve(&none).is_empty() && steady(&none).is_none());
        assert_eq!(time_to(&[], 50), None);
        assert_eq!(warm_from(&[vec![], vec![1.0]]), [None, None]);
    }
}
