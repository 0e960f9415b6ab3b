//! One sample: one program in one engine in this process, which ends with it.

use crate::engine::Engine;
use std::path::PathBuf;

/// Which program in which engine.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Options {
    /// The engine.
    pub(crate) engine: Engine,
    /// The program, by its name in the manifest, or a .wasm or .wat file.
    pub(crate) program: String,
    /// Manifests to look in; the suite's and the corpora's, if none is given.
    #[arg(long)]
    pub(crate) suite: Vec<PathBuf>,
    /// The size; the first one, if none is given.
    #[arg(long)]
    pub(crate) size: Option<String>,
    /// How often the module is instantiated and run in this process.
    #[arg(long, default_value_t = 1)]
    pub(crate) iterations: u32,
    /// Only load the module.
    #[arg(long)]
    pub(crate) load_only: bool,
    /// Write marks on standard error: when the module's bytes are in memory, and after each step of the program.
    #[arg(long)]
    pub(crate) marks: bool,
    /// Record what tier-up does.
    #[arg(long)]
    pub(crate) events: bool,
}

/// Runs the program; what was measured is the last line on standard error. What the program prints goes to standard output,
/// once per iteration.
///
/// # Errors
/// If the engine is not here, or the program does not load or traps. An exit code other than 0 is no error.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    Err(format!("{options:?} is not built yet"))
}
