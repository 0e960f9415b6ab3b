//! Walking a validated body: its operators and its declared locals.
//!
//! Operators are decoded again at each walk: keeping them decoded would cost more memory traffic than the decoding.
//! [`Code`] reads the common forms of immediates and does not check them, for they are valid. Whatever it does not know
//! (rare operators, padded numbers where one byte is usual) is left to wasmparser, so it decides nothing about the format
//! but what these forms mean. Nothing here can fail, because the body is validated; should decoding fail all the same,
//! the walk ends early rather than panicking.

#[cfg(test)]
mod tests;

use wasmparser::BinaryReader;

use crate::convert;
use crate::features;
use crate::func::ValidatedFunc;
use crate::map::{Mapper, plain};
use crate::ops::{BlockType, MemArg, Op};
use crate::types::{HeapType, LocalIndex, MemoryIndex, RefType, TypeIndex, ValType};

/// Takes operators as they are decoded.
///
/// Implement it with `#[inline(always)]`, and each match on the operator is made at compile time, once per opcode.
pub trait OpSink<'a> {
    /// Takes the operator at an offset from the start of the body, and the code behind it.
    fn op(&mut self, offset: u32, op: Op<'a>, next: Code<'a>);
}

/// The code of a body from some place on. Two words, so that it travels in registers.
#[derive(Clone, Copy, Debug)]
pub struct Code<'a> {
    rest: &'a [u8],
}

impl<'a> Code<'a> {
    /// Bytes to the end of the body.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a body is at most 7,654,321 bytes"
    )]
    fn len(self) -> u32 {
        self.rest.len() as u32
    }

    /// Whether the next operator assigns a local: `local.set`, `local.tee`.
    #[inline(always)]
    #[must_use]
    pub fn assigns_local(mut self) -> bool {
        matches!(self.byte(), Some(0x21 | 0x22))
    }

    /// The local that the next operator assigns, if it does.
    #[must_use]
    pub fn assigned_local(mut self) -> Option<LocalIndex> {
        if !self.assigns_local() {
            return None;
        }
        self.byte()?;
        self.index().map(LocalIndex)
    }

    /// Whether the next operator takes a condition from the top of the stack: `if`, `br_if`, `select`, `i32.eqz`.
    #[inline(always)]
    #[must_use]
    pub fn takes_condition(mut self) -> bool {
        matches!(self.byte(), Some(0x04 | 0x0d | 0x1b | 0x1c | 0x45))
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// An index or label.
    #[inline(always)]
    pub(crate) fn index(&mut self) -> Option<u32> {
        let (&byte, rest) = self.rest.split_first()?;
        if byte < 0x80 {
            self.rest = rest;
            return Some(byte.into());
        }
        u32::try_from(self.number()?.0).ok()
    }

    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "validated: an i32, whatever bits of it were sent"
    )]
    pub(crate) fn int32(&mut self) -> Option<i32> {
        self.int64().map(|value| value as i32)
    }

    #[inline(always)]
    pub(crate) fn int64(&mut self) -> Option<i64> {
        let (&byte, rest) = self.rest.split_first()?;
        if byte < 0x80 {
            self.rest = rest;
            return Some(i64::from(byte.cast_signed() << 1 >> 1));
        }
        let (value, bits) = self.number()?;
        let unused = 64_u32.saturating_sub(bits);
        Some(value.cast_signed() << unused >> unused)
    }

    #[inline(always)]
    pub(crate) fn bits32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*bytes))
    }

    #[inline(always)]
    pub(crate) fn bits64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    /// The immediate of a load or store of memory 0: alignment, offset.
    #[inline(always)]
    pub(crate) fn mem_arg(&mut self) -> Option<MemArg> {
        if self.byte()? >= 0x40 {
            return None;
        }
        Some(MemArg {
            offset: self.index()?.into(),
            memory: MemoryIndex(0),
        })
    }

    #[inline(always)]
    pub(crate) fn block_type(&mut self) -> Option<BlockType> {
        match self.byte()? {
            0x40 => Some(BlockType::Empty),
            byte @ ..0x40 => Some(BlockType::Func(TypeIndex(byte.into()))),
            byte => val_type(byte).map(BlockType::Value),
        }
    }

    /// A number of several bytes: its bits, and how many were sent.
    #[inline(always)]
    fn number(&mut self) -> Option<(u64, u32)> {
        let (value, len) = long(self.rest);
        if len == 0 {
            return None;
        }
        self.rest = self.rest.get(len..)?;
        #[expect(clippy::cast_possible_truncation, reason = "at most 10 bytes")]
        Some((value, 7 * len as u32))
    }

    /// A type, which wasmparser decodes.
    #[cold]
    #[inline(never)]
    fn rare_type(&mut self) -> Option<ValType> {
        let mut reader = BinaryReader::new_features(self.rest, 0, features::ENABLED);
        let ty = reader.read().ok()?;
        self.rest = self.rest.get(reader.current_position()..)?;
        convert::val_type(ty)
    }

    /// An operator, which wasmparser decodes.
    #[cold]
    #[inline(never)]
    fn rare(&mut self) -> Option<Op<'a>> {
        let mut reader = BinaryReader::new_features(self.rest, 0, features::ENABLED);
        let op = reader.visit_operator(&mut Mapper).ok()??;
        self.rest = self.rest.get(reader.current_position()..)?;
        Some(op)
    }
}

/// A number in LEB128 at the start of some bytes, its bits zero-extended, and its length, or 0 if it does not end.
#[inline(never)]
fn long(bytes: &[u8]) -> (u64, usize) {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return (value, i + 1);
        }
    }
    (0, 0)
}

/// A type of one byte.
#[inline(always)]
fn val_type(byte: u8) -> Option<ValType> {
    let reference = |heap| {
        let nullable = true;
        ValType::Ref(RefType { nullable, heap })
    };
    match byte {
        0x7f => Some(ValType::I32),
        0x7e => Some(ValType::I64),
        0x7d => Some(ValType::F32),
        0x7c => Some(ValType::F64),
        0x70 => Some(reference(HeapType::Func)),
        0x6f => Some(reference(HeapType::Extern)),
        _ => None,
    }
}

/// The operators of a body in order, each with its offset in bytes from the start of the body.
///
/// The last one is the `end` of the body.
#[derive(Clone, Debug)]
pub struct OpReader<'a> {
    next: Code<'a>,
    body_bytes: u32,
}

impl<'a> OpReader<'a> {
    /// Offset of the next operator from the start of the body, in bytes; the size of the body at the end.
    #[inline(always)]
    #[must_use]
    pub fn offset(&self) -> u32 {
        self.body_bytes - self.next.len()
    }

    /// The code from the next operator on.
    #[inline(always)]
    #[must_use]
    pub fn next_code(&self) -> Code<'a> {
        self.next
    }

    /// Decodes the next operator for the sink. False at the end.
    #[inline(always)]
    pub fn visit<S: OpSink<'a>>(&mut self, sink: &mut S) -> bool {
        let offset = self.offset();
        if let Some(next) = plain(self.next, offset, sink) {
            self.next = next;
            return true;
        }
        if let Some(next) = visit_rare(self.next, offset, sink) {
            self.next = next;
            return true;
        }
        self.next = Code { rest: &[] };
        false
    }
}

/// Decodes an operator that is not plain for the sink; the code behind it, or none at the end.
#[inline(never)]
fn visit_rare<'a, S: OpSink<'a>>(code: Code<'a>, offset: u32, sink: &mut S) -> Option<Code<'a>> {
    let mut next = code;
    let op = next.rare()?;
    sink.op(offset, op, next);
    Some(next)
}

impl<'a> Iterator for OpReader<'a> {
    type Item = (u32, Op<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u32, Op<'a>)> {
        let mut sink = Keep(None);
        self.visit(&mut sink);
        sink.0
    }
}

/// Keeps the operator.
struct Keep<'a>(Option<(u32, Op<'a>)>);

impl<'a> OpSink<'a> for Keep<'a> {
    #[inline(always)]
    fn op(&mut self, offset: u32, op: Op<'a>, _next: Code<'a>) {
        self.0 = Some((offset, op));
    }
}

/// Declared locals of a body as runs: how many, of which type. Parameters are not among them.
#[derive(Clone, Debug)]
pub struct Locals<'a> {
    next: Code<'a>,
    runs: u32,
}

impl Iterator for Locals<'_> {
    type Item = (u32, ValType);

    #[inline]
    fn next(&mut self) -> Option<(u32, ValType)> {
        self.runs = self.runs.checked_sub(1)?;
        let count = self.next.index()?;
        if let Some((&byte, rest)) = self.next.rest.split_first()
            && let Some(ty) = val_type(byte)
        {
            self.next = Code { rest };
            return Some((count, ty));
        }
        Some((count, self.next.rare_type()?))
    }
}

impl<'a> ValidatedFunc<'a> {
    /// The operators of the body, decoded as they are walked.
    #[must_use]
    pub fn ops(&self) -> OpReader<'a> {
        let mut locals = self.locals();
        while locals.next().is_some() {}
        OpReader {
            next: locals.next,
            body_bytes: self.body_bytes(),
        }
    }

    /// Declared locals, after the parameters, as runs of a count and a type.
    #[must_use]
    pub fn locals(&self) -> Locals<'a> {
        let mut next = Code { rest: self.body };
        let runs = next.index().unwrap_or(0);
        Locals { next, runs }
    }
}
