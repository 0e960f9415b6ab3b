//! `run`: engines x programs x sizes, interleaved.

mod plan;
mod progress;
mod rounds;

use crate::engine::Engine;
use crate::manifest::{self, Program};
use crate::measure::{self, Setup};
use crate::schema::Sample;
use crate::{available, machine, store, table};
pub(crate) use plan::Plan;
use rounds::bad;
pub(crate) use rounds::{Rounds, begin};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The engines of a run if none are named.
const ENGINES: &str = "upshift,native";
/// The sizes of a run if none are named.
const SIZES: &str = "test";
/// Samples per cell if nothing is said.
const SAMPLES: u32 = 5;
/// The least rounds of `--quick`: with fewer there are no intervals.
const QUICK_ROUNDS: u32 = 3;
/// No round of `--quick` begins that would end later than this.
const QUICK_TIME: Duration = Duration::from_secs(200);

/// Options of `run`.
#[derive(clap::Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Options {
    /// Programs by name, or .wasm and .wat files; all of the manifests, if none is given.
    programs: Vec<String>,
    /// A manifest to use instead of the suite's; may be repeated.
    #[arg(long, value_name = "FILE")]
    suite: Vec<PathBuf>,
    /// The corpora of `cargo xtask corpus` instead of the suite; with --suite, both.
    #[arg(long)]
    corpus: bool,
    /// Engines, separated by commas: see `upshift-bench engines`.
    #[arg(long, value_name = "LIST", default_value = ENGINES)]
    engines: String,
    /// Sizes, separated by commas, or `all`. A program with one size only is always measured.
    #[arg(long, value_name = "LIST", default_value = SIZES)]
    sizes: String,
    /// Processes per engine, program and size.
    #[arg(long, value_name = "N", default_value_t = SAMPLES, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Runs of the program in each process.
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// As many samples, at least 3, as fit into about three minutes.
    #[arg(long, conflicts_with = "samples")]
    quick: bool,
    /// Only load the modules.
    #[arg(long)]
    load_only: bool,
    /// Do not run everything once before the samples that count.
    #[arg(long)]
    no_warmup: bool,
    /// Seed of the random order; from the clock, if none is given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only print the command that takes each sample.
    #[arg(long)]
    print_commands: bool,
    #[command(flatten)]
    table: table::Options,
    #[command(flatten)]
    common: Common,
}

/// Options of all commands that measure programs.
#[derive(clap::Args, Debug)]
pub(crate) struct Common {
    /// End a process after this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Write the samples to this file, after each round.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Common {
    /// How samples are taken, if nothing else is said.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            timeout: Duration::from_secs(self.timeout),
            ..Setup::default()
        }
    }

    /// Writes what there is to the file, if one is wanted.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn keep(&self, file: &impl Serialize) -> Result<(), String> {
        match &self.json {
            Some(path) => store::write(path, file),
            None => Ok(()),
        }
    }
}

/// `upshift-bench run`.
///
/// # Errors
/// What went wrong, also if any sample did.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let manifests = manifests(options);
    let setup = Setup {
        suites: manifests.clone(),
        iterations: options.iterations,
        load_only: options.load_only,
        ..options.common.setup()
    };
    let programs = programs(options, &manifests)?;
    let plan = Plan::new(
        available::checked(&Engine::parse_list(&options.engines)?),
        programs,
        &options.sizes,
        options.load_only,
    )?;
    plan.tell_skipped();
    if options.print_commands {
        return print_commands(&plan, &setup);
    }
    let mut run = begin(&plan, options.seed)?;
    // A reference that is not there is better known before the run.
    table::reference(&run, options.table.reference.as_deref())?;
    eprintln!(
        "{}\n{} cells, seed {}",
        machine::describe(&run.machine),
        plan.cells.len(),
        run.seed
    );
    let rounds = Rounds {
        setup: &setup,
        least: if options.quick {
            QUICK_ROUNDS
        } else {
            options.samples
        },
        time: options.quick.then_some(QUICK_TIME),
        warm_up: !options.no_warmup,
        keep: &|run| options.common.keep(run),
    };
    let outcome = rounds.take(plan, &mut run);
    // Also after Ctrl-C: what was measured so far is shown.
    write_out(&table::text(&run, &options.table)?)?;
    outcome?;
    verdict(&run.samples)
}

/// Prints, but ends quietly if nobody reads on.
pub(crate) fn write_out(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn manifests(options: &Options) -> Vec<PathBuf> {
    let mut manifests = options.suite.clone();
    if options.corpus {
        manifests.push(manifest::corpus());
    }
    // Programs that are asked for by name may be of the corpora.
    if manifests.is_empty() && options.programs.is_empty() {
        manifests.push(manifest::suite());
    }
    manifests
}

fn programs(options: &Options, manifests: &[PathBuf]) -> Result<Vec<Program>, String> {
    if options.programs.is_empty() {
        return manifest::load(manifests);
    }
    let mut programs: Vec<Program> = Vec::new();
    for name in &options.programs {
        let program = manifest::find(manifests, name)?;
        if programs.iter().any(|known| known.name == program.name) {
            return Err(format!(
                "expected each program once, found {:?} twice",
                program.name
            ));
        }
        programs.push(program);
    }
    Ok(programs)
}

fn print_commands(plan: &Plan, setup: &Setup) -> Result<(), String> {
    let this = measure::this_program()?;
    let mut lines = String::new();
    for cell in &plan.cells {
        let program = plan.program(cell);
        let mut words = vec![quote(&this.to_string_lossy())];
        for word in measure::arguments(setup, cell.engine, program, &cell.size) {
            words.push(quote(&word.to_string_lossy()));
        }
        let stdin = program
            .stdin
            .as_ref()
            .map_or("/dev/null".into(), |f| f.to_string_lossy());
        lines += &format!("{} < {}\n", words.join(" "), quote(&stdin));
    }
    write_out(&lines)
}

/// A word for a shell.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./@=+,:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// An error if any sample was wrong or failed.
pub(crate) fn verdict(samples: &[Sample]) -> Result<(), String> {
    let count = samples
        .iter()
        .filter(|sample| bad(&sample.outcome).is_some())
        .count();
    match count {
        0 => Ok(()),
        1 => Err("1 sample was wrong or failed".to_owned()),
        count => Err(format!("{count} samples were wrong or failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::{quote, verdict};
    use crate::summary::tests::run_of;

    #[test]
    fn words_for_a_shell() {
        let check = |word: &str, expected: &str| assert_eq!(quote(word), expected);
        check("upshift/dynamic/lazy@1", "upshift/dynamic/lazy@1");
        check("a b", "'a b'");
        check("it's", r"'it'\''s'");
        check("", "''");
    }

    #[test]
    fn verdicts() {
        let check = |runs: &[f64], expected: Result<(), String>| {
            let samples: Vec<_> = runs.iter().map(|run| ("a", "p", 0, 1.0, *run)).collect();
            assert_eq!(verdict(&run_of(&samples).samples), expected);
        };
        check(&[1.0], Ok(()));
        check(&[1.0, -1.0], Err("1 sample was wrong or failed".to_owned()));
        check(
            &[-1.0, -1.0],
            Err("2 samples were wrong or failed".to_owned()),
        );
    }
}
