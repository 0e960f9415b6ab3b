//! Generated modules give the same in both tiers, and while they change tiers, as in an interpreter.
//!
//! The seeds are fixed. A failure names the source, the seed and the engine; `src/bin/fuzz.rs` repeats a seed and writes its
//! modules, and goes on to other seeds for as long as it is told to.
#![forbid(unsafe_code)]

use rayon::prelude::*;
use upshift_spec_tests::differential::{Oracle, Source, Subject};

/// Modules of wasm-smith.
const SMITH_SEEDS: u64 = 2000;
/// Modules of our generator, which are larger.
const GENERATED_SEEDS: u64 = 300;

fn check(source: Source, seeds: u64) {
    let oracle = Oracle::default();
    let outcomes: Vec<_> = (0..seeds)
        .into_par_iter()
        .map(|seed| oracle.compare(&Subject::new(source, seed)))
        .collect();
    let mut returned = 0;
    let mut mismatches = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(calls) => returned += calls,
            Err(mismatch) => mismatches.push(mismatch.to_string()),
        }
    }
    assert!(
        mismatches.is_empty(),
        "{} of {seeds} modules differ, the first: {}",
        mismatches.len(),
        mismatches[0]
    );
    println!("{source:?}: {returned} calls returned");
    assert!(
        returned > 1000,
        "expected most calls to return, found {returned}"
    );
}

#[test]
fn generated_modules_agree() {
    check(Source::Generate, GENERATED_SEEDS);
}

#[test]
fn smithed_modules_agree() {
    check(Source::Smith, SMITH_SEEDS);
}
