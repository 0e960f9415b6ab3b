//! Times the `upshift` program on modules, interleaved and in fresh processes, and prints ratios.
//!
//! `cargo run --release -p upshift-bench -- [--samples N] [--program PATH] FILE...` runs each module
//! under each row of [`ROWS`], N times in turn, checks that all rows print the same, and prints for each
//! row the median of every phase and its ratio to the optimizing tier.
#![forbid(unsafe_code)]

use clap::Parser;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What is compared: a name and the options of `upshift run`.
const ROWS: [(&str, &[&str]); 4] = [
    (
        "optimizing",
        &[
            "--tier",
            "optimizing",
            "--compile",
            "eager",
            "--threads",
            "1",
        ],
    ),
    (
        "baseline",
        &["--tier", "baseline", "--compile", "eager", "--threads", "1"],
    ),
    ("dynamic", &["--tier", "dynamic", "--compile", "lazy"]),
    ("eager", &["--tier", "eager", "--compile", "lazy"]),
];

/// Times modules under each policy.
#[derive(Parser, Debug)]
struct Options {
    /// Runs of each module under each policy.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// The `upshift` program.
    #[arg(long, default_value = "target/release/upshift")]
    program: PathBuf,
    /// WASI commands that need no directory.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// The line of `--timings json`, in milliseconds.
#[derive(Deserialize, Clone, Copy, Debug)]
struct Timings {
    compile_ms: f64,
    instantiate_ms: f64,
    run_ms: f64,
}

impl Timings {
    fn total(&self) -> f64 {
        self.compile_ms + self.instantiate_ms + self.run_ms
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut ratios: BTreeMap<&str, Vec<[f64; 3]>> = BTreeMap::new();
    println!(
        "{:<20} {:<11} {:>11} {:>11} {:>11}",
        "module", "policy", "compile ms", "run ms", "total ms"
    );
    for file in &options.files {
        match measure(&options, file) {
            Ok(rows) => report(file, &rows, &mut ratios),
            Err(message) => {
                eprintln!("upshift-bench: {}: {message}", file.display());
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "\nratios to optimizing, geometric means over {} modules",
        options.files.len()
    );
    println!(
        "{:<32} {:>11} {:>11} {:>11}",
        "policy", "compile", "run", "total"
    );
    for (name, rows) in &ratios {
        let mean = |phase: usize| geometric_mean(rows.iter().map(|row| row[phase]));
        println!(
            "{name:<32} {:>11.3} {:>11.3} {:>11.3}",
            mean(0),
            mean(1),
            mean(2)
        );
    }
    ExitCode::SUCCESS
}

/// Medians of compile, run and total by row of [`ROWS`].
fn measure(options: &Options, file: &Path) -> Result<[[f64; 3]; ROWS.len()], String> {
    let mut samples: [Vec<Timings>; ROWS.len()] = [const { Vec::new() }; ROWS.len()];
    let mut expected: Option<Vec<u8>> = None;
    for _ in 0..options.samples {
        for (row, (name, arguments)) in ROWS.iter().enumerate() {
            let (stdout, timings) = run_once(&options.program, arguments, file)?;
            if expected.get_or_insert_with(|| stdout.clone()) != &stdout {
                return Err(format!("{name} printed something else than {}", ROWS[0].0));
            }
            samples[row].push(timings);
        }
    }
    Ok(samples.map(|row| {
        [
            median(row.iter().map(|t| t.compile_ms)),
            median(row.iter().map(|t| t.run_ms)),
            median(row.iter().map(Timings::total)),
        ]
    }))
}

fn run_once(program: &Path, arguments: &[&str], file: &Path) -> Result<(Vec<u8>, Timings), String> {
    let output = Command::new(program)
        .arg("run")
        .args(arguments)
        .args(["--timings", "json"])
        .arg(file)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!(
            "{arguments:?} ended with {}: {stderr}",
            output.status
        ));
    }
    let line = stderr.lines().last().unwrap_or_default();
    let timings = serde_json::from_str(line).map_err(|e| format!("timings {line:?}: {e}"))?;
    Ok((output.stdout, timings))
}

fn report<'a>(file: &Path, rows: &[[f64; 3]], ratios: &mut BTreeMap<&'a str, Vec<[f64; 3]>>)
where
    'static: 'a,
{
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    for ((policy, _), row) in ROWS.iter().zip(rows) {
        println!(
            "{name:<20} {policy:<11} {:>11.2} {:>11.2} {:>11.2}",
            row[0], row[1], row[2]
        );
        let to_first = [
            row[0] / rows[0][0],
            row[1] / rows[0][1],
            row[2] / rows[0][2],
        ];
        ratios.entry(policy).or_default().push(to_first);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn geometric_mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value.ln();
        count += 1.0;
    }
    (sum / count).exp()
}

#[cfg(test)]
mod tests {
    use super::{geometric_mean, median};

    #[test]
    fn means_and_medians() {
        assert!((geometric_mean([2.0, 8.0].into_iter()) - 4.0).abs() < 1e-9);
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
    }
}
