//! The tables of runs that were made up.

use super::{Options, text};
use crate::schema::{EngineInfo, ProgramInfo, RunFile, SizeInfo};
use crate::summary::tests::run_of;

/// A run of engines on programs in three rounds; the second engine is wrong in the second program.
fn made_up(engines: &[&str], programs: &[&str]) -> RunFile {
    let mut samples: Vec<(&str, &str, u32, f64, f64)> = Vec::new();
    for (p, program) in (1_u32..).zip(programs) {
        for (e, engine) in (1_u32..).zip(engines) {
            for round in 0..3 {
                let run = f64::from(100 * p * e + round);
                let run = if (e, p) == (2, 2) { -1.0 } else { run };
                samples.push((*engine, *program, round, f64::from(e - 1), run));
            }
        }
    }
    let mut run = run_of(&samples);
    let info = |name: &&str| EngineInfo {
        name: (*name).to_owned(),
        version: "1".to_owned(),
        skipped: None,
    };
    run.engines = engines.iter().map(info).collect();
    run.engines.push(EngineInfo {
        name: "v8".to_owned(),
        version: String::new(),
        skipped: Some("no program node".to_owned()),
    });
    let info = |name: &&str| ProgramInfo {
        name: (*name).to_owned(),
        kind: "int".to_owned(),
        like: None,
        wasm_bytes: 1,
        wasm_sha256: String::new(),
        sizes: vec![SizeInfo {
            name: "test".to_owned(),
            expected_checksum: None,
        }],
    };
    run.programs = programs.iter().map(info).collect();
    run
}

#[test]
fn a_small_run_is_shown_whole() {
    let run = made_up(&["native", "wasmi", "wasmi@1"], &["one", "two"]);
    let found = text(&run, &Options::default()).expect("tables");
    assert_eq!(found, include_str!("small.txt"), "found:\n{found}");
}

#[test]
fn a_large_run_has_a_row_per_program() {
    let engines: Vec<String> = (0..20).map(|i| format!("upshift/{i}/lazy")).collect();
    let engines: Vec<&str> = engines.iter().map(String::as_str).collect();
    let programs: Vec<String> = (0..24).map(|i| format!("many-functions-{i}")).collect();
    let programs: Vec<&str> = programs.iter().map(String::as_str).collect();
    let run = made_up(&engines, &programs);
    let found = text(&run, &Options::default()).expect("tables");
    let widest = found.lines().map(|line| line.chars().count()).max();
    assert!(
        widest.is_some_and(|width| width <= 120),
        "{widest:?}\n{found}"
    );
    for part in [
        "relative to upshift/0/lazy",
        "Total time at size test",
        "  20\n",
        "  bad  ",
    ] {
        assert!(found.contains(part), "no {part:?} in\n{found}");
    }
    let options = Options {
        details: true,
        ..Options::default()
    };
    let details = text(&run, &options).expect("tables");
    assert!(details.lines().count() > 2 * 20 * 24);
    assert!(!details.contains("columns are engines"));
}

#[test]
fn references() {
    let run = made_up(&["wasmi", "native"], &["one"]);
    let check = |wanted: &str, expected: Result<&str, &str>| {
        let found = super::reference(&run, (!wanted.is_empty()).then_some(wanted));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
            (found, expected) => panic!("{found:?}, {expected:?}"),
        }
    };
    check("", Ok("native"));
    check("wasmi", Ok("wasmi"));
    check("v8", Err("(wasmi, native), found \"v8\""));
}
