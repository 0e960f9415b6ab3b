//! A loop's last test compares the next value of its variable, not the one that is over.
//!
//! Problem: LLVM writes `next = i + 4; if (next == 256) leave; i = next`, or, when it likes, `i == 252`, and Cranelift makes the
//! former the latter. Then both values are alive at the branch, so they are in two registers, and the way back is a
//! move and a jump behind the branch, where a branch alone would do.
//!
//! What is done: `i + a == k` is `i + c == k - a + c` modulo 2^32, for `==` and `!=`. So if a conditional branch tests an i32
//! parameter `i` of a loop header, plus a constant or none, for equality with a constant, one way from it leads back to
//! the header, at once or by one jump, and passes an `i + c` that is already known at the branch, that one is
//! compared: zero-extended, as i64, which is no instruction, is as good for equality, and is nothing that Cranelift
//! rewrites. The old comparison is left to it, and it drops what nobody uses.
//!
//! Linear: one look at the last instruction of each block.

use super::constants::{low_constant, operation};
use cranelift_codegen::cursor::{Cursor as _, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, Function, Inst, InstBuilder as _, InstructionData, Opcode, Value,
    ValueDef, types,
};

/// Rewrites what it can in the whole function.
pub(super) fn run(func: &mut Function, domtree: &DominatorTree) {
    let blocks: Vec<Block> = func.layout.blocks().collect();
    for block in blocks {
        if let Some(branch) = func.layout.last_inst(block)
            && let Some(test) = test(func, branch)
            && let Some((next, step)) = next(func, (block, branch), test.variable, domtree)
        {
            let limit = i64::from(test.limit.wrapping_add(step).cast_unsigned());
            if i32::try_from(limit).is_err() {
                // It would need a register.
                continue;
            }
            let mut cursor = FuncCursor::new(func).at_inst(branch);
            cursor.use_srcloc(branch);
            let limit = cursor.ins().iconst(types::I64, limit);
            let next = cursor.ins().uextend(types::I64, next);
            let flag = cursor.ins().icmp(test.cond, next, limit);
            if let InstructionData::Brif { arg, .. } = &mut func.dfg.insts[branch] {
                *arg = flag;
            }
        }
    }
}

/// A test of a block parameter by itself.
struct Test {
    cond: IntCC,
    variable: Value,
    limit: i32,
}

/// The test of a conditional branch, if it is one for equality with a constant.
fn test(func: &Function, branch: Inst) -> Option<Test> {
    let InstructionData::Brif { arg, .. } = func.dfg.insts[branch] else {
        return None;
    };
    let compare = match operation::<1>(func, arg) {
        Some((Opcode::Uextend, [flag])) => flag,
        _ => arg,
    };
    let ValueDef::Result(compare, _) = func.dfg.value_def(compare) else {
        return None;
    };
    let InstructionData::IntCompare {
        cond: cond @ (IntCC::Equal | IntCC::NotEqual),
        args: [tested, limit],
        ..
    } = func.dfg.insts[compare]
    else {
        return None;
    };
    if func.dfg.value_type(tested) != types::I32 {
        return None;
    }
    let limit = low_constant(func, limit)?;
    let (variable, added) = match operation::<2>(func, tested) {
        Some((Opcode::Iadd, [variable, added])) => (variable, low_constant(func, added)?),
        _ => (tested, 0),
    };
    matches!(func.dfg.value_def(variable), ValueDef::Param(..)).then_some(Test {
        cond,
        variable,
        limit: limit.wrapping_sub(added),
    })
}

/// The value that the variable gets on a way back to its block, and by how much it is greater.
fn next(
    func: &Function,
    (block, branch): (Block, Inst),
    variable: Value,
    domtree: &DominatorTree,
) -> Option<(Value, i32)> {
    let ValueDef::Param(header, number) = func.dfg.value_def(variable) else {
        return None;
    };
    let targets = targets(func, branch);
    let back = targets.iter().find_map(|target| {
        let to = target.block(&func.dfg.value_lists);
        if to == header {
            return Some(target);
        }
        let jump = func.layout.last_inst(to)?;
        let [target] = self::targets(func, jump) else {
            return None;
        };
        (target.block(&func.dfg.value_lists) == header).then_some(target)
    })?;
    let Some(BlockArg::Value(next)) = back.args(&func.dfg.value_lists).nth(number) else {
        return None;
    };
    let (Opcode::Iadd, [a, b]) = operation::<2>(func, next)? else {
        return None;
    };
    let step = match (a == variable, b == variable) {
        (true, false) => low_constant(func, b)?,
        (false, true) => low_constant(func, a)?,
        (true, true) | (false, false) => return None,
    };
    let made = func.dfg.value_def(next).inst()?;
    let made = func.layout.inst_block(made)?;
    domtree.block_dominates(made, block).then_some((next, step))
}

fn targets(func: &Function, branch: Inst) -> &[BlockCall] {
    let dfg = &func.dfg;
    dfg.insts[branch].branch_destination(&dfg.jump_tables, &dfg.exception_tables)
}
