//! Taking registers, and making room when there are none.

use super::Lower;
use crate::isa::x64::regs;
use crate::isa::{Reg, RegSet};
use crate::state::registers::Owner;
use crate::state::value::Place;

impl Lower<'_> {
    /// Takes a register of a class for the rest of the operator. Emits at most moves, which leave the flags alone.
    #[inline]
    pub(super) fn alloc(&mut self, float: bool) -> Reg {
        let free = self.s.regs.free().and(RegSet::class(float));
        let Some(reg) = regs::prefer(free) else {
            return self.alloc_by_force(float);
        };
        self.s.regs.pin(reg);
        reg
    }

    #[cold]
    #[inline(never)]
    fn alloc_by_force(&mut self, float: bool) -> Reg {
        let reg = self.make_room(RegSet::class(float)).unwrap_or_else(|| {
            self.fail("no register left");
            if float { regs::XMM15 } else { regs::R11 }
        });
        self.s.regs.pin(reg);
        reg
    }

    /// A free register of a class for an operand that the operator does not take, if there is one without moving anything.
    /// It is not pinned: else the copies of a local could leave the operator itself without a register.
    pub(super) fn free_reg(&self, float: bool) -> Option<Reg> {
        regs::prefer(self.s.regs.free().and(RegSet::class(float)))
    }

    /// Empties the register whose value is cheapest to lose: clean locals, operands that are in their slots, dirty locals,
    /// then the lowest operand, which is needed last.
    fn make_room(&mut self, class: RegSet) -> Option<Reg> {
        let candidates = self.s.regs.evictable().and(class);
        let victim = candidates.min_by_key(|&reg| match self.s.regs.owner(reg) {
            Owner::None => (0, 0),
            Owner::Local(local) => {
                let dirty = self.s.locals[usize::from(local)].dirty;
                (if dirty { 3 } else { 1 }, u32::from(local))
            }
            Owner::Operand(height) => match self.s.stack.place(height) {
                Place::Reg { in_slot: true, .. } => (2, height),
                Place::Reg { .. }
                | Place::Const(_)
                | Place::Local(_)
                | Place::Slot
                | Place::Flags(_) => (4, height),
            },
        })?;
        self.spill(victim);
        Some(victim)
    }

    /// Moves a register's value to memory unless it is there, and frees the register. Its content stays.
    pub(super) fn spill(&mut self, reg: Reg) {
        match self.s.regs.owner(reg) {
            Owner::None => {}
            Owner::Operand(height) => {
                if let Place::Reg { in_slot: false, .. } = self.s.stack.place(height) {
                    let ty = self.s.stack.ty(height);
                    let slot = self.s.frame.operand(height);
                    self.s.asm.store(ty, slot, reg);
                }
                self.s.stack.set_slot(height);
            }
            Owner::Local(local) => {
                self.write_back(local);
                self.s.locals[usize::from(local)].set_cached(None);
            }
        }
        self.s.regs.release(reg);
    }

    /// Stores a cached local if it is dirty.
    #[inline]
    pub(super) fn write_back(&mut self, local: u16) {
        if self.s.locals[usize::from(local)].dirty {
            self.store_local(local);
        }
    }

    fn store_local(&mut self, local: u16) {
        // Slots that are cleared later would lose this value.
        self.clear_zeros();
        let state = &mut self.s.locals[usize::from(local)];
        state.dirty = false;
        if let Some(reg) = state.cached() {
            self.s.asm.store(state.ty, state.slot(), reg);
        }
    }

    /// Frees one particular register, keeping its value in another one if that is free. Its content stays.
    fn evict(&mut self, reg: Reg) {
        let in_memory = match self.s.regs.owner(reg) {
            Owner::None => return,
            Owner::Operand(height) => {
                matches!(self.s.stack.place(height), Place::Reg { in_slot: true, .. })
            }
            Owner::Local(local) => !self.s.locals[usize::from(local)].dirty,
        };
        let class = RegSet::class(reg.is_float());
        let other = regs::prefer(self.s.regs.free().and(class)).filter(|_| !in_memory);
        let Some(other) = other else {
            self.spill(reg);
            return;
        };
        let owner = self.s.regs.owner(reg);
        match owner {
            Owner::None => {}
            Owner::Operand(height) => {
                self.s.asm.mov(self.s.stack.ty(height), other, reg);
                self.s.stack.move_reg(height, other);
            }
            Owner::Local(local) => {
                let state = &mut self.s.locals[usize::from(local)];
                self.s.asm.mov(state.ty, other, reg);
                state.set_cached(Some(other));
                state.upper_undefined = false;
            }
        }
        self.s.regs.release(reg);
        self.s.regs.set_owner(other, owner);
    }

    /// Takes one particular register of the pool for the rest of the operator, whoever holds it. If an operand of the operator
    /// itself came in it, the caller has to look after that one.
    pub(super) fn take(&mut self, reg: Reg) {
        self.s.regs.pin(reg);
        self.evict(reg);
    }

    /// Moves every operand in a register to its slot, down from the height below which operands survive.
    pub(super) fn spill_operands_below(&mut self, height: u32) {
        for reg in self.s.regs.operands() {
            if let Owner::Operand(at) = self.s.regs.owner(reg)
                && at < height
            {
                self.spill(reg);
            }
        }
    }
}
