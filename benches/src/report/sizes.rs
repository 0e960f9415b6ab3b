//! Total time at each size, relative to the best engine that stays with one compiler.

use super::WIDTH;
use super::axes::{Scale, exact, figure as number, time};
use super::canvas::{Anchor, Canvas, GRID, INK, SMALL, Type, draw, text_width};
use super::data::View;
use super::labels::spread;
use super::page::{figure, messages, missing};
use super::relative::dot;
use super::rows::{Dot, Label, Panel};
use super::style::{self, Group, is_static};
use crate::stats::{Estimate, geometric_mean};
use crate::summary::Metric;

const HEIGHT: f64 = 430.0;

/// A size, the best static choice at it, and the totals relative to that.
struct Column<'a> {
    size: &'a str,
    best: &'a str,
    /// Geometric mean of its total, in ms.
    best_ms: f64,
    totals: Vec<(&'a str, Estimate)>,
}

/// The section.
///
/// # Errors
/// What plotters says.
pub(crate) fn section(view: &View<'_>) -> Result<String, String> {
    let mut columns: Vec<Column<'_>> = view
        .sizes
        .iter()
        .filter_map(|size| column(view, size))
        .collect();
    if columns.is_empty() {
        return Ok(missing(
            "No static choice (upshift/baseline or upshift/optimizing on all threads) was measured, so that there is nothing to \
             compare tiering with.",
        ));
    }
    let headlines: Vec<String> = columns.iter().map(headline).collect();
    let mut html = messages(&headlines);
    let left_out = if columns.len() == 1 {
        Vec::new()
    } else {
        keep_complete(&mut columns)
    };
    let svg = match columns.as_slice() {
        [only] => one_size(only)?,
        several => many_sizes(several)?,
    };
    html.push_str(&figure(
        &svg,
        "Total time relative to the best static choice, by size",
    ));
    if columns.len() == 1 {
        html.push_str(&missing(
            "Only one size was measured; with more, this is a line per engine.",
        ));
    }
    if !left_out.is_empty() {
        html.push_str(&missing(&format!(
            "Not measured at every size, and left out of the plot: {}.",
            left_out.join(", ")
        )));
    }
    Ok(html)
}

/// Drops engines without a figure at some size, which would have no line; tells which.
fn keep_complete<'a>(columns: &mut [Column<'a>]) -> Vec<&'a str> {
    let has = |column: &Column<'_>, engine: &str| column.totals.iter().any(|(e, _)| *e == engine);
    let mut left_out: Vec<&str> = Vec::new();
    for (engine, _) in columns.iter().flat_map(|column| &column.totals) {
        if !left_out.contains(engine) && !columns.iter().all(|column| has(column, engine)) {
            left_out.push(engine);
        }
    }
    for column in columns {
        column
            .totals
            .retain(|(engine, _)| !left_out.contains(engine));
    }
    left_out
}

fn column<'a>(view: &View<'a>, size: &'a str) -> Option<Column<'a>> {
    let engines = view.on(false);
    let statics: Vec<&'a str> = engines
        .iter()
        .copied()
        .filter(|name| is_static(name))
        .collect();
    let base = *statics.first()?;
    let total = |engine: &str, to: &str| view.summary.mean_ratio(Metric::Total, engine, to, size);
    let ranked = statics
        .iter()
        .filter_map(|engine| Some((*engine, total(engine, base)?.median)));
    let (best, _) = ranked.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let totals = engines
        .iter()
        .filter_map(|engine| Some((*engine, total(engine, best)?)));
    let values = view.medians(Metric::Total, best, size);
    let values: Vec<f64> = values.into_iter().map(|(value, _)| value).collect();
    Some(Column {
        size,
        best,
        best_ms: geometric_mean(&values)?,
        totals: totals.collect(),
    })
}

fn headline(column: &Column<'_>) -> String {
    let tiering = column
        .totals
        .iter()
        .filter(|(engine, _)| Group::of(engine) == Group::Upshift && !is_static(engine));
    let Some((engine, ratio)) = tiering.min_by(|a, b| a.1.median.total_cmp(&b.1.median)) else {
        return format!(
            "Size {}: no policy that tiers up was measured.",
            column.size
        );
    };
    let verdict = if ratio.low >= ratio.high {
        "too few samples to say which is better"
    } else if ratio.high < 1.0 {
        "tiering wins"
    } else if ratio.low > 1.0 {
        "the static choice wins"
    } else {
        "no difference that these samples can show"
    };
    format!(
        "Size {}: the best that tiers up, {engine}, takes {} × the total of the best static choice, {} (95 % interval {} to {}): \
         {verdict}.",
        column.size,
        exact(ratio.median),
        column.best,
        exact(ratio.low),
        exact(ratio.high)
    )
}

fn one_size(column: &Column<'_>) -> Result<String, String> {
    let mut totals = column.totals.clone();
    totals.sort_by(|a, b| a.1.median.total_cmp(&b.1.median));
    let labels: Vec<Label> = totals
        .iter()
        .map(|(engine, _)| Label {
            text: (*engine).to_owned(),
            bold: false,
        })
        .collect();
    let rows: Vec<Vec<Dot>> = totals
        .iter()
        .map(|(engine, ratio)| vec![dot(engine, *ratio)])
        .collect();
    let panel = Panel {
        title: format!("Size {}", column.size),
        axis: format!("total time ÷ {} (log; left is faster)", column.best),
        rows,
        reference: Some(1.0),
        legend: Vec::new(),
        figures: true,
    };
    super::rows::plot(WIDTH, &labels, &[panel], false)
}

/// Two planes, ours and the others, each with its scale: ours are too close together for that of an interpreter.
fn many_sizes(columns: &[Column<'_>]) -> Result<String, String> {
    let groups: [(&str, Vec<Group>); 2] = [
        ("Upshift", vec![Group::Upshift]),
        ("Others", vec![Group::Other, Group::Browser]),
    ];
    let has = |groups: &[Group]| {
        let names = columns.iter().flat_map(|column| &column.totals);
        names
            .map(|(engine, _)| Group::of(engine))
            .any(|group| groups.contains(&group))
    };
    let groups: Vec<&(&str, Vec<Group>)> = groups.iter().filter(|(_, group)| has(group)).collect();
    let count = f64::from(u32::try_from(groups.len().max(1)).unwrap_or(1));
    let width = WIDTH / count;
    draw((WIDTH, HEIGHT), |canvas| {
        let mut left = 0.0;
        for (title, members) in groups {
            canvas.text((left + 60.0, 12.0), Anchor::Left, title, Type::BOLD);
            let wanted = |engine: &str| members.contains(&Group::of(engine));
            let values = columns.iter().flat_map(|column| &column.totals);
            let values = values.filter(|(engine, _)| wanted(engine));
            let values = values.map(|(_, ratio)| ratio.median).chain([1.0]);
            let y = Scale::log(values, (HEIGHT - 56.0, 30.0));
            plane(canvas, columns, &wanted, (left, left + width), y);
            left += width;
        }
    })
}

fn plane(
    canvas: &mut Canvas<'_>,
    columns: &[Column<'_>],
    wanted: &dyn Fn(&str) -> bool,
    (left, right): (f64, f64),
    y: Scale,
) {
    let mut names: Vec<&str> = Vec::new();
    for (engine, _) in columns.iter().flat_map(|column| &column.totals) {
        if wanted(engine) && !names.contains(engine) {
            names.push(engine);
        }
    }
    let label = names
        .iter()
        .map(|name| text_width(name, SMALL))
        .fold(0.0, f64::max);
    let (from, to) = (left + 60.0, right - label - 36.0);
    let last = f64::from(u32::try_from(columns.len()).unwrap_or(2)) - 1.0;
    let x = |index: u32| from + 24.0 + (to - from - 34.0) * f64::from(index) / last;
    let (bottom, top) = (HEIGHT - 56.0, 30.0);
    grid(canvas, &y, (from, to), (top, bottom));
    for (index, column) in (0..).zip(columns) {
        let at = x(index);
        canvas.line(&[(at, top), (at, bottom)], GRID, 1.0);
        canvas.text(
            (at, bottom + 14.0),
            Anchor::Center,
            column.size,
            Type::PLAIN,
        );
        let time = time(column.best_ms);
        canvas.text((at, bottom + 29.0), Anchor::Center, &time, Type::FAINT);
    }
    let note = "size, and the best static choice's mean total";
    canvas.text(
        (f64::midpoint(from, to), bottom + 46.0),
        Anchor::Center,
        note,
        Type::FAINT,
    );
    let mut ends = Vec::new();
    for name in &names {
        let points: Vec<(f64, f64)> = (0..)
            .zip(columns)
            .filter_map(|(index, column)| {
                let (_, ratio) = column.totals.iter().find(|(engine, _)| engine == name)?;
                Some((x(index), y.at(ratio.median)))
            })
            .collect();
        let look = style::of(name);
        canvas.curve(&points, look, 2.0);
        for point in &points {
            canvas.mark(*point, 4.0, look);
        }
        ends.push(points.last().copied().unwrap_or((to, bottom)));
    }
    let heights: Vec<f64> = ends.iter().map(|end| end.1).collect();
    let heights = spread(&heights, 14.0, (top, bottom));
    for ((name, end), height) in names.iter().zip(ends).zip(heights) {
        let colour = style::of(name).colour;
        canvas.line(&[(end.0 + 6.0, end.1), (to + 16.0, height)], colour, 0.5);
        canvas.text((to + 20.0, height), Anchor::Left, name, Type::SMALL);
    }
}

fn grid(canvas: &mut Canvas<'_>, y: &Scale, (from, to): (f64, f64), (top, bottom): (f64, f64)) {
    for tick in y.ticks(22.0) {
        let at = y.at(tick);
        canvas.line(&[(from, at), (to, at)], GRID, 1.0);
        canvas.text((from - 6.0, at), Anchor::Right, &number(tick), Type::SMALL);
    }
    let one = y.at(1.0);
    canvas.line(&[(from, one), (to, one)], INK, 1.0);
    let middle = f64::midpoint(top, bottom);
    let title = "total ÷ best static choice (log; down is faster)";
    canvas.text((from - 48.0, middle), Anchor::Upward, title, Type::FAINT);
}
