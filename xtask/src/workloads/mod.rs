//! `cargo xtask workloads`: rebuild the example programs and the benchmark suite.
//!
//! Every program is compiled twice from the same source, to WebAssembly with
//! wasi-libc and for this machine; what the native program prints is what an
//! engine has to reproduce. Modules and recorded outputs are committed, so that
//! tests and benchmarks need no C compiler:
//!
//! * examples/ by examples/workloads.toml, into examples/expected.json;
//! * benches/workloads/ by its suite.toml, into its expected.json.

mod compile;
mod examples;
mod suite;

use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::{Outcome, repo};
pub(crate) use examples::print_expected;

/// Natively compiled programs.
const NATIVE: &str = "target/workloads";

#[derive(Args)]
pub(crate) struct Options {
    /// Rebuild only the program of this name (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Run programs of the suite only at this size; the outputs recorded for the
    /// others stay as long as the module does (may be repeated)
    #[arg(long, value_name = "SIZE")]
    size: Vec<String>,
    /// Change nothing: check that the suite's modules are the recorded ones and, if the
    /// recorded compiler is there, those of the present sources
    #[arg(long, conflicts_with_all = ["only", "size"])]
    check: bool,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn wants_size(&self, size: &str) -> bool {
        self.size.is_empty() || self.size.iter().any(|only| only == size)
    }
}

/// # Errors
/// When tools are missing, a program does not compile or run, or `--check` finds
/// a stale module.
pub(crate) fn run(options: &Options) -> Outcome<()> {
    if options.check {
        return suite::check().and_then(|()| suite::check_sources());
    }
    let (examples, suite) = (examples::Plan::read()?, suite::Suite::read()?);
    let known = |name: &String| examples.has(name) || suite.has(name);
    if let Some(name) = options.only.iter().find(|name| !known(name)) {
        return Err(format!(
            "expected the name of a program of {} or {}, found {name}",
            examples::PLAN,
            suite::MANIFEST
        ));
    }
    compile::check_tools()?;
    examples::build(examples, options)?;
    suite::build(&suite, options)
}

/// The directory for native programs below [`NATIVE`], made if it is missing.
fn native_dir(part: &str) -> Outcome<PathBuf> {
    let directory = repo::root().join(NATIVE).join(part);
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(directory)
}
