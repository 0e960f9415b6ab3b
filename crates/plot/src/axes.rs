//! Scales from values to positions, their ticks, and figures as text.

use crate::canvas::{Anchor, Canvas, GRID, INK, Point, Type};

/// Ticks on an axis that is divided evenly.
const MOST_STEPS: f64 = 10.0;

/// Maps values to positions on a page.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    log: bool,
    low: f64,
    high: f64,
    /// Where `low` and `high` are on the page.
    pixels: (f64, f64),
}

impl Scale {
    /// From zero to a little more than the greatest value.
    pub fn from_zero(high: f64, pixels: (f64, f64)) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        Self {
            log: false,
            low: 0.0,
            high,
            pixels,
        }
    }

    /// Logarithmic, over all values and a little more; values that are not positive are left out.
    pub fn log(values: impl IntoIterator<Item = f64>, pixels: (f64, f64)) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.into_iter().filter(|v| *v > 0.0 && v.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (1.0, 1.0);
        }
        // At least from two thirds to three halves of a lonely value: otherwise noise would look like much.
        let margin = (high / low)
            .powf(0.04)
            .max((2.0 / (high / low)).sqrt())
            .max(1.05);
        Self {
            log: true,
            low: low / margin,
            high: high * margin,
            pixels,
        }
    }

    /// The same scale elsewhere on the page.
    pub fn moved(self, pixels: (f64, f64)) -> Self {
        Self { pixels, ..self }
    }

    /// Whether the value is on it.
    pub fn holds(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Where a value is on the page; values beyond an end are at the end.
    pub fn at(&self, value: f64) -> f64 {
        let part = if self.log {
            let value = value.max(f64::MIN_POSITIVE);
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let (from, to) = self.pixels;
        from + part.clamp(0.0, 1.0) * (to - from)
    }

    /// Round values, no closer to each other than `apart` pixels.
    pub fn ticks(&self, apart: f64) -> Vec<f64> {
        let length = (self.pixels.1 - self.pixels.0).abs();
        let most = (length / apart).clamp(2.0, MOST_STEPS);
        if self.log {
            self.log_ticks(apart, most)
        } else {
            steps(self.low, self.high, most)
        }
    }

    fn log_ticks(&self, apart: f64, most: f64) -> Vec<f64> {
        const FINE: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        const HALVES: [f64; 6] = [1.0, 1.5, 2.0, 3.0, 5.0, 7.0];
        let sets: [&[f64]; 5] = [&FINE, &HALVES, &[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
        let fitting = |least: usize| {
            let sets = sets.iter().map(|set| self.decades(set));
            let fits = |ticks: &Vec<f64>| {
                let apart = |pair: &[f64]| (self.at(pair[1]) - self.at(pair[0])).abs() >= apart;
                ticks.len() >= least && ticks.windows(2).all(apart)
            };
            sets.into_iter().find(fits)
        };
        if let Some(ticks) = fitting(3) {
            return ticks;
        }
        if self.high / self.low < 5.0 {
            return steps(self.low, self.high, most);
        }
        if let Some(ticks) = fitting(2) {
            return ticks;
        }
        let ticks = self.decades(&[1.0]);
        let every = (ticks.len() * 10).div_ceil(1 + whole(most) * 10).max(1);
        ticks.into_iter().step_by(every).collect()
    }

    fn decades(&self, set: &[f64]) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut power = 10.0_f64.powf(self.low.log10().floor());
        while power <= self.high && ticks.len() < 400 {
            ticks.extend(set.iter().map(|digit| digit * power));
            power *= 10.0;
        }
        ticks.retain(|tick| self.holds(*tick));
        ticks
    }
}

/// At most `most` multiples of a round number.
fn steps(low: f64, high: f64, most: f64) -> Vec<f64> {
    let least = (high - low) / most;
    let power = 10.0_f64.powf(least.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let step = round.into_iter().find(|step| *step >= least);
    let step = step.unwrap_or(power * 10.0);
    let first = (low / step).ceil();
    let count = ((high / step).floor() - first).clamp(0.0, 100.0);
    (0..=whole(count))
        .map(|index| (first + f64::from(index_of(index))) * step)
        .collect()
}

fn index_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped"
)]
fn whole(value: f64) -> usize {
    value.clamp(0.0, 1e6) as usize
}

/// A plane with two axes.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The horizontal axis.
    pub x: Scale,
    /// The vertical one.
    pub y: Scale,
}

impl Frame {
    /// Where a pair of values is on the page.
    pub fn at(&self, x: f64, y: f64) -> Point {
        (self.x.at(x), self.y.at(y))
    }

    /// Grid lines, the figures of both axes, and their titles.
    pub fn draw(&self, canvas: &mut Canvas<'_>, x_title: &str, y_title: &str, unit: &str) {
        let (left, right) = self.x.pixels;
        let (bottom, top) = self.y.pixels;
        columns(canvas, &self.x, (top, bottom), "");
        for tick in self.y.ticks(22.0) {
            let y = self.y.at(tick);
            canvas.line(&[(left, y), (right, y)], GRID, 1.0);
            let text = format!("{}{unit}", figure(tick));
            canvas.text((left - 6.0, y), Anchor::Right, &text, Type::SMALL);
        }
        canvas.line(&[(left, top), (left, bottom), (right, bottom)], INK, 1.0);
        let middle = f64::midpoint(left, right);
        canvas.text(
            (middle, bottom + 34.0),
            Anchor::Center,
            x_title,
            Type::FAINT,
        );
        let middle = f64::midpoint(bottom, top);
        canvas.text((left - 46.0, middle), Anchor::Upward, y_title, Type::FAINT);
    }
}

/// Vertical grid lines from `rows.0` down to `rows.1` with figures below.
pub fn columns(canvas: &mut Canvas<'_>, x: &Scale, rows: (f64, f64), unit: &str) {
    for tick in x.ticks(34.0) {
        let at = x.at(tick);
        canvas.line(&[(at, rows.0), (at, rows.1)], GRID, 1.0);
        let text = format!("{}{unit}", figure(tick));
        canvas.text((at, rows.1 + 12.0), Anchor::Center, &text, Type::SMALL);
    }
}

/// A figure with three digits, without zeros at its end.
pub fn figure(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0" } else { "–" }.to_owned();
    }
    let magnitude = value.abs().log10();
    let decimals = if magnitude >= 2.0 {
        0
    } else {
        whole(2.0 - magnitude.floor()).min(9)
    };
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return grouped(&text);
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A time in ms, in s where that is easier to read.
pub fn time(ms: f64) -> String {
    if ms >= 9999.5 {
        format!("{} s", figure(ms / 1000.0))
    } else {
        format!("{} ms", figure(ms))
    }
}

/// A figure with three digits and those of its zeros that say how exact it is.
pub fn exact(value: f64) -> String {
    let decimals = if value.abs() >= 99.95 {
        0
    } else if value.abs() >= 9.995 {
        1
    } else {
        2
    };
    grouped(&format!("{value:.decimals$}"))
}

/// Thin spaces between groups of three digits.
fn grouped(digits: &str) -> String {
    if digits.contains('.') || digits.len() < 5 {
        return digits.to_owned();
    }
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Scale, exact, figure};

    #[test]
    fn figures() {
        let check = |value: f64, short: &str, long: &str| {
            assert_eq!(figure(value), short);
            assert_eq!(exact(value), long);
        };
        check(0.0, "0", "0.00");
        check(1.0, "1", "1.00");
        check(0.25, "0.25", "0.25");
        check(0.001_234, "0.00123", "0.00");
        check(12.34, "12.3", "12.3");
        check(1234.0, "1234", "1234");
        check(123_456.0, "123\u{202f}456", "123\u{202f}456");
    }

    #[test]
    fn ticks_are_round_and_apart() {
        let check = |scale: Scale, expected: &[f64]| {
            let ticks = scale.ticks(40.0);
            let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
            assert!(
                ticks.len() == expected.len() && ticks.iter().zip(expected).all(near),
                "{ticks:?}"
            );
        };
        check(
            Scale::from_zero(10.0, (0.0, 220.0)),
            &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0],
        );
        check(
            Scale::log([1.0, 100.0], (0.0, 400.0)),
            &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
        );
        check(
            Scale::log([1.0, 1000.0], (0.0, 150.0)),
            &[1.0, 10.0, 100.0, 1000.0],
        );
        check(
            Scale::log([0.7, 3.0], (0.0, 220.0)),
            &[0.7, 1.0, 1.5, 2.0, 3.0],
        );
        check(Scale::log([1.0, 1.2], (0.0, 200.0)), &[0.8, 1.0, 1.2, 1.4]);
    }

    #[test]
    fn positions() {
        let scale = Scale::log([1.0, 1.0], (10.0, 20.0));
        assert!((scale.at(1.0) - 15.0).abs() < 1e-9);
        assert!((scale.at(1e9) - 20.0).abs() < 1e-9);
        assert!((Scale::from_zero(4.0, (100.0, 0.0)).at(1.0) - 75.0).abs() < 1e-9);
    }
}
