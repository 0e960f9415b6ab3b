//! Integer operators with constant operands: folding by the specification's definitions, and cheaper instructions.
//!
//! Nothing that can trap is folded.

use super::Lower;
use super::operands::{At, Val};
use crate::isa::{AluOp, ShiftOp, width_bits};
use crate::state::value::Ty;
use upshift_module::ops::{IntBinary, IntCompare, IntUnary, Width};

/// The bits of a constant of a width, as they are kept on the value stack.
#[expect(clippy::cast_possible_truncation, reason = "an i32 is its low half")]
fn low(bits: u64) -> u32 {
    bits as u32
}

/// Folds a unary operator.
pub(super) fn unary(width: Width, op: IntUnary, bits: u64) -> u64 {
    match width {
        Width::W32 => u64::from(unary32(op, low(bits))),
        Width::W64 => unary64(op, bits),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "sign extension of low bits"
)]
fn unary32(op: IntUnary, a: u32) -> u32 {
    match op {
        IntUnary::Clz => a.leading_zeros(),
        IntUnary::Ctz => a.trailing_zeros(),
        IntUnary::Popcnt => a.count_ones(),
        IntUnary::Extend8S => i32::from(a as i8).cast_unsigned(),
        IntUnary::Extend16S => i32::from(a as i16).cast_unsigned(),
        IntUnary::Extend32S => a,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "sign extension of low bits"
)]
fn unary64(op: IntUnary, a: u64) -> u64 {
    match op {
        IntUnary::Clz => u64::from(a.leading_zeros()),
        IntUnary::Ctz => u64::from(a.trailing_zeros()),
        IntUnary::Popcnt => u64::from(a.count_ones()),
        IntUnary::Extend8S => i64::from(a as i8).cast_unsigned(),
        IntUnary::Extend16S => i64::from(a as i16).cast_unsigned(),
        IntUnary::Extend32S => i64::from(a as i32).cast_unsigned(),
    }
}

/// Folds a binary operator; none for those that can trap.
pub(super) fn binary(width: Width, op: IntBinary, a: u64, b: u64) -> Option<u64> {
    match width {
        Width::W32 => binary32(op, low(a), low(b)).map(u64::from),
        Width::W64 => binary64(op, a, b),
    }
}

fn binary32(op: IntBinary, a: u32, b: u32) -> Option<u32> {
    Some(match op {
        IntBinary::Add => a.wrapping_add(b),
        IntBinary::Sub => a.wrapping_sub(b),
        IntBinary::Mul => a.wrapping_mul(b),
        IntBinary::And => a & b,
        IntBinary::Or => a | b,
        IntBinary::Xor => a ^ b,
        IntBinary::Shl => a.wrapping_shl(b),
        IntBinary::ShrS => a.cast_signed().wrapping_shr(b).cast_unsigned(),
        IntBinary::ShrU => a.wrapping_shr(b),
        IntBinary::Rotl => a.rotate_left(b % 32),
        IntBinary::Rotr => a.rotate_right(b % 32),
        IntBinary::DivS | IntBinary::DivU | IntBinary::RemS | IntBinary::RemU => return None,
    })
}

fn binary64(op: IntBinary, a: u64, b: u64) -> Option<u64> {
    let count = low(b % 64);
    Some(match op {
        IntBinary::Add => a.wrapping_add(b),
        IntBinary::Sub => a.wrapping_sub(b),
        IntBinary::Mul => a.wrapping_mul(b),
        IntBinary::And => a & b,
        IntBinary::Or => a | b,
        IntBinary::Xor => a ^ b,
        IntBinary::Shl => a.wrapping_shl(count),
        IntBinary::ShrS => a.cast_signed().wrapping_shr(count).cast_unsigned(),
        IntBinary::ShrU => a.wrapping_shr(count),
        IntBinary::Rotl => a.rotate_left(count),
        IntBinary::Rotr => a.rotate_right(count),
        IntBinary::DivS | IntBinary::DivU | IntBinary::RemS | IntBinary::RemU => return None,
    })
}

/// Folds a comparison.
pub(super) fn compare(width: Width, op: IntCompare, a: u64, b: u64) -> bool {
    let signed = |bits: u64| match width {
        Width::W32 => i64::from(low(bits).cast_signed()),
        Width::W64 => bits.cast_signed(),
    };
    match op {
        IntCompare::Eq => a == b,
        IntCompare::Ne => a != b,
        IntCompare::LtS => signed(a) < signed(b),
        IntCompare::LtU => a < b,
        IntCompare::GtS => signed(a) > signed(b),
        IntCompare::GtU => a > b,
        IntCompare::LeS => signed(a) <= signed(b),
        IntCompare::LeU => a <= b,
        IntCompare::GeS => signed(a) >= signed(b),
        IntCompare::GeU => a >= b,
    }
}

/// The exponent of a power of two.
fn exponent(bits: u64) -> Option<u32> {
    bits.is_power_of_two().then(|| bits.trailing_zeros())
}

fn count(exponent: u32) -> i8 {
    i8::try_from(exponent).unwrap_or(0)
}

impl Lower<'_> {
    /// Multiplies by a constant if there is something better than a multiplication by a register.
    pub(super) fn multiply_const(
        &mut self,
        width: Width,
        first: Val,
        second: Val,
        factor: u64,
    ) -> bool {
        let ty = Ty::of_width(width);
        if factor == 0 {
            self.push_const(ty, 0);
            return true;
        }
        if let Some(exponent) = exponent(factor) {
            let count = Val {
                at: At::constant(u64::from(exponent)),
                ..second
            };
            self.shift(width, ShiftOp::Shl, first, count);
            return true;
        }
        let Some(imm) = second.as_imm() else {
            return false;
        };
        let src = self.in_reg(first);
        let dst = self.result_reg(ty, first, None);
        if matches!(factor, 3 | 5 | 9) {
            self.s.asm.lea_times(width, dst, src, factor);
        } else {
            self.s.asm.mul_imm(width, dst, src, imm);
        }
        self.push_reg(ty, dst);
        true
    }

    /// Divides by a constant if there is something better than a division.
    pub(super) fn divide_const(
        &mut self,
        width: Width,
        kind: (bool, bool),
        first: Val,
        second: Val,
    ) -> bool {
        let Some(exponent) = second.as_const().and_then(exponent) else {
            return width == Width::W32 && self.divide_magic(kind, first, second);
        };
        // The least integer is a power of two as an unsigned number only.
        let (signed, remainder) = kind;
        if signed && exponent + 1 == width_bits(width) || remainder && exponent > 30 {
            return false;
        }
        let ty = Ty::of_width(width);
        match (signed, remainder) {
            _ if exponent == 0 && remainder => self.push_const(ty, 0),
            _ if exponent == 0 => self.push_val(first),
            (false, false) => {
                let count = Val {
                    at: At::constant(u64::from(exponent)),
                    ..second
                };
                self.shift(width, ShiftOp::ShrU, first, count);
            }
            (false, true) => {
                let dst = self.result_reg(ty, first, None);
                self.move_to(dst, first);
                let mask = (1_i32 << exponent) - 1;
                self.s.asm.alu_imm(width, AluOp::And, dst, mask);
                self.push_reg(ty, dst);
            }
            (true, _) => self.divide_signed_power(width, remainder, first, exponent),
        }
        true
    }

    /// Negative dividends are rounded towards zero by adding 2^n - 1 first.
    fn divide_signed_power(&mut self, width: Width, remainder: bool, first: Val, exponent: u32) {
        let ty = Ty::of_width(width);
        let src = self.in_reg(first);
        let bias = self.alloc(false);
        let bits = width_bits(width);
        self.s.asm.mov(ty, bias, src);
        if exponent > 1 {
            self.s
                .asm
                .shift_imm(width, ShiftOp::ShrS, bias, count(bits - 1));
        }
        self.s
            .asm
            .shift_imm(width, ShiftOp::ShrU, bias, count(bits - exponent));
        let dst = self.result_reg(ty, first, Some(bias));
        self.move_to(dst, first);
        self.s.asm.alu(width, AluOp::Add, dst, bias);
        if remainder {
            let mask = (1_i32 << exponent) - 1;
            self.s.asm.alu_imm(width, AluOp::And, dst, mask);
            self.s.asm.alu(width, AluOp::Sub, dst, bias);
        } else {
            self.s
                .asm
                .shift_imm(width, ShiftOp::ShrS, dst, count(exponent));
        }
        self.push_reg(ty, dst);
    }
}

#[cfg(test)]
mod tests {
    use super::{binary, compare};
    use upshift_module::ops::{IntBinary, IntCompare, Width};

    #[test]
    fn folds_like_the_specification() {
        let rows = [
            (Width::W32, IntBinary::Shl, 1, 33, Some(2)),
            (
                Width::W32,
                IntBinary::ShrS,
                0x8000_0000,
                31,
                Some(0xffff_ffff),
            ),
            (Width::W32, IntBinary::Add, 0xffff_ffff, 1, Some(0)),
            (Width::W32, IntBinary::Rotr, 1, 1, Some(0x8000_0000)),
            (Width::W64, IntBinary::Rotl, 1 << 63, 65, Some(1)),
            (Width::W64, IntBinary::ShrU, 1 << 63, 127, Some(1)),
            (Width::W32, IntBinary::DivS, 4, 2, None),
        ];
        for (width, op, a, b, expected) in rows {
            assert_eq!(binary(width, op, a, b), expected, "{op:?} {a} {b}");
        }
        assert!(compare(Width::W32, IntCompare::LtS, 0xffff_ffff, 0));
        assert!(!compare(Width::W32, IntCompare::LtU, 0xffff_ffff, 0));
    }
}
