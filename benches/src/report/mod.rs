//! `report`: one self-contained HTML page with plots.

/// Options of `report`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {}

/// `upshift-bench report`.
///
/// # Errors
/// What went wrong.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    Err(format!("{options:?} is not built yet"))
}
