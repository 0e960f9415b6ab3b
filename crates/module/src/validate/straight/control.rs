//! Calls, blocks without values, and branches.

use wasmparser::{BlockType, FrameKind, WasmModuleResources};

use super::rules::Ty;
use super::{OPERANDS, Run};
use crate::facts::Uses;
use crate::types::{FuncType, RefType, TypeIndex, ValType};

/// Opcodes that may follow an operator that does not return.
const ELSE: u8 = 0x05;
const END: u8 = 0x0b;
/// The block type of a block without values.
const EMPTY: u8 = 0x40;

/// What a branch to a label takes.
#[derive(Clone, Copy)]
enum Label {
    Empty,
    One(Ty),
}

impl Label {
    /// The label whose values are of these types, if it is one for here.
    #[inline(always)]
    fn of(types: &[ValType]) -> Option<Self> {
        match types {
            [] => Some(Self::Empty),
            [ty] => Self::one(*ty),
            _ => None,
        }
    }

    #[inline(always)]
    fn one(ty: ValType) -> Option<Self> {
        let ty = Ty::of(ty);
        (ty != Ty::Other).then_some(Self::One(ty))
    }
}

impl<R: WasmModuleResources> Run<'_, '_, R> {
    #[inline(always)]
    pub(super) fn call(&mut self) -> bool {
        let Some((func, next)) = self.long_index(self.at + 1) else {
            return false;
        };
        match self.world.env.funcs.get(func) {
            Some(ty) if !self.world.counts_types => self.call_type(*ty, self.top, next),
            Some(_) | None => false,
        }
    }

    #[inline(always)]
    pub(super) fn call_indirect(&mut self) -> bool {
        let Some((ty, at)) = self.long_index(self.at + 1) else {
            return false;
        };
        let Some((table, next)) = self.long_index(at) else {
            return false;
        };
        let env = self.world.env;
        let table = env.tables.get(table);
        if table.is_none_or(|table| table.element != RefType::FUNCREF)
            || ty >= env.types.len()
            || self.world.counts_types
            || self.top() != Ty::I32
        {
            return false;
        }
        // An index below the number of types fits.
        let ty = TypeIndex(u32::try_from(ty).unwrap_or(u32::MAX));
        let accepted = self.call_type(ty, self.top.wrapping_sub(1), next);
        self.blocks.indirect_calls += u32::from(accepted);
        accepted
    }

    /// A call whose arguments are all here, the last one at `top`, and that has at most one result.
    #[inline(always)]
    fn call_type(&mut self, ty: TypeIndex, top: u8, next: usize) -> bool {
        let ty: &FuncType = self.world.env.ty(ty);
        let Some(result) = Label::of(ty.results()) else {
            return false;
        };
        let params = ty.params();
        let top = usize::from(top);
        let Some(rest) = top.checked_sub(params.len()) else {
            return false;
        };
        let args = &self.types[rest + 1..=top];
        let fits = |(param, arg): (&ValType, &Ty)| Ty::of(*param) == *arg;
        if !params.iter().zip(args).all(fits) {
            return false;
        }
        // At most `top`, which is a byte.
        let rest = u8::try_from(rest).unwrap_or(0);
        match result {
            Label::Empty => self.top = rest,
            Label::One(ty) => {
                if rest >= self.height.limit && !self.height.raise(rest) {
                    return false;
                }
                self.top = rest.wrapping_add(1);
                self.types[usize::from(self.top)] = ty;
            }
        }
        self.uses.insert(Uses::CALL);
        self.next(next)
    }

    /// The beginning of a block, loop or `if` without values.
    #[inline(always)]
    pub(super) fn block(&mut self, kind: Ty) -> bool {
        let is_if = kind == Ty::If;
        if self.world.code.get(self.at + 1) != Some(&EMPTY)
            || self.blocks.open >= self.blocks.limit
            || self.top >= OPERANDS
            || self.world.counts_types
            || (is_if && self.top() != Ty::I32)
        {
            return false;
        }
        self.top = self.top.wrapping_add(u8::from(!is_if));
        self.types[usize::from(self.top)] = kind;
        self.blocks.open += 1;
        self.height.below = self.height.below.wrapping_sub(1);
        self.height.bound();
        self.next(self.at + 2)
    }

    /// The second arm of an `if`.
    #[inline(always)]
    pub(super) fn arm(&mut self) -> bool {
        if self.top() != Ty::If {
            return false;
        }
        self.types[usize::from(self.top)] = Ty::Else;
        self.next(self.at + 1)
    }

    #[inline(always)]
    pub(super) fn end(&mut self) -> bool {
        let kind = self.top();
        if !kind.is_block() {
            return false;
        }
        if kind == Ty::Loop {
            self.blocks.loops += 1;
            self.uses.insert(Uses::LOOP);
        }
        self.top = self.top.wrapping_sub(1);
        self.blocks.open -= 1;
        self.height.below = self.height.below.wrapping_add(1);
        self.height.bound();
        self.next(self.at + 1)
    }

    /// What the label that is an immediate at an offset takes, and the offset after it.
    #[inline(always)]
    fn label(&self, at: usize) -> Option<(Label, usize)> {
        let (depth, next) = self.index(at)?;
        if self.world.counts_types {
            return None;
        }
        // Blocks that began here have no values.
        let Some(depth) = depth.checked_sub(self.blocks.open.into()) else {
            return Some((Label::Empty, next));
        };
        let frame = self.validator.get_control_frame(depth)?;
        let is_loop = frame.kind == FrameKind::Loop;
        let label = match frame.block_type {
            BlockType::Empty => Label::Empty,
            BlockType::Type(_) if is_loop => Label::Empty,
            BlockType::Type(ty) => Label::one(crate::convert::val_type(ty)?)?,
            BlockType::FuncType(ty) => {
                let ty = self.world.env.ty(TypeIndex(ty));
                Label::of(if is_loop { ty.params() } else { ty.results() })?
            }
        };
        Some((label, next))
    }

    #[inline(always)]
    pub(super) fn br_if(&mut self) -> bool {
        let Some((label, next)) = self.label(self.at + 1) else {
            return false;
        };
        let fits = match label {
            Label::Empty => true,
            Label::One(ty) => self.second() == ty,
        };
        if self.top() != Ty::I32 || !fits {
            return false;
        }
        self.pop();
        self.next(next)
    }

    #[inline(always)]
    pub(super) fn br(&mut self) -> bool {
        let Some((label, next)) = self.label(self.at + 1) else {
            return false;
        };
        let fits = match label {
            Label::Empty => true,
            Label::One(ty) => self.top() == ty,
        };
        fits && self.leave(next)
    }

    /// A table of labels without values.
    #[inline(never)]
    fn after_labels(&self) -> Option<usize> {
        let (count, mut at) = self.index(self.at + 1)?;
        for _ in 0..=count {
            let (label, next) = self.label(at)?;
            match label {
                Label::Empty => at = next,
                Label::One(_) => return None,
            }
        }
        Some(at)
    }

    #[inline(always)]
    pub(super) fn br_table(&mut self) -> bool {
        if self.top() != Ty::I32 {
            return false;
        }
        let next = self.after_labels();
        next.is_some_and(|next| self.leave(next))
    }

    #[inline(always)]
    pub(super) fn ret(&mut self) -> bool {
        let fits = match Label::of(self.world.ty.results()) {
            Some(Label::Empty) => true,
            Some(Label::One(ty)) => self.top() == ty,
            None => false,
        };
        fits && !self.world.counts_types && self.leave(self.at + 1)
    }

    /// An operator that does not return, and after which, at `next`, the block ends that began here. What the block has
    /// on the stack does not count any more.
    #[inline(always)]
    pub(super) fn leave(&mut self, next: usize) -> bool {
        if self.blocks.open == 0 {
            return false;
        }
        let mut top = self.top;
        // Since a block is open, there is an entry that begins one.
        while !self.types[usize::from(top)].is_block() {
            top = top.wrapping_sub(1);
        }
        let ends = match self.world.code.get(next) {
            Some(&END) => true,
            Some(&ELSE) => self.types[usize::from(top)] == Ty::If,
            Some(_) | None => false,
        };
        if ends {
            self.top = top;
            self.next(next);
        }
        ends
    }
}
