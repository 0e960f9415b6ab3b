//! `upshift tiers`: the history of each function, as a table and as a picture.

use super::history::{History, Loop, histories};
use super::output::Output;
use super::step::{Key, Recording};
use crate::args::RunOptions;
use crate::out::{err, out};
use crate::{EXIT_ERROR, run};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;
use upshift::{Error, ErrorKind};
use upshift_plot::canvas::standalone;
use upshift_plot::timeline::{Life, Timeline};

/// Width of the picture in pixels.
const WIDTH: f64 = 1200.0;
/// Longer names are cut.
const NAME_MAX: usize = 34;

#[derive(Args, Debug)]
pub(crate) struct TiersOptions {
    #[command(flatten)]
    pub(crate) view: ViewOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

/// What is shown.
#[derive(Args, Clone, Debug)]
pub(crate) struct ViewOptions {
    /// By the time at which functions came up, or the most urgent first.
    #[arg(long, value_enum, default_value_t = Sort::Time, value_name = "ORDER")]
    pub(crate) sort: Sort,
    /// Show so many functions.
    #[arg(long, default_value_t = 40, value_name = "N")]
    pub(crate) top: usize,
    /// Draw a timeline into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Sort {
    /// The earliest first.
    Time,
    /// By the greatest rank in the queue: time spent in the function over the time to optimize it.
    Heat,
}

/// Runs the program, or reads a file of `--trace-tiering`; gives the exit code.
pub(crate) fn tiers(options: &TiersOptions) -> i32 {
    match recorded(options) {
        Ok(None) => run::run(&options.run, Some(&options.view)),
        Ok(Some(recording)) => match View::new(&options.view, options.run.file()) {
            Ok(view) => i32::from(!view.show(&recording)) * EXIT_ERROR,
            Err(error) => failed(&error),
        },
        Err(error) => failed(&error),
    }
}

fn failed(error: &Error) -> i32 {
    err(format_args!("upshift: {error}"));
    EXIT_ERROR
}

/// The recording in FILE, if that is no module: JSON begins with a brace, which modules never do.
fn recorded(options: &TiersOptions) -> Result<Option<Recording>, Error> {
    let file = options.run.file();
    let io = |error: std::io::Error| {
        Error::with_kind(ErrorKind::Io, format!("{}: {error}", file.display()))
    };
    if crate::input::is_stdin(file) {
        return Ok(None);
    }
    let mut opened = std::fs::File::open(file).map_err(io)?;
    let mut bytes = vec![0];
    if opened.read(&mut bytes).map_err(io)? == 0 || bytes != b"{" {
        return Ok(None);
    }
    opened.read_to_end(&mut bytes).map_err(io)?;
    super::trace::read(&bytes).map(Some).map_err(|error| {
        let message = format!("{}: no trace of tier-up: {error}", file.display());
        Error::with_kind(ErrorKind::Malformed, message)
    })
}

/// Where histories are shown.
#[derive(Debug)]
pub(crate) struct View {
    sort: Sort,
    top: usize,
    svg: Option<Output>,
}

impl View {
    /// Opens what is to be written.
    ///
    /// # Errors
    /// Kind `Io` if it cannot be.
    pub(crate) fn new(options: &ViewOptions, input: &std::path::Path) -> Result<Self, Error> {
        let open = |file: &PathBuf| Output::open(file, input);
        Ok(Self {
            sort: options.sort,
            top: options.top,
            svg: options.svg.as_ref().map(open).transpose()?,
        })
    }

    /// Prints and draws; whether everything could be written.
    pub(crate) fn show(&self, recording: &Recording) -> bool {
        let rows = histories(recording);
        let zero = rows.iter().map(|row| row.begins_us);
        let zero = zero
            .fold(f64::INFINITY, f64::min)
            .clamp(0.0, recording.end_us.max(0.0));
        let left_out = rows.len().saturating_sub(self.top);
        let rows = self.chosen(rows);
        let printed = out(&table(recording, &rows, left_out));
        let drawn = self.draw(&rows, left_out, (zero, recording.end_us));
        for result in [&printed, &drawn] {
            if let Err(error) = result {
                err(format_args!("upshift: {error}"));
            }
        }
        printed.is_ok() && drawn.is_ok()
    }

    /// The functions to show, in the order in which they are shown. Where not all can be, those that more was done about than
    /// their first compile go before the others.
    fn chosen(&self, mut rows: Vec<History>) -> Vec<History> {
        let hot = |row: &History| std::cmp::Reverse(row.priority);
        let dull = |row: &History| row.life.marks.is_empty() && row.inlined_into.is_empty();
        match self.sort {
            Sort::Heat => rows.sort_by_key(hot),
            Sort::Time => rows.sort_by_key(dull),
        }
        rows.truncate(self.top);
        if self.sort == Sort::Time {
            rows.sort_by(|a, b| a.begins_us.total_cmp(&b.begins_us));
        }
        rows
    }

    fn draw(
        &self,
        rows: &[History],
        left_out: usize,
        (zero_us, end_us): (f64, f64),
    ) -> Result<(), Error> {
        let Some(output) = &self.svg else {
            return Ok(());
        };
        let rows: Vec<Life> = rows.iter().map(|row| row.life.clone()).collect();
        let timeline = Timeline {
            rows: &rows,
            left_out,
            zero: zero_us / 1e3,
            since: &format!("the first compile, which began at {} ms", ms(zero_us)),
            end: Some(end_us / 1e3),
            width: WIDTH,
        };
        let svg = timeline.svg().map_err(Error::msg)?;
        let svg = svg.unwrap_or_else(|| EMPTY.to_owned());
        output.write(|out| std::io::Write::write_all(out, standalone(&svg).as_bytes()))
    }
}

/// The picture of a run without steps.
const EMPTY: &str = r#"<svg width="1200" height="40" viewBox="0 0 1200 40" xmlns="http://www.w3.org/2000/svg">
<text x="14" y="25" font-family="sans-serif" font-size="14">No function was compiled.</text>
</svg>
"#;

/// The whole text.
fn table(recording: &Recording, rows: &[History], left_out: usize) -> String {
    let mut text = "Times in ms since the start of the engine, sizes in bytes.\n".to_owned();
    let titles = [
        "wasm",
        "compiled",
        "by",
        "code",
        "requested",
        "waited",
        "took",
        "installed",
        "code",
    ];
    line(&mut text, "function (index)", titles.map(str::to_owned));
    for row in rows {
        describe(&mut text, recording, row);
    }
    if rows.is_empty() {
        text.push_str("No function was compiled.\n");
    }
    // Writing to a String cannot fail.
    if left_out > 0 {
        let _ = writeln!(text, "{left_out} more functions; --top N shows more");
    }
    if recording.lost > 0 {
        let _ = writeln!(text, "{} later steps were not kept", recording.lost);
    }
    text
}

fn line(text: &mut String, name: &str, cells: [String; 9]) {
    let [
        wasm,
        compiled,
        by,
        first,
        requested,
        waited,
        took,
        installed,
        code,
    ] = cells;
    let _ = writeln!(
        text,
        "{name:<NAME_MAX$} {wasm:>7} {compiled:>10} {by:>10} {first:>7} {requested:>10} {waited:>9} {took:>9} {installed:>10} {code:>7}"
    );
}

fn describe(text: &mut String, recording: &Recording, row: &History) {
    let dash = || "-".to_owned();
    let time = |us: Option<f64>| us.map_or_else(dash, ms);
    let index = format!(" ({})", row.func.1);
    let name = printable(&row.name, NAME_MAX.saturating_sub(index.len())) + &index;
    let cells = [
        row.wasm_bytes.to_string(),
        time(row.first.map(|first| first.at_us)),
        row.first.map_or("-", |first| first.tier.name()).to_owned(),
        row.first
            .map_or_else(dash, |first| first.code_bytes.to_string()),
        time(row.requested_us),
        time(row.waited_us),
        time(row.optimized.map(|made| made.took_us)),
        time(row.installed_us),
        row.optimized
            .map_or_else(dash, |made| made.code_bytes.to_string()),
    ];
    line(text, &name, cells);
    for (site, at) in &row.loops {
        let _ = writeln!(text, "    loop {site}: {}", loop_text(at));
    }
    let names = |funcs: &[Key]| {
        let names = funcs
            .iter()
            .map(|func| printable(&recording.name(*func), NAME_MAX));
        names.collect::<Vec<_>>().join(", ")
    };
    if !row.inlines.is_empty() {
        let _ = writeln!(text, "    holds {}", names(&row.inlines));
    }
    if !row.inlined_into.is_empty() {
        let _ = writeln!(text, "    inlined into {}", names(&row.inlined_into));
    }
    if row.freed_bytes > 0 {
        let (retired, freed) = (row.retired_bytes, row.freed_bytes);
        let _ = writeln!(text, "    {retired} bytes of code retired, {freed} freed");
    }
    for (at_us, why) in &row.refused {
        let _ = writeln!(
            text,
            "    {} ms: {}",
            ms(*at_us),
            printable(why, usize::MAX)
        );
    }
}

fn loop_text(at: &Loop) -> String {
    let mut parts = Vec::new();
    parts.extend(at.requested_us.map(|us| format!("requested {}", ms(us))));
    parts.extend(at.compiled.map(|made| {
        let (at, took) = (ms(made.at_us), ms(made.took_us));
        format!("compiled {at} (took {took}, {} bytes)", made.code_bytes)
    }));
    parts.extend(at.entered_us.map(|us| match at.entries {
        1 => format!("entered {}", ms(us)),
        times => format!("entered {} and {} times more", ms(us), times - 1),
    }));
    let refused = at.refused.as_ref();
    parts.extend(refused.map(|why| format!("refused: {}", printable(why, usize::MAX))));
    parts.join(", ")
}

/// Milliseconds to the microsecond.
fn ms(us: f64) -> String {
    format!("{:.3}", us / 1e3)
}

/// Names are the module's: no control characters, and no longer than the column.
fn printable(name: &str, most: usize) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if plain.chars().count() <= most {
        return plain;
    }
    let head: String = plain.chars().take(most.saturating_sub(1)).collect();
    format!("{head}…")
}
