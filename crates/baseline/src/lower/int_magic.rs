//! Division of 32-bit integers by constants that are no power of two: a multiplication by the reciprocal.
//!
//! With s = floor(log2 d), the multiplier M = floor(2^(32+s) / d) + 1 lies between 2^31 and 2^32, and M d exceeds 2^(32+s) by
//! e <= d < 2^(s+1). Then x M >> (32+s) is the quotient if |x| e < 2^(32+s). Signed dividends have |x| <= 2^31, so that holds
//! always; unsigned ones need e <= 2^s. For the other divisors one more bit of multiplier is needed, whose top bit (2^32) is added
//! apart: with t = x (M - 2^32) >> 32, the quotient is ((x - t) >> 1) + t >> s, and no step overflows 32 bits.

use super::Lower;
use super::operands::{At, Val};
use crate::isa::{AluOp, Reg, ShiftOp, Widen};
use crate::state::value::Ty;
use upshift_module::ops::Width;

/// How to divide by a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Reciprocal {
    /// M, or its low 32 bits.
    multiplier: u32,
    /// s
    shift: u32,
    /// M is one bit wider.
    wide: bool,
}

/// The reciprocal of a divisor that is above 2 and no power of two.
#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
fn reciprocal(divisor: u32, signed: bool) -> Reciprocal {
    let shift = divisor.ilog2();
    let power = 1_u128 << (32 + shift);
    let multiplier = power / u128::from(divisor) + 1;
    let excess = multiplier * u128::from(divisor) - power;
    if signed || excess <= 1 << shift {
        return Reciprocal {
            multiplier: multiplier as u32,
            shift,
            wide: false,
        };
    }
    let multiplier = (power << 1) / u128::from(divisor) + 1;
    Reciprocal {
        multiplier: multiplier as u32,
        shift,
        wide: true,
    }
}

impl Lower<'_> {
    /// Divides a 32-bit integer by a constant if its reciprocal does it.
    pub(super) fn divide_magic(&mut self, kind: (bool, bool), first: Val, second: Val) -> bool {
        let (signed, remainder) = kind;
        let Some(divisor) = second.as_imm().map(i32::cast_unsigned) else {
            return false;
        };
        let negative = signed && divisor.cast_signed() < 0;
        if divisor < 3 || divisor.is_power_of_two() || negative {
            return false;
        }
        let how = reciprocal(divisor, signed);
        let dividend = self.in_reg_extended(first);
        let first = Val {
            upper_undefined: false,
            ..first
        };
        let quotient = if remainder {
            self.alloc(false)
        } else {
            let fresh = Val {
                at: At::constant(0),
                ..first
            };
            self.result_reg(Ty::I32, fresh, Some(dividend))
        };
        if signed {
            self.quotient_signed(how, quotient, dividend);
        } else {
            self.quotient_unsigned(how, quotient, dividend);
        }
        if !remainder {
            self.push_reg(Ty::I32, quotient);
            return true;
        }
        let imm = divisor.cast_signed();
        self.s.asm.mul_imm(Width::W32, quotient, quotient, imm);
        let dst = self.result_reg(Ty::I32, first, Some(quotient));
        self.s.asm.mov(Ty::I32, dst, dividend);
        self.s.asm.alu(Width::W32, AluOp::Sub, dst, quotient);
        self.push_reg(Ty::I32, dst);
        true
    }

    /// Multiplies the reciprocal by the 64-bit dividend.
    fn multiply_reciprocal(&mut self, how: Reciprocal, dst: Reg, dividend: Reg) {
        self.s
            .asm
            .load_const(Ty::I64, dst, u64::from(how.multiplier));
        self.s.asm.mul(Width::W64, dst, dividend);
    }

    fn quotient_signed(&mut self, how: Reciprocal, dst: Reg, dividend: Reg) {
        let wide = self.alloc(false);
        let asm = &mut self.s.asm;
        asm.widen(Width::W64, Widen::S32, wide, dividend);
        self.multiply_reciprocal(how, dst, wide);
        let asm = &mut self.s.asm;
        asm.shift_imm(Width::W64, ShiftOp::ShrS, dst, count(32 + how.shift));
        // Rounds towards zero: one more for negative dividends.
        asm.shift_imm(Width::W64, ShiftOp::ShrS, wide, 63);
        asm.alu(Width::W32, AluOp::Sub, dst, wide);
    }

    fn quotient_unsigned(&mut self, how: Reciprocal, dst: Reg, dividend: Reg) {
        if !how.wide {
            self.multiply_reciprocal(how, dst, dividend);
            let shift = count(32 + how.shift);
            self.s.asm.shift_imm(Width::W64, ShiftOp::ShrU, dst, shift);
            return;
        }
        let high = self.alloc(false);
        self.multiply_reciprocal(how, high, dividend);
        let asm = &mut self.s.asm;
        asm.shift_imm(Width::W64, ShiftOp::ShrU, high, 32);
        asm.mov(Ty::I32, dst, dividend);
        asm.alu(Width::W32, AluOp::Sub, dst, high);
        asm.shift_imm(Width::W32, ShiftOp::ShrU, dst, 1);
        asm.alu(Width::W32, AluOp::Add, dst, high);
        asm.shift_imm(Width::W32, ShiftOp::ShrU, dst, count(how.shift));
    }
}

fn count(bits: u32) -> i8 {
    i8::try_from(bits).unwrap_or(63)
}

#[cfg(test)]
mod tests {
    use super::reciprocal;

    /// The instructions of the unsigned division.
    fn unsigned(x: u32, d: u32) -> u32 {
        let how = reciprocal(d, false);
        let product = u64::from(x) * u64::from(how.multiplier);
        if !how.wide {
            return u32::try_from(product >> (32 + how.shift)).unwrap();
        }
        let high = u32::try_from(product >> 32).unwrap();
        (((x - high) >> 1) + high) >> how.shift
    }

    /// The instructions of the signed division.
    fn signed(x: i32, d: i32) -> i32 {
        let how = reciprocal(d.cast_unsigned(), true);
        let product = i64::from(x) * i64::from(how.multiplier);
        let sign = i64::from(x) >> 63;
        i32::try_from((product >> (32 + how.shift)) - sign).unwrap()
    }

    #[test]
    fn quotients() {
        let mut divisors: Vec<u32> = (3..2000).collect();
        for shift in 2..32 {
            divisors.extend([(1_u32 << shift) - 1, (1_u32 << shift) + 1]);
        }
        divisors.extend([u32::MAX, u32::MAX - 1, 1_000_000_007, 0x5555_5556]);
        for d in divisors.into_iter().filter(|d| !d.is_power_of_two()) {
            let most = u32::MAX / d * d;
            let near = [0, 1, d - 1, d, most - d + 1, most - 1, most, u32::MAX];
            for x in near.into_iter().chain([1 << 31, (1 << 31) - 1, 12345]) {
                assert_eq!(unsigned(x, d), x / d, "{x} / {d}");
                let (x, d) = (x.cast_signed(), d.cast_signed());
                if d > 0 {
                    assert_eq!(signed(x, d), x / d, "{x} / {d}");
                    let most = i32::MIN / d * d;
                    assert_eq!(signed(most, d), most / d);
                    assert_eq!(signed(most + 1, d), (most + 1) / d);
                }
            }
        }
    }
}
