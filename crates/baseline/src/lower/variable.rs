//! Locals and globals, and constants.

use super::Lower;
use super::operands::{At, Val};
use crate::isa::x64::regs::R11;
use crate::isa::{Addr, Reg};
use crate::state::registers::Owner;
use crate::state::value::Ty;
use upshift_abi::layout::Place as VmPlace;
use upshift_module::ops::{ConstOp, VariableOp};
use upshift_module::{ConstInst, GlobalIndex, LocalIndex};

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn variable(&mut self, op: VariableOp) {
        match op {
            VariableOp::LocalGet(local) => self.local_get(local),
            VariableOp::LocalSet(local) => {
                let value = self.pop();
                self.local_set(local, value);
            }
            VariableOp::LocalTee(local) => {
                let value = self.pop();
                self.local_set(local, value);
                self.local_get(local);
            }
            VariableOp::GlobalGet(global) => self.global_get(global),
            VariableOp::GlobalSet(global) => self.global_set(global),
        }
    }

    #[inline(always)]
    pub(super) fn constant(&mut self, op: ConstOp) {
        match op {
            ConstOp::I32(value) => self.push_const(Ty::I32, u64::from(value.cast_unsigned())),
            ConstOp::I64(value) => self.push_const(Ty::I64, value.cast_unsigned()),
            ConstOp::F32(bits) => self.push_const(Ty::F32, u64::from(bits)),
            ConstOp::F64(bits) => self.push_const(Ty::F64, bits),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "more locals are refused before"
    )]
    fn local_get(&mut self, local: LocalIndex) {
        let local = local.0 as u16;
        let state = self.s.locals[usize::from(local)];
        if state.zero {
            self.push_const(state.ty, 0);
        } else {
            self.push_alias(local);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "more locals are refused before"
    )]
    fn local_set(&mut self, local: LocalIndex, value: Val) {
        let local = local.0 as u16;
        if value.at == At::Local(local) {
            return;
        }
        let state = self.s.locals[usize::from(local)];
        if let Some(home) = state.home() {
            if value.at != At::Reg(home) {
                self.release_aliases(local);
                self.move_to(home, value);
            }
            return;
        }
        self.release_aliases(local);
        let state = &mut self.s.locals[usize::from(local)];
        state.zero = false;
        if let Some(old) = state.cached() {
            state.set_cached(None);
            self.s.regs.release(old);
        }
        let reg = self.in_own_reg(value);
        self.s.regs.set_owner(reg, Owner::Local(local));
        let state = &mut self.s.locals[usize::from(local)];
        state.set_cached(Some(reg));
        state.dirty = true;
        state.upper_undefined = value.upper_undefined;
    }

    /// Value of a global that can never change and is known.
    fn global_const(&self, global: GlobalIndex) -> Option<(Ty, u64)> {
        let ty = self.module.globals[global.0 as usize];
        let defined = self.module.defined_global(global)?;
        if ty.mutable {
            return None;
        }
        let [inst] = self.module.global_inits.get(defined as usize)?.as_slice() else {
            return None;
        };
        let bits = match *inst {
            ConstInst::I32(value) => u64::from(value.cast_unsigned()),
            ConstInst::I64(value) => value.cast_unsigned(),
            ConstInst::F32(bits) => u64::from(bits),
            ConstInst::F64(bits) => bits,
            ConstInst::RefNull(_)
            | ConstInst::RefFunc(_)
            | ConstInst::GlobalGet(_)
            | ConstInst::I32Add
            | ConstInst::I32Sub
            | ConstInst::I32Mul
            | ConstInst::I64Add
            | ConstInst::I64Sub
            | ConstInst::I64Mul => return None,
        };
        Some((Ty::of(ty.content), bits))
    }

    /// Address of a global's cell; an imported one's is loaded into the scratch register.
    fn global_cell(&mut self, global: GlobalIndex) -> Addr {
        let place = self.env.layout.global(global);
        self.vm_place(place, R11)
    }

    /// Address of a definition; the pointer to an imported one is loaded into `pointer`.
    pub(super) fn vm_place(&mut self, place: VmPlace, pointer: Reg) -> Addr {
        match place {
            VmPlace::Inline(offset) => Addr::Ctx(i32::try_from(offset).unwrap_or(0)),
            VmPlace::Pointer(offset) => {
                let from = Addr::Ctx(i32::try_from(offset).unwrap_or(0));
                self.s.asm.load(Ty::I64, pointer, from);
                Addr::Base(pointer, 0)
            }
        }
    }

    fn global_get(&mut self, global: GlobalIndex) {
        if let Some((ty, bits)) = self.global_const(global) {
            self.push_const(ty, bits);
            return;
        }
        let ty = Ty::of(self.module.globals[global.0 as usize].content);
        let dst = self.new_result_reg(ty);
        let cell = self.global_cell(global);
        self.s.asm.load(ty, dst, cell);
        self.push_reg(ty, dst);
    }

    fn global_set(&mut self, global: GlobalIndex) {
        let value = self.pop();
        if let Some(bits) = value.as_const() {
            let cell = self.global_cell(global);
            self.s.asm.store_const(value.ty, cell, bits);
            return;
        }
        let src = self.in_reg(value);
        let cell = self.global_cell(global);
        self.s.asm.store(value.ty, cell, src);
    }
}
