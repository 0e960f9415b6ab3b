//! Structured control (spec 4.4.8).
//!
//! A block's exit is created by the first branch to it: most blocks that are never left by a branch then cost no CLIF block at all.
//! Its parameters are the block's results. A loop's label is its header, whose parameters are those of the loop; it stays unsealed up to
//! the loop's end, because any branch inside may come back to it.

use super::region::{Region, field};
use super::state::Translator;
use crate::signature::{POINTER, clif_type, in_register};
use crate::traps;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, InstBuilder as _, JumpTableData, Value, types,
};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::mem::offset_of;
use upshift_abi::{ResultLoc, StoreContext, TrapCode, VmContext};
use upshift_module::ops::{BlockType, BrTable, ControlOp};
use upshift_module::{TypeIndex, ValType};

/// An open block.
pub(super) struct Frame {
    kind: FrameKind,
    ty: BlockType,
    /// Operands below the block's parameters.
    height: usize,
    /// Where branches to its end go, once there is one. None for loops.
    exit: Option<Block>,
}

#[derive(Clone, Copy)]
pub(super) enum FrameKind {
    /// The body: leaving it is a return.
    Function,
    /// An inlined body: leaving it leads behind the call.
    Inlined,
    /// `block`, or the second arm of an `if`.
    Block,
    /// `loop`
    Loop { header: Block },
    /// The first arm of an `if`. Its parameters are kept from this index of `if_params` on.
    If { second: Block, params: usize },
    /// The first arm of an `if` in which the function was entered: nothing leads to the second.
    EnteredIf,
}

impl Frame {
    /// The body of the function.
    pub(super) fn function() -> Self {
        Self {
            kind: FrameKind::Function,
            ty: BlockType::Empty,
            height: 0,
            exit: None,
        }
    }

    /// A body in place of a call of a function of this type.
    pub(super) fn inlined(ty: TypeIndex, height: usize) -> Self {
        Self {
            kind: FrameKind::Inlined,
            ty: BlockType::Func(ty),
            height,
            exit: None,
        }
    }

    /// A block around the loop at which the function is entered.
    pub(super) fn enclosing(
        kind: FrameKind,
        ty: BlockType,
        height: usize,
        exit: Option<Block>,
    ) -> Self {
        Self {
            kind,
            ty,
            height,
            exit,
        }
    }
}

/// Types of a label.
#[derive(Clone, Copy)]
pub(super) enum Types<'a> {
    One(ValType),
    Many(&'a [ValType]),
}

impl<'a> Types<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(types) => types.len(),
        }
    }

    fn iter(self) -> impl Iterator<Item = ValType> + use<'a> {
        let (one, many) = match self {
            Self::One(ty) => (Some(ty), [].as_slice()),
            Self::Many(types) => (None, types),
        };
        one.into_iter().chain(many.iter().copied())
    }
}

type Args = SmallVec<[BlockArg; 8]>;

impl<'a> Translator<'a, '_> {
    /// A control operator; the only category that also sees unreachable code.
    pub(super) fn control(&mut self, op: &ControlOp<'_>) {
        if !self.reachable {
            return self.skip(op);
        }
        match op {
            ControlOp::Unreachable => {
                let code = traps::to_clif(TrapCode::Unreachable);
                self.builder.ins().trap(code);
                self.reachable = false;
            }
            ControlOp::Nop => {}
            ControlOp::Block(ty) => self.open(FrameKind::Block, *ty),
            ControlOp::Loop(ty) => self.open_loop(*ty),
            ControlOp::If(ty) => self.open_if(*ty),
            ControlOp::Else => self.second_arm(),
            ControlOp::End => self.end(),
            ControlOp::Br(depth) => {
                let (target, args) = self.label(*depth);
                self.builder.ins().jump(target, &args);
                self.reachable = false;
            }
            ControlOp::BrIf(depth) => self.branch_if(*depth),
            ControlOp::BrTable(table) => self.branch_table(table),
            ControlOp::Return => self.leave_body(),
        }
    }

    /// Unreachable code: only what opens and closes blocks matters.
    fn skip(&mut self, op: &ControlOp<'_>) {
        match op {
            ControlOp::Block(_) | ControlOp::Loop(_) | ControlOp::If(_) => self.skipped_blocks += 1,
            ControlOp::Else if self.skipped_blocks == 0 => self.second_arm(),
            ControlOp::End if self.skipped_blocks == 0 => self.end(),
            ControlOp::End => self.skipped_blocks -= 1,
            ControlOp::Else
            | ControlOp::Unreachable
            | ControlOp::Nop
            | ControlOp::Br(_)
            | ControlOp::BrIf(_)
            | ControlOp::BrTable(_)
            | ControlOp::Return => {}
        }
    }

    fn open(&mut self, kind: FrameKind, ty: BlockType) {
        let height = self.scratch.stack.len() - self.params(ty).len();
        let exit = match kind {
            FrameKind::Loop { .. } => None,
            FrameKind::Function
            | FrameKind::Inlined
            | FrameKind::Block
            | FrameKind::If { .. }
            | FrameKind::EnteredIf => self.nest.shared(self.offset),
        };
        self.define_below(height);
        self.scratch.frames.push(Frame {
            kind,
            ty,
            height,
            exit,
        });
    }

    fn open_loop(&mut self, ty: BlockType) {
        let types = self.params(ty);
        let header = self.shared_or_new(types);
        let args = self.top(types.len());
        self.open_loops += 1;
        self.open(FrameKind::Loop { header }, ty);
        self.builder.ins().jump(header, &args);
        self.builder.switch_to_block(header);
        let height = self.scratch.stack.len() - types.len();
        self.resume_with_params(header, height);
        if self.env.interruption {
            self.check_interrupt();
        }
    }

    /// Traps if the host wants the guest to stop. Another thread writes the word, but Cranelift knows of no store to it, and would give the
    /// header of an inner loop the value that the outer one has loaded. So each loop spells the address in a way of its own, as n bytes
    /// below plus n: instruction selection folds that back into one displacement. An atomic load would do as well, but it
    /// ends all knowledge of memory, and the comparison could not read its operand from memory.
    pub(super) fn check_interrupt(&mut self) {
        let vmctx = self.vmctx;
        let store = field(offset_of!(VmContext, store));
        let store = self.load_fixed(POINTER, vmctx, store);
        self.loops += 1;
        let below = self.builder.ins().iadd_imm_s(store, -i64::from(self.loops));
        let offset = field(offset_of!(StoreContext, interrupt)) + self.loops;
        let flags = self.trusted(Region::Interrupt);
        let word = self.builder.ins().load(types::I32, flags, below, offset);
        let code = traps::to_clif(TrapCode::Interrupt);
        self.builder.ins().trapnz(word, code);
    }

    fn open_if(&mut self, ty: BlockType) {
        let condition = self.pop();
        let first = self.builder.create_block();
        let second = self.builder.create_block();
        self.builder.ins().brif(condition, first, &[], second, &[]);
        self.builder.seal_block(first);
        self.builder.seal_block(second);
        let params = self.scratch.if_params.len();
        self.open(FrameKind::If { second, params }, ty);
        let height = self.scratch.stack.len() - self.params(ty).len();
        let scratch = &mut *self.scratch;
        scratch
            .if_params
            .extend_from_slice(&scratch.stack[height..]);
        self.operands += self.scratch.stack.len() - height;
        self.builder.switch_to_block(first);
    }

    fn second_arm(&mut self) {
        let depth = self.scratch.frames.len() - 1;
        let frame = &self.scratch.frames[depth];
        let (kind, height) = (frame.kind, frame.height);
        if self.reachable {
            let (exit, args) = self.label(0);
            self.builder.ins().jump(exit, &args);
        }
        self.scratch.frames[depth].kind = FrameKind::Block;
        match kind {
            FrameKind::If { second, params } => self.enter_second(second, params, height),
            FrameKind::EnteredIf => {
                self.scratch.stack.truncate(height);
                self.reachable = false;
            }
            FrameKind::Function
            | FrameKind::Inlined
            | FrameKind::Block
            | FrameKind::Loop { .. } => {
                unreachable!("validation has matched else with if")
            }
        }
    }

    fn enter_second(&mut self, second: Block, params: usize, height: usize) {
        self.scratch.stack.truncate(height);
        let scratch = &mut *self.scratch;
        scratch.stack.extend(scratch.if_params.drain(params..));
        self.builder.switch_to_block(second);
        self.reachable = true;
    }

    fn end(&mut self) {
        let frame = self
            .scratch
            .frames
            .last()
            .expect("validation has matched end with a block");
        let height = frame.height;
        match frame.kind {
            FrameKind::Function => {
                self.close(height);
                if self.reachable {
                    self.emit_return();
                    self.reachable = false;
                }
            }
            FrameKind::Inlined | FrameKind::Block | FrameKind::EnteredIf => self.close(height),
            FrameKind::Loop { header } => {
                self.builder.seal_block(header);
                self.open_loops -= 1;
                self.close(height);
            }
            FrameKind::If { second, params } => {
                // Without a second arm the parameters are the results.
                if self.reachable {
                    let (exit, args) = self.label(0);
                    self.builder.ins().jump(exit, &args);
                }
                self.enter_second(second, params, height);
                self.close(height);
            }
        }
    }

    /// Ends a block: control comes from the code before, from branches to the exit, from both or from nowhere.
    fn close(&mut self, height: usize) {
        let exit = self.scratch.frames.last().and_then(|frame| frame.exit);
        match exit {
            Some(exit) => {
                if self.reachable {
                    let (exit, args) = self.label(0);
                    self.builder.ins().jump(exit, &args);
                }
                self.builder.seal_block(exit);
                self.builder.switch_to_block(exit);
                self.resume_with_params(exit, height);
                self.reachable = true;
            }
            None if self.reachable => {}
            None => self.scratch.stack.truncate(height),
        }
        self.scratch.frames.pop();
    }

    fn branch_if(&mut self, depth: u32) {
        let condition = self.pop();
        let (target, args) = self.label(depth);
        let next = self.builder.create_block();
        self.builder.ins().brif(condition, target, &args, next, &[]);
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
    }

    /// Labels without operands are targets of the jump table themselves; others get a block each that passes the operands on, so
    /// that a table of thousands of targets does not repeat them.
    fn branch_table(&mut self, table: &BrTable<'_>) {
        let index = self.pop();
        let mut relays = BTreeMap::new();
        let default = self.table_target(table.default(), &mut relays);
        let targets: Vec<BlockCall> = table
            .targets()
            .map(|depth| self.table_target(depth, &mut relays))
            .collect();
        let jump_table = self
            .builder
            .create_jump_table(JumpTableData::new(default, &targets));
        self.builder.ins().br_table(index, jump_table);
        for (depth, relay) in relays {
            self.builder.seal_block(relay);
            self.builder.switch_to_block(relay);
            let (target, args) = self.label(depth);
            self.builder.ins().jump(target, &args);
        }
        self.reachable = false;
    }

    fn table_target(&mut self, depth: u32, relays: &mut BTreeMap<u32, Block>) -> BlockCall {
        let (target, arity) = self.target(depth);
        let target = if arity == 0 {
            target
        } else {
            let builder = &mut self.builder;
            *relays
                .entry(depth)
                .or_insert_with(|| builder.create_block())
        };
        self.builder.func.dfg.block_call(target, &[])
    }

    /// Target of a branch and the operands it takes along, which stay on the stack.
    fn label(&mut self, depth: u32) -> (Block, Args) {
        let (target, arity) = self.target(depth);
        (target, self.top(arity))
    }

    /// Target of a branch and how many operands it takes.
    fn target(&mut self, depth: u32) -> (Block, usize) {
        self.target_at(self.scratch.frames.len() - 1 - depth as usize)
    }

    /// As [`Self::target`], by the index of the block.
    fn target_at(&mut self, at: usize) -> (Block, usize) {
        let types = self.label_types(at);
        let frame = &self.scratch.frames[at];
        let target = match (frame.kind, frame.exit) {
            (FrameKind::Loop { header }, _) => header,
            (_, Some(exit)) => exit,
            (
                FrameKind::Function
                | FrameKind::Inlined
                | FrameKind::Block
                | FrameKind::If { .. }
                | FrameKind::EnteredIf,
                None,
            ) => {
                let exit = self.block_of(types);
                self.scratch.frames[at].exit = Some(exit);
                exit
            }
        };
        (target, types.len())
    }

    fn label_types(&self, at: usize) -> Types<'a> {
        let frame = &self.scratch.frames[at];
        match frame.kind {
            FrameKind::Function => Types::Many(self.func.ty().results()),
            FrameKind::Loop { .. } => self.params(frame.ty),
            FrameKind::Inlined | FrameKind::Block | FrameKind::If { .. } | FrameKind::EnteredIf => {
                self.results(frame.ty)
            }
        }
    }

    pub(super) fn params(&self, ty: BlockType) -> Types<'a> {
        match ty {
            BlockType::Empty | BlockType::Value(_) => Types::Many(&[]),
            BlockType::Func(ty) => Types::Many(self.func.env().ty(ty).params()),
        }
    }

    pub(super) fn results(&self, ty: BlockType) -> Types<'a> {
        match ty {
            BlockType::Empty => Types::Many(&[]),
            BlockType::Value(ty) => Types::One(ty),
            BlockType::Func(ty) => Types::Many(self.func.env().ty(ty).results()),
        }
    }

    /// A block with parameters of these types.
    pub(super) fn block_of(&mut self, types: Types<'_>) -> Block {
        let block = self.builder.create_block();
        for ty in types.iter() {
            let param = self.builder.append_block_param(block, clif_type(ty));
            if ty.is_ref() {
                self.builder.declare_value_needs_stack_map(param);
            }
        }
        block
    }

    /// The operands above `height` are from here on the block's parameters.
    pub(super) fn resume_with_params(&mut self, block: Block, height: usize) {
        // First, because variables that are read there become parameters, too.
        let params: SmallVec<[Value; 8]> = self.builder.block_params(block).into();
        self.scratch.stack.truncate(height);
        self.meet_at(block, height);
        self.scratch.stack.extend_from_slice(&params);
    }

    pub(super) fn top(&mut self, count: usize) -> Args {
        self.operands += count;
        let stack = &self.scratch.stack;
        let operands = &stack[stack.len() - count..];
        operands.iter().map(|&value| value.into()).collect()
    }

    /// Leaves the body with the top operands.
    fn leave_body(&mut self) {
        match self.scratch.frames[self.root].kind {
            FrameKind::Inlined => {
                let (end, arity) = self.target_at(self.root);
                let results = self.top(arity);
                self.builder.ins().jump(end, &results);
            }
            FrameKind::Function
            | FrameKind::Block
            | FrameKind::Loop { .. }
            | FrameKind::If { .. }
            | FrameKind::EnteredIf => self.emit_return(),
        }
        self.reachable = false;
    }

    /// Returns the top operands from the function.
    fn emit_return(&mut self) {
        let ty = self.func.env().funcs[self.func.index().0 as usize];
        let layout = &self.env.signatures[ty.0 as usize];
        let first = self.scratch.stack.len() - layout.results.len();
        let mut in_registers: SmallVec<[Value; 8]> = SmallVec::new();
        for (at, &loc) in layout.results.iter().enumerate() {
            let value = self.scratch.stack[first + at];
            match (loc, self.result_pointer) {
                (ResultLoc::Memory(offset), Some(area)) => {
                    let flags = self.trusted(Region::Results);
                    let offset = field(offset as usize);
                    self.builder.ins().store(flags, value, area, offset);
                }
                (ResultLoc::Memory(_) | ResultLoc::Int(_) | ResultLoc::Float(_), _) => {
                    debug_assert!(in_register(loc));
                    in_registers.push(value);
                }
            }
        }
        self.builder.ins().return_(&in_registers);
    }
}
