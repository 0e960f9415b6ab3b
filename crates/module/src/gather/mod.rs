//! Gathering [`FuncFacts`] from a validated body, when it is compiled.
//!
//! Most functions of a large module are never called, so validation leaves this out. Whoever compiles a body walks it
//! once more with a [`FactGatherer`], which is cheap next to the compile. The walk decodes without checking: the
//! proof token says that nothing can be wrong.
//!
//! The walk must be linear in the body whatever the body is: 50,000 locals times a million loops must not meet.
//!
//! * Scratch per local ([`LocalScratch`]) is all zero before a body. Whoever makes an entry nonzero lists it in
//!   `func_touched`, and only listed entries are reset.
//! * Home candidates of loops: see [`loops`].
//! * A local was written in a loop that ends if the loop had begun at its last write: a number per local, that of the loops
//!   that had begun by then. The same for calls.

mod loops;
mod ranking;
#[cfg(test)]
mod tests;

use crate::env::ModuleEnv;
use crate::facts::{FuncFacts, HOME_CANDIDATES, HomeCandidate, LoopFacts, Uses};
use crate::func::ValidatedFunc;
use crate::ops::{BlockType, CallOp, ControlOp, MemoryOp, Op, ParametricOp, VariableOp};
use crate::reader::{Code, OpSink};
use crate::types::{GlobalIndex, LocalIndex, TypeIndex, ValType};
use loops::{Before, LoopLocal, LoopUses};
use ranking::Ranking;

/// Weight of a use grows by this factor per loop level.
const WEIGHT_PER_LEVEL_LOG2: u32 = 3;
/// Levels beyond this weigh no more.
const LEVELS_MAX: u32 = 9;
/// A local of less weight is not proposed: loading it into its register would cost as much as it saves.
const WEIGHT_MIN: u32 = 3;
/// On the stack of open blocks: a block that is no loop.
const NO_LOOP: u32 = u32::MAX;

/// What is known of one local while its body is read.
#[derive(Clone, Copy, Debug, Default)]
struct LocalScratch {
    /// Weight in the whole body.
    func: u32,
    /// What the innermost open loops know of it.
    in_loop: LoopLocal,
    /// How many loops had begun when it was written last; 0 before the first.
    written: u32,
}

/// Gathers facts of one body after the other, on one thread at a time, in the same memory.
#[derive(Debug, Default)]
pub struct FactGatherer {
    facts: FuncFacts,
    scratch: Scratch,
}

impl FactGatherer {
    /// Walks a body.
    pub fn gather(&mut self, func: ValidatedFunc<'_>) -> &FuncFacts {
        // First, not last: a walk that was left early must not be seen by the next one.
        self.facts.reset();
        self.scratch.reset(len(func.ty().params()));
        let mut walk = Walk::new(func, &mut self.facts, &mut self.scratch);
        for (count, ty) in func.locals() {
            walk.declare(count, ty);
        }
        walk.start();
        let mut ops = func.ops();
        while ops.visit(&mut walk) {}
        walk.finish();
        &self.facts
    }

    /// Entries of the largest list, roughly, for an owner that gives the memory of a huge body back.
    #[must_use]
    pub fn largest(&self) -> usize {
        let facts = &self.facts;
        let tables = facts.loops.capacity().max(facts.loop_homes.capacity());
        tables.max(self.scratch.locals.capacity())
    }

    /// How many entries of per-local scratch were looked at apart from uses of that local.
    #[cfg(test)]
    fn work(&self) -> u64 {
        self.scratch.work + self.scratch.loops.work
    }
}

/// Memory of a walk.
#[derive(Debug, Default)]
struct Scratch {
    locals: Vec<LocalScratch>,
    func_touched: Vec<u32>,
    blocks: Vec<u32>,
    ranking: Ranking<HomeCandidate>,
    loops: LoopUses,
    /// Runs of declared locals: index past the last one, and whether they live in vector registers.
    runs: Vec<(u32, bool)>,
    /// Whether any local does.
    floats: bool,
    /// Entries of per-local scratch that were looked at outside a use of that local: tests bound it.
    #[cfg(test)]
    work: u64,
}

/// The facts of one body in the making.
struct Walk<'a> {
    env: &'a ModuleEnv,
    params: &'a [ValType],
    facts: &'a mut FuncFacts,
    scratch: &'a mut Scratch,
    uses: Uses,
    loop_depth: u32,
    /// How many loops had begun at the last call; 0 before the first.
    called: u32,
    weight: u32,
}

impl<'a> Walk<'a> {
    fn new(func: ValidatedFunc<'a>, facts: &'a mut FuncFacts, scratch: &'a mut Scratch) -> Self {
        // The body itself is the outermost block.
        scratch.blocks.push(NO_LOOP);
        let env = func.env();
        let params = func.ty().params();
        facts.max_operands = func.outline().max_operands();
        facts.local_count = len(params);
        scratch.floats = params.iter().any(|ty| ty.is_float_class());
        let mut walk = Self {
            env,
            params,
            facts,
            scratch,
            uses: Uses::default(),
            loop_depth: 0,
            called: 0,
            weight: 1,
        };
        walk.func_type(env.funcs[func.index().0 as usize]);
        walk
    }

    /// Declares a run of locals.
    fn declare(&mut self, count: u32, ty: ValType) {
        self.facts.local_count += count;
        self.value_type(ty);
        let float = ty.is_float_class();
        self.scratch.floats |= float;
        self.scratch.runs.push((self.facts.local_count, float));
    }

    /// All locals are declared: makes room for what is known of each.
    fn start(&mut self) {
        let locals = self.facts.local_count as usize;
        if self.scratch.locals.len() < locals {
            self.scratch.locals.resize(locals, LocalScratch::default());
        }
        self.facts.carried.resize(locals.div_ceil(64), 0);
    }

    /// Notes the type of some value.
    fn value_type(&mut self, ty: ValType) {
        self.uses.insert(Uses::of_type(ty));
    }

    /// Notes the values of a function type.
    fn func_type(&mut self, ty: TypeIndex) {
        let uses = self.env.type_uses.get(ty.0 as usize);
        self.uses.insert(uses.copied().unwrap_or_default());
    }

    #[inline(always)]
    fn control(&mut self, op: &ControlOp<'_>) {
        match op {
            ControlOp::Block(ty) | ControlOp::If(ty) => self.open_block(*ty, NO_LOOP),
            ControlOp::Loop(ty) => self.open_loop(*ty),
            ControlOp::End => self.close_block(),
            ControlOp::Else => self.scratch.loops.label(),
            ControlOp::Br(_)
            | ControlOp::BrIf(_)
            | ControlOp::BrTable(_)
            | ControlOp::Return
            | ControlOp::Unreachable
            | ControlOp::Nop => {}
        }
    }

    fn open_block(&mut self, ty: BlockType, kind: u32) {
        match ty {
            BlockType::Empty => {}
            BlockType::Value(ty) => self.value_type(ty),
            BlockType::Func(ty) => self.func_type(ty),
        }
        self.scratch.blocks.push(kind);
    }

    fn open_loop(&mut self, ty: BlockType) {
        let index = len(&self.facts.loops);
        self.facts.loops.push(LoopFacts::default());
        self.set_loop_depth(self.loop_depth + 1);
        self.scratch.loops.open(index);
        self.open_block(ty, index);
    }

    fn close_block(&mut self) {
        match self.scratch.blocks.pop() {
            Some(NO_LOOP) | None => self.scratch.loops.label(),
            Some(index) => self.close_loop(index),
        }
    }

    /// Ranks the locals of a loop that ends and hands the best of them on to the enclosing one.
    fn close_loop(&mut self, index: u32) {
        let Scratch {
            loops,
            locals,
            runs,
            floats,
            ..
        } = &mut *self.scratch;
        let (params, floats) = (self.params, *floats);
        let out = &mut self.facts.loop_homes;
        let start = len(out);
        if loops.is_open(index) {
            let is_float = |local| floats && is_float(params, runs, local);
            loops.close(locals, &self.facts.carried, is_float, out);
        }
        let calls = self.called > index;
        self.facts.loops[index as usize] = LoopFacts::new(start, len(out), calls);
        self.set_loop_depth(self.loop_depth - 1);
    }

    fn set_loop_depth(&mut self, depth: u32) {
        self.loop_depth = depth;
        self.weight = 1 << (WEIGHT_PER_LEVEL_LOG2 * depth.min(LEVELS_MAX));
    }

    fn call(&mut self, op: CallOp) {
        self.facts.call_count += 1;
        self.note_call();
        match op {
            CallOp::Call(func) => self.func_type(self.env.funcs[func.0 as usize]),
            CallOp::CallIndirect { ty, .. } => self.func_type(ty),
        }
    }

    /// A call of a function or a helper.
    fn note_call(&mut self) {
        self.called = len(&self.facts.loops);
        self.facts.call_depth = self.facts.call_depth.max(self.loop_depth);
        self.scratch.loops.label();
    }

    #[inline(always)]
    fn variable(&mut self, op: VariableOp) {
        match op {
            VariableOp::LocalGet(local) => self.local_use(local, false),
            VariableOp::LocalSet(local) | VariableOp::LocalTee(local) => {
                self.local_use(local, true);
                self.scratch.locals[local.0 as usize].written = len(&self.facts.loops);
            }
            VariableOp::GlobalGet(global) => self.global_get(global),
            VariableOp::GlobalSet(_) => {}
        }
    }

    /// Calls are last and apart, so that most uses need few registers.
    #[inline]
    fn local_use(&mut self, local: LocalIndex, writes: bool) {
        let Scratch { locals, loops, .. } = &mut *self.scratch;
        let entry = &mut locals[local.0 as usize];
        entry.func = entry.func.saturating_add(self.weight);
        let before = loops.mark(&mut entry.in_loop);
        if before == Before::OtherStretch && !writes {
            self.facts.carry(local);
        }
        if before == Before::Nowhere || !loops.weigh_again(&mut entry.in_loop) {
            self.local_use_anew(local, writes, before);
        }
    }

    /// A use that is the first one in the body or in a loop.
    #[inline(never)]
    fn local_use_anew(&mut self, local: LocalIndex, writes: bool, before: Before) {
        let Scratch {
            locals,
            loops,
            func_touched,
            ..
        } = &mut *self.scratch;
        if before == Before::Nowhere {
            func_touched.push(local.0);
            if !writes && !loops.brings(local) {
                self.facts.carry(local);
            }
        }
        loops.weigh_use(&mut locals[local.0 as usize].in_loop, local);
    }

    fn global_get(&mut self, global: GlobalIndex) {
        if let Some(ty) = self.env.globals.get(global.0 as usize) {
            self.value_type(ty.content);
        }
    }

    /// Ends the body.
    fn finish(self) {
        let scratch = self.scratch;
        for local in &scratch.func_touched {
            #[cfg(test)]
            {
                scratch.work += 1;
            }
            let weight = scratch.locals[*local as usize].func;
            let candidate = HomeCandidate {
                local: LocalIndex(*local),
                weight,
            };
            let is_float = || scratch.floats && is_float(self.params, &scratch.runs, *local);
            if weight >= WEIGHT_MIN {
                scratch.ranking.offer(candidate, HOME_CANDIDATES, is_float);
            }
        }
        scratch.ranking.take_sorted_into(&mut self.facts.homes);
        self.facts.uses = self.uses;
    }
}

impl<'b> OpSink<'b> for Walk<'_> {
    /// Inlined, so that most operators cost nothing but their decoding.
    #[inline(always)]
    fn op(&mut self, _offset: u32, op: Op<'b>, _next: Code<'b>) {
        let uses = Uses::of(&op);
        self.uses.insert(uses);
        match op {
            Op::Control(op) => self.control(&op),
            Op::Call(op) => self.call(op),
            Op::Parametric(ParametricOp::TypedSelect(ty)) => self.value_type(ty),
            Op::Variable(op) => self.variable(op),
            Op::Parametric(ParametricOp::Drop | ParametricOp::Select)
            | Op::Const(_)
            | Op::Int(_, _)
            | Op::Float(_, _)
            | Op::Convert(_)
            | Op::Memory(MemoryOp::Load(..) | MemoryOp::Store(..) | MemoryOp::Size(_)) => {}
            Op::Memory(MemoryOp::Grow(_)) | Op::Bulk(_) | Op::Table(_) | Op::Ref(_) => {
                if uses.contains(Uses::LIBCALL) {
                    self.note_call();
                } else {
                    self.scratch.loops.label();
                }
            }
        }
    }
}

impl Scratch {
    /// Makes the scratch as new, in time of what the body before touched.
    fn reset(&mut self, params: u32) {
        for local in self.func_touched.drain(..) {
            #[cfg(test)]
            {
                self.work += 1;
            }
            self.locals[local as usize] = LocalScratch::default();
        }
        self.runs.clear();
        self.blocks.clear();
        self.ranking.clear();
        self.loops.reset(params);
    }
}

/// Whether a local lives in vector registers.
fn is_float(params: &[ValType], runs: &[(u32, bool)], local: u32) -> bool {
    if let Some(ty) = params.get(local as usize) {
        return ty.is_float_class();
    }
    let run = runs.partition_point(|(end, _)| *end <= local);
    runs.get(run).is_some_and(|(_, float)| *float)
}

/// Lengths here are bounded by the size of a body.
fn len<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
