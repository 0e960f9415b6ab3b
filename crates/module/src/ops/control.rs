//! Structured control (spec 4.4.8).

use crate::types::{TypeIndex, ValType};

/// The type of a block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BlockType {
    /// No parameters, no results.
    Empty,
    /// One result.
    Value(ValType),
    /// A function type of the module.
    Func(TypeIndex),
}

/// A control operator. Labels are relative depths, 0 the innermost.
#[derive(Clone, Debug)]
pub enum ControlOp<'a> {
    /// Trap.
    Unreachable,
    /// Nothing.
    Nop,
    /// Opens a block whose label is its end.
    Block(BlockType),
    /// Opens a block whose label is its start.
    Loop(BlockType),
    /// Opens a two-armed block.
    If(BlockType),
    /// The second arm.
    Else,
    /// Closes a block or the body.
    End,
    /// Branch.
    Br(u32),
    /// Branch if the i32 operand is not zero.
    BrIf(u32),
    /// Branch by index.
    BrTable(BrTable<'a>),
    /// Return from the function.
    Return,
}

/// The targets of a `br_table`; decoded again at each walk, so that nothing is allocated.
#[derive(Clone, Debug)]
pub struct BrTable<'a> {
    pub(crate) inner: wasmparser::BrTable<'a>,
}

impl BrTable<'_> {
    /// Number of targets without the default.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.inner.len()
    }

    /// Whether there is only the default.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// The default label.
    #[must_use]
    pub fn default(&self) -> u32 {
        self.inner.default()
    }

    /// The labels in order, without the default.
    pub fn targets(&self) -> impl Iterator<Item = u32> + '_ {
        // A validated body cannot fail to decode; a failure would end the list early.
        self.inner.targets().map_while(Result::ok)
    }
}
