//! The benchmark harness: Upshift in each policy beside native code and other engines.
//!
//! docs/benchmarking.md is the manual. In short: [`run`] starts one process per sample ([`measure`]), which
//! runs one program in one engine ([`sample`]) and tells what each phase cost ([`schema`]); [`summary`] and [`stats`]
//! make figures of the samples; `compare`, `report`, `warmup`, `policies` and `bars` show them.

#![forbid(unsafe_code)]

mod available;
mod bars;
mod compare;
mod engine;
mod hostile;
mod machine;
mod manifest;
mod measure;
mod native;
mod policies;
mod report;
mod run;
mod sample;
mod schema;
mod stats;
mod store;
mod stream;
mod summary;
mod table;
mod warmup;

use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;

/// Compare WebAssembly engines on programs.
#[derive(Parser, Debug)]
#[command(name = "upshift-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Measure engines on programs, and print a table.
    Run(run::Options),
    /// Print the tables of a run again.
    Show(table::Show),
    /// Say what changed between two runs, beyond noise.
    Compare(compare::Options),
    /// Make an HTML page with plots from runs.
    Report(report::Options),
    /// Show how much work one program has done by when, for each policy.
    Warmup(warmup::Options),
    /// Compare all policies and compile modes on one program.
    Policies(policies::Options),
    /// Measure what a page of docs/ promises, and judge it row by row.
    Bars(bars::Options),
    /// List the engines, and which of them are here.
    Engines,
    /// List the programs of the suite, or of other manifests.
    Programs(manifest::List),
    /// Write modules that are hard on a compiler.
    Hostile(hostile::Options),
    /// Measure how long after its last byte a module is ready that arrives at a given rate.
    Stream(stream::Options),
    /// Run one program once in one engine: what each sample of `run` is.
    Sample(sample::Options),
}

fn main() -> ExitCode {
    let outcome = match &Cli::parse().command {
        Command::Run(options) => run::run(options),
        Command::Show(show) => table::show(show),
        Command::Compare(options) => compare::run(options),
        Command::Report(options) => report::run(options),
        Command::Warmup(options) => warmup::run(options),
        Command::Policies(options) => policies::run(options),
        Command::Bars(options) => bars::run(options),
        Command::Engines => available::list(),
        Command::Programs(options) => manifest::list(options),
        Command::Hostile(options) => hostile::run(options),
        Command::Stream(options) => stream::run(options),
        Command::Sample(options) => sample::run(options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // With nobody left to read it, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "upshift-bench: {message}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
