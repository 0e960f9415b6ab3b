//! Compares generated modules with an interpreter for as long as one likes: `cargo xtask fuzz --minutes 10`.
//!
//! Each seed gives a module of each source. What differs is printed, and its module written to `--out`. A module is written
//! before it runs and deleted when it agrees, so that a crash leaves it behind as well.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, scope};
use std::time::{Duration, Instant};
use upshift_spec_tests::differential::{Oracle, Source, Subject};

const USAGE: &str =
    "usage: fuzz [--seconds N | --minutes N] [--seed FIRST] [--count SEEDS] [--threads N] \
    [--out DIR] [--keep]
  --seconds, --minutes  how long; 60 seconds without --count
  --seed                the first seed; 1000000, beyond those of `cargo test`
  --count               how many seeds at most
  --threads             how many seeds at a time
  --out                 where modules are written; target/fuzz
  --keep                writes the modules that agree as well";

struct Options {
    duration: Option<Duration>,
    first: u64,
    count: u64,
    threads: usize,
    out: PathBuf,
    keep: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        duration: None,
        first: 1_000_000,
        count: u64::MAX,
        threads: available_parallelism().map_or(1, usize::from),
        out: PathBuf::from("target/fuzz"),
        keep: false,
    };
    while let Some(name) = arguments.next() {
        if name == "--keep" {
            options.keep = true;
            continue;
        }
        let Some(value) = arguments.next() else {
            return Err(format!("expected an option and its value, found {name}"));
        };
        let number = || {
            value
                .parse::<u64>()
                .map_err(|error| format!("{name} {value}: {error}"))
        };
        match name.as_str() {
            "--seconds" => options.duration = Some(Duration::from_secs(number()?)),
            "--minutes" => options.duration = Some(Duration::from_secs(number()? * 60)),
            "--seed" => options.first = number()?,
            "--count" => options.count = number()?,
            "--threads" => options.threads = usize::try_from(number()?).unwrap_or(1).max(1),
            "--out" => options.out = PathBuf::from(value),
            _ => return Err(format!("expected an option, found {name}")),
        }
    }
    if options.duration.is_none() && options.count == u64::MAX {
        options.duration = Some(Duration::from_secs(60));
    }
    Ok(options)
}

/// What a run counts.
#[derive(Default)]
struct Totals {
    modules: AtomicU64,
    returned: AtomicU64,
    mismatches: AtomicU64,
}

impl Totals {
    fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

fn compare(oracle: &Oracle, subject: &Subject, options: &Options, totals: &Totals) {
    let file = options.out.join(format!("{}.wasm", subject.name()));
    if let Err(error) = std::fs::write(&file, subject.bytes()) {
        eprintln!("{}: {error}", file.display());
    }
    match oracle.compare(subject) {
        Ok(returned) => {
            let returned = u64::try_from(returned).unwrap_or(u64::MAX);
            Totals::add(&totals.returned, returned);
            if !options.keep
                && let Err(error) = std::fs::remove_file(&file)
            {
                eprintln!("{}: {error}", file.display());
            }
        }
        Err(mismatch) => {
            Totals::add(&totals.mismatches, 1);
            println!("MISMATCH {}\n{mismatch}", file.display());
        }
    }
    Totals::add(&totals.modules, 1);
}

fn run(options: &Options) -> Result<Totals, String> {
    std::fs::create_dir_all(&options.out)
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    let deadline = options.duration.map(|duration| Instant::now() + duration);
    let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
    let oracle = Oracle::default();
    let totals = Totals::default();
    let next = AtomicU64::new(0);
    scope(|threads| {
        for _ in 0..options.threads {
            threads.spawn(|| {
                while in_time() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= options.count {
                        break;
                    }
                    for source in Source::ALL {
                        let subject = Subject::new(source, options.first.wrapping_add(index));
                        compare(&oracle, &subject, options, &totals);
                    }
                }
            });
        }
    });
    Ok(totals)
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(totals) => {
            let Totals {
                modules,
                returned,
                mismatches,
            } = totals;
            let mismatches = mismatches.into_inner();
            println!(
                "{} modules from seed {} on, {} calls returned, {mismatches} mismatches",
                modules.into_inner(),
                options.first,
                returned.into_inner()
            );
            ExitCode::from(u8::from(mismatches != 0))
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
