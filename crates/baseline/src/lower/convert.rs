//! Conversions.

use super::Lower;
use super::cold::ColdKind;
use super::operands::{At, Val};
use crate::isa::Widen;
use crate::isa::x64::Truncation;
use crate::state::value::Ty;
use upshift_module::ops::{ConvertOp, FloatWidth, Width};

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn convert(&mut self, op: ConvertOp) {
        match op {
            ConvertOp::Wrap => self.wrap(),
            ConvertOp::Extend { signed } => self.extend(signed),
            ConvertOp::Trunc { to, from, signed } => self.truncate_float(to, from, signed, false),
            ConvertOp::TruncSat { to, from, signed } => self.truncate_float(to, from, signed, true),
            ConvertOp::Convert { to, from, signed } => {
                let src = self.pop();
                let src = self.in_reg(src);
                let ty = Ty::of_float(to);
                let dst = self.new_result_reg(ty);
                self.s.asm.convert(to, from, signed, (dst, src));
                self.push_reg(ty, dst);
            }
            ConvertOp::Demote => self.resize(FloatWidth::F32),
            ConvertOp::Promote => self.resize(FloatWidth::F64),
            ConvertOp::ReinterpretToInt(width) => self.reinterpret(width, Ty::of_width(width)),
            ConvertOp::ReinterpretToFloat(width) => {
                let bits = match width {
                    FloatWidth::F32 => Width::W32,
                    FloatWidth::F64 => Width::W64,
                };
                self.reinterpret(bits, Ty::of_float(width));
            }
        }
    }

    /// The register stays; its upper half is no longer part of the value.
    fn wrap(&mut self) {
        let value = self.pop();
        if let Some(bits) = value.as_const() {
            self.push_const(Ty::I32, bits & u64::from(u32::MAX));
            return;
        }
        if let At::Reg(reg) = value.at {
            self.push_reg_upper(Ty::I32, reg, true);
            return;
        }
        let as_i32 = Val {
            ty: Ty::I32,
            ..value
        };
        let dst = self.new_result_reg(Ty::I32);
        self.move_to(dst, as_i32);
        self.push_reg(Ty::I32, dst);
    }

    fn extend(&mut self, signed: bool) {
        let value = self.pop();
        if let Some(bits) = value.as_const() {
            let op = upshift_module::ops::IntUnary::Extend32S;
            let bits = if signed {
                super::int_const::unary(Width::W64, op, bits)
            } else {
                bits
            };
            self.push_const(Ty::I64, bits);
            return;
        }
        if signed {
            self.widen(Width::W64, Widen::S32, value);
            return;
        }
        if let At::Reg(reg) = value.at {
            if value.upper_undefined {
                self.s.asm.zero_extend(reg, reg);
            }
            self.push_reg(Ty::I64, reg);
            return;
        }
        // Moving an i32 clears the upper half.
        let dst = self.new_result_reg(Ty::I64);
        match self.reg_of(value) {
            Some(src) => self.s.asm.zero_extend(dst, src),
            None => self.move_to(dst, value),
        }
        self.push_reg(Ty::I64, dst);
    }

    fn truncate_float(&mut self, to: Width, from: FloatWidth, signed: bool, saturating: bool) {
        let value = self.pop();
        let src = self.in_reg(value);
        let ty = Ty::of_width(to);
        let dst = self.new_result_reg(ty);
        let t = Truncation {
            to,
            from,
            signed,
            saturating,
            dst,
            src,
        };
        let back = self.s.asm.new_label();
        let cold = self.cold(ColdKind::Truncate(t), Some(back));
        self.s.asm.truncate(t, cold);
        self.s.asm.bind(back);
        self.push_reg(ty, dst);
    }

    fn resize(&mut self, to: FloatWidth) {
        let value = self.pop();
        let src = self.in_reg(value);
        let ty = Ty::of_float(to);
        let dst = self.result_reg(ty, value, None);
        self.s.asm.float_resize(to, dst, src);
        self.push_reg(ty, dst);
    }

    fn reinterpret(&mut self, width: Width, ty: Ty) {
        let value = self.pop();
        if let Some(bits) = value.as_const() {
            self.push_const(ty, bits);
            return;
        }
        let dst = self.new_result_reg(ty);
        if let Some(slot) = self.slot_of(value) {
            self.s.asm.load(ty, dst, slot);
        } else {
            let src = self.in_reg(value);
            self.s.asm.transfer(width, dst, src);
        }
        self.push_reg(ty, dst);
    }
}
