//! What tier-up did in one run, function by function.

use super::WIDTH;
use super::axes::figure as number;
use super::page::{escape, figure, message, missing};
use crate::schema::{TierEvent, TierEventKind, Timeline, WarmupFile};
use std::fmt::Write as _;
use upshift_plot::timeline::{self, Code, Life, Step, chosen};

/// How many functions are shown.
const MOST: usize = 48;

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
    let steps = events
        .iter()
        .filter_map(|event| Some(((event.func, &event.name), event.at_ms, step(event.kind)?)));
    timeline::lives(steps, |(func, name)| match name {
        Some(name) => name.clone(),
        None => format!("func {func}"),
    })
}

fn code(optimizing: bool) -> Code {
    if optimizing {
        Code::Optimized
    } else {
        Code::Baseline
    }
}

/// None for what the timeline does not show.
fn step(kind: TierEventKind) -> Option<Step> {
    Some(match kind {
        TierEventKind::FirstCompiled {
            optimizing,
            compile_ms,
            ..
        } => Step::Compiled(code(optimizing), compile_ms),
        TierEventKind::Requested => Step::Requested(Code::Optimized),
        TierEventKind::JobStarted => Step::Started(Code::Optimized),
        TierEventKind::JobFinished { compile_ms, .. } => {
            Step::Compiled(Code::Optimized, compile_ms)
        }
        TierEventKind::Installed { optimizing } => Step::Installed(code(optimizing)),
        TierEventKind::OsrRequested { .. } => Step::Requested(Code::Loop),
        TierEventKind::OsrStarted { .. } => Step::Started(Code::Loop),
        TierEventKind::OsrCompiled { compile_ms, .. } => Step::Compiled(Code::Loop, compile_ms),
        TierEventKind::OsrEntered { .. } => Step::Entered,
        TierEventKind::Dropped => Step::Dropped,
        TierEventKind::Retired => return None,
    })
}

fn headline(timeline: &Timeline) -> String {
    let lives = lives(&timeline.events);
    let count = lives.iter().filter(|life| life.optimized()).count();
    let latest = lives.iter().flat_map(Life::installed).fold(0.0, f64::max);
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

/// The timeline as SVG; none without events.
///
/// # Errors
/// What plotters says.
pub(crate) fn plot(timeline: &Timeline) -> Result<Option<String>, String> {
    let (rows, left_out) = chosen(lives(&timeline.events), MOST);
    let firsts = rows.iter().map(|life| life.first);
    timeline::Timeline {
        rows: &rows,
        left_out,
        zero: firsts.fold(f64::INFINITY, f64::min).max(0.0),
        since: "the first event",
        end: None,
        width: WIDTH,
    }
    .svg()
}

#[cfg(test)]
mod tests {
    use super::{Code, lives};
    use crate::schema::{TierEvent, TierEventKind};

    #[test]
    fn events_make_lives() {
        let event = |at_ms: f64, kind: TierEventKind| TierEvent {
            at_ms,
            func: 7,
            name: None,
            kind,
        };
        let first = TierEventKind::FirstCompiled {
            optimizing: false,
            compile_ms: 0.5,
            code_bytes: 1,
        };
        let finished = TierEventKind::JobFinished {
            compile_ms: 2.0,
            code_bytes: 1,
        };
        let entered = TierEventKind::OsrCompiled {
            site: 1,
            compile_ms: 1.0,
            code_bytes: 1,
        };
        let found = lives(&[
            event(2.0, first),
            event(3.0, TierEventKind::Requested),
            event(4.0, TierEventKind::JobStarted),
            event(6.0, finished),
            event(6.5, TierEventKind::Installed { optimizing: true }),
            event(7.0, TierEventKind::OsrRequested { site: 1 }),
            event(9.0, entered),
            event(9.5, TierEventKind::OsrEntered { site: 1 }),
        ]);
        assert_eq!((found.len(), found[0].name.as_str()), (1, "func 7"));
        let compiles = [
            (Code::Baseline, 1.5, 2.0),
            (Code::Optimized, 4.0, 6.0),
            (Code::Loop, 8.0, 9.0),
        ];
        assert_eq!(found[0].compiles, compiles);
        assert_eq!(
            (&found[0].waits[..], found[0].marks.len()),
            (&[(3.0, 4.0)][..], 4)
        );
    }
}
