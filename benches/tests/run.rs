//! `run` from outside: what it measures, writes and says.

mod harness;

use harness::{bench, text};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Prints one line and ends.
const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "checksum 0123\0a")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 14))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

const MANIFEST: &str = r#"
[[program]]
name = "hello"
module = "hello.wat"
expected_stdout = "hello.txt"

[[program]]
name = "unchecked"
module = "hello.wat"
sizes = ["test", "ref"]

[[program]]
name = "not-fetched"
module = "gone.wasm"
kind = "corpus"
"#;

const ENGINE: &str = "upshift/baseline/lazy";

fn directory(expected: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let files = [
        ("hello.wat", HELLO),
        ("hello.txt", expected),
        ("m.toml", MANIFEST),
    ];
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect(name);
    }
    directory
}

fn json(directory: &Path, name: &str) -> Value {
    let text = fs::read(directory.join(name)).expect(name);
    serde_json::from_slice(&text).expect(name)
}

/// The outcomes of the samples of a file, by program, size and round.
fn outcomes(run: &Value) -> Vec<String> {
    let samples = run["samples"].as_array().expect("samples").iter();
    let outcomes = samples.map(|sample| {
        let word = |key: &str| sample[key].as_str().unwrap_or("?").to_owned();
        let outcome = match sample["outcome"].as_object() {
            Some(map) => map.keys().cloned().collect(),
            None => word("outcome"),
        };
        let round = &sample["round"];
        format!("{} {} {round} {outcome}", word("program"), word("size"))
    });
    let mut outcomes: Vec<String> = outcomes.collect();
    outcomes.sort();
    outcomes
}

#[test]
fn a_run_is_measured_written_and_shown() {
    let here = directory("checksum 0123\n");
    let here = here.path();
    let run = format!(
        "run --suite m.toml --engines {ENGINE} --samples 2 --iterations 2 --json a.json --seed 1"
    );
    let output = bench(here, &run);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    for part in ["Size test: geometric means", "unchecked", ENGINE, "Medians"] {
        assert!(stdout.contains(part), "no {part:?} in\n{stdout}");
    }
    assert!(stderr.contains("skipped: not-fetched"), "{stderr}");
    let run = json(here, "a.json");
    let expected = [
        "hello only 0 verified",
        "hello only 1 verified",
        "unchecked test 0 unchecked",
        "unchecked test 1 unchecked",
    ];
    assert_eq!(outcomes(&run), expected);
    let sample = &run["samples"][0];
    assert_eq!(sample["checksum"], "0123");
    assert_eq!(sample["engine"], ENGINE);
    assert_eq!(
        sample["measured"]["iterations"].as_array().map(Vec::len),
        Some(2)
    );
    assert!(sample["process_ms"].as_f64() > sample["measured"]["load_ms"].as_f64());
    assert_eq!(run["seed"], 1);
    assert_eq!(run["programs"][0]["sizes"][0]["expected_checksum"], "0123");
    assert_eq!(run["programs"].as_array().map(Vec::len), Some(2));
    assert!(run["machine"]["cores"].as_u64() > Some(0));

    let shown = bench(here, "show a.json");
    assert!(text(&shown.stdout).ends_with(&stdout), "{shown:?}");
    let compared = bench(here, "compare a.json a.json --metric load --json c.json");
    assert!(
        text(&compared.stdout).contains("0 better, 0 worse, of 2"),
        "{compared:?}"
    );
    assert_eq!(json(here, "c.json")["rows"][0]["change"]["ratio"], 1.0);
}

#[test]
fn wrong_output_is_an_error() {
    let here = directory("checksum 0124\n");
    let here = here.path();
    let check = |more: &str, expected: &[&str]| {
        let run =
            format!("run --suite m.toml hello --engines {ENGINE} --samples 3 --json a.json {more}");
        let output = bench(here, &run);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let wrong = r#"line 1: expected "checksum 0124", found "checksum 0123""#;
        assert!(
            stdout.contains(wrong) && stderr.contains(wrong),
            "{stdout}\n{stderr}"
        );
        assert!(stderr.contains("1 sample was wrong"), "{stderr}");
        assert_eq!(outcomes(&json(here, "a.json")), expected);
    };
    // It is not tried again, neither after the warm-up nor after the first round.
    check("", &["hello only 0 wrong"]);
    check("--no-warmup", &["hello only 0 wrong"]);
    // What is only loaded has no output that could be wrong.
    let run = format!("run --suite m.toml hello --engines {ENGINE} --samples 1 --load-only");
    let output = bench(here, &run);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn commands_can_be_printed_and_run() {
    let here = directory("checksum 0123\n");
    let here = here.path();
    let output = bench(
        here,
        &format!("run hello.wat --engines {ENGINE} --print-commands"),
    );
    let line = text(&output.stdout);
    assert!(
        line.ends_with("hello.wat --size only < /dev/null\n"),
        "{line}"
    );
    let mut shell = Command::new("sh");
    let output = shell
        .current_dir(here)
        .args(["-c", &line])
        .output()
        .expect("a shell");
    assert_eq!(text(&output.stdout), "checksum 0123\n");
    assert!(
        text(&output.stderr).contains("upshift-bench-result {"),
        "{output:?}"
    );
}

#[test]
fn bad_arguments_are_named() {
    let here = directory("");
    let check = |arguments: &str, parts: &[&str]| {
        let output = bench(here.path(), arguments);
        let stderr = text(&output.stderr);
        assert!(!output.status.success(), "{arguments}");
        for part in parts {
            assert!(
                stderr.contains(part),
                "{arguments}: no {part:?} in\n{stderr}"
            );
        }
    };
    let suite = "run --suite m.toml";
    check(&format!("{suite} --engines v9"), &["one of", "\"v9\""]);
    check(&format!("{suite} --sizes huge"), &["test, ref", "\"huge\""]);
    check(&format!("{suite} none"), &["hello", "\"none\""]);
    check(&format!("{suite} hello hello"), &["\"hello\" twice"]);
    check("run --suite none.toml", &["none.toml: cannot read"]);
    check("run gone.wasm", &["no file gone.wasm"]);
    let one = format!("{suite} hello --engines {ENGINE}");
    check(
        &format!("{one} --reference native"),
        &["reference", "\"native\""],
    );
    check(
        &format!("{one} --json no/a.json"),
        &["no/a.json: cannot write"],
    );
    check(&format!("{one} --samples 0"), &["--samples"]);
    check("compare m.toml m.toml", &["m.toml: expected JSON"]);
    check("show none.json", &["none.json: cannot read"]);
}
