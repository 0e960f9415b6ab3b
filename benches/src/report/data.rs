//! What a report is made of: the files, put together.

use crate::schema::RunFile;
use crate::summary::{Cell, Metric, Summary};
use std::collections::BTreeSet;

/// Several runs as one, and remarks on what does not fit together.
pub(crate) fn merge(runs: Vec<RunFile>) -> Option<(RunFile, Vec<String>)> {
    let mut runs = runs.into_iter();
    let mut all = runs.next()?;
    let mut remarks = Vec::new();
    for run in runs {
        if run.machine.cpu != all.machine.cpu || run.machine.cores != all.machine.cores {
            remarks.push(format!(
                "The files come from different machines ({} with {} cores, {} with {} cores): figures of one should not be \
                 compared with figures of the other.",
                all.machine.cpu, all.machine.cores, run.machine.cpu, run.machine.cores
            ));
        }
        add(&mut all, run);
    }
    remarks.dedup();
    Some((all, remarks))
}

/// Rounds pair samples that were taken close together. Where both files have samples of a cell, rounds of the second get
/// numbers of their own; files about different engines or sizes keep theirs, so that there are pairs at all.
fn add(all: &mut RunFile, run: RunFile) {
    let known: BTreeSet<Cell<'_>> = all.samples.iter().map(Cell::of).collect();
    let repeated = run
        .samples
        .iter()
        .any(|sample| known.contains(&Cell::of(sample)));
    let rounds = all.samples.iter().map(|sample| sample.round + 1).max();
    let offset = if repeated { rounds.unwrap_or(0) } else { 0 };
    for engine in run.engines {
        match all
            .engines
            .iter_mut()
            .find(|known| known.name == engine.name)
        {
            Some(known) if known.skipped.is_some() => *known = engine,
            Some(_) => {}
            None => all.engines.push(engine),
        }
    }
    for program in run.programs {
        match all
            .programs
            .iter_mut()
            .find(|known| known.name == program.name)
        {
            Some(known) => {
                for size in program.sizes {
                    if known.sizes.iter().all(|other| other.name != size.name) {
                        known.sizes.push(size);
                    }
                }
            }
            None => all.programs.push(program),
        }
    }
    for mut sample in run.samples {
        sample.round += offset;
        all.samples.push(sample);
    }
}

/// A run as the plots see it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) run: &'a RunFile,
    pub(crate) summary: Summary<'a>,
    /// Engines with samples, those on all threads first.
    pub(crate) engines: Vec<&'a str>,
    /// Programs with samples.
    pub(crate) programs: Vec<&'a str>,
    /// Sizes with samples, the smallest first.
    pub(crate) sizes: Vec<&'a str>,
    /// What ratios are made to.
    pub(crate) reference: &'a str,
}

impl<'a> View<'a> {
    /// # Errors
    /// If there are no samples, or none of the wanted reference.
    pub(crate) fn new(run: &'a RunFile, reference: Option<&str>) -> Result<Self, String> {
        let sampled = |name: &str, of: fn(&crate::schema::Sample) -> &str| {
            run.samples.iter().any(|sample| of(sample) == name)
        };
        let engines = run.engines.iter().map(|engine| engine.name.as_str());
        let engines = engines.chain(run.samples.iter().map(|sample| sample.engine.as_str()));
        let mut engines = unique(engines.filter(|name| sampled(name, |sample| &sample.engine)));
        engines.sort_by_key(|engine| one_thread(engine));
        let programs = run.programs.iter().map(|program| program.name.as_str());
        let programs = programs.chain(run.samples.iter().map(|sample| sample.program.as_str()));
        let programs = unique(programs.filter(|name| sampled(name, |sample| &sample.program)));
        let declared = run.programs.iter().flat_map(|program| &program.sizes);
        let sizes = declared.map(|size| size.name.as_str());
        let sizes = sizes.chain(run.samples.iter().map(|sample| sample.size.as_str()));
        let mut sizes = unique(sizes.filter(|name| sampled(name, |sample| &sample.size)));
        let rank = |size: &&str| {
            ["test", "train", "ref"]
                .iter()
                .position(|known| known == size)
        };
        sizes.sort_by_key(|size| rank(size).unwrap_or(usize::MAX));
        let reference = match reference {
            Some(wanted) => engines.iter().find(|engine| **engine == wanted).ok_or_else(|| {
                let known = engines.join(", ");
                format!("expected an engine that was measured ({known}) for --reference, found {wanted:?}")
            })?,
            None => engines
                .iter()
                .find(|engine| **engine == "native")
                .or(engines.first())
                .ok_or("there are no samples in these files")?,
        };
        Ok(Self {
            run,
            summary: Summary::new(run),
            reference,
            engines,
            programs,
            sizes,
        })
    }

    /// Engines that compile on all threads, or on one.
    pub(crate) fn on(&self, one: bool) -> Vec<&'a str> {
        let engines = self.engines.iter().copied();
        engines.filter(|engine| one_thread(engine) == one).collect()
    }

    /// Those of them that were tried at a size, also if nothing good came of it.
    pub(crate) fn tried(&self, one: bool, size: &str) -> Vec<&'a str> {
        let mut engines = self.on(one);
        engines.retain(|engine| {
            let samples = &mut self.run.samples.iter();
            samples.any(|sample| sample.engine == *engine && sample.size == size)
        });
        engines
    }

    /// What the ratios of a metric are made to at a size: the reference, or the first engine with values where the reference
    /// has none, as native programs are not loaded.
    pub(crate) fn reference_for(&self, metric: Metric, size: &str) -> Option<&'a str> {
        let has = |engine: &str| {
            self.programs.iter().any(|program| {
                let cell = Cell {
                    engine,
                    program,
                    size,
                };
                let values = self.summary.values(metric, cell);
                values.iter().any(|value| *value > 0.0)
            })
        };
        let first = std::iter::once(self.reference).chain(self.engines.iter().copied());
        first.into_iter().find(|engine| has(engine))
    }

    /// The medians of a metric of one engine at a size, with the bytes of each program.
    pub(crate) fn medians(&self, metric: Metric, engine: &str, size: &str) -> Vec<(f64, f64)> {
        let mut found = Vec::new();
        for program in &self.programs {
            let cell = Cell {
                engine,
                program,
                size,
            };
            let value = crate::stats::median(&self.summary.values(metric, cell));
            if let Some(value) = value.filter(|value| *value > 0.0) {
                found.push((value, self.wasm_bytes(program)));
            }
        }
        found
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
    pub(crate) fn wasm_bytes(&self, program: &str) -> f64 {
        let known = self.run.programs.iter().find(|known| known.name == program);
        known.map_or(0.0, |program| program.wasm_bytes as f64)
    }
}

/// Whether an engine compiles on one thread only.
pub(crate) fn one_thread(engine: &str) -> bool {
    engine.ends_with("@1")
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}
