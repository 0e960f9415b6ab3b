//! Jumps, tables, prologue, epilogue, traps.

use super::encode::Opcode;
use super::{Asm, condition_code, n};
use crate::isa::x64::regs::{MEMORY0, R10, R11, RDI, RSP, VMCTX};
use crate::isa::{Addr, AluOp, Cond, Label, Reg};
use crate::state::value::Ty;
use dynasmrt::DynasmApi as _;
use std::mem::offset_of;
use upshift_abi::callconv::x64::INCOMING_ARGS_OFFSET;
use upshift_abi::{StoreContext, VmContext};
use upshift_module::ops::Width;

/// Offset of a field of a small struct.
pub(crate) const fn field(offset: usize) -> i32 {
    assert!(offset < 0x1000);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "asserted above"
    )]
    let offset = offset as i32;
    offset
}

/// Frames whose bound is below this give a size of one byte even when they are rounded up.
const SHORT_FRAME: u32 = 112;
/// Frames larger than this are compared with care for wrapping.
const LARGE_FRAME: u32 = 1 << 16;

const JMP8: Opcode = Opcode::one(0xeb);
const JCC8: Opcode = Opcode::one(0x70);

/// The fields of the prologue that are known at the end only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PrologueFields {
    /// End of the displacement of the stack check, if there is one.
    check_end: Option<u32>,
    /// End of the frame size.
    frame_end: u32,
    /// Bytes of the frame that were pushed.
    pushed: i32,
    /// The frame size has one byte.
    short: bool,
}

impl Asm {
    /// Distance of a bound label from the end of a two-byte jump here, if it fits.
    fn short_distance(&self, label: Label) -> Option<i8> {
        let target = i64::from(self.fixups.bound(label)?);
        i8::try_from(target - i64::from(self.offset()) - 2).ok()
    }

    /// Jumps.
    pub(crate) fn jump(&mut self, label: Label) {
        if let Some(distance) = self.short_distance(label) {
            self.plain(JMP8, (u64::from(distance.cast_unsigned()), 1));
            return;
        }
        self.plain(Opcode::one(0xe9), (0, 4));
        let end = self.offset();
        self.fixups.jump(end, label);
    }

    /// Jumps if the condition holds.
    pub(crate) fn jump_if(&mut self, cond: Cond, label: Label) {
        if cond == Cond::FloatEq {
            let skip = self.new_label();
            self.jump_short_if(Cond::Unordered, skip);
            self.jump_simple_if(cond, label);
            self.bind(skip);
            return;
        }
        if cond == Cond::FloatNe {
            self.jump_simple_if(Cond::Unordered, label);
        }
        self.jump_simple_if(cond, label);
    }

    fn jump_simple_if(&mut self, cond: Cond, label: Label) {
        if let Some(distance) = self.short_distance(label) {
            let op = JCC8.plus(condition_code(cond));
            self.plain(op, (u64::from(distance.cast_unsigned()), 1));
            return;
        }
        let op = Opcode::two(0x80).plus(condition_code(cond));
        self.plain(op, (0, 4));
        let end = self.offset();
        self.fixups.jump(end, label);
    }

    /// Jumps to a label that will be bound within 127 bytes.
    pub(crate) fn jump_short(&mut self, label: Label) {
        self.plain(JMP8, (0, 1));
        let end = self.offset();
        self.fixups.short(end, label);
    }

    /// The same under a condition on a single flag combination.
    pub(crate) fn jump_short_if(&mut self, cond: Cond, label: Label) {
        self.plain(JCC8.plus(condition_code(cond)), (0, 1));
        let end = self.offset();
        self.fixups.short(end, label);
    }

    /// Jumps through a new table of 32-bit offsets. `index` is zero-extended; `target` may be the same register.
    pub(crate) fn jump_table(&mut self, index: Reg, target: Reg) {
        let (i, t) = (n(index), n(target));
        emit!(self; lea r11, [rip + 0]);
        let end = self.offset();
        self.fixups.table_ref(end);
        emit!(self; movsxd Rq(t), DWORD [r11 + Rq(i) * 4] ; add Rq(t), r11 ; jmp Rq(t));
    }

    /// Appends a target to the table of the last [`Self::jump_table`].
    pub(crate) fn table_entry(&mut self, label: Label) {
        self.fixups.table_entry(label);
    }

    /// An instruction that raises SIGILL.
    pub(crate) fn undefined(&mut self) {
        self.plain(Opcode::two(0x0b), (0, 0));
    }

    /// Opens the frame: saves vmctx in its first slot and the registers in the next ones, and takes vmctx into its register.
    /// `most` bounds the size of the frame; `overflow` is the cold trap of the stack check, none if there is to be no check.
    pub(crate) fn open_frame(
        &mut self,
        most: u32,
        overflow: Option<Label>,
        saved: &[(Reg, Addr)],
    ) -> PrologueFields {
        emit!(self; push rbp; mov rbp, rsp);
        let check_end = overflow.map(|overflow| self.check_stack(most, overflow));
        // What is saved lies where pushing puts it.
        self.push(RDI);
        for (&(reg, addr), at) in saved.iter().zip(2..) {
            debug_assert_eq!(addr, Addr::Frame(-8 * at));
            self.push(reg);
        }
        let pushed = i32::try_from(8 + saved.len() * 8).unwrap_or(0);
        let short = most < SHORT_FRAME;
        let digit = 5;
        if short {
            self.reg_imm8(Opcode::one(0x83).wide(), digit, RSP, 0);
        } else {
            self.reg_imm32(Opcode::one(0x81).wide(), digit, RSP, 0);
        }
        let frame_end = self.offset();
        self.mov(Ty::I64, VMCTX, RDI);
        PrologueFields {
            check_end,
            frame_end,
            pushed,
            short,
        }
    }

    fn push(&mut self, reg: Reg) {
        self.short_reg(Opcode::one(0x50), reg, (0, 0));
    }

    /// Compares the end of the frame with the store's limit; the end of the field to be patched.
    fn check_stack(&mut self, most: u32, overflow: Label) -> u32 {
        let store = field(offset_of!(VmContext, store));
        let limit = field(offset_of!(StoreContext, stack_limit));
        emit!(self
            ; mov r11, [BYTE rdi + i8::try_from(store).unwrap_or(0)]
            ; lea r10, [DWORD rsp + 0]
        );
        let check_end = self.offset();
        if most > LARGE_FRAME {
            // A subtraction that wrapped gives an address above.
            emit!(self; cmp r10, rsp);
            self.jump_if(Cond::GtU, overflow);
        }
        self.alu_mem(Width::W64, AluOp::Cmp, R10, Addr::Base(R11, limit));
        self.jump_if(Cond::LtU, overflow);
        check_end
    }

    /// Writes the sizes that are known at the end: of the frame, and of it with what calls push.
    pub(crate) fn patch_frame(&mut self, fields: PrologueFields, frame: i32, checked: i32) {
        if let Some(end) = fields.check_end {
            self.patch32(end, -checked);
        }
        let rest = frame - fields.pushed;
        match i8::try_from(rest) {
            Ok(rest) if fields.short => self.buf.patch(fields.frame_end, rest.to_le_bytes()),
            Err(_) if fields.short => self.buf.refuse(),
            Ok(_) | Err(_) => self.patch32(fields.frame_end, rest),
        }
    }

    /// Loads the base of memory 0.
    pub(crate) fn load_memory0(&mut self) {
        let base = field(offset_of!(VmContext, memory0_base));
        let addr = Addr::Base(VMCTX, base);
        self.load(Ty::I64, MEMORY0, addr);
    }

    /// Restores registers and returns, popping stack arguments.
    pub(crate) fn leave(&mut self, saved: &[(Reg, Addr)], stack_bytes: u32) {
        for &(reg, addr) in saved {
            self.load(Ty::I64, reg, addr);
        }
        self.plain(Opcode::one(0xc9), (0, 0));
        match i16::try_from(stack_bytes) {
            Ok(0) => self.plain(Opcode::one(0xc3), (0, 0)),
            Ok(bytes) => emit!(self; ret WORD bytes),
            Err(_) => self.leave_popping(stack_bytes),
        }
    }

    /// Returns over more stack arguments than an instruction can pop.
    #[expect(
        clippy::cast_possible_wrap,
        reason = "at most 1,000 parameters of 16 bytes"
    )]
    fn leave_popping(&mut self, stack_bytes: u32) {
        emit!(self; pop r11; add rsp, DWORD stack_bytes as i32; jmp r11);
    }

    /// Where an incoming stack argument is.
    #[expect(
        clippy::cast_possible_wrap,
        reason = "at most 1,000 parameters of 16 bytes"
    )]
    pub(crate) const fn incoming(offset: u32) -> i32 {
        (INCOMING_ARGS_OFFSET + offset) as i32
    }
}
