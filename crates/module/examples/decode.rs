//! Decodes and validates the files given, and prints speed and sizes:
//! `cargo run --release -p upshift-module --example decode -- [--validate] FILE...`
//!
//! With `--validate` they are validated once, on one thread, and nothing more, for callgrind.

use std::sync::Arc;
use std::time::Instant;

use upshift_module::{DecodeOptions, Module, Parallelism};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|arg| arg == "--validate").is_some() {
        for path in args {
            let module = Module::new(std::fs::read(&path)?, &DecodeOptions::default())?;
            println!("{path}: {} functions", module.funcs().len());
        }
        return Ok(());
    }
    let pool = Arc::new(rayon::ThreadPoolBuilder::new().build()?);
    for path in args {
        let bytes = Arc::new(std::fs::read(&path)?);
        for parallelism in [Parallelism::CallingThread, Parallelism::Pool(pool.clone())] {
            let start = Instant::now();
            let module = Module::new(bytes.clone(), &DecodeOptions { parallelism })?;
            let validated = start.elapsed();
            let start = Instant::now();
            let ops: usize = module.funcs().map(|func| func.ops().count()).sum();
            let walked = start.elapsed();
            let mbps = |time: std::time::Duration| bytes.len() as f64 / 1e6 / time.as_secs_f64();
            println!(
                "{path}: {} functions, {ops} operators, {} bytes; validated at {:.0} MB/s, walked at {:.0} MB/s",
                module.funcs().len(),
                bytes.len(),
                mbps(validated),
                mbps(walked),
            );
        }
    }
    Ok(())
}
