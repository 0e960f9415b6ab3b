//! Output that must not change how a run ends: whoever reads it may be gone.

use std::fmt::Display;
use std::io::{ErrorKind as IoKind, Write as _};
use upshift::{Error, ErrorKind};

/// Writes a line to standard error; a closed or full one is ignored.
pub(crate) fn err(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes text to standard output. A reader that has seen enough and closed the pipe is no error.
pub(crate) fn out(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != IoKind::BrokenPipe => Err(Error::with_kind(
            ErrorKind::Io,
            format!("standard output: {error}"),
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}
