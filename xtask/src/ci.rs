//! Chores that only start other programs: `ci` and `bless`.

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
