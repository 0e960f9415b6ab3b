//! Recorded and replayed schedules, and tier masks, as the program's users meet them.

use super::support::{Run, examples, upshift};
use std::fs;
use std::path::Path;

const GUEST: &str = r#"(module
    (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func (export "run") (param $n i32) (result i32) (local $sum i32)
        (loop $l
            (local.set $sum (i32.add (local.get $sum) (call $twice (local.get $n))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;

fn run(folder: &Path, args: &str) -> Run {
    let args: Vec<&str> = args.split_whitespace().collect();
    upshift(folder, &args, "")
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("m.wat"), GUEST).expect("the module can be written");
    folder
}

/// What a run records.
fn recorded(folder: &Path, args: &str) -> String {
    let found = run(folder, &format!("run --record-tiering out {args}"));
    assert_eq!(found.code, Some(0), "{args}: {}", found.stderr);
    assert_eq!(found.stderr, "", "{args}");
    fs::read_to_string(folder.join("out")).expect("a recording")
}

/// The steps of a recording in short.
fn steps(recording: &str) -> String {
    let lines = recording.lines().skip(2).map(|line| {
        let step: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        format!(
            "{} {}@{}.{}",
            step["do"], step["func"], step["site"], step["count"]
        )
    });
    lines.collect::<Vec<_>>().join(", ").replace('"', "")
}

#[test]
fn recordings_and_masks() {
    let folder = folder();
    let rows = [
        ("--tier baseline", ""),
        ("--tier optimizing", "install 1@0.0, install 0@0.0"),
        ("--tier-up-after 3", "install 0@0.3"),
        ("--osr-after 4", "enter 1@1.4"),
        (
            "--tier-up-after 1 --osr-after 2",
            "install 1@0.1, install 0@0.1, enter 1@1.2",
        ),
        ("--tier baseline --tier-mask 0=optimizing", "install 0@0.0"),
        (
            "--tier baseline --tier-mask twice=optimizing",
            "install 0@0.0",
        ),
        (
            "--tier optimizing --tier-mask run=baseline",
            "install 0@0.0",
        ),
        (
            "--tier-up-after 2 --tier-mask *=baseline,0-0=policy",
            "install 0@0.2",
        ),
        ("--tier baseline --tier-mask @mask", "install 1@0.0"),
    ];
    fs::write(
        folder.path().join("mask"),
        "# all\n*=baseline\n\nrun=optimizing\n",
    )
    .expect("the mask can be written");
    for (args, expected) in rows {
        let recording = recorded(folder.path(), &format!("{args} --invoke run m.wat 9"));
        assert_eq!(steps(&recording), expected, "{args}");
        fs::write(folder.path().join("in"), &recording).expect("the recording can be kept");
        let again = recorded(folder.path(), "--replay-tiering in --invoke run m.wat 9");
        assert_eq!(again, recording, "{args}");
    }
}

/// Arguments, a part of standard error, exit code. `in` is the recording of a run.
const ROWS: &[(&str, &str, i32)] = &[
    (
        "--replay-tiering in --invoke run m.wat 2",
        "1 of 1 steps of the schedule did not happen, the first: function 0, site 0, count 3",
        0,
    ),
    (
        "--replay-tiering in other.wat",
        "expected a module of the schedule",
        1,
    ),
    (
        "--replay-tiering in --tier eager --invoke run m.wat 2",
        "cannot be used with",
        2,
    ),
    (
        "--replay-tiering none --invoke run m.wat 2",
        "none: No such file",
        1,
    ),
    (
        "--replay-tiering m.wat --invoke run m.wat 2",
        "m.wat: tiering schedule, line 1: expected {\"schedule\"",
        1,
    ),
    (
        "--record-tiering no/out --invoke run m.wat 2",
        "no/out: No such file",
        1,
    ),
    (
        "--tier-mask nobody=baseline --invoke run m.wat 2",
        "found \"nobody\"",
        1,
    ),
    (
        "--tier-mask 1:baseline --invoke run m.wat 2",
        "expected FUNC=TIER",
        2,
    ),
];

#[test]
fn what_is_wrong_is_said() {
    let folder = folder();
    fs::write(folder.path().join("other.wat"), "(module)").expect("a module can be written");
    let recording = recorded(folder.path(), "--tier-up-after 3 --invoke run m.wat 9");
    fs::write(folder.path().join("in"), recording).expect("the recording can be kept");
    for &(args, part, code) in ROWS {
        let found = run(folder.path(), &format!("run {args}"));
        assert_eq!(found.code, Some(code), "{args}: {}", found.stderr);
        assert!(found.stderr.contains(part), "{args}: {}", found.stderr);
    }
}

/// A real program under the default policy: its recording is replayed to the letter, five times.
#[test]
fn examples_are_replayed_to_the_letter() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["sudoku", "json"] {
        let file = examples().join(format!("{name}.wasm"));
        let record = format!("run --record-tiering in {}", file.display());
        let first = run(folder.path(), &record);
        let recording = fs::read_to_string(folder.path().join("in")).expect("a recording");
        for _ in 0..5 {
            let replay = format!(
                "run --replay-tiering in --record-tiering out {}",
                file.display()
            );
            let again = run(folder.path(), &replay);
            assert_eq!(
                (again.code, &again.stderr),
                (first.code, &first.stderr),
                "{name}"
            );
            assert_eq!(again.stdout, first.stdout, "{name}");
            let out = fs::read_to_string(folder.path().join("out")).expect("a recording");
            assert!(out == recording, "{name}: the replay differs");
        }
    }
}
