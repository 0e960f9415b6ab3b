//! Conversions between integers and floats.
//!
//! Truncation has a fast path that is right for every value in range, and a cold path that sorts out the rest.

use super::encode::Opcode;
use super::{Asm, n, regs};
use crate::isa::{Addr, Cond, FloatAlu, FloatBits, Label, Reg};
use crate::state::value::Ty;
use dynasmrt::DynasmApi as _;
use upshift_abi::TrapCode;
use upshift_module::ops::{FloatWidth, Width};

/// A float to integer conversion with its registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Truncation {
    pub(crate) to: Width,
    pub(crate) from: FloatWidth,
    pub(crate) signed: bool,
    /// Out of range values saturate rather than trap.
    pub(crate) saturating: bool,
    pub(crate) dst: Reg,
    pub(crate) src: Reg,
}

/// A scalar instruction that converts: its width is in its prefix.
const fn scalar(code: u8, width: FloatWidth) -> Opcode {
    match width {
        FloatWidth::F32 => Opcode::two(code).prefix(0xf3),
        FloatWidth::F64 => Opcode::two(code).prefix(0xf2),
    }
}

/// Bits of 2^63 or -2^63.
fn two_to_63(width: FloatWidth, negative: bool) -> u64 {
    match (width, negative) {
        (FloatWidth::F32, false) => u64::from(9_223_372_036_854_775_808_f32.to_bits()),
        (FloatWidth::F32, true) => u64::from((-9_223_372_036_854_775_808_f32).to_bits()),
        (FloatWidth::F64, false) => 9_223_372_036_854_775_808_f64.to_bits(),
        (FloatWidth::F64, true) => (-9_223_372_036_854_775_808_f64).to_bits(),
    }
}

impl Asm {
    /// `cvttss2si`, `cvttsd2si`
    pub(super) fn cvt_to_int(&mut self, from: FloatWidth, to: Width, dst: Reg, src: Reg) {
        self.regs(scalar(0x2c, from).of(to), dst, src);
    }

    /// `cvtsi2ss`, `cvtsi2sd`
    pub(super) fn cvt_from_int(&mut self, to: FloatWidth, from: Width, dst: Reg, src: Reg) {
        self.regs(scalar(0x2a, to).of(from), dst, src);
    }

    /// The fast path: goes to `cold` for values that it does not cover.
    pub(crate) fn truncate(&mut self, t: Truncation, cold: Label) {
        let d = n(t.dst);
        match (t.to, t.signed) {
            (Width::W32, signed) => {
                self.cvt_to_int(t.from, Width::W64, regs::R11, t.src);
                if signed {
                    emit!(self; movsxd Rq(d), r11d);
                } else {
                    emit!(self; mov Rd(d), r11d);
                }
                emit!(self; cmp Rq(d), r11);
                self.jump_if(Cond::Ne, cold);
                if signed {
                    // An i32 in a register has a clear upper half.
                    emit!(self; mov Rd(d), Rd(d));
                }
            }
            (Width::W64, true) => {
                self.cvt_to_int(t.from, Width::W64, t.dst, t.src);
                // Only the least integer overflows when one is taken away.
                emit!(self; cmp Rq(d), BYTE 1);
                self.jump_if(Cond::Overflow, cold);
            }
            (Width::W64, false) => {
                self.cvt_to_int(t.from, Width::W64, t.dst, t.src);
                emit!(self; test Rq(d), Rq(d));
                self.jump_if(Cond::Negative, cold);
            }
        }
    }

    /// The cold path behind `cold`; rejoins at `back`.
    pub(crate) fn truncate_cold(&mut self, t: Truncation, back: Label) {
        let (bad, overflow) = (self.new_label(), self.new_label());
        self.float_compare(t.from, t.src, t.src);
        self.jump_if(Cond::Unordered, bad);
        match (t.to, t.signed) {
            (Width::W32, _) => {}
            (Width::W64, true) if t.saturating => {}
            (Width::W64, true) => {
                let least = Addr::Const(self.const64(two_to_63(t.from, true)));
                self.float_compare_mem(t.from, t.src, least);
                self.jump_if(Cond::Eq, back);
            }
            (Width::W64, false) => {
                let d = n(t.dst);
                self.mov(Ty::F64, regs::XMM15, t.src);
                let half = Addr::Const(self.const64(two_to_63(t.from, false)));
                self.float_alu_mem(t.from, FloatAlu::Sub, regs::XMM15, half);
                self.cvt_to_int(t.from, Width::W64, t.dst, regs::XMM15);
                emit!(self; test Rq(d), Rq(d));
                self.jump_if(Cond::Negative, overflow);
                emit!(self; btc Rq(d), BYTE 63);
                self.jump(back);
            }
        }
        self.bind(overflow);
        if t.saturating {
            self.saturate(t, bad, back);
        } else {
            self.trap_site(TrapCode::IntegerOverflow);
            self.undefined();
            self.bind(bad);
            self.trap_site(TrapCode::BadConversionToInteger);
            self.undefined();
        }
    }

    /// Values out of range and NaN (at `bad`).
    fn saturate(&mut self, t: Truncation, bad: Label, back: Label) {
        let (least, most) = match (t.to, t.signed) {
            (Width::W32, true) => (0x8000_0000, 0x7fff_ffff),
            (Width::W32, false) => (0, 0xffff_ffff),
            (Width::W64, true) => (1 << 63, u64::MAX >> 1),
            (Width::W64, false) => (0, u64::MAX),
        };
        let ty = Ty::of_width(t.to);
        emit!(self; xorps xmm15, xmm15);
        self.flags_live = true;
        self.float_compare(t.from, t.src, regs::XMM15);
        self.load_const(ty, t.dst, most);
        self.jump_if(Cond::GtU, back);
        self.load_const(ty, t.dst, least);
        self.flags_live = false;
        self.jump(back);
        self.bind(bad);
        self.load_const(ty, t.dst, 0);
        self.jump(back);
    }

    /// dst = float of an integer; `src` is zero-extended if it is an unsigned i32
    pub(crate) fn convert(&mut self, to: FloatWidth, from: Width, signed: bool, pair: (Reg, Reg)) {
        let (dst, src) = pair;
        // The conversion keeps the other lanes: break the dependency on them.
        self.float_bits(FloatBits::Xor, dst, dst);
        match (from, signed) {
            (_, true) => self.cvt_from_int(to, from, dst, src),
            (Width::W32, false) => {
                self.zero_extend(regs::R11, src);
                self.cvt_from_int(to, Width::W64, dst, regs::R11);
            }
            (Width::W64, false) => self.convert_u64(to, dst, src),
        }
    }

    fn convert_u64(&mut self, to: FloatWidth, dst: Reg, src: Reg) {
        let s = n(src);
        let (big, done) = (self.new_label(), self.new_label());
        emit!(self; test Rq(s), Rq(s));
        self.jump_short_if(Cond::Negative, big);
        self.cvt_from_int(to, Width::W64, dst, src);
        self.jump_short(done);
        self.bind(big);
        // Halve, keeping the lowest bit sticky so that rounding is right, and double.
        let even = self.new_label();
        emit!(self; mov r11, Rq(s) ; shr r11, 1);
        self.jump_short_if(Cond::GeU, even);
        emit!(self; or r11, BYTE 1);
        self.bind(even);
        self.cvt_from_int(to, Width::W64, dst, regs::R11);
        self.float_alu(to, FloatAlu::Add, dst, dst);
        self.bind(done);
    }

    /// dst = src at the other width
    pub(crate) fn float_resize(&mut self, to: FloatWidth, dst: Reg, src: Reg) {
        let from = match to {
            FloatWidth::F32 => FloatWidth::F64,
            FloatWidth::F64 => FloatWidth::F32,
        };
        self.regs(scalar(0x5a, from), dst, src);
    }

    /// Bits of a float register in an integer register, or the reverse.
    pub(crate) fn transfer(&mut self, width: Width, dst: Reg, src: Reg) {
        // The vector register is in the reg field both ways.
        let (code, float, int) = if dst.is_float() {
            (0x6e, dst, src)
        } else {
            (0x7e, src, dst)
        };
        self.regs(Opcode::two(code).prefix(0x66).of(width), float, int);
    }
}
