//! The bars of docs/baseline.md.

use super::baseline_parts::{
    HOSTILE, INSTANCES, LARGEST, LAZY, LOAD, MANY_FUNCTIONS, MANY_TINY, NOTHING, RUN, START, STREAM,
};
use super::rows::{Bar, Figure, Row, over, worst};
use crate::report::data::View;
use crate::schema::{Measured, Sample};
use crate::stats::{Estimate, geometric_mean_of_medians, median};
use crate::summary::{Cell, Metric};

/// Ours on one thread.
pub(super) const COMPILER: &str = "upshift/baseline/eager@1";
/// Ours while it runs.
pub(super) const CODE: &str = "upshift/baseline/eager";
/// What its run time is compared with.
pub(super) const OPTIMIZED: &str = "upshift/optimizing/eager";

/// The table.
pub(super) static ROWS: [Row; 16] = [
    Row {
        name: "speed-cranelift",
        what: "compile speed on one thread (decode, validate, baseline code), against Cranelift in wasmtime",
        part: &LOAD,
        unit: "x",
        bar: Bar::AtLeast(25.0),
        moonshot: Some(40.0),
        figure: |view| speed(view, "wasmtime/cranelift@1"),
    },
    Row {
        name: "speed-liftoff",
        what: "compile speed on one thread, against V8's Liftoff",
        part: &LOAD,
        unit: "x",
        bar: Bar::AtLeast(1.0),
        moonshot: Some(2.0),
        figure: |view| speed(view, "v8/liftoff@1"),
    },
    Row {
        name: "run-optimizing",
        what: "run time of baseline code, against our optimizing tier",
        part: &RUN,
        unit: "x",
        bar: Bar::AtMost(1.40),
        moonshot: Some(1.25),
        figure: |view| run_time(view, OPTIMIZED),
    },
    Row {
        name: "run-winch",
        what: "run time of baseline code, against Winch",
        part: &RUN,
        unit: "x",
        bar: Bar::AtMost(0.85),
        moonshot: None,
        figure: |view| run_time(view, "wasmtime/winch"),
    },
    Row {
        name: "run-liftoff",
        what: "run time of baseline code, against Liftoff",
        part: &RUN,
        unit: "x",
        bar: Bar::AtMost(0.90),
        moonshot: None,
        figure: |view| run_time(view, "v8/liftoff"),
    },
    Row {
        name: "run-worst",
        what: "the worst program of the suite, against our optimizing tier",
        part: &RUN,
        unit: "x",
        bar: Bar::SurelyAtMost(2.5),
        moonshot: Some(1.8),
        figure: worst_program,
    },
    Row {
        name: "start",
        what: "a module of 75 MB, lazily: bytes in memory to the first call of an import, against V8's lazy mode",
        part: &START,
        unit: "x",
        bar: Bar::AtMost(1.3),
        moonshot: Some(1.0),
        figure: start,
    },
    Row {
        name: "start-memory",
        what: "peak memory of that start, with the module itself, per byte of the module",
        part: &START,
        unit: "x",
        bar: Bar::AtMost(2.5),
        moonshot: Some(1.6),
        figure: start_memory,
    },
    Row {
        name: "code-size",
        what: "baseline machine code per byte of function bodies",
        part: &LOAD,
        unit: "x",
        bar: Bar::AtMost(4.0),
        moonshot: Some(3.0),
        figure: |view| {
            let sizes = view
                .summary
                .cells_of(COMPILER, |cell| code_size(view, cell));
            over(geometric_mean_of_medians(&sizes), "modules")
        },
    },
    Row {
        name: "lazy",
        what: "4,156 functions, 1 in 55 called: lazy compilation per called function",
        part: &LAZY,
        unit: "µs",
        bar: Bar::AtMost(15.0),
        moonshot: None,
        figure: |view| lazy(view, MANY_FUNCTIONS, compile_us),
    },
    Row {
        name: "lazy-tiny",
        what: "100,000 tiny functions, 1 in 100 called: lazy compilation per called function",
        part: &LAZY,
        unit: "µs",
        bar: Bar::AtMost(15.0),
        moonshot: None,
        figure: |view| lazy(view, MANY_TINY, compile_us),
    },
    Row {
        name: "uncalled",
        what: "the same: time for a function that is never called, besides validation",
        part: &LAZY,
        unit: "µs",
        bar: Bar::AtMost(0.1),
        moonshot: None,
        figure: |view| lazy(view, MANY_TINY, uncalled_us),
    },
    Row {
        name: "hostile-time",
        what: "the most hostile functions of 1 and 7.6 MB: compile time per byte, against small functions",
        part: &HOSTILE,
        unit: "x",
        bar: Bar::SurelyAtMost(1.5),
        moonshot: None,
        figure: |view| hostile(view, Metric::Load),
    },
    Row {
        name: "hostile-memory",
        what: "the same: peak memory per byte, without what the process takes for itself",
        part: &HOSTILE,
        unit: "x",
        bar: Bar::SurelyAtMost(1.5),
        moonshot: None,
        figure: |view| hostile(view, Metric::PeakRss),
    },
    Row {
        name: "stream",
        what: "modules of 14 to 17 MB that arrive at 50 MB/s: from the last byte to code for all functions, the slowest",
        part: &STREAM,
        unit: "ms",
        bar: Bar::AtMost(20.0),
        moonshot: None,
        figure: stream,
    },
    Row {
        name: "second-instance",
        what: "the second instance of a module with 10 MB of data",
        part: &INSTANCES,
        unit: "µs",
        bar: Bar::AtMost(100.0),
        moonshot: None,
        figure: second_instance,
    },
];

/// The loading time of another engine divided by ours, over all modules. Those of the suite are small, and most of them: so
/// the mean over the corpora is told too.
fn speed(view: &View<'_>, other: &str) -> Option<Figure> {
    let mean = |wanted: &dyn Fn(&Cell<'_>) -> bool| {
        let ratios = view.summary.cells_of(other, |cell| {
            let ours = Cell {
                engine: COMPILER,
                ..cell
            };
            wanted(&cell).then(|| view.summary.ratios(Metric::Load, cell, ours))
        });
        geometric_mean_of_medians(&ratios)
    };
    let of_corpora = |cell: &Cell<'_>| {
        let mut programs = view.run.programs.iter();
        programs.any(|program| program.name == cell.program && program.kind == "corpus")
    };
    let mut figure = over(mean(&|_| true), "modules")?;
    if let Some(corpora) = mean(&of_corpora) {
        let Estimate { median, count, .. } = corpora;
        figure.of += &format!("; {median:.1}x over the {count} of the corpora");
    }
    Some(figure)
}

fn run_time(view: &View<'_>, other: &str) -> Option<Figure> {
    let size = view.sizes.first()?;
    let mean = view.summary.mean_ratio(Metric::Run, CODE, other, size);
    over(mean, "programs")
}

fn worst_program(view: &View<'_>) -> Option<Figure> {
    let size = view.sizes.first()?;
    let cell = |engine, program| Cell {
        engine,
        program,
        size,
    };
    let figures = view.programs.iter().filter_map(|program| {
        let (ours, optimized) = (cell(CODE, program), cell(OPTIMIZED, program));
        Some(Figure::new(
            Estimate::of(&view.summary.ratios(Metric::Run, ours, optimized))?,
            (*program).to_owned(),
        ))
    });
    worst(figures)
}

fn start(view: &View<'_>) -> Option<Figure> {
    let cell = |engine| Cell {
        engine,
        program: LARGEST,
        size: "only",
    };
    let (ours, theirs) = (cell("upshift/dynamic/lazy"), cell("v8"));
    let ms = |cell| median(&view.summary.values(Metric::Start, cell));
    Some(Figure::new(
        Estimate::of(&view.summary.ratios(Metric::Start, ours, theirs))?,
        format!(
            "{:.0} ms against {:.0} ms on {} cores",
            ms(ours)?,
            ms(theirs)?,
            view.run.machine.cores
        ),
    ))
}

fn start_memory(view: &View<'_>) -> Option<Figure> {
    let bytes = view.wasm_bytes(LARGEST);
    let cell = |engine| Cell {
        engine,
        program: LARGEST,
        size: "only",
    };
    let ratios = |engine| -> Vec<f64> {
        let peaks = view.summary.values(Metric::PeakRss, cell(engine));
        peaks.iter().map(|kib| kib * 1024.0 / bytes).collect()
    };
    let theirs = median(&ratios("v8")).map_or(String::new(), |ratio| format!("V8: {ratio:.2} x"));
    Some(Figure::new(
        Estimate::of(&ratios("upshift/dynamic/lazy"))?,
        theirs,
    ))
}

/// Machine code of an engine per byte of function bodies, as ours counts those.
pub(super) fn code_size(view: &View<'_>, cell: Cell<'_>) -> Option<Vec<f64>> {
    let ours = Cell {
        engine: COMPILER,
        ..cell
    };
    let first = view.summary.samples(ours).first()?;
    let bodies = float(first.measured.as_ref()?.body_bytes?);
    let code = view.summary.values(Metric::CodeBytes, cell);
    Some(code.iter().map(|bytes| bytes / bodies).collect())
}

/// What the samples of one program say.
fn lazy(view: &View<'_>, program: &str, of: fn(&Measured) -> Option<f64>) -> Option<Figure> {
    let samples = view.run.samples.iter();
    let measured = |sample: &Sample| (sample.program == program).then(|| sample.measured.clone());
    let measured: Vec<Measured> = samples.filter_map(measured).flatten().collect();
    let values: Option<Vec<f64>> = measured.iter().map(of).collect();
    let tiers = measured.first()?.tiers?;
    Some(Figure::new(
        Estimate::of(&values?)?,
        format!(
            "{} of {} functions compiled",
            tiers.baseline.functions, tiers.functions
        ),
    ))
}

/// Time that the guest waited for code, per function that was compiled.
fn compile_us(measured: &Measured) -> Option<f64> {
    let tiers = measured.tiers?;
    let functions = float(tiers.baseline.functions);
    (functions > 0.0).then(|| tiers.lazy_compile_ms * 1000.0 / functions)
}

/// Loading time that is not validation, per function that was not compiled.
fn uncalled_us(measured: &Measured) -> Option<f64> {
    let tiers = measured.tiers?;
    let functions = float(tiers.functions.checked_sub(tiers.baseline.functions)?);
    (functions > 0.0).then(|| measured.compile_ms.unwrap_or(0.0) * 1000.0 / functions)
}

/// The worst of the hostile modules: what it costs per byte, divided by what small functions of about as many bytes cost.
fn hostile(view: &View<'_>, metric: Metric) -> Option<Figure> {
    let ratios = |program: &&str| {
        let small = small_for(program)?;
        Some(Figure::new(
            per_byte(view, metric, program, small)?,
            (*program).to_owned(),
        ))
    };
    let mut found = worst(view.programs.iter().filter_map(ratios))?;
    let refused: Vec<&str> = view
        .summary
        .problems()
        .map(|(cell, _)| cell.program)
        .collect();
    if !refused.is_empty() {
        found.of += &format!("; refused: {}", refused.join(", "));
    }
    Some(found)
}

/// The module of small functions that is as large as a hostile one.
pub(super) fn small_for(program: &str) -> Option<&'static str> {
    if program.starts_with("small") {
        None
    } else if program.ends_with("-1m") {
        Some("small")
    } else if program.ends_with("-7m") {
        Some("small-7m")
    } else {
        None
    }
}

/// A metric per byte of a module, divided by the same of another, round by round. Of memory, what the process of an empty
/// module takes is left out.
pub(super) fn per_byte(
    view: &View<'_>,
    metric: Metric,
    program: &str,
    reference: &str,
) -> Option<Estimate> {
    let values = |program| {
        let cell = Cell {
            engine: COMPILER,
            program,
            size: "only",
        };
        view.summary.values(metric, cell)
    };
    let floor = if metric == Metric::PeakRss {
        median(&values(NOTHING))?
    } else {
        0.0
    };
    let rate = |program| -> Vec<f64> {
        let bytes = view.wasm_bytes(program);
        let values = values(program).into_iter();
        values.map(|value| (value - floor) / bytes).collect()
    };
    let pairs = rate(program).into_iter().zip(rate(reference));
    Estimate::of(
        &pairs
            .map(|(ours, theirs)| ours / theirs)
            .collect::<Vec<_>>(),
    )
}

fn stream(view: &View<'_>) -> Option<Figure> {
    let figures = view.programs.iter().filter_map(|program| {
        let samples = view.run.samples.iter();
        let samples = samples.filter(|sample| sample.program == **program);
        let measured = samples.filter_map(|sample| sample.measured.as_ref());
        let ready: Vec<f64> = measured.filter_map(|measured| measured.ready_ms).collect();
        Some(Figure::new(Estimate::of(&ready)?, (*program).to_owned()))
    });
    worst(figures)
}

fn second_instance(view: &View<'_>) -> Option<Figure> {
    let samples = view.run.samples.iter();
    let times = |index: usize| -> Vec<f64> {
        let measured = samples
            .clone()
            .filter_map(|sample| sample.measured.as_ref());
        let times = measured.filter_map(|measured| measured.iterations.get(index));
        times.map(|times| times.instantiate_ms * 1000.0).collect()
    };
    Some(Figure::new(
        Estimate::of(&times(1))?,
        format!("the first one: {:.0} µs", median(&times(0))?),
    ))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
