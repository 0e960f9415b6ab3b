//! `programs`: what can be measured.

use super::{Program, load};
use std::io::Write as _;
use std::path::PathBuf;

/// Options of `programs`.
#[derive(clap::Args, Debug)]
pub(crate) struct List {
    /// Manifests to list; the suite's and the corpora's, if none is given.
    #[arg(long)]
    suite: Vec<PathBuf>,
}

/// `upshift-bench programs`.
///
/// # Errors
/// What is wrong with a manifest, or that standard output is gone.
pub(crate) fn list(options: &List) -> Result<(), String> {
    let programs = load(&options.suite)?;
    let mut out = std::io::stdout().lock();
    for line in lines(&programs) {
        writeln!(out, "{line}").map_err(|error| format!("standard output: {error}"))?;
    }
    Ok(())
}

/// A line for each program: name, kind, what it stands for, sizes, what it does.
fn lines(programs: &[Program]) -> Vec<String> {
    let width =
        |text: fn(&Program) -> &str| programs.iter().map(|p| text(p).len()).max().unwrap_or(0);
    let name = width(|program| &program.name);
    let kind = width(|program| &program.kind);
    let like = width(like);
    let rows = programs.iter().map(|program| {
        let sizes = program.sizes.join(",");
        let runs = if program.compile_only {
            "load only"
        } else {
            &sizes
        };
        format!(
            "{:<name$}  {:<kind$}  {:<like$}  {runs:<14}  {}{}",
            program.name,
            program.kind,
            self::like(program),
            program.about,
            if program.module.exists() {
                ""
            } else {
                " (not fetched)"
            },
        )
    });
    rows.collect()
}

fn like(program: &Program) -> &str {
    program.like.as_deref().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::lines;
    use crate::manifest::load;

    #[test]
    fn every_program_of_the_suite_says_what_it_does() {
        let programs = load(&[]).expect("the manifests of this repository");
        let lines = lines(&programs);
        let has = |words: &str| {
            let found = |line: &String| {
                line.split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .starts_with(words)
            };
            assert!(lines.iter().any(found), "{words}: {lines:?}");
        };
        has("bwt int bzip2 test,train,ref block-sorting");
        has("esbuild corpus - load only");
        assert!(programs.iter().all(|program| !program.about.is_empty()));
    }
}
