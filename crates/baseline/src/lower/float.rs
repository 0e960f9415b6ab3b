//! Float operators.

use super::Lower;
use super::operands::{At, Val};
use crate::isa::{Addr, Cond, FloatAlu, Reg, Rounding};
use crate::state::value::Ty;
use upshift_module::ops::{FloatBinary, FloatCompare, FloatOp, FloatUnary, FloatWidth};

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn float(&mut self, width: FloatWidth, op: FloatOp) {
        match op {
            FloatOp::Unary(op) => self.float_unary(width, op),
            FloatOp::Binary(op) => self.float_binary(width, op),
            FloatOp::Compare(op) => self.float_compare(width, op),
        }
    }

    fn float_unary(&mut self, width: FloatWidth, op: FloatUnary) {
        let ty = Ty::of_float(width);
        let value = self.pop();
        let rounding = match op {
            FloatUnary::Abs | FloatUnary::Neg => {
                let dst = self.result_reg(ty, value, None);
                self.move_to(dst, value);
                if op == FloatUnary::Abs {
                    self.s.asm.float_abs(width, dst);
                } else {
                    self.s.asm.float_neg(width, dst);
                }
                self.push_reg(ty, dst);
                return;
            }
            FloatUnary::Sqrt => None,
            FloatUnary::Ceil => Some(Rounding::Ceil),
            FloatUnary::Floor => Some(Rounding::Floor),
            FloatUnary::Trunc => Some(Rounding::Trunc),
            FloatUnary::Nearest => Some(Rounding::Nearest),
        };
        let src = self.in_reg(value);
        let dst = self.result_reg(ty, value, None);
        match rounding {
            Some(mode) => self.s.asm.float_round(width, mode, dst, src),
            None => self.s.asm.float_sqrt(width, dst, src),
        }
        self.push_reg(ty, dst);
    }

    fn float_binary(&mut self, width: FloatWidth, op: FloatBinary) {
        let second = self.pop();
        let first = self.pop();
        match op {
            FloatBinary::Add => self.float_alu(width, FloatAlu::Add, first, second),
            FloatBinary::Sub => self.float_alu(width, FloatAlu::Sub, first, second),
            FloatBinary::Mul => self.float_alu(width, FloatAlu::Mul, first, second),
            FloatBinary::Div => self.float_alu(width, FloatAlu::Div, first, second),
            FloatBinary::Min | FloatBinary::Max | FloatBinary::Copysign => {
                let (dst, src) = self.float_operands(width, first, second);
                match op {
                    FloatBinary::Min => self.s.asm.float_min_max(width, false, dst, src),
                    FloatBinary::Max => self.s.asm.float_min_max(width, true, dst, src),
                    FloatBinary::Copysign
                    | FloatBinary::Add
                    | FloatBinary::Sub
                    | FloatBinary::Mul
                    | FloatBinary::Div => self.s.asm.float_copysign(width, dst, src),
                }
                self.push_reg(Ty::of_float(width), dst);
            }
        }
    }

    /// The first operand in a register for the result, the second in another one.
    fn float_operands(&mut self, width: FloatWidth, first: Val, second: Val) -> (Reg, Reg) {
        let src = self.in_reg(second);
        self.cache(first);
        let dst = self.result_reg(Ty::of_float(width), first, Some(src));
        self.move_to(dst, first);
        (dst, src)
    }

    fn float_alu(&mut self, width: FloatWidth, op: FloatAlu, first: Val, second: Val) {
        let ty = Ty::of_float(width);
        let commutes = matches!(op, FloatAlu::Add | FloatAlu::Mul);
        let (first, second) = if commutes && self.better_exchanged(first, second) {
            (second, first)
        } else {
            (first, second)
        };
        self.cache(first);
        if let Some(addr) = self.float_memory(second) {
            let dst = self.result_reg(ty, first, None);
            self.move_to(dst, first);
            self.s.asm.float_alu_mem(width, op, dst, addr);
            self.push_reg(ty, dst);
            return;
        }
        let (dst, src) = self.float_operands(width, first, second);
        self.s.asm.float_alu(width, op, dst, src);
        self.push_reg(ty, dst);
    }

    /// The address of an operand in its slot or among the constants.
    fn float_memory(&mut self, val: Val) -> Option<Addr> {
        match val.at {
            At::Const(bits) => Some(Addr::Const(self.s.asm.const64(bits.get()))),
            At::Slot(_) => self.slot_of(val),
            At::Reg(_) | At::Local(_) | At::Flags(_) => None,
        }
    }

    fn float_compare(&mut self, width: FloatWidth, op: FloatCompare) {
        let second = self.pop();
        let first = self.pop();
        // "Greater" is false on NaN, "less" is not: exchange the operands.
        let (cond, exchange) = match op {
            FloatCompare::Eq => (Cond::FloatEq, false),
            FloatCompare::Ne => (Cond::FloatNe, false),
            FloatCompare::Lt => (Cond::GtU, true),
            FloatCompare::Gt => (Cond::GtU, false),
            FloatCompare::Le => (Cond::GeU, true),
            FloatCompare::Ge => (Cond::GeU, false),
        };
        let (first, second) = if exchange {
            (second, first)
        } else {
            (first, second)
        };
        let a = self.in_reg(first);
        if let Some(addr) = self.float_memory(second) {
            self.s.asm.float_compare_mem(width, a, addr);
        } else {
            let b = self.in_reg(second);
            self.s.asm.float_compare(width, a, b);
        }
        self.push_condition(cond);
    }
}
