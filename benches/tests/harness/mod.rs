//! The harness as a program.

use std::path::Path;
use std::process::{Command, Output};

/// Runs it in a directory, with arguments that have no spaces in them.
pub(crate) fn bench(directory: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_upshift-bench"))
        .current_dir(directory)
        .args(arguments.split_whitespace())
        .output()
        .expect("the harness")
}

/// What it wrote.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
