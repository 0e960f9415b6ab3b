//! Walking a validated body: its operators and its declared locals.
//!
//! Operators are decoded again at each walk, 10 ns each: keeping them decoded would cost more memory
//! traffic than the decoding. Nothing here can fail, because the body is validated; should decoding fail
//! all the same, the walk ends early rather than panicking.

use wasmparser::{BinaryReader, FrameStack, VisitOperator};

use crate::convert;
use crate::features;
use crate::func::ValidatedFunc;
use crate::map::Mapper;
use crate::ops::Op;
use crate::types::ValType;

/// The operators of a body in order, each with its offset in bytes from the start of the body.
///
/// The last one is the `end` of the body.
#[derive(Clone, Debug)]
pub struct OpReader<'a> {
    reader: BinaryReader<'a>,
}

impl OpReader<'_> {
    /// Offset of the next operator from the start of the body, in bytes; the size of the body at the end.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> u32 {
        position(&self.reader)
    }
}

impl<'a> OpReader<'a> {
    /// Decodes the next operator for the visitor that is made for its offset. False at the end.
    #[inline(always)]
    pub(crate) fn visit<V>(&mut self, visitor: impl FnOnce(u32) -> V) -> bool
    where
        V: VisitOperator<'a> + FrameStack,
    {
        if self.reader.eof() {
            return false;
        }
        let mut visitor = visitor(position(&self.reader));
        self.reader.visit_operator(&mut visitor).is_ok()
    }
}

impl<'a> Iterator for OpReader<'a> {
    type Item = (u32, Op<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u32, Op<'a>)> {
        if self.reader.eof() {
            return None;
        }
        let offset = position(&self.reader);
        match self.reader.visit_operator(&mut Mapper) {
            Ok(Some(op)) => Some((offset, op)),
            Ok(None) | Err(_) => {
                self.reader = empty();
                None
            }
        }
    }
}

/// Declared locals of a body as runs: how many, of which type. Parameters are not among them.
#[derive(Clone, Debug)]
pub struct Locals<'a> {
    reader: BinaryReader<'a>,
    runs: u32,
}

impl Iterator for Locals<'_> {
    type Item = (u32, ValType);

    fn next(&mut self) -> Option<(u32, ValType)> {
        self.runs = self.runs.checked_sub(1)?;
        let count = self.reader.read_var_u32().ok()?;
        let ty = self.reader.read::<wasmparser::ValType>().ok()?;
        Some((count, convert::val_type(ty)?))
    }
}

impl<'a> ValidatedFunc<'a> {
    /// The operators of the body, decoded as they are walked.
    #[must_use]
    pub fn ops(&self) -> OpReader<'a> {
        let mut locals = self.locals();
        while locals.next().is_some() {}
        OpReader {
            reader: locals.reader,
        }
    }

    /// Declared locals, after the parameters, as runs of a count and a type.
    #[must_use]
    pub fn locals(&self) -> Locals<'a> {
        let mut reader = BinaryReader::new_features(self.body, 0, features::ENABLED);
        let runs = reader.read_var_u32().unwrap_or(0);
        Locals { reader, runs }
    }
}

fn empty<'a>() -> BinaryReader<'a> {
    BinaryReader::new_features(&[], 0, features::ENABLED)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a body is at most 7,654,321 bytes"
)]
#[inline]
fn position(reader: &BinaryReader<'_>) -> u32 {
    reader.current_position() as u32
}
