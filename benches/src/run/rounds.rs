//! Rounds of samples: every cell of a plan once in each, in random order.

use super::plan::{Cell, Plan};
use super::progress::Progress;
use crate::schema::{FORMAT, Outcome, RunFile, Sample};
use crate::stats::Random;
use crate::{machine, measure, measure::Setup};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How a plan is measured.
pub(crate) struct Rounds<'a> {
    pub(crate) setup: &'a Setup,
    /// How many there are at the least.
    pub(crate) least: u32,
    /// More of them, as long as all end within this time.
    pub(crate) time: Option<Duration>,
    /// Whether to run everything once before, which does not count.
    pub(crate) warm_up: bool,
    /// Gets all that was measured so far after each round, and once before the first: that samples cannot be written is
    /// better known before hours of work.
    pub(crate) keep: &'a dyn Fn(&RunFile) -> Result<(), String>,
}

/// A file without samples; the seed is from the clock, if none is given.
///
/// # Errors
/// If a module cannot be read.
pub(crate) fn begin(plan: &Plan, seed: Option<u64>) -> Result<RunFile, String> {
    Ok(RunFile {
        format: FORMAT,
        started_unix: unix_time().as_secs(),
        command: std::env::args().skip(1).collect(),
        seed: seed.unwrap_or_else(clock_seed),
        machine: machine::here(),
        engines: plan.engines.clone(),
        programs: plan.infos()?,
        samples: Vec::new(),
    })
}

fn unix_time() -> Duration {
    // A clock before 1970 is no reason not to measure.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A seed that is short enough to type.
fn clock_seed() -> u64 {
    u64::from(unix_time().subsec_nanos())
}

impl Rounds<'_> {
    /// Takes all samples.
    ///
    /// # Errors
    /// After Ctrl-C, or if the samples cannot be written.
    pub(crate) fn take(&self, mut plan: Plan, run: &mut RunFile) -> Result<(), String> {
        let start = Instant::now();
        (self.keep)(run)?;
        let mut progress = Progress::new(&plan, self.least, self.warm_up);
        let mut random = Random::seeded(run.seed);
        if self.warm_up {
            warm_up(self.setup, &mut plan, run, &mut progress)?;
            (self.keep)(run)?;
        }
        let mut round: u32 = 0;
        let mut longest = Duration::ZERO;
        loop {
            let more = match self.time {
                Some(time) if round >= self.least => start.elapsed() + longest < time,
                Some(_) | None => round < self.least,
            };
            if !more || plan.cells.is_empty() {
                progress.finish();
                return Ok(());
            }
            let begin = Instant::now();
            let order = (round, &mut random);
            let outcome = take_round(self.setup, &mut plan, run, order, &mut progress);
            (self.keep)(run)?;
            outcome?;
            longest = longest.max(begin.elapsed());
            round += 1;
            progress.round_done(round, begin.elapsed());
        }
    }
}

/// Runs every engine and program once, at its first size, which is the smallest. What fails is not tried again.
fn warm_up(
    setup: &Setup,
    plan: &mut Plan,
    run: &mut RunFile,
    progress: &mut Progress,
) -> Result<(), String> {
    let setup = Setup {
        iterations: 1,
        ..setup.clone()
    };
    let begin = Instant::now();
    for (engine, program) in plan.pairs() {
        let smallest = plan.programs[program].sizes[0].clone();
        progress.begin("warm-up", engine, &plan.programs[program], &smallest);
        let sample = measure::sample(&setup, engine, &plan.programs[program], &smallest, 0);
        if measure::interrupted() {
            return Err(interrupted(run));
        }
        if let Some(message) = bad(&sample.outcome) {
            progress.say(&format!("{engine}, {}: {message}", sample.program));
            for cell in plan.drop_pair(engine, program) {
                run.samples.push(not_tried(&sample, &cell));
            }
        }
        let cell = Cell {
            engine,
            program,
            size: smallest,
        };
        progress.taken(&cell, sample.process_ms, plan);
    }
    progress.warmed_up(begin.elapsed());
    Ok(())
}

/// The sample of a cell that a failure in the warm-up stands for.
fn not_tried(failed: &Sample, cell: &Cell) -> Sample {
    let told = |message: &str| {
        if cell.size == failed.size {
            format!("in the warm-up: {message}")
        } else {
            format!("in the warm-up at size {}: {message}", failed.size)
        }
    };
    let outcome = match &failed.outcome {
        Outcome::Wrong(message) => Outcome::Wrong(told(message)),
        Outcome::Failed(message) => Outcome::Failed(told(message)),
        good @ (Outcome::Verified | Outcome::Unchecked) => good.clone(),
    };
    Sample {
        size: cell.size.clone(),
        outcome,
        ..failed.clone()
    }
}

/// Takes one sample of each cell: programs and sizes in random order, and within each the engines, so that what is
/// compared was measured at about the same time.
fn take_round(
    setup: &Setup,
    plan: &mut Plan,
    run: &mut RunFile,
    (round, random): (u32, &mut Random),
    progress: &mut Progress,
) -> Result<(), String> {
    for cell in plan.order(random) {
        let program = &plan.programs[cell.program];
        progress.begin(
            &format!("round {}", round + 1),
            cell.engine,
            program,
            &cell.size,
        );
        let sample = measure::sample(setup, cell.engine, program, &cell.size, round);
        if measure::interrupted() {
            return Err(interrupted(run));
        }
        if let Some(message) = bad(&sample.outcome) {
            progress.say(&format!(
                "{}, {} {}: {message}",
                cell.engine, program.name, cell.size
            ));
            plan.drop_cell(&cell);
        }
        progress.taken(&cell, sample.process_ms, plan);
        run.samples.push(sample);
    }
    Ok(())
}

fn interrupted(run: &RunFile) -> String {
    format!("interrupted after {} samples", run.samples.len())
}

/// What went wrong in a sample.
pub(super) fn bad(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Verified | Outcome::Unchecked => None,
        Outcome::Wrong(message) => Some(format!("wrong output: {message}")),
        Outcome::Failed(message) => Some(message.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::not_tried;
    use crate::run::plan::Cell;
    use crate::schema::Outcome;
    use crate::summary::tests::run_of;

    #[test]
    fn failures_of_the_warm_up_count_for_all_sizes() {
        let run = run_of(&[("native", "p", 0, 1.0, -1.0)]);
        let check = |size: &str, expected: &str| {
            let cell = Cell {
                engine: "native".parse().expect("an engine"),
                program: 0,
                size: size.to_owned(),
            };
            let sample = not_tried(&run.samples[0], &cell);
            assert_eq!(sample.outcome, Outcome::Wrong(expected.to_owned()));
            assert_eq!(sample.size, size);
        };
        check("test", "in the warm-up: line 1");
        check("ref", "in the warm-up at size test: line 1");
    }
}
