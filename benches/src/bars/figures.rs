//! The plots: what the rows sum up, module by module.

use super::baseline::{CODE, COMPILER, OPTIMIZED, code_size, per_byte, small_for};
use super::baseline_parts::{HOSTILE, LOAD, RUN};
use super::pace;
use super::rows::view;
use super::tiering::to_best;
use super::tiering_parts::{DYNAMIC, LOOP, REF, STATICS, TEST, TRAIN};
use crate::report::WIDTH;
use crate::report::canvas::standalone;
use crate::report::data::View;
use crate::report::relative::{dots, labels};
use crate::report::rows::{Dot, Panel, plot};
use crate::schema::BarsFile;
use crate::stats::{Estimate, geometric_mean_of_medians};
use crate::summary::{Cell, Metric};

/// Engines by module, and what is drawn of them.
struct Plot<'a> {
    title: String,
    axis: &'static str,
    reference: Option<f64>,
    engines: Vec<&'a str>,
    modules: Vec<&'a str>,
    /// The values of an engine for a module, round by round.
    values: &'a dyn Fn(&str, &str) -> Vec<f64>,
}

/// File names and SVGs.
///
/// # Errors
/// What plotters says.
pub(super) fn all(file: &BarsFile) -> Result<Vec<(&'static str, String)>, String> {
    let mut plots = Vec::new();
    if let Some(view) = view(file, &LOAD) {
        plots.push(("compile-speed.svg", compile_speed(&view)?));
        plots.push(("code-size.svg", code_sizes(&view)?));
    }
    if let Some(view) = view(file, &RUN) {
        plots.push(("baseline-run.svg", run_times(&view)?));
    }
    if let Some(view) = view(file, &HOSTILE) {
        plots.push(("hostile.svg", hostile(&view)?));
    }
    if let Some(view) = view(file, &LOOP) {
        plots.push(("tiering-loops.svg", pace::plot(&view)?));
    }
    for (part, name) in [
        (&TEST, "tiering-test.svg"),
        (&TRAIN, "tiering-train.svg"),
        (&REF, "tiering-ref.svg"),
    ] {
        if let Some(view) = view(file, part) {
            plots.push((name, totals(&view)?));
        }
    }
    Ok(plots)
}

impl Plot<'_> {
    fn draw(&self) -> Result<String, String> {
        let of = |engine: &str, module: &str| Estimate::of(&(self.values)(engine, module));
        let mean = |engine: &str| {
            let modules = self.modules.iter();
            let values = modules.map(|module| (self.values)(engine, module));
            let values: Vec<Vec<f64>> = values.filter(|values| !values.is_empty()).collect();
            // Of some modules only it would be a mean of something else.
            (values.len() == self.modules.len()).then(|| geometric_mean_of_medians(&values))?
        };
        let panel = Panel {
            title: self.title.clone(),
            axis: self.axis.to_owned(),
            rows: dots(&self.engines, &self.modules, &of, &mean),
            reference: self.reference,
            legend: self
                .engines
                .iter()
                .map(|engine| (*engine).to_owned())
                .collect(),
            figures: false,
        };
        plot(WIDTH, &labels(&self.modules), &[panel], false).map(|svg| standalone(&svg))
    }
}

/// The cell of a module at the one size that it was measured at.
fn cell<'a>(view: &View<'a>, engine: &'a str, program: &'a str) -> Cell<'a> {
    let here = |size: &&&str| {
        let cell = Cell {
            engine,
            program,
            size,
        };
        !view.summary.samples(cell).is_empty()
    };
    let size = view.sizes.iter().find(here).copied().unwrap_or("");
    Cell {
        engine,
        program,
        size,
    }
}

/// Those of all engines of a view that have any values.
fn engines_with<'a>(view: &View<'a>, values: &dyn Fn(&str, &str) -> Vec<f64>) -> Vec<&'a str> {
    let has = |engine: &&str| view.programs.iter().any(|p| !values(engine, p).is_empty());
    view.engines.iter().copied().filter(has).collect()
}

/// The largest first.
fn by_size<'a>(view: &View<'a>) -> Vec<&'a str> {
    let mut modules = view.programs.clone();
    modules.sort_by(|a, b| view.wasm_bytes(b).total_cmp(&view.wasm_bytes(a)));
    modules
}

fn compile_speed(view: &View<'_>) -> Result<String, String> {
    let values = |engine: &str, module: &str| -> Vec<f64> {
        let loads = view
            .summary
            .values(Metric::Load, cell(view, engine, module));
        let bytes = view.wasm_bytes(module);
        // Bytes per ms are kB per s.
        loads.iter().map(|load| bytes / load / 1000.0).collect()
    };
    let plot = Plot {
        title: "Compile speed on one thread: decode, validate, make code".to_owned(),
        axis: "MB of module per second (log; right is faster), the largest modules first",
        reference: None,
        engines: engines_with(view, &values),
        modules: by_size(view),
        values: &values,
    };
    plot.draw()
}

fn code_sizes(view: &View<'_>) -> Result<String, String> {
    let values = |engine: &str, module: &str| {
        code_size(view, cell(view, engine, module)).unwrap_or_default()
    };
    let plot = Plot {
        title: "Machine code per byte of function bodies".to_owned(),
        axis: "bytes per byte (log; left is less; line: the bar), the largest modules first",
        reference: Some(4.0),
        engines: engines_with(view, &values),
        modules: by_size(view),
        values: &values,
    };
    plot.draw()
}

fn run_times(view: &View<'_>) -> Result<String, String> {
    let values = |engine: &str, module: &str| {
        let below = cell(view, OPTIMIZED, module);
        view.summary
            .ratios(Metric::Run, cell(view, engine, module), below)
    };
    let mut engines = engines_with(view, &values);
    engines.retain(|engine| *engine != OPTIMIZED);
    let mut modules = view.programs.clone();
    let rank = |module: &str| Estimate::of(&values(CODE, module)).map_or(0.0, |e| e.median);
    modules.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let size = view.sizes.first().copied().unwrap_or("");
    let plot = Plot {
        title: format!("Run time of baseline compilers at size {size}"),
        axis: "run time ÷ our optimizing tier (log; left is faster), our worst first",
        reference: Some(1.0),
        engines,
        modules,
        values: &values,
    };
    plot.draw()
}

/// What tiers up, of ours and of others, against the best of ours that does not.
fn totals(view: &View<'_>) -> Result<String, String> {
    let values = |engine: &str, program: &str| to_best(view, engine, program).unwrap_or_default();
    let mut engines = engines_with(view, &values);
    engines.retain(|engine| !STATICS.contains(engine) && !engine.starts_with("native"));
    let mut modules = view.programs.clone();
    let rank = |program: &str| Estimate::of(&values(DYNAMIC, program)).map_or(0.0, |e| e.median);
    modules.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let size = view.sizes.first().copied().unwrap_or("");
    let plot = Plot {
        title: format!("Total time at size {size}: compiling and running"),
        axis: "÷ the best of our Baseline and Optimizing (log; left is faster), our worst first",
        reference: Some(1.0),
        engines,
        modules,
        values: &values,
    };
    plot.draw()
}

/// Two panels, whose dots are all ours.
fn hostile(view: &View<'_>) -> Result<String, String> {
    let mut modules: Vec<&str> = view.programs.clone();
    modules.retain(|module| small_for(module).is_some());
    let panel = |metric: Metric, title: &str| {
        let dot = |module: &&str| {
            let estimate = per_byte(view, metric, module, small_for(module)?)?;
            Some(crate::report::relative::dot(COMPILER, estimate))
        };
        let rows = modules
            .iter()
            .map(|module| dot(module).into_iter().collect());
        Panel {
            title: title.to_owned(),
            axis: "÷ small functions of as many bytes (log; left is less; line: the bar)"
                .to_owned(),
            rows: rows.collect::<Vec<Vec<Dot>>>(),
            reference: Some(1.5),
            legend: Vec::new(),
            figures: true,
        }
    };
    let mut labels = labels(&modules);
    labels.pop();
    let panels = [
        panel(Metric::Load, "Compile time per byte"),
        panel(Metric::PeakRss, "Peak memory per byte"),
    ];
    plot(WIDTH, &labels, &panels, false).map(|svg| standalone(&svg))
}
