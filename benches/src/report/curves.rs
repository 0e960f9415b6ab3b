//! Work done over time, by engine.

use super::WIDTH;
use super::axes::{Frame, Scale, exact};
use super::canvas::{Anchor, Canvas, Point, SMALL, Type, draw, text_width};
use super::page::{escape, figure, message, missing, table};
use super::style;
use crate::schema::WarmupFile;
use crate::stats::Estimate;
use crate::warmup::curves::{estimate_to, median_curve, steady, time_to, warm_from};
use std::fmt::Write as _;

const HEIGHT: f64 = 380.0;

/// The section: a plot and a table for each file.
///
/// # Errors
/// What plotters says.
pub(crate) fn section(files: &[WarmupFile]) -> Result<String, String> {
    let mut html = String::new();
    for file in files {
        let _ = writeln!(
            html,
            "<h3>{}, size {}</h3>",
            escape(&file.program),
            escape(&file.size)
        );
        match plot(file)? {
            Some(svg) => {
                html.push_str(&message(&headline(file)));
                let alt = format!(
                    "Work done over time, {} at size {}",
                    file.program, file.size
                );
                html.push_str(&figure(&svg, &alt));
                html.push_str(&figures(file));
            }
            None => html.push_str(&missing("No engine got through all steps.")),
        }
        for curve in &file.curves {
            if let Some(problem) = &curve.problem {
                let _ = writeln!(
                    html,
                    "<p class=\"warn\">{}: {}</p>",
                    escape(&curve.engine),
                    escape(problem)
                );
            }
        }
    }
    if html.is_empty() {
        html = missing(
            "No warm-up was given. Measure one with `upshift-bench warmup PROGRAM --json FILE` and pass it with `--warmup FILE`.",
        );
    }
    Ok(html)
}

/// The curves as SVG; none if there are no steps. On the left all of the work, on the right the time until the slowest
/// engine had done a tenth.
///
/// # Errors
/// What plotters says.
pub(crate) fn plot(file: &WarmupFile) -> Result<Option<String>, String> {
    let curves: Vec<(&str, Vec<f64>)> = file
        .curves
        .iter()
        .map(|curve| (curve.engine.as_str(), median_curve(curve)))
        .filter(|(_, times)| !times.is_empty())
        .collect();
    if curves.is_empty() {
        return Ok(None);
    }
    let latest = |percent: usize| {
        let times = curves
            .iter()
            .filter_map(|(_, times)| time_to(times, percent));
        times.fold(0.0, f64::max)
    };
    let engines: Vec<&str> = curves.iter().map(|(engine, _)| *engine).collect();
    let lines = legend(&engines, None);
    let top = 26.0 + lines;
    let svg = draw((WIDTH, HEIGHT + lines), |canvas| {
        legend(&engines, Some(canvas));
        let bottom = HEIGHT + lines - 48.0;
        let middle = WIDTH / 2.0;
        let all = (latest(100), (62.0, middle - 10.0));
        plane(canvas, &curves, all, (bottom, top), "all of the work");
        let start = (latest(10), (middle + 62.0, WIDTH - 12.0));
        plane(canvas, &curves, start, (bottom, top), "the beginning");
    })?;
    Ok(Some(svg))
}

fn plane(
    canvas: &mut Canvas<'_>,
    curves: &[(&str, Vec<f64>)],
    (until, columns): (f64, Point),
    (bottom, top): (f64, f64),
    title: &str,
) {
    let x = Scale::from_zero(until, columns);
    let done = |times: &[f64]| {
        let done = times.iter().filter(|time| **time <= until).count();
        percent(done, times.len())
    };
    let most = curves
        .iter()
        .map(|(_, times)| done(times))
        .fold(0.0, f64::max);
    let y = Scale::from_zero(most, (bottom, top));
    let frame = Frame { x, y };
    canvas.text((columns.0, top - 12.0), Anchor::Left, title, Type::BOLD);
    frame.draw(
        canvas,
        "ms since the module was in memory",
        "work done",
        " %",
    );
    for (engine, times) in curves {
        let mut points = vec![frame.at(0.0, 0.0)];
        for (step, time) in times.iter().enumerate() {
            if *time > until {
                break;
            }
            // Nothing is known to be done before the first step is.
            if step == 0 {
                points.push(frame.at(*time, 0.0));
            }
            points.push(frame.at(*time, percent(step + 1, times.len())));
        }
        canvas.curve(&points, style::of(engine), 2.0);
        if let Some(end) = points.last() {
            canvas.mark(*end, 4.0, style::of(engine));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn percent(part: usize, all: usize) -> f64 {
    part as f64 * 100.0 / all.max(1) as f64
}

/// Draws the engines' names in as few lines as they fit into; says how high those are.
pub(crate) fn legend(engines: &[&str], mut canvas: Option<&mut Canvas<'_>>) -> f64 {
    let (mut x, mut y) = (62.0, 10.0);
    for engine in engines {
        let width = text_width(engine, SMALL) + 48.0;
        if x + width > WIDTH {
            (x, y) = (62.0, y + 18.0);
        }
        if let Some(canvas) = canvas.as_deref_mut() {
            let look = style::of(engine);
            canvas.curve(&[(x, y), (x + 22.0, y)], look, 2.0);
            canvas.mark((x + 11.0, y), 4.0, look);
            canvas.text((x + 28.0, y), Anchor::Left, engine, Type::SMALL);
        }
        x += width;
    }
    y + 14.0
}

/// One sentence on when the dynamic policy got ahead.
fn headline(file: &WarmupFile) -> String {
    let done = file.curves.iter().filter_map(|curve| {
        Some((
            curve.engine.as_str(),
            estimate_to(curve, 100)?,
            estimate_to(curve, 10)?,
        ))
    });
    let done: Vec<(&str, Estimate, Estimate)> = done.collect();
    let first = |of: fn(&(&str, Estimate, Estimate)) -> f64| {
        done.iter().min_by(|a, b| of(a).total_cmp(&of(b)))
    };
    match (first(|row| row.2.median), first(|row| row.1.median)) {
        (Some(early), Some(late)) => format!(
            "A tenth of the work is done first by {} ({} ms), all of it by {} ({} ms).",
            early.0,
            exact(early.2.median),
            late.0,
            exact(late.1.median)
        ),
        (None, _) | (_, None) => "No engine got through all steps.".to_owned(),
    }
}

/// The head of the table and its rows, one per engine; also for the terminal.
pub(crate) fn rows(file: &WarmupFile) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let curves: Vec<Vec<f64>> = file.curves.iter().map(median_curve).collect();
    let warm = warm_from(&curves);
    let rows = file.curves.iter().zip(warm).map(|(curve, warm)| {
        let time = |percent| {
            estimate_to(curve, percent).map_or("–".to_owned(), |time| exact(time.median))
        };
        let whole = estimate_to(curve, 100).map_or("–".to_owned(), show);
        let steady = steady(curve).map_or("–".to_owned(), show);
        let warm = warm.map_or("never".to_owned(), exact);
        vec![
            curve.engine.clone(),
            time(10),
            time(50),
            time(90),
            whole,
            steady,
            warm,
        ]
    });
    let head = vec![
        "engine",
        "10 % ms",
        "50 % ms",
        "90 % ms",
        "100 % ms",
        "steady steps/s",
        "95 % of best speed after ms",
    ];
    (head, rows.collect())
}

/// The median, with its interval where there is one.
fn show(estimate: Estimate) -> String {
    if estimate.low < estimate.high {
        format!(
            "{} [{}, {}]",
            exact(estimate.median),
            exact(estimate.low),
            exact(estimate.high)
        )
    } else {
        exact(estimate.median)
    }
}

fn figures(file: &WarmupFile) -> String {
    let (head, rows) = rows(file);
    let head: Vec<String> = head.into_iter().map(escape).collect();
    let cells = |row: Vec<String>| row.iter().map(|cell| escape(cell)).collect();
    let rows: Vec<Vec<String>> = rows.into_iter().map(cells).collect();
    table(&head, &rows)
}
