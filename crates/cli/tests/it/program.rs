//! Exit codes, messages and outputs of the program.

use super::support::upshift;

/// Runs `upshift ARGS` (split at spaces) in a folder with the module as `m.wat`.
fn run(wat: &str, args: &str) -> super::support::Run {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("m.wat"), wat).expect("the module can be written");
    let args: Vec<&str> = args.split(' ').collect();
    upshift(folder.path(), &args, "")
}

const TRAP: &str =
    r#"(module (func $inner (unreachable)) (func $outer (export "_start") (call $inner)))"#;
const EXIT: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 201))))"#;
const LOOP: &str = r#"(module (func (export "_start") (loop $l (br $l))))"#;
const MATH: &str = r#"(module (global $ready (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $ready (i32.const 1000)))
    (func (export "sub") (param i32 i64) (result i32 f64)
        (i32.add (global.get $ready) (local.get 0)) (f64.convert_i64_s (local.get 1))))"#;
const IMPORTS: &str = r#"(module (import "a" "f" (func (param i32) (result i64)))
    (import "b" "m" (memory 1)) (func (export "_start")))"#;
const BENCH: &str = r#"(module (import "bench" "start" (func $s)) (import "bench" "end" (func $e))
    (func (export "_start") (call $s) (call $e) (call $s)))"#;

/// Sleeps for an hour on the monotonic clock.
const SLEEP: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 3600000000000))
        (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))))"#;

/// Module, arguments, exit code, standard output, a part of standard error.
const ROWS: &[(&str, &str, i32, &str, &str)] = &[
    (TRAP, "run m.wat", 134, "", "unreachable"),
    (TRAP, "run --tier baseline m.wat", 134, "", "inner"),
    (TRAP, "run --tier optimizing m.wat", 134, "", "outer"),
    (EXIT, "run m.wat", 201, "", ""),
    (
        EXIT,
        "run --tuning budget_percent=7,osr=false --compile-threads 2 --compile-nice 19 m.wat",
        201,
        "",
        "",
    ),
    (
        EXIT,
        "run --tuning budget=7 m.wat",
        2,
        "",
        "unknown field `budget`, expected one of `budget_percent`,",
    ),
    (
        EXIT,
        "run --tuning poll_us=1,budget_percent=-7 m.wat",
        2,
        "",
        "expected u32 at \"-7\"",
    ),
    (EXIT, "m.wat", 201, "", ""),
    (LOOP, "run --timeout 0.05 m.wat", 134, "", "interrupt"),
    (
        LOOP,
        "run --timeout 0.05 --tier baseline m.wat",
        134,
        "",
        "interrupt",
    ),
    (
        LOOP,
        "run --timeout 0.05 --tier optimizing m.wat",
        134,
        "",
        "interrupt",
    ),
    (
        SLEEP,
        "run --timeout 0.05 m.wat",
        134,
        "",
        "waits in a host function",
    ),
    (MATH, "run --invoke sub m.wat -7 -5", 0, "993\n-5\n", ""),
    (
        MATH,
        "run --invoke sub m.wat 1",
        1,
        "",
        "expected 2 arguments, found 1",
    ),
    (
        MATH,
        "run --invoke sub m.wat x 1",
        1,
        "",
        "expected a value of type i32",
    ),
    (MATH, "run --invoke nothing m.wat", 1, "", "nothing"),
    (MATH, "run m.wat", 1, "", "_start"),
    (IMPORTS, "run m.wat", 1, "", "a.f: func"),
    (IMPORTS, "run m.wat", 1, "", "b.m: memory"),
    (
        "(module (func (result i32)))",
        "run m.wat",
        1,
        "",
        "type mismatch",
    ),
    (
        "(module (func (result i32)))",
        "validate m.wat",
        1,
        "",
        "type mismatch",
    ),
    (MATH, "validate m.wat", 0, "", ""),
    (MATH, "run missing.wasm", 1, "", "missing.wasm"),
    (MATH, "run --bogus m.wat", 2, "", "--bogus"),
    (MATH, "run --tier fast m.wat", 2, "", "fast"),
    (MATH, "run --threads 0 m.wat", 2, "", "0"),
];

#[test]
fn exit_codes_and_messages() {
    for (wat, args, code, stdout, stderr) in ROWS.iter().copied() {
        let found = run(wat, args);
        assert_eq!(found.code, Some(code), "{args}: {}", found.stderr);
        assert_eq!(found.stdout, stdout, "{args}");
        assert!(
            found.stderr.contains(stderr),
            "{args}: expected {stderr:?} in {}",
            found.stderr
        );
    }
}

/// Standard input, arguments, exit code, standard output, a part of standard error.
const PIPED: &[(&str, &str, i32, &str, &str)] = &[
    (EXIT, "run -", 201, "", ""),
    (EXIT, "-", 201, "", ""),
    (EXIT, "run --compile eager -", 201, "", ""),
    (EXIT, "run --threads 1 --compile eager -", 201, "", ""),
    (MATH, "run --invoke sub - -7 -5", 0, "993\n-5\n", ""),
    (TRAP, "run -", 134, "", "inner"),
    (MATH, "validate -", 0, "", ""),
    ("\0asm\u{1}\0\0\0", "validate -", 0, "", ""),
    ("\0asm\u{1}\0\0", "validate -", 1, "", "malformed module"),
    ("\0asm\u{1}\0\0\0", "run -", 1, "", "_start"),
    ("(module", "validate -", 1, "", "malformed module"),
    ("", "run -", 1, "", "malformed module"),
];

#[test]
fn modules_from_standard_input() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (module, args, code, stdout, stderr) in PIPED.iter().copied() {
        let words: Vec<&str> = args.split(' ').collect();
        let found = upshift(folder.path(), &words, module);
        assert_eq!(found.code, Some(code), "{args}: {}", found.stderr);
        assert_eq!(found.stdout, stdout, "{args}");
        let text = &found.stderr;
        assert!(
            text.contains(stderr),
            "{args}: expected {stderr:?} in {text}"
        );
    }
    for args in [&["compile", "-"][..], &["objdump", "-", "--func", "1"]] {
        let found = upshift(folder.path(), args, MATH);
        assert_eq!(found.code, Some(0), "{args:?}: {}", found.stderr);
        assert!(!found.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn timings_are_the_last_line_however_the_run_ends() {
    for (wat, args, exit) in [
        (TRAP, "run --timings json m.wat", 134),
        (EXIT, "run --timings json --stats m.wat", 201),
        (LOOP, "run --timings json --timeout 0.05 m.wat", 134),
        (SLEEP, "run --timings json --timeout 0.05 m.wat", 134),
        (BENCH, "run --timings json m.wat", 0),
        (IMPORTS, "run --timings json m.wat", 1),
    ] {
        let found = run(wat, args);
        let last = found
            .stderr
            .lines()
            .last()
            .expect("a line on standard error");
        let json: serde_json::Value = serde_json::from_str(last).expect("the last line is JSON");
        assert_eq!(json["exit"], exit, "{args}");
        for key in [
            "compile_ms",
            "instantiate_ms",
            "run_ms",
            "lazy_compile_ms",
            "code_bytes_live",
        ] {
            assert!(json[key].is_number(), "{args}: {key} in {last}");
        }
        assert!(
            json["rss_kb"].as_u64().is_some_and(|kb| kb > 0),
            "{args}: {last}"
        );
        assert!(json["code_bytes"]["baseline"].is_number(), "{args}: {last}");
        assert!(
            json["code_bytes"]["optimizing"].is_number(),
            "{args}: {last}"
        );
    }
}

#[test]
fn the_guest_sees_its_arguments_and_environment() {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $args (i32.const 512) (i32.const 1024)))
            (drop (call $env (i32.const 640) (i32.const 2048)))
            (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 17))
            (i32.store (i32.const 8) (i32.const 2048)) (i32.store (i32.const 12) (i32.const 3))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 100)))))"#;
    let found = run(wat, "run --env K=V m.wat --stats -x y");
    assert_eq!(found.stdout, "m.wat\0--stats\0-x\0K=V", "{}", found.stderr);
}

#[test]
fn scripts_are_counted_and_failures_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = r#"(module (func (export "one") (result i32) (i32.const 1)))
        (assert_return (invoke "one") (i32.const 1))
        (assert_return (invoke "one") (i32.const 2))"#;
    std::fs::write(folder.path().join("s.wast"), script).expect("the script can be written");
    let found = upshift(folder.path(), &["wast", "s.wast"], "");
    assert_eq!(found.code, Some(1));
    assert!(
        found.stdout.contains("s.wast: 2 of 3 directives held"),
        "{}",
        found.stdout
    );
    assert!(found.stdout.contains("s.wast:3:"), "{}", found.stdout);
}

#[test]
fn tiers_are_listed_side_by_side() {
    let found = run(MATH, "objdump m.wat --func 1 --tier both");
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    for part in ["baseline", "optimizing", "i32.add", "ret"] {
        assert!(
            found.stdout.contains(part),
            "expected {part:?} in {}",
            found.stdout
        );
    }
    let found = run(MATH, "compile m.wat");
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    assert!(found.stdout.contains("optimizing"), "{}", found.stdout);
}

/// Whoever reads the output may be gone; the guest's exit code stays.
#[test]
fn a_closed_output_changes_no_exit_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("m.wat"), EXIT).expect("the module can be written");
    std::fs::write(folder.path().join("t.wat"), TRAP).expect("the module can be written");
    for (args, redirection, code) in [
        ("run --stats --timings json m.wat", "2>/dev/full", 201),
        ("run --stats --timings json t.wat", "2>/dev/full", 134),
        ("run missing.wat", "2>/dev/full", 1),
        ("compile m.wat", ">/dev/full", 1),
        ("objdump m.wat", ">/dev/full", 1),
        ("compile m.wat", "| true", 0),
    ] {
        let program = env!("CARGO_BIN_EXE_upshift");
        let status = std::process::Command::new("sh")
            .args(["-c", &format!("{program} {args} {redirection}")])
            .current_dir(folder.path())
            .status()
            .expect("a shell can be started");
        assert_eq!(status.code(), Some(code), "{args} {redirection}");
    }
}

/// The address space of 4 GiB that small boards and careful hosts give.
#[test]
fn programs_run_where_the_address_space_is_limited() {
    for tier in ["dynamic", "baseline", "optimizing"] {
        let program = env!("CARGO_BIN_EXE_upshift");
        let script = format!("ulimit -v 4194304 && exec {program} run --tier {tier} sudoku.wasm 1");
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(super::support::examples())
            .output()
            .expect("a shell can be started");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "{tier}: {} {stderr}",
            output.status
        );
        assert!(!output.stdout.is_empty(), "{tier}: expected output");
    }
}

/// Under the eager policy everything is queued when the guest ends; `jobs waiting` shows that nobody waited.
#[test]
fn the_exit_does_not_wait_for_background_jobs() {
    let args = [
        "run",
        "--tier",
        "eager",
        "--compile",
        "eager",
        "--stats",
        "json.wasm",
        "-1",
    ];
    let found = upshift(&super::support::examples(), &args, "");
    let waiting = found
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("jobs waiting"));
    let waiting: u64 = waiting
        .and_then(|n| n.trim().parse().ok())
        .expect("a number of jobs");
    assert!(
        waiting > 0,
        "expected jobs to be left behind: {}",
        found.stderr
    );
}
