//! Operands: taking them off the value stack, putting results on it.

use super::Lower;
use crate::isa::{Addr, Cond, Reg, RegSet};
use crate::state::registers::Owner;
use crate::state::value::{Kind, NO_ALIAS, Ty};

/// A local that is read is cached if so many registers are free.
const SPARE_REGS: u32 = 2;

/// The bits of a constant: two halves, which leave room for the rest of a [`Val`] beside them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bits {
    low: u32,
    high: u32,
}

impl Bits {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub(super) const fn new(bits: u64) -> Self {
        let (low, high) = (bits as u32, (bits >> 32) as u32);
        Self { low, high }
    }

    pub(super) const fn get(self) -> u64 {
        self.low as u64 | (self.high as u64) << 32
    }
}

/// Where a popped operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    Const(Bits),
    /// A register that the operator may overwrite (or the home that a hint named).
    Reg(Reg),
    Local(u16),
    /// The slot of this height.
    Slot(u32),
    Flags(Cond),
}

impl At {
    pub(super) const fn constant(bits: u64) -> Self {
        Self::Const(Bits::new(bits))
    }
}

/// A popped operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Val {
    pub(super) ty: Ty,
    /// Bits 32-63 of the i32 in the register are undefined.
    pub(super) upper_undefined: bool,
    pub(super) at: At,
}

// Returned in two registers.
const _: () = assert!(size_of::<Val>() == 16);

impl Val {
    pub(super) fn reg(ty: Ty, reg: Reg) -> Self {
        Self {
            ty,
            at: At::Reg(reg),
            upper_undefined: false,
        }
    }

    /// The constant, if it is one.
    pub(super) fn as_const(self) -> Option<u64> {
        match self.at {
            At::Const(bits) => Some(bits.get()),
            At::Reg(_) | At::Local(_) | At::Slot(_) | At::Flags(_) => None,
        }
    }

    /// The integer constant as an immediate.
    pub(super) fn as_imm(self) -> Option<i32> {
        let bits = self.as_const()?;
        match self.ty {
            #[expect(clippy::cast_possible_truncation, reason = "an i32 has no more bits")]
            Ty::I32 => Some(bits as u32 as i32),
            Ty::I64 | Ty::FuncRef | Ty::ExternRef => i32::try_from(bits.cast_signed()).ok(),
            Ty::F32 | Ty::F64 | Ty::V128 => None,
        }
    }

    /// Whether it is in a register of its own.
    pub(super) fn is_owned(self) -> bool {
        matches!(self.at, At::Reg(_))
    }
}

impl Lower<'_> {
    /// Takes the top operand off.
    #[inline]
    pub(super) fn pop(&mut self) -> Val {
        let Some(entry) = self.s.stack.pop() else {
            return self.underflow();
        };
        let at = match entry.kind() {
            Kind::Const => At::constant(entry.narrow_bits()),
            Kind::WideConst => At::constant(self.s.stack.wide_bits(entry)),
            Kind::Reg => {
                let reg = entry.reg();
                self.s.regs.give(reg);
                At::Reg(reg)
            }
            Kind::Local => {
                let local = entry.local();
                let state = &mut self.s.locals[usize::from(local)];
                state.newest_alias = entry.older_alias();
                if let Some(reg) = state.cached() {
                    self.s.regs.pin(reg);
                }
                At::Local(local)
            }
            Kind::Slot => At::Slot(self.s.stack.len()),
            Kind::Flags => At::Flags(entry.cond()),
        };
        Val {
            ty: entry.ty(),
            upper_undefined: entry.upper_undefined(),
            at,
        }
    }

    #[cold]
    fn underflow(&mut self) -> Val {
        self.fail("operand stack underflow");
        Val::reg(Ty::I32, crate::isa::x64::regs::R11)
    }

    /// Puts a result in a register on the stack.
    #[inline]
    pub(super) fn push_reg(&mut self, ty: Ty, reg: Reg) {
        self.push_reg_upper(ty, reg, false);
    }

    pub(super) fn push_reg_upper(&mut self, ty: Ty, reg: Reg, upper_undefined: bool) {
        // A home is pushed only when the next operator assigns its local.
        if self.s.regs.pool.contains(reg) {
            let height = self.s.stack.len();
            self.s.regs.set_owner(reg, Owner::Operand(height));
        }
        self.s.stack.push_reg(ty, reg, upper_undefined);
    }

    pub(super) fn push_const(&mut self, ty: Ty, bits: u64) {
        self.s.stack.push_const(ty, bits);
    }

    /// Puts an operand back that was taken off and not changed.
    pub(super) fn push_val(&mut self, val: Val) {
        match val.at {
            At::Const(bits) => self.push_const(val.ty, bits.get()),
            At::Reg(reg) => self.push_reg_upper(val.ty, reg, val.upper_undefined),
            At::Local(local) => self.push_alias(local),
            At::Slot(height) if height == self.s.stack.len() => self.s.stack.push_slot(val.ty),
            At::Slot(_) => {
                let reg = self.in_reg(val);
                self.push_reg(val.ty, reg);
            }
            At::Flags(cond) => self.s.stack.push_flags(cond),
        }
    }

    /// Pushes an alias of a local.
    #[inline]
    pub(super) fn push_alias(&mut self, local: u16) {
        let height = self.s.stack.len();
        let state = &mut self.s.locals[usize::from(local)];
        let older = std::mem::replace(&mut state.newest_alias, height);
        self.s.stack.push_local(state.ty, local, older);
    }

    /// A register that holds the value, to be read only.
    pub(super) fn in_reg(&mut self, val: Val) -> Reg {
        match val.at {
            At::Reg(reg) => reg,
            At::Local(local) => self.local_in_reg(local),
            At::Const(_) | At::Slot(_) | At::Flags(_) => {
                let reg = self.alloc(val.ty.is_float());
                self.move_to(reg, val);
                reg
            }
        }
    }

    /// If the value is a local in memory only and there are registers to spare, caches it: locals are read more than once.
    pub(super) fn cache(&mut self, val: Val) {
        if let At::Local(local) = val.at {
            let class = RegSet::class(val.ty.is_float());
            if self.s.regs.free().and(class).len() >= SPARE_REGS {
                self.local_in_reg(local);
            }
        }
    }

    /// The register of a local, which is cached if it was in memory only.
    #[inline]
    fn local_in_reg(&mut self, local: u16) -> Reg {
        match self.s.locals[usize::from(local)].reg() {
            Some(reg) => reg,
            None => self.load_local(local),
        }
    }

    #[inline(never)]
    fn load_local(&mut self, local: u16) -> Reg {
        let state = self.s.locals[usize::from(local)];
        let reg = self.alloc(state.ty.is_float());
        self.s.asm.load(state.ty, reg, state.slot());
        self.s.regs.set_owner(reg, Owner::Local(local));
        let state = &mut self.s.locals[usize::from(local)];
        state.set_cached(Some(reg));
        state.dirty = false;
        state.upper_undefined = false;
        reg
    }

    /// The register that the value is in, if it is in one.
    pub(super) fn reg_of(&self, val: Val) -> Option<Reg> {
        match val.at {
            At::Reg(reg) => Some(reg),
            At::Local(local) => self.s.locals[usize::from(local)].reg(),
            At::Const(_) | At::Slot(_) | At::Flags(_) => None,
        }
    }

    /// The slot that the value is in, if it is in memory only and not worth a register: an operand that is used once.
    pub(super) fn slot_of(&mut self, val: Val) -> Option<Addr> {
        match val.at {
            At::Slot(height) => Some(self.s.frame.operand(height)),
            At::Const(_) | At::Reg(_) | At::Local(_) | At::Flags(_) => None,
        }
    }

    /// A register that holds the value and may be overwritten.
    pub(super) fn in_own_reg(&mut self, val: Val) -> Reg {
        if let At::Reg(reg) = val.at {
            return reg;
        }
        let reg = self.alloc(val.ty.is_float());
        self.move_to(reg, val);
        reg
    }

    /// Copies the value to a register; allocates nothing.
    pub(super) fn move_to(&mut self, dst: Reg, val: Val) {
        match val.at {
            At::Const(bits) => self.s.asm.load_const(val.ty, dst, bits.get()),
            At::Reg(reg) => self.s.asm.mov(val.ty, dst, reg),
            At::Local(local) => {
                let state = self.s.locals[usize::from(local)];
                match state.reg() {
                    Some(reg) => self.s.asm.mov(val.ty, dst, reg),
                    None => self.s.asm.load(val.ty, dst, state.slot()),
                }
            }
            At::Slot(height) => {
                let slot = self.s.frame.operand(height);
                self.s.asm.load(val.ty, dst, slot);
            }
            At::Flags(cond) => self.s.asm.set_cond(cond, dst),
        }
    }

    /// The home that the result may be computed into, because the next operator assigns its local. Older values that live on
    /// as aliases are copied away first.
    pub(super) fn take_hint(&mut self, ty: Ty) -> Option<Reg> {
        let local = self.hint.take()?;
        let state = self.s.locals[usize::from(local)];
        if state.ty != ty {
            return None;
        }
        self.release_aliases(local);
        state.home()
    }

    /// Whether the value is the local that the next operator assigns.
    pub(super) fn is_hinted(&self, val: Val) -> bool {
        matches!((val.at, self.hint), (At::Local(local), Some(hint)) if local == hint)
    }

    /// A register for the result of an operator whose first operand is `first`: the hinted home unless it is `avoid`,
    /// the operand's own register, or a new one. The operand is not moved there.
    #[inline]
    pub(super) fn result_reg(&mut self, ty: Ty, first: Val, avoid: Option<Reg>) -> Reg {
        if self.hint.is_some()
            && let Some(home) = self.hinted_reg(ty, avoid)
        {
            return home;
        }
        match first.at {
            At::Reg(reg) if reg.is_float() == ty.is_float() && Some(reg) != avoid => reg,
            At::Const(_) | At::Reg(_) | At::Local(_) | At::Slot(_) | At::Flags(_) => {
                self.alloc(ty.is_float())
            }
        }
    }

    #[inline(never)]
    fn hinted_reg(&mut self, ty: Ty, avoid: Option<Reg>) -> Option<Reg> {
        let home = self.s.locals[usize::from(self.hint?)].home();
        if avoid.is_some() && home == avoid {
            return None;
        }
        self.take_hint(ty)
    }

    /// A register for a result with no operand to reuse.
    pub(super) fn new_result_reg(&mut self, ty: Ty) -> Reg {
        match self.take_hint(ty) {
            Some(home) => home,
            None => self.alloc(ty.is_float()),
        }
    }

    /// Copies the value of a local to every operand that is an alias of it, because the local is about to be assigned.
    pub(super) fn release_aliases(&mut self, local: u16) {
        let state = &mut self.s.locals[usize::from(local)];
        let mut height = std::mem::replace(&mut state.newest_alias, NO_ALIAS);
        let mut source = state.reg();
        // A cache has no more use for its register: the first alias may have it.
        let mut given = state.home().is_some();
        while height != NO_ALIAS && self.s.stack.is_alias(height, local) {
            let older = self.s.stack.older_alias(height);
            let state = self.s.locals[usize::from(local)];
            match source {
                Some(reg) if !given => {
                    given = true;
                    self.s.locals[usize::from(local)].set_cached(None);
                    self.s.locals[usize::from(local)].dirty = false;
                    if state.upper_undefined {
                        self.s.asm.zero_extend(reg, reg);
                    }
                    self.s.regs.set_owner(reg, Owner::Operand(height));
                    self.s.stack.set_reg(height, reg, false);
                }
                Some(reg) => self.copy_to_operand(height, state.ty, reg),
                None => {
                    if let Some(reg) = self.free_reg(state.ty.is_float()) {
                        self.s.asm.load(state.ty, reg, state.slot());
                        self.s.regs.set_owner(reg, Owner::Operand(height));
                        self.s.stack.set_reg(height, reg, false);
                        source = Some(reg);
                        given = true;
                    } else {
                        let slot = self.s.frame.operand(height);
                        self.s.asm.copy(state.ty, slot, state.slot());
                        self.s.stack.set_slot(height);
                    }
                }
            }
            height = older;
        }
    }

    /// Gives the operand a copy of a register: in a free register or in its slot.
    fn copy_to_operand(&mut self, height: u32, ty: Ty, src: Reg) {
        if let Some(reg) = self.free_reg(ty.is_float()) {
            self.s.asm.mov(ty, reg, src);
            self.s.regs.set_owner(reg, Owner::Operand(height));
            self.s.stack.set_reg(height, reg, false);
        } else {
            let slot = self.s.frame.operand(height);
            self.s.asm.store(ty, slot, src);
            self.s.stack.set_slot(height);
        }
    }
}
