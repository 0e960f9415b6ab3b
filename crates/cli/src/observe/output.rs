//! Files that are written at the end of a run, and opened before it: who waits for a long run should not learn then that the
//! folder does not exist.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use upshift::{Error, ErrorKind};

/// A file to write. Until it is written it keeps what it held.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    file: Mutex<File>,
}

impl Output {
    /// Opens a file, makes it if there is none.
    ///
    /// # Errors
    /// Kind `Io` if that cannot be, or if the file is `input`, which is still needed.
    pub(crate) fn open(path: &Path, input: &Path) -> Result<Self, Error> {
        let fail = |reason: &dyn std::fmt::Display| {
            Error::with_kind(ErrorKind::Io, format!("{}: {reason}", path.display()))
        };
        if let (Ok(output), Ok(input)) = (path.canonicalize(), input.canonicalize())
            && output == input
        {
            return Err(fail(&"this would overwrite the input"));
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(opened.map_err(|error| fail(&error))?),
        })
    }

    /// Replaces what the file holds.
    ///
    /// # Errors
    /// Kind `Io` if the system refuses.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
    ) -> Result<(), Error> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = replace(&mut file, write);
        written.map_err(|error| {
            Error::with_kind(ErrorKind::Io, format!("{}: {error}", self.path.display()))
        })
    }
}

fn replace(
    file: &mut File,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> io::Result<()> {
    // A pipe or a terminal has neither length nor position.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
        file.rewind()?;
    }
    let mut buffered = BufWriter::new(file);
    write(&mut buffered)?;
    buffered.flush()
}
