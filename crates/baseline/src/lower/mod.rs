//! From operators to instructions.
//!
//! [`Lower`] is the state of one function's compilation. This file walks the body and dispatches by category;
//! each category's file matches its own enum without a wildcard.

mod allocate;
mod bulk;
mod call;
mod check;
mod cold;
mod control;
mod convert;
#[cfg(test)]
mod edge_tests;
mod entry;
mod float;
mod homes;
mod int;
mod int_const;
mod int_magic;
mod memory;
mod merge;
mod operands;
mod osr;
mod parametric;
mod reference;
mod table;
mod variable;

use crate::isa::Addr;
use crate::isa::x64::Asm;
use crate::state::frame::Frame;
use crate::state::labels::{Block, SavedReg};
use crate::state::locals::Local;
use crate::state::registers::Registers;
use crate::state::value::{Place, ValueStack};
use cold::Cold;
use homes::LoopHomes;
use upshift_abi::{
    CodeKind, CompileEnv, CompileError, CompileErrorKind, CompileOptions, CompiledFunc, LoopState,
    MemoryStyle, SignatureLayout, SiteIndex, StackMap, Tier,
};
use upshift_module::ops::{CallOp, ControlOp, MemoryOp, VariableOp};
use upshift_module::{Code, FuncFacts, ModuleEnv, Op, OpSink, Uses, ValidatedFunc};

/// Most entries of stack maps per function: a bound on what a body full of references can cost.
const MAP_SLOTS_MAX: usize = 1 << 22;

/// A body of n bytes may give this many times n bytes of code ...
const CODE_BYTES_PER_BODY_BYTE: u32 = 256;
/// ... and this many more, but no more than the next figure. Real bodies give about twice their size; one of two-byte branches
/// that carry a thousand operands each would give thousands of times its size.
const CODE_BYTES_FREE: u32 = 1 << 20;
/// Most bytes of code of a function.
const CODE_BYTES_MAX: u32 = 1 << 28;

/// Memory that goes from function to function.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    asm: Asm,
    stack: ValueStack,
    regs: Registers,
    locals: Vec<Local>,
    frame: Frame,
    blocks: Vec<Block>,
    snapshots: Vec<SavedReg>,
    cold: Vec<Cold>,
    loop_homes: LoopHomes,
    /// Locals in homes that calls do not preserve.
    scratch_homes: Vec<u16>,
    /// Locals of reference type.
    ref_locals: Vec<u16>,
}

impl Scratch {
    /// Entries of the largest list, roughly.
    pub(crate) fn largest(&self) -> usize {
        let asm = self.asm.capacity() / 64;
        asm.max(self.locals.capacity()).max(self.cold.capacity())
    }
}

/// Compilation of one function.
#[derive(Debug)]
pub(crate) struct Lower<'a> {
    // Inputs.
    func: ValidatedFunc<'a>,
    env: &'a CompileEnv<'a>,
    options: &'a CompileOptions,
    module: &'a ModuleEnv,
    facts: &'a FuncFacts,
    sig: &'a SignatureLayout,
    // Working state.
    s: Scratch,
    /// The next operator assigns this local, whose home a result may be computed into. Only while an operator is compiled
    /// that is followed by such an assignment, which ends it.
    hint: Option<u16>,
    /// The operator has left a comparison in the flags.
    compared: bool,
    reachable: bool,
    /// Blocks opened in unreachable code.
    skipped: u32,
    loops_seen: u32,
    /// `call_indirect` operators so far.
    indirect_seen: u32,
    tables_seen: u32,
    /// Number of declared locals whose slots are cleared: the first ones below the parameters.
    cleared: i32,
    /// Lowest slot and number of 8-byte words that are still to be cleared.
    zeros: Option<(i32, i32)>,
    /// Where the result pointer is kept.
    result_pointer: Option<Addr>,
    failure: Option<&'static str>,
    /// The loop whose state is to be noted.
    pub(crate) watched: Option<SiteIndex>,
    // Outputs.
    pub(crate) noted: Option<LoopState>,
    stack_maps: Vec<StackMap>,
    map_slots: usize,
}

impl<'a> Lower<'a> {
    #[inline(always)]
    pub(crate) fn new(
        (func, facts): (ValidatedFunc<'a>, &'a FuncFacts),
        env: &'a CompileEnv<'a>,
        options: &'a CompileOptions,
        scratch: Scratch,
    ) -> Self {
        let module = func.env();
        let ty = module.funcs[func.index().0 as usize];
        let mut s = scratch;
        s.asm.reset(env.cpu);
        s.stack.reset();
        s.locals.clear();
        s.blocks.clear();
        s.snapshots.clear();
        s.cold.clear();
        s.loop_homes.reset();
        s.scratch_homes.clear();
        s.ref_locals.clear();
        s.frame.reset(facts.uses.contains(Uses::V128));
        Self {
            func,
            env,
            options,
            module,
            facts,
            sig: &env.signatures[ty.0 as usize],
            s,
            hint: None,
            compared: false,
            reachable: true,
            skipped: 0,
            loops_seen: 0,
            indirect_seen: 0,
            tables_seen: 0,
            cleared: 0,
            zeros: None,
            result_pointer: None,
            failure: None,
            watched: None,
            noted: None,
            stack_maps: Vec::new(),
            map_slots: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn into_scratch(self) -> Scratch {
        self.s
    }

    /// Compiles the body.
    pub(crate) fn compile(&mut self) -> Result<CompiledFunc, CompileError> {
        let limit = |message| Err(CompileError::new(CompileErrorKind::Limit, message));
        self.s.asm.wasm_offset = self.func.body_offset();
        if self.facts.local_count > u32::from(u16::MAX) {
            return limit("too many locals");
        }
        let fields = self.open()?;
        if !self.walk() {
            return limit("too much code for its body");
        }
        self.emit_cold();
        let (frame, checked) = self.s.frame.sizes();
        let (Ok(frame_i), Ok(checked)) = (i32::try_from(frame), i32::try_from(checked)) else {
            return limit("frame too large");
        };
        self.s.asm.patch_frame(fields, frame_i, checked);
        if self.map_slots > MAP_SLOTS_MAX {
            return limit("too many references across calls");
        }
        if let Some(message) = self.failure {
            return Err(CompileError::new(CompileErrorKind::Internal, message));
        }
        let Some(parts) = self.s.asm.finish() else {
            return limit("code too large");
        };
        Ok(CompiledFunc {
            func: self.func.index(),
            tier: Tier::Baseline,
            kind: CodeKind::Entry,
            code: parts.code,
            text_bytes: parts.text_bytes,
            align: 16,
            relocs: parts.relocs,
            traps: parts.traps,
            calls: parts.calls,
            stack_maps: std::mem::take(&mut self.stack_maps),
            frame_bytes: frame,
            inlined: Vec::new(),
        })
    }

    /// Compiles operator by operator; false if the code grows out of proportion.
    fn walk(&mut self) -> bool {
        let most = self
            .func
            .body_bytes()
            .saturating_mul(CODE_BYTES_PER_BODY_BYTE)
            .saturating_add(CODE_BYTES_FREE)
            .min(CODE_BYTES_MAX);
        let body_offset = self.func.body_offset();
        let mut ops = self.func.ops();
        loop {
            self.s.asm.wasm_offset = body_offset + ops.offset();
            if self.reachable {
                if !ops.visit(self) {
                    return true;
                }
                self.end_operator(ops.next_code());
                if self.s.asm.offset() > most {
                    return false;
                }
            } else if !ops.visit(&mut Unreachable(self)) {
                return true;
            }
        }
    }

    /// Ends an operator; `next` is the code behind it.
    #[inline(always)]
    fn end_operator(&mut self, next: Code<'_>) {
        self.s.regs.pinned = crate::isa::RegSet::EMPTY;
        self.s.asm.flags_live = false;
        if std::mem::take(&mut self.compared) && !next.takes_condition() {
            self.settle_flags();
        }
        self.check_registers();
    }

    /// Notes the local with a home that the next operator assigns.
    #[inline(never)]
    fn note_hint(&mut self, next: Code<'_>) {
        self.hint = next
            .assigned_local()
            .and_then(|local| u16::try_from(local.0).ok())
            .filter(|&local| self.s.locals[usize::from(local)].home().is_some());
    }

    /// The comparison on top goes into a register.
    #[inline(never)]
    fn settle_flags(&mut self) {
        let Some(top) = self.s.stack.len().checked_sub(1) else {
            return;
        };
        if let Place::Flags(cond) = self.s.stack.place(top) {
            let reg = self.alloc(false);
            self.s.asm.set_cond(cond, reg);
            self.s.stack.pop();
            self.push_reg(crate::state::value::Ty::I32, reg);
        }
    }

    /// Guard size if memories are reserved.
    fn guard_bytes(&self) -> Option<u64> {
        match self.env.memory_style {
            MemoryStyle::Reserved { guard_bytes } => Some(guard_bytes),
            MemoryStyle::Checked => None,
        }
    }

    /// Notes that something happened that validated input cannot cause.
    #[cold]
    fn fail(&mut self, message: &'static str) {
        self.failure.get_or_insert(message);
    }
}

impl<'b> OpSink<'b> for Lower<'_> {
    /// Inlined for each opcode, so that it comes down to the call of what the opcode needs.
    #[inline(always)]
    fn op(&mut self, _offset: u32, op: Op<'b>, next: Code<'b>) {
        if assigns_local(&op) {
            self.hint = None;
        } else if computes(&op) && next.assigns_local() {
            self.note_hint(next);
        }
        match op {
            Op::Control(op) => self.control(op),
            Op::Call(op) => self.call(op),
            Op::Parametric(op) => self.parametric(op),
            Op::Variable(op) => self.variable(op),
            Op::Const(op) => self.constant(op),
            Op::Int(width, op) => self.int(width, op),
            Op::Float(width, op) => self.float(width, op),
            Op::Convert(op) => self.convert(op),
            Op::Memory(op) => self.memory(op),
            Op::Bulk(op) => self.bulk(op),
            Op::Table(op) => self.table(op),
            Op::Ref(op) => self.reference(op),
        }
    }
}

/// Takes operators of unreachable code, where only the structure matters.
struct Unreachable<'l, 'a>(&'l mut Lower<'a>);

impl<'b> OpSink<'b> for Unreachable<'_, '_> {
    #[inline(always)]
    fn op(&mut self, _offset: u32, op: Op<'b>, _next: Code<'b>) {
        let Self(lower) = self;
        if let Op::Call(CallOp::CallIndirect { .. }) = op {
            lower.indirect_seen += 1;
        }
        let Op::Control(op) = op else {
            return;
        };
        match op {
            ControlOp::Block(_) | ControlOp::If(_) => lower.skipped += 1,
            ControlOp::Loop(_) => {
                lower.skipped += 1;
                lower.loops_seen += 1;
            }
            ControlOp::Else if lower.skipped == 0 => lower.op_else(),
            ControlOp::End if lower.skipped == 0 => lower.op_end(),
            ControlOp::End => lower.skipped -= 1,
            ControlOp::Else
            | ControlOp::Unreachable
            | ControlOp::Nop
            | ControlOp::Br(_)
            | ControlOp::BrIf(_)
            | ControlOp::BrTable(_)
            | ControlOp::Return => {}
        }
    }
}

/// Whether the operator is one of those that a hint is about.
#[inline(always)]
fn assigns_local(op: &Op<'_>) -> bool {
    matches!(
        op,
        Op::Variable(VariableOp::LocalSet(_) | VariableOp::LocalTee(_))
    )
}

/// Whether the operator may make a new value, which could go straight to a home.
#[inline(always)]
fn computes(op: &Op<'_>) -> bool {
    match op {
        Op::Call(_)
        | Op::Parametric(_)
        | Op::Variable(VariableOp::GlobalGet(_))
        | Op::Int(..)
        | Op::Float(..)
        | Op::Convert(_)
        | Op::Memory(MemoryOp::Load(..) | MemoryOp::Size(_) | MemoryOp::Grow(_))
        | Op::Table(_)
        | Op::Ref(_) => true,
        Op::Control(_)
        | Op::Variable(
            VariableOp::LocalGet(_)
            | VariableOp::LocalSet(_)
            | VariableOp::LocalTee(_)
            | VariableOp::GlobalSet(_),
        )
        | Op::Const(_)
        | Op::Memory(MemoryOp::Store(..))
        | Op::Bulk(_) => false,
    }
}
