//! `warmup`: how much work a program has done by when.

pub(crate) mod curves;
pub(crate) mod rounds;

use crate::engine::Engine;
use crate::manifest::{self, Program};
use crate::measure::{Setup, Taken};
use crate::report::{canvas, curves as plots, timeline, write};
use crate::schema::{FORMAT, Outcome, Timeline, WarmupCurve, WarmupFile};
use crate::{available, machine, measure, store};
use std::path::PathBuf;
use std::time::Duration;

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
    /// End a process after this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Write all samples to this file, for `report --warmup`.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the curves to this file, and the timeline of tier-up to one beside it.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
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
    let (engines, mut skipped) = here(&options.engines)?;
    let mut file = WarmupFile {
        format: FORMAT,
        started_unix: rounds::seconds_now(),
        command: std::env::args().skip(1).collect(),
        machine: machine::here(),
        program: program.name.clone(),
        size: size.clone(),
        curves: engines
            .iter()
            .map(|engine| empty(&engine.to_string()))
            .collect(),
        timeline: None,
    };
    let setup = Setup {
        suites: options.suite.clone(),
        iterations: 1,
        load_only: false,
        marks: true,
        events: false,
        stream: None,
        timeout: Duration::from_secs(options.timeout),
    };
    let cells = (engines.as_slice(), [size.clone()]);
    rounds::take(
        &setup,
        &program,
        (cells.0, &cells.1),
        options.samples,
        |engine, _, taken| {
            let name = engine.to_string();
            if let Some(curve) = file.curves.iter_mut().find(|curve| curve.engine == name) {
                add(curve, taken);
            }
        },
    );
    file.timeline = events(&setup, &engines, &program, &size);
    file.curves.append(&mut skipped);
    show(&file, options)
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

/// The engines of a list that can be measured here; for the others, curves that say why not.
fn here(list: &str) -> Result<(Vec<Engine>, Vec<WarmupCurve>), String> {
    let mut engines = Vec::new();
    let mut skipped = Vec::new();
    for engine in Engine::parse_list(list)? {
        match available::check(engine) {
            Ok(_) => engines.push(engine),
            Err(why) => skipped.push(WarmupCurve {
                problem: Some(format!("skipped: {why}")),
                ..empty(&engine.to_string())
            }),
        }
    }
    Ok((engines, skipped))
}

fn empty(engine: &str) -> WarmupCurve {
    WarmupCurve {
        engine: engine.to_owned(),
        samples: Vec::new(),
        problem: None,
    }
}

/// Adds a sample to the curve of its engine, if it is a good one and has as many steps as those before.
fn add(curve: &mut WarmupCurve, taken: Taken) {
    let steps = curve.samples.first().map_or(taken.steps_ms.len(), Vec::len);
    let problem = match taken.sample.outcome {
        Outcome::Verified | Outcome::Unchecked if taken.steps_ms.is_empty() => {
            Some("expected a `.` on standard error after each step, found none".to_owned())
        }
        Outcome::Verified | Outcome::Unchecked if taken.steps_ms.len() == steps => {
            curve.samples.push(taken.steps_ms);
            None
        }
        Outcome::Verified | Outcome::Unchecked => Some(format!(
            "expected {steps} steps as in the first sample, found {}",
            taken.steps_ms.len()
        )),
        Outcome::Wrong(message) | Outcome::Failed(message) => Some(message),
    };
    if curve.problem.is_none() {
        curve.problem = problem;
    }
}

/// What tier-up does in one run, of an engine that has it.
fn events(setup: &Setup, engines: &[Engine], program: &Program, size: &str) -> Option<Timeline> {
    let name = EVENTS_OF
        .iter()
        .find(|name| engines.iter().any(|engine| engine.to_string() == **name))?;
    if measure::interrupted() {
        return None;
    }
    let setup = Setup {
        marks: false,
        events: true,
        ..setup.clone()
    };
    let taken = measure::sample(&setup, name.parse().ok()?, program, size, 0);
    let mut events = taken.sample.measured?.events;
    events.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
    (!events.is_empty()).then(|| Timeline {
        engine: (*name).to_owned(),
        program: program.name.clone(),
        size: size.to_owned(),
        events,
    })
}

/// Prints the table and writes the files.
fn show(file: &WarmupFile, options: &Options) -> Result<(), String> {
    if let Some(path) = &options.json {
        store::write(path, file)?;
    }
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
    use super::{add, columns, empty, size};
    use crate::manifest::Program;
    use crate::measure::Taken;
    use crate::schema::Outcome;
    use crate::summary::tests::run_of;
    use std::path::Path;

    #[test]
    fn only_good_samples_are_kept() {
        let check = |samples: &[(Outcome, usize)], kept: usize, problem: Option<&str>| {
            let mut curve = empty("a");
            for (outcome, steps) in samples {
                let mut sample = run_of(&[("a", "p", 0, 1.0, 1.0)]).samples.remove(0);
                sample.outcome = outcome.clone();
                let steps_ms = vec![1.0; *steps];
                add(&mut curve, Taken { sample, steps_ms });
            }
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
