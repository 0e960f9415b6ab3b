//! Rules about lines of text, in all files of the repository.

use super::Problem;

/// Where `target_arch` may be asked for: rule "target code has an address".
const TARGET_ARCH_HOMES: [&str; 3] = [
    "crates/baseline/src/isa",
    "crates/runtime/src/arch",
    "crates/abi/src/callconv",
];

/// Words that tell about the machine of whoever wrote the file. They are put
/// together from halves so that this file does not contain them.
const FORBIDDEN: [(&str, &str); 5] = [
    (concat!("/ho", "me/"), "a path of a developer's machine"),
    (concat!("/ro", "ot/"), "a path of a developer's machine"),
    (concat!("/wo", "rk/"), "a path of a developer's machine"),
    (concat!("../", "shared"), "a path outside the repository"),
    (
        concat!("registry.npm", "js"),
        "the host of a package registry",
    ),
];

/// Marks for work left over, which must name an issue: `MARK(#12)`.
const MARKS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// What no test does: it would pass or fail with the load of the machine.
const SLEEP: &str = concat!("thread::", "sleep");

pub(super) fn check(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        for (word, what) in FORBIDDEN {
            if content.contains(word) {
                problems.push(Problem::new(
                    path,
                    line,
                    format!("expected nothing like {word}, found {what}"),
                ));
            }
        }
        if let Some(mark) = mark_without_issue(content) {
            problems.push(Problem::new(
                path,
                line,
                format!("expected {mark}(#<issue>), found no issue number"),
            ));
        }
        if is_test(path) && content.contains(SLEEP) {
            problems.push(Problem::new(
                path,
                line,
                format!("expected a test that forces its schedule, found {SLEEP}"),
            ));
        }
        if path.ends_with(".rs") && asks_for_target(content) && !may_ask_for_target(path, text) {
            let homes = TARGET_ARCH_HOMES.join(", ");
            problems.push(Problem::new(
                path,
                line,
                format!("expected target_arch only in {homes}, found it here"),
            ));
        }
    }
    problems
}

fn is_test(path: &str) -> bool {
    path.ends_with(".rs") && (path.contains("/tests/") || path.ends_with("/tests.rs"))
}

/// The first mark in the line that stands as a word and has no issue number.
fn mark_without_issue(line: &str) -> Option<&'static str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    MARKS.into_iter().find(|mark| {
        line.match_indices(mark).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + mark.len()..]);
            let stands_alone = !before.ends_with(is_word) && !after.starts_with(is_word);
            stands_alone && !has_issue(after)
        })
    })
}

/// Whether the text goes on with `(#<digits>)`.
fn has_issue(after: &str) -> bool {
    let number = after
        .strip_prefix("(#")
        .and_then(|rest| rest.split_once(')'));
    number.is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether a line of code, not of comment, has `target_arch` in a condition.
fn asks_for_target(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let asks = concat!("target", "_arch");
    // In a string it is data, such as the conditions that a test of this file uses.
    code.find(asks)
        .is_some_and(|at| !code[..at].ends_with('"') && code[at..].contains(['=', ')']))
}

/// Also the guard in a crate's lib.rs that gives other platforms a clear message.
fn may_ask_for_target(path: &str, text: &str) -> bool {
    let at_home = TARGET_ARCH_HOMES.iter().any(|home| path.starts_with(home));
    at_home
        || (path.ends_with("/src/lib.rs") && text.contains("compile_error!"))
        || path.starts_with("xtask/src/tidy/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_words() {
        for (word, _) in FORBIDDEN {
            let text = format!("fine\nsee {word}x for more\n");
            let found = check("docs/a.md", &text);
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].line, 2, "{word}");
        }
    }

    #[test]
    fn marks_need_an_issue() {
        let todo = MARKS[0];
        let cases = [
            (format!("// {todo}: later"), 1),
            (format!("// {todo}(#12): later"), 0),
            (format!("// {todo}(me): later"), 1),
            (format!("// {todo}(#): later"), 1),
            (format!("{todo}S are words too"), 0),
            ("nothing".to_owned(), 0),
        ];
        for (line, expected) in cases {
            assert_eq!(
                check("crates/abi/src/lib.rs", &line).len(),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn tests_do_not_sleep() {
        let nap = format!("std::{SLEEP}(second);");
        let cases = [
            ("crates/tiering/tests/queue.rs", 1),
            ("crates/tiering/src/tests.rs", 1),
            ("crates/cli/src/timeout.rs", 0),
        ];
        for (path, expected) in cases {
            assert_eq!(check(path, &nap).len(), expected, "{path}");
        }
    }

    #[test]
    fn target_arch_has_an_address() {
        let ask = format!("#[cfg({}_arch = \"x86_64\")]\nmod x64;\n", "target");
        let guard = format!("{ask}compile_error!(\"no\");\n");
        let comment = format!("// the {}_arch = part\n", "target");
        let cases = [
            ("crates/baseline/src/isa/mod.rs", &ask, 0),
            ("crates/runtime/src/arch/mod.rs", &ask, 0),
            ("crates/abi/src/callconv/mod.rs", &ask, 0),
            ("crates/runtime/src/memory.rs", &ask, 1),
            ("crates/upshift/src/lib.rs", &ask, 1),
            ("crates/upshift/src/lib.rs", &guard, 0),
            ("crates/upshift/src/engine.rs", &guard, 1),
            ("crates/upshift/src/engine.rs", &comment, 0),
            ("docs/abi.md", &ask, 0),
        ];
        for (path, text, expected) in cases {
            assert_eq!(check(path, text).len(), expected, "{path}: {text}");
        }
    }
}
