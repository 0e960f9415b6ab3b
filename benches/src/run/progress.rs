//! How far a run is, and how long it will take: a bar on a terminal, a line per round elsewhere.

use super::plan::{Cell, Plan};
use crate::engine::Engine;
use crate::manifest::Program;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// The state of a run.
pub(super) struct Progress {
    bar: ProgressBar,
    /// Rounds that are wanted; `--quick` may take more.
    rounds: u32,
    /// How long the last sample of each cell took, in ms.
    known: Vec<(Cell, f64)>,
    /// Samples taken since the warm-up.
    taken: u64,
    /// In the warm-up.
    warming_up: bool,
}

impl Progress {
    pub(super) fn new(plan: &Plan, rounds: u32, warm_up: bool) -> Self {
        let cells = as_u64(plan.cells.len());
        let first = if warm_up {
            as_u64(plan.pairs().len())
        } else {
            0
        };
        let bar = ProgressBar::new(first + cells * u64::from(rounds));
        // A template that is a constant is good or never was.
        if let Ok(style) = ProgressStyle::with_template("{elapsed} {wide_bar} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            rounds,
            known: Vec::new(),
            taken: 0,
            warming_up: warm_up,
        }
    }

    /// A sample begins.
    pub(super) fn begin(&self, what: &str, engine: Engine, program: &Program, size: &str) {
        let left = match self.left() {
            Some(left) => format!(", {} left", minutes(left)),
            None => String::new(),
        };
        self.bar
            .set_message(format!("{what}: {} {size} {engine}{left}", program.name));
    }

    /// A sample has been taken.
    pub(super) fn taken(&mut self, cell: &Cell, ms: f64, plan: &Plan) {
        self.known.retain(|(known, _)| known != cell);
        self.known.push((cell.clone(), ms));
        self.bar.inc(1);
        if !self.warming_up {
            self.taken += 1;
        }
        let all = as_u64(plan.cells.len()) * u64::from(self.rounds);
        let done = self.bar.position() - self.taken;
        self.bar.set_length((done + all).max(self.bar.position()));
    }

    /// Prints a line above the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub(super) fn warmed_up(&mut self, took: Duration) {
        self.warming_up = false;
        self.line(&format!("warm-up: {:.1} s", took.as_secs_f64()));
    }

    /// After `rounds` rounds.
    pub(super) fn round_done(&mut self, rounds: u32, took: Duration) {
        self.rounds = self.rounds.max(rounds);
        self.line(&format!("round {rounds}: {:.1} s", took.as_secs_f64()));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// A line where there is no bar.
    fn line(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        }
    }

    /// The time that the samples to come will take, if each is as long as those known are on average.
    fn left(&self) -> Option<Duration> {
        let samples = self.bar.length()?.saturating_sub(self.bar.position());
        let sum: f64 = self.known.iter().map(|(_, ms)| ms).sum();
        let count = u32::try_from(self.known.len())
            .ok()
            .filter(|count| *count > 4)?;
        let ms = sum / f64::from(count) * f64::from(u32::try_from(samples).ok()?);
        Duration::try_from_secs_f64(ms / 1e3).ok()
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600.. => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::minutes;
    use std::time::Duration;

    #[test]
    fn times() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(minutes(Duration::from_secs(seconds)), expected);
        };
        check(59, "59 s");
        check(61, "1 min 01 s");
        check(7300, "2 h 01 min");
    }
}
