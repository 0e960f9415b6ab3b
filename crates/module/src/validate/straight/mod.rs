//! Straightforward code, checked without wasmparser's validator.
//!
//! Most operators of most bodies are locals, constants, arithmetic, memory accesses, and blocks without values, whose
//! rules are simple. [`Straight::run`] checks a run of those itself, with the types of operands in bytes on a small
//! stack of its own, on which the beginning of a block is an entry as well. It stops at the first operator that it does
//! not know, that has too few operands on that stack or one of another type, or whose immediates are long or wrong. What
//! is on the stack is then told to the validator ([`Straight::take`]): operands pushed, blocks opened. So the validator
//! is in the state that it would have come to by itself, and that operator is validated there.
//!
//! **Why nothing wrong is accepted.** An operator is accepted only if all its operands are on the small stack, above
//! the beginning of the innermost block, with types that are known, and its immediates are in bounds; then the rule of
//! the specification holds whatever is below on the validator's stack, in dead code too. Everything else, all errors
//! among it, is wasmparser's. So the rows of [`RULES`] and the few functions here and in `control.rs` are all there
//! is to trust.
//!
//! **Dead code.** Nothing here knows of stacks of unknown types: an operator that never returns is accepted only if the
//! end of its block follows at once, and only if that block began here.

mod control;
mod rules;

use wasmparser::{FuncValidator, WasmFeatures, WasmModuleResources};

pub(super) use rules::Ty;

use crate::env::ModuleEnv;
use crate::facts::Uses;
use crate::features;
use crate::limits;
use crate::types::{FuncType, ValType};
use rules::{RULES, Rule, Shape};

/// The rules here know one kind of memory and table index, memory 0, function types, and locals that begin as zero. Whoever enables
/// one of these proposals must look at all of them again.
const _: () = assert!(
    !features::ENABLED.intersects(
        WasmFeatures::MEMORY64
            .union(WasmFeatures::MULTI_MEMORY)
            .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
            .union(WasmFeatures::THREADS)
            .union(WasmFeatures::GC)
            .union(WasmFeatures::FUNCTION_REFERENCES)
            .union(WasmFeatures::EXCEPTIONS)
            .union(WasmFeatures::CUSTOM_DESCRIPTORS)
    )
);

/// Entries that fit; the position of the topmost fits into a byte with room to spare.
const OPERANDS: u8 = 200;
/// Locals whose types are known here. What a body costs may not depend on the locals that it only declares.
const LOCALS: usize = 1024;

/// The fifth byte of a number that is positive as one of 32 bits, signed or not.
const LAST_BYTE_MAX: u8 = 0x07;

/// Memory that is used for body after body.
pub(super) struct StraightScratch {
    /// Types of operands, and beginnings of blocks, from position 1 on. [`Ty::Nothing`] at 0: whoever looks below the
    /// bottom or into an outer block finds no operand. Positions above the topmost entry have any value.
    types: [Ty; 256],
    /// Types of the first locals.
    locals: Vec<Ty>,
}

impl Default for StraightScratch {
    fn default() -> Self {
        Self {
            types: [Ty::Nothing; 256],
            locals: Vec::new(),
        }
    }
}

/// The state of one body.
pub(super) struct Straight<'a> {
    world: World<'a>,
    scratch: &'a mut StraightScratch,
    height: Height,
    /// Offset of the next operator in the body, in bytes.
    at: usize,
    /// Position of the topmost entry, at most [`OPERANDS`].
    top: u8,
    blocks: Blocks,
    uses: Uses,
}

/// Blocks that begin on the stack here.
#[derive(Clone, Copy)]
struct Blocks {
    /// How many there are.
    open: u8,
    /// How many may be open at once.
    limit: u8,
    /// Loops that were closed here.
    loops: u32,
    /// `call_indirect` operators so far.
    indirect_calls: u32,
}

/// What does not change.
#[derive(Clone, Copy)]
struct World<'a> {
    env: &'a ModuleEnv,
    /// The type of the function.
    ty: &'a FuncType,
    code: &'a [u8],
    has_memory: bool,
    /// Whether calls, blocks and branches are left to the validator, since the types that they compare are counted.
    counts_types: bool,
}

/// How many operands there are and were.
#[derive(Clone, Copy)]
struct Height {
    /// Operands below the entries here, on the validator's stack, less the entries that are no operands (wraps).
    below: u32,
    /// Most operands that there have been.
    max: u32,
    /// The highest `top` that needs no look: at most [`OPERANDS`], and what `max` allows.
    limit: u8,
}

impl Height {
    #[inline]
    fn bound(&mut self) {
        let room = self.max.wrapping_sub(self.below);
        self.limit = u8::try_from(room).unwrap_or(OPERANDS).min(OPERANDS);
    }

    /// Makes room for one more operand above `top`: notes the new maximum. False if it has no place here or is one too
    /// many, about which the validator's pass complains.
    #[cold]
    fn raise(&mut self, top: u8) -> bool {
        let operands = self.below.wrapping_add(u32::from(top) + 1);
        if top >= OPERANDS || operands > limits::OPERANDS_MAX {
            return false;
        }
        self.max = self.max.max(operands);
        self.bound();
        true
    }
}

impl<'a> Straight<'a> {
    pub(super) fn new(
        env: &'a ModuleEnv,
        (ty, code): (&'a FuncType, &'a [u8]),
        counts_types: bool,
        scratch: &'a mut StraightScratch,
    ) -> Self {
        scratch.locals.clear();
        let mut straight = Self {
            world: World {
                env,
                ty,
                code,
                has_memory: !env.memories.is_empty(),
                counts_types,
            },
            scratch,
            height: Height {
                below: 0,
                max: 0,
                limit: 0,
            },
            at: 0,
            top: 0,
            blocks: Blocks {
                open: 0,
                limit: 0,
                loops: 0,
                indirect_calls: 0,
            },
            uses: Uses::default(),
        };
        for param in ty.params() {
            straight.locals(1, *param);
        }
        straight
    }

    /// Declares locals, in order, after the parameters.
    pub(super) fn locals(&mut self, count: usize, ty: ValType) {
        let locals = &mut self.scratch.locals;
        let known = locals.len().saturating_add(count).min(LOCALS);
        locals.resize(known, Ty::of(ty));
    }

    /// What the operators here use.
    pub(super) fn uses(&self) -> Uses {
        self.uses
    }

    /// Loops that began and ended here.
    pub(super) fn loops(&self) -> u32 {
        self.blocks.loops
    }

    /// `call_indirect` operators here.
    pub(super) fn indirect_calls(&self) -> u32 {
        self.blocks.indirect_calls
    }

    /// Most operands that there have been.
    pub(super) fn max_operands(&self) -> u32 {
        self.height.max
    }

    /// Offset of the first operator that is not checked yet.
    #[inline]
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// What is on the stack, from the bottom, for the validator to be told; it is not here any more.
    #[inline]
    pub(super) fn take(&mut self) -> &[Ty] {
        let top = usize::from(std::mem::take(&mut self.top));
        self.blocks.open = 0;
        &self.scratch.types[1..=top]
    }

    /// Whether there is anything on the stack.
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.top != 0
    }

    /// Goes on at an offset, over so many operands on the validator's stack, in so many blocks.
    #[inline]
    pub(super) fn resume(&mut self, at: usize, below: u32, depth: u32) {
        self.at = at;
        let room = limits::NESTING_MAX.saturating_sub(depth);
        self.blocks.limit = u8::try_from(room).unwrap_or(u8::MAX);
        self.height.below = below;
        self.height.max = self.height.max.max(below);
        self.height.bound();
    }

    /// Accepts operators as far as it can. A function of its own, so that its loop has the registers.
    #[inline(never)]
    pub(super) fn run<R: WasmModuleResources>(&mut self, validator: &FuncValidator<R>) {
        let mut run = Run {
            world: self.world,
            validator,
            types: &mut self.scratch.types,
            locals: &self.scratch.locals,
            height: self.height,
            at: self.at,
            top: self.top,
            blocks: self.blocks,
            uses: self.uses,
        };
        while run.step() {}
        (self.height, self.at, self.top) = (run.height, run.at, run.top);
        (self.blocks, self.uses) = (run.blocks, run.uses);
    }
}

/// [`Straight`] while it runs.
struct Run<'r, 'a, R> {
    world: World<'a>,
    validator: &'r FuncValidator<R>,
    types: &'r mut [Ty; 256],
    locals: &'r [Ty],
    height: Height,
    at: usize,
    top: u8,
    blocks: Blocks,
    uses: Uses,
}

impl<R: WasmModuleResources> Run<'_, '_, R> {
    /// Accepts one operator. False if it is not for here; then nothing has changed.
    #[inline(always)]
    fn step(&mut self) -> bool {
        let Some(opcode) = self.world.code.get(self.at) else {
            return false;
        };
        let rule = &RULES[usize::from(*opcode)];
        match rule.shape {
            Shape::Other => false,
            Shape::Nop => self.next(self.at + 1),
            Shape::LocalGet => self.local_get(),
            Shape::LocalSet => self.local_set(),
            Shape::LocalTee => self.local_tee(),
            Shape::IntConst => self.int_const(rule),
            Shape::FloatConst => self.float_const(rule),
            Shape::Unary => self.unary(rule),
            Shape::Binary => self.binary(rule),
            Shape::Load => self.load(rule),
            Shape::Store => self.store(rule),
            Shape::GlobalGet => self.global_get(),
            Shape::GlobalSet => self.global_set(),
            Shape::Drop => self.drop(),
            Shape::Select => self.select(),
            Shape::Call => self.call(),
            Shape::CallIndirect => self.call_indirect(),
            Shape::Block => self.block(Ty::Block),
            Shape::Loop => self.block(Ty::Loop),
            Shape::If => self.block(Ty::If),
            Shape::Else => self.arm(),
            Shape::End => self.end(),
            Shape::Br => self.br(),
            Shape::BrIf => self.br_if(),
            Shape::BrTable => self.br_table(),
            Shape::Return => self.ret(),
            Shape::Unreachable => self.leave(self.at + 1),
            Shape::Prefix => self.bulk(),
        }
    }

    /// The operator is accepted; the next one is at `at`.
    #[inline(always)]
    fn next(&mut self, at: usize) -> bool {
        self.at = at;
        true
    }

    /// The type of the operand on top.
    #[inline(always)]
    fn top(&self) -> Ty {
        self.types[usize::from(self.top)]
    }

    /// The type of the operand under it; asked only if there is one on top.
    #[inline(always)]
    fn second(&self) -> Ty {
        self.types[usize::from(self.top.wrapping_sub(1))]
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.top = self.top.wrapping_sub(1);
    }

    /// Pushes an operand as the last step of an operator.
    #[inline(always)]
    fn push(&mut self, ty: Ty, next: usize) -> bool {
        if self.top >= self.height.limit && !self.height.raise(self.top) {
            return false;
        }
        self.top = self.top.wrapping_add(1);
        self.types[usize::from(self.top)] = ty;
        self.next(next)
    }

    /// An index of one or two bytes at an offset, and the offset after it.
    #[inline(always)]
    fn index(&self, at: usize) -> Option<(usize, usize)> {
        let first = usize::from(*self.world.code.get(at)?);
        if first < 0x80 {
            return Some((first, at + 1));
        }
        let second = usize::from(*self.world.code.get(at + 1)?);
        (second < 0x80).then_some((first & 0x7f | second << 7, at + 2))
    }

    /// An index of at most five bytes at an offset, and the offset after it. Linkers write those that they
    /// may have to change with five bytes.
    #[inline(always)]
    fn long_index(&self, at: usize) -> Option<(usize, usize)> {
        let first = usize::from(*self.world.code.get(at)?);
        if first < 0x80 {
            return Some((first, at + 1));
        }
        let mut index = first & 0x7f;
        for place in 1..5 {
            let byte = usize::from(*self.world.code.get(at + place)?);
            index |= (byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                let fits = place < 4 || byte <= LAST_BYTE_MAX.into();
                return fits.then_some((index, at + place + 1));
            }
        }
        None
    }

    /// The offset after a LEB128 number at an offset, if it is of at most five bytes and a small one of any type.
    #[inline(always)]
    fn after_number(&self, at: usize) -> Option<usize> {
        for place in 0..5 {
            let byte = *self.world.code.get(at + place)?;
            if byte < 0x80 {
                let fits = place < 4 || byte <= LAST_BYTE_MAX;
                return fits.then_some(at + place + 1);
            }
        }
        None
    }

    /// The type of the local that is the operator's immediate, and the offset after it.
    #[inline(always)]
    fn local(&self) -> Option<(Ty, usize)> {
        let (local, next) = self.index(self.at + 1)?;
        let ty = *self.locals.get(local)?;
        (ty != Ty::Other).then_some((ty, next))
    }

    #[inline(always)]
    fn local_get(&mut self) -> bool {
        let local = self.local();
        local.is_some_and(|(ty, next)| self.push(ty, next))
    }

    #[inline(always)]
    fn local_set(&mut self) -> bool {
        match self.local() {
            Some((ty, next)) if ty == self.top() => {
                self.pop();
                self.next(next)
            }
            Some(_) | None => false,
        }
    }

    #[inline(always)]
    fn local_tee(&mut self) -> bool {
        match self.local() {
            Some((ty, next)) if ty == self.top() => self.next(next),
            Some(_) | None => false,
        }
    }

    #[inline(always)]
    fn int_const(&mut self, rule: &Rule) -> bool {
        let code = self.world.code;
        let most = if rule.result == Ty::I64 { 9 } else { 5 };
        for place in 1..=most {
            let Some(byte) = code.get(self.at + place) else {
                return false;
            };
            if *byte < 0x80 {
                // Of the fifth byte of 32 bits, the upper bits repeat the sign.
                let fits = rule.result == Ty::I64 || place < 5 || matches!(byte & 0x78, 0 | 0x78);
                return fits && self.push(rule.result, self.at + place + 1);
            }
        }
        false
    }

    #[inline(always)]
    fn float_const(&mut self, rule: &Rule) -> bool {
        let width = if rule.result == Ty::F64 { 8 } else { 4 };
        let next = self.at + 1 + width;
        next <= self.world.code.len() && self.push(rule.result, next)
    }

    #[inline(always)]
    fn unary(&mut self, rule: &Rule) -> bool {
        if self.top() != rule.operand {
            return false;
        }
        self.types[usize::from(self.top)] = rule.result;
        self.next(self.at + 1)
    }

    #[inline(always)]
    fn binary(&mut self, rule: &Rule) -> bool {
        if self.top() != rule.operand || self.second() != rule.operand {
            return false;
        }
        self.pop();
        self.types[usize::from(self.top)] = rule.result;
        self.next(self.at + 1)
    }

    /// The offset after the immediates of a memory access. Memory 0 is there, since there are no others; its addresses
    /// are of 32 bits, and so is any offset of a small number.
    #[inline(always)]
    fn after_access(&self, rule: &Rule) -> Option<usize> {
        let align = *self.world.code.get(self.at + 1)?;
        if align > rule.align || !self.world.has_memory {
            return None;
        }
        self.after_number(self.at + 2)
    }

    #[inline(always)]
    fn load(&mut self, rule: &Rule) -> bool {
        match self.after_access(rule) {
            Some(next) if self.top() == Ty::I32 => {
                self.types[usize::from(self.top)] = rule.result;
                self.uses.insert(Uses::MEMORY0);
                self.next(next)
            }
            Some(_) | None => false,
        }
    }

    #[inline(always)]
    fn store(&mut self, rule: &Rule) -> bool {
        match self.after_access(rule) {
            Some(next) if self.top() == rule.operand && self.second() == Ty::I32 => {
                self.top = self.top.wrapping_sub(2);
                self.uses.insert(Uses::MEMORY0);
                self.next(next)
            }
            Some(_) | None => false,
        }
    }

    #[inline(always)]
    fn global_get(&mut self) -> bool {
        let Some((global, next)) = self.long_index(self.at + 1) else {
            return false;
        };
        match self.world.env.globals.get(global) {
            Some(global) if Ty::of(global.content) != Ty::Other => {
                self.push(Ty::of(global.content), next)
            }
            Some(_) | None => false,
        }
    }

    #[inline(always)]
    fn global_set(&mut self) -> bool {
        let Some((global, next)) = self.long_index(self.at + 1) else {
            return false;
        };
        match self.world.env.globals.get(global) {
            Some(global) if global.mutable && Ty::of(global.content) == self.top() => {
                self.pop();
                self.uses.insert(Uses::GLOBAL_SET);
                self.next(next)
            }
            Some(_) | None => false,
        }
    }

    #[inline(always)]
    fn drop(&mut self) -> bool {
        if self.top == 0 || self.top().is_block() {
            return false;
        }
        self.pop();
        self.next(self.at + 1)
    }

    /// `memory.copy` and `memory.fill`: three operands, and memory 0 twice or once.
    #[inline]
    fn bulk(&mut self) -> bool {
        let immediates = self.world.code.get(self.at + 1..).unwrap_or_default();
        let bytes = match immediates {
            [0x0a, 0, 0, ..] => 4,
            [0x0b, 0, ..] => 3,
            _ => return false,
        };
        let third = self.types[usize::from(self.top.wrapping_sub(2))];
        if !self.world.has_memory
            || self.top() != Ty::I32
            || self.second() != Ty::I32
            || third != Ty::I32
        {
            return false;
        }
        self.top = self.top.wrapping_sub(3);
        self.uses.insert(Uses::LIBCALL);
        self.next(self.at + bytes)
    }

    /// `select` without a type: two operands of one numeric type, and no others are here.
    #[inline(always)]
    fn select(&mut self) -> bool {
        if self.top < 3 || self.top() != Ty::I32 {
            return false;
        }
        let first = self.types[usize::from(self.top.wrapping_sub(2))];
        if first != self.second() || first.is_block() {
            return false;
        }
        self.top = self.top.wrapping_sub(2);
        self.next(self.at + 1)
    }
}
