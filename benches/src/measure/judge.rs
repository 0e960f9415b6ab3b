//! Whether a program did what it should.

use crate::schema::Outcome;
use sha2::{Digest, Sha256};

/// The longest piece of a program's output in a message, in characters.
const LINE_LIMIT: usize = 100;
/// The most lines of standard error in a message.
const LAST_LINES: usize = 4;

/// Compares what was printed with what is recorded for one iteration.
pub(super) fn output(expected: Option<&[u8]>, found: &[u8], iterations: u32) -> Outcome {
    let Some(expected) = expected else {
        return Outcome::Unchecked;
    };
    let iterations = usize::try_from(iterations).unwrap_or(usize::MAX);
    let whole = expected.repeat(iterations);
    if whole == found {
        return Outcome::Verified;
    }
    let mut here = found.split(|byte| *byte == b'\n');
    let mut line: usize = 0;
    for there in whole.split(|byte| *byte == b'\n') {
        line += 1;
        let here = here.next();
        if here != Some(there) {
            let found = here.map_or("the end".to_owned(), quote);
            return Outcome::Wrong(format!(
                "line {line}: expected {}, found {found}",
                quote(there)
            ));
        }
    }
    let found = here.next().map_or("the end".to_owned(), quote);
    Outcome::Wrong(format!(
        "line {}: expected the end, found {found}",
        line + 1
    ))
}

fn quote(line: &[u8]) -> String {
    format!("{:?}", shorten(&String::from_utf8_lossy(line)))
}

fn shorten(line: &str) -> String {
    let short: String = line.chars().take(LINE_LIMIT).collect();
    if short.len() < line.len() {
        short + "..."
    } else {
        short
    }
}

/// The short form of an output; see [`crate::schema::Sample::checksum`]. If every iteration printed the same, it is
/// that of one of them.
pub(crate) fn checksum(output: &[u8], iterations: u32) -> String {
    let last = output.strip_suffix(b"\n").unwrap_or(output);
    let last = last.rsplit(|byte| *byte == b'\n').next().unwrap_or(last);
    if let Some(value) = last.strip_prefix(b"checksum ") {
        return String::from_utf8_lossy(value).into_owned();
    }
    let count = usize::try_from(iterations).unwrap_or(usize::MAX).max(1);
    let part = &output[..output.len() / count];
    let one = if part.repeat(count) == output {
        part
    } else {
        output
    };
    let digest = Sha256::digest(one);
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Why a process failed, by its status and what it wrote.
pub(super) fn failure(status: &str, stderr: &[u8]) -> String {
    format!("{status}{}", last_lines(stderr))
}

/// The last lines of standard error for the end of a message; empty if there are none.
pub(super) fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(LAST_LINES)
        .map(shorten)
        .collect();
    lines.reverse();
    if lines.is_empty() {
        String::new()
    } else {
        format!(": {}", lines.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::{checksum, last_lines, output};
    use crate::schema::Outcome;

    #[test]
    fn outputs() {
        let check = |expected: &str, found: &str, iterations: u32, message: Option<&str>| {
            let wanted = match message {
                None => Outcome::Verified,
                Some(message) => Outcome::Wrong(message.to_owned()),
            };
            let outcome = output(Some(expected.as_bytes()), found.as_bytes(), iterations);
            assert_eq!(outcome, wanted);
        };
        check("a\n", "a\na\n", 2, None);
        check("", "", 3, None);
        check(
            "a\n",
            "a\nb\n",
            2,
            Some("line 2: expected \"a\", found \"b\""),
        );
        check(
            "a\nb",
            "a",
            1,
            Some("line 2: expected \"b\", found the end"),
        );
        check(
            "a",
            "a\nb",
            1,
            Some("line 2: expected the end, found \"b\""),
        );
        check("a\n", "a", 1, Some("line 2: expected \"\", found the end"));
        let long = "x".repeat(500);
        let Outcome::Wrong(message) = output(Some(b"y"), long.as_bytes(), 1) else {
            panic!("{long} is not y");
        };
        assert!(
            message.len() < 200 && message.contains("xx..."),
            "{message}"
        );
        assert_eq!(output(None, b"a", 1), Outcome::Unchecked);
    }

    #[test]
    fn checksums() {
        let check = |found: &str, iterations: u32, expected: &str| {
            assert_eq!(checksum(found.as_bytes(), iterations), expected);
        };
        check("x\nchecksum 00ff", 1, "00ff");
        check("checksum 1\nchecksum 2\n", 2, "2");
        check("", 1, "e3b0c44298fc1c14");
        check("abc", 1, "ba7816bf8f01cfea");
        check("abcabc", 2, "ba7816bf8f01cfea");
        check("checksum 1\nlast", 1, &checksum(b"checksum 1\nlast", 3));
    }

    #[test]
    fn messages_end_with_the_last_lines() {
        assert_eq!(last_lines(b"\n \n"), "");
        assert_eq!(last_lines(b"1\n2\n3\n4\n\n5\n"), ": 2 | 3 | 4 | 5");
    }
}
