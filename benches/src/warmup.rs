//! `warmup`: how much work a program has done by when.

pub(crate) mod curves;

use crate::engine::Engine;
use crate::manifest::Program;
use crate::measure::Setup;
use crate::report::{canvas, curves as plots, timeline, write};
use crate::run::{Common, Plan, Rounds, begin};
use crate::schema::{
    EngineInfo, FORMAT, Outcome, RunFile, Sample, Timeline, WarmupCurve, WarmupFile,
};
use crate::{available, manifest, measure};
use std::path::PathBuf;

/// The engines if none are named: what stays with one compiler, and what tiers up.
const ENGINES: &str = "upshift/baseline/lazy,upshift/optimizing/lazy,upshift/optimizing/eager,\
                       upshift/eager/lazy,upshift/dynamic/lazy,upshift/dynamic/eager";

/// Whose events are recorded, the first of these that is among the engines.
const EVENTS_OF: [&str; 4] = [
    "upshift/dynamic/lazy",
    "upshift/dynamic/eager",
    "upshift/eager/lazy",
    "upshift/eager/eager",
];

/// Options of `warmup`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// The program; it has to have `steps` in its manifest.
    program: String,
    /// A manifest to use instead of the suite's; may be repeated.
    #[arg(long, value_name = "FILE")]
    suite: Vec<PathBuf>,
    /// The size; `train` if the program has it, or else its first one, if none is given.
    #[arg(long, value_name = "NAME")]
    size: Option<String>,
    /// Engines, separated by commas: see `upshift-bench engines`.
    #[arg(long, value_name = "LIST", default_value = ENGINES)]
    engines: String,
    /// Processes per engine.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Write the curves to this file, and the timeline of tier-up to one beside it.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// `upshift-bench warmup`.
///
/// # Errors
/// If the program has no steps, nothing could be measured, or a file cannot be written.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let program = manifest::find(&options.suite, &options.program)?;
    let size = size(&program, options.size.as_deref())?;
    if program.steps.is_empty() {
        return Err(format!(
            "{}: expected a program with `steps` in its manifest (arguments that make it write a `.` to standard error after \
             each step of its work), found none",
            program.name
        ));
    }
    let engines = available::checked(&Engine::parse_list(&options.engines)?);
    let plan = Plan::new(engines, vec![program.clone()], &size, false)?;
    let mut run = begin(&plan, None)?;
    let setup = Setup {
        suites: options.suite.clone(),
        marks: true,
        ..options.common.setup()
    };
    let rounds = Rounds {
        setup: &setup,
        least: options.samples,
        time: None,
        warm_up: true,
        keep: &|run| options.common.keep(&file(run, &size)),
    };
    let outcome = rounds.take(plan, &mut run);
    // Also after Ctrl-C: what was measured so far is shown.
    let mut file = file(&run, &size);
    file.timeline = events(&setup, &run, &program, &size);
    options.common.keep(&file)?;
    show(&file, options)?;
    outcome
}

/// The curves of the samples of one program at one size.
fn file(run: &RunFile, size: &str) -> WarmupFile {
    let curve = |engine: &EngineInfo| {
        let why = engine.skipped.as_ref();
        let mut curve = WarmupCurve {
            engine: engine.name.clone(),
            samples: Vec::new(),
            problem: why.map(|why| format!("skipped: {why}")),
        };
        let samples = run.samples.iter();
        for sample in samples.filter(|sample| sample.engine == engine.name) {
            add(&mut curve, sample);
        }
        curve
    };
    let program = run.programs.first();
    WarmupFile {
        format: FORMAT,
        started_unix: run.started_unix,
        command: run.command.clone(),
        machine: run.machine.clone(),
        program: program.map_or(String::new(), |program| program.name.clone()),
        size: size.to_owned(),
        curves: run.engines.iter().map(curve).collect(),
        timeline: None,
    }
}

/// The size that is asked for, if the program has it.
///
/// # Errors
/// If it has not; says which it has.
fn size(program: &Program, wanted: Option<&str>) -> Result<String, String> {
    let has = |name: &str| program.sizes.iter().any(|size| size == name);
    match wanted {
        Some(wanted) if has(wanted) => Ok(wanted.to_owned()),
        Some(wanted) => Err(format!(
            "{}: expected a size ({}), found {wanted:?}",
            program.name,
            program.sizes.join(", ")
        )),
        None if has("train") => Ok("train".to_owned()),
        None => {
            let first = program.sizes.first().cloned();
            first.ok_or_else(|| format!("{}: expected at least one size, found none", program.name))
        }
    }
}

/// Adds a sample to the curve of its engine, if it is a good one and has as many steps as those before.
fn add(curve: &mut WarmupCurve, sample: &Sample) {
    let measured = sample.measured.as_ref();
    let taken = measured.map_or(&[][..], |measured| &measured.steps_ms);
    let steps = curve.samples.first().map_or(taken.len(), Vec::len);
    let problem = match &sample.outcome {
        Outcome::Verified | Outcome::Unchecked if taken.is_empty() => {
            Some("expected a `.` on standard error after each step, found none".to_owned())
        }
        Outcome::Verified | Outcome::Unchecked if taken.len() == steps => {
            curve.samples.push(taken.to_vec());
            None
        }
        Outcome::Verified | Outcome::Unchecked => Some(format!(
            "expected {steps} steps as in the first sample, found {}",
            taken.len()
        )),
        Outcome::Wrong(message) | Outcome::Failed(message) => Some(message.clone()),
    };
    if curve.problem.is_none() {
        curve.problem = problem;
    }
}

/// What tier-up does in one run, of an engine that has it.
fn events(setup: &Setup, run: &RunFile, program: &Program, size: &str) -> Option<Timeline> {
    let here = |name: &&str| {
        let mut engines = run.engines.iter();
        engines.any(|engine| engine.name == *name && engine.skipped.is_none())
    };
    let name = EVENTS_OF.into_iter().find(here)?;
    if measure::interrupted() {
        return None;
    }
    let setup = Setup {
        marks: false,
        events: true,
        ..setup.clone()
    };
    let sample = measure::sample(&setup, name.parse().ok()?, program, size, 0);
    let mut events = sample.measured?.events;
    events.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    (!events.is_empty()).then(|| Timeline {
        engine: name.to_owned(),
        program: program.name.clone(),
        size: size.to_owned(),
        events,
    })
}

/// Prints the table and writes the files.
fn show(file: &WarmupFile, options: &Options) -> Result<(), String> {
    if let Some(path) = &options.svg {
        if let Some(svg) = plots::plot(file)? {
            write(path, &canvas::standalone(&svg))?;
        }
        if let Some(timeline) = &file.timeline
            && let Some(svg) = timeline::plot(timeline)?
        {
            write(
                &path.with_extension("timeline.svg"),
                &canvas::standalone(&svg),
            )?;
        }
    }
    for curve in &file.curves {
        if let Some(problem) = &curve.problem {
            eprintln!("{}: {problem}", curve.engine);
        }
    }
    let (head, rows) = plots::rows(file);
    let steps = file.curves.iter().flat_map(|curve| &curve.samples);
    let steps = steps.map(Vec::len).max().unwrap_or(0);
    println!(
        "{} at size {}, {steps} steps, times since the module was in memory\n",
        file.program, file.size
    );
    print!("{}", columns(&head, &rows));
    println!(
        "\nThe last column: from when on it did a twentieth of the work, and all that was left, at 95 % of the speed of the fastest of \
         these engines."
    );
    if steps == 0 {
        return Err(format!("{}: no engine got through its steps", file.program));
    }
    Ok(())
}

/// Rows as text in columns, the first to the left, the others to the right.
pub(crate) fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            text.push_str(&if index == 0 {
                format!("{cell:<width$}")
            } else {
                format!("  {cell:>width$}")
            });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{columns, file, size};
    use crate::manifest::Program;
    use crate::report::tests::made_up;
    use crate::schema::Outcome;
    use crate::summary::tests::run_of;
    use std::path::Path;

    #[test]
    fn only_good_samples_are_kept() {
        let check = |samples: &[(Outcome, usize)], kept: usize, problem: Option<&str>| {
            let rounds = samples.iter().map(|_| ("a", "p", 0, 1.0, 1.0));
            let mut run = run_of(&rounds.collect::<Vec<_>>());
            run.engines = made_up(&["a".to_owned()], 1, &[("test", 1.0)], 1).engines;
            for (sample, (outcome, steps)) in run.samples.iter_mut().zip(samples) {
                sample.outcome = outcome.clone();
                let measured = sample.measured.as_mut().expect("made up");
                measured.steps_ms = vec![1.0; *steps];
            }
            let curve = file(&run, "test").curves.remove(0);
            assert_eq!(curve.samples.len(), kept);
            let found = curve.problem.unwrap_or_default();
            assert!(found.contains(problem.unwrap_or("")), "{found}");
            assert_eq!(found.is_empty(), problem.is_none());
        };
        let wrong = Outcome::Wrong("line 1".to_owned());
        check(&[(Outcome::Verified, 5), (Outcome::Unchecked, 5)], 2, None);
        check(
            &[(Outcome::Verified, 5), (Outcome::Verified, 4)],
            1,
            Some("found 4"),
        );
        check(&[(Outcome::Verified, 0)], 0, Some("found none"));
        check(&[(wrong, 5), (Outcome::Verified, 5)], 1, Some("line 1"));
    }

    #[test]
    fn sizes() {
        let mut program = Program::of_file(Path::new("p.wasm"));
        program.sizes = ["test", "train"].map(str::to_owned).to_vec();
        assert_eq!(size(&program, None).as_deref(), Ok("train"));
        assert_eq!(size(&program, Some("test")).as_deref(), Ok("test"));
        let error = size(&program, Some("ref")).expect_err("no ref");
        assert!(
            error.contains("test, train") && error.contains("ref"),
            "{error}"
        );
    }

    #[test]
    fn tables() {
        let rows = [vec!["long name".to_owned(), "1.5".to_owned()]];
        assert_eq!(
            columns(&["a", "b"], &rows),
            "a            b\nlong name  1.5\n"
        );
    }
}
