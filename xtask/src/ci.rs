//! Chores that only start other programs: `ci`, `schedules`, `soak` and `bless`.

use std::process::Command;

use crate::{Outcome, process, repo};

/// Packages with expected output that `UPSHIFT_BLESS` rewrites.
const BLESSED: [&str; 4] = [
    "upshift-spec-tests",
    "upshift-baseline",
    "upshift-optimizing",
    "upshift-cli",
];

/// Do what continuous integration does.
///
/// # Errors
/// When a step fails.
pub(crate) fn run() -> Outcome<()> {
    process::run(Command::new(repo::root().join(".ci/run")).current_dir(repo::root()))
}

/// Run the long forms of the tests of schedules.
///
/// # Errors
/// When a test fails.
pub(crate) fn schedules() -> Outcome<()> {
    let mut cargo = repo::cargo();
    cargo.args(["test", "--release", "--package", "upshift-spec-tests"]);
    process::run(cargo.args(["--test", "schedules", "--", "--include-ignored"]))?;
    let mut cargo = repo::cargo();
    cargo.args(["test", "--release", "--package", "upshift"]);
    cargo.args(["--test", "it", "threads_under_random_schedules"]);
    process::run(cargo.env("UPSHIFT_STRESS_ROUNDS", "5000"))
}

/// Run the long test of `crates/upshift/tests/soak`.
///
/// # Errors
/// When it fails.
pub(crate) fn soak(minutes: u64) -> Outcome<()> {
    let mut cargo = repo::cargo();
    cargo.args([
        "test",
        "--release",
        "--package",
        "upshift",
        "--test",
        "soak",
    ]);
    cargo.args(["--", "--ignored", "--nocapture"]);
    cargo.env("UPSHIFT_SOAK_MINUTES", minutes.to_string());
    process::run(&mut cargo)
}

/// Run the tests that compare with recorded files, and let them rewrite these.
///
/// # Errors
/// When a test fails for another reason.
pub(crate) fn bless() -> Outcome<()> {
    let mut cargo = repo::cargo();
    cargo.arg("test").env("UPSHIFT_BLESS", "1");
    for package in BLESSED {
        cargo.args(["--package", package]);
    }
    process::run(&mut cargo)?;
    println!("Look at the changes with `git diff` before you commit them.");
    Ok(())
}
