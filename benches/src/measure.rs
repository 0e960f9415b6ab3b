//! Takes one sample in a process of its own, and judges what it printed.

use crate::engine::Engine;
use crate::manifest::Program;
use crate::schema::Sample;
use std::path::PathBuf;
use std::time::Duration;

/// How samples are taken.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The manifests that the child process has to read.
    pub(crate) suites: Vec<PathBuf>,
    /// Runs of the module in one process.
    pub(crate) iterations: u32,
    /// Only load the module.
    pub(crate) load_only: bool,
    /// Whether to ask for marks.
    pub(crate) marks: bool,
    /// Whether to ask for the events of tier-up.
    pub(crate) events: bool,
    /// When a process is ended.
    pub(crate) timeout: Duration,
}

/// A sample, and when its marks came.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) sample: Sample,
    /// When the program had done each step, in ms since the bytes of the module were in memory (native: since the start
    /// of the process); empty without marks.
    pub(crate) steps_ms: Vec<f64>,
}

/// Takes a sample of `program` at `size`. Whatever goes wrong is told in the sample.
pub(crate) fn sample(
    setup: &Setup,
    engine: Engine,
    program: &Program,
    size: &str,
    round: u32,
) -> Taken {
    let outcome = crate::schema::Outcome::Failed(format!("{setup:?} is not built yet"));
    let sample = Sample {
        engine: engine.to_string(),
        program: program.name.clone(),
        size: size.to_owned(),
        round,
        process_ms: 0.0,
        outcome,
        checksum: None,
        measured: None,
    };
    Taken {
        sample,
        steps_ms: Vec::new(),
    }
}
