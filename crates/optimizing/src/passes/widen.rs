//! Indices stay zero-extended where they are carried.
//!
//! Problem: an address takes an i32 index zero-extended. Cranelift knows that most 32-bit instructions leave the upper half of a
//! register zero, but of a block parameter, so of every variable of a loop, it does not, nor of a loaded i32: there
//! each `uextend` is a move into another register, so that both live on.
//!
//! What is done: a parameter of type i32 that is extended somewhere becomes one of type i64. Its value is the zero-extended old
//! one: each branch passes `uextend` of what it passed, or the wide parameter itself; the old parameter is `ireduce` of it,
//! which is no instruction. By induction over the branches taken, the wide parameter always is the extended one, so it
//! stands for `uextend` of the old one. A parameter that is passed to one that is widened is widened as well, so that
//! nothing is extended anew in each round. A load of an i32, or of a byte or two as i32, that is extended, also for a branch, is made a load as
//! i64, zero-extended, and `ireduce` in the same way; it touches the same bytes and traps alike.
//!
//! Linear but for a sort: a parameter is widened once, a value is extended once, right behind its definition, and the operands
//! of branches are looked at twice.

use cranelift_codegen::cursor::{Cursor as _, FuncCursor};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, Function, Inst, InstBuilder as _, InstructionData, Opcode, Value,
    ValueDef, types,
};
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet};

/// Widens what is extended.
pub(super) fn run(func: &mut Function) {
    let extensions = extensions(func);
    let mut widening = Widening::default();
    for narrow in params(func, &extensions) {
        widening.widen_param(func, narrow);
    }
    for &(_, narrow) in &extensions {
        widening.widen_load(func, narrow);
    }
    let carried: Vec<bool> = extensions
        .iter()
        .map(|(_, narrow)| widening.wide.contains_key(narrow))
        .collect();
    widening.pass_wide(func);
    for ((inst, narrow), carried) in extensions.into_iter().zip(carried) {
        if carried {
            let extended = func.dfg.first_result(inst);
            func.dfg.clear_results(inst);
            func.layout.remove_inst(inst);
            func.dfg.change_to_alias(extended, widening.wide[&narrow]);
        }
    }
}

/// All `uextend` from i32 to i64, and what they extend.
fn extensions(func: &Function) -> Vec<(Inst, Value)> {
    let mut found = Vec::new();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            if let InstructionData::Unary {
                opcode: Opcode::Uextend,
                arg,
            } = func.dfg.insts[inst]
                && func.dfg.value_type(arg) == types::I32
                && func.dfg.value_type(func.dfg.first_result(inst)) == types::I64
            {
                found.push((inst, arg));
            }
        }
    }
    found
}

/// The block parameters to widen: those that are extended, and those that are passed to one of these.
fn params(func: &Function, extensions: &[(Inst, Value)]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let extended = extensions.iter().map(|&(_, narrow)| narrow);
    for narrow in extended.filter(|&narrow| is_param(func, narrow)) {
        if seen.insert(narrow) {
            found.push(narrow);
        }
    }
    if found.is_empty() {
        return found;
    }
    let passed = passed_params(func);
    let mut at = 0;
    while let Some(&param) = found.get(at) {
        at += 1;
        let from = passed.partition_point(|&(to, _)| to < param);
        let edges = passed[from..].iter().take_while(|&&(to, _)| to == param);
        for &(_, narrow) in edges {
            if seen.insert(narrow) {
                found.push(narrow);
            }
        }
    }
    found
}

/// Whether a value is a parameter that branches pass. Those of the entry come from the caller, who leaves upper halves undefined.
fn is_param(func: &Function, value: Value) -> bool {
    matches!(func.dfg.value_def(value), ValueDef::Param(block, _)
        if Some(block) != func.layout.entry_block())
}

/// Each i32 parameter with each parameter that some branch passes to it, in order.
fn passed_params(func: &Function) -> Vec<(Value, Value)> {
    let mut passed = Vec::new();
    for block in func.layout.blocks() {
        for target in targets(func, block) {
            let params = func.dfg.block_params(target.block(&func.dfg.value_lists));
            for (&param, arg) in params.iter().zip(target.args(&func.dfg.value_lists)) {
                if let BlockArg::Value(value) = arg
                    && func.dfg.value_type(value) == types::I32
                    && is_param(func, value)
                {
                    passed.push((param, value));
                }
            }
        }
    }
    passed.sort_unstable();
    passed.dedup();
    passed
}

/// Where a block goes on.
fn targets(func: &Function, block: Block) -> &[BlockCall] {
    let dfg = &func.dfg;
    func.layout.last_inst(block).map_or(&[], |branch| {
        dfg.insts[branch].branch_destination(&dfg.jump_tables, &dfg.exception_tables)
    })
}

#[derive(Default)]
struct Widening {
    /// The zero-extended form of i32 values.
    wide: HashMap<Value, Value>,
    /// Which parameters of a block were widened.
    params: HashMap<Block, SmallVec<[usize; 4]>>,
}

impl Widening {
    /// Makes a parameter i64; the old one is its lower half.
    fn widen_param(&mut self, func: &mut Function, narrow: Value) {
        let ValueDef::Param(block, number) = func.dfg.value_def(narrow) else {
            return;
        };
        let param = func.dfg.replace_block_param(narrow, types::I64);
        let mut cursor = FuncCursor::new(func).at_first_insertion_point(block);
        cursor.ins().with_result(narrow).ireduce(types::I32, param);
        self.wide.insert(narrow, param);
        self.params.entry(block).or_default().push(number);
    }

    /// Makes a load of an i32 one of a zero-extended i64, if that is what a value comes from.
    fn widen_load(&mut self, func: &mut Function, narrow: Value) {
        if self.wide.contains_key(&narrow) {
            return;
        }
        let ValueDef::Result(inst, _) = func.dfg.value_def(narrow) else {
            return;
        };
        let InstructionData::Load { opcode, .. } = &mut func.dfg.insts[inst] else {
            return;
        };
        if *opcode == Opcode::Load {
            *opcode = Opcode::Uload32;
        } else if !matches!(opcode, Opcode::Uload8 | Opcode::Uload16) {
            // It extends the sign.
            return;
        }
        let loaded = func.dfg.replace_result(narrow, types::I64);
        let mut cursor = FuncCursor::new(func).after_inst(inst);
        cursor.use_srcloc(inst);
        cursor.ins().with_result(narrow).ireduce(types::I32, loaded);
        self.wide.insert(narrow, loaded);
    }

    /// The zero-extended form of a value.
    fn widened(&mut self, func: &mut Function, narrow: Value) -> Value {
        self.widen_load(func, narrow);
        *self
            .wide
            .entry(narrow)
            .or_insert_with(|| extend(func, narrow))
    }

    /// Lets all branches pass wide values to the parameters that were widened.
    fn pass_wide(&mut self, func: &mut Function) {
        let blocks: Vec<Block> = func.layout.blocks().collect();
        let mut args: SmallVec<[(usize, Value); 8]> = SmallVec::new();
        for block in blocks {
            let Some(branch) = func.layout.last_inst(block) else {
                continue;
            };
            for at in 0..targets(func, block).len() {
                let target = targets(func, block)[at];
                let to = target.block(&func.dfg.value_lists);
                let Some(params) = self.params.get(&to).cloned() else {
                    continue;
                };
                args.clear();
                let passed = target.args(&func.dfg.value_lists);
                let passed: SmallVec<[BlockArg; 16]> = passed.collect();
                for number in params {
                    if let BlockArg::Value(narrow) = passed[number] {
                        args.push((number, self.widened(func, narrow)));
                    }
                }
                rewrite(func, (branch, at), &args);
            }
        }
    }
}

/// Replaces operands of one target of a branch, by their numbers.
fn rewrite(func: &mut Function, (branch, at): (Inst, usize), args: &[(usize, Value)]) {
    let dfg = &mut func.dfg;
    let targets =
        dfg.insts[branch].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
    let mut all: SmallVec<[BlockArg; 16]> = targets[at].args(&dfg.value_lists).collect();
    for &(number, value) in args {
        all[number] = BlockArg::Value(value);
    }
    let mut all = all.into_iter();
    targets[at].update_args(&mut dfg.value_lists, |old| all.next().unwrap_or(old));
}

/// Extends a value right behind its definition.
fn extend(func: &mut Function, narrow: Value) -> Value {
    let def = func.dfg.value_def(narrow);
    let mut cursor = FuncCursor::new(func);
    match def {
        ValueDef::Result(inst, _) => {
            cursor.goto_after_inst(inst);
            cursor.use_srcloc(inst);
        }
        ValueDef::Param(block, _) => cursor.goto_first_insertion_point(block),
        ValueDef::Union(..) => unreachable!("only Cranelift's own optimizer makes unions"),
    }
    cursor.ins().uextend(types::I64, narrow)
}
