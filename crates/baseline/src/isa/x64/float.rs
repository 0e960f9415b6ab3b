//! Float instructions.

use super::{Asm, n, regs};
use crate::isa::{Addr, Cond, FloatAlu, FloatBits, Reg, Rounding};
use dynasmrt::DynasmApi as _;
use upshift_module::ops::FloatWidth;

macro_rules! fwide {
    ($s:tt, $w:expr, $single:tt, $double:tt, $a:tt, $b:tt) => {
        match $w {
            FloatWidth::F32 => emit!($s; $single Rx($a), Rx($b)),
            FloatWidth::F64 => emit!($s; $double Rx($a), Rx($b)),
        }
    };
}

macro_rules! fmem {
    ($s:tt, $w:expr, $single:tt, $double:tt, $a:tt, $addr:tt) => {
        match $w {
            FloatWidth::F32 => mem!($s, $addr, [$single Rx($a),] []),
            FloatWidth::F64 => mem!($s, $addr, [$double Rx($a),] []),
        }
    };
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
        let (a, b) = (n(dst), n(src));
        match op {
            FloatAlu::Add => fwide!(self, width, addss, addsd, a, b),
            FloatAlu::Sub => fwide!(self, width, subss, subsd, a, b),
            FloatAlu::Mul => fwide!(self, width, mulss, mulsd, a, b),
            FloatAlu::Div => fwide!(self, width, divss, divsd, a, b),
        }
    }

    /// dst = dst op memory
    pub(crate) fn float_alu_mem(&mut self, width: FloatWidth, op: FloatAlu, dst: Reg, src: Addr) {
        let a = n(dst);
        match op {
            FloatAlu::Add => fmem!(self, width, addss, addsd, a, src),
            FloatAlu::Sub => fmem!(self, width, subss, subsd, a, src),
            FloatAlu::Mul => fmem!(self, width, mulss, mulsd, a, src),
            FloatAlu::Div => fmem!(self, width, divss, divsd, a, src),
        }
    }

    /// Bitwise, on whole registers.
    pub(crate) fn float_bits(&mut self, op: FloatBits, dst: Reg, src: Reg) {
        let (a, b) = (n(dst), n(src));
        match op {
            FloatBits::And => emit!(self; andps Rx(a), Rx(b)),
            FloatBits::Or => emit!(self; orps Rx(a), Rx(b)),
            FloatBits::Xor => emit!(self; xorps Rx(a), Rx(b)),
        }
    }

    fn mask(&mut self, op: FloatBits, dst: Reg, bits: u128) {
        let a = n(dst);
        let addr = Addr::Const(self.const128(bits));
        match op {
            FloatBits::And => mem!(self, addr, [andps Rx(a),] []),
            FloatBits::Or => mem!(self, addr, [orps Rx(a),] []),
            FloatBits::Xor => mem!(self, addr, [xorps Rx(a),] []),
        }
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
        let s = n(sign);
        emit!(self; movaps xmm15, Rx(s));
        self.mask(FloatBits::And, regs::XMM15, sign_mask(width));
        self.mask(FloatBits::And, dst, !sign_mask(width));
        self.float_bits(FloatBits::Or, dst, regs::XMM15);
    }

    /// dst = square root of src
    pub(crate) fn float_sqrt(&mut self, width: FloatWidth, dst: Reg, src: Reg) {
        let (a, b) = (n(dst), n(src));
        fwide!(self, width, sqrtss, sqrtsd, a, b);
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
        let (a, b) = (n(a), n(b));
        fwide!(self, width, ucomiss, ucomisd, a, b);
    }

    /// Compares with memory.
    pub(crate) fn float_compare_mem(&mut self, width: FloatWidth, a: Reg, b: Addr) {
        let a = n(a);
        fmem!(self, width, ucomiss, ucomisd, a, b);
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
        let (a, b) = (n(dst), n(src));
        if max {
            fwide!(self, width, maxss, maxsd, a, b);
        } else {
            fwide!(self, width, minss, minsd, a, b);
        }
        self.bind(done);
    }
}
