//! `run`: engines x programs x sizes, interleaved.

/// Options of `run`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {}

/// `upshift-bench run`.
///
/// # Errors
/// What went wrong.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    Err(format!("{options:?} is not built yet"))
}
