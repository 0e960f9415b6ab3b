//! `upshift wast`: runs test scripts.

use crate::EXIT_ERROR;
use crate::args::WastOptions;
use crate::out::{err, out};
use upshift::Engine;
use upshift_wast::run_script;

/// Runs the scripts, prints counts and failures on standard output, gives the exit code.
pub(crate) fn run(options: &WastOptions) -> i32 {
    let mut failed = false;
    for file in &options.files {
        let name = file.display().to_string();
        let source = match std::fs::read_to_string(file) {
            Ok(source) => source,
            Err(error) => {
                err(format_args!("upshift: {name}: {error}"));
                failed = true;
                continue;
            }
        };
        let engine = match Engine::new(&options.engine.config()) {
            Ok(engine) => engine,
            Err(error) => {
                err(format_args!("upshift: {error}"));
                return EXIT_ERROR;
            }
        };
        let report = run_script(&engine, &name, &source);
        if let Err(error) = out(&format!("{report}\n")) {
            err(format_args!("upshift: {error}"));
            failed = true;
        }
        failed |= !report.failures.is_empty();
    }
    i32::from(failed)
}
