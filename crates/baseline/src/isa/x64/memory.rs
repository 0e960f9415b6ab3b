//! Moves: between registers, to and from memory, constants.

use super::encode::Opcode;
use super::{Asm, regs};
use crate::isa::{Addr, Reg};
use crate::state::value::Ty;
use dynasmrt::DynasmApi as _;
use upshift_module::ops::{LoadOp, StoreOp};

const MOV: Opcode = Opcode::one(0x8b);
const MOVAPS: Opcode = Opcode::two(0x28);
const XORPS: Opcode = Opcode::two(0x57);
const MOVLPS: Opcode = Opcode::two(0x13);

const fn load_opcode(ty: Ty) -> Opcode {
    match ty {
        Ty::I32 => MOV,
        Ty::I64 | Ty::FuncRef | Ty::ExternRef => MOV.wide(),
        Ty::F32 => Opcode::two(0x10).prefix(0xf3),
        Ty::F64 => Opcode::two(0x10).prefix(0xf2),
        Ty::V128 => Opcode::two(0x10),
    }
}

const fn store_opcode(ty: Ty) -> Opcode {
    match ty {
        Ty::I32 => Opcode::one(0x89),
        Ty::I64 | Ty::FuncRef | Ty::ExternRef => Opcode::one(0x89).wide(),
        Ty::F32 => Opcode::two(0x11).prefix(0xf3),
        Ty::F64 => Opcode::two(0x11).prefix(0xf2),
        Ty::V128 => Opcode::two(0x11),
    }
}

impl Asm {
    /// dst = src within a register class. Moving an i32 clears the upper half.
    pub(crate) fn mov(&mut self, ty: Ty, dst: Reg, src: Reg) {
        if dst == src {
            return;
        }
        let op = match ty {
            Ty::I32 => MOV,
            Ty::I64 | Ty::FuncRef | Ty::ExternRef => MOV.wide(),
            Ty::F32 | Ty::F64 | Ty::V128 => MOVAPS,
        };
        self.regs(op, dst, src);
    }

    /// Clears the upper half of a register.
    pub(crate) fn zero_extend(&mut self, dst: Reg, src: Reg) {
        self.regs(MOV, dst, src);
    }

    /// dst = a slot's value
    pub(crate) fn load(&mut self, ty: Ty, dst: Reg, addr: Addr) {
        self.mem(load_opcode(ty), dst, addr);
    }

    /// A slot's value = src
    pub(crate) fn store(&mut self, ty: Ty, addr: Addr, src: Reg) {
        self.mem(store_opcode(ty), src, addr);
    }

    /// Copies between two memory places; touches nothing but the vector scratch register.
    pub(crate) fn copy(&mut self, ty: Ty, dst: Addr, src: Addr) {
        // 4-byte values are copied as such: the rest of a slot is undefined.
        let ty = match ty {
            Ty::I32 | Ty::F32 => Ty::F32,
            Ty::I64 | Ty::F64 | Ty::FuncRef | Ty::ExternRef => Ty::F64,
            Ty::V128 => Ty::V128,
        };
        self.load(ty, regs::XMM15, src);
        self.store(ty, dst, regs::XMM15);
    }

    /// dst = constant
    pub(crate) fn load_const(&mut self, ty: Ty, dst: Reg, bits: u64) {
        if dst.is_float() {
            self.load_float_const(ty, dst, bits);
        } else if bits == 0 && !self.flags_live {
            self.regs(Opcode::one(0x33), dst, dst);
        } else if bits <= u64::from(u32::MAX) || ty == Ty::I32 {
            self.short_reg(Opcode::one(0xb8), dst, (bits & u64::from(u32::MAX), 4));
        } else if let Ok(imm) = i32::try_from(bits.cast_signed()) {
            self.reg_imm32(Opcode::one(0xc7).wide(), 0, dst, imm);
        } else {
            self.short_reg(Opcode::one(0xb8).wide(), dst, (bits, 8));
        }
    }

    fn load_float_const(&mut self, ty: Ty, dst: Reg, bits: u64) {
        if bits == 0 {
            self.regs(XORPS, dst, dst);
        } else {
            let id = self.const64(bits);
            self.load(ty, dst, Addr::Const(id));
        }
    }

    /// A slot's value = constant; touches no register and no flag.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of a constant"
    )]
    pub(crate) fn store_const(&mut self, ty: Ty, addr: Addr, bits: u64) {
        let low = bits as u32 as i32;
        let op = Opcode::one(0xc7);
        match ty {
            Ty::I32 | Ty::F32 => self.mem_imm(op, 0, addr, (low, 4)),
            Ty::I64 | Ty::F64 | Ty::FuncRef | Ty::ExternRef | Ty::V128 => {
                if i64::from(low) == bits.cast_signed() {
                    self.mem_imm(op.wide(), 0, addr, (low, 4));
                } else {
                    let id = self.const64(bits);
                    self.copy(Ty::F64, addr, Addr::Const(id));
                }
            }
        }
    }

    /// A load operator.
    pub(crate) fn load_op(&mut self, op: LoadOp, dst: Reg, addr: Addr) {
        let op = match op {
            LoadOp::I32 | LoadOp::I64U32 => MOV,
            LoadOp::I64 => MOV.wide(),
            LoadOp::F32 => load_opcode(Ty::F32),
            LoadOp::F64 => load_opcode(Ty::F64),
            LoadOp::I32S8 => Opcode::two(0xbe),
            LoadOp::I64S8 => Opcode::two(0xbe).wide(),
            LoadOp::I32U8 | LoadOp::I64U8 => Opcode::two(0xb6),
            LoadOp::I32S16 => Opcode::two(0xbf),
            LoadOp::I64S16 => Opcode::two(0xbf).wide(),
            LoadOp::I32U16 | LoadOp::I64U16 => Opcode::two(0xb7),
            LoadOp::I64S32 => Opcode::one(0x63).wide(),
        };
        self.mem(op, dst, addr);
    }

    /// A store operator.
    pub(crate) fn store_op(&mut self, op: StoreOp, addr: Addr, src: Reg) {
        let op = match op {
            StoreOp::I32As8 | StoreOp::I64As8 => Opcode::one(0x88).low_byte(src),
            StoreOp::I32As16 | StoreOp::I64As16 => Opcode::one(0x89).prefix(0x66),
            StoreOp::I32 | StoreOp::I64As32 => store_opcode(Ty::I32),
            StoreOp::I64 => store_opcode(Ty::I64),
            StoreOp::F32 => store_opcode(Ty::F32),
            StoreOp::F64 => store_opcode(Ty::F64),
        };
        self.mem(op, src, addr);
    }

    /// A store operator with a constant that fits.
    pub(crate) fn store_op_imm(&mut self, op: StoreOp, addr: Addr, imm: i32) {
        let word = Opcode::one(0xc7);
        let (op, bytes) = match op {
            StoreOp::I32As8 | StoreOp::I64As8 => (Opcode::one(0xc6), 1),
            StoreOp::I32As16 | StoreOp::I64As16 => (word.prefix(0x66), 2),
            StoreOp::I32 | StoreOp::I64As32 | StoreOp::F32 => (word, 4),
            StoreOp::I64 | StoreOp::F64 => (word.wide(), 4),
        };
        self.mem_imm(op, 0, addr, (imm, bytes));
    }

    /// Clears `count` consecutive 8-byte slots from the address upwards, leaving flags and all allocated registers alone.
    pub(crate) fn clear_slots(&mut self, lowest: i32, count: i32) {
        self.regs(XORPS, regs::XMM15, regs::XMM15);
        let pairs = count / 2;
        for pair in 0..pairs {
            self.store(Ty::V128, Addr::Frame(lowest + pair * 16), regs::XMM15);
        }
        if count % 2 != 0 {
            self.mem(MOVLPS, regs::XMM15, Addr::Frame(lowest + pairs * 16));
        }
    }

    /// The same for many slots, in the prologue: rdi, rax and r10 are free there, rcx is saved.
    pub(crate) fn clear_many_slots(&mut self, lowest: i32, count: i32) {
        emit!(self; mov r10, rcx);
        self.lea(regs::RDI, Addr::Frame(lowest));
        emit!(self; mov ecx, count; xor eax, eax; rep stosq; mov rcx, r10);
    }
}
