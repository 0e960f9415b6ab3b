//! References: 8 bytes, null is 0.

use super::Lower;
use super::operands::At;
use crate::isa::{AluOp, Cond};
use crate::state::value::Ty;
use upshift_abi::Libcall;
use upshift_module::ops::{RefOp, Width};

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn reference(&mut self, op: RefOp) {
        match op {
            RefOp::Null(heap) => self.push_const(Ty::of_heap(heap), 0),
            RefOp::IsNull => self.is_null(),
            RefOp::Func(func) => {
                self.libcall(Libcall::RefFunc, &[func.0], 0, Some(Ty::FuncRef));
            }
        }
    }

    fn is_null(&mut self) {
        let value = self.pop();
        match value.at {
            At::Const(bits) => self.push_const(Ty::I32, u64::from(bits.get() == 0)),
            At::Reg(_) | At::Local(_) | At::Slot(_) | At::Flags(_) => {
                if let Some(slot) = self.slot_of(value) {
                    self.s.asm.alu_mem_imm(Width::W64, AluOp::Cmp, slot, 0);
                } else {
                    let reg = self.in_reg(value);
                    self.s.asm.test(Width::W64, reg);
                }
                self.push_condition(Cond::Eq);
            }
        }
    }
}
