//! `warmup`: how much work a program has done by when.

pub(crate) mod curves;

/// Options of `warmup`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {}

/// `upshift-bench warmup`.
///
/// # Errors
/// What went wrong.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    Err(format!("{options:?} is not built yet"))
}
