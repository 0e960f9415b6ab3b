//! `compare`: what changed between two runs beyond noise.

/// Options of `compare`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {}

/// `upshift-bench compare`.
///
/// # Errors
/// What went wrong.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    Err(format!("{options:?} is not built yet"))
}
