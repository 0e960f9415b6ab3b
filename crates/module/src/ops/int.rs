//! Integer operators (spec 4.3.2).

/// Width of an integer operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Width {
    /// i32
    W32,
    /// i64
    W64,
}

/// An integer operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IntOp {
    /// One operand, result of the same type.
    Unary(IntUnary),
    /// Two operands, result of the same type.
    Binary(IntBinary),
    /// Two operands, i32 result 0 or 1.
    Compare(IntCompare),
    /// `eqz`: one operand, i32 result.
    Eqz,
}

/// Unary integer operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IntUnary {
    /// Count leading zeros.
    Clz,
    /// Count trailing zeros.
    Ctz,
    /// Count ones.
    Popcnt,
    /// Sign-extend the low 8 bits.
    Extend8S,
    /// Sign-extend the low 16 bits.
    Extend16S,
    /// Sign-extend the low 32 bits (i64 only).
    Extend32S,
}

/// Binary integer operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IntBinary {
    /// Addition modulo 2^N.
    Add,
    /// Subtraction modulo 2^N.
    Sub,
    /// Multiplication modulo 2^N.
    Mul,
    /// Signed division; traps on zero and overflow.
    DivS,
    /// Unsigned division; traps on zero.
    DivU,
    /// Signed remainder; traps on zero; `MIN rem -1` is 0.
    RemS,
    /// Unsigned remainder; traps on zero.
    RemU,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Shift left, count modulo N.
    Shl,
    /// Arithmetic shift right, count modulo N.
    ShrS,
    /// Logical shift right, count modulo N.
    ShrU,
    /// Rotate left.
    Rotl,
    /// Rotate right.
    Rotr,
}

/// Integer comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IntCompare {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Signed less.
    LtS,
    /// Unsigned less.
    LtU,
    /// Signed greater.
    GtS,
    /// Unsigned greater.
    GtU,
    /// Signed less or equal.
    LeS,
    /// Unsigned less or equal.
    LeU,
    /// Signed greater or equal.
    GeS,
    /// Unsigned greater or equal.
    GeU,
}
