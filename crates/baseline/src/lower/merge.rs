//! Bringing values to where a label expects them.
//!
//! Problem: several branches and the code above may reach one label, and each of them has its own idea of where values are.
//!
//! Invariants, by tag:
//! * **M1, frozen prefix.** When a block opens, every operand below it is a constant or (also) in its canonical slot, and nothing
//!   inside can change that. So the operands below a label need no move, whoever branches to it: behind the label only the slot
//!   counts. `ValueStack::frozen` says how far that holds already, so each operand is stored once.
//! * **M2, homes are invariant.** A local with a home is in it at every label inside what the home is for, the function or a loop. An
//!   edge out of a loop gives the loop's homes back (`lower/homes.rs`).
//! * **M3, other locals are in their slots**, if they are carried: nobody reads the others behind a label before they are written
//!   again. The fact pass knows; its stretches of code end wherever caches are forgotten here, and at more places. Dirty caches are written back *before* a branch, which keeps them cached and clean in
//!   the code that follows a conditional one. Behind a label nothing is cached. Only the second arm of an `if`, which is reached
//!   from one place, begins with the caches of that place.
//! * **M4, results.** The first branch to a label chooses registers for up to four results; if there are more, or at a loop, results
//!   (parameters) travel in the canonical slots of the target's height. Slots are written in ascending order: the slot of result i is
//!   not above the place of the i-th value, so a slot is never overwritten before the value in it has been read. Before a conditional branch those
//!   that are at that height already are stored for good, so that a row of branches costs what one costs.
//! * **M5, loop headers.** All operands are in their slots and nothing is cached, so that the frame, the homes and the constants of
//!   the prefix are the whole state (on-stack replacement enters from there). Constants below a loop stay constants: writing
//!   them to their slots inside an arm would leave the other arm without them.
//!
//! Everything here emits moves only, which leave the flags of a pending comparison alone.

use super::Lower;
use super::operands::{At, Val};
use crate::isa::x64::regs;
use crate::isa::{Addr, Reg, RegSet};
use crate::state::labels::{Block, BlockKind, REG_RESULTS_MAX, SavedReg};
use crate::state::moves::Moves;
use crate::state::registers::Owner;
use crate::state::value::{Kind, NO_ALIAS, Place, Ty};
use upshift_abi::ResultLoc;

/// The most results in registers, as a number of operands.
const REG_RESULTS_LEN: u32 = 4;
const _: () = assert!(REG_RESULTS_LEN as usize == REG_RESULTS_MAX);

/// Scratch registers of parallel moves.
pub(super) const SCRATCH: [Reg; 2] = [regs::R11, regs::XMM15];

impl Lower<'_> {
    /// M1 for every operand on the stack.
    pub(super) fn freeze(&mut self) {
        for height in self.s.stack.frozen..self.s.stack.len() {
            self.freeze_operand(height);
        }
        self.s.stack.frozen = self.s.stack.len();
    }

    fn freeze_operand(&mut self, height: u32) {
        let ty = self.s.stack.ty(height);
        match self.s.stack.place(height) {
            Place::Const(_) | Place::Slot => {}
            Place::Reg { reg, in_slot, .. } => {
                if !in_slot {
                    let slot = self.s.frame.operand(height);
                    self.s.asm.store(ty, slot, reg);
                    self.s.stack.mark_in_slot(height);
                }
            }
            Place::Local(local) => {
                let slot = self.s.frame.operand(height);
                self.s.locals[usize::from(local)].newest_alias = NO_ALIAS;
                let state = self.s.locals[usize::from(local)];
                match state.reg() {
                    Some(reg) => self.s.asm.store(ty, slot, reg),
                    None => self.s.asm.copy(ty, slot, state.slot()),
                }
                self.s.stack.set_slot(height);
            }
            Place::Flags(_) => self.fail("a comparison below a block"),
        }
    }

    /// Writes the constants among a block's own parameters, from a height on, to their slots.
    pub(super) fn constants_to_slots(&mut self, from: u32) {
        for height in from..self.s.stack.len() {
            if let Place::Const(bits) = self.s.stack.place(height) {
                let slot = self.s.frame.operand(height);
                let ty = self.s.stack.ty(height);
                self.s.asm.store_const(ty, slot, bits);
                self.s.stack.set_slot(height);
            }
        }
    }

    /// M3: the slots of carried locals are up to date. What is cached stays so, and the others stay dirty.
    pub(super) fn flush_locals(&mut self) {
        self.clear_zeros();
        for reg in self.s.regs.cached {
            if let Owner::Local(local) = self.s.regs.owner(reg)
                && self.s.locals[usize::from(local)].carried
            {
                self.write_back(local);
            }
        }
    }

    /// Writes the zeros of declared locals that were put off.
    pub(super) fn clear_zeros(&mut self) {
        let Some((lowest, words)) = self.zeros.take() else {
            return;
        };
        self.s.asm.clear_slots(lowest, words);
        for local in &mut self.s.locals {
            local.zero = false;
        }
    }

    /// Nothing is cached. Dirty values are lost: call it where control does not fall through, or after a flush.
    pub(super) fn forget_locals(&mut self) {
        for reg in self.s.regs.cached {
            if let Owner::Local(local) = self.s.regs.owner(reg) {
                let state = &mut self.s.locals[usize::from(local)];
                state.set_cached(None);
                state.dirty = false;
            }
        }
        self.s.regs.release_all(self.s.regs.cached);
    }

    /// Drops operands down to a height.
    pub(super) fn truncate(&mut self, height: u32) {
        while self.s.stack.len() > height {
            self.pop();
        }
        self.s.regs.pinned = RegSet::EMPTY;
    }

    /// Behind a label, only slots count for the operands below it.
    pub(super) fn drop_registers(&mut self) {
        self.forget_locals();
        let operands = self.s.regs.owned();
        for reg in operands {
            if let Owner::Operand(height) = self.s.regs.owner(reg) {
                self.s.stack.set_slot(height);
            }
        }
        self.s.regs.release_all(operands);
    }

    /// The `i`-th block from the inside.
    pub(super) fn block_index(&self, depth: u32) -> usize {
        (self.s.blocks.len() - 1).saturating_sub(depth as usize)
    }

    /// Whether results travel in slots of the target.
    fn by_slots(block: &Block) -> bool {
        block.kind == BlockKind::Loop || block.arity() as usize > REG_RESULTS_MAX
    }

    /// Whether a branch needs code of its own before the jump. If it is the first one, the label adapts to it as far as it can.
    pub(super) fn branch_moves(&mut self, index: usize) -> bool {
        let block = self.s.blocks[index];
        let arity = block.arity();
        if arity == 0 {
            return false;
        }
        let base = self.s.stack.len() - arity;
        self.clear_uppers(base);
        if block.kind == BlockKind::Func {
            return true;
        }
        if Self::by_slots(&block) {
            return base != block.height
                || !self.s.stack.is_stored(base) && (0..arity).any(|i| !self.is_in_slot(base + i));
        }
        self.choose_results(index);
        let block = self.s.blocks[index];
        (0..arity as usize).zip(base..).any(|(i, height)| {
            !matches!(self.s.stack.place(height), Place::Reg { reg, .. } if reg == block.result_regs[i])
        })
    }

    /// Before a conditional branch: results that travel in slots, and are at the label's height already, are stored here and are from now on in
    /// their slots on both ways. So a row of such branches stores each operand once, however many it carries.
    ///
    /// Nothing below the block's height is an alias (M1), so the aliases that go away here are the newest of their locals.
    pub(super) fn store_results(&mut self, index: usize) {
        let block = self.s.blocks[index];
        let base = self.s.stack.len() - block.arity();
        let travels_in_slots = block.kind != BlockKind::Func && Self::by_slots(&block);
        if block.arity() == 0 || !travels_in_slots || base != block.height {
            return;
        }
        let from = self.s.stack.first_not_stored(base);
        for height in from..self.s.stack.len() {
            self.freeze_operand(height);
        }
        self.constants_to_slots(from);
        self.s.stack.mark_stored(base);
    }

    /// Behind a label the upper half of an i32 is clear: clears those that may not be, without touching the flags.
    fn clear_uppers(&mut self, base: u32) {
        let len = self.s.stack.len();
        for height in base..len.min(base + REG_RESULTS_LEN) {
            if let Place::Reg {
                reg,
                upper_undefined: true,
                ..
            } = self.s.stack.place(height)
            {
                self.s.asm.zero_extend(reg, reg);
                self.s.stack.move_reg(height, reg);
            }
        }
    }

    fn is_in_slot(&self, height: u32) -> bool {
        matches!(
            self.s.stack.place(height),
            Place::Slot | Place::Reg { in_slot: true, .. }
        )
    }

    /// M4: the first branch chooses the registers.
    fn choose_results(&mut self, index: usize) {
        let block = self.s.blocks[index];
        if block.chosen {
            return;
        }
        let base = self.s.stack.len() - block.arity();
        let mut chosen = block.result_regs;
        let mut open = [true; REG_RESULTS_MAX];
        let mut taken = RegSet::EMPTY;
        let arity = block.arity() as usize;
        for (i, height) in (0..arity).zip(base..) {
            if let Place::Reg { reg, .. } = self.s.stack.place(height)
                && self.s.regs.pool.contains(reg)
            {
                chosen[i] = reg;
                open[i] = false;
                taken.insert(reg);
            }
        }
        for (i, height) in (0..arity).zip(base..) {
            if open[i] {
                let class = RegSet::class(self.s.stack.ty(height).is_float());
                let left = self.s.regs.pool.and(class).minus(taken);
                let free = left.and(self.s.regs.free());
                match regs::prefer_result(free).or_else(|| regs::prefer_result(left)) {
                    Some(reg) => chosen[i] = reg,
                    None => self.fail("no register for a result"),
                }
                taken.insert(chosen[i]);
            }
        }
        let block = &mut self.s.blocks[index];
        block.result_regs = chosen;
        block.chosen = true;
    }

    /// Moves the top operands to where the label wants them. Changes no state: the values are still on the value stack, and
    /// for the code at the label nothing else is alive in registers but homes.
    pub(super) fn move_results(&mut self, index: usize) {
        let block = self.s.blocks[index];
        let arity = block.arity();
        if arity == 0 {
            return;
        }
        let base = self.s.stack.len() - arity;
        if block.kind == BlockKind::Func {
            self.move_returns(base);
        } else if Self::by_slots(&block) {
            for i in 0..arity {
                if base == block.height && self.is_in_slot(base + i) {
                    continue;
                }
                let slot = self.s.frame.operand(block.height + i);
                self.store_operand(slot, base + i);
            }
        } else {
            self.clear_uppers(base);
            self.choose_results(index);
            let block = self.s.blocks[index];
            let targets = block.result_regs;
            self.move_operands(base, &targets[..arity as usize]);
        }
    }

    /// Moves consecutive operands to registers, all at once.
    fn move_operands(&mut self, base: u32, targets: &[Reg]) {
        let mut moves = Moves::default();
        for (&dst, height) in targets.iter().zip(base..) {
            let val = self.peek(height);
            if let Some(src) = self.reg_of(val) {
                moves.add(val.ty, dst, src);
            }
        }
        moves.resolve(SCRATCH, |m| self.s.asm.mov(m.ty, m.dst, m.src));
        for (&dst, height) in targets.iter().zip(base..) {
            let val = self.peek(height);
            match self.reg_of(val) {
                None => self.move_to(dst, val),
                // A local may be cached, with an undefined upper half, in the very register: no move has cleared it.
                Some(src) if src == dst && self.is_dirty_above(val) => {
                    self.s.asm.zero_extend(dst, dst);
                }
                Some(_) => {}
            }
        }
    }

    /// Whether the value is a cached i32 local whose upper half is undefined.
    fn is_dirty_above(&self, val: Val) -> bool {
        matches!(val.at, At::Local(local) if self.s.locals[usize::from(local)].upper_undefined)
    }

    /// Moves results to where the caller expects them. Those beyond the registers go first, by the result pointer.
    fn move_returns(&mut self, base: u32) {
        let sig = self.sig;
        if let Some(pointer) = self.result_pointer {
            self.s.asm.load(Ty::I64, regs::R11, pointer);
            for (loc, height) in sig.results.iter().zip(base..) {
                if let ResultLoc::Memory(offset) = *loc {
                    let offset = i32::try_from(offset).unwrap_or(i32::MAX);
                    self.store_operand(Addr::Base(regs::R11, offset), height);
                }
            }
        }
        let mut moves = Moves::default();
        for (loc, height) in sig.results.iter().zip(base..) {
            let val = self.peek(height);
            if let (Some(dst), Some(src)) = (result_reg(*loc), self.reg_of(val)) {
                moves.add(val.ty, dst, src);
            }
        }
        moves.resolve(SCRATCH, |m| self.s.asm.mov(m.ty, m.dst, m.src));
        for (loc, height) in sig.results.iter().zip(base..) {
            let val = self.peek(height);
            if let (Some(dst), None) = (result_reg(*loc), self.reg_of(val)) {
                self.move_to(dst, val);
            }
        }
    }

    /// The operand at a height, left where it is.
    pub(super) fn peek(&self, height: u32) -> Val {
        let entry = self.s.stack.entry(height);
        let at = match entry.kind() {
            Kind::Const => At::constant(entry.narrow_bits()),
            Kind::WideConst => At::constant(self.s.stack.wide_bits(entry)),
            Kind::Reg => At::Reg(entry.reg()),
            Kind::Local => At::Local(entry.local()),
            Kind::Slot => At::Slot(height),
            Kind::Flags => At::Flags(entry.cond()),
        };
        Val {
            ty: entry.ty(),
            upper_undefined: entry.upper_undefined(),
            at,
        }
    }

    /// Stores the operand at a height to a place in memory; touches no register but the vector scratch.
    pub(super) fn store_operand(&mut self, dst: Addr, height: u32) {
        let val = self.peek(height);
        if let Some(reg) = self.reg_of(val) {
            self.s.asm.store(val.ty, dst, reg);
            return;
        }
        match val.at {
            At::Const(bits) => self.s.asm.store_const(val.ty, dst, bits.get()),
            At::Slot(height) => {
                let src = self.s.frame.operand(height);
                if src != dst {
                    self.s.asm.copy(val.ty, dst, src);
                }
            }
            At::Local(local) => {
                let src = self.s.locals[usize::from(local)].slot();
                self.s.asm.copy(val.ty, dst, src);
            }
            At::Reg(_) | At::Flags(_) => self.fail("an operand without a place"),
        }
    }

    /// The state behind a label that was branched to: its results where they were moved to.
    pub(super) fn enter_label(&mut self, block: &Block) {
        self.truncate(block.height);
        self.drop_registers();
        for i in 0..block.results {
            let ty = self.block_type(block.ty, i);
            if Self::by_slots(block) {
                self.s.stack.push_slot(ty);
            } else {
                self.push_reg(ty, block.result_regs[i as usize]);
            }
        }
    }

    /// Remembers what registers hold, for the second arm of an `if`, which begins with exactly this state: dirty locals need
    /// not be written back before the branch.
    pub(super) fn save_registers(&mut self) -> u32 {
        let start = u32::try_from(self.s.snapshots.len()).unwrap_or(u32::MAX);
        for reg in self.s.regs.owned() {
            let owner = self.s.regs.owner(reg);
            let (upper_undefined, dirty) = match owner {
                Owner::Local(local) => {
                    let state = self.s.locals[usize::from(local)];
                    (state.upper_undefined, state.dirty)
                }
                Owner::Operand(height) => (self.peek(height).upper_undefined, false),
                Owner::None => (false, false),
            };
            self.s.snapshots.push(SavedReg {
                reg,
                owner,
                upper_undefined,
                dirty,
            });
        }
        start
    }

    /// The registers are again as they were at the `if`. Call it with none of them in use.
    pub(super) fn restore_registers(&mut self, start: u32) {
        while self.s.snapshots.len() > start as usize {
            let Some(saved) = self.s.snapshots.pop() else {
                return;
            };
            match saved.owner {
                Owner::None => continue,
                Owner::Local(local) => {
                    let state = &mut self.s.locals[usize::from(local)];
                    state.set_cached(Some(saved.reg));
                    state.dirty = saved.dirty;
                    state.upper_undefined = saved.upper_undefined;
                }
                // Parameters of the block were pushed again as slots.
                Owner::Operand(height) if saved.upper_undefined => {
                    self.s.stack.set_slot(height);
                    continue;
                }
                Owner::Operand(height) => self.s.stack.set_reg(height, saved.reg, true),
            }
            self.s.regs.set_owner(saved.reg, saved.owner);
        }
    }
}

/// The register of a result, if it travels in one.
pub(super) fn result_reg(loc: ResultLoc) -> Option<Reg> {
    match loc {
        ResultLoc::Int(code) => Some(Reg::int(code)),
        ResultLoc::Float(code) => Some(Reg::float(code)),
        ResultLoc::Memory(_) => None,
    }
}
