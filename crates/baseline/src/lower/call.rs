//! Calls: of functions and of helpers.
//!
//! Around a call nothing lives in a register that the callee may change: operands below the arguments go to their slots, dirty
//! locals are written back, homes that calls do not preserve are written to their slots before and loaded after. Arguments are moved
//! all at once. `call_indirect` checks the entry when the arguments are in place already; its cold path keeps them.

use super::Lower;
use super::cold::{ColdKind, IndirectCold};
use super::memory::offset_by;
use super::merge::{SCRATCH, result_reg};
use super::operands::{At, Val};
use crate::isa::x64::control::field;
use crate::isa::x64::regs::{INT_POOL, R11};
use crate::isa::{Addr, AluOp, Cond, Label, Reg, RegSet};
use crate::state::moves::Moves;
use crate::state::value::{NO_ALIAS, Ty};
use smallvec::SmallVec;
use std::mem::offset_of;
use upshift_abi::callconv::x64::INT_ARGS;
use upshift_abi::{ArgLoc, Libcall, ResultLoc, SignatureLayout, StackMap, TableDef, TableEntry};
use upshift_module::ops::{CallOp, Width};
use upshift_module::{FuncIndex, TableIndex, TypeIndex};

/// What is called.
#[derive(Clone, Copy)]
enum Callee {
    Defined(FuncIndex),
    /// Offset of the import's record.
    Import(i32),
    /// The function of a table entry, with the index on the operand stack above the arguments.
    Indirect(TableIndex, TypeIndex),
}

/// Bytes of a result in the area that the result pointer points to.
const RESULT_BYTES: u32 = 16;

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn call(&mut self, op: CallOp) {
        match op {
            CallOp::Call(func) => {
                let callee = if self.module.is_imported_func(func) {
                    let import = self.env.layout.func_import(func);
                    Callee::Import(i32::try_from(import).unwrap_or(0))
                } else {
                    Callee::Defined(func)
                };
                self.emit_call(callee, self.module.funcs[func.0 as usize]);
            }
            CallOp::CallIndirect { ty, table } => {
                // The index is needed last; an alias or constant stays what it is, a register is moved to the scratch.
                self.emit_call(Callee::Indirect(table, ty), ty);
            }
        }
    }

    /// Everything that the callee may change is in memory or dead, but for the operands from `base` on.
    pub(super) fn prepare_call(&mut self, base: u32) {
        self.spill_operands_below(base);
        for reg in self.s.regs.cached {
            if let crate::state::registers::Owner::Local(local) = self.s.regs.owner(reg)
                && (self.s.locals[usize::from(local)].carried || self.has_alias_below(local, base))
            {
                self.write_back(local);
            }
        }
        for at in 0..self.s.scratch_homes.len() {
            let state = self.s.locals[usize::from(self.s.scratch_homes[at])];
            if let Some(home) = state.home() {
                self.s.asm.store(state.ty, state.slot(), home);
            }
        }
    }

    /// Whether an operand below a height is an alias of the local.
    fn has_alias_below(&self, local: u16, base: u32) -> bool {
        let mut height = self.s.locals[usize::from(local)].newest_alias;
        while height != NO_ALIAS && self.s.stack.is_alias(height, local) {
            if height < base {
                return true;
            }
            height = self.s.stack.older_alias(height);
        }
        false
    }

    /// Loads the homes that a call did not preserve.
    fn reload_homes(&mut self) {
        for at in 0..self.s.scratch_homes.len() {
            let state = self.s.locals[usize::from(self.s.scratch_homes[at])];
            if let Some(home) = state.home() {
                self.s.asm.load(state.ty, home, state.slot());
            }
        }
    }

    fn emit_call(&mut self, callee: Callee, ty: TypeIndex) {
        let env = self.env;
        let sig = &env.signatures[ty.0 as usize];
        let params = u32::try_from(sig.params.len()).unwrap_or(u32::MAX);
        // The index of an indirect call lies above the arguments and takes part in the moves.
        let index = match callee {
            Callee::Indirect(..) => Some(self.s.stack.len() - 1),
            Callee::Defined(_) | Callee::Import(_) => None,
        };
        let base = self.s.stack.len() - params - u32::from(index.is_some());
        self.prepare_call(base);
        let area = i32::try_from(sig.result_area_bytes).unwrap_or(i32::MAX);
        let pushed = i32::try_from(sig.stack_bytes).unwrap_or(i32::MAX);
        self.s
            .frame
            .note_outgoing(sig.result_area_bytes + sig.stack_bytes);
        self.s.asm.push_area(area + pushed);
        if index.is_none() && pushed == 0 {
            self.pop_args(sig);
        } else {
            self.move_args(sig, base, index);
            self.truncate(base);
        }
        if let Some(pointer) = sig.result_pointer() {
            self.s.asm.stack_address(Reg::int(pointer), pushed);
        }
        let return_offset = match callee {
            Callee::Defined(func) => self.s.asm.call_slot(func),
            Callee::Import(import) => self.s.asm.call_import(import),
            Callee::Indirect(table, ty) => {
                self.check_entry(table, ty);
                let feedback = self.feedback();
                self.s.asm.call_entry(feedback)
            }
        };
        self.after_call(return_offset);
        self.push_results(sig, ty);
        self.s.asm.pop_area(area);
    }

    /// Notes what the caller keeps.
    fn after_call(&mut self, return_offset: u32) {
        self.forget_locals();
        self.note_map(return_offset);
    }

    /// References in the frame during the call that returns here.
    fn note_map(&mut self, return_offset: u32) {
        if self.s.ref_locals.is_empty() && self.s.stack.refs().is_empty() {
            return;
        }
        // Beyond the bound the function is refused; do not pile its maps up.
        if self.map_slots > super::MAP_SLOTS_MAX {
            return;
        }
        let mut slots = Vec::new();
        for &local in &self.s.ref_locals {
            let disp = self.s.locals[usize::from(local)].disp();
            slots.push(disp.unsigned_abs());
        }
        for &height in self.s.stack.refs() {
            if matches!(self.s.stack.place(height), crate::state::value::Place::Slot) {
                slots.push(self.s.frame.operand_distance(height));
            }
        }
        self.map_slots += slots.len();
        if !slots.is_empty() {
            self.stack_maps.push(StackMap {
                return_offset,
                slots: slots.into(),
            });
        }
    }

    /// Takes the top operands off and moves them to where the callee expects them, which is in registers for all of them.
    /// Nothing is allocated meanwhile, so registers and slots that were given back still hold their values.
    pub(super) fn pop_args(&mut self, sig: &SignatureLayout) {
        let mut moves = Moves::default();
        let mut late: SmallVec<[(Reg, Val); 8]> = SmallVec::new();
        for &loc in sig.params.iter().rev() {
            let val = self.pop();
            let Some(dst) = arg_reg(loc) else { continue };
            match self.reg_of(val) {
                Some(src) => moves.add(val.ty, dst, src),
                None => late.push((dst, val)),
            }
        }
        moves.resolve(SCRATCH, |m| self.s.asm.mov(m.ty, m.dst, m.src));
        for &(dst, val) in late.iter().rev() {
            self.move_to(dst, val);
        }
        self.s.regs.pinned = RegSet::EMPTY;
    }

    /// Moves the operands from `base` on to where the callee expects them, and the operand at `index` to the scratch register.
    pub(super) fn move_args(&mut self, sig: &SignatureLayout, base: u32, index: Option<u32>) {
        for (&loc, height) in sig.params.iter().zip(base..) {
            if let ArgLoc::Stack(offset) = loc {
                let offset = i32::try_from(offset).unwrap_or(i32::MAX);
                self.store_operand(Addr::Stack(offset), height);
            }
        }
        // Moves may overwrite the index, and break cycles through the register that is to hold it.
        let parked = index.and_then(|index| self.park_index(index));
        let mut moves = Moves::default();
        for (&loc, height) in sig.params.iter().zip(base..) {
            let val = self.peek(height);
            if let (Some(dst), Some(src)) = (arg_reg(loc), self.reg_of(val)) {
                moves.add(val.ty, dst, src);
            }
        }
        moves.resolve(SCRATCH, |m| self.s.asm.mov(m.ty, m.dst, m.src));
        for (&loc, height) in sig.params.iter().zip(base..) {
            let val = self.peek(height);
            if let (Some(dst), None) = (arg_reg(loc), self.reg_of(val)) {
                self.move_to(dst, val);
            }
        }
        match (parked, index) {
            (Some(slot), _) => self.s.asm.load(Ty::I32, R11, slot),
            (None, Some(index)) => {
                let val = self.peek(index);
                self.move_to(R11, val);
            }
            (None, None) => {}
        }
    }

    /// Makes sure that the index is in memory if moving arguments can overwrite it; where it is then.
    fn park_index(&mut self, height: u32) -> Option<Addr> {
        let val = self.peek(height);
        let reg = self.reg_of(val)?;
        if !INT_ARGS.iter().any(|&code| Reg::int(code) == reg) {
            return None;
        }
        if let At::Local(local) = val.at
            && !self.s.locals[usize::from(local)].dirty
        {
            // Written back already, as a cached local or as a home that calls do not preserve.
            return Some(self.s.locals[usize::from(local)].slot());
        }
        let slot = self.s.frame.operand(height);
        self.s.asm.store(val.ty, slot, reg);
        Some(slot)
    }

    /// With the index in the scratch register: leaves there the address of a table entry of the right type.
    fn check_entry(&mut self, table: TableIndex, ty: TypeIndex) {
        let type_id = self.env.type_ids[ty.0 as usize].0;
        let mismatch = self.s.asm.new_label();
        let back = self.s.asm.new_label();
        let cold = IndirectCold {
            table: table.0,
            ty: ty.0,
            type_id,
            mismatch,
        };
        let bounds = self.cold(ColdKind::Indirect(cold), Some(back));
        let def = self.table_def(table);
        let length = offset_by(def, field(offset_of!(TableDef, length)));
        let base = offset_by(def, field(offset_of!(TableDef, base)));
        self.s.asm.alu_mem(Width::W64, AluOp::Cmp, R11, length);
        self.s.asm.jump_if(Cond::GeU, bounds);
        self.s.asm.scale_entry();
        self.s.asm.alu_mem(Width::W64, AluOp::Add, R11, base);
        let id = Addr::Base(R11, field(offset_of!(TableEntry, type_id)));
        self.s
            .asm
            .alu_mem_imm(Width::W32, AluOp::Cmp, id, type_id.cast_signed());
        self.s.asm.jump_if(Cond::Ne, mismatch);
        self.s.asm.bind(back);
    }

    /// Where the next `call_indirect` leaves word of whom it calls: only code that counts does.
    fn feedback(&mut self) -> Option<Addr> {
        let ordinal = self.indirect_seen;
        self.indirect_seen += 1;
        self.options.counter_step?;
        let defined = self.module.defined_func(self.func.index())?;
        let word = self.env.layout.feedback(defined, ordinal)?;
        i32::try_from(word).ok().map(Addr::Ctx)
    }

    /// Address of a table's definition, by way of rax: no argument is there.
    fn table_def(&mut self, table: TableIndex) -> Addr {
        let place = self.env.layout.table(table);
        self.vm_place(place, INT_POOL[0])
    }

    /// The cold path of `call_indirect`: keeps the arguments, asks the helper for the entry.
    pub(super) fn emit_indirect_cold(&mut self, call: IndirectCold, back: Label) {
        let known = self.s.asm.new_label();
        self.s.asm.jump(known);
        self.s.asm.bind(call.mismatch);
        let def = self.table_def(TableIndex(call.table));
        let base = offset_by(def, field(offset_of!(TableDef, base)));
        self.s.asm.alu_mem(Width::W64, AluOp::Sub, R11, base);
        self.s.asm.unscale_entry();
        self.s.asm.bind(known);
        let env = self.env;
        let sig = &env.signatures[call.ty as usize];
        let mut kept: SmallVec<[(Ty, Reg); 16]> = SmallVec::new();
        if let Some(pointer) = sig.result_pointer() {
            kept.push((Ty::I64, Reg::int(pointer)));
        }
        for &loc in &sig.params {
            match loc {
                ArgLoc::Int(code) => kept.push((Ty::I64, Reg::int(code))),
                ArgLoc::Float(code) => kept.push((Ty::V128, Reg::float(code))),
                ArgLoc::Stack(_) => {}
            }
        }
        let bytes = i32::try_from(kept.len() * 16).unwrap_or(i32::MAX);
        self.s
            .frame
            .note_outgoing(sig.result_area_bytes + sig.stack_bytes + bytes.unsigned_abs());
        self.s.asm.push_area(bytes);
        for (&(ty, reg), at) in kept.iter().zip(0..) {
            self.s.asm.store(ty, Addr::Stack(at * 16), reg);
        }
        self.s
            .asm
            .load_const(Ty::I32, Reg::int(INT_ARGS[0]), u64::from(call.table));
        self.s.asm.mov(Ty::I32, Reg::int(INT_ARGS[1]), R11);
        self.s
            .asm
            .load_const(Ty::I32, Reg::int(INT_ARGS[2]), u64::from(call.type_id));
        self.s.asm.call_helper(Libcall::IndirectSlow);
        self.s.asm.mov(Ty::I64, R11, INT_POOL[0]);
        for (&(ty, reg), at) in kept.iter().zip(0..) {
            self.s.asm.load(ty, reg, Addr::Stack(at * 16));
        }
        self.s.asm.pop_area(bytes);
        self.s.asm.jump(back);
    }

    /// Puts the results on the stack and loads homes again.
    fn push_results(&mut self, sig: &SignatureLayout, ty: TypeIndex) {
        let module = self.module;
        let types = module.ty(ty).results();
        let plain = self.s.scratch_homes.is_empty();
        if let ([ty], [loc]) = (types, &*sig.results)
            && plain
            && let Some(reg) = result_reg(*loc)
            && self.hint.is_some()
        {
            self.push_result(Ty::of(*ty), reg);
            return;
        }
        let height = self.s.stack.len();
        for ((&ty, &loc), height) in types.iter().zip(&sig.results).zip(height..) {
            let ty = Ty::of(ty);
            match (result_reg(loc), loc) {
                (Some(reg), _) if self.s.regs.pool.contains(reg) => {
                    self.push_reg_upper(ty, reg, ty == Ty::I32);
                }
                (Some(reg), _) => {
                    let slot = self.s.frame.operand(height);
                    self.s.asm.store(ty, slot, reg);
                    self.s.stack.push_slot(ty);
                }
                (None, ResultLoc::Memory(offset)) => {
                    debug_assert_eq!(offset % RESULT_BYTES, 0);
                    let slot = self.s.frame.operand(height);
                    let offset = i32::try_from(offset).unwrap_or(i32::MAX);
                    self.s.asm.copy(ty, slot, Addr::Stack(offset));
                    self.s.stack.push_slot(ty);
                }
                (None, ResultLoc::Int(_) | ResultLoc::Float(_)) => {}
            }
        }
        self.reload_homes();
    }

    /// Calls a helper with constants and then the top operands as arguments.
    pub(super) fn libcall(
        &mut self,
        helper: Libcall,
        constants: &[u32],
        operands: u32,
        result: Option<Ty>,
    ) {
        let base = self.s.stack.len() - operands;
        debug_assert_eq!(
            helper.signature().params.len(),
            constants.len() + operands as usize
        );
        self.prepare_call(base);
        let mut moves = Moves::default();
        let regs = INT_ARGS.map(Reg::int);
        for (&dst, height) in regs[constants.len()..].iter().zip(base..base + operands) {
            let val = self.peek(height);
            if let Some(src) = self.reg_of(val) {
                moves.add(val.ty, dst, src);
            }
        }
        moves.resolve(SCRATCH, |m| self.s.asm.mov(m.ty, m.dst, m.src));
        for (&dst, height) in regs[constants.len()..].iter().zip(base..base + operands) {
            let val = self.peek(height);
            if self.reg_of(val).is_none() {
                self.move_to(dst, val);
            }
        }
        for (&dst, &value) in regs.iter().zip(constants) {
            self.s.asm.load_const(Ty::I32, dst, u64::from(value));
        }
        self.truncate(base);
        let return_offset = self.s.asm.call_helper(helper);
        self.after_call(return_offset);
        self.reload_homes();
        if let Some(ty) = result {
            let rax = INT_POOL[0];
            if self.hint.is_some() {
                self.push_result(ty, rax);
            } else {
                self.push_reg_upper(ty, rax, ty == Ty::I32);
            }
        }
    }
}

/// The register of an argument, if it travels in one.
fn arg_reg(loc: ArgLoc) -> Option<Reg> {
    match loc {
        ArgLoc::Int(code) => Some(Reg::int(code)),
        ArgLoc::Float(code) => Some(Reg::float(code)),
        ArgLoc::Stack(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{INT_ARGS, INT_POOL, R11, Reg, RegSet};

    #[test]
    fn the_scratch_register_carries_no_argument() {
        let mut args = RegSet::EMPTY;
        for code in INT_ARGS {
            args.insert(Reg::int(code));
        }
        assert!(!args.contains(R11) && !args.contains(INT_POOL[0]));
    }
}
