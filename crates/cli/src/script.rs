//! `upshift wast`: runs test scripts.

use crate::EXIT_ERROR;
use crate::args::WastOptions;
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
                eprintln!("upshift: {name}: {error}");
                failed = true;
                continue;
            }
        };
        let engine = match Engine::new(&options.engine.config()) {
            Ok(engine) => engine,
            Err(error) => {
                eprintln!("upshift: {error}");
                return EXIT_ERROR;
            }
        };
        let report = run_script(&engine, &name, &source);
        println!("{report}");
        failed |= !report.failures.is_empty();
    }
    i32::from(failed)
}
