//! Memory and machine code.

use super::WIDTH;
use super::axes::exact;
use super::data::View;
use super::page::{figure, message, missing};
use super::relative::dot;
use super::rows::{Dot, Label, Panel, plot};
use crate::stats::{Estimate, geometric_mean_of_medians};
use crate::summary::{Cell, Metric};

/// The section, for the greatest size.
///
/// # Errors
/// What plotters says.
pub(crate) fn section(view: &View<'_>) -> Result<String, String> {
    let Some(size) = view.sizes.last() else {
        return Ok(missing("There are no samples."));
    };
    let engines = view.tried(false, size);
    let memory = |engine: &str| mean(view, Metric::PeakRss, engine, size, |_| 1024.0);
    let code = |engine: &str| mean(view, Metric::CodeBytes, engine, size, |bytes| bytes);
    let rows = |of: &dyn Fn(&str) -> Option<Estimate>| -> Vec<Vec<Dot>> {
        let dots = engines
            .iter()
            .map(|engine| of(engine).map(|value| dot(engine, value)));
        dots.map(|dot| dot.into_iter().collect()).collect()
    };
    let panel = |title: &str, axis: &str, rows: Vec<Vec<Dot>>| Panel {
        title: title.to_owned(),
        axis: axis.to_owned(),
        rows,
        reference: None,
        legend: Vec::new(),
        figures: true,
    };
    let panels = [
        panel(
            "Peak resident memory",
            "MiB (log; left is less)",
            rows(&memory),
        ),
        panel(
            "Machine code made, all tiers",
            "bytes per byte of WebAssembly (log; left is less)",
            rows(&code),
        ),
    ];
    let panels: Vec<Panel> = panels
        .into_iter()
        .filter(|panel| panel.rows.iter().any(|row| !row.is_empty()))
        .collect();
    if panels.is_empty() {
        return Ok(missing("No engine told its memory or its code."));
    }
    let label = |engine: &&str| Label {
        text: (*engine).to_owned(),
        bold: false,
    };
    let labels: Vec<Label> = engines.iter().map(label).collect();
    let mut html = String::new();
    let least = engines
        .iter()
        .filter(|engine| !engine.starts_with("native"));
    let least = least.filter_map(|engine| Some((engine, memory(engine)?.median)));
    if let Some((engine, value)) = least.min_by(|a, b| a.1.total_cmp(&b.1)) {
        let text = format!(
            "Least memory at size {size} besides native code: {engine}, {} MiB in the geometric mean.",
            exact(value)
        );
        html.push_str(&message(&text));
    }
    let svg = plot(WIDTH, &labels, &panels, false)?;
    html.push_str(&figure(&svg, "Peak memory and machine code by engine"));
    Ok(html)
}

/// The geometric mean of a metric over the programs, each divided by what `unit` says of its bytes.
fn mean(
    view: &View<'_>,
    metric: Metric,
    engine: &str,
    size: &str,
    unit: impl Fn(f64) -> f64,
) -> Option<Estimate> {
    let programs = view.programs.iter().filter_map(|program| {
        let cell = Cell {
            engine,
            program,
            size,
        };
        let unit = unit(view.wasm_bytes(program));
        let values = view.summary.values(metric, cell).into_iter();
        let values: Vec<f64> = values
            .filter(|value| *value > 0.0)
            .map(|value| value / unit)
            .collect();
        (!values.is_empty() && unit > 0.0).then_some(values)
    });
    geometric_mean_of_medians(&programs.collect::<Vec<_>>())
}
