//! Encoding of the frequent instructions.
//!
//! dynasm writes a dynamic register's instruction byte by byte and always with a REX prefix. Nine instructions in ten of a body
//! are of a few forms, and those are encoded here: the bytes before ModRM in one number, ModRM with what follows it in another,
//! each written by one store. A prefix is written only if a bit of it says something, and the shortest displacement is taken.
//!
//! ```text
//! [66|f2|f3] [REX] opcode (1-2 bytes) | ModRM [SIB] [disp8|disp32] | [imm8|imm16|imm32]
//!              head                   |            tail            |    immediate
//! ```

use super::Asm;
use super::regs::{MEMORY0, RBP, RSP, VMCTX};
use crate::isa::{Addr, ConstId, Reg};
use upshift_module::ops::Width;

/// What comes before ModRM, without and with a REX prefix, whose bits are then put in.
///
/// Bits 0-23 are the bytes without it and bits 24-55 those with it, bits 56-57 the number of the former.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Opcode(u64);

/// Where the bytes with a REX prefix begin.
const REXED: u32 = 24;
const LEN: u32 = 56;
/// REX is there even if none of its bits is.
const ALWAYS: u64 = 1 << 58;
/// A mandatory prefix is the first byte, so REX is the second one.
const PREFIXED: u64 = 1 << 59;

impl Opcode {
    /// A one-byte opcode.
    pub(super) const fn one(code: u8) -> Self {
        let code = code as u64;
        Self(code | (0x40 | code << 8) << REXED | 1 << LEN)
    }

    /// A two-byte opcode behind 0f.
    pub(super) const fn two(code: u8) -> Self {
        let code = 0x0f | (code as u64) << 8;
        Self(code | (0x40 | code << 8) << REXED | 2 << LEN)
    }

    /// With a mandatory prefix, or the one for 16-bit operands.
    pub(super) const fn prefix(self, prefix: u8) -> Self {
        let prefix = prefix as u64;
        let plain = (self.0 & 0xffff) << 8 | prefix;
        let rexed = (self.0 >> REXED & 0xff_ffff) << 8 | prefix;
        let flags = (self.0 & ALWAYS) + ((self.len() as u64 + 1) << LEN);
        Self(plain | rexed << REXED | flags | PREFIXED)
    }

    /// With 64-bit operands.
    pub(super) const fn wide(self) -> Self {
        Self(self.0 | ALWAYS | 8 << (REXED + self.rex_shift()))
    }

    /// With the low byte of a register as an operand: without REX, 4-7 would be ah, ch, dh, bh.
    pub(super) const fn low_byte(self, reg: Reg) -> Self {
        if reg.code() >= 4 {
            Self(self.0 | ALWAYS)
        } else {
            self
        }
    }

    /// At an operand width.
    pub(super) const fn of(self, width: Width) -> Self {
        match width {
            Width::W32 => self,
            Width::W64 => self.wide(),
        }
    }

    /// Plus a number in the last byte.
    pub(super) const fn plus(self, number: u8) -> Self {
        let number = number as u64;
        let last = self.len() * 8;
        Self(self.0 + (number << (last - 8)) + (number << (REXED + last)))
    }

    const fn len(self) -> u32 {
        (self.0 >> LEN & 3) as u32
    }

    /// The position of REX in bits.
    const fn rex_shift(self) -> u32 {
        (self.0 >> LEN & 8) as u32
    }

    /// The bytes before ModRM and their number, with these bits of a REX prefix.
    #[inline]
    fn head(self, rex: u32) -> (u64, u32) {
        if rex != 0 || self.0 & ALWAYS != 0 {
            let rex = u64::from(rex) << self.rex_shift();
            let bits = self.0 >> REXED & u64::from(u32::MAX);
            (bits | rex, self.len() + 1)
        } else {
            (self.0 & 0xff_ffff, self.len())
        }
    }
}

/// ModRM without its reg field, and what follows it; the bits X and B of REX.
#[derive(Clone, Copy)]
struct Tail {
    bits: u64,
    len: u32,
    rex: u32,
}

/// SIB for rsp and r12 as a base without index.
const SIB_BASE: u64 = 0x24;

/// The tail with the shortest displacement behind so many bytes of ModRM and SIB; rbp and r13 as a base have at least a byte.
#[inline(always)]
fn tail(bits: u64, len: u32, rex: u32, disp: (i32, bool)) -> Tail {
    let (disp, at_least_byte) = disp;
    let number = u64::from(disp.cast_unsigned());
    if i8::try_from(disp).is_err() {
        let bits = bits | 0x80 | number << (len * 8);
        let len = len + 4;
        Tail { bits, len, rex }
    } else if disp != 0 || at_least_byte {
        let bits = bits | 0x40 | (number & 0xff) << (len * 8);
        let len = len + 1;
        Tail { bits, len, rex }
    } else {
        Tail { bits, len, rex }
    }
}

/// Base plus displacement.
#[inline(always)]
fn based(base: Reg, disp: i32) -> Tail {
    let code = base.code();
    let rex = u32::from(code >> 3);
    let low = u64::from(code & 7);
    if low == 4 {
        tail(SIB_BASE << 8 | low, 2, rex, (disp, false))
    } else {
        tail(low, 1, rex, (disp, low == 5))
    }
}

/// Base plus index plus displacement. The index is not rsp.
#[inline(always)]
fn indexed(base: Reg, index: Reg, disp: i32) -> Tail {
    let (base, index) = (base.code(), index.code());
    let rex = u32::from(base >> 3 | (index >> 3) << 1);
    let sib = u64::from(base & 7 | (index & 7) << 3);
    tail(sib << 8 | 4, 2, rex, (disp, base & 7 == 5))
}

/// Relative to the instruction pointer, with a field to be patched.
const RELATIVE: Tail = Tail {
    bits: 5,
    len: 5,
    rex: 0,
};

impl Asm {
    /// An instruction whose reg field is a number or register and whose rm field is a register, and an immediate.
    #[inline]
    fn modrm(&mut self, op: Opcode, reg: u8, rm: u8, imm: (u64, u32)) {
        let rex = u32::from((reg >> 3) << 2 | rm >> 3);
        let (head, len) = op.head(rex);
        debug_assert!(len + 1 + imm.1 <= 8);
        let modrm = u64::from(0xc0 | (reg & 7) << 3 | rm & 7);
        let bits = head | (modrm | imm.0 << 8) << (len * 8);
        self.buf.put(bits, len + 1 + imm.1);
    }

    /// `op reg, rm` or `op rm, reg`: two registers.
    pub(super) fn regs(&mut self, op: Opcode, reg: Reg, rm: Reg) {
        self.modrm(op, reg.code(), rm.code(), (0, 0));
    }

    /// `op rm`, where the reg field is a part of the opcode.
    pub(super) fn reg(&mut self, op: Opcode, digit: u8, rm: Reg) {
        self.modrm(op, digit, rm.code(), (0, 0));
    }

    /// `op rm, imm8`
    pub(super) fn reg_imm8(&mut self, op: Opcode, digit: u8, rm: Reg, imm: i8) {
        self.modrm(op, digit, rm.code(), (u64::from(imm.cast_unsigned()), 1));
    }

    /// `op rm, imm32`, for an opcode of one byte
    pub(super) fn reg_imm32(&mut self, op: Opcode, digit: u8, rm: Reg, imm: i32) {
        self.modrm(op, digit, rm.code(), (u64::from(imm.cast_unsigned()), 4));
    }

    /// An instruction with its register in the last three bits of its opcode.
    #[inline]
    pub(super) fn short_reg(&mut self, op: Opcode, reg: Reg, imm: (u64, u32)) {
        let code = reg.code();
        let (head, len) = op.plus(code & 7).head(u32::from(code >> 3));
        self.buf.put_both(head, len, imm);
    }

    /// An instruction without operands, or with an immediate only, of at most four bytes.
    #[inline]
    pub(super) fn plain(&mut self, op: Opcode, imm: (u64, u32)) {
        let (head, len) = op.head(0);
        self.buf.put(head | imm.0 << (len * 8), len + imm.1);
    }

    #[inline(always)]
    fn memory(&mut self, op: Opcode, reg: u8, tail: Tail) {
        let rex = u32::from(reg >> 3) << 2 | tail.rex;
        let (head, len) = op.head(rex);
        let bits = tail.bits | u64::from(reg & 7) << 3;
        self.buf.put_both(head, len, (bits, tail.len));
    }

    /// `op reg, memory` or `op memory, reg`
    pub(super) fn mem(&mut self, op: Opcode, reg: Reg, addr: Addr) {
        let tail = match addr {
            Addr::Frame(disp) => based(RBP, disp),
            Addr::Ctx(disp) => based(VMCTX, disp),
            Addr::Mem0(disp) => based(MEMORY0, disp),
            Addr::Mem0Index(index, disp) => indexed(MEMORY0, index, disp),
            Addr::Base(base, disp) => based(base, disp),
            Addr::Index(base, index, disp) => indexed(base, index, disp),
            Addr::Stack(disp) => based(RSP, disp),
            Addr::Const(id) => return self.mem_const(op, reg, id),
        };
        self.memory(op, reg.code(), tail);
    }

    #[inline(never)]
    fn mem_const(&mut self, op: Opcode, reg: Reg, id: ConstId) {
        self.memory(op, reg.code(), RELATIVE);
        let end = self.offset();
        self.fixups.const_ref(end, id);
    }

    /// `op memory` or `op memory, imm` with an immediate of so many bytes. The memory is not a constant.
    pub(super) fn mem_imm(&mut self, op: Opcode, digit: u8, addr: Addr, imm: (i32, u32)) {
        debug_assert!(!matches!(addr, Addr::Const(_)));
        self.mem(op, Reg::int(digit), addr);
        self.buf.put(u64::from(imm.0.cast_unsigned()), imm.1);
    }

    /// `lea reg, [base + index * scale]`, with the exponent of the scale. The index is not rsp.
    pub(super) fn lea_scaled(&mut self, width: Width, dst: Reg, pair: (Reg, Reg), exponent: u8) {
        let mut tail = indexed(pair.0, pair.1, 0);
        tail.bits |= u64::from(exponent) << 14;
        self.memory(Opcode::one(0x8d).of(width), dst.code(), tail);
    }
}
