//! Moves: between registers, to and from memory, constants.

use super::{Asm, n, regs};
use crate::isa::{Addr, Reg};
use crate::state::value::Ty;
use dynasmrt::DynasmApi as _;
use upshift_module::ops::{LoadOp, StoreOp};

impl Asm {
    /// dst = src within a register class. Moving an i32 clears the upper half.
    pub(crate) fn mov(&mut self, ty: Ty, dst: Reg, src: Reg) {
        if dst == src {
            return;
        }
        let (d, s) = (n(dst), n(src));
        match ty {
            Ty::I32 => emit!(self; mov Rd(d), Rd(s)),
            Ty::I64 | Ty::FuncRef | Ty::ExternRef => emit!(self; mov Rq(d), Rq(s)),
            Ty::F32 | Ty::F64 | Ty::V128 => emit!(self; movaps Rx(d), Rx(s)),
        }
    }

    /// Clears the upper half of a register.
    pub(crate) fn zero_extend(&mut self, dst: Reg, src: Reg) {
        let (d, s) = (n(dst), n(src));
        emit!(self; mov Rd(d), Rd(s));
    }

    /// dst = a slot's value
    pub(crate) fn load(&mut self, ty: Ty, dst: Reg, addr: Addr) {
        let d = n(dst);
        match ty {
            Ty::I32 => mem!(self, addr, [mov Rd(d),] []),
            Ty::I64 | Ty::FuncRef | Ty::ExternRef => mem!(self, addr, [mov Rq(d),] []),
            Ty::F32 => mem!(self, addr, [movss Rx(d),] []),
            Ty::F64 => mem!(self, addr, [movsd Rx(d),] []),
            Ty::V128 => mem!(self, addr, [movups Rx(d),] []),
        }
    }

    /// A slot's value = src
    pub(crate) fn store(&mut self, ty: Ty, addr: Addr, src: Reg) {
        let s = n(src);
        match ty {
            Ty::I32 => mem!(self, addr, [mov] [, Rd(s)]),
            Ty::I64 | Ty::FuncRef | Ty::ExternRef => mem!(self, addr, [mov] [, Rq(s)]),
            Ty::F32 => mem!(self, addr, [movss] [, Rx(s)]),
            Ty::F64 => mem!(self, addr, [movsd] [, Rx(s)]),
            Ty::V128 => mem!(self, addr, [movups] [, Rx(s)]),
        }
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
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half, or checked just before"
    )]
    pub(crate) fn load_const(&mut self, ty: Ty, dst: Reg, bits: u64) {
        let d = n(dst);
        if dst.is_float() {
            self.load_float_const(ty, dst, bits);
        } else if bits == 0 && !self.flags_live {
            emit!(self; xor Rd(d), Rd(d));
        } else if bits <= u64::from(u32::MAX) || ty == Ty::I32 {
            emit!(self; mov Rd(d), DWORD bits as u32 as i32);
        } else if let Ok(imm) = i32::try_from(bits.cast_signed()) {
            emit!(self; mov Rq(d), DWORD imm);
        } else {
            emit!(self; mov Rq(d), QWORD bits.cast_signed());
        }
    }

    fn load_float_const(&mut self, ty: Ty, dst: Reg, bits: u64) {
        let d = n(dst);
        if bits == 0 {
            emit!(self; xorps Rx(d), Rx(d));
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
        match ty {
            Ty::I32 | Ty::F32 => mem!(self, addr, [mov DWORD] [, low]),
            Ty::I64 | Ty::F64 | Ty::FuncRef | Ty::ExternRef | Ty::V128 => {
                if i64::from(low) == bits.cast_signed() {
                    mem!(self, addr, [mov QWORD] [, DWORD low]);
                } else {
                    let id = self.const64(bits);
                    self.copy(Ty::F64, addr, Addr::Const(id));
                }
            }
        }
    }

    /// A load operator.
    pub(crate) fn load_op(&mut self, op: LoadOp, dst: Reg, addr: Addr) {
        let d = n(dst);
        match op {
            LoadOp::I32 | LoadOp::I64U32 => mem!(self, addr, [mov Rd(d),] []),
            LoadOp::I64 => mem!(self, addr, [mov Rq(d),] []),
            LoadOp::F32 => mem!(self, addr, [movss Rx(d),] []),
            LoadOp::F64 => mem!(self, addr, [movsd Rx(d),] []),
            LoadOp::I32S8 => mem!(self, addr, [movsx Rd(d), BYTE] []),
            LoadOp::I64S8 => mem!(self, addr, [movsx Rq(d), BYTE] []),
            LoadOp::I32U8 | LoadOp::I64U8 => mem!(self, addr, [movzx Rd(d), BYTE] []),
            LoadOp::I32S16 => mem!(self, addr, [movsx Rd(d), WORD] []),
            LoadOp::I64S16 => mem!(self, addr, [movsx Rq(d), WORD] []),
            LoadOp::I32U16 | LoadOp::I64U16 => mem!(self, addr, [movzx Rd(d), WORD] []),
            LoadOp::I64S32 => mem!(self, addr, [movsxd Rq(d), DWORD] []),
        }
    }

    /// A store operator.
    pub(crate) fn store_op(&mut self, op: StoreOp, addr: Addr, src: Reg) {
        let s = n(src);
        match op {
            StoreOp::I32As8 | StoreOp::I64As8 => mem!(self, addr, [mov] [, Rb(s)]),
            StoreOp::I32As16 | StoreOp::I64As16 => mem!(self, addr, [mov] [, Rw(s)]),
            StoreOp::I32 | StoreOp::I64As32 => mem!(self, addr, [mov] [, Rd(s)]),
            StoreOp::I64 => mem!(self, addr, [mov] [, Rq(s)]),
            StoreOp::F32 => mem!(self, addr, [movss] [, Rx(s)]),
            StoreOp::F64 => mem!(self, addr, [movsd] [, Rx(s)]),
        }
    }

    /// A store operator with a constant that fits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "narrow stores write the low bits"
    )]
    pub(crate) fn store_op_imm(&mut self, op: StoreOp, addr: Addr, imm: i32) {
        match op {
            StoreOp::I32As8 | StoreOp::I64As8 => {
                let imm = imm as i8;
                mem!(self, addr, [mov BYTE] [, imm]);
            }
            StoreOp::I32As16 | StoreOp::I64As16 => {
                let imm = imm as i16;
                mem!(self, addr, [mov WORD] [, WORD imm]);
            }
            StoreOp::I32 | StoreOp::I64As32 | StoreOp::F32 => {
                mem!(self, addr, [mov DWORD] [, imm]);
            }
            StoreOp::I64 | StoreOp::F64 => mem!(self, addr, [mov QWORD] [, DWORD imm]),
        }
    }

    /// Clears `count` consecutive 8-byte slots from the address upwards, leaving flags and all allocated registers alone.
    pub(crate) fn clear_slots(&mut self, lowest: i32, count: i32) {
        emit!(self; xorps xmm15, xmm15);
        let pairs = count / 2;
        for pair in 0..pairs {
            mem!(self, Addr::Frame(lowest + pair * 16), [movups] [, xmm15]);
        }
        if count % 2 != 0 {
            mem!(self, Addr::Frame(lowest + pairs * 16), [movlps] [, xmm15]);
        }
    }

    /// The same for many slots, in the prologue: rdi, rax and r10 are free there, rcx is saved.
    pub(crate) fn clear_many_slots(&mut self, lowest: i32, count: i32) {
        emit!(self; mov r10, rcx);
        mem!(self, Addr::Frame(lowest), [lea rdi,] []);
        emit!(self; mov ecx, count; xor eax, eax; rep stosq; mov rcx, r10);
    }
}
