//! Samples of several engines in turn, so that whatever disturbs the machine disturbs them all.

use crate::engine::Engine;
use crate::manifest::Program;
use crate::measure::{self, Setup, Taken};
use crate::stats::Random;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{SystemTime, UNIX_EPOCH};

/// Takes `count` samples of every engine at every size, in an order that is random within each round, after a round at
/// the first size that does not count: it brings files into memory and makes native binaries. Ends early after Ctrl-C.
pub(crate) fn take(
    setup: &Setup,
    program: &Program,
    (engines, sizes): (&[Engine], &[String]),
    count: u32,
    mut keep: impl FnMut(Engine, &str, Taken),
) {
    let mut random = Random::seeded(seconds_now());
    let mut cells: Vec<(Engine, &String)> = Vec::new();
    for size in sizes {
        cells.extend(engines.iter().map(|engine| (*engine, size)));
    }
    let first: Vec<(Engine, &String)> = cells.iter().take(engines.len()).copied().collect();
    let total = u64::from(count) * as_u64(cells.len()) + as_u64(first.len());
    let progress = bar(total);
    for (engine, size) in first {
        if measure::interrupted() {
            break;
        }
        progress.set_message(format!("{engine} ({size}), warm-up"));
        measure::sample(setup, engine, program, size, 0);
        progress.inc(1);
    }
    for round in 0..count {
        random.shuffle(&mut cells);
        for (engine, size) in &cells {
            if measure::interrupted() {
                break;
            }
            progress.set_message(format!("{engine} ({size})"));
            keep(
                *engine,
                size,
                measure::sample(setup, *engine, program, size, round),
            );
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
}

/// Seconds since 1970.
pub(crate) fn seconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Shown on a terminal only.
fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} left  {msg}");
    let bar = ProgressBar::new(total);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
