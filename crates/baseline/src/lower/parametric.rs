//! `drop` and `select`.

use super::Lower;
use super::operands::Val;
use crate::isa::Cond;
use crate::state::value::Ty;
use upshift_module::ops::{ParametricOp, Width};

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn parametric(&mut self, op: ParametricOp) {
        match op {
            ParametricOp::Drop => {
                self.pop();
            }
            ParametricOp::Select | ParametricOp::TypedSelect(_) => self.select(),
        }
    }

    fn select(&mut self) {
        // From here to the move, only instructions that keep the flags.
        let cond = self.pop_condition();
        let second = self.pop();
        let first = self.pop();
        if first.ty.is_float() {
            self.select_float(cond, first, second);
        } else {
            self.select_int(cond, first, second);
        }
    }

    fn select_int(&mut self, cond: Cond, first: Val, second: Val) {
        let width = if first.ty == Ty::I32 {
            Width::W32
        } else {
            Width::W64
        };
        // A conditional move cannot test for equality of floats: exchange the operands then, and also if the
        // second operand has no register of its own while the first has.
        let exchange = cond == Cond::FloatEq
            || cond != Cond::FloatNe
                && (self.is_hinted(first)
                    || first.is_owned() && !second.is_owned() && !self.is_hinted(second));
        let (kept, moved, cond) = if exchange {
            (first, second, cond.negate())
        } else {
            (second, first, cond)
        };
        let src = self.in_reg(moved);
        let dst = self.result_reg(first.ty, kept, Some(src));
        self.move_to(dst, kept);
        self.s.asm.cond_move(width, cond, dst, src);
        self.push_reg(first.ty, dst);
    }

    fn select_float(&mut self, cond: Cond, first: Val, second: Val) {
        let avoid = self.reg_of(second);
        let dst = self.result_reg(first.ty, first, avoid);
        self.move_to(dst, first);
        let done = self.s.asm.new_label();
        self.s.asm.jump_if(cond, done);
        self.move_to(dst, second);
        self.s.asm.bind(done);
        self.push_reg(first.ty, dst);
    }
}
