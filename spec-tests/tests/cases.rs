//! Our own scripts (`cases/*.wast`), in every tier mode.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use upshift_spec_tests::{Mode, check, parse_expected};
use upshift_wast::{Report, run_script};

#[test]
fn cases_hold_in_every_mode() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder of cases is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "wast"))
        .collect();
    files.sort();
    let sources: Vec<(String, String)> = files
        .iter()
        .map(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (
                format!("cases/{name}"),
                fs::read_to_string(path).expect("a case can be read"),
            )
        })
        .collect();
    let modes = [
        Mode::Baseline,
        Mode::Optimizing,
        Mode::Eager,
        Mode::TierUpAfterFirstCall,
        Mode::OsrAtOnce,
        Mode::OsrAtBackEdge,
        Mode::OsrFewRegisters,
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
