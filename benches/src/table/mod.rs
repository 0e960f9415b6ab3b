//! A run as tables of text, at most 120 columns wide: first the geometric means, one row per engine; then a row per
//! program with the engines as columns, or, if that is not much, everything.

mod details;
pub(crate) mod grid;

pub(crate) use grid::{Grid, figure, interval, or_dash, ratio};

use crate::schema::RunFile;
use crate::stats::geometric_mean;
use crate::summary::{Cell, Metric, Summary};
use crate::{machine, run, store};
use std::path::PathBuf;

/// Engines in one table of programs, so that it is not wider than 120 columns.
const ENGINES_PER_TABLE: usize = 12;
/// Up to so many cells, all figures of each are shown.
const FEW_CELLS: usize = 40;

/// How a run is shown.
#[derive(clap::Args, Debug, Clone, Default)]
// The options that these are among have a group of the same name.
#[group(skip)]
pub(crate) struct Options {
    /// The engine that ratios are relative to; native, if it was measured, else the first.
    #[arg(long, value_name = "ENGINE")]
    pub(crate) reference: Option<String>,
    /// Show all figures of every engine, program and size.
    #[arg(long)]
    pub(crate) details: bool,
}

/// Options of `show`.
#[derive(clap::Args, Debug)]
pub(crate) struct Show {
    /// A file of `run --json`.
    file: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// `upshift-bench show`.
///
/// # Errors
/// If the file is not one of a run, or the engine is not in it.
pub(crate) fn show(show: &Show) -> Result<(), String> {
    let run: RunFile = store::read(&show.file, "`run --json`")?;
    let machine = machine::describe(&run.machine);
    run::write_out(&format!("{machine}\n{}", text(&run, &show.options)?))
}

/// The engine that ratios are relative to.
///
/// # Errors
/// If `wanted` was not measured.
pub(crate) fn reference(run: &RunFile, wanted: Option<&str>) -> Result<String, String> {
    let here: Vec<&str> = engines(run);
    match wanted {
        Some(name) if here.contains(&name) => Ok(name.to_owned()),
        Some(name) => Err(format!(
            "reference: expected an engine of this run ({}), found {name:?}",
            here.join(", ")
        )),
        None => {
            let native = run.samples.iter().any(|sample| sample.engine == "native");
            let name = if native {
                Some(&"native")
            } else {
                here.first()
            };
            Ok(name.map_or(String::new(), |name| (*name).to_owned()))
        }
    }
}

/// The engines that were not skipped.
fn engines(run: &RunFile) -> Vec<&str> {
    let here = run.engines.iter().filter(|engine| engine.skipped.is_none());
    here.map(|engine| engine.name.as_str()).collect()
}

/// What the tables are made of.
struct View<'a> {
    summary: Summary<'a>,
    engines: Vec<&'a str>,
    /// With the names of their sizes.
    programs: Vec<(&'a str, Vec<&'a str>)>,
    /// In the order of the programs.
    sizes: Vec<&'a str>,
    reference: &'a str,
}

/// The tables of a run.
///
/// # Errors
/// If the reference was not measured.
pub(crate) fn text(run: &RunFile, options: &Options) -> Result<String, String> {
    let reference = reference(run, options.reference.as_deref())?;
    let view = View::new(run, &reference);
    let mut text = String::new();
    for size in &view.sizes {
        text += &view.means(size);
    }
    let cells = view.cells().count();
    if options.details || cells <= FEW_CELLS {
        text += &details::text(&view);
    } else {
        for size in &view.sizes {
            text += &view.by_program(size);
        }
    }
    text += &view.remarks(run);
    Ok(text)
}

impl<'a> View<'a> {
    fn new(run: &'a RunFile, reference: &'a str) -> Self {
        let mut sizes: Vec<&str> = Vec::new();
        let programs = run.programs.iter().map(|program| {
            let names = program.sizes.iter().map(|size| size.name.as_str());
            (program.name.as_str(), names.collect::<Vec<&str>>())
        });
        let programs: Vec<(&str, Vec<&str>)> = programs.collect();
        for size in programs.iter().flat_map(|(_, sizes)| sizes) {
            if !sizes.contains(size) {
                sizes.push(size);
            }
        }
        Self {
            summary: Summary::new(run),
            engines: engines(run),
            programs,
            sizes,
            reference,
        }
    }

    /// Every cell in which there is something to show, program by program.
    fn cells(&self) -> impl Iterator<Item = Cell<'a>> + '_ {
        self.programs.iter().flat_map(move |(program, sizes)| {
            sizes.iter().flat_map(move |size| {
                let cells = self.engines.iter().map(move |engine| Cell {
                    engine,
                    program,
                    size,
                });
                cells.filter(|cell| self.is_known(*cell))
            })
        })
    }

    fn is_known(&self, cell: Cell<'_>) -> bool {
        !self.summary.samples(cell).is_empty() || self.summary.problem(cell).is_some()
    }

    fn at_reference<'b>(&'b self, cell: Cell<'b>) -> Cell<'b> {
        Cell {
            engine: self.reference,
            ..cell
        }
    }

    /// The median of a cell divided by that of the reference, pair by pair.
    fn ratio(&self, metric: Metric, cell: Cell<'_>) -> Option<crate::stats::Estimate> {
        let ratios = self.summary.ratios(metric, cell, self.at_reference(cell));
        crate::stats::Estimate::of(&ratios)
    }

    /// The programs that have a size, by name.
    fn programs_of(&self, size: &str) -> impl Iterator<Item = &'a str> + '_ {
        let size = size.to_owned();
        let programs = self.programs.iter();
        let programs = programs.filter(move |(_, sizes)| sizes.contains(&size.as_str()));
        programs.map(|(name, _)| *name)
    }

    /// The geometric mean over programs of the medians of an engine at a size.
    fn mean(&self, metric: Metric, engine: &str, size: &str) -> Option<f64> {
        let values = self.programs_of(size).filter_map(|program| {
            let estimate = self.summary.estimate(
                metric,
                Cell {
                    engine,
                    program,
                    size,
                },
            );
            estimate.map(|e| e.median).filter(|value| *value > 0.0)
        });
        geometric_mean(&values.collect::<Vec<f64>>())
    }

    /// One row per engine.
    fn means(&self, size: &str) -> String {
        let programs = self.programs_of(size).count();
        let reference = self.reference;
        let mut text = format!(
            "\nSize {size}: geometric means over {programs} programs; run, total and CPU time relative to {reference}\n\n"
        );
        for one_thread in [false, true] {
            let titles = ["#", "engine", "load ms", "run", "total", "CPU"];
            let more = ["RSS MiB", "code KiB", "programs"];
            let mut grid = Grid::new(2, &[&titles[..], &more[..]].concat());
            for (index, engine) in self.engines.iter().enumerate() {
                let good = |program: &&str| {
                    let cell = Cell {
                        engine,
                        program,
                        size,
                    };
                    !self.summary.samples(cell).is_empty()
                };
                let good = self.programs_of(size).filter(good).count();
                if engine.ends_with("@1") != one_thread || good == 0 {
                    continue;
                }
                let ratio_of = |metric| self.summary.mean_ratio(metric, engine, reference, size);
                let mean = |metric| self.mean(metric, engine, size);
                grid.row(vec![
                    (index + 1).to_string(),
                    (*engine).to_owned(),
                    or_dash(mean(Metric::Load), figure),
                    or_dash(ratio_of(Metric::Run), interval),
                    or_dash(ratio_of(Metric::Total), interval),
                    or_dash(ratio_of(Metric::Cpu), |e| ratio(e.median)),
                    or_dash(mean(Metric::PeakRss), |kib| figure(kib / 1024.0)),
                    or_dash(mean(Metric::CodeBytes), |bytes| figure(bytes / 1024.0)),
                    good.to_string(),
                ]);
            }
            if !grid.is_empty() {
                if one_thread {
                    text += "\nCompiling on one thread:\n";
                }
                text += &grid.text();
            }
        }
        text
    }

    /// One row per program, one column per engine: the ratios of run and total time, or, if nothing ran, loading.
    fn by_program(&self, size: &str) -> String {
        let ran = self
            .cells()
            .any(|cell| cell.size == size && self.summary.estimate(Metric::Run, cell).is_some());
        let metrics: &[(Metric, &str)] = if ran {
            &[(Metric::Run, "Run time"), (Metric::Total, "Total time")]
        } else {
            &[(Metric::Load, "Load time")]
        };
        let mut text = String::new();
        for (metric, title) in metrics {
            let numbered: Vec<(usize, &&str)> = self.engines.iter().enumerate().collect();
            for engines in numbered.chunks(ENGINES_PER_TABLE) {
                text += &format!(
                    "\n{title} at size {size} relative to {}; columns are engines by the numbers above\n\n",
                    self.reference
                );
                text += &self.matrix(*metric, size, engines).text();
            }
        }
        text
    }

    fn matrix(&self, metric: Metric, size: &str, engines: &[(usize, &&str)]) -> Grid {
        let numbers = engines.iter().map(|(index, _)| (index + 1).to_string());
        let numbers: Vec<String> = numbers.collect();
        let titles = std::iter::once("program").chain(numbers.iter().map(String::as_str));
        let mut grid = Grid::new(1, &titles.collect::<Vec<&str>>());
        for program in self.programs_of(size) {
            let mut row = vec![program.to_owned()];
            row.extend(engines.iter().map(|(_, engine)| {
                let cell = Cell {
                    engine,
                    program,
                    size,
                };
                if self.summary.problem(cell).is_some() {
                    return "bad".to_owned();
                }
                or_dash(self.ratio(metric, cell), |e| ratio(e.median))
            }));
            grid.row(row);
        }
        grid
    }

    /// What was skipped, and what went wrong.
    fn remarks(&self, run: &RunFile) -> String {
        let skipped = run.engines.iter().filter_map(|engine| {
            let reason = engine.skipped.as_ref()?;
            Some(format!("  {}: {reason}\n", engine.name))
        });
        let skipped: String = skipped.collect();
        let problems = self.summary.problems().map(|(cell, message)| {
            let Cell {
                engine,
                program,
                size,
            } = cell;
            format!("  {program} {size}, {engine}: {message}\n")
        });
        let problems: String = problems.collect();
        let mut text = String::new();
        if !skipped.is_empty() {
            text += &format!("\nSkipped:\n{skipped}");
        }
        if !problems.is_empty() {
            text += &format!("\nProblems, which leave out all figures of the cell:\n{problems}");
        }
        text
    }
}

#[cfg(test)]
mod tests;
