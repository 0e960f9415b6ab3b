//! Which engines can be measured on this machine, and in which version.

use crate::engine::Engine;

/// The version of an engine.
///
/// # Errors
/// Why it cannot be measured here, in a few words.
pub(crate) fn check(engine: Engine) -> Result<String, String> {
    Err(format!("{engine} is not built yet"))
}

/// `upshift-bench engines`.
pub(crate) fn list() -> Result<(), String> {
    Err("not built yet".to_owned())
}
