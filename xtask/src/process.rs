//! Running other programs.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::Outcome;

/// A finished program: what it printed and how it ended.
pub(crate) struct Finished {
    pub(crate) stdout: String,
    pub(crate) exit: i32,
}

/// The command as a person would type it, for messages.
fn spelled(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Run `command` on this terminal.
///
/// # Errors
/// When it cannot start or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let shown = spelled(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{shown}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{shown}: {status}"))
    }
}

/// Run `command` and return its standard output.
///
/// # Errors
/// When it cannot start, does not exit with 0 or prints no UTF-8; the message
/// has what it wrote to standard error.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    output(command.stdin(Stdio::null()))
}

/// The same with the standard input that `command` was given.
///
/// # Errors
/// As [`read`].
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let shown = spelled(command);
    let output = command
        .output()
        .map_err(|error| format!("{shown}: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{shown}: {}\n{}", output.status, errors.trim_end()));
    }
    text_of(output, &shown)
}

/// Run `command` on `stdin`; any exit code is fine, a signal is not.
///
/// # Errors
/// When it cannot start, is killed or prints no UTF-8.
pub(crate) fn feed(command: &mut Command, stdin: &str) -> Outcome<Finished> {
    let shown = spelled(command);
    let message = |error: std::io::Error| format!("{shown}: {error}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(message)?;
    let mut pipe = child.stdin.take().expect("stdin was asked to be a pipe");
    match pipe.write_all(stdin.as_bytes()) {
        // The program need not read what it is given.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(message(error)),
        Ok(()) | Err(_) => drop(pipe),
    }
    let output = child.wait_with_output().map_err(message)?;
    let exit = output
        .status
        .code()
        .ok_or_else(|| format!("{shown}: {}", output.status))?;
    let stdout = text_of(output, &shown)?;
    Ok(Finished { stdout, exit })
}

fn text_of(output: Output, shown: &str) -> Outcome<String> {
    String::from_utf8(output.stdout).map_err(|_| format!("{shown}: prints no UTF-8"))
}
