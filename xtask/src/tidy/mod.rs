//! `cargo xtask tidy`: the rules of this repository that no compiler checks.
//!
//! | file | rules |
//! |---|---|
//! | `arrows` | who may depend on whom, number of cargo features |
//! | `rust` | sizes of files and functions, where `unsafe` may be, SAFETY comments |
//! | `ratchet` | the list of files and functions that are still too long |
//! | `text` | words that no tracked file may contain, `target_arch`, marks of work left over |
//! | `docs` | paths and crates that the documentation names exist |
//!
//! Every check is a function from text to problems, so that its tests need no
//! files. The rules are also the test `the_repository_is_tidy` below.

mod arrows;
mod docs;
mod ratchet;
mod rust;
mod text;

use std::collections::BTreeSet;
use std::fmt;

use crate::{Outcome, repo};

/// A rule that is broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    path: String,
    /// From 1; 0 when it is about the whole file.
    line: usize,
    /// What was expected and what was found.
    message: String,
}

impl Problem {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// # Errors
/// When a rule is broken; the problems are printed before.
pub(crate) fn run() -> Outcome<()> {
    let problems = problems()?;
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => {
            println!("tidy: no problems");
            Ok(())
        }
        1 => Err("tidy: 1 problem".to_owned()),
        many => Err(format!("tidy: {many} problems")),
    }
}

/// All problems of the repository, by file and line.
fn problems() -> Outcome<Vec<Problem>> {
    let sources = repo::sources()?;
    let packages = arrows::read_packages()?;
    let paths: BTreeSet<String> = repo::files()?.into_iter().collect();
    let names: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut problems = arrows::check(&packages);
    let mut lengths = Vec::new();
    for source in &sources {
        problems.extend(text::check(&source.path, &source.text));
        if source.path.ends_with(".rs") {
            let checked = rust::check(&source.path, &source.text);
            problems.extend(checked.problems);
            lengths.extend(checked.too_long);
        }
        if docs::is_documentation(&source.path) {
            problems.extend(docs::check_paths(&source.path, &source.text, &paths));
        }
        if source.path == docs::ARCHITECTURE {
            problems.extend(docs::check_crates(&source.text, &names));
        }
    }
    if !paths.contains(docs::ARCHITECTURE) {
        problems.push(Problem::new(
            docs::ARCHITECTURE,
            0,
            "expected a page with the list of crates, found no file",
        ));
    }
    problems.extend(ratchet::check(&repo::read(ratchet::LIST)?, &lengths));
    problems.sort();
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let problems = problems().unwrap();
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(
            problems.is_empty(),
            "{} problems:\n{}",
            text.len(),
            text.join("\n")
        );
    }

    #[test]
    fn a_problem_names_its_line_when_it_has_one() {
        assert_eq!(Problem::new("a.rs", 7, "no").to_string(), "a.rs:7: no");
        assert_eq!(Problem::new("a.rs", 0, "no").to_string(), "a.rs: no");
    }
}
