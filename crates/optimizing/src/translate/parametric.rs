//! `drop`, `select` and constants (spec 4.4.1, 4.4.4).

use super::state::Translator;
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder as _, types};
use upshift_module::ValType;
use upshift_module::ops::{ConstOp, ParametricOp};

impl Translator<'_, '_> {
    /// `drop` and `select`.
    pub(super) fn parametric(&mut self, op: ParametricOp) {
        match op {
            ParametricOp::Drop => {
                self.pop();
            }
            // The untyped form is for numbers and vectors only.
            ParametricOp::Select => self.select(ValType::I64),
            ParametricOp::TypedSelect(ty) => self.select(ty),
        }
    }

    fn select(&mut self, ty: ValType) {
        let (a, b, condition) = self.pop3();
        let value = self.builder.ins().select(condition, a, b);
        self.push_typed(ty, value);
    }

    /// A constant.
    pub(super) fn constant(&mut self, op: ConstOp) {
        let ins = self.builder.ins();
        let value = match op {
            // An immediate of a 32-bit constant is its zero-extension.
            ConstOp::I32(bits) => ins.iconst(types::I32, i64::from(bits.cast_unsigned())),
            ConstOp::I64(bits) => ins.iconst(types::I64, bits),
            ConstOp::F32(bits) => ins.f32const(Ieee32::with_bits(bits)),
            ConstOp::F64(bits) => ins.f64const(Ieee64::with_bits(bits)),
        };
        self.push(value);
    }
}
