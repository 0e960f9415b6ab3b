//! The tables of `--stats`.

use crate::out::err;
use crate::timings::millis;
use std::fmt::Write as _;
use std::time::Duration;
use upshift::{Stats, Tier, TierStats};

/// Prints them on standard error.
pub(crate) fn print_stats(stats: &Stats) {
    err(text(stats).trim_end());
}

/// One row per compiler, then one line per number.
fn text(stats: &Stats) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:<14}{:>10}{:>13}{:>13}{:>11}{:>9}",
        "tier", "functions", "code bytes", "compile ms", "installed", "refused"
    );
    for tier in [Tier::Baseline, Tier::Optimizing] {
        row(&mut text, tier.name(), stats.tier(tier));
    }
    let loops = TierStats {
        functions: stats.osr_loops,
        code_bytes: stats.osr_code_bytes,
        compile_time: stats.osr_compile_time,
        installs: stats.osr_loops,
        failures: stats.osr_refused,
    };
    row(&mut text, "  of it loops", &loops);
    let mean = stats.queue_wait.as_secs_f64() * 1e3 / to_f64(stats.jobs.max(1));
    let lines: [(&str, String); 15] = [
        ("functions in all", stats.functions.to_string()),
        ("requested", stats.requested.to_string()),
        ("moved forward", stats.raised.to_string()),
        ("dropped", stats.skipped.to_string()),
        ("jobs taken", stats.jobs.to_string()),
        ("jobs waiting", stats.queue_length.to_string()),
        ("mean wait ms", format!("{mean:.3}")),
        ("loop entries", stats.osr_entries.to_string()),
        ("retired", stats.retired.to_string()),
        ("retired bytes", stats.retired_bytes.to_string()),
        ("freed bytes", stats.freed_bytes.to_string()),
        ("live bytes", stats.code_bytes_live.to_string()),
        ("committed bytes", stats.code_bytes_committed.to_string()),
        ("validate ms", time(stats.validate_time)),
        ("guest waited ms", time(stats.lazy_compile_time)),
    ];
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<18}{value:>19}");
    }
    text
}

fn row(text: &mut String, name: &str, row: &TierStats) {
    let _ = writeln!(
        text,
        "{name:<14}{:>10}{:>13}{:>13}{:>11}{:>9}",
        row.functions,
        row.code_bytes,
        time(row.compile_time),
        row.installs,
        row.failures
    );
}

fn time(time: Duration) -> String {
    format!("{:.3}", millis(time))
}

#[expect(clippy::cast_precision_loss, reason = "a mean for people")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::text;
    use upshift::Stats;

    #[test]
    fn columns_are_aligned() {
        let text = text(&Stats::default());
        let (rows, lines) = text.split_at(text.find("functions in all").unwrap());
        for part in [rows, lines] {
            let widths: Vec<usize> = part.lines().map(str::len).collect();
            assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
        }
    }
}
