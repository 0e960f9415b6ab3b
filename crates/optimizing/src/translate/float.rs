//! Float operators (spec 4.3.3). CLIF's minimum, maximum and rounding are wasm's.

use super::state::Translator;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstBuilder as _, Value};
use upshift_module::ops::{FloatBinary, FloatCompare, FloatOp, FloatUnary};

impl Translator<'_, '_> {
    /// Float arithmetic and comparison. The width is that of the operands.
    pub(super) fn float(&mut self, op: FloatOp) {
        match op {
            FloatOp::Unary(op) => {
                let operand = self.pop();
                let result = self.float_unary(op, operand);
                self.push(result);
            }
            FloatOp::Binary(op) => {
                let (a, b) = self.pop2();
                let result = self.float_binary(op, a, b);
                self.push(result);
            }
            FloatOp::Compare(op) => {
                let (a, b) = self.pop2();
                let flag = self.builder.ins().fcmp(condition(op), a, b);
                self.push_bool(flag);
            }
        }
    }

    fn float_unary(&mut self, op: FloatUnary, a: Value) -> Value {
        let ins = self.builder.ins();
        match op {
            FloatUnary::Abs => ins.fabs(a),
            FloatUnary::Neg => ins.fneg(a),
            FloatUnary::Ceil => ins.ceil(a),
            FloatUnary::Floor => ins.floor(a),
            FloatUnary::Trunc => ins.trunc(a),
            FloatUnary::Nearest => ins.nearest(a),
            FloatUnary::Sqrt => ins.sqrt(a),
        }
    }

    fn float_binary(&mut self, op: FloatBinary, a: Value, b: Value) -> Value {
        let ins = self.builder.ins();
        match op {
            FloatBinary::Add => ins.fadd(a, b),
            FloatBinary::Sub => ins.fsub(a, b),
            FloatBinary::Mul => ins.fmul(a, b),
            FloatBinary::Div => ins.fdiv(a, b),
            FloatBinary::Min => ins.fmin(a, b),
            FloatBinary::Max => ins.fmax(a, b),
            FloatBinary::Copysign => ins.fcopysign(a, b),
        }
    }
}

fn condition(op: FloatCompare) -> FloatCC {
    match op {
        FloatCompare::Eq => FloatCC::Equal,
        FloatCompare::Ne => FloatCC::NotEqual,
        FloatCompare::Lt => FloatCC::LessThan,
        FloatCompare::Gt => FloatCC::GreaterThan,
        FloatCompare::Le => FloatCC::LessThanOrEqual,
        FloatCompare::Ge => FloatCC::GreaterThanOrEqual,
    }
}
