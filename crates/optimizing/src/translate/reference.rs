//! References (spec 4.4.2): 8 bytes, null is zero.

use super::state::Translator;
use crate::signature::POINTER;
use cranelift_codegen::ir::InstBuilder as _;
use cranelift_codegen::ir::condcodes::IntCC;
use upshift_abi::Libcall;
use upshift_module::ValType;
use upshift_module::ops::RefOp;

impl Translator<'_, '_> {
    /// A reference operator.
    pub(super) fn reference(&mut self, op: RefOp) {
        match op {
            RefOp::Null(_) => {
                let null = self.builder.ins().iconst(POINTER, 0);
                self.push(null);
            }
            RefOp::IsNull => {
                let reference = self.pop();
                let flag = self.builder.ins().icmp_imm_s(IntCC::Equal, reference, 0);
                self.push_bool(flag);
            }
            RefOp::Func(func) => {
                let func = self.index(func.0);
                let reference = self.libcall_value(Libcall::RefFunc, &[func]);
                self.push_typed(ValType::FUNCREF, reference);
            }
        }
    }
}
