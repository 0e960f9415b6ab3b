//! Integer operators (spec 4.3.2).
//!
//! Divisions trap in the machine: Cranelift tests for a zero divisor where it matters which of the two traps is
//! meant, and records the right code at the test and at the division.

use super::state::Translator;
use cranelift_codegen::ir::condcodes::{CondCode as _, FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder as _, InstructionData, Opcode, Type, Value, types};
use upshift_module::ops::{IntBinary, IntCompare, IntOp, IntUnary, Width};

/// The CLIF type of a width.
pub(super) fn int_type(width: Width) -> Type {
    match width {
        Width::W32 => types::I32,
        Width::W64 => types::I64,
    }
}

impl Translator<'_, '_> {
    /// Integer arithmetic and comparison.
    pub(super) fn int(&mut self, width: Width, op: IntOp) {
        match op {
            IntOp::Unary(op) => {
                let operand = self.pop();
                let result = self.int_unary(int_type(width), op, operand);
                self.push(result);
            }
            IntOp::Binary(op) => {
                let (a, b) = self.pop2();
                let result = self.int_binary(op, a, b);
                self.push(result);
            }
            IntOp::Compare(op) => {
                let (a, b) = self.pop2();
                let flag = self.builder.ins().icmp(condition(op), a, b);
                self.push_bool(flag);
            }
            IntOp::Eqz => {
                let operand = self.pop();
                let flag = match self.float_comparison(operand) {
                    Some((cond, a, b)) => self.builder.ins().fcmp(cond.complement(), a, b),
                    None => self.builder.ins().icmp_imm_s(IntCC::Equal, operand, 0),
                };
                self.push_bool(flag);
            }
        }
    }

    /// The comparison of floats whose result, as an i32, a value is. Cranelift inverts those of integers by itself. The complement of
    /// a condition is true for unordered operands if the condition is false for them.
    fn float_comparison(&self, value: Value) -> Option<(FloatCC, Value, Value)> {
        let dfg = &self.builder.func.dfg;
        let made_by = |value| Some(dfg.insts[dfg.value_def(value).inst()?]);
        let InstructionData::Unary {
            opcode: Opcode::Uextend,
            arg,
        } = made_by(value)?
        else {
            return None;
        };
        let InstructionData::FloatCompare {
            cond, args: [a, b], ..
        } = made_by(arg)?
        else {
            return None;
        };
        Some((cond, a, b))
    }

    fn int_unary(&mut self, ty: Type, op: IntUnary, a: Value) -> Value {
        match op {
            IntUnary::Clz => self.builder.ins().clz(a),
            IntUnary::Ctz => self.builder.ins().ctz(a),
            IntUnary::Popcnt => self.builder.ins().popcnt(a),
            IntUnary::Extend8S => self.sign_extend(ty, types::I8, a),
            IntUnary::Extend16S => self.sign_extend(ty, types::I16, a),
            IntUnary::Extend32S => self.sign_extend(ty, types::I32, a),
        }
    }

    fn sign_extend(&mut self, ty: Type, from: Type, a: Value) -> Value {
        let low = self.builder.ins().ireduce(from, a);
        self.builder.ins().sextend(ty, low)
    }

    fn int_binary(&mut self, op: IntBinary, a: Value, b: Value) -> Value {
        let ins = self.builder.ins();
        match op {
            IntBinary::Add => ins.iadd(a, b),
            IntBinary::Sub => ins.isub(a, b),
            IntBinary::Mul => ins.imul(a, b),
            IntBinary::DivS => ins.sdiv(a, b),
            IntBinary::DivU => ins.udiv(a, b),
            IntBinary::RemS => ins.srem(a, b),
            IntBinary::RemU => ins.urem(a, b),
            IntBinary::And => ins.band(a, b),
            IntBinary::Or => ins.bor(a, b),
            IntBinary::Xor => ins.bxor(a, b),
            IntBinary::Shl => ins.ishl(a, b),
            IntBinary::ShrS => ins.sshr(a, b),
            IntBinary::ShrU => ins.ushr(a, b),
            IntBinary::Rotl => ins.rotl(a, b),
            IntBinary::Rotr => ins.rotr(a, b),
        }
    }
}

fn condition(op: IntCompare) -> IntCC {
    match op {
        IntCompare::Eq => IntCC::Equal,
        IntCompare::Ne => IntCC::NotEqual,
        IntCompare::LtS => IntCC::SignedLessThan,
        IntCompare::LtU => IntCC::UnsignedLessThan,
        IntCompare::GtS => IntCC::SignedGreaterThan,
        IntCompare::GtU => IntCC::UnsignedGreaterThan,
        IntCompare::LeS => IntCC::SignedLessThanOrEqual,
        IntCompare::LeU => IntCC::UnsignedLessThanOrEqual,
        IntCompare::GeS => IntCC::SignedGreaterThanOrEqual,
        IntCompare::GeU => IntCC::UnsignedGreaterThanOrEqual,
    }
}
