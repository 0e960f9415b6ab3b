//! A real program of 75 MB: clang. Fetched by `cargo xtask corpus`, so these tests are ignored by default:
//! `cargo test --release -p upshift-cli -- --ignored`.

use super::support::{examples, upshift};
use std::path::PathBuf;

fn corpus() -> PathBuf {
    let folder = examples().join("../corpus-cache/yowasp-clang");
    assert!(
        folder.join("llvm.core.wasm").exists(),
        "expected `cargo xtask corpus` to have run"
    );
    folder
}

/// Runs clang; checks its exit code and that it stayed small.
fn clang(tier: &str, dirs: &[String], args: &[&str]) -> super::support::Run {
    let mut words: Vec<String> = [
        "run",
        "--tier",
        tier,
        "--compile",
        "lazy",
        "--timings",
        "json",
    ]
    .map(str::to_owned)
    .into();
    for dir in dirs {
        words.extend(["--dir".to_owned(), dir.clone()]);
    }
    words.extend(["llvm.core.wasm".to_owned(), "clang".to_owned()]);
    words.extend(args.iter().map(|&arg| arg.to_owned()));
    let run = upshift(&corpus(), &words, "");
    assert_eq!(run.code, Some(0), "{tier}: {}", run.stderr);
    let line = run.stderr.lines().last().expect("a line of timings");
    let timings: serde_json::Value = serde_json::from_str(line).expect("timings are JSON");
    let rss_kb = timings["rss_kb"]
        .as_u64()
        .expect("the peak memory is a number");
    assert!(
        rss_kb < 400 << 10,
        "{tier}: expected under 400 MiB, found {rss_kb} KiB"
    );
    run
}

#[test]
#[ignore = "needs `cargo xtask corpus`"]
fn clang_says_its_version() {
    for tier in ["baseline", "dynamic"] {
        let run = clang(tier, &[], &["--version"]);
        assert!(
            run.stdout.contains("clang version"),
            "{tier}: {}",
            run.stdout
        );
    }
}

#[test]
#[ignore = "needs `cargo xtask corpus`"]
fn clang_compiles_a_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("a.c"), "int main(void) { return 42; }\n").expect("a source");
    let dirs = [
        "usr::/usr".to_owned(),
        format!("{}::/scratch", folder.path().display()),
    ];
    let mut objects = Vec::new();
    for tier in ["baseline", "dynamic"] {
        let object = format!("/scratch/{tier}.o");
        clang(tier, &dirs, &["-c", "/scratch/a.c", "-o", &object]);
        let bytes = std::fs::read(folder.path().join(format!("{tier}.o"))).expect("an object");
        assert!(
            bytes.starts_with(b"\0asm"),
            "{tier}: expected an object file"
        );
        objects.push(bytes);
    }
    assert_eq!(
        objects[0], objects[1],
        "expected the same object from both tiers"
    );
}
