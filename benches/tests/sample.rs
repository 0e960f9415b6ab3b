//! Samples: every engine that is here runs the same programs in the same way, and tells times that can be.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Configurations of every family; those that are not here are passed over.
const ENGINES: [&str; 19] = [
    "upshift/dynamic/lazy",
    "upshift/dynamic/eager@1",
    "upshift/eager/lazy",
    "upshift/eager/eager",
    "upshift/baseline/lazy@1",
    "upshift/baseline/eager",
    "upshift/optimizing/lazy",
    "upshift/optimizing/eager@1",
    "native",
    "native/scalar",
    "wasmtime/cranelift",
    "wasmtime/winch@1",
    "wasmi",
    "v8",
    "v8/liftoff@1",
    "v8/turbofan@1",
    "jsc",
    "jsc/bbq@1",
    "jsc/omg@1",
];

/// Prints its arguments but the first and what it reads, exits with 3. Without arguments it does nothing.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "bench" "start" (func $start))
    (import "bench" "end" (func $end))
    (memory (export "memory") 1)
    (func $print (param $at i32) (param $length i32)
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $length))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func (export "_start") (local $second i32)
        (call $start)
        (drop (call $sizes (i32.const 16) (i32.const 20)))
        (drop (call $args (i32.const 64) (i32.const 256)))
        (local.set $second (i32.load (i32.const 68)))
        (call $print
            (local.get $second)
            (i32.sub
                (i32.add (i32.const 256) (i32.load (i32.const 20)))
                (local.get $second)))
        (call $end)
        (loop $more
            (i32.store (i32.const 0) (i32.const 4096))
            (i32.store (i32.const 4) (i32.const 5))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (if (i32.load (i32.const 8)) (then
                (call $print (i32.const 4096) (i32.load (i32.const 8)))
                (br $more))))
        (call $exit (i32.const 3))))"#;

/// The same in C.
const ECHO_C: &str = r#"
#include <stdio.h>
#include <string.h>
int main(int count, char **args) {
    for (int i = 1; i < count; i++) fwrite(args[i], 1, strlen(args[i]) + 1, stdout);
    for (int c; (c = getchar()) != EOF;) putchar(c);
    return 3;
}
"#;

const TRAP: &str = r#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#;

const FOREIGN: &str = r#"(module (import "env" "f" (func)) (func (export "g") (call 0)))"#;

const MANIFEST: &str = r#"
[[program]]
name = "echo"
module = "echo.wat"
source = ["echo.c"]
kind = "other"
about = "prints its arguments and its input"
args = ["{size}", "two words", "\u00e4"]
stdin = "input"

[[program]]
name = "trap"
module = "trap.wat"
kind = "other"
about = "does what it must not"

[[program]]
name = "foreign"
module = "foreign.wat"
kind = "other"
about = "cannot be linked"
compile_only = true
"#;

const INPUT: &[u8] = b"some \xff\0 bytes\nwithout an end";

const ECHOED: &[u8] = b"only\0two words\0\xc3\xa4\0some \xff\0 bytes\nwithout an end";

struct Suite(tempfile::TempDir);

struct Output {
    success: bool,
    stdout: Vec<u8>,
    stderr: String,
    process_ms: f64,
}

impl Suite {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let files: [(&str, &[u8]); 6] = [
            ("echo.wat", ECHO.as_bytes()),
            ("echo.c", ECHO_C.as_bytes()),
            ("trap.wat", TRAP.as_bytes()),
            ("foreign.wat", FOREIGN.as_bytes()),
            ("suite.toml", MANIFEST.as_bytes()),
            ("input", INPUT),
        ];
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).expect(name);
        }
        Self(dir)
    }

    fn manifest(&self) -> PathBuf {
        self.0.path().join("suite.toml")
    }

    fn sample(&self, engine: &str, program: &str, more: &[&str]) -> Output {
        let suite = self.manifest();
        let mut command = harness();
        command.args(["sample", engine, program, "--suite"]);
        command.arg(suite).args(more).stdin(Stdio::null());
        let started = Instant::now();
        let output = command.output().expect("the harness starts");
        Output {
            success: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            process_ms: started.elapsed().as_secs_f64() * 1e3,
        }
    }
}

fn harness() -> Command {
    Command::new(Path::new(env!("CARGO_BIN_EXE_upshift-bench")))
}

/// The engines of [`ENGINES`] that `engines` says are here.
fn available() -> Vec<&'static str> {
    let output = harness().arg("engines").output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let here = |engine: &&str| {
        let name = engine.trim_end_matches("@1");
        let line = text.lines().find(|l| l.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in the list:\n{text}"));
        !line.contains(" not here: ")
    };
    let found: Vec<&str> = ENGINES.into_iter().filter(here).collect();
    assert!(found.len() >= 8, "ours are always here: {found:?}");
    found
}

fn is_native(engine: &str) -> bool {
    engine.starts_with("native")
}

/// The JSON of the last line.
fn result(output: &Output, what: &str) -> serde_json::Value {
    let last = output.stderr.lines().last().unwrap_or_default();
    let json = last.strip_prefix("upshift-bench-result ");
    let json = json.unwrap_or_else(|| panic!("{what}: no result in {}", output.stderr));
    serde_json::from_str(json).expect("JSON")
}

fn ms(value: &serde_json::Value, field: &str, what: &str) -> f64 {
    let ms = value[field].as_f64();
    let ms = ms.unwrap_or_else(|| panic!("{what}: no {field} in {value}"));
    assert!(ms >= 0.0, "{what}: {field} is {ms}");
    ms
}

#[test]
fn every_engine_runs_the_same_program_in_the_same_way() {
    let suite = Suite::new();
    for engine in available() {
        let output = suite.sample(engine, "echo", &["--iterations", "2", "--marks"]);
        assert!(output.success, "{engine}: {}", output.stderr);
        let expected = ECHOED.repeat(2);
        assert_eq!(
            output.stdout,
            expected,
            "{engine}: {output_text}",
            output_text = output.stderr
        );
        assert!(
            output.stderr.starts_with('<'),
            "{engine}: {}",
            output.stderr
        );

        let measured = result(&output, engine);
        let iterations = measured["iterations"].as_array().expect("a list");
        assert_eq!(iterations.len(), 2, "{engine}");
        let mut sum = ms(&measured, "load_ms", engine);
        assert_eq!(sum > 0.0, !is_native(engine), "{engine}");
        for iteration in iterations {
            assert_eq!(iteration["exit"], 3, "{engine}");
            let run = ms(iteration, "run_ms", engine);
            assert!(run > 0.0, "{engine}");
            sum += run;
            sum += ms(iteration, "instantiate_ms", engine);
            sum += ms(iteration, "first_call_ms", engine);
            if is_native(engine) {
                assert!(iteration["region_ms"].is_null());
            } else {
                assert!(ms(iteration, "region_ms", engine) <= run, "{engine}");
            }
        }
        let all = output.process_ms;
        assert!(sum <= all, "{engine}: {sum} ms of {all} ms: {measured}");
        assert!(ms(&measured, "cpu_ms", engine) > 0.0, "{engine}");
        assert!(measured["peak_rss_kb"].as_u64() > Some(500), "{engine}");
        check_tiers(engine, &measured);
    }
}

fn check_tiers(engine: &str, measured: &serde_json::Value) {
    assert_eq!(!measured["tiers"].is_null(), engine.starts_with("upshift"));
    let functions = |tier: &str| measured["tiers"][tier]["functions"].as_u64();
    if engine.starts_with("upshift/baseline") {
        assert_eq!(
            (functions("baseline"), functions("optimizing")),
            (Some(2), Some(0))
        );
    } else if engine.starts_with("upshift/optimizing") {
        assert_eq!(
            (functions("baseline"), functions("optimizing")),
            (Some(0), Some(2))
        );
    }
    if engine.starts_with("upshift") {
        let load = ms(measured, "load_ms", engine);
        let parts = ms(measured, "validate_ms", engine) + ms(measured, "compile_ms", engine);
        assert!((load - parts).abs() < 1e-3, "{engine}: {measured}");
    }
}

#[test]
fn a_trap_is_an_error_with_the_message_of_the_engine() {
    let suite = Suite::new();
    for engine in available() {
        let output = suite.sample(engine, "trap", &[]);
        assert!(!output.success, "{engine}");
        let expected = if is_native(engine) {
            "expected C sources"
        } else {
            "nreachable"
        };
        let stderr = output.stderr;
        assert!(stderr.contains(expected), "{engine}: {stderr}");
        assert!(
            !stderr.contains("upshift-bench-result"),
            "{engine}: {stderr}"
        );
    }
}

#[test]
fn programs_with_foreign_imports_are_loaded_only() {
    let suite = Suite::new();
    for engine in available().into_iter().filter(|engine| !is_native(engine)) {
        for (program, more) in [("foreign", &[][..]), ("echo", &["--load-only"])] {
            let output = suite.sample(engine, program, more);
            assert!(output.success, "{engine}: {}", output.stderr);
            assert!(output.stdout.is_empty(), "{engine}");
            let measured = result(&output, engine);
            assert_eq!(measured["iterations"].as_array().map(Vec::len), Some(0));
            assert!(ms(&measured, "load_ms", engine) > 0.0, "{engine}");
        }
    }
}

#[test]
fn what_tier_up_does_is_told_when_asked() {
    let suite = Suite::new();
    let output = suite.sample("upshift/optimizing/eager", "echo", &["--events"]);
    let measured = result(&output, "events");
    let events = measured["events"].as_array().expect("a list");
    let names: Vec<_> = events.iter().filter_map(|e| e["name"].as_str()).collect();
    assert!(names.contains(&"print"), "{measured}");
    let compiled = events
        .iter()
        .filter(|e| e["kind"]["what"] == "first_compiled");
    assert_eq!(compiled.count(), 2, "{measured}");
}

#[test]
fn wrong_questions_are_answered_clearly() {
    let suite = Suite::new();
    let check = |engine: &str, program: &str, more: &[&str], expected: &str| {
        let output = suite.sample(engine, program, more);
        assert!(!output.success);
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    };
    let ours = "upshift/baseline/lazy";
    check("v9", "echo", &[], "expected an engine");
    check(ours, "nothing", &[], "nothing");
    check(
        ours,
        "echo",
        &["--size", "huge"],
        "expected a size (one of only), found \"huge\"",
    );
    check(
        "native",
        "foreign",
        &[],
        "expected C sources or a native binary",
    );
}
