//! Calls.

use super::control::field;
use super::encode::Opcode;
use super::{Asm, regs};
use crate::isa::{Addr, AluOp, Reg};
use crate::state::value::Ty;
use dynasmrt::DynasmApi as _;
use std::mem::offset_of;
use upshift_abi::{FuncImport, Libcall, RelocTarget, TableEntry};
use upshift_module::FuncIndex;
use upshift_module::ops::Width;

impl Asm {
    /// Makes room below the stack pointer.
    pub(crate) fn push_area(&mut self, bytes: i32) {
        if bytes != 0 {
            self.alu_imm(Width::W64, AluOp::Sub, regs::RSP, bytes);
        }
    }

    /// Gives room below the stack pointer back.
    pub(crate) fn pop_area(&mut self, bytes: i32) {
        if bytes != 0 {
            self.alu_imm(Width::W64, AluOp::Add, regs::RSP, bytes);
        }
    }

    /// Calls a function of the module through its entry slot; the return offset.
    pub(crate) fn call_slot(&mut self, func: FuncIndex) -> u32 {
        self.mov(Ty::I64, regs::RDI, regs::VMCTX);
        // Relative to the instruction pointer.
        self.plain(Opcode::one(0xff), (0x15, 5));
        self.reloc_here(RelocTarget::EntrySlot(func));
        self.call_site()
    }

    /// Calls an import, whose record is at this offset of vmctx.
    pub(crate) fn call_import(&mut self, import: i32) -> u32 {
        let slot = Addr::Ctx(import + field(offset_of!(FuncImport, slot)));
        let vmctx = Addr::Ctx(import + field(offset_of!(FuncImport, vmctx)));
        self.load(Ty::I64, regs::R11, slot);
        self.load(Ty::I64, regs::RDI, vmctx);
        self.mem_imm(Opcode::one(0xff), 2, Addr::Base(regs::R11, 0), (0, 0));
        self.call_site()
    }

    /// Calls the function of the table entry whose address is in r11, and may leave the lower half of its slot's address somewhere.
    pub(crate) fn call_entry(&mut self, feedback: Option<Addr>) -> u32 {
        let vmctx = Addr::Base(regs::R11, field(offset_of!(TableEntry, vmctx)));
        let slot = Addr::Base(regs::R11, field(offset_of!(TableEntry, slot)));
        self.load(Ty::I64, regs::RDI, vmctx);
        self.load(Ty::I64, regs::R11, slot);
        if let Some(word) = feedback {
            self.store(Ty::I32, word, regs::R11);
        }
        self.mem_imm(Opcode::one(0xff), 2, Addr::Base(regs::R11, 0), (0, 0));
        self.call_site()
    }

    /// Calls a helper whose other arguments are in place.
    pub(crate) fn call_helper(&mut self, libcall: Libcall) -> u32 {
        self.mov(Ty::I64, regs::RDI, regs::VMCTX);
        self.plain(Opcode::one(0xe8), (0, 4));
        self.reloc_here(RelocTarget::Libcall(libcall));
        self.call_site()
    }

    /// The cold path of a counter: the helper preserves every register but r11.
    pub(crate) fn call_counter(&mut self, func: i32, site: i32) -> u32 {
        emit!(self; push DWORD func; push DWORD site; call DWORD 0);
        self.reloc_here(RelocTarget::Libcall(Libcall::CounterOverflow));
        self.call_site()
    }

    /// Multiplies the index in r11 by the size of a table entry.
    pub(crate) fn scale_entry(&mut self) {
        emit!(self; shl r11, BYTE 5);
    }

    /// The reverse of [`Self::scale_entry`].
    pub(crate) fn unscale_entry(&mut self) {
        emit!(self; shr r11, BYTE 5);
    }

    /// Moves the stack pointer into a register plus a constant.
    pub(crate) fn stack_address(&mut self, dst: Reg, offset: i32) {
        self.lea(dst, Addr::Stack(offset));
    }
}
