//! `bars`: what a page of docs/ promises of a part of the engine, measured and judged row by row.
//!
//! [`parts`] says what is measured together, [`baseline`] has the rows of the baseline compiler, [`rows`] is what a row is
//! and when its bar is reached, [`text`] shows them and puts them into the page, [`figures`] draws them. Measuring and
//! judging are apart: `--from` judges what a file has.

mod baseline;
mod figures;
mod parts;
mod rows;
mod text;

use crate::measure;
use crate::report::write;
use crate::schema::{BarsFile, BarsPart, FORMAT};
use crate::{machine, run, store};
use parts::Part;
use rows::{Judged, Row};
use std::path::PathBuf;

/// Options of `bars`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Which bars.
    bars: Bars,
    /// Write all samples to this file, after each round.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the table into this page, between the marks that it has for it.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Write the plots to this directory.
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
    /// Only these rows, by name, separated by commas.
    #[arg(long, value_name = "ROWS", value_delimiter = ',')]
    only: Vec<String>,
    /// Start with what `--json` wrote to this file, and measure nothing again but the rows of --only.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Processes per engine and program.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// The size of the programs of the suite whose run time is measured.
    #[arg(long, value_name = "NAME", default_value = "train")]
    size: String,
    /// End a process after this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// List the rows, and measure nothing.
    #[arg(long)]
    list: bool,
}

/// A page of docs/ with bars.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Bars {
    /// Of docs/baseline.md.
    Baseline,
}

impl Bars {
    fn rows(self) -> &'static [Row] {
        match self {
            Self::Baseline => &baseline::ROWS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
        }
    }
}

/// `upshift-bench bars`.
///
/// # Errors
/// If a row is unknown, a file cannot be read or written, or a sample was wrong or failed. A bar that is not reached is no
/// error.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let wanted = wanted(options)?;
    if options.list {
        let lines = wanted
            .iter()
            .map(|row| format!("{:16} {}\n", row.name, row.what));
        return run::write_out(&lines.collect::<String>());
    }
    let mut file = match &options.from {
        Some(path) => store::read(path, "`bars --json`")?,
        None => BarsFile {
            format: FORMAT,
            parts: Vec::new(),
        },
    };
    let measured = measure_all(options, &wanted, &mut file);
    // Also after Ctrl-C: what was measured so far is shown.
    let judged: Vec<Judged> = rows::judge(&wanted, &file);
    run::write_out(&text::terminal(&judged))?;
    measured?;
    if let Some(path) = &options.table {
        let table = text::markdown(options.bars.name(), &judged, &file);
        text::put(path, options.bars.name(), &table)?;
    }
    if let Some(directory) = &options.figures {
        std::fs::create_dir_all(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        for (name, svg) in figures::all(&file)? {
            write(&directory.join(name), &svg)?;
        }
    }
    // What is hostile may be refused, which its rows say.
    let mut parts = file.parts.clone();
    parts.retain(|part| part.name != Part::Hostile.name());
    let samples = parts.iter().flat_map(|part| &part.run.samples);
    run::verdict(&samples.cloned().collect::<Vec<_>>())
}

/// The rows that are asked for.
///
/// # Errors
/// If there is no row of a name; says which there are.
fn wanted(options: &Options) -> Result<Vec<&'static Row>, String> {
    let rows = options.bars.rows();
    let known = |name: &String| rows.iter().any(|row| row.name == name);
    if let Some(unknown) = options.only.iter().find(|name| !known(name)) {
        let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
        return Err(format!(
            "expected rows ({}), found {unknown:?}",
            names.join(", ")
        ));
    }
    let all = options.only.is_empty() || options.from.is_some();
    let wanted = |row: &&Row| all || options.only.iter().any(|name| name == row.name);
    Ok(rows.iter().filter(wanted).collect())
}

/// Measures the parts that the rows need.
///
/// # Errors
/// After Ctrl-C, or if the samples cannot be written.
fn measure_all(options: &Options, rows: &[&Row], file: &mut BarsFile) -> Result<(), String> {
    for part in Part::ALL {
        let needs = |row: &&&Row| row.part == part;
        let asked = match options.from {
            Some(_) => rows
                .iter()
                .filter(needs)
                .any(|row| options.only.iter().any(|name| name == row.name)),
            None => rows.iter().any(|row| needs(&row)),
        };
        if !asked {
            continue;
        }
        let keep = |run: &crate::schema::RunFile| {
            let mut so_far = file.clone();
            put(&mut so_far, part, run.clone());
            match &options.json {
                Some(path) => store::write(path, &so_far),
                None => Ok(()),
            }
        };
        let order = parts::Order {
            samples: options.samples,
            size: &options.size,
            timeout: std::time::Duration::from_secs(options.timeout),
        };
        match parts::measure(part, &order, &keep) {
            Ok(run) => {
                eprintln!("{}: {}", part.name(), machine::describe(&run.machine));
                put(file, part, run);
            }
            Err(message) if measure::interrupted() => return Err(message),
            Err(message) => eprintln!("{}: {message}", part.name()),
        }
    }
    match &options.json {
        Some(path) => store::write(path, file),
        None => Ok(()),
    }
}

/// Instead of what there was of the part.
fn put(file: &mut BarsFile, part: Part, run: crate::schema::RunFile) {
    let name = part.name().to_owned();
    file.parts.retain(|part| part.name != name);
    file.parts.push(BarsPart { name, run });
}
