//! Conversions (spec 4.3.4).

use super::{FloatWidth, Width};

/// Conversions between numeric types.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConvertOp {
    /// `i32.wrap_i64`
    Wrap,
    /// `i64.extend_i32_s` / `_u`
    Extend {
        /// Sign-extend rather than zero-extend.
        signed: bool,
    },
    /// `iNN.trunc_fMM_s/u`: traps on NaN and out of range.
    Trunc {
        /// Result width.
        to: Width,
        /// Operand width.
        from: FloatWidth,
        /// Signed result.
        signed: bool,
    },
    /// `iNN.trunc_sat_fMM_s/u`: saturates, NaN gives 0.
    TruncSat {
        /// Result width.
        to: Width,
        /// Operand width.
        from: FloatWidth,
        /// Signed result.
        signed: bool,
    },
    /// `fNN.convert_iMM_s/u`
    Convert {
        /// Result width.
        to: FloatWidth,
        /// Operand width.
        from: Width,
        /// Signed operand.
        signed: bool,
    },
    /// `f32.demote_f64`
    Demote,
    /// `f64.promote_f32`
    Promote,
    /// `i32.reinterpret_f32` and `i64.reinterpret_f64`, by the width of the bits.
    ReinterpretToInt(Width),
    /// `f32.reinterpret_i32` and `f64.reinterpret_i64`, by the width of the bits.
    ReinterpretToFloat(FloatWidth),
}
