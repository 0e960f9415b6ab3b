//! Float operators (spec 4.3.3).

/// Width of a float operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FloatWidth {
    /// f32
    F32,
    /// f64
    F64,
}

/// A float operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FloatOp {
    /// One operand.
    Unary(FloatUnary),
    /// Two operands.
    Binary(FloatBinary),
    /// Two operands, i32 result 0 or 1.
    Compare(FloatCompare),
}

/// Unary float operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FloatUnary {
    /// Clear the sign bit.
    Abs,
    /// Flip the sign bit.
    Neg,
    /// Round up.
    Ceil,
    /// Round down.
    Floor,
    /// Round towards zero.
    Trunc,
    /// Round to nearest, ties to even.
    Nearest,
    /// Square root.
    Sqrt,
}

/// Binary float operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FloatBinary {
    /// Addition.
    Add,
    /// Subtraction.
    Sub,
    /// Multiplication.
    Mul,
    /// Division.
    Div,
    /// Minimum, NaN if either is; -0 below +0.
    Min,
    /// Maximum, NaN if either is; -0 below +0.
    Max,
    /// Magnitude of the first, sign of the second.
    Copysign,
}

/// Float comparisons; all but `Ne` are false on NaN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FloatCompare {
    /// Equal.
    Eq,
    /// Not equal (true on NaN).
    Ne,
    /// Less.
    Lt,
    /// Greater.
    Gt,
    /// Less or equal.
    Le,
    /// Greater or equal.
    Ge,
}
