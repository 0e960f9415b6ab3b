//! `bars`: what a page of docs/ promises of a part of the engine, measured and judged row by row.
//!
//! [`parts`] is what is measured together, [`rows`] what a row is and when its bar is reached. [`baseline`] and [`tiering`] have
//! the rows of a page each, `baseline_parts` and `tiering_parts` what these are measured with, [`loops`] modules for it and [`reach`]
//! what is read off them. [`text`] shows the rows and puts them into the page, [`figures`] and [`pace`] draw them. Measuring and judging are
//! apart: `--from` judges what a file has.

mod baseline;
mod baseline_parts;
mod figures;
mod loops;
mod pace;
mod parts;
mod reach;
mod rows;
mod text;
mod tiering;
mod tiering_parts;

use crate::measure;
use crate::report::write;
use crate::run::{self, Common};
use crate::schema::{BarsFile, BarsPart, FORMAT, RunFile};
use crate::{machine, store};
use parts::Part;
use rows::{Judged, Row};
use std::path::PathBuf;

/// Options of `bars`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Which bars.
    bars: Bars,
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
    /// Sizes at which the programs of the suite are run, separated by commas; without it train, for tiering test and train.
    /// Size ref takes hours.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = ["test", "train", "ref"])]
    sizes: Vec<String>,
    /// List the rows, and measure nothing.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    common: Common,
}

/// A page of docs/ with bars.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Bars {
    /// Of docs/baseline.md.
    Baseline,
    /// Of docs/tiering-figures.md.
    Tiering,
}

impl Bars {
    fn rows(self) -> &'static [Row] {
        match self {
            Self::Baseline => &baseline::ROWS,
            Self::Tiering => &tiering::ROWS,
        }
    }

    /// In the order of measuring.
    fn parts(self) -> &'static [&'static Part] {
        match self {
            Self::Baseline => &baseline_parts::PARTS,
            Self::Tiering => &tiering_parts::PARTS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Tiering => "tiering",
        }
    }

    fn page(self) -> &'static str {
        match self {
            Self::Baseline => "docs/baseline.md",
            Self::Tiering => "docs/tiering-figures.md",
        }
    }

    fn sizes(self) -> &'static [&'static str] {
        match self {
            Self::Baseline => &["train"],
            Self::Tiering => &["test", "train"],
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
        let table = text::markdown((options.bars.name(), options.bars.page()), &judged, &file);
        text::put(path, options.bars.name(), &table)?;
    }
    if let Some(directory) = &options.figures {
        std::fs::create_dir_all(directory)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        for (name, svg) in figures::all(&file)? {
            write(&directory.join(name), &svg)?;
        }
    }
    let may_fail = |name: &str| {
        let mut parts = options.bars.parts().iter();
        parts.any(|part| part.name == name && part.may_fail)
    };
    let mut parts = file.parts.clone();
    parts.retain(|part| !may_fail(&part.name));
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
    let mut sizes = options.sizes.clone();
    if sizes.is_empty() {
        let defaults = options.bars.sizes().iter();
        sizes = defaults.map(|size| (*size).to_owned()).collect();
    }
    let order = parts::Order {
        samples: options.samples,
        sizes: &sizes,
        timeout: options.common.setup().timeout,
    };
    for part in options.bars.parts() {
        let named = |row: &&&Row| options.only.iter().any(|name| name == row.name);
        let mut needing = rows.iter().filter(|row| row.part.name == part.name);
        let asked = match options.from {
            Some(_) => needing.any(|row| named(&row)),
            None => needing.next().is_some(),
        };
        if !asked || part.size(&sizes).is_none() {
            continue;
        }
        let keep = |run: &RunFile| {
            let mut so_far = file.clone();
            put(&mut so_far, part, run.clone());
            options.common.keep(&so_far)
        };
        match part.measure(&order, &keep) {
            Ok(run) => {
                eprintln!("{}: {}", part.name, machine::describe(&run.machine));
                put(file, part, run);
            }
            Err(message) if measure::interrupted() => return Err(message),
            Err(message) => eprintln!("{}: {message}", part.name),
        }
    }
    options.common.keep(file)
}

/// Instead of what there was of the part.
fn put(file: &mut BarsFile, part: &Part, run: RunFile) {
    let name = part.name.to_owned();
    file.parts.retain(|part| part.name != name);
    file.parts.push(BarsPart { name, run });
}
