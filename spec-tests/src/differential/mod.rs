//! Runs generated modules in Upshift and in an interpreter, and compares what can be observed: results, traps, and what
//! is left in globals, memories, tables and the host.
//!
//! A [`Subject`] is a module and a seed. The seed draws everything else: the calls with their arguments, and the three
//! engines that run them, one of each kind of [`gear`]: baseline code, optimized code, and a mix of both that changes
//! while the module runs. So a seed repeats the whole comparison, but for the moments at which background threads swap code.
//!
//! Three programs use this: `tests/differential.rs` with fixed seeds, `src/bin/fuzz.rs` for long runs, and the libFuzzer
//! target of the folder `fuzz`.

mod gear;
mod generate;
mod oracle;
mod ours;
mod outcome;
mod random;
mod smith;

use gear::Gear;
use outcome::{Call, End, Kind, Run};
use random::Random;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use upshift::{Engine, Schedule, ScheduleRecorder};

/// Exported functions of a module that are called.
const FUNCTIONS: usize = 10;
/// Calls of each.
const ROUNDS: u32 = 3;

/// Who makes modules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Our generator: structured code over many live values.
    Generate,
    /// wasm-smith.
    Smith,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Generate, Self::Smith];

    fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Smith => "smith",
        }
    }
}

/// What is compared: a module, and the seed of all choices about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    name: String,
    seed: u64,
    bytes: Vec<u8>,
}

impl Subject {
    /// The subject of a seed.
    #[must_use]
    pub fn new(source: Source, seed: u64) -> Self {
        let bytes = match source {
            Source::Generate => generate::module(&mut Random::new(seed)),
            Source::Smith => smith::module(seed),
        };
        Self {
            name: format!("{}-{seed}", source.name()),
            seed,
            bytes,
        }
    }

    /// The subject that a fuzzer's bytes describe: a seed of 8 bytes, whose lowest bit chooses the source, and what the
    /// module is drawn from. None if that is too little.
    #[must_use]
    pub fn from_bytes(data: &[u8]) -> Option<Self> {
        let (seed, rest) = data.split_first_chunk::<8>()?;
        let seed = u64::from_le_bytes(*seed);
        let source = Source::ALL[usize::from(seed & 1 != 0)];
        let bytes = match source {
            Source::Generate => generate::module(&mut Random::of_bytes(seed, rest)),
            Source::Smith => smith::module_of_bytes(seed, rest)?,
        };
        Some(Self {
            name: format!("{} from bytes, {seed}", source.name()),
            seed,
            bytes,
        })
    }

    /// Source and seed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The module.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A run that differs from the interpreter's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    subject: String,
    gear: String,
    difference: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}: {}", self.subject, self.gear, self.difference)
    }
}

/// The interpreter that everything is compared with.
#[derive(Debug)]
pub struct Oracle {
    engine: wasmi::Engine,
}

impl Default for Oracle {
    fn default() -> Self {
        Self {
            engine: oracle::engine(),
        }
    }
}

impl Oracle {
    /// Compares the runs of a subject. Gives the number of calls that returned in the interpreter.
    ///
    /// # Errors
    /// The first run that differs, or panics.
    pub fn compare(&self, subject: &Subject) -> Result<usize, Mismatch> {
        self.compare_in(subject, &Gear::draw(&mut gear_random(subject)))
    }

    /// The same with tier-up at this call, and on-stack replacement at this back-edge.
    ///
    /// # Errors
    /// If the run differs, or panics.
    pub fn compare_forced(
        &self,
        subject: &Subject,
        (calls, back_edges): (u32, u32),
    ) -> Result<usize, Mismatch> {
        let gear = Gear::forced(&mut gear_random(subject), calls, back_edges);
        self.compare_in(subject, &[gear])
    }

    /// Records a run under counters in a hurry, and replays it: both do the same at the same visits. Gives the number of steps.
    ///
    /// # Errors
    /// If they differ.
    pub fn replay(&self, subject: &Subject) -> Result<usize, Mismatch> {
        let exports = oracle::exports(&self.engine, &subject.bytes);
        let calls = calls(subject.seed, &exports);
        let gear = Gear::hurried(&mut gear_random(subject));
        let run = |schedule: Option<&Schedule>| {
            let recorder = ScheduleRecorder::new();
            let mut config = gear.config.clone();
            config.record_tiering(&recorder);
            if let Some(schedule) = schedule {
                config.replay_tiering(schedule.clone());
            }
            let engine = Engine::new(&config).expect("the engine of every gear can be made");
            (
                ours::run(&engine, &subject.bytes, &calls),
                recorder.schedule(),
            )
        };
        let (expected, recorded) = run(None);
        let (found, replayed) = run(Some(&recorded));
        // Frames of code that counts may be larger, so an overflow may come at another depth.
        let deep = |runs: &[Run]| runs.iter().any(|run| run.end == End::StackOverflow);
        let difference = if deep(&expected) || deep(&found) {
            None
        } else if expected != found {
            difference(&calls, &expected, &found)
        } else if recorded != replayed {
            Some(format!("recorded\n{recorded}replayed\n{replayed}"))
        } else {
            None
        };
        match difference {
            None => Ok(recorded.steps()),
            Some(difference) => Err(Mismatch {
                subject: subject.name.clone(),
                gear: format!("replayed, {}", gear.name),
                difference,
            }),
        }
    }

    fn compare_in(&self, subject: &Subject, gears: &[Gear]) -> Result<usize, Mismatch> {
        let exports = oracle::exports(&self.engine, &subject.bytes);
        let calls = calls(subject.seed, &exports);
        let expected = oracle::run(&self.engine, &subject.bytes, &calls);
        for gear in gears {
            let run = AssertUnwindSafe(|| run_in(gear, &subject.bytes, &calls));
            let difference = match catch_unwind(run) {
                Ok(Ok(found)) => difference(&calls, &expected, &found),
                Ok(Err(error)) => Some(format!("the engine could not be made: {error}")),
                Err(panic) => Some(format!("panicked: {}", message(&*panic))),
            };
            if let Some(difference) = difference {
                return Err(Mismatch {
                    subject: subject.name.clone(),
                    gear: gear.name.clone(),
                    difference,
                });
            }
        }
        let returned = expected.iter().filter(|run| run.end == End::Returned);
        Ok(returned.count())
    }
}

/// Other numbers than those that drew the module.
fn gear_random(subject: &Subject) -> Random {
    Random::new(subject.seed.rotate_left(32) ^ 0x6ea7)
}

fn run_in(gear: &Gear, bytes: &[u8], calls: &[Call]) -> upshift::Result<Vec<Run>> {
    let engine = Engine::new(&gear.config)?;
    Ok(ours::run(&engine, bytes, calls))
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("something that is no text")
}

/// The calls made in a module: each function with different arguments, sometimes in the instance of the call before.
fn calls(seed: u64, exports: &[(String, Vec<Kind>)]) -> Vec<Call> {
    let mut random = Random::new(seed);
    let mut calls = Vec::new();
    for (name, params) in exports.iter().take(FUNCTIONS) {
        for round in 0..ROUNDS {
            calls.push(Call {
                name: name.clone(),
                args: params.iter().map(|kind| random.value(*kind)).collect(),
                fresh: round == 0 || random.chance(50),
            });
        }
    }
    calls
}

/// The first call whose outcome differs. How deep a recursion may go is nobody's promise, so a call that overflows a
/// stack, and the ones after it in the same instance, are not compared.
fn difference(calls: &[Call], expected: &[Run], found: &[Run]) -> Option<String> {
    if expected.len() != found.len() {
        let ends = (
            expected.last().map(|r| &r.end),
            found.last().map(|r| &r.end),
        );
        return Some(format!(
            "expected {} runs, found {}; last {ends:?}",
            expected.len(),
            found.len()
        ));
    }
    let mut overflowed = false;
    for ((call, expected), found) in calls.iter().zip(expected).zip(found) {
        overflowed &= !call.fresh;
        overflowed |= expected.end == End::StackOverflow || found.end == End::StackOverflow;
        // The interpreter has no trap for a segment that does not fit.
        let start = matches!(
            (&expected.end, &found.end),
            (End::Other(_), End::Memory | End::Table)
        );
        if !overflowed && !start && expected != found {
            return Some(format!(
                "{call:?}\nexpected {expected:?}\nfound    {found:?}"
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Call, Run, Subject, difference};
    use crate::differential::outcome::{End, Value};

    fn run(end: End, value: i32) -> Run {
        Run {
            end,
            values: vec![Value::I32(value)],
            ..Run::default()
        }
    }

    #[test]
    fn differences_are_seen_but_for_overflows() {
        let call = |fresh| Call {
            name: "f".to_owned(),
            args: Vec::new(),
            fresh,
        };
        let returned = |value| run(End::Returned, value);
        let overflow = || run(End::StackOverflow, 0);
        // The second call is in the instance of the first, or in a new one.
        let cases = [
            (
                false,
                [returned(1), returned(2)],
                [returned(1), returned(2)],
                false,
            ),
            (
                false,
                [returned(1), returned(2)],
                [returned(1), returned(3)],
                true,
            ),
            (
                false,
                [overflow(), returned(2)],
                [returned(1), returned(3)],
                false,
            ),
            (
                true,
                [overflow(), returned(2)],
                [returned(1), returned(3)],
                true,
            ),
            (
                false,
                [returned(1), returned(2)],
                [returned(1), run(End::Memory, 2)],
                true,
            ),
        ];
        for (fresh, expected, found, differs) in cases {
            let calls = [call(true), call(fresh)];
            let difference = difference(&calls, &expected, &found);
            assert_eq!(difference.is_some(), differs, "{difference:?}");
        }
        assert!(difference(&[call(true)], &[returned(1)], &[]).is_some());
    }

    #[test]
    fn bytes_make_modules_of_both_sources() {
        let data: Vec<u8> = (0..2000_u32)
            .map(|i| ((i * i) >> 3).to_le_bytes()[0])
            .collect();
        assert_eq!(Subject::from_bytes(&data[..7]), None);
        for first in [0, 1] {
            let mut data = data.clone();
            data[0] = first;
            let subject = Subject::from_bytes(&data).expect("bytes enough");
            assert!(subject.bytes().starts_with(b"\0asm"), "{}", subject.name());
        }
    }
}
