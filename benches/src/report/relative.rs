//! Run time relative to the reference, per program and over all.

use super::WIDTH;
use super::axes::exact;
use super::data::View;
use super::page::{details, escape, figure, message, missing, table};
use super::rows::{Dot, Label, Panel, plot};
use super::style::Group;
use crate::stats::Estimate;
use crate::summary::{Cell, Metric};

/// The section: a plot for each size, the greatest unfolded.
///
/// # Errors
/// What plotters says.
pub(crate) fn section(view: &View<'_>) -> Result<String, String> {
    let engines: Vec<&str> = view
        .on(false)
        .into_iter()
        .filter(|engine| *engine != view.reference)
        .collect();
    let mut html = String::new();
    for size in view.sizes.iter().rev() {
        let part = of_size(view, &engines, size)?;
        match part {
            Some(part) if html.is_empty() => html = part,
            Some(part) => html.push_str(&details(&format!("The same at size {size}"), &part)),
            None => {}
        }
    }
    if html.is_empty() {
        html = missing(&format!(
            "No program ran both in {} and in another engine that compiles on all threads.",
            view.reference
        ));
    }
    Ok(html)
}

fn of_size(view: &View<'_>, engines: &[&str], size: &str) -> Result<Option<String>, String> {
    let ratios = |engine: &str, program: &str| {
        let cell = Cell {
            engine,
            program,
            size,
        };
        let reference = Cell {
            engine: view.reference,
            ..cell
        };
        Estimate::of(&view.summary.ratios(Metric::Run, cell, reference))
    };
    let ran = |program: &&str| {
        engines
            .iter()
            .any(|engine| ratios(engine, program).is_some())
    };
    let programs: Vec<&str> = view.programs.iter().copied().filter(ran).collect();
    if programs.is_empty() {
        return Ok(None);
    }
    let mean = |engine: &str| {
        view.summary
            .mean_ratio(Metric::Run, engine, view.reference, size)
    };
    let panels: Vec<Panel> = Group::ALL
        .into_iter()
        .filter_map(|group| {
            let members: Vec<&str> = engines
                .iter()
                .copied()
                .filter(|engine| Group::of(engine) == group && mean(engine).is_some())
                .collect();
            (!members.is_empty()).then(|| Panel {
                title: group.title().to_owned(),
                axis: format!("run time ÷ {} (log; left is faster)", view.reference),
                rows: dots(&members, &programs, &ratios, &mean),
                reference: Some(1.0),
                legend: members.into_iter().map(str::to_owned).collect(),
                figures: false,
            })
        })
        .collect();
    let svg = plot(WIDTH, &labels(&programs), &panels, true)?;
    let alt = format!("Run time at size {size} relative to {}", view.reference);
    let mut html = message(&headline(view, engines, size));
    html.push_str(&figure(&svg, &alt));
    let names: Vec<&str> = engines
        .iter()
        .copied()
        .filter(|engine| mean(engine).is_some())
        .collect();
    let figures = figures(&names, &programs, &ratios, &mean);
    html.push_str(&details("The figures of this plot", &figures));
    Ok(Some(html))
}

/// A row for each program, and one for their mean.
pub(crate) fn labels(programs: &[&str]) -> Vec<Label> {
    let label = |text: &&str, bold: bool| Label {
        text: (*text).to_owned(),
        bold,
    };
    let mut labels: Vec<Label> = programs.iter().map(|name| label(name, false)).collect();
    labels.push(label(&"geometric mean", true));
    labels
}

/// In the rows of [`labels`], the dots of the engines.
pub(crate) fn dots(
    engines: &[&str],
    programs: &[&str],
    of: &dyn Fn(&str, &str) -> Option<Estimate>,
    mean: &dyn Fn(&str) -> Option<Estimate>,
) -> Vec<Vec<Dot>> {
    let row = |of: &dyn Fn(&str) -> Option<Estimate>| {
        let dots = engines
            .iter()
            .filter_map(|engine| Some(dot(engine, of(engine)?)));
        dots.collect::<Vec<Dot>>()
    };
    let rows = programs
        .iter()
        .map(|program| row(&|engine| of(engine, program)));
    rows.chain([row(mean)]).collect()
}

/// A dot for an estimate.
pub(crate) fn dot(engine: &str, estimate: Estimate) -> Dot {
    Dot {
        engine: engine.to_owned(),
        value: estimate.median,
        interval: (estimate.low, estimate.high),
    }
}

fn headline(view: &View<'_>, engines: &[&str], size: &str) -> String {
    let of = |engine: &&str| {
        let native = engine.starts_with("native");
        let ratio = view
            .summary
            .mean_ratio(Metric::Run, engine, view.reference, size)?;
        (!native).then_some(((*engine).to_owned(), ratio))
    };
    let mut means: Vec<(String, Estimate)> = engines.iter().filter_map(of).collect();
    means.sort_by(|a, b| a.1.median.total_cmp(&b.1.median));
    let say = |(engine, ratio): &(String, Estimate)| {
        format!("{engine} with {} × {}", exact(ratio.median), view.reference)
    };
    match (means.first(), means.last()) {
        (Some(first), Some(last)) if first.0 != last.0 => format!(
            "At size {size} the geometric mean is lowest for {}, highest for {}.",
            say(first),
            say(last)
        ),
        (Some(only), _) => format!("At size {size} the geometric mean of {}.", say(only)),
        (None, _) => format!("At size {size} there is no engine besides native code."),
    }
}

fn figures(
    engines: &[&str],
    programs: &[&str],
    ratios: &dyn Fn(&str, &str) -> Option<Estimate>,
    mean: &dyn Fn(&str) -> Option<Estimate>,
) -> String {
    let mut head = vec!["Engine".to_owned()];
    head.extend(programs.iter().map(|program| escape(program)));
    head.push("mean".to_owned());
    let show = |estimate: Option<Estimate>| {
        estimate.map_or("–".to_owned(), |estimate| exact(estimate.median))
    };
    let rows = engines.iter().map(|engine| {
        let mut row = vec![escape(engine)];
        row.extend(programs.iter().map(|program| show(ratios(engine, program))));
        row.push(show(mean(engine)));
        row
    });
    table(&head, &rows.collect::<Vec<_>>())
}
