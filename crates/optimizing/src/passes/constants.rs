//! Looking at what makes a value.

use cranelift_codegen::ir::{Function, InstructionData, Opcode, Value, ValueDef};

/// The opcode and operands of the instruction that makes a value, if it has this many.
pub(super) fn operation<const N: usize>(
    func: &Function,
    value: Value,
) -> Option<(Opcode, [Value; N])> {
    let ValueDef::Result(inst, 0) = func.dfg.value_def(value) else {
        return None;
    };
    let args = func.dfg.inst_args(inst).try_into().ok()?;
    Some((func.dfg.insts[inst].opcode(), args))
}

/// The value of an i32 constant.
pub(super) fn low_constant(func: &Function, value: Value) -> Option<i32> {
    let inst = func.dfg.value_def(value).inst()?;
    let InstructionData::UnaryImm {
        opcode: Opcode::Iconst,
        imm,
    } = func.dfg.insts[inst]
    else {
        return None;
    };
    Some(low_half(imm.bits()))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an i32 constant is its lower half, however Cranelift extends it"
)]
fn low_half(bits: i64) -> i32 {
    bits as i32
}
