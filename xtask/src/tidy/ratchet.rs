//! The list of files and functions that are still too long.
//!
//! A line is `<file> <function> <lines>`, with `-` for the file itself, or a
//! comment that starts with `#`. The list may only shrink: a number may only go
//! down, and an entry that is no longer needed has to go.

use std::collections::BTreeMap;

use super::Problem;

pub(super) const LIST: &str = "xtask/tidy-ratchet.txt";

/// How many entries the list has. Lower this with the list; never raise it.
const ENTRIES_MAX: usize = 0;

/// A file or function over its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) path: String,
    /// Where the function or file starts.
    pub(super) line: usize,
    /// Name of the function; `-` for the file.
    pub(super) item: String,
    pub(super) lines: usize,
    pub(super) lines_max: usize,
}

/// What the list says of one item: in which of its lines, and how long it may be.
struct Entry {
    line: usize,
    lines: usize,
}

pub(super) fn check(list: &str, too_long: &[TooLong]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut entries = parse(list, &mut problems);
    if entries.len() > ENTRIES_MAX {
        let message = format!(
            "expected at most {ENTRIES_MAX} entries, found {}",
            entries.len()
        );
        problems.push(Problem::new(LIST, 0, message));
    }
    for found in too_long {
        let entry = entries.remove(&(found.path.clone(), found.item.clone()));
        let allowed = entry.as_ref().map_or(found.lines_max, |entry| entry.lines);
        if found.lines > allowed {
            let what = if found.item == "-" {
                "file"
            } else {
                &found.item
            };
            let message = format!(
                "{what}: expected at most {allowed} lines, found {}",
                found.lines
            );
            problems.push(Problem::new(&found.path, found.line, message));
        } else if let Some(entry) = entry
            && found.lines < allowed
        {
            let message = format!(
                "{}: expected {} lines, found {allowed}; lower it",
                found.item, found.lines
            );
            problems.push(Problem::new(LIST, entry.line, message));
        }
    }
    for ((path, item), entry) in entries {
        let message =
            format!("expected only items that are too long, found {path} {item}; remove it");
        problems.push(Problem::new(LIST, entry.line, message));
    }
    problems
}

fn parse(list: &str, problems: &mut Vec<Problem>) -> BTreeMap<(String, String), Entry> {
    let mut entries = BTreeMap::new();
    for (line, content) in (1..).zip(list.lines()) {
        let words: Vec<&str> = content.split_whitespace().collect();
        if words.is_empty() || words[0].starts_with('#') {
            continue;
        }
        let lines = words.get(2).and_then(|lines| lines.parse().ok());
        match (words.as_slice(), lines) {
            ([path, item, _], Some(lines)) => {
                entries.insert(
                    ((*path).to_owned(), (*item).to_owned()),
                    Entry { line, lines },
                );
            }
            _ => problems.push(Problem::new(
                LIST,
                line,
                format!("expected <file> <function> <lines>, found {content}"),
            )),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(item: &str, lines: usize) -> TooLong {
        TooLong {
            path: "a.rs".to_owned(),
            line: 3,
            item: item.to_owned(),
            lines,
            lines_max: 70,
        }
    }

    /// The problems but for the one about the number of entries.
    fn messages(list: &str, too_long: &[TooLong]) -> Vec<String> {
        let all = check(list, too_long)
            .into_iter()
            .filter(|problem| problem.line > 0);
        all.map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn lists_and_findings() {
        let cases: &[(&str, &[TooLong], &[&str])] = &[
            ("", &[], &[]),
            ("# nothing\n\n", &[], &[]),
            (
                "",
                &[long("f", 71)],
                &["a.rs:3: f: expected at most 70 lines, found 71"],
            ),
            (
                "",
                &[long("-", 900)],
                &["a.rs:3: file: expected at most 70 lines, found 900"],
            ),
            ("a.rs f 80", &[long("f", 80)], &[]),
            (
                "a.rs f 80",
                &[long("f", 81)],
                &["a.rs:3: f: expected at most 80 lines, found 81"],
            ),
            (
                "a.rs f 80",
                &[long("f", 79)],
                &["xtask/tidy-ratchet.txt:1: f: expected 79 lines, found 80; lower it"],
            ),
            (
                "a.rs g 80",
                &[],
                &[
                    "xtask/tidy-ratchet.txt:1: expected only items that are too long, found a.rs g; remove it",
                ],
            ),
            (
                "a.rs",
                &[],
                &["xtask/tidy-ratchet.txt:1: expected <file> <function> <lines>, found a.rs"],
            ),
        ];
        for (list, too_long, expected) in cases {
            assert_eq!(messages(list, too_long), *expected, "{list}");
        }
    }

    #[test]
    fn the_list_cannot_grow() {
        let list = "a.rs f 80\na.rs g 80\n";
        let found = check(list, &[long("f", 80), long("g", 80)]);
        assert_eq!(found.len(), usize::from(ENTRIES_MAX < 2));
    }
}
