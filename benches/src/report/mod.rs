//! `report`: one self-contained HTML page with plots.
//!
//! [`data`] puts the files together; each section has a module that makes its HTML, with plots drawn by [`canvas`] in the
//! colours of [`style`]; [`page`] puts the sections together. Nothing is loaded from elsewhere and no script runs.

pub(crate) mod curves;
pub(crate) mod data;
mod labels;
mod memory;
mod overview;
mod page;
mod problems;
pub(crate) mod relative;
pub(crate) mod rows;
mod sizes;
mod speed;
pub(crate) mod style;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod timeline;

use crate::schema::{RunFile, WarmupFile};
use crate::store;
use data::View;
use page::Section;
use std::path::{Path, PathBuf};
pub(crate) use upshift_plot::{axes, canvas};

/// Width of plots, in pixels.
pub(crate) const WIDTH: f64 = 1040.0;

/// Options of `report`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Files that `run --json` or `policies --json` wrote.
    runs: Vec<PathBuf>,
    /// A file that `warmup --json` wrote; may be given several times.
    #[arg(long, value_name = "FILE")]
    warmup: Vec<PathBuf>,
    /// Where to write the page.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The engine that ratios are made to; `native`, or else the first one, if none is given.
    #[arg(long, value_name = "ENGINE")]
    reference: Option<String>,
}

/// `upshift-bench report`.
///
/// # Errors
/// If a file cannot be read or written or is something else, or none is given.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if options.runs.is_empty() && options.warmup.is_empty() {
        return Err(
            "expected a file that `run --json` wrote, or --warmup with one that `warmup --json` wrote".to_owned(),
        );
    }
    let read = |path: &PathBuf| store::read::<RunFile>(path, "`run --json`");
    let runs: Vec<RunFile> = options.runs.iter().map(read).collect::<Result<_, _>>()?;
    let warmups = options.warmup.iter();
    let warmups = warmups.map(|path| store::read::<WarmupFile>(path, "`warmup --json`"));
    let warmups = warmups.collect::<Result<Vec<WarmupFile>, String>>()?;
    let files = options.runs.iter().chain(&options.warmup);
    let files: Vec<String> = files.map(|path| file_name(path)).collect();
    let html = html(runs, &warmups, &files, options.reference.as_deref())?;
    write(&options.out, &html)
}

/// Writes a file.
///
/// # Errors
/// If that fails; says which file.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), String> {
    std::fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))
}

/// The name without directories, which say nothing to readers elsewhere.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The page.
///
/// # Errors
/// If there is no sample of the reference.
pub(crate) fn html(
    runs: Vec<RunFile>,
    warmups: &[WarmupFile],
    files: &[String],
    reference: Option<&str>,
) -> Result<String, String> {
    let merged = data::merge(runs);
    let (view, top) = match &merged {
        Some((run, remarks)) => (
            Some(View::new(run, reference)?),
            overview::facts(run, files, remarks),
        ),
        None => (
            None,
            page::paragraph(&format!("Made of {}.", files.join(", "))),
        ),
    };
    let sections = sections(view.as_ref(), warmups)?;
    Ok(page::page("Upshift benchmark report", &top, &sections))
}

fn sections(view: Option<&View<'_>>, warmups: &[WarmupFile]) -> Result<Vec<Section>, String> {
    let of_run = |make: fn(&View<'_>) -> Result<String, String>| match view {
        Some(view) => make(view),
        None => Ok(page::missing("No file of `run --json` was given.")),
    };
    let section = |id, title, how, content| Section {
        id,
        title,
        how,
        content,
    };
    Ok(vec![
        section(
            "summary",
            "Summary",
            "Geometric means over the programs, as ratios to the engine under each heading with 95 % intervals; lower is better, \
             the best is bold. Below each ratio: the geometric mean itself. Total is load, instantiation and run.",
            of_run(|view| Ok(overview::section(view)))?,
        ),
        section(
            "run",
            "Run time by program",
            "Each mark is the run time of an engine divided by that of the reference (line at 1), with its 95 % interval; farther \
             left is faster. Lazy configurations compile within the run.",
            of_run(relative::section)?,
        ),
        section(
            "compile",
            "Compile speed against run time",
            "Down is faster code, right is a shorter time to load: the best corner is the lower right. Lazy configurations load \
             without compiling and pay for it in the run.",
            of_run(speed::section)?,
        ),
        section(
            "sizes",
            "Total time at each size: where does tiering win?",
            "Geometric mean of the total time, divided by that of the best engine of ours that stays with one compiler at that \
             size (line at 1); lower is better, and below the line a choice beats every static one.",
            of_run(sizes::section)?,
        ),
        section(
            "warmup",
            "Warm-up: work done over time",
            "Higher and farther left is better: how much of its work a program had done by when, the median of all samples. A \
             steeper curve is faster code; a flat start is loading and compiling.",
            curves::section(warmups)?,
        ),
        section(
            "memory",
            "Memory and code",
            "Geometric means over the programs with 95 % intervals; farther left is less memory or less code. Engines that do \
             not tell their code have no mark on the right.",
            of_run(memory::section)?,
        ),
        section(
            "timeline",
            "Timeline of tier-up",
            "A row is a function, in the order of its first event; bars are compiles, marks are requests for the optimizing \
             compiler and the moment its code takes over. The sooner the triangle, the better.",
            timeline::section(warmups)?,
        ),
        section(
            "problems",
            "Problems",
            "What the other sections do not show; less is better.",
            of_run(|view| Ok(problems::section(view)))?,
        ),
    ])
}
