//! The names section, for backtraces (spec 7.4.1).
//!
//! Names are read at the first question, leniently: what is broken ends the reading, and what came
//! before it stays. A name is a range of the module's bytes, so 133,000 names take 1 MB.

use std::ops::Range;

use wasmparser::{BinaryReader, Name, NameMap};

/// Names of a module and its functions, as ranges of the module's bytes.
#[derive(Debug, Default)]
pub(crate) struct Names {
    module: Span,
    funcs: Vec<Span>,
}

/// A range of the module's bytes; empty for no name.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Names {
    /// Reads the names section whose contents are `section`, for a module of `funcs` functions.
    pub(crate) fn read(bytes: &[u8], section: Range<usize>, funcs: usize) -> Self {
        let mut names = Self::default();
        let Some(contents) = bytes.get(section) else {
            return names;
        };
        let reader = wasmparser::NameSectionReader::new(BinaryReader::new(contents, 0));
        for part in reader {
            match part {
                Ok(Name::Module { name, .. }) => names.module = span(bytes, name),
                Ok(Name::Function(map)) => names.read_funcs(bytes, map, funcs),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        names
    }

    fn read_funcs(&mut self, bytes: &[u8], map: NameMap<'_>, funcs: usize) {
        for naming in map.map_while(Result::ok) {
            let index = naming.index as usize;
            if index >= funcs {
                continue;
            }
            if self.funcs.len() <= index {
                self.funcs.resize(index + 1, Span::default());
            }
            self.funcs[index] = span(bytes, naming.name);
        }
        self.funcs.shrink_to_fit();
    }

    /// Name of the module.
    pub(crate) fn module<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        self.module.text(bytes)
    }

    /// Name of a function.
    pub(crate) fn func<'a>(&self, bytes: &'a [u8], index: u32) -> Option<&'a str> {
        self.funcs.get(index as usize)?.text(bytes)
    }
}

impl Span {
    fn text(self, bytes: &[u8]) -> Option<&str> {
        if self.len == 0 {
            return None;
        }
        let start = self.start as usize;
        let range = start..start.checked_add(self.len as usize)?;
        std::str::from_utf8(bytes.get(range)?).ok()
    }
}

/// Where `name`, which is part of `bytes`, lies in it.
fn span(bytes: &[u8], name: &str) -> Span {
    let start = name.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    match (u32::try_from(start), u32::try_from(name.len())) {
        (Ok(start), Ok(len)) => Span { start, len },
        (Err(_), _) | (_, Err(_)) => Span::default(),
    }
}
