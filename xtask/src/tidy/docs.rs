//! The documentation tells the truth about paths and crates.

use std::collections::BTreeSet;

use super::Problem;

/// The page that lists the crates.
pub(super) const ARCHITECTURE: &str = "docs/architecture.md";

pub(super) fn is_documentation(path: &str) -> bool {
    path == "README.md" || (path.starts_with("docs/") && path.ends_with(".md"))
}

/// Every path in backticks, and every link to a file, must exist.
pub(super) fn check_paths(path: &str, text: &str, files: &BTreeSet<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut in_block = false;
    for (line, content) in (1..).zip(text.lines()) {
        if content.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        if in_block {
            continue;
        }
        for token in backticked(content) {
            if let Some(named) = repository_path(token, files)
                && !exists(named, files)
            {
                problems.push(Problem::new(
                    path,
                    line,
                    format!("expected an existing path, found {named}"),
                ));
            }
        }
        for target in link_targets(content) {
            if let Some(named) = resolve_link(path, target)
                && !exists(&named, files)
            {
                problems.push(Problem::new(
                    path,
                    line,
                    format!("expected a link to a file, found {target}"),
                ));
            }
        }
    }
    problems
}

/// What stands between single backticks in one line.
fn backticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The targets of `[text](target)` in one line.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
}

/// The token as a path, if it looks like one: its first part is a directory or
/// file at the top of the repository, and it has no placeholder.
fn repository_path<'t>(token: &'t str, files: &BTreeSet<String>) -> Option<&'t str> {
    let path = token
        .split([':', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if path.is_empty() || !path.chars().all(plain) || path.contains("...") {
        return None;
    }
    let top = path.split('/').next().unwrap_or_default();
    // Directories that are planned or ignored count as known, so that a page
    // cannot name a file in them as if it were there.
    let known_directory = top == "fuzz"
        || files
            .iter()
            .any(|file| file.starts_with(&format!("{top}/")));
    let named_directory = known_directory && (path.contains('/') || token.contains('/'));
    let page_or_manifest =
        !path.contains('/') && [".md", ".toml"].iter().any(|end| path.ends_with(end));
    (named_directory || page_or_manifest).then_some(path)
}

/// A link's target from the root, unless it leads out of the repository.
fn resolve_link(page: &str, target: &str) -> Option<String> {
    let target = target
        .split('#')
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    if target.is_empty()
        || target.contains("://")
        || target.contains(' ')
        || target.starts_with("mailto:")
    {
        return None;
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Whether it is a file, or a directory that holds one. A page may also name a
/// page beside it or a manifest by its last part.
fn exists(path: &str, files: &BTreeSet<String>) -> bool {
    let directory = format!("{path}/");
    let last_part = format!("/{path}");
    files.contains(path)
        || files.iter().any(|file| file.starts_with(&directory))
        || (!path.contains('/') && files.iter().any(|file| file.ends_with(&last_part)))
}

/// The page names exactly the members of the workspace.
pub(super) fn check_crates(text: &str, members: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    for (line, content) in (1..).zip(text.lines()) {
        for word in package_words(content) {
            named.insert(word);
            if word.starts_with("upshift-") && !members.contains(&word) {
                problems.push(Problem::new(
                    ARCHITECTURE,
                    line,
                    format!("expected a workspace member, found {word}"),
                ));
            }
        }
    }
    for member in members {
        if !named.contains(member) {
            problems.push(Problem::new(
                ARCHITECTURE,
                0,
                format!("expected the crate {member}, found no word of it"),
            ));
        }
    }
    problems
}

/// The words of a line, made of letters, digits and hyphens.
fn package_words(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words
        .map(|word| word.trim_matches('-'))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> BTreeSet<String> {
        let paths = [
            "README.md",
            "Cargo.toml",
            "docs/abi.md",
            "crates/abi/src/lib.rs",
            "crates/abi/Cargo.toml",
        ];
        paths.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn paths_in_backticks_exist() {
        let cases = [
            ("see `crates/abi/src/lib.rs`", 0),
            ("see `crates/abi/src/lib.rs:12`", 0),
            ("see `crates/abi/`", 0),
            ("see `crates/abi/src/gone.rs`", 1),
            ("see `crates/gone/`", 1),
            ("see `crates/<name>/src`", 0),
            ("see `crates/*/src`", 0),
            ("see `abi.md` and `Cargo.toml`", 0),
            ("see `gone.md`", 1),
            ("see `fuzz/targets`", 1),
            ("see `std/io`, `a/b`, `i32.add`, `Module::new`", 0),
            ("```\n`crates/gone`\n```", 0),
            ("`cargo test` and `docs/abi.md`, `docs/gone.md`", 1),
            (
                "[page](abi.md#frames) [code](../crates/abi/src/lib.rs) [web](https://example.org/x)",
                0,
            ),
            ("[page](gone.md)", 1),
        ];
        for (text, expected) in cases {
            let found = check_paths("docs/architecture.md", text, &files());
            assert_eq!(found.len(), expected, "{text}: {found:?}");
        }
    }

    #[test]
    fn crates_are_those_of_the_workspace() {
        let members = ["upshift", "upshift-abi"];
        let cases = [
            ("`upshift` and upshift-abi.", 0),
            ("upshift alone", 1),
            ("upshift, upshift-abi, upshift-gone", 1),
            ("upshift-abi only", 1),
        ];
        for (text, expected) in cases {
            let found = check_crates(text, &members);
            assert_eq!(found.len(), expected, "{text}: {found:?}");
        }
    }
}
