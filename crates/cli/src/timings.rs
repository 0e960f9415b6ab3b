//! `--timings json`: what a run cost.

use crate::out::err;
use serde::Serialize;
use std::time::Duration;
use upshift::{Engine, Tier};

/// Milliseconds of the phases of a run.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Phases {
    /// From the bytes in memory to a module that can be instantiated.
    pub(crate) compile: Duration,
    /// Linking and instantiation.
    pub(crate) instantiate: Duration,
    /// The exported call, or the time between `bench.start` and `bench.end`.
    pub(crate) run: Duration,
}

/// The line that `--timings json` prints. Times in milliseconds, sizes in bytes unless the name says otherwise.
#[derive(Serialize, Debug)]
struct Line {
    compile_ms: f64,
    instantiate_ms: f64,
    run_ms: f64,
    lazy_compile_ms: f64,
    rss_kb: u64,
    code_bytes: CodeBytes,
    code_bytes_live: u64,
    exit: i32,
}

#[derive(Serialize, Debug)]
struct CodeBytes {
    baseline: u64,
    optimizing: u64,
}

/// Prints the line on standard error.
pub(crate) fn print_json(engine: Option<&Engine>, phases: Phases, exit: i32) {
    let stats = engine.map(Engine::stats).unwrap_or_default();
    let line = Line {
        compile_ms: millis(phases.compile),
        instantiate_ms: millis(phases.instantiate),
        run_ms: millis(phases.run),
        lazy_compile_ms: millis(stats.lazy_compile_time),
        rss_kb: peak_rss_kb(),
        code_bytes: CodeBytes {
            baseline: stats.tier(Tier::Baseline).code_bytes,
            optimizing: stats.tier(Tier::Optimizing).code_bytes,
        },
        code_bytes_live: stats.code_bytes_live,
        exit,
    };
    match serde_json::to_string(&line) {
        Ok(text) => err(text),
        Err(error) => err(format_args!("upshift: timings cannot be printed: {error}")),
    }
}

/// Milliseconds to the microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Peak resident memory of this process in KiB (`VmHWM`), 0 where the system does not tell.
fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0)
}
