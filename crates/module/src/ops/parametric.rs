//! Parametric operators and constants (spec 4.4.4, 4.4.1).

use crate::types::ValType;

/// `drop` and `select`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ParametricOp {
    /// Drop the top operand.
    Drop,
    /// a, b, condition -> a if the condition is not zero, else b; the type is that of the operands.
    Select,
    /// The same with its type written.
    TypedSelect(ValType),
}

/// Constants, by their bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConstOp {
    /// `i32.const`
    I32(i32),
    /// `i64.const`
    I64(i64),
    /// `f32.const`
    F32(u32),
    /// `f64.const`
    F64(u64),
}
