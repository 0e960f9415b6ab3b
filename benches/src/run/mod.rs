//! `run`: engines x programs x sizes, interleaved.

mod plan;
mod progress;

use crate::engine::Engine;
use crate::manifest::{self, Program};
use crate::measure::{self, Setup};
use crate::schema::{FORMAT, Outcome, RunFile, Sample};
use crate::stats::Random;
use crate::{available, machine, store, table};
pub(crate) use plan::info;
use plan::{Cell, Plan};
use progress::Progress;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
    /// End a process after this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Seed of the random order; from the clock, if none is given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write the samples to this file, after each round.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only print the command that takes each sample.
    #[arg(long)]
    print_commands: bool,
    #[command(flatten)]
    table: table::Options,
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
        marks: false,
        events: false,
        timeout: Duration::from_secs(options.timeout),
    };
    let programs = programs(options, &manifests)?;
    let engines = Engine::parse_list(&options.engines)?.into_iter();
    let engines = engines.map(|engine| (engine, available::check(engine)));
    let plan = Plan::new(
        engines.collect(),
        programs,
        &options.sizes,
        options.load_only,
    )?;
    plan.skipped
        .iter()
        .for_each(|word| eprintln!("skipped: {word}"));
    if options.print_commands {
        return print_commands(&plan, &setup);
    }
    let seed = options.seed.unwrap_or_else(clock_seed);
    let mut run = RunFile {
        format: FORMAT,
        started_unix: unix_time().as_secs(),
        command: std::env::args().skip(1).collect(),
        seed,
        machine: machine::here(),
        engines: plan.engines.clone(),
        programs: plan.infos()?,
        samples: Vec::new(),
    };
    // A reference that is not there is better known before the run.
    table::reference(&run, options.table.reference.as_deref())?;
    eprintln!(
        "{}\n{} cells, seed {seed}",
        machine::describe(&run.machine),
        plan.cells.len()
    );
    let outcome = measure_all(options, &setup, plan, &mut run);
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

fn unix_time() -> Duration {
    // A clock before 1970 is no reason not to measure.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A seed that is short enough to type.
fn clock_seed() -> u64 {
    u64::from(unix_time().subsec_nanos())
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

/// Takes all samples.
///
/// # Errors
/// After Ctrl-C, or if the samples cannot be written.
fn measure_all(
    options: &Options,
    setup: &Setup,
    mut plan: Plan,
    run: &mut RunFile,
) -> Result<(), String> {
    let start = Instant::now();
    let write = |run: &RunFile| match &options.json {
        Some(path) => store::write(path, run),
        None => Ok(()),
    };
    // At once: that it cannot be written is better known before hours of work.
    write(run)?;
    let rounds = if options.quick {
        QUICK_ROUNDS
    } else {
        options.samples
    };
    let mut progress = Progress::new(&plan, rounds, !options.no_warmup);
    let mut random = Random::seeded(run.seed);
    if !options.no_warmup {
        warm_up(setup, &mut plan, run, &mut progress)?;
        write(run)?;
    }
    let mut round: u32 = 0;
    let mut longest = Duration::ZERO;
    loop {
        let more = if options.quick && round >= rounds {
            start.elapsed() + longest < QUICK_TIME
        } else {
            round < rounds
        };
        if !more || plan.cells.is_empty() {
            progress.finish();
            return Ok(());
        }
        let begin = Instant::now();
        let outcome = take_round(setup, &mut plan, run, (round, &mut random), &mut progress);
        write(run)?;
        outcome?;
        longest = longest.max(begin.elapsed());
        round += 1;
        progress.round_done(round, begin.elapsed());
    }
}

/// Runs every engine and program once, at its first size, which is the smallest. What fails is not tried again.
fn warm_up(
    setup: &Setup,
    plan: &mut Plan,
    run: &mut RunFile,
    progress: &mut Progress,
) -> Result<(), String> {
    let setup = Setup {
        iterations: 1,
        ..setup.clone()
    };
    let begin = Instant::now();
    for (engine, program) in plan.pairs() {
        let smallest = plan.programs[program].sizes[0].clone();
        progress.begin("warm-up", engine, &plan.programs[program], &smallest);
        let sample = measure::sample(&setup, engine, &plan.programs[program], &smallest, 0).sample;
        if measure::interrupted() {
            return Err(interrupted(run));
        }
        if let Some(message) = bad(&sample.outcome) {
            progress.say(&format!("{engine}, {}: {message}", sample.program));
            for cell in plan.drop_pair(engine, program) {
                run.samples.push(not_tried(&sample, &cell));
            }
        }
        let cell = Cell {
            engine,
            program,
            size: smallest,
        };
        progress.taken(&cell, sample.process_ms, plan);
    }
    progress.warmed_up(begin.elapsed());
    Ok(())
}

/// The sample of a cell that a failure in the warm-up stands for.
fn not_tried(failed: &Sample, cell: &Cell) -> Sample {
    let told = |message: &str| {
        if cell.size == failed.size {
            format!("in the warm-up: {message}")
        } else {
            format!("in the warm-up at size {}: {message}", failed.size)
        }
    };
    let outcome = match &failed.outcome {
        Outcome::Wrong(message) => Outcome::Wrong(told(message)),
        Outcome::Failed(message) => Outcome::Failed(told(message)),
        good @ (Outcome::Verified | Outcome::Unchecked) => good.clone(),
    };
    Sample {
        size: cell.size.clone(),
        outcome,
        ..failed.clone()
    }
}

/// Takes one sample of each cell: programs and sizes in random order, and within each the engines, so that what is
/// compared was measured at about the same time.
fn take_round(
    setup: &Setup,
    plan: &mut Plan,
    run: &mut RunFile,
    (round, random): (u32, &mut Random),
    progress: &mut Progress,
) -> Result<(), String> {
    for cell in plan.order(random) {
        let program = &plan.programs[cell.program];
        progress.begin(
            &format!("round {}", round + 1),
            cell.engine,
            program,
            &cell.size,
        );
        let sample = measure::sample(setup, cell.engine, program, &cell.size, round).sample;
        if measure::interrupted() {
            return Err(interrupted(run));
        }
        if let Some(message) = bad(&sample.outcome) {
            progress.say(&format!(
                "{}, {} {}: {message}",
                cell.engine, program.name, cell.size
            ));
            plan.drop_cell(&cell);
        }
        progress.taken(&cell, sample.process_ms, plan);
        run.samples.push(sample);
    }
    Ok(())
}

fn interrupted(run: &RunFile) -> String {
    format!("interrupted after {} samples", run.samples.len())
}

/// What went wrong in a sample.
fn bad(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Verified | Outcome::Unchecked => None,
        Outcome::Wrong(message) => Some(format!("wrong output: {message}")),
        Outcome::Failed(message) => Some(message.clone()),
    }
}

/// An error if any sample was wrong or failed.
fn verdict(samples: &[Sample]) -> Result<(), String> {
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
    use super::{not_tried, quote, verdict};
    use crate::run::plan::Cell;
    use crate::schema::Outcome;
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

    #[test]
    fn failures_of_the_warm_up_count_for_all_sizes() {
        let run = run_of(&[("native", "p", 0, 1.0, -1.0)]);
        let check = |size: &str, expected: &str| {
            let cell = Cell {
                engine: "native".parse().expect("an engine"),
                program: 0,
                size: size.to_owned(),
            };
            let sample = not_tried(&run.samples[0], &cell);
            assert_eq!(sample.outcome, Outcome::Wrong(expected.to_owned()));
            assert_eq!(sample.size, size);
        };
        check("test", "in the warm-up: line 1");
        check("ref", "in the warm-up at size test: line 1");
    }
}
