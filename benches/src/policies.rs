//! `policies`: all policies on one program.

/// Options of `policies`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {}

/// `upshift-bench policies`.
///
/// # Errors
/// What went wrong.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    Err(format!("{options:?} is not built yet"))
}
