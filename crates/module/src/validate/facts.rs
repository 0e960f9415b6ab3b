//! Gathering [`FuncFacts`] while a body is validated.
//!
//! The pass must be linear in the body whatever the body is: 50,000 locals times a million loops must not meet.
//!
//! * Scratch per local ([`LocalScratch`]) is all zero between bodies. Whoever makes an entry nonzero lists it in
//!   `func_touched` or `nest_touched`, and only listed entries are reset.
//! * Uses inside a nest (an outermost loop with all that is in it) are added up in `nest`; when the nest closes they
//!   are ranked, folded into `func` and reset. So a use is looked at a fixed number of times.
//! * Writes inside loops are appended to one log; a loop's writes are the part of the log that was appended
//!   while it was open. A write is left out when the innermost open loop has it already: then every enclosing
//!   loop has it too, because their parts contain that part.
//! * What occurs in a loop ([`Uses`]) is collected for the innermost one and added to its parent when it closes.

use std::mem;

use super::BodyContext;
use crate::facts::{FuncFacts, HOME_CANDIDATES, HomeCandidate, LoopFacts, Uses};
use crate::ops::{
    BlockType, CallOp, ControlOp, MemoryOp, Op, ParametricOp, RefOp, TableOp, VariableOp,
};
use crate::types::{GlobalIndex, LocalIndex, MemoryIndex, TypeIndex, ValType};

/// Weight of a use grows by this factor per loop level.
const WEIGHT_PER_LEVEL_LOG2: u32 = 3;
/// Levels beyond this weigh no more.
const LEVELS_MAX: u32 = 9;
/// A local of less weight is not proposed: loading it into its register would cost as much as it saves.
const WEIGHT_MIN: u32 = 3;
/// On the stack of open blocks: a block that is no loop.
const NO_LOOP: u32 = u32::MAX;

/// What is known of one local while its body is read.
#[derive(Clone, Copy, Default)]
struct LocalScratch {
    /// Weight in the whole body, closed nests included.
    func: u32,
    /// Weight in the open nest.
    nest: u32,
    /// One more than the position of its last entry in the log of writes; 0 for none.
    logged: u32,
}

/// Memory that is reused from body to body, by one worker.
#[derive(Default)]
pub(super) struct Scratch {
    locals: Vec<LocalScratch>,
    func_touched: Vec<u32>,
    nest_touched: Vec<u32>,
    blocks: Vec<u32>,
    outer_uses: Vec<Uses>,
    loops: Vec<LoopFacts>,
    writes: Vec<LocalIndex>,
    loop_homes: Vec<HomeCandidate>,
    ranking: Ranking,
    /// Runs of declared locals: index past the last one, and whether they live in vector registers.
    runs: Vec<(u32, bool)>,
    /// Entries of per-local scratch that were looked at outside a use of that local: tests bound it.
    #[cfg(test)]
    pub(super) work: u64,
}

/// The facts of one body in the making.
pub(super) struct Gatherer<'a> {
    context: &'a BodyContext<'a>,
    params: &'a [ValType],
    scratch: &'a mut Scratch,
    locals: u32,
    uses: Uses,
    calls: u32,
    open_loop: u32,
    loop_depth: u32,
    weight: u32,
    max_depth: u32,
    /// Operand types that calls, blocks and branches made the validator compare, at least.
    type_checks: u32,
    /// Most values that a label of the body takes.
    widest_label: u32,
}

impl<'a> Gatherer<'a> {
    /// Starts a body of a function of type `ty`.
    pub(super) fn new(
        context: &'a BodyContext<'a>,
        scratch: &'a mut Scratch,
        ty: TypeIndex,
    ) -> Self {
        // The body itself is the outermost block.
        scratch.blocks.push(NO_LOOP);
        let params = context.env.ty(ty).params();
        let mut gatherer = Self {
            context,
            params,
            scratch,
            locals: u32::try_from(params.len()).unwrap_or(u32::MAX),
            uses: Uses::default(),
            calls: 0,
            open_loop: NO_LOOP,
            loop_depth: 0,
            weight: 1,
            max_depth: 1,
            type_checks: 0,
            widest_label: len(context.env.ty(ty).results()),
        };
        gatherer.func_type(ty);
        gatherer
    }

    /// Number of locals so far.
    pub(super) fn locals(&self) -> u32 {
        self.locals
    }

    /// Declares a run of locals; their number has been checked against the limit.
    pub(super) fn declare(&mut self, count: u32, ty: ValType) {
        self.locals += count;
        self.value_type(ty);
        self.scratch.runs.push((self.locals, ty.is_float_class()));
    }

    /// All locals are declared: makes room for what is known of each.
    pub(super) fn start(&mut self) {
        let locals = self.locals as usize;
        if self.scratch.locals.len() < locals {
            self.scratch.locals.resize(locals, LocalScratch::default());
        }
    }

    /// Greatest nesting of blocks so far.
    pub(super) fn max_depth(&self) -> u32 {
        self.max_depth
    }

    /// Operand types compared so far: what makes validation of wide types slow (saturates).
    pub(super) fn type_checks(&self) -> u32 {
        self.type_checks
    }

    /// Notes that so many operand types are compared.
    fn compare(&mut self, types: u32) {
        self.type_checks = self.type_checks.saturating_add(types);
    }

    /// Notes the type of some value.
    fn value_type(&mut self, ty: ValType) {
        match ty {
            ValType::V128 => self.uses.insert(Uses::V128),
            ValType::Ref(_) => self.uses.insert(Uses::REFS),
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => {}
        }
    }

    /// Notes the values of a function type.
    fn func_type(&mut self, ty: TypeIndex) {
        let func_type = self.context.env.ty(ty);
        self.compare(len(func_type.params()) + len(func_type.results()));
        let uses = self.context.type_uses.get(ty.0 as usize);
        self.uses.insert(uses.copied().unwrap_or_default());
    }

    /// Notes one operator, which has been validated. `offset` is from the start of the body.
    #[inline(always)]
    pub(super) fn op(&mut self, offset: u32, op: &Op<'_>) {
        match op {
            Op::Control(op) => self.control(offset, op),
            Op::Call(op) => self.call(op),
            Op::Parametric(ParametricOp::TypedSelect(ty)) => self.value_type(*ty),
            Op::Variable(op) => self.variable(*op),
            Op::Memory(op) => self.memory(op),
            Op::Bulk(_) => self.uses.insert(Uses::LIBCALL),
            Op::Table(op) => self.table(op),
            Op::Ref(op) => self.reference(op),
            Op::Parametric(ParametricOp::Drop | ParametricOp::Select)
            | Op::Const(_)
            | Op::Int(_, _)
            | Op::Float(_, _)
            | Op::Convert(_) => {}
        }
    }

    #[inline(always)]
    fn control(&mut self, offset: u32, op: &ControlOp<'_>) {
        match op {
            ControlOp::Block(ty) | ControlOp::If(ty) => self.open_block(*ty, NO_LOOP),
            ControlOp::Loop(ty) => self.open_loop(offset, *ty),
            ControlOp::End => {
                self.compare(self.widest_label);
                self.close_block(offset + 1);
            }
            ControlOp::Else | ControlOp::Br(_) | ControlOp::BrIf(_) | ControlOp::Return => {
                self.compare(self.widest_label);
            }
            ControlOp::BrTable(table) => {
                self.compare(self.widest_label.saturating_mul(table.len() + 1));
            }
            ControlOp::Unreachable | ControlOp::Nop => {}
        }
    }

    fn open_block(&mut self, ty: BlockType, kind: u32) {
        match ty {
            BlockType::Empty => {}
            BlockType::Value(ty) => {
                self.widest_label = self.widest_label.max(1);
                self.value_type(ty);
            }
            BlockType::Func(ty) => {
                let ty_of = self.context.env.ty(ty);
                let label = len(ty_of.params()).max(len(ty_of.results()));
                self.widest_label = self.widest_label.max(label);
                self.func_type(ty);
            }
        }
        self.scratch.blocks.push(kind);
        let depth = u32::try_from(self.scratch.blocks.len()).unwrap_or(u32::MAX);
        self.max_depth = self.max_depth.max(depth);
    }

    fn open_loop(&mut self, offset: u32, ty: BlockType) {
        let index = len(&self.scratch.loops);
        let writes = len(&self.scratch.writes);
        let homes = len(&self.scratch.loop_homes);
        self.scratch.loops.push(LoopFacts {
            offset,
            end: offset,
            parent: (self.open_loop != NO_LOOP).then_some(self.open_loop),
            uses: Uses::default(),
            writes: writes..writes,
            homes: homes..homes,
        });
        self.uses.insert(Uses::LOOP);
        self.scratch.outer_uses.push(mem::take(&mut self.uses));
        self.open_loop = index;
        self.set_loop_depth(self.loop_depth + 1);
        self.open_block(ty, index);
    }

    fn close_block(&mut self, end: u32) {
        match self.scratch.blocks.pop() {
            Some(NO_LOOP) | None => {}
            Some(index) => self.close_loop(index, end),
        }
    }

    fn close_loop(&mut self, index: u32, end: u32) {
        if self.loop_depth == 1 {
            self.close_nest(index);
        }
        let writes = len(&self.scratch.writes);
        let facts = &mut self.scratch.loops[index as usize];
        facts.end = end;
        facts.uses = self.uses;
        facts.writes.end = writes;
        self.open_loop = facts.parent.unwrap_or(NO_LOOP);
        self.uses
            .insert(self.scratch.outer_uses.pop().unwrap_or_default());
        self.set_loop_depth(self.loop_depth - 1);
    }

    /// Ranks the locals of a nest and folds their weights into those of the function.
    fn close_nest(&mut self, index: u32) {
        let scratch = &mut *self.scratch;
        for local in &scratch.nest_touched {
            #[cfg(test)]
            {
                scratch.work += 1;
            }
            let entry = &mut scratch.locals[*local as usize];
            let weight = entry.nest;
            scratch.ranking.offer(*local, weight, || {
                is_float(self.params, &scratch.runs, *local)
            });
            if entry.func == 0 {
                scratch.func_touched.push(*local);
            }
            entry.func = entry.func.saturating_add(entry.nest);
            entry.nest = 0;
        }
        scratch.nest_touched.clear();
        scratch.ranking.take_into(&mut scratch.loop_homes);
        scratch.loops[index as usize].homes.end = len(&scratch.loop_homes);
    }

    fn set_loop_depth(&mut self, depth: u32) {
        self.loop_depth = depth;
        self.weight = 1 << (WEIGHT_PER_LEVEL_LOG2 * depth.min(LEVELS_MAX));
    }

    fn call(&mut self, op: &CallOp) {
        self.calls += 1;
        self.uses.insert(Uses::CALL);
        match op {
            CallOp::Call(func) => self.func_type(self.context.env.funcs[func.0 as usize]),
            CallOp::CallIndirect { ty, .. } => self.func_type(*ty),
        }
    }

    #[inline(always)]
    fn variable(&mut self, op: VariableOp) {
        match op {
            VariableOp::LocalGet(local) => self.local_use(local),
            VariableOp::LocalSet(local) | VariableOp::LocalTee(local) => {
                self.local_use(local);
                self.local_write(local);
            }
            VariableOp::GlobalGet(global) => self.global_get(global),
            VariableOp::GlobalSet(_) => self.uses.insert(Uses::GLOBAL_SET),
        }
    }

    #[inline]
    fn local_use(&mut self, local: LocalIndex) {
        let entry = &mut self.scratch.locals[local.0 as usize];
        let (weight, touched) = if self.loop_depth == 0 {
            (&mut entry.func, &mut self.scratch.func_touched)
        } else {
            (&mut entry.nest, &mut self.scratch.nest_touched)
        };
        if *weight == 0 {
            touched.push(local.0);
        }
        *weight = weight.saturating_add(self.weight);
    }

    #[inline]
    fn local_write(&mut self, local: LocalIndex) {
        let Some(innermost) = self.scratch.loops.get(self.open_loop as usize) else {
            return;
        };
        let entry = &mut self.scratch.locals[local.0 as usize];
        if entry.logged <= innermost.writes.start {
            self.scratch.writes.push(local);
            entry.logged = len(&self.scratch.writes);
        }
    }

    fn global_get(&mut self, global: GlobalIndex) {
        if let Some(ty) = self.context.env.globals.get(global.0 as usize) {
            self.value_type(ty.content);
        }
    }

    #[inline]
    fn memory(&mut self, op: &MemoryOp) {
        self.uses.insert(match op {
            MemoryOp::Load(_, arg) => access(arg.memory),
            MemoryOp::Store(_, arg) => access(arg.memory),
            MemoryOp::Size(_) => Uses::default(),
            MemoryOp::Grow(_) => Uses::MEMORY_GROW.union(Uses::LIBCALL),
        });
    }

    fn table(&mut self, op: &TableOp) {
        self.uses.insert(match op {
            TableOp::Get(_) | TableOp::Set(_) | TableOp::Grow(_) | TableOp::Fill(_) => {
                Uses::LIBCALL.union(Uses::REFS)
            }
            TableOp::Size(_) => Uses::default(),
        });
    }

    fn reference(&mut self, op: &RefOp) {
        self.uses.insert(match op {
            RefOp::Null(_) | RefOp::IsNull => Uses::REFS,
            RefOp::Func(_) => Uses::REFS.union(Uses::LIBCALL),
        });
    }

    /// Ends a valid body.
    pub(super) fn finish(self, max_operands: u32, operators: u32) -> FuncFacts {
        let scratch = &mut *self.scratch;
        for local in &scratch.func_touched {
            #[cfg(test)]
            {
                scratch.work += 1;
            }
            let weight = scratch.locals[*local as usize].func;
            scratch.ranking.offer(*local, weight, || {
                is_float(self.params, &scratch.runs, *local)
            });
        }
        let mut homes = Vec::new();
        scratch.ranking.take_into(&mut homes);
        FuncFacts {
            max_operands,
            max_depth: self.max_depth,
            local_count: self.locals,
            operator_count: operators,
            call_count: self.calls,
            uses: self.uses,
            loops: scratch.loops.as_slice().into(),
            loop_writes: scratch.writes.as_slice().into(),
            homes: homes.into(),
            loop_homes: scratch.loop_homes.as_slice().into(),
        }
    }
}

impl Scratch {
    /// Makes the scratch as new, after a body of either outcome, in time of what that body touched.
    pub(super) fn reset(&mut self) {
        for local in self
            .func_touched
            .drain(..)
            .chain(self.nest_touched.drain(..))
        {
            #[cfg(test)]
            {
                self.work += 1;
            }
            self.locals[local as usize] = LocalScratch::default();
        }
        self.runs.clear();
        self.blocks.clear();
        self.outer_uses.clear();
        self.loops.clear();
        self.writes.clear();
        self.loop_homes.clear();
        self.ranking.clear();
    }
}

/// The best locals of each register class so far.
#[derive(Default)]
struct Ranking {
    ints: Vec<HomeCandidate>,
    floats: Vec<HomeCandidate>,
}

impl Ranking {
    fn offer(&mut self, local: u32, weight: u32, is_float: impl FnOnce() -> bool) {
        if weight < WEIGHT_MIN || !(admits(&self.ints, weight) || admits(&self.floats, weight)) {
            return;
        }
        let list = if is_float() {
            &mut self.floats
        } else {
            &mut self.ints
        };
        if !admits(list, weight) {
            return;
        }
        let candidate = HomeCandidate {
            local: LocalIndex(local),
            weight,
        };
        if list.len() == HOME_CANDIDATES {
            list.pop();
        }
        let at = list.partition_point(|other| rank(other) < rank(&candidate));
        list.insert(at, candidate);
    }

    /// Appends both classes, best first, and starts anew.
    fn take_into(&mut self, out: &mut Vec<HomeCandidate>) {
        let start = out.len();
        out.append(&mut self.ints);
        out.append(&mut self.floats);
        out[start..].sort_unstable_by_key(rank);
    }

    fn clear(&mut self) {
        self.ints.clear();
        self.floats.clear();
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

/// Sort key: heavier first, then by index.
fn rank(candidate: &HomeCandidate) -> (std::cmp::Reverse<u32>, LocalIndex) {
    (std::cmp::Reverse(candidate.weight), candidate.local)
}

/// Whether a local of this weight may enter the list. Of equal weights the one that was used first stays.
fn admits(list: &[HomeCandidate], weight: u32) -> bool {
    list.len() < HOME_CANDIDATES || list.last().is_none_or(|last| last.weight < weight)
}

/// Lengths here are bounded by the size of a body.
fn len<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

fn access(memory: MemoryIndex) -> Uses {
    if memory.0 == 0 {
        Uses::MEMORY0
    } else {
        Uses::OTHER_MEMORY
    }
}
