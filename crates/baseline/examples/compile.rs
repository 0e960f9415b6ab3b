//! Compiles the modules given on one thread outside any engine, and prints speed and sizes; small enough for callgrind.
//!
//! `cargo run --release -p upshift-baseline --example compile -- [--repeat N] FILE...`

#[path = "../tests/common/mod.rs"]
mod common;

use common::Setup;
use std::time::Instant;
use upshift_module::{DecodeOptions, Module};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).peekable();
    let mut repeat = 1;
    if args.next_if(|arg| arg == "--repeat").is_some() {
        repeat = args
            .next()
            .ok_or("--repeat takes the number of rounds")?
            .parse()?;
    }
    for path in args {
        let bytes = std::fs::read(&path)?;
        let module_bytes = bytes.len();
        let start = Instant::now();
        let module = Module::new(bytes, &DecodeOptions::default())?;
        let validated = start.elapsed();
        let bodies: u64 = module
            .funcs()
            .map(|func| u64::from(func.body_bytes()))
            .sum();
        for _ in 0..repeat {
            let start = Instant::now();
            let mut funcs = 0_usize;
            let mut text = 0_u64;
            common::compile_module(&module, Setup::default(), |func| {
                funcs += 1;
                text += u64::from(func.text_bytes);
            });
            println!(
                "{path}: {module_bytes} bytes, {funcs} bodies of {bodies} bytes give {text} bytes of code; validated in {validated:.1?}, compiled in {:.1?}",
                start.elapsed(),
            );
        }
    }
    Ok(())
}
