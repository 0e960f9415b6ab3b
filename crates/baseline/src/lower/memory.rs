//! Linear memory.
//!
//! Reserved style: an access is one instruction and the guard catches what is out of bounds, as long as index + offset + size
//! cannot reach beyond the guard. Otherwise, and in checked style, the end of the access is compared with the current size first.
//! An index is 32 bits wide: its register must have a clear upper half, which is tracked with every value.

use super::Lower;
use super::operands::{At, Val};
use crate::isa::x64::control::field;
use crate::isa::x64::regs::{MEMORY0, R11};
use crate::isa::{Addr, AluOp, Cond, Reg, ShiftOp};
use crate::state::value::Ty;
use std::mem::offset_of;
use upshift_abi::{Libcall, MemoryDef, TrapCode};
use upshift_module::MemoryIndex;
use upshift_module::ops::{LoadOp, MemArg, MemoryOp, StoreOp, Width};

/// Exponent of the size of a page.
const PAGE_SHIFT: i8 = 16;

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn memory(&mut self, op: MemoryOp) {
        match op {
            MemoryOp::Load(op, arg) => self.load(op, arg),
            MemoryOp::Store(op, arg) => self.store(op, arg),
            MemoryOp::Size(memory) => self.memory_size(memory),
            MemoryOp::Grow(memory) => {
                self.libcall(Libcall::MemoryGrow, &[memory.0], 1, Some(Ty::I32));
            }
        }
    }

    fn load(&mut self, op: LoadOp, arg: MemArg) {
        let index = self.pop();
        let addr = self.access(index, arg, op.bytes());
        let ty = load_type(op);
        let dst = self.result_reg(ty, index, None);
        self.s.asm.trap_site(TrapCode::MemoryOutOfBounds);
        self.s.asm.load_op(op, dst, addr);
        self.push_reg(ty, dst);
    }

    fn store(&mut self, op: StoreOp, arg: MemArg) {
        let value = self.pop();
        let index = self.pop();
        let imm = store_imm(value);
        let src = if imm.is_none() {
            Some(self.in_reg(value))
        } else {
            None
        };
        let addr = self.access(index, arg, op.bytes());
        self.s.asm.trap_site(TrapCode::MemoryOutOfBounds);
        match (imm, src) {
            (Some(imm), _) => self.s.asm.store_op_imm(op, addr, imm),
            (None, Some(src)) => self.s.asm.store_op(op, addr, src),
            (None, None) => {}
        }
    }

    /// A register with a clear upper half that holds an i32, to be read only.
    pub(super) fn in_reg_extended(&mut self, val: Val) -> Reg {
        let reg = self.in_reg(val);
        let clear = match val.at {
            At::Reg(_) => !val.upper_undefined,
            At::Local(local) => {
                let state = &mut self.s.locals[usize::from(local)];
                !std::mem::replace(&mut state.upper_undefined, false)
            }
            At::Const(_) | At::Slot(_) | At::Flags(_) => true,
        };
        if !clear {
            self.s.asm.zero_extend(reg, reg);
        }
        reg
    }

    /// The address of an access of so many bytes; what needs an explicit check is checked.
    fn access(&mut self, index: Val, arg: MemArg, bytes: u32) -> Addr {
        let end = arg.offset.saturating_add(u64::from(bytes));
        let Some(guard) = self.guard_bytes() else {
            return self.access_checked(index, arg, end);
        };
        let memory0 = arg.memory == MemoryIndex(0);
        if let Some(base) = index.as_const()
            && memory0
            && let Ok(disp) = i32::try_from(base.saturating_add(arg.offset))
        {
            return Addr::Mem0(disp);
        }
        match i32::try_from(arg.offset) {
            Ok(disp) if end <= guard => {
                let index = self.in_reg_extended(index);
                if memory0 {
                    Addr::Mem0Index(index, disp)
                } else {
                    self.load_base(arg.memory);
                    Addr::Index(R11, index, disp)
                }
            }
            Ok(_) | Err(_) => self.access_checked(index, arg, end),
        }
    }

    /// Loads the base of a memory into the scratch register.
    fn load_base(&mut self, memory: MemoryIndex) {
        if memory == MemoryIndex(0) && self.guard_bytes().is_some() {
            self.s.asm.mov(Ty::I64, R11, MEMORY0);
            return;
        }
        let place = self.env.layout.memory(memory);
        let def = self.vm_place(place, R11);
        let base = offset_by(def, field(offset_of!(MemoryDef, base)));
        self.s.asm.load(Ty::I64, R11, base);
    }

    /// Compares the end of an access with the size of the memory.
    fn access_checked(&mut self, index: Val, arg: MemArg, end: u64) -> Addr {
        let index = self.in_reg_extended(index);
        let pointer = self.alloc(false);
        let trap = self.trap(TrapCode::MemoryOutOfBounds);
        let place = self.env.layout.memory(arg.memory);
        let def = self.vm_place(place, pointer);
        let bytes = offset_by(def, field(offset_of!(MemoryDef, bytes)));
        match i32::try_from(end) {
            Ok(end) => self.s.asm.lea_imm(Width::W64, R11, index, end),
            Err(_) => {
                self.s.asm.load_const(Ty::I64, R11, end);
                self.s.asm.alu(Width::W64, AluOp::Add, R11, index);
            }
        }
        self.s.asm.alu_mem(Width::W64, AluOp::Cmp, R11, bytes);
        self.s.asm.jump_if(Cond::GtU, trap);
        self.load_base(arg.memory);
        match i32::try_from(arg.offset) {
            Ok(disp) => Addr::Index(R11, index, disp),
            Err(_) => {
                self.s.asm.load_const(Ty::I64, pointer, arg.offset);
                self.s.asm.alu(Width::W64, AluOp::Add, R11, pointer);
                Addr::Index(R11, index, 0)
            }
        }
    }

    fn memory_size(&mut self, memory: MemoryIndex) {
        let dst = self.new_result_reg(Ty::I32);
        let place = self.env.layout.memory(memory);
        let def = self.vm_place(place, dst);
        let bytes = offset_by(def, field(offset_of!(MemoryDef, bytes)));
        self.s.asm.load(Ty::I64, dst, bytes);
        self.s
            .asm
            .shift_imm(Width::W64, ShiftOp::ShrU, dst, PAGE_SHIFT);
        self.push_reg(Ty::I32, dst);
    }
}

/// An address some bytes further on.
pub(super) fn offset_by(addr: Addr, by: i32) -> Addr {
    match addr {
        Addr::Frame(d) => Addr::Frame(d + by),
        Addr::Ctx(d) => Addr::Ctx(d + by),
        Addr::Mem0(d) => Addr::Mem0(d + by),
        Addr::Mem0Index(i, d) => Addr::Mem0Index(i, d + by),
        Addr::Base(b, d) => Addr::Base(b, d + by),
        Addr::Index(b, i, d) => Addr::Index(b, i, d + by),
        Addr::Stack(d) => Addr::Stack(d + by),
        Addr::Const(id) => Addr::Const(id),
    }
}

fn load_type(op: LoadOp) -> Ty {
    match op {
        LoadOp::I32 | LoadOp::I32S8 | LoadOp::I32U8 | LoadOp::I32S16 | LoadOp::I32U16 => Ty::I32,
        LoadOp::I64
        | LoadOp::I64S8
        | LoadOp::I64U8
        | LoadOp::I64S16
        | LoadOp::I64U16
        | LoadOp::I64S32
        | LoadOp::I64U32 => Ty::I64,
        LoadOp::F32 => Ty::F32,
        LoadOp::F64 => Ty::F64,
    }
}

/// A constant that a store can hold: sign-extended to 64 bits where it is that wide.
fn store_imm(value: Val) -> Option<i32> {
    let bits = value.as_const()?;
    match value.ty {
        #[expect(clippy::cast_possible_truncation, reason = "32-bit values")]
        Ty::I32 | Ty::F32 => Some(bits as u32 as i32),
        Ty::I64 | Ty::F64 => i32::try_from(bits.cast_signed()).ok(),
        Ty::V128 | Ty::FuncRef | Ty::ExternRef => None,
    }
}
