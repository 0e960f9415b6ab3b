//! What the program shows of tier-up: traces, histories, pictures, statistics, files for profilers.

use super::support::{Run, examples, upshift};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const LOOP: &str = r#"(module (func $spin (export "_start") (loop $l (br $l))))"#;
const TRAP: &str = r#"(module (func $inner (unreachable)) (func (export "_start") (call $inner)))"#;
const EXIT: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func $"bye \"quoted\"\n\u{1f980}" (export "_start") (call $exit (i32.const 201))))"#;
/// Sleeps for an hour on the monotonic clock.
const SLEEP: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func $sleeper (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 3600000000000))
        (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))))"#;
/// A function that is optimized in its second call, and a loop that is entered in its third round.
const HOT: &str = r#"(module
    (func $hot (param i32) (result i32)
        (loop $l
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $l (i32.gt_s (local.get 0) (i32.const 0))))
        (local.get 0))
    (func $start (export "_start")
        (drop (call $hot (i32.const 9))) (drop (call $hot (i32.const 9)))))"#;
const SCHEDULE: &str = "--tier-up-after 1 --osr-after 3";

/// A folder with the module as `m.wat`.
fn folder(wat: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("m.wat"), wat).expect("the module can be written");
    folder
}

fn run(folder: &Path, args: &str) -> Run {
    let args: Vec<&str> = args.split_whitespace().collect();
    upshift(folder, &args, "")
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("a file of text")
}

/// The events of a trace, after a look at what every trace must have.
fn trace(folder: &Path, name: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(&read(folder, name)).expect("the trace is JSON");
    let events = file["traceEvents"].as_array().expect("a list of events");
    let mut tracks = Vec::new();
    let mut last = 0.0;
    for event in events {
        assert!(event["name"].as_str().is_some_and(|name| !name.is_empty()));
        if event["ph"] == "M" {
            tracks.push(event["tid"].clone());
            continue;
        }
        assert!(
            tracks.contains(&event["tid"]),
            "a track without name: {event}"
        );
        let at = event["ts"].as_f64().expect("a time");
        assert!(at >= last, "out of order: {event}");
        last = at;
        match event["ph"].as_str() {
            Some("X") => assert!(event["dur"].as_f64().is_some_and(|dur| dur >= 0.0)),
            Some("i") => assert_eq!(event["s"], "t"),
            Some("C") => assert!(event["args"]["jobs"].is_u64()),
            Some(_) | None => panic!("an unknown phase: {event}"),
        }
    }
    events.clone()
}

#[test]
fn traces_are_whole_however_the_run_ends() {
    for (wat, args, code, name) in [
        (TRAP, "", 134, "baseline inner"),
        (
            TRAP,
            "--tier optimizing --no-inlining",
            134,
            "optimizing inner",
        ),
        (EXIT, "", 201, "baseline bye \"quoted\"\n\u{1f980}"),
        (LOOP, "--timeout 0.05", 134, "baseline spin"),
        (SLEEP, "--timeout 0.05", 134, "baseline sleeper"),
        (HOT, SCHEDULE, 0, "osr hot"),
        (HOT, "--compile eager --threads 2", 0, "install hot"),
        ("(module (func))", "", 1, ""),
        ("(module (func (result i32)))", "", 1, ""),
    ] {
        let folder = folder(wat);
        let found = run(
            folder.path(),
            &format!("run --trace-tiering out.json {args} m.wat"),
        );
        assert_eq!(found.code, Some(code), "{args}: {}", found.stderr);
        let events = trace(folder.path(), "out.json");
        let named = |event: &Value| event["name"] == name;
        assert!(
            name.is_empty() || events.iter().any(named),
            "{args}: {name}"
        );
        // What was written is also what `tiers` reads.
        let found = run(folder.path(), "tiers out.json");
        assert_eq!(found.code, Some(0), "{args}: {}", found.stderr);
    }
}

#[test]
fn histories_tell_what_became_of_a_function() {
    let folder = folder(HOT);
    let svg = format!("tiers {SCHEDULE} --svg out.svg --trace-tiering out.json m.wat");
    let lives = run(folder.path(), &svg);
    assert_eq!(lives.code, Some(0), "{}", lives.stderr);
    let rows =
        |text: &str| -> Vec<String> { text.lines().map(|line| line.trim().to_owned()).collect() };
    let found = rows(&lives.stdout);
    let hot: Vec<&str> = found[3].split_whitespace().collect();
    assert_eq!(
        (hot[0], hot[1], hot[4]),
        ("hot", "(0)", "baseline"),
        "{found:?}"
    );
    assert!(!hot[6..].contains(&"-"), "{found:?}");
    let parts = ["loop 1: requested", "compiled", "entered"];
    assert!(
        parts.iter().all(|part| found[4].contains(part)),
        "{found:?}"
    );
    // The same from the recording, in another order.
    let again = run(folder.path(), "tiers --svg again.svg out.json");
    assert_eq!((again.code, rows(&again.stdout)), (Some(0), found));
    let picture = read(folder.path(), "out.svg");
    assert_eq!(picture, read(folder.path(), "again.svg"));
    for part in ["<svg", "hot", "start", "running loop entered", "ms since"] {
        assert!(picture.contains(part), "{part}");
    }
    // All are asked for when the module is loaded; a loop makes a function worth more.
    let hottest = run(
        folder.path(),
        "tiers --tier eager --compile eager --sort heat --top 1 m.wat",
    );
    let found = rows(&hottest.stdout);
    assert!(found[2].starts_with("hot (0)"), "{found:?}");
    assert!(
        found
            .last()
            .expect("a line")
            .starts_with("1 more functions")
    );
    // The guest's arguments are not ours.
    let found = run(folder.path(), "tiers m.wat --svg no.svg");
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    assert!(!folder.path().join("no.svg").exists());
}

#[test]
fn files_that_cannot_be_written_stop_the_run_before_it_begins() {
    let folder = folder(TRAP);
    std::fs::write(folder.path().join("t.json"), "{\"traceEvents\":[]}").expect("a file");
    std::fs::write(folder.path().join("old.json"), "kept").expect("a file");
    for (args, message) in [
        ("run --trace-tiering no/out.json m.wat", "no/out.json: "),
        ("run --trace-tiering . m.wat", ".: "),
        ("run --trace-tiering m.wat m.wat", "overwrite the input"),
        ("run --trace-tiering ./m.wat m.wat", "overwrite the input"),
        ("tiers --svg no/out.svg m.wat", "no/out.svg: "),
        ("tiers --svg m.wat m.wat", "overwrite the input"),
        ("tiers --svg t.json t.json", "no trace of tier-up"),
        (
            "tiers --svg a --trace-tiering a m.wat",
            "cannot both go there",
        ),
        ("tiers t.json", "no trace of tier-up"),
        ("tiers missing.wasm", "missing.wasm: "),
        (
            "run --trace-tiering old.json missing.wasm",
            "missing.wasm: ",
        ),
    ] {
        let found = run(folder.path(), args);
        assert_eq!(found.code, Some(1), "{args}: {}", found.stderr);
        assert!(found.stderr.contains(message), "{args}: {}", found.stderr);
        assert!(
            !found.stderr.contains("unreachable"),
            "{args}: the guest ran"
        );
    }
    assert_eq!(read(folder.path(), "m.wat"), TRAP);
    for args in [
        "run --profile gprof m.wat",
        "tiers --sort name m.wat",
        "tiers",
    ] {
        assert_eq!(run(folder.path(), args).code, Some(2), "{args}");
    }
    let full = run(folder.path(), "run --trace-tiering /dev/full m.wat");
    assert_eq!(full.code, Some(134), "the guest's exit code stays");
    assert!(full.stderr.contains("/dev/full: "), "{}", full.stderr);
}

#[test]
fn statistics_have_a_number_for_everything() {
    let folder = folder(HOT);
    let found = run(folder.path(), &format!("run --stats {SCHEDULE} m.wat"));
    let text = &found.stderr;
    let row = |name: &str| -> Vec<f64> {
        let line = text.lines().find(|line| line.trim().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} in {text}"));
        let words = line.split_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    };
    assert_eq!((row("baseline")[0], row("baseline").len()), (2.0, 5));
    assert_eq!((row("optimizing")[0], row("of it loops")[0]), (3.0, 1.0));
    assert_eq!(row("loop entries"), [1.0]);
    assert!(row("retired")[0] >= 2.0, "{text}");
    assert!(row("retired bytes")[0] > 0.0 && row("live bytes")[0] > 0.0);
    for name in ["jobs waiting", "mean wait ms", "dropped"] {
        assert_eq!(row(name), [0.0], "{name}");
    }
    // What was retired may have been freed already, or not.
    assert!(row("freed bytes")[0] <= row("retired bytes")[0] + row("live bytes")[0]);
}

#[test]
fn profilers_get_their_files() {
    let folder = folder(HOT);
    let found = run(
        folder.path(),
        &format!("run --profile jitdump {SCHEDULE} m.wat"),
    );
    assert_eq!(found.code, Some(0), "{}", found.stderr);
    let mut entries = folder.path().read_dir().expect("a folder").flatten();
    let dump = entries.find(|entry| entry.file_name().to_string_lossy().starts_with("jit-"));
    let dump = std::fs::read(dump.expect("a dump").path()).expect("it can be read");
    let holds = |name: &str| dump.windows(name.len()).any(|part| part == name.as_bytes());
    for name in ["hot [baseline]", "hot [osr]", "hot [optimizing]", "[stub]"] {
        assert!(holds(name), "{name}");
    }
    let program = env!("CARGO_BIN_EXE_upshift");
    let script = format!("echo $$; exec {program} run --profile perfmap {SCHEDULE} m.wat");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .expect("a shell can be started");
    let pid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let map = format!("/tmp/perf-{pid}.map");
    let text = std::fs::read_to_string(&map).expect("a map");
    std::fs::remove_file(&map).expect("it can be removed");
    for name in [" hot [baseline]\n", " hot [osr]\n", " hot [optimizing]\n"] {
        assert!(text.contains(name), "{name} in {text}");
    }
}

/// The commands of README.md and docs/tiering.md, as they stand there but for where the output goes.
#[test]
fn documented_commands_work() {
    let page =
        |path: &str| std::fs::read_to_string(examples().join("..").join(path)).expect("a page");
    let pages = page("README.md") + &page("docs/tiering.md");
    let output = tempfile::tempdir().expect("a temporary folder");
    let root = examples().join("..");
    for command in [
        "tiers --svg tiers.svg examples/sudoku.wasm 3",
        "run --trace-tiering out.json examples/sudoku.wasm 3",
        "tiers --sort heat out.json",
    ] {
        assert!(pages.contains(command), "{command} is documented");
        let words = command.split(' ').map(|word| match word {
            "tiers.svg" | "out.json" => output.path().join(word),
            word => word.into(),
        });
        let words: Vec<std::path::PathBuf> = words.collect();
        let found = upshift(&root, &words, "");
        assert_eq!(found.code, Some(0), "{command}: {}", found.stderr);
    }
}
