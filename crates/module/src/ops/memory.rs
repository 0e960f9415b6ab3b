//! Linear memory operators (spec 4.4.7).

use crate::types::MemoryIndex;

/// The immediate of a load or store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MemArg {
    /// Constant added to the address operand, in bytes, without wrapping.
    pub offset: u64,
    /// Which memory.
    pub memory: MemoryIndex,
}

/// A memory operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemoryOp {
    /// address -> value
    Load(LoadOp, MemArg),
    /// address, value ->
    Store(StoreOp, MemArg),
    /// -> pages
    Size(MemoryIndex),
    /// pages -> old pages or -1
    Grow(MemoryIndex),
}

/// What a load reads and how it extends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LoadOp {
    /// `i32.load`
    I32,
    /// `i64.load`
    I64,
    /// `f32.load`
    F32,
    /// `f64.load`
    F64,
    /// `i32.load8_s`
    I32S8,
    /// `i32.load8_u`
    I32U8,
    /// `i32.load16_s`
    I32S16,
    /// `i32.load16_u`
    I32U16,
    /// `i64.load8_s`
    I64S8,
    /// `i64.load8_u`
    I64U8,
    /// `i64.load16_s`
    I64S16,
    /// `i64.load16_u`
    I64U16,
    /// `i64.load32_s`
    I64S32,
    /// `i64.load32_u`
    I64U32,
}

impl LoadOp {
    /// Bytes read.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::I32S8 | Self::I32U8 | Self::I64S8 | Self::I64U8 => 1,
            Self::I32S16 | Self::I32U16 | Self::I64S16 | Self::I64U16 => 2,
            Self::I32 | Self::F32 | Self::I64S32 | Self::I64U32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

/// What a store writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StoreOp {
    /// `i32.store`
    I32,
    /// `i64.store`
    I64,
    /// `f32.store`
    F32,
    /// `f64.store`
    F64,
    /// `i32.store8`
    I32As8,
    /// `i32.store16`
    I32As16,
    /// `i64.store8`
    I64As8,
    /// `i64.store16`
    I64As16,
    /// `i64.store32`
    I64As32,
}

impl StoreOp {
    /// Bytes written.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::I32As8 | Self::I64As8 => 1,
            Self::I32As16 | Self::I64As16 => 2,
            Self::I32 | Self::F32 | Self::I64As32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}
