//! The perf map: `perf report` looks names up in it, and so do samply and other tools.

use super::start_file;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// A file of lines `START SIZE NAME`, numbers in hexadecimal.
pub(super) struct PerfMap(File);

impl PerfMap {
    /// Starts the file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        start_file(path).map(Self)
    }

    /// Adds a line, at once: the process may end at any time.
    pub(super) fn load(&mut self, name: &str, address: usize, bytes: usize) -> io::Result<()> {
        let line = format!("{address:x} {bytes:x} {name}\n");
        self.0.write_all(line.as_bytes())
    }
}
