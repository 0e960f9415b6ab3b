//! A body that is entered at a loop header in the middle (docs/abi.md, OSR).
//!
//! Problem: baseline code stands at the header of loop L, and the optimized code should go on from there. A jump into a
//! loop nest from outside would make L's header the header of every loop around it: nothing could be moved out of L any
//! more. And code before the nest, which is over, should not be compiled.
//!
//! Data: the values come in a buffer, in the order of [`LoopState`]. The blocks around L are found by one walk over the body
//! up to L; how many operands lie below each is in the state.
//!
//! If no loop is around L, the translation just starts at L with the enclosing blocks open, and what lies before L is never
//! looked at. Else let N be the outermost loop around L. Three parts:
//!
//! ```text
//!   entry:  read the buffer
//!   (A)     L once more, a copy of its own: the rounds that are left   --> rest
//!   (C)     N from its header up to L, then L as usual                 --> rest
//!   (D)     rest: behind L, to the end of the function; jumps back to N's header
//! ```
//!
//! Why it is right: A copy of L runs with exactly the state at L's header, so what leaves it leaves L. It can leave to the code
//! behind L (`rest`), to the end of an enclosing block, to the header of an enclosing loop. For the blocks and loops around L
//! from N inwards these targets are *shared* between (A) and (C): they are made before (A), and (C), when it comes by
//! the operator that opens the block, uses them instead of making new ones.
//!
//! Operands below a block are the same SSA values on all paths to its end in an ordinary translation, because its start dominates
//! its end. With two ways in that is no longer so. Hence each operand above N's own height is also a variable of Cranelift's
//! frontend ([`Nest::below`]), which makes the block parameters: defined from the buffer for (A), defined by (C) whenever
//! it opens one of the shared blocks, and read again where paths meet: at `rest` and at the ends of shared blocks. Locals are
//! variables anyway. Operands below N come from the buffer alone, and the entry dominates everything.

use super::control::{Frame, FrameKind, Types};
use super::region::Region;
use super::state::Translator;
use crate::signature::clif_type;
use crate::traps;
use cranelift_codegen::ir::{Block, InstBuilder as _, SourceLoc, Value};
use cranelift_frontend::Variable;
use std::collections::{HashMap, HashSet};
use upshift_abi::{CompileError, CompileErrorKind, LoopState, OSR_CELL_BYTES, SiteIndex, TrapCode};
use upshift_module::ops::{BlockType, CallOp, ControlOp, VariableOp};
use upshift_module::{Op, ValType};

/// Most definitions of operands as variables: each block around the loop defines those below it.
const DEFINITIONS_MAX: usize = 1 << 20;

/// What opens a block that encloses the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opening {
    Block,
    Loop,
    If,
    /// The second arm.
    Else,
}

/// A block around the loop, or the loop itself.
#[derive(Clone, Copy, Debug)]
struct Enclosing {
    opening: Opening,
    /// Of the operator that opens it, from the start of the body.
    offset: u32,
    ty: BlockType,
}

/// The part of the body from the outermost loop around the entered one on, while it is translated.
#[derive(Default)]
pub(super) struct Nest {
    /// By the offset of the opening operator: the end of a block, or the header of a loop.
    shared: HashMap<u32, Block>,
    blocks: HashSet<Block>,
    /// Offset of the entered loop.
    entered: Option<u32>,
    /// The operands above `base`, as variables.
    below: Vec<(Variable, ValType)>,
    /// Operands below the outermost loop.
    base: usize,
}

impl Nest {
    /// The end or header of the block that the operator at this offset opens, if it was made before.
    pub(super) fn shared(&self, offset: u32) -> Option<Block> {
        self.shared.get(&offset).copied()
    }
}

impl<'a> Translator<'a, '_> {
    /// Translates the body as entered at the loop; the entry block is open.
    pub(super) fn enter_loop(
        &mut self,
        state: &LoopState,
        buffer: Value,
    ) -> Result<(), CompileError> {
        let (enclosing, end) = self.enclosing(state.site)?;
        if enclosing.len() != state.heights.len() {
            return Err(disagree("blocks around the loop"));
        }
        self.read_buffer(state, buffer)?;
        let outermost = enclosing
            .iter()
            .position(|block| block.opening == Opening::Loop)
            .unwrap_or(0);
        let last = enclosing.len() - 1;
        let offset = enclosing[last].offset;
        if outermost == last {
            self.open_enclosing(&enclosing[..last], state, last);
            return self.ops(offset, u32::MAX);
        }
        self.open_enclosing(&enclosing[..last], state, outermost);
        self.below_as_variables(state, outermost)?;
        self.nest.entered = Some(offset);
        let header = self.nest.shared(enclosing[outermost].offset);
        let rest = self.block_of(self.results(enclosing[last].ty));
        self.nest.blocks.insert(rest);

        self.ops(offset, end)?;
        let left = self.go_on_at(rest, enclosing[last].ty);

        self.restart_at(header, enclosing[outermost], (outermost, state));
        self.ops(enclosing[outermost].offset + 1, end)?;
        let came_by = self.go_on_at(rest, enclosing[last].ty);
        if self.scratch.frames.len() != last + 1 {
            return Err(disagree("open blocks behind the loop"));
        }

        self.builder.switch_to_block(rest);
        self.builder.seal_block(rest);
        self.reachable = left || came_by;
        self.resume_with_params(rest, state.heights[last] as usize);
        if !self.reachable {
            // Nobody leaves the loop, and the frontend wants each block that has parameters to end.
            let code = traps::to_clif(TrapCode::Unreachable);
            self.builder.ins().trap(code);
        }
        self.ops(end, u32::MAX)
    }

    /// Translates the operators of the present body from an offset up to another one.
    pub(super) fn ops(&mut self, from: u32, to: u32) -> Result<(), CompileError> {
        let mut indirect_calls = 0;
        for (offset, op) in self.func.ops() {
            if offset >= to {
                break;
            }
            if let Op::Call(CallOp::CallIndirect { .. }) = op {
                self.indirect_calls = indirect_calls;
                indirect_calls += 1;
            }
            if offset < from {
                continue;
            }
            self.offset = offset;
            let place = SourceLoc::new(self.body.base + offset);
            self.builder.set_srcloc(place);
            if self.reachable || matches!(op, Op::Control(_)) {
                self.op(&op)?;
                self.check_size()?;
            }
        }
        Ok(())
    }

    /// The blocks that are open at a loop's header, outermost first, and the loop; and the offset behind the loop's `end`.
    fn enclosing(&self, site: SiteIndex) -> Result<(Vec<Enclosing>, u32), CompileError> {
        let mut open = Vec::new();
        let mut loops = 0;
        // How many blocks are open in the loop, once it is found.
        let mut found = None;
        let mut ops = self.func.ops();
        while let Some((offset, op)) = ops.next() {
            let Op::Control(op) = op else { continue };
            let opens = |opening, ty| Enclosing {
                opening,
                offset,
                ty,
            };
            match op {
                ControlOp::Block(ty) => open.push(opens(Opening::Block, ty)),
                ControlOp::If(ty) => open.push(opens(Opening::If, ty)),
                ControlOp::Loop(ty) => {
                    open.push(opens(Opening::Loop, ty));
                    loops += 1;
                    if loops == site.0 {
                        found = Some(open.len());
                    }
                }
                ControlOp::Else => {
                    if let Some(block) = open.last_mut() {
                        block.opening = Opening::Else;
                    }
                }
                ControlOp::End if found == Some(open.len()) => return Ok((open, ops.offset())),
                ControlOp::End => drop(open.pop()),
                ControlOp::Br(_)
                | ControlOp::BrIf(_)
                | ControlOp::BrTable(_)
                | ControlOp::Return
                | ControlOp::Unreachable
                | ControlOp::Nop => {}
            }
        }
        Err(disagree("number of loops"))
    }

    /// Declares the locals and loads them, the operands and the result pointer.
    fn read_buffer(&mut self, state: &LoopState, buffer: Value) -> Result<(), CompileError> {
        let mut cell = 0;
        if state.result_pointer.is_some() {
            let pointer = self.read_cell(ValType::I64, buffer, &mut cell);
            self.result_pointer = Some(pointer);
        }
        let func = self.func;
        let assigned = self.assigned_locals();
        let params = func.ty().params().iter().map(|&ty| (1, ty));
        let mut index = 0;
        for (count, ty) in params.chain(func.locals()) {
            for _ in 0..count {
                let read = self.read_cell(ty, buffer, &mut cell);
                let value = if assigned.contains(&index) {
                    read
                } else {
                    self.zero(ty)
                };
                index += 1;
                let variable = self.declare_local(ty);
                self.scratch.locals.push(variable);
                self.builder.def_var(variable, value);
            }
        }
        for &(ty, _) in &state.operands {
            let value = self.read_cell(ty, buffer, &mut cell);
            self.push(value);
        }
        let cells = i32::try_from(state.cells()).unwrap_or(i32::MAX);
        if cell != cells {
            return Err(disagree("number of values"));
        }
        Ok(())
    }

    /// Parameters, and the locals that some operator writes. All others are zero or null wherever the function is entered, as
    /// they are constants where it begins.
    fn assigned_locals(&self) -> HashSet<u32> {
        let params = u32::try_from(self.func.ty().params().len()).unwrap_or(u32::MAX);
        let written = self.func.ops().filter_map(|(_, op)| {
            let Op::Variable(VariableOp::LocalSet(local) | VariableOp::LocalTee(local)) = op else {
                return None;
            };
            Some(local.0)
        });
        (0..params).chain(written).collect()
    }

    fn read_cell(&mut self, ty: ValType, buffer: Value, cell: &mut i32) -> Value {
        let flags = self.trusted(Region::LoopEntry);
        let offset = *cell * OSR_CELL_BYTES.cast_signed();
        let value = self
            .builder
            .ins()
            .load(clif_type(ty), flags, buffer, offset);
        if ty.is_ref() {
            self.builder.declare_value_needs_stack_map(value);
        }
        *cell += 1;
        value
    }

    /// Opens the blocks around the loop; those from `first` on share their ends and headers with part (C).
    fn open_enclosing(&mut self, enclosing: &[Enclosing], state: &LoopState, first: usize) {
        self.scratch.frames.push(Frame::function());
        for (i, block) in enclosing.iter().enumerate() {
            let target = (i >= first).then(|| {
                let types = match block.opening {
                    Opening::Loop => self.params(block.ty),
                    Opening::Block | Opening::If | Opening::Else => self.results(block.ty),
                };
                let target = self.block_of(types);
                self.nest.shared.insert(block.offset, target);
                self.nest.blocks.insert(target);
                target
            });
            let kind = match (block.opening, target) {
                (Opening::Loop, Some(header)) => {
                    self.open_loops += 1;
                    FrameKind::Loop { header }
                }
                // A loop outside the outermost one does not exist.
                (Opening::Block | Opening::Else | Opening::Loop, _) => FrameKind::Block,
                (Opening::If, _) => FrameKind::EnteredIf,
            };
            let height = state.heights[i] as usize;
            let exit = target.filter(|_| block.opening != Opening::Loop);
            self.scratch
                .frames
                .push(Frame::enclosing(kind, block.ty, height, exit));
        }
    }

    /// Makes variables of the operands between the outermost loop's height and the entered loop's.
    fn below_as_variables(
        &mut self,
        state: &LoopState,
        outermost: usize,
    ) -> Result<(), CompileError> {
        let base = state.heights[outermost] as usize;
        let top = state.heights[state.heights.len() - 1] as usize;
        self.nest.base = base;
        for height in base..top {
            let (ty, _) = state.operands[height];
            let variable = self.declare_local(ty);
            self.nest.below.push((variable, ty));
            let value = self.scratch.stack[height];
            self.builder.def_var(variable, value);
        }
        if self.nest.below.len() * self.nest.shared.len() > DEFINITIONS_MAX {
            let message = "too many operands around the loop";
            return Err(CompileError::new(CompileErrorKind::Limit, message));
        }
        Ok(())
    }

    /// Part (C) is about to open a block: defines the variables of the operands below it.
    pub(super) fn define_below(&mut self, height: usize) {
        let opens = self.nest.shared.contains_key(&self.offset);
        if !opens && self.nest.entered != Some(self.offset) {
            return;
        }
        for at in self.nest.base..height {
            if let Some(&(variable, _)) = self.nest.below.get(at - self.nest.base) {
                let value = self.scratch.stack[at];
                self.builder.def_var(variable, value);
            }
        }
    }

    /// Paths of parts (A) and (C) have met in front of this block: the operands below are what their variables say.
    pub(super) fn meet_at(&mut self, block: Block, height: usize) {
        let Some(count) = height.checked_sub(self.nest.base) else {
            return;
        };
        if !self.nest.blocks.contains(&block) {
            return;
        }
        self.scratch.stack.truncate(self.nest.base);
        for i in 0..count.min(self.nest.below.len()) {
            let (variable, ty) = self.nest.below[i];
            let value = self.builder.use_var(variable);
            self.push_typed(ty, value);
        }
    }

    /// Behind the loop: goes to `rest` with its results. Whether that can happen.
    fn go_on_at(&mut self, rest: Block, ty: BlockType) -> bool {
        let reachable = self.reachable;
        if reachable {
            let count = self.results(ty).len();
            let results = self.top(count);
            self.builder.ins().jump(rest, &results);
        }
        self.reachable = false;
        reachable
    }

    /// Starts part (C) behind the operator that opens the outermost loop.
    fn restart_at(
        &mut self,
        header: Option<Block>,
        outermost: Enclosing,
        (index, state): (usize, &LoopState),
    ) {
        let Some(header) = header else { return };
        // The function's frame comes first.
        self.scratch.frames.truncate(index + 1);
        self.open_loops = 1;
        self.skipped_blocks = 0;
        self.reachable = true;
        let height = state.heights[index] as usize;
        let frame = Frame::enclosing(FrameKind::Loop { header }, outermost.ty, height, None);
        self.scratch.frames.push(frame);
        self.builder.switch_to_block(header);
        self.resume_with_params(header, height);
        if self.env.interruption {
            self.check_interrupt();
        }
    }

    /// A block that part (A) has made already, or a new one.
    pub(super) fn shared_or_new(&mut self, types: Types<'_>) -> Block {
        match self.nest.shared(self.offset) {
            Some(block) => block,
            None => self.block_of(types),
        }
    }
}

#[cold]
fn disagree(what: &str) -> CompileError {
    let message = format!("the tiers disagree about the {what}");
    CompileError::new(CompileErrorKind::Internal, message)
}
