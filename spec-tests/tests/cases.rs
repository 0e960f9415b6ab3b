//! Our own scripts (`cases/*.wast`), in every tier mode.
#![forbid(unsafe_code)]

#[path = "common/cases.rs"]
mod cases_scripts;

use cases_scripts::cases;
use upshift_spec_tests::{Mode, check, parse_expected};
use upshift_wast::{Report, run_script};

#[test]
fn cases_hold_in_every_mode() {
    let sources = cases();
    let modes = [
        Mode::Baseline,
        Mode::Optimizing,
        Mode::Eager,
        Mode::TierUpAfterFirstCall,
        Mode::OsrAtOnce,
        Mode::OsrAtBackEdge,
        Mode::OsrFewRegisters,
        Mode::Inlining,
        Mode::InliningInLoops,
        Mode::BaselineChecked,
        Mode::OptimizingChecked,
        Mode::BaselineFewRegisters,
    ];
    for mode in modes {
        let engine = mode.engine().expect("the engine of every mode can be made");
        let reports: Vec<Report> = sources
            .iter()
            .map(|(name, source)| run_script(&engine, name, source))
            .collect();
        check(mode, &reports, &parse_expected(""));
    }
}
