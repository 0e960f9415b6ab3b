//! Programs compiled for this machine.

use crate::engine::Native;
use crate::manifest::Program;
use std::path::PathBuf;

/// The native binary of a program: the one that the manifest names, or one made from its sources, if that was not
/// done before, by clang-19, clang or cc.
///
/// # Errors
/// If there is neither, or the compiler fails.
pub(crate) fn binary(program: &Program, native: Native) -> Result<PathBuf, String> {
    Err(format!("{}: {native:?} is not built yet", program.name))
}
