//! Programs as data: the manifest of the suite, and those that users bring.
//!
//! The format is described in docs/benchmarking.md; benches/workloads/suite.toml is an example.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A program that can be measured.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// A module in the binary or text format.
    pub(crate) module: PathBuf,
    /// C sources that the module was made from; empty if there are none.
    pub(crate) source: Vec<PathBuf>,
    /// Further flags for the C compiler.
    pub(crate) flags: Vec<String>,
    /// A native binary, instead of `source`.
    pub(crate) native: Option<PathBuf>,
    /// `int`, `float`, `stress`, `corpus` or `other`.
    pub(crate) kind: String,
    /// The benchmark it stands for.
    pub(crate) like: Option<String>,
    /// One line that says what it does.
    pub(crate) about: String,
    /// Its imports are foreign: it can be loaded, not run.
    pub(crate) compile_only: bool,
    /// Arguments, in which `{size}` stands for the name of the size.
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Directories that it may open: here, and as it sees them.
    pub(crate) dirs: Vec<(PathBuf, String)>,
    /// A file for its standard input.
    pub(crate) stdin: Option<PathBuf>,
    /// Further arguments that make it write a `.` to standard error after each step of its work; empty if it cannot.
    pub(crate) steps: Vec<String>,
    /// The names of its sizes; at least one.
    pub(crate) sizes: Vec<String>,
    /// The recorded output by size.
    pub(crate) expected: BTreeMap<String, Vec<u8>>,
}

impl Program {
    /// The arguments for a size, after the name of the program.
    pub(crate) fn arguments(&self, size: &str, steps: bool) -> Vec<String> {
        let extra = if steps { self.steps.as_slice() } else { &[] };
        let all = self.args.iter().chain(extra);
        all.map(|arg| arg.replace("{size}", size)).collect()
    }
}

/// Reads manifests; with none, the suite's and, where it was fetched, the corpora's.
///
/// # Errors
/// What is wrong in which file. Names must be unique over all of them.
pub(crate) fn load(manifests: &[PathBuf]) -> Result<Vec<Program>, String> {
    Err(format!("{manifests:?}: not built yet"))
}

/// The program called `name`, or the file of that name as a program without arguments.
///
/// # Errors
/// If there is none; says which there are.
pub(crate) fn find(manifests: &[PathBuf], name: &str) -> Result<Program, String> {
    Err(format!("{manifests:?}: {name}: not built yet"))
}
