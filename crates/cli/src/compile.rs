//! `upshift validate` and `upshift compile`.

use crate::args::{CompileOptions, FileOptions};
use crate::input;
use crate::out::out;
use std::fmt::Write as _;
use std::time::Instant;
use upshift::{CompileMode, Config, Engine, Error, Module, Tier, TierPolicy};

/// Checks a module; silent if it is valid.
pub(crate) fn validate(options: &FileOptions) -> Result<(), Error> {
    let engine = Engine::new(&Config::new())?;
    if input::is_stdin(&options.file) {
        // Lazy, so nothing is compiled.
        return input::stream(&engine).map(drop);
    }
    Module::validate(&engine, input::read(&options.file)?)
}

/// Compiles everything with each tier, and prints a table on standard output.
pub(crate) fn compile(options: &CompileOptions) -> Result<(), Error> {
    let bytes = input::read(&options.file)?;
    let mut text =
        "tier         functions   total ms   code bytes   code bytes per wasm byte\n".to_owned();
    for (tier, policy) in [
        (Tier::Baseline, TierPolicy::Baseline),
        (Tier::Optimizing, TierPolicy::Optimizing),
    ] {
        let mut config = Config::new();
        config
            .tier_policy(policy)
            .compile_mode(CompileMode::Eager)
            .interruption(false);
        if let Some(threads) = options.threads {
            config.threads(threads as usize);
        }
        let engine = Engine::new(&config)?;
        let started = Instant::now();
        let module = Module::new(&engine, &bytes)?;
        let total = started.elapsed();
        let row = *engine.stats().tier(tier);
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = row.code_bytes as f64 / bytes.len().max(1) as f64;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<11} {:>10} {:>10.1} {:>12} {:>26.2}",
            tier.name(),
            row.functions,
            total.as_secs_f64() * 1e3,
            row.code_bytes,
            ratio
        );
        drop(module);
    }
    out(&text)
}
