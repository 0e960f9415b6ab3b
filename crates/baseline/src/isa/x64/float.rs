//! Float instructions.

use super::encode::Opcode;
use super::{Asm, n, regs};
use crate::isa::{Addr, Cond, FloatAlu, FloatBits, Reg, Rounding};
use crate::state::value::Ty;
use dynasmrt::DynasmApi as _;
use upshift_module::ops::FloatWidth;

/// A scalar instruction, whose width is in its prefix.
const fn scalar(code: u8, width: FloatWidth) -> Opcode {
    match width {
        FloatWidth::F32 => Opcode::two(code).prefix(0xf3),
        FloatWidth::F64 => Opcode::two(code).prefix(0xf2),
    }
}

const fn alu_opcode(width: FloatWidth, op: FloatAlu) -> Opcode {
    let code = match op {
        FloatAlu::Add => 0x58,
        FloatAlu::Mul => 0x59,
        FloatAlu::Sub => 0x5c,
        FloatAlu::Div => 0x5e,
    };
    scalar(code, width)
}

const fn bits_opcode(op: FloatBits) -> Opcode {
    Opcode::two(match op {
        FloatBits::And => 0x54,
        FloatBits::Or => 0x56,
        FloatBits::Xor => 0x57,
    })
}

/// `ucomiss`, `ucomisd`
const fn compare_opcode(width: FloatWidth) -> Opcode {
    match width {
        FloatWidth::F32 => Opcode::two(0x2e),
        FloatWidth::F64 => Opcode::two(0x2e).prefix(0x66),
    }
}

/// The sign bit alone, in every lane of a width.
fn sign_mask(width: FloatWidth) -> u128 {
    match width {
        FloatWidth::F32 => 0x8000_0000_8000_0000_8000_0000_8000_0000,
        FloatWidth::F64 => 0x8000_0000_0000_0000_8000_0000_0000_0000,
    }
}

impl Asm {
    /// dst = dst op src
    pub(crate) fn float_alu(&mut self, width: FloatWidth, op: FloatAlu, dst: Reg, src: Reg) {
        self.regs(alu_opcode(width, op), dst, src);
    }

    /// dst = dst op memory
    pub(crate) fn float_alu_mem(&mut self, width: FloatWidth, op: FloatAlu, dst: Reg, src: Addr) {
        self.mem(alu_opcode(width, op), dst, src);
    }

    /// Bitwise, on whole registers.
    pub(crate) fn float_bits(&mut self, op: FloatBits, dst: Reg, src: Reg) {
        self.regs(bits_opcode(op), dst, src);
    }

    fn mask(&mut self, op: FloatBits, dst: Reg, bits: u128) {
        let addr = Addr::Const(self.const128(bits));
        self.mem(bits_opcode(op), dst, addr);
    }

    /// dst = |dst|
    pub(crate) fn float_abs(&mut self, width: FloatWidth, dst: Reg) {
        self.mask(FloatBits::And, dst, !sign_mask(width));
    }

    /// dst = -dst
    pub(crate) fn float_neg(&mut self, width: FloatWidth, dst: Reg) {
        self.mask(FloatBits::Xor, dst, sign_mask(width));
    }

    /// dst = magnitude of dst, sign of sign; the registers differ
    pub(crate) fn float_copysign(&mut self, width: FloatWidth, dst: Reg, sign: Reg) {
        self.mov(Ty::V128, regs::XMM15, sign);
        self.mask(FloatBits::And, regs::XMM15, sign_mask(width));
        self.mask(FloatBits::And, dst, !sign_mask(width));
        self.float_bits(FloatBits::Or, dst, regs::XMM15);
    }

    /// dst = square root of src
    pub(crate) fn float_sqrt(&mut self, width: FloatWidth, dst: Reg, src: Reg) {
        self.regs(scalar(0x51, width), dst, src);
    }

    /// dst = src rounded to an integral value
    pub(crate) fn float_round(&mut self, width: FloatWidth, mode: Rounding, dst: Reg, src: Reg) {
        let (a, b) = (n(dst), n(src));
        // Bit 3 keeps the inexact flag quiet.
        let mode = match mode {
            Rounding::Nearest => 8,
            Rounding::Floor => 9,
            Rounding::Ceil => 10,
            Rounding::Trunc => 11,
        };
        match width {
            FloatWidth::F32 => emit!(self; roundss Rx(a), Rx(b), BYTE mode),
            FloatWidth::F64 => emit!(self; roundsd Rx(a), Rx(b), BYTE mode),
        }
    }

    /// Compares for `Cond`'s float meanings.
    pub(crate) fn float_compare(&mut self, width: FloatWidth, a: Reg, b: Reg) {
        self.regs(compare_opcode(width), a, b);
    }

    /// Compares with memory.
    pub(crate) fn float_compare_mem(&mut self, width: FloatWidth, a: Reg, b: Addr) {
        self.mem(compare_opcode(width), a, b);
    }

    /// dst = the lesser or greater, NaN if either is, -0 below +0; the registers differ
    pub(crate) fn float_min_max(&mut self, width: FloatWidth, max: bool, dst: Reg, src: Reg) {
        let (differ, nan, done) = (self.new_label(), self.new_label(), self.new_label());
        self.float_compare(width, dst, src);
        self.jump_short_if(Cond::Ne, differ);
        self.jump_short_if(Cond::Unordered, nan);
        // Equal: only the signs of zeros can differ.
        let op = if max { FloatBits::And } else { FloatBits::Or };
        self.float_bits(op, dst, src);
        self.jump_short(done);
        self.bind(nan);
        self.float_alu(width, FloatAlu::Add, dst, src);
        self.jump_short(done);
        self.bind(differ);
        let code = if max { 0x5f } else { 0x5d };
        self.regs(scalar(code, width), dst, src);
        self.bind(done);
    }
}
