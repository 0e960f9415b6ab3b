//! What tier-up did in one run, function by function.

use super::WIDTH;
use super::axes::{Scale, columns, figure as number};
use super::canvas::{Anchor, Canvas, FAINT, GRID, INK, SMALL, TEXT, Type, draw, text_width};
use super::page::{escape, figure, message, missing};
use super::style::{BLUE, Dash, Fill, SKY, Shape, Style, VERMILION};
use crate::schema::{TierEvent, TierEventKind, Timeline, WarmupFile};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many functions are shown.
const MOST: usize = 48;
/// A longer timeline gets a logarithmic axis.
const LONG_MS: f64 = 20.0;
/// Where that axis begins.
const FIRST_MS: f64 = 0.1;
const ROW: f64 = 16.0;

/// What happened to a function, in ms since the engine was made.
#[derive(Clone, Default, PartialEq, Debug)]
struct Life {
    name: String,
    first: f64,
    /// Compiles: whether by the optimizing compiler, from when until when.
    compiles: Vec<(bool, f64, f64)>,
    /// From a request to the start of the job.
    waits: Vec<(f64, f64)>,
    installed: Vec<f64>,
    dropped: Vec<f64>,
    pending: Option<f64>,
}

/// The section: a plot for each file with events.
///
/// # Errors
/// What plotters says.
pub(crate) fn section(files: &[WarmupFile]) -> Result<String, String> {
    let mut html = String::new();
    for timeline in files.iter().filter_map(|file| file.timeline.as_ref()) {
        let Some(svg) = plot(timeline)? else {
            continue;
        };
        let title = format!(
            "{}, size {}, {}",
            timeline.program, timeline.size, timeline.engine
        );
        let _ = writeln!(html, "<h3>{}</h3>", escape(&title));
        html.push_str(&message(&headline(timeline)));
        html.push_str(&figure(&svg, &format!("Timeline of tier-up: {title}")));
    }
    if html.is_empty() {
        html = missing(
            "No events were given. `upshift-bench warmup PROGRAM --json FILE` records those of one run; pass it with `--warmup FILE`.",
        );
    }
    Ok(html)
}

fn lives(events: &[TierEvent]) -> Vec<Life> {
    let mut lives: BTreeMap<u32, Life> = BTreeMap::new();
    for event in events {
        let life = lives.entry(event.func).or_insert_with(|| Life {
            name: event
                .name
                .clone()
                .unwrap_or_else(|| format!("func {}", event.func)),
            first: event.at_ms,
            ..Life::default()
        });
        record(life, event);
    }
    let mut lives: Vec<Life> = lives.into_values().collect();
    lives.sort_by(|a, b| a.first.total_cmp(&b.first));
    lives
}

fn record(life: &mut Life, event: &TierEvent) {
    let at = event.at_ms;
    match event.kind {
        TierEventKind::FirstCompiled {
            optimizing,
            compile_ms,
            ..
        } => {
            life.first = life.first.min(at - compile_ms);
            life.compiles.push((optimizing, at - compile_ms, at));
        }
        TierEventKind::Requested => life.pending = Some(at),
        TierEventKind::JobStarted => {
            if let Some(requested) = life.pending.take() {
                life.waits.push((requested, at));
            }
        }
        TierEventKind::JobFinished { compile_ms, .. } => {
            life.compiles.push((true, at - compile_ms, at));
        }
        TierEventKind::Installed { optimizing } => {
            if optimizing {
                life.installed.push(at);
            }
        }
        TierEventKind::Retired => {}
        TierEventKind::Dropped => life.dropped.push(at),
    }
}

fn optimized(life: &Life) -> bool {
    life.compiles.iter().any(|(optimizing, ..)| *optimizing)
}

fn headline(timeline: &Timeline) -> String {
    let lives = lives(&timeline.events);
    let count = lives.iter().filter(|life| optimized(life)).count();
    let latest = lives
        .iter()
        .flat_map(|life| &life.installed)
        .copied()
        .fold(0.0, f64::max);
    let waits = lives.iter().flat_map(|life| &life.waits);
    let waits: Vec<f64> = waits.map(|(from, to)| to - from).collect();
    let waited = crate::stats::median(&waits).map_or(String::new(), |wait| {
        format!(
            "; the median wait for a compiler thread is {} ms",
            number(wait)
        )
    });
    format!(
        "{} functions were compiled, {count} of them by the optimizing compiler, the last installed after {} ms{waited}.",
        lives.len(),
        number(latest)
    )
}

/// The functions worth a row: all, or those that were optimized or asked for, the earliest of them.
fn chosen(lives: Vec<Life>) -> (Vec<Life>, usize) {
    let all = lives.len();
    if all <= MOST {
        return (lives, 0);
    }
    let (busy, idle): (Vec<Life>, Vec<Life>) = lives
        .into_iter()
        .partition(|life| optimized(life) || !life.waits.is_empty() || !life.dropped.is_empty());
    let mut rows: Vec<Life> = busy.into_iter().chain(idle).take(MOST).collect();
    rows.sort_by(|a, b| a.first.total_cmp(&b.first));
    (rows, all - MOST)
}

/// The timeline as SVG; none without events.
///
/// # Errors
/// What plotters says.
pub(crate) fn plot(timeline: &Timeline) -> Result<Option<String>, String> {
    let (rows, left_out) = chosen(lives(&timeline.events));
    if rows.is_empty() {
        return Ok(None);
    }
    let start = rows
        .iter()
        .map(|life| life.first)
        .fold(f64::INFINITY, f64::min);
    let start = start.max(0.0);
    let end = rows.iter().map(last).fold(0.0, f64::max);
    let names: Vec<String> = rows.iter().map(|life| shorten(&life.name)).collect();
    let widths = names.iter().map(|name| text_width(name, SMALL));
    let left = widths.fold(80.0, f64::max) + 14.0;
    let count = f64::from(u32::try_from(rows.len()).unwrap_or(1));
    let (top, bottom) = (30.0, 36.0 + count * ROW);
    let room = (left, WIDTH - 14.0);
    // Most of it happens in the first milliseconds: a long run would squeeze them to nothing.
    let long = end - start > LONG_MS;
    let x = if long {
        Scale::log([FIRST_MS, end - start], room)
    } else {
        Scale::from_zero(end - start, room)
    };
    let svg = draw((WIDTH, bottom + 62.0), |canvas| {
        legend(canvas, left);
        columns(canvas, &x, (top, bottom), "");
        canvas.line(&[(left, bottom), (WIDTH - 14.0, bottom)], INK, 1.0);
        for ((index, life), name) in (0_u32..).zip(&rows).zip(&names) {
            let y = top + 3.0 + (f64::from(index) + 0.5) * ROW;
            canvas.line(&[(left, y), (WIDTH - 14.0, y)], GRID, 0.5);
            canvas.text((left - 8.0, y), Anchor::Right, name, Type::SMALL);
            paint(canvas, life, start, (&x, y));
        }
        let title = format!(
            "ms since the first event{}",
            if long { " (log)" } else { "" }
        );
        let middle = f64::midpoint(left, WIDTH);
        canvas.text((middle, bottom + 32.0), Anchor::Center, &title, Type::FAINT);
        if left_out > 0 {
            let note = format!(
                "{left_out} more functions, most of which were never optimized, are left out"
            );
            canvas.text((left, bottom + 50.0), Anchor::Left, &note, Type::FAINT);
        }
    })?;
    Ok(Some(svg))
}

fn last(life: &Life) -> f64 {
    let compiles = life.compiles.iter().map(|(_, _, end)| *end);
    let waits = life.waits.iter().map(|(_, end)| *end);
    let marks = life
        .installed
        .iter()
        .chain(&life.dropped)
        .chain(&life.pending)
        .copied();
    compiles
        .chain(waits)
        .chain(marks)
        .fold(life.first, f64::max)
}

fn shorten(name: &str) -> String {
    const KEEP: usize = 30;
    if name.chars().count() <= KEEP {
        return name.to_owned();
    }
    let head: String = name.chars().take(KEEP - 1).collect();
    format!("{head}…")
}

fn paint(canvas: &mut Canvas<'_>, life: &Life, start: f64, (x, y): (&Scale, f64)) {
    let at = |time: f64| x.at(time - start);
    for (from, to) in &life.waits {
        canvas.line(&[(at(*from), y), (at(*to), y)], FAINT, 1.5);
    }
    for (optimizing, from, to) in &life.compiles {
        let colour = if *optimizing { BLUE } else { SKY };
        // Compiles of microseconds have to be seen, too.
        let right = at(*to).max(at(*from) + 2.0);
        canvas.bar((at(*from), y - 5.0), (right, y + 5.0), colour);
    }
    let requests = life.waits.iter().map(|(from, _)| *from).chain(life.pending);
    for time in requests {
        canvas.mark((at(time), y), 3.5, REQUESTED);
    }
    for time in &life.installed {
        canvas.mark((at(*time), y), 3.5, INSTALLED);
    }
    for time in &life.dropped {
        canvas.mark((at(*time), y), 3.5, DROPPED);
    }
}

const REQUESTED: Style = mark(Shape::Circle, Fill::Hollow);
const INSTALLED: Style = mark(Shape::Up, Fill::Full);
const DROPPED: Style = mark(Shape::Square, Fill::Hollow);

const fn mark(shape: Shape, fill: Fill) -> Style {
    Style {
        colour: VERMILION,
        shape,
        fill,
        dash: Dash::Solid,
    }
}

fn legend(canvas: &mut Canvas<'_>, left: f64) {
    let y = 12.0;
    let mut x = left;
    let mut entry = |canvas: &mut Canvas<'_>, text: &str, sign: &dyn Fn(&mut Canvas<'_>, f64)| {
        sign(canvas, x);
        canvas.text((x + 20.0, y), Anchor::Left, text, Type::PLAIN);
        x += text_width(text, TEXT) + 36.0;
    };
    let bar = |colour| {
        move |canvas: &mut Canvas<'_>, x: f64| {
            canvas.bar((x, y - 5.0), (x + 14.0, y + 5.0), colour);
        }
    };
    let sign = |style| move |canvas: &mut Canvas<'_>, x: f64| canvas.mark((x + 7.0, y), 4.0, style);
    entry(canvas, "baseline compile", &bar(SKY));
    entry(canvas, "optimizing compile", &bar(BLUE));
    entry(canvas, "requested", &sign(REQUESTED));
    entry(canvas, "waiting", &|canvas, x| {
        canvas.line(&[(x, y), (x + 14.0, y)], FAINT, 1.5)
    });
    entry(canvas, "optimized code installed", &sign(INSTALLED));
    entry(canvas, "dropped", &sign(DROPPED));
}

#[cfg(test)]
mod tests {
    use super::{Life, chosen, lives};
    use crate::schema::{TierEvent, TierEventKind};

    fn event(at_ms: f64, func: u32, kind: TierEventKind) -> TierEvent {
        TierEvent {
            at_ms,
            func,
            name: None,
            kind,
        }
    }

    #[test]
    fn events_make_lives() {
        let first = TierEventKind::FirstCompiled {
            optimizing: false,
            compile_ms: 0.5,
            code_bytes: 1,
        };
        let finished = TierEventKind::JobFinished {
            compile_ms: 2.0,
            code_bytes: 1,
        };
        let found = lives(&[
            event(2.0, 7, first),
            event(1.0, 3, first),
            event(3.0, 7, TierEventKind::Requested),
            event(4.0, 7, TierEventKind::JobStarted),
            event(6.0, 7, finished),
            event(6.5, 7, TierEventKind::Installed { optimizing: true }),
            event(7.0, 3, TierEventKind::Requested),
        ]);
        let expected = Life {
            name: "func 7".to_owned(),
            first: 1.5,
            compiles: vec![(false, 1.5, 2.0), (true, 4.0, 6.0)],
            waits: vec![(3.0, 4.0)],
            installed: vec![6.5],
            ..Life::default()
        };
        assert_eq!(found[1], expected);
        assert_eq!((found[0].first, found[0].pending), (0.5, Some(7.0)));
    }

    #[test]
    fn functions_that_were_optimized_come_first() {
        let life = |index: u32| Life {
            first: f64::from(index),
            installed: vec![],
            compiles: vec![(index % 2 == 1, 0.0, 1.0)],
            ..Life::default()
        };
        let check = |count: u32, shown: usize, left_out: usize| {
            let (rows, out) = chosen((0..count).map(life).collect());
            assert_eq!((rows.len(), out), (shown, left_out));
        };
        check(10, 10, 0);
        check(200, 48, 152);
        let (rows, _) = chosen((0..200).map(life).collect());
        assert!(rows.iter().all(super::optimized));
    }
}
