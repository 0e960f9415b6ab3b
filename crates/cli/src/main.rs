//! The `upshift` program: runs, checks and looks into WebAssembly modules.
#![forbid(unsafe_code)]

mod args;
mod bench_clock;
mod compile;
mod input;
mod invoke;
mod objdump;
mod observe;
mod out;
mod progress;
mod run;
mod schedule;
mod script;
mod timer;
mod timings;

use args::{Cli, Command};
use clap::Parser as _;
use std::ffi::OsString;
use std::process::exit;

/// Exit code of a trap: what a shell shows for a process that aborted.
pub(crate) const EXIT_TRAP: i32 = 134;
/// Exit code of any other error.
pub(crate) const EXIT_ERROR: i32 = 1;

fn main() {
    let cli = Cli::parse_from(with_default_command(std::env::args_os().collect()));
    let code = match cli.command {
        Command::Run(options) => run::run(&options, None),
        Command::Tiers(options) => observe::tiers(&options),
        Command::Validate(options) => report(compile::validate(&options)),
        Command::Compile(options) => report(compile::compile(&options)),
        Command::Objdump(options) => report(objdump::objdump(&options)),
        Command::Wast(options) => script::run(&options),
    };
    // Background compiles may still run; leaving the process must not wait for them.
    exit(code);
}

fn report(result: Result<(), upshift::Error>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            out::err(format_args!("upshift: {error}"));
            EXIT_ERROR
        }
    }
}

/// `upshift FILE ...` and `upshift --option FILE ...` mean `upshift run ...`.
fn with_default_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let own = |word: &str| {
        args::COMMANDS.contains(&word)
            || ["help", "-h", "--help", "-V", "--version"].contains(&word)
    };
    if let Some(first) = args.get(1)
        && !first.to_str().is_some_and(own)
    {
        args.insert(1, "run".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::with_default_command;

    #[test]
    fn a_first_word_that_is_no_subcommand_is_a_file() {
        let rows = [
            ("upshift a.wasm -x", "upshift run a.wasm -x"),
            (
                "upshift --tier baseline a.wasm",
                "upshift run --tier baseline a.wasm",
            ),
            ("upshift run a.wasm", "upshift run a.wasm"),
            ("upshift validate a.wasm", "upshift validate a.wasm"),
            ("upshift --help", "upshift --help"),
            ("upshift", "upshift"),
        ];
        for (given, expected) in rows {
            let words = given.split(' ').map(Into::into).collect();
            let found: Vec<String> = with_default_command(words)
                .into_iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            assert_eq!(found.join(" "), expected);
        }
    }
}
