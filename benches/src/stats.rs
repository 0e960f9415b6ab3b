//! Medians, bootstrap intervals, ratios pair by pair and geometric means.
//!
//! Samples of a shared machine have long tails to one side, so that means and standard deviations say
//! little. What is used instead: medians; the percentile bootstrap for their 95 % intervals
//! (Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 13); and ratios within a round, whose
//! samples were taken close together, so that slow drifts of the machine cancel.

/// Resamplings of a bootstrap: enough for the second digit of a 95 % interval.
const RESAMPLINGS: usize = 2000;

/// A median and the interval that holds it with 95 % confidence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) minimum: f64,
    /// Lower end of the interval; the median itself if there are fewer than three values.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
    /// How many values there are.
    pub(crate) count: usize,
}

impl Estimate {
    /// Of some values; none of none, or if one of them is not a number.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let minimum = values.iter().copied().reduce(f64::min)?;
        let median = median(values)?;
        let (low, high) = bootstrap(values, |sample| self::median(sample).unwrap_or(median));
        Some(Self {
            median,
            minimum,
            low,
            high,
            count: values.len(),
        })
    }
}

/// The middle value, or the mean of the two in the middle; none of none, or if one is not a number.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    Some(if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    })
}

/// The arithmetic mean; none of none.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    let count = u32::try_from(values.len())
        .ok()
        .filter(|count| *count > 0)?;
    Some(values.iter().sum::<f64>() / f64::from(count))
}

/// The geometric mean of positive values; none of none.
pub(crate) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let mut count = 0.0;
    let mut sum = 0.0;
    for value in values {
        sum += value.ln();
        count += 1.0;
    }
    (count > 0.0).then(|| (sum / count).exp())
}

/// A geometric mean over programs, each of which has some values (ratios of single rounds, say): the mean of their
/// medians, with an interval from resampling the values within each program; no wider than
/// the mean if a program has fewer than three.
pub(crate) fn geometric_mean_of_medians(programs: &[Vec<f64>]) -> Option<Estimate> {
    let medians: Option<Vec<f64>> = programs.iter().map(|values| median(values)).collect();
    let center = geometric_mean(&medians?)?;
    let mut random = Random::new();
    let mut means: Vec<f64> = Vec::with_capacity(RESAMPLINGS);
    let mut sample = Vec::new();
    for _ in 0..RESAMPLINGS {
        let resampled = programs.iter().map(|values| {
            random.resample(values, &mut sample);
            median(&sample).unwrap_or(f64::NAN)
        });
        let resampled: Vec<f64> = resampled.collect();
        means.push(geometric_mean(&resampled).unwrap_or(center));
    }
    // A program without spread would make the interval narrower than it is.
    let (low, high) = if programs.iter().any(|values| values.len() < 3) {
        (center, center)
    } else {
        percentiles(&mut means)
    };
    let minimum = means.iter().copied().fold(center, f64::min);
    Some(Estimate {
        median: center,
        minimum,
        low,
        high,
        count: programs.len(),
    })
}

/// The percentile interval of a statistic; the statistic itself twice if there are fewer than three values.
fn bootstrap(values: &[f64], statistic: impl Fn(&[f64]) -> f64) -> (f64, f64) {
    if values.len() < 3 {
        let center = statistic(values);
        return (center, center);
    }
    let mut random = Random::new();
    let mut sample = Vec::with_capacity(values.len());
    let mut found: Vec<f64> = Vec::with_capacity(RESAMPLINGS);
    for _ in 0..RESAMPLINGS {
        random.resample(values, &mut sample);
        found.push(statistic(&sample));
    }
    percentiles(&mut found)
}

/// What 2.5 % and 97.5 % of the values lie below.
fn percentiles(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    (values[last * 25 / 1000], values[last - last * 25 / 1000])
}

/// The earlier and the later values of something.
pub(crate) type BeforeAfter = (Vec<f64>, Vec<f64>);

/// The median of `after` divided by that of `before`, whose values do not belong together in pairs. The interval is the
/// value itself if either has fewer than three; none if either has none, or one that is not positive.
pub(crate) fn ratio_of_medians(before: &[f64], after: &[f64]) -> Option<Estimate> {
    mean_ratio_of_medians(&[(before.to_vec(), after.to_vec())])
}

/// The geometric mean over programs of [`ratio_of_medians`]; `count` is the number of programs.
pub(crate) fn mean_ratio_of_medians(programs: &[BeforeAfter]) -> Option<Estimate> {
    let positive = |values: &Vec<f64>| values.iter().all(|value| *value > 0.0);
    if !programs.iter().all(|(a, b)| positive(a) && positive(b)) {
        return None;
    }
    let ratios: Option<Vec<f64>> = programs
        .iter()
        .map(|(before, after)| Some(median(after)? / median(before)?))
        .collect();
    let center = geometric_mean(&ratios?)?;
    let mut random = Random::new();
    let mut found: Vec<f64> = Vec::with_capacity(RESAMPLINGS);
    let mut sample = Vec::new();
    for _ in 0..RESAMPLINGS {
        let ratios = programs.iter().map(|(before, after)| {
            random.resample(before, &mut sample);
            let below = median(&sample).unwrap_or(f64::NAN);
            random.resample(after, &mut sample);
            median(&sample).unwrap_or(f64::NAN) / below
        });
        let ratios: Vec<f64> = ratios.collect();
        found.push(geometric_mean(&ratios).unwrap_or(center));
    }
    let few = |(before, after): &BeforeAfter| before.len() < 3 || after.len() < 3;
    let (low, high) = if programs.iter().any(few) {
        (center, center)
    } else {
        percentiles(&mut found)
    };
    Some(Estimate {
        median: center,
        minimum: found.iter().copied().fold(center, f64::min),
        low,
        high,
        count: programs.len(),
    })
}

/// xorshift64* with a fixed seed: the same samples always give the same interval.
pub(crate) struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// A sequence of its own for each seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        // Odd multipliers permute the numbers; the state must not be 0, which only one seed would give.
        let state = seed
            .wrapping_mul(0x2545_f491_4f6c_dd1d)
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        Self(state.max(1))
    }

    /// Puts values into a random order.
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let other = self.below(last + 1);
            values.swap(last, other);
        }
    }

    /// A number from 0 to `limit` - 1, where `limit` is less than 2^32.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from((self.next() * (limit as u64)) >> 32).unwrap_or(0)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// As many values as there are, each drawn from all of them.
    fn resample(&mut self, values: &[f64], into: &mut Vec<f64>) {
        into.clear();
        let count = values.len() as u64;
        for _ in 0..values.len() {
            let index = usize::try_from((self.next() * count) >> 32).unwrap_or(0);
            into.push(values[index]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Estimate, Random, geometric_mean, geometric_mean_of_medians, mean_ratio_of_medians, median,
        ratio_of_medians,
    };

    #[test]
    fn medians() {
        let check = |values: &[f64], expected: Option<f64>| {
            assert_eq!(median(values), expected, "{values:?}")
        };
        check(&[], None);
        check(&[f64::NAN, 1.0], None);
        check(&[3.0, 1.0, 2.0], Some(2.0));
        check(&[4.0, 1.0, 2.0, 3.0], Some(2.5));
    }

    #[test]
    fn intervals() {
        let check = |values: &[f64], low: [f64; 2], high: [f64; 2]| {
            let estimate = Estimate::of(values).expect("values");
            assert!((low[0]..=low[1]).contains(&estimate.low), "{estimate:?}");
            assert!((high[0]..=high[1]).contains(&estimate.high), "{estimate:?}");
        };
        check(&[5.0, 7.0], [6.0, 6.0], [6.0, 6.0]);
        check(&[2.0; 9], [2.0, 2.0], [2.0, 2.0]);
        // Exact for a median of 15: the 4th and the 12th; the bootstrap may be one narrower.
        let values: Vec<f64> = (1..=15).map(f64::from).collect();
        check(&values, [4.0, 5.0], [11.0, 12.0]);
    }

    #[test]
    fn geometric_means() {
        let mean = geometric_mean(&[2.0, 8.0]).expect("values");
        assert!((mean - 4.0).abs() < 1e-12);
        assert_eq!(geometric_mean(&[]), None);
        let programs = [vec![1.9, 2.0, 2.1], vec![7.0, 8.0, 9.0]];
        let estimate = geometric_mean_of_medians(&programs).expect("values");
        assert!((estimate.median - 4.0).abs() < 1e-12);
        assert!(
            estimate.low < 4.0 && estimate.high > 4.0 && estimate.low > 3.6 && estimate.high < 4.4,
            "{estimate:?}"
        );
        assert_eq!(geometric_mean_of_medians(&[vec![], vec![1.0]]), None);
    }

    #[test]
    fn unpaired_ratios() {
        let check = |before: &[f64], after: &[f64], expected: Option<(f64, f64, f64)>| {
            let found = ratio_of_medians(before, after).map(|e| (e.low, e.median, e.high));
            assert_eq!(found, expected, "{before:?} {after:?}");
        };
        check(&[2.0; 5], &[3.0; 5], Some((1.5, 1.5, 1.5)));
        check(&[2.0, 4.0], &[3.0; 5], Some((1.0, 1.0, 1.0)));
        check(&[], &[1.0], None);
        check(&[0.0], &[1.0], None);
        let wide = ratio_of_medians(&[1.0, 2.0, 4.0], &[2.0, 2.0, 2.0]).expect("values");
        assert!(wide.low < 1.0 && wide.high > 1.0, "{wide:?}");
        let both = mean_ratio_of_medians(&[(vec![1.0], vec![2.0]), (vec![1.0], vec![8.0])]);
        let both = both.expect("values");
        assert!((both.median - 4.0).abs() < 1e-9 && both.count == 2);
    }

    #[test]
    fn orders() {
        let order = |seed: u64| {
            let mut values: Vec<u32> = (0..20).collect();
            Random::seeded(seed).shuffle(&mut values);
            values
        };
        assert_eq!(order(5), order(5));
        assert_ne!(order(5), order(6));
        let mut sorted = order(7);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<u32>>());
    }
}
