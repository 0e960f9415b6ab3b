//! Chores of the Upshift workspace: `cargo xtask <chore>`.
//!
//! `cargo test` and `cargo run` need none of them, except that `tidy` is also a
//! test of this crate.

#![forbid(unsafe_code)]

mod ci;
mod corpus;
mod hash;
mod process;
mod repo;
mod tidy;
mod workloads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a chore returns: the error is a message for the person who called it.
pub(crate) type Outcome<T> = Result<T, String>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the Upshift workspace")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the rules of docs/architecture.md: arrows, sizes, unsafe, docs
    Tidy,
    /// Compile examples/ and the benchmark suite to WebAssembly and natively, and record what the
    /// native programs print
    Workloads(workloads::Options),
    /// Print the recorded standard output of one run of examples/expected.json
    Expected {
        /// Name of the run
        name: String,
    },
    /// Fetch the large programs that ignored tests and benchmarks use into corpus-cache/
    Corpus {
        /// Packages, or their directories below corpus-cache/; all without a name
        names: Vec<String>,
    },
    /// Call the benchmark harness: the same as `cargo run --release -p upshift-bench -- ARGUMENTS`
    Bench {
        /// For the harness; `help` tells which
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compare generated modules with an interpreter, `--minutes 10` long: the same as
    /// `cargo run --release -p upshift-spec-tests --bin fuzz -- ARGUMENTS`
    Fuzz {
        /// For the program; a wrong one prints what there is
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Force tier-up at every small call and back-edge number over many generated modules, replay recordings of them, and let
    /// threads run modules under random schedules: what is too long for `cargo test`
    Schedules,
    /// Compile and free code on many threads for minutes, and see that memory stays level
    Soak {
        /// How long
        #[arg(long, default_value_t = 5)]
        minutes: u64,
    },
    /// Rewrite the expected failures of the spec tests and the expected disassembly
    Bless,
    /// Do what continuous integration does
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Tidy => tidy::run(),
        Chore::Workloads(options) => workloads::run(&options),
        Chore::Expected { name } => workloads::print_expected(&name),
        Chore::Corpus { names } => corpus::run(&names),
        Chore::Bench { arguments } => run_program("upshift-bench", None, &arguments),
        Chore::Fuzz { arguments } => run_program("upshift-spec-tests", Some("fuzz"), &arguments),
        Chore::Schedules => ci::schedules(),
        Chore::Soak { minutes } => ci::soak(minutes),
        Chore::Bless => ci::bless(),
        Chore::Ci => ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a program of the workspace, optimized.
fn run_program(package: &str, bin: Option<&str>, arguments: &[String]) -> Outcome<()> {
    let here = std::env::current_dir().map_err(|error| format!("current directory: {error}"))?;
    let mut command = repo::cargo();
    // Files among the arguments are those of the caller.
    command.current_dir(here);
    command.args(["run", "--release", "--package", package]);
    if let Some(bin) = bin {
        command.args(["--bin", bin]);
    }
    process::run(command.arg("--").args(arguments))
}
