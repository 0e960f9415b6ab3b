//! Where modules come from: files, and standard input, whose name is `-`.

use std::io::Read as _;
use std::path::Path;
use upshift::{Engine, Error, ErrorKind, Module};

/// Whether it is the name of standard input.
pub(crate) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// All bytes of a file or of standard input.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let bytes = if is_stdin(file) {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        read.map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    bytes.map_err(|e| Error::with_kind(ErrorKind::Io, format!("{}: {e}", file.display())))
}

/// The module on standard input, decoded while it arrives.
pub(crate) fn stream(engine: &Engine) -> Result<Module, Error> {
    Module::from_stream(engine, std::io::stdin().lock())
}
