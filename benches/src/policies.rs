//! `policies`: all policies on one program.

mod answer;

use crate::engine::Engine;
use crate::measure::Setup;
use crate::report::axes::exact;
use crate::report::{WIDTH, canvas, rows as dots, style, write};
use crate::run::{Common, Plan, Rounds, begin};
use crate::schema::RunFile;
use crate::stats::{Estimate, median};
use crate::summary::{Cell, Metric, Summary};
use crate::warmup::columns;
use crate::{available, manifest};
use answer::{answer, best_static};
use std::path::PathBuf;

/// Options of `policies`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The program, by name, or a .wasm or .wat file.
    program: String,
    /// A manifest to use instead of the suite's; may be repeated.
    #[arg(long, value_name = "FILE")]
    suite: Vec<PathBuf>,
    /// Sizes, separated by commas, or `all`. A program with one size only is always measured.
    #[arg(long, value_name = "LIST", default_value = "test,train")]
    sizes: String,
    /// Further engines beside all policies in all compile modes, separated by commas: see `upshift-bench engines`.
    #[arg(long, value_name = "LIST")]
    engines: Option<String>,
    /// Processes per engine and size.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Write a plot of the totals to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// `upshift-bench policies`.
///
/// # Errors
/// If the program or an engine is unknown, nothing could be measured, or a file cannot be written.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let program = manifest::find(&options.suite, &options.program)?;
    if program.compile_only {
        return Err(format!(
            "{}: expected a program that can be run, found one that can only be loaded",
            program.name
        ));
    }
    let list = match &options.engines {
        Some(more) => format!("upshift,{more}"),
        None => "upshift".to_owned(),
    };
    let engines = available::checked(&Engine::parse_list(&list)?);
    let plan = Plan::new(engines, vec![program], &options.sizes, false)?;
    plan.tell_skipped();
    let mut run = begin(&plan, None)?;
    let rounds = Rounds {
        setup: &Setup {
            suites: options.suite.clone(),
            ..options.common.setup()
        },
        least: options.samples,
        time: None,
        warm_up: true,
        keep: &|run| options.common.keep(run),
    };
    let outcome = rounds.take(plan, &mut run);
    // Also after Ctrl-C: what was measured so far is shown.
    show(&run, options)?;
    outcome
}

/// Prints the tables and answers, and writes the files.
fn show(run: &RunFile, options: &Options) -> Result<(), String> {
    let sizes = run.programs.iter().flat_map(|program| &program.sizes);
    let sizes: Vec<&str> = sizes.map(|size| size.name.as_str()).collect();
    let summary = Summary::new(run);
    for (cell, problem) in summary.problems() {
        eprintln!("{} ({}): {problem}", cell.engine, cell.size);
    }
    if let Some(path) = &options.svg
        && let Some(svg) = plot(run, &summary, &sizes)?
    {
        write(path, &canvas::standalone(&svg))?;
    }
    for size in &sizes {
        let (head, rows) = rows(run, &summary, size);
        println!("{} at size {size}; times in ms, medians\n", options.program);
        print!("{}", columns(&head, &rows));
        println!("\n{}\n", answer(run, &summary, size));
    }
    let any = run
        .samples
        .iter()
        .any(|sample| !summary.samples(Cell::of(sample)).is_empty());
    if any {
        Ok(())
    } else {
        Err(format!("{}: no engine ran it well", options.program))
    }
}

/// The cell of an engine in a run of one program.
fn cell<'a>(run: &'a RunFile, engine: &'a str, size: &'a str) -> Cell<'a> {
    Cell {
        engine,
        program: run.programs.first().map_or("", |program| &program.name),
        size,
    }
}

/// The head of the table of a size, and its rows, one per engine that was measured.
fn rows(run: &RunFile, summary: &Summary<'_>, size: &str) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let best = best_static(run, summary, size);
    let measured = run.engines.iter().filter(|engine| engine.skipped.is_none());
    let rows = measured.map(|engine| {
        let cell = cell(run, &engine.name, size);
        let value = |metric, unit: f64| {
            let value = summary.estimate(metric, cell);
            value.map_or("–".to_owned(), |value| exact(value.median / unit))
        };
        let ratio = best.and_then(|best| {
            let best = Cell {
                engine: best,
                ..cell
            };
            Estimate::of(&summary.ratios(Metric::Total, cell, best))
        });
        let (optimized, lazy) = tiers(summary, cell);
        vec![
            engine.name.clone(),
            summary
                .estimate(Metric::Total, cell)
                .map_or("–".to_owned(), with_interval),
            ratio.map_or("–".to_owned(), with_interval),
            value(Metric::Load, 1.0),
            value(Metric::Run, 1.0),
            value(Metric::Cpu, 1.0),
            value(Metric::PeakRss, 1024.0),
            value(Metric::CodeBytes, 1024.0),
            optimized,
            lazy,
        ]
    });
    let head = vec![
        "engine",
        "total",
        "÷ best static",
        "load",
        "run",
        "CPU",
        "RSS MiB",
        "code KiB",
        "optimized",
        "lazy compile",
    ];
    (head, rows.collect())
}

fn with_interval(estimate: Estimate) -> String {
    if estimate.low < estimate.high {
        let (low, high) = (exact(estimate.low), exact(estimate.high));
        format!("{} [{low}, {high}]", exact(estimate.median))
    } else {
        exact(estimate.median)
    }
}

/// Functions optimized of all, and the time that guest threads waited for code in ms; medians.
fn tiers(summary: &Summary<'_>, cell: Cell<'_>) -> (String, String) {
    let samples = summary.samples(cell).iter();
    let measured = samples.filter_map(|sample| sample.measured.as_ref()?.tiers);
    let tiers: Vec<_> = measured.collect();
    let middle = |of: &dyn Fn(&crate::schema::Tiers) -> f64| {
        median(&tiers.iter().map(of).collect::<Vec<f64>>())
    };
    let count = |value: u64| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    let optimized = middle(&|tiers| count(tiers.optimizing.functions));
    let all = tiers.first().map_or(0, |tiers| tiers.functions);
    let lazy = middle(&|tiers| tiers.lazy_compile_ms);
    (
        optimized.map_or("–".to_owned(), |optimized| {
            format!("{optimized:.0} of {all}")
        }),
        lazy.map_or("–".to_owned(), exact),
    )
}

/// Totals of all engines, a panel for each size.
fn plot(run: &RunFile, summary: &Summary<'_>, sizes: &[&str]) -> Result<Option<String>, String> {
    let engines: Vec<&str> = run
        .engines
        .iter()
        .map(|engine| engine.name.as_str())
        .collect();
    let total = |engine: &str, size: &str| {
        let found = summary.estimate(Metric::Total, cell(run, engine, size))?;
        Some(dots::Dot {
            engine: engine.to_owned(),
            value: found.median,
            interval: (found.low, found.high),
        })
    };
    let has = |engine: &&str| sizes.iter().any(|size| total(engine, size).is_some());
    let engines: Vec<&str> = engines.into_iter().filter(has).collect();
    if engines.is_empty() {
        return Ok(None);
    }
    let panels: Vec<dots::Panel> = sizes
        .iter()
        .map(|size| {
            let best = best_static(run, summary, size);
            let best = best.and_then(|best| total(best, size));
            dots::Panel {
                title: format!("Size {size}"),
                axis: "total, ms (log; left is faster; line: best static choice)".to_owned(),
                rows: engines
                    .iter()
                    .map(|engine| total(engine, size).into_iter().collect())
                    .collect(),
                reference: best.map(|best| best.value),
                legend: Vec::new(),
                figures: true,
            }
        })
        .collect();
    let label = |engine: &&str| dots::Label {
        text: (*engine).to_owned(),
        bold: style::is_static(engine),
    };
    let labels: Vec<dots::Label> = engines.iter().map(label).collect();
    dots::plot(WIDTH, &labels, &panels, false).map(Some)
}

#[cfg(test)]
mod tests {
    use super::{plot, rows};
    use crate::report::tests::made_up;
    use crate::summary::Summary;

    #[test]
    fn a_row_and_a_dot_per_engine() {
        let engines = [
            "upshift/baseline/lazy",
            "upshift/optimizing/eager",
            "upshift/dynamic/lazy",
            "native",
        ];
        let engines = engines.map(str::to_owned);
        let run = made_up(&engines, 1, &[("test", 40.0)], 5);
        let summary = Summary::new(&run);
        let (head, rows) = rows(&run, &summary, "test");
        assert_eq!(rows.len(), engines.len());
        assert!(rows.iter().all(|row| row.len() == head.len()));
        assert!(rows[2][2].contains('['), "{:?}", rows[2]);
        let svg = plot(&run, &summary, &["test"])
            .expect("a plot")
            .expect("engines");
        assert!(engines.iter().all(|engine| svg.contains(engine.as_str())));
    }
}
