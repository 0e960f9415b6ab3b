//! A [`RunFile`] by engine, program and size: the values of a metric, and ratios pair by pair.

use crate::schema::{Iteration, Measured, Outcome, RunFile, Sample};
use crate::stats::{Estimate, geometric_mean_of_medians, median};
use serde::Serialize;
use std::collections::BTreeMap;

/// What can be read off a sample; the command line and JSON call it by its name in kebab case.
#[derive(clap::ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    /// Bytes in memory to a module that can be instantiated, ms.
    Load,
    /// Of the first iteration, ms.
    Instantiate,
    /// Of the first iteration: from the call to the first import, ms.
    FirstCall,
    /// The call in the first iteration, lazy compilation included, or the region that the program marks, ms.
    Run,
    /// The same in later iterations, median, ms; as `run` if there was one iteration.
    Warm,
    /// Bytes in memory to the first call of an import: load, instantiation and first call, ms.
    Start,
    /// Load, instantiation and call of the first iteration, ms.
    Total,
    /// The whole process from outside, ms.
    Process,
    /// Processor time of all threads, ms.
    Cpu,
    /// Peak resident memory, KiB.
    PeakRss,
    /// Machine code made, bytes.
    CodeBytes,
}

/// What a metric is shown in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    Milliseconds,
    Mebibytes,
    Kibibytes,
}

impl Unit {
    /// What a metric's value is divided by.
    pub(crate) const fn scale(self) -> f64 {
        match self {
            Self::Milliseconds => 1.0,
            Self::Mebibytes | Self::Kibibytes => 1024.0,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::Kibibytes => "KiB",
        }
    }
}

impl Metric {
    /// What it is shown in.
    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::Load
            | Self::Instantiate
            | Self::FirstCall
            | Self::Run
            | Self::Warm
            | Self::Start
            | Self::Total
            | Self::Process
            | Self::Cpu => Unit::Milliseconds,
            Self::PeakRss => Unit::Mebibytes,
            Self::CodeBytes => Unit::Kibibytes,
        }
    }

    /// The value in a sample, where the engine tells it and the program got that far.
    pub(crate) fn of(self, sample: &Sample) -> Option<f64> {
        let measured = sample.measured.as_ref()?;
        let first = measured.iterations.first();
        match self {
            Self::Load => Some(measured.load_ms),
            Self::Instantiate => first.map(|iteration| iteration.instantiate_ms),
            Self::FirstCall => first.map(|iteration| iteration.first_call_ms),
            Self::Run => first.map(run_ms),
            Self::Warm => warm(measured),
            Self::Start => first.map(|iteration| {
                measured.load_ms + iteration.instantiate_ms + iteration.first_call_ms
            }),
            Self::Total => first.map(|iteration| {
                let call = iteration.first_call_ms + iteration.run_ms;
                measured.load_ms + iteration.instantiate_ms + call
            }),
            Self::Process => Some(sample.process_ms),
            Self::Cpu => Some(measured.cpu_ms),
            Self::PeakRss => Some(to_f64(measured.peak_rss_kb)),
            Self::CodeBytes => measured.code_bytes.map(to_f64),
        }
    }
}

fn run_ms(iteration: &Iteration) -> f64 {
    let whole = iteration.first_call_ms + iteration.run_ms;
    iteration.region_ms.unwrap_or(whole)
}

fn warm(measured: &Measured) -> Option<f64> {
    let runs: Vec<f64> = measured.iterations.iter().map(run_ms).collect();
    match runs.as_slice() {
        [] => None,
        [only] => Some(*only),
        [_, later @ ..] => median(later),
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
fn to_f64(value: u64) -> f64 {
    value as f64
}

/// Where a value belongs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) engine: &'a str,
    pub(crate) program: &'a str,
    pub(crate) size: &'a str,
}

impl<'a> Cell<'a> {
    /// The cell that a sample belongs to.
    pub(crate) fn of(sample: &'a Sample) -> Self {
        Self {
            engine: &sample.engine,
            program: &sample.program,
            size: &sample.size,
        }
    }
}

/// The good samples of a [`RunFile`], by cell. A cell in which any sample was wrong or failed has no values: an
/// engine must not win by giving wrong results.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    cells: BTreeMap<Cell<'a>, Vec<&'a Sample>>,
    bad: BTreeMap<Cell<'a>, &'a str>,
}

impl<'a> Summary<'a> {
    /// Sorts the samples of a run.
    pub(crate) fn new(run: &'a RunFile) -> Self {
        let mut summary = Self {
            cells: BTreeMap::new(),
            bad: BTreeMap::new(),
        };
        for sample in &run.samples {
            let cell = Cell::of(sample);
            match &sample.outcome {
                Outcome::Verified | Outcome::Unchecked => {
                    summary.cells.entry(cell).or_default().push(sample)
                }
                Outcome::Wrong(message) | Outcome::Failed(message) => {
                    summary.bad.entry(cell).or_insert(message);
                }
            }
        }
        for cell in summary.bad.keys() {
            summary.cells.remove(cell);
        }
        summary
    }

    /// The good samples of a cell.
    pub(crate) fn samples(&self, cell: Cell<'_>) -> &[&'a Sample] {
        let found = self.cells.iter().find(|(known, _)| **known == cell);
        found.map_or(&[], |(_, samples)| samples)
    }

    /// Why a cell has no values, if a sample of it was wrong or failed.
    pub(crate) fn problem(&self, cell: Cell<'_>) -> Option<&'a str> {
        self.bad
            .iter()
            .find(|(known, _)| **known == cell)
            .map(|(_, message)| *message)
    }

    /// Cells with a wrong or failed sample, and the message of the first.
    pub(crate) fn problems(&self) -> impl Iterator<Item = (Cell<'a>, &'a str)> + '_ {
        self.bad.iter().map(|(cell, message)| (*cell, *message))
    }

    /// The values of a metric in a cell, in the order of rounds.
    pub(crate) fn values(&self, metric: Metric, cell: Cell<'_>) -> Vec<f64> {
        self.samples(cell)
            .iter()
            .filter_map(|sample| metric.of(sample))
            .collect()
    }

    /// Median, minimum and interval of a metric in a cell.
    pub(crate) fn estimate(&self, metric: Metric, cell: Cell<'_>) -> Option<Estimate> {
        Estimate::of(&self.values(metric, cell))
    }

    /// The metric in `cell` divided by that in `reference`, round by round.
    pub(crate) fn ratios(&self, metric: Metric, cell: Cell<'_>, reference: Cell<'_>) -> Vec<f64> {
        let mut below: BTreeMap<u32, f64> = BTreeMap::new();
        for sample in self.samples(reference) {
            if let Some(value) = metric.of(sample) {
                below.insert(sample.round, value);
            }
        }
        let pairs = self.samples(cell).iter().filter_map(|sample| {
            let value = metric.of(sample)?;
            let reference = *below.get(&sample.round)?;
            (reference > 0.0 && value > 0.0).then(|| value / reference)
        });
        pairs.collect()
    }

    /// The geometric mean, over the programs for which both engines have values at that size, of the ratios of
    /// `engine` to `reference`. `count` of the result says over how many programs.
    pub(crate) fn mean_ratio(
        &self,
        metric: Metric,
        engine: &str,
        reference: &str,
        size: &str,
    ) -> Option<Estimate> {
        geometric_mean_of_medians(&self.cells_of(engine, |cell| {
            let of_size = cell.size == size;
            let below = Cell {
                engine: reference,
                ..cell
            };
            of_size.then(|| self.ratios(metric, cell, below))
        }))
    }

    /// What `values` finds in each cell of an engine that has good samples, where it finds any.
    pub(crate) fn cells_of(
        &self,
        engine: &str,
        values: impl Fn(Cell<'a>) -> Option<Vec<f64>>,
    ) -> Vec<Vec<f64>> {
        let cells = self.cells.keys().filter(|cell| cell.engine == engine);
        let found = cells.filter_map(|cell| values(*cell));
        found.filter(|values| !values.is_empty()).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Cell, Metric, Summary};
    use crate::schema::{FORMAT, Iteration, Machine, Measured, Outcome, RunFile, Sample};

    /// A run with samples `(engine, program, round, load, run)`; a negative run is a wrong one.
    pub(crate) fn run_of(samples: &[(&str, &str, u32, f64, f64)]) -> RunFile {
        let sample =
            |(engine, program, round, load_ms, run_ms): &(&str, &str, u32, f64, f64)| Sample {
                engine: (*engine).to_owned(),
                program: (*program).to_owned(),
                size: "test".to_owned(),
                round: *round,
                process_ms: load_ms + run_ms,
                outcome: if *run_ms < 0.0 {
                    Outcome::Wrong("line 1".to_owned())
                } else {
                    Outcome::Verified
                },
                checksum: None,
                measured: Some(Measured {
                    load_ms: *load_ms,
                    iterations: vec![Iteration {
                        run_ms: *run_ms,
                        ..Iteration::default()
                    }],
                    ..Measured::default()
                }),
            };
        RunFile {
            format: FORMAT,
            started_unix: 0,
            command: Vec::new(),
            seed: 0,
            machine: Machine {
                cpu: "test".to_owned(),
                cores: 2,
                memory_kb: 0,
                os: String::new(),
                load: 0.0,
                commit: String::new(),
            },
            engines: Vec::new(),
            programs: Vec::new(),
            samples: samples.iter().map(sample).collect(),
        }
    }

    #[test]
    fn ratios_are_made_within_rounds() {
        let run = run_of(&[
            ("a", "p", 0, 1.0, 10.0),
            ("b", "p", 0, 1.0, 20.0),
            ("b", "p", 1, 1.0, 60.0),
            ("a", "p", 1, 1.0, 20.0),
            ("a", "p", 2, 1.0, 5.0),
            ("a", "q", 0, 1.0, 5.0),
            ("b", "q", 0, 1.0, -1.0),
        ]);
        let summary = Summary::new(&run);
        let cell = |engine, program| Cell {
            engine,
            program,
            size: "test",
        };
        assert_eq!(
            summary.ratios(Metric::Run, cell("b", "p"), cell("a", "p")),
            [2.0, 3.0]
        );
        assert_eq!(summary.problem(cell("b", "q")), Some("line 1"));
        assert!(summary.values(Metric::Total, cell("b", "q")).is_empty());
        let mean = summary
            .mean_ratio(Metric::Run, "b", "a", "test")
            .expect("one program");
        assert_eq!(mean.count, 1);
        assert!((mean.median - 2.5).abs() < 1e-12);
    }
}
