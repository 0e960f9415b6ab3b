//! The decoded, validated module.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::bytes::Bytes;
use crate::env::{DataSegment, ModuleEnv};
use crate::facts::Outline;
use crate::func::ValidatedFunc;
use crate::names::Names;
use crate::types::{DataIndex, FuncIndex};

/// A valid module: declarations, bytes, the outline of every body.
///
/// Immutable, so share it by `Arc`. Made by [`Module::new`] or a [`ModuleDecoder`](crate::ModuleDecoder).
pub struct Module {
    env: Arc<ModuleEnv>,
    bytes: Bytes,
    /// One per defined function, in order.
    bodies: Box<[Range<u32>]>,
    /// One per defined function, in order.
    outlines: Box<[Outline]>,
    data: Box<[DataSegment]>,
    names_section: Range<usize>,
    /// Read at the first question.
    names: OnceLock<Names>,
}

/// What the decoder hands over; each body is valid, and outlines are of the same bodies.
pub(crate) struct Parts {
    pub(crate) env: Arc<ModuleEnv>,
    pub(crate) bytes: Bytes,
    pub(crate) bodies: Vec<Range<u32>>,
    pub(crate) outlines: Vec<Outline>,
    pub(crate) data: Vec<DataSegment>,
    pub(crate) names: Range<usize>,
}

impl Module {
    pub(crate) fn from_parts(parts: Parts) -> Self {
        Self {
            env: parts.env,
            bytes: parts.bytes,
            bodies: parts.bodies.into(),
            outlines: parts.outlines.into(),
            data: parts.data.into(),
            names_section: parts.names,
            names: OnceLock::new(),
        }
    }

    /// The declarations.
    #[must_use]
    pub fn env(&self) -> &Arc<ModuleEnv> {
        &self.env
    }

    /// The proof token of a defined function; none for an import or an index out of bounds.
    #[must_use]
    pub fn func(&self, func: FuncIndex) -> Option<ValidatedFunc<'_>> {
        let defined = self.env.defined_func(func)? as usize;
        let range = self.bodies.get(defined)?;
        Some(ValidatedFunc {
            env: &self.env,
            outline: *self.outlines.get(defined)?,
            index: func,
            body: &self.bytes[range.start as usize..range.end as usize],
            body_offset: range.start,
        })
    }

    /// All defined functions in order.
    pub fn funcs(&self) -> impl ExactSizeIterator<Item = ValidatedFunc<'_>> {
        let first = self.env.imported_funcs;
        let bodies = self.bodies.iter().zip(&self.outlines).enumerate();
        bodies.map(move |(at, (range, outline))| ValidatedFunc {
            env: &self.env,
            outline: *outline,
            index: FuncIndex(first + u32::try_from(at).unwrap_or(u32::MAX - first)),
            body: &self.bytes[range.start as usize..range.end as usize],
            body_offset: range.start,
        })
    }

    /// Data segments in order.
    #[must_use]
    pub fn data_segments(&self) -> &[DataSegment] {
        &self.data
    }

    /// The bytes of a data segment; empty if there is none of that index.
    #[must_use]
    pub fn data(&self, data: DataIndex) -> &[u8] {
        let segment = self.data.get(data.0 as usize);
        segment.map_or(&[], |segment| &self.bytes[segment.bytes.clone()])
    }

    /// The name of a function in the names section.
    #[must_use]
    pub fn func_name(&self, func: FuncIndex) -> Option<&str> {
        self.names().func(&self.bytes, func.0)
    }

    /// The name of the module in the names section.
    #[must_use]
    pub fn module_name(&self) -> Option<&str> {
        self.names().module(&self.bytes)
    }

    /// The whole module.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn names(&self) -> &Names {
        self.names.get_or_init(|| {
            Names::read(
                &self.bytes,
                self.names_section.clone(),
                self.env.funcs.len(),
            )
        })
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("bytes", &self.bytes.len())
            .field("funcs", &self.env.funcs.len())
            .finish_non_exhaustive()
    }
}
