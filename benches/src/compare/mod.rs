//! `compare`: what changed between two runs beyond noise.

use crate::engine::Engine;
use crate::schema::{Machine, RunFile};
use crate::stats::{BeforeAfter, Estimate, mean_ratio_of_medians, ratio_of_medians};
use crate::summary::{Cell, Metric, Summary};
use crate::table::{Grid, figure, interval, or_dash};
use crate::{machine, run, store};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The fewest samples of which a change is believed.
const ENOUGH: usize = 3;

/// Options of `compare`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The earlier run: a file of `run --json`.
    before: PathBuf,
    /// The later one.
    after: PathBuf,
    /// What to compare.
    #[arg(long, value_enum, default_value_t = Metric::Total)]
    metric: Metric,
    /// Only these engines, separated by commas.
    #[arg(long, value_name = "LIST")]
    engine: Option<String>,
    /// Changes up to this many percent are not marked.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    threshold: f64,
    /// Write the result to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What `--json` writes.
#[derive(Serialize, Debug)]
struct Comparison {
    metric: Metric,
    /// In percent.
    threshold: f64,
    same_machine: bool,
    /// By engine and size, over the programs that both runs have.
    means: Vec<Mean>,
    rows: Vec<Row>,
    /// Cells that only one of the runs has good values of.
    missing: Vec<String>,
}

/// A geometric mean over programs.
#[derive(Serialize, Debug)]
struct Mean {
    engine: String,
    size: String,
    programs: usize,
    change: Change,
}

/// An engine, program and size; values are in the unit of the JSON files.
#[derive(Serialize, Debug)]
struct Row {
    engine: String,
    program: String,
    size: String,
    before: f64,
    after: f64,
    /// The lesser number of samples.
    samples: usize,
    change: Change,
}

/// The later median divided by the earlier one.
#[derive(Serialize, Clone, Copy, Debug)]
struct Change {
    ratio: f64,
    low: f64,
    high: f64,
    verdict: Verdict,
}

/// Of every metric, less is better.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Better,
    Worse,
    /// The interval holds 1, or the change is below the threshold.
    Same,
    /// There are too few samples to say.
    Unknown,
}

/// `upshift-bench compare`.
///
/// # Errors
/// If a file is not one of a run, or the two have nothing in common.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let read = |path: &Path| store::read::<RunFile>(path, "`run --json`");
    let (before, after) = (read(&options.before)?, read(&options.after)?);
    let comparison = compare(options, &before, &after)?;
    if let Some(path) = &options.json {
        store::write(path, &comparison)?;
    }
    let warning = differences(&before.machine, &after.machine);
    run::write_out(&(warning + &comparison.text()))
}

/// A warning if the machines are not the same.
fn differences(before: &Machine, after: &Machine) -> String {
    if same(before, after) {
        return String::new();
    }
    format!(
        "Warning: the runs come from different machines, so that figures of one say little of the other:\n  {}\n  {}\n",
        machine::describe(before),
        machine::describe(after)
    )
}

/// Load and commit may differ.
fn same(before: &Machine, after: &Machine) -> bool {
    let fixed = |m: &Machine| {
        (
            m.cpu.clone(),
            m.cores,
            m.memory_kb / (64 << 10),
            m.os.clone(),
        )
    };
    fixed(before) == fixed(after)
}

fn compare(options: &Options, before: &RunFile, after: &RunFile) -> Result<Comparison, String> {
    let metric = options.metric;
    let engines = match &options.engine {
        Some(list) => Some(Engine::parse_list(list)?),
        None => None,
    };
    let wanted = |cell: &Cell<'_>| {
        engines.as_ref().is_none_or(|engines| {
            engines
                .iter()
                .any(|engine| engine.to_string() == cell.engine)
        })
    };
    let (old, new) = (Summary::new(before), Summary::new(after));
    let mut comparison = Comparison {
        metric: options.metric,
        threshold: options.threshold,
        same_machine: same(&before.machine, &after.machine),
        means: Vec::new(),
        rows: Vec::new(),
        missing: Vec::new(),
    };
    let mut groups: Vec<((&str, &str), Vec<BeforeAfter>)> = Vec::new();
    for cell in cells(before, after).into_iter().filter(wanted) {
        let values = (old.values(metric, cell), new.values(metric, cell));
        let Some(ratio) = ratio_of_medians(&values.0, &values.1) else {
            comparison.note_missing(cell, &values);
            continue;
        };
        let samples = values.0.len().min(values.1.len());
        let median = |values: &[f64]| crate::stats::median(values).unwrap_or(f64::NAN);
        comparison.rows.push(Row {
            engine: cell.engine.to_owned(),
            program: cell.program.to_owned(),
            size: cell.size.to_owned(),
            before: median(&values.0),
            after: median(&values.1),
            samples,
            change: Change::new(ratio, samples, options.threshold),
        });
        let key = (cell.engine, cell.size);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(values),
            None => groups.push((key, vec![values])),
        }
    }
    for ((engine, size), programs) in groups {
        let samples = programs.iter().map(|(a, b)| a.len().min(b.len())).min();
        if let Some(mean) = mean_ratio_of_medians(&programs) {
            comparison.means.push(Mean {
                engine: engine.to_owned(),
                size: size.to_owned(),
                programs: programs.len(),
                change: Change::new(mean, samples.unwrap_or(0), options.threshold),
            });
        }
    }
    if comparison.rows.is_empty() {
        return Err(
            "the runs have no engine, program and size in common with that metric".to_owned(),
        );
    }
    Ok(comparison)
}

/// The cells of both runs, by engine in the order of the runs, then by program.
fn cells<'a>(before: &'a RunFile, after: &'a RunFile) -> Vec<Cell<'a>> {
    let mut cells: Vec<Cell<'_>> = Vec::new();
    let mut engines: Vec<&str> = Vec::new();
    for sample in before.samples.iter().chain(&after.samples) {
        let cell = Cell {
            engine: &sample.engine,
            program: &sample.program,
            size: &sample.size,
        };
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    for run in [before, after] {
        engines.extend(run.engines.iter().map(|engine| engine.name.as_str()));
    }
    let place = |cell: &Cell<'_>| engines.iter().position(|engine| *engine == cell.engine);
    cells.sort_by_key(|cell| (place(cell), *cell));
    cells
}

impl Change {
    fn new(estimate: Estimate, samples: usize, threshold: f64) -> Self {
        let Estimate {
            median, low, high, ..
        } = estimate;
        let verdict = if samples < ENOUGH {
            Verdict::Unknown
        } else if low > 1.0 && median > 1.0 + threshold / 100.0 {
            Verdict::Worse
        } else if high < 1.0 && median < 1.0 - threshold / 100.0 {
            Verdict::Better
        } else {
            Verdict::Same
        };
        Self {
            ratio: median,
            low,
            high,
            verdict,
        }
    }

    /// The ratio and the mark.
    fn columns(self) -> [String; 2] {
        let estimate = Estimate {
            median: self.ratio,
            minimum: self.low,
            low: self.low,
            high: self.high,
            count: 0,
        };
        let mark = match self.verdict {
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::Same => "",
            Verdict::Unknown => "too few samples",
        };
        [interval(estimate), mark.to_owned()]
    }
}

impl Comparison {
    fn note_missing(&mut self, cell: Cell<'_>, (before, after): &BeforeAfter) {
        let which = match (before.is_empty(), after.is_empty()) {
            (true, false) => "only in the later run",
            (false, true) => "only in the earlier run",
            // Neither run has the metric there, or it is 0, as the load time of native programs is.
            (true, true) | (false, false) => return,
        };
        let Cell {
            engine,
            program,
            size,
        } = cell;
        self.missing
            .push(format!("{program} {size}, {engine}: {which}"));
    }

    fn text(&self) -> String {
        let metric = self.metric;
        let unit = metric.unit();
        let (unit, name) = (unit.scale(), unit.name());
        let mut means = Grid::new(2, &["engine", "size", "programs", "after / before", ""]);
        for mean in &self.means {
            let head = [
                mean.engine.clone(),
                mean.size.clone(),
                mean.programs.to_string(),
            ];
            means.row([head.as_slice(), &mean.change.columns()].concat());
        }
        let titles = [format!("before {name}"), format!("after {name}")];
        let [before, after] = &titles;
        let mut rows = Grid::new(
            3,
            &[
                "engine",
                "program",
                "size",
                before,
                after,
                "after / before",
                "",
            ],
        );
        for row in &self.rows {
            let head = [&row.engine, &row.program, &row.size].map(Clone::clone);
            let values = [row.before, row.after].map(|v| or_dash(Some(v / unit), figure));
            rows.row([head.as_slice(), &values, &row.change.columns()].concat());
        }
        let mut text = format!(
            "{metric:?}: medians of the later run divided by those of the earlier one, with 95 % intervals.\n\
             Marked if the interval excludes 1 and the change is more than {} %; less is better.\n\n\
             Geometric means:\n{}\n{}",
            self.threshold,
            means.text(),
            rows.text()
        );
        let marked = |wanted| {
            self.rows
                .iter()
                .filter(|r| r.change.verdict == wanted)
                .count()
        };
        text += &format!(
            "\n{} better, {} worse, of {}\n",
            marked(Verdict::Better),
            marked(Verdict::Worse),
            self.rows.len()
        );
        if !self.missing.is_empty() {
            text += &format!("\nNot compared:\n  {}\n", self.missing.join("\n  "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Metric, Options, compare, differences};
    use crate::schema::RunFile;
    use crate::summary::tests::run_of;

    fn options(engine: Option<&str>) -> Options {
        Options {
            before: "a.json".into(),
            after: "b.json".into(),
            metric: Metric::Run,
            engine: engine.map(str::to_owned),
            threshold: 1.0,
            json: None,
        }
    }

    /// `native` on three programs, five rounds each: `p` changes by a factor, `q` and `r` stay, `q` with noise.
    fn run(factor: f64) -> RunFile {
        let mut samples = Vec::new();
        for round in 0..5 {
            let noise = f64::from(round % 3) * 4.0;
            samples.push(("native", "p", round, 0.0, (100.0 + noise / 100.0) * factor));
            samples.push(("native", "q", round, 0.0, (100.0 + noise) * factor.cbrt()));
            samples.push(("native", "r", round, 0.0, 50.0));
        }
        run_of(&samples)
    }

    #[test]
    fn changes_beyond_noise_are_marked() {
        let check = |factor: f64, verdicts: &str| {
            let comparison =
                compare(&options(None), &run(1.0), &run(factor)).expect("common cells");
            let found = comparison
                .rows
                .iter()
                .map(|row| row.change.columns()[1].clone());
            assert_eq!(
                found.collect::<Vec<String>>().join(","),
                verdicts,
                "{factor}"
            );
            comparison.text()
        };
        check(1.0, ",,");
        check(1.005, ",,");
        check(1.05, "WORSE,,");
        let text = check(0.95, "better,,");
        assert_eq!(text, include_str!("changes.txt"), "found:\n{text}");
        check(2.0, "WORSE,WORSE,");
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let few = run_of(&[("native", "p", 0, 0.0, 300.0), ("wasmi", "p", 0, 0.0, 1.0)]);
        let comparison = compare(&options(None), &run(1.0), &few).expect("a common cell");
        let text = comparison.text();
        for part in [
            "too few samples",
            "p test, wasmi: only in the later",
            "q test, native: only in the earlier",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        let error = compare(&options(Some("wasmi")), &run(1.0), &few).expect_err("no wasmi before");
        assert!(
            error.contains("nothing") || error.contains("in common"),
            "{error}"
        );
        assert!(compare(&options(Some("x")), &run(1.0), &few).is_err());
        let mut other = few.machine.clone();
        assert_eq!(differences(&few.machine, &other), "");
        other.load = 1.0;
        assert_eq!(differences(&few.machine, &other), "");
        other.cores = 64;
        assert!(differences(&few.machine, &other).contains("64 cores"));
    }
}
