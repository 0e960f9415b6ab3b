//! Integer instructions.

use super::encode::Opcode;
use super::{Asm, byte, condition_code, n, regs};
use crate::isa::{Addr, AluOp, Cond, Reg, ShiftOp, Widen};
use dynasmrt::DynasmApi as _;
use upshift_abi::CpuFeatures;
use upshift_module::ops::Width;

macro_rules! bmi2_shift {
    ($s:tt, $w:expr, $op:tt, $d:tt, $a:tt, $c:tt) => {
        match $w {
            Width::W32 => emit!($s; $op Rd($d), Rd($a), Rd($c)),
            Width::W64 => emit!($s; $op Rq($d), Rq($a), Rq($c)),
        }
    };
}

/// The number of an instruction among its like.
const fn alu_digit(op: AluOp) -> u8 {
    match op {
        AluOp::Add => 0,
        AluOp::Or => 1,
        AluOp::And => 4,
        AluOp::Sub => 5,
        AluOp::Xor => 6,
        AluOp::Cmp => 7,
    }
}

/// `op reg, rm`
const fn alu_opcode(op: AluOp, width: Width) -> Opcode {
    Opcode::one(alu_digit(op) << 3 | 3).of(width)
}

const fn shift_digit(op: ShiftOp) -> u8 {
    match op {
        ShiftOp::Rotl => 0,
        ShiftOp::Rotr => 1,
        ShiftOp::Shl => 4,
        ShiftOp::ShrU => 5,
        ShiftOp::ShrS => 7,
    }
}

const ALU_IMM8: Opcode = Opcode::one(0x83);
const ALU_IMM32: Opcode = Opcode::one(0x81);
const LEA: Opcode = Opcode::one(0x8d);
const IMUL: Opcode = Opcode::two(0xaf);

impl Asm {
    /// dst = dst op src
    pub(crate) fn alu(&mut self, width: Width, op: AluOp, dst: Reg, src: Reg) {
        self.regs(alu_opcode(op, width), dst, src);
        self.note_result(op, width, dst);
    }

    /// dst = dst op constant
    pub(crate) fn alu_imm(&mut self, width: Width, op: AluOp, dst: Reg, imm: i32) {
        let digit = alu_digit(op);
        match byte(imm) {
            Some(imm) => self.reg_imm8(ALU_IMM8.of(width), digit, dst, imm),
            None if dst == regs::RAX => {
                let op = Opcode::one(digit << 3 | 5).of(width);
                self.plain(op, (u64::from(imm.cast_unsigned()), 4));
            }
            None => self.reg_imm32(ALU_IMM32.of(width), digit, dst, imm),
        }
        self.note_result(op, width, dst);
    }

    /// dst = dst op memory
    pub(crate) fn alu_mem(&mut self, width: Width, op: AluOp, dst: Reg, src: Addr) {
        self.mem(alu_opcode(op, width), dst, src);
        self.note_result(op, width, dst);
    }

    /// memory = memory op constant, or a comparison of memory with a constant
    pub(crate) fn alu_mem_imm(&mut self, width: Width, op: AluOp, dst: Addr, imm: i32) {
        let digit = alu_digit(op);
        if byte(imm).is_some() {
            self.mem_imm(ALU_IMM8.of(width), digit, dst, (imm, 1));
        } else {
            self.mem_imm(ALU_IMM32.of(width), digit, dst, (imm, 4));
        }
    }

    fn note_result(&mut self, op: AluOp, width: Width, dst: Reg) {
        if op != AluOp::Cmp {
            self.note_zero_flag(width, dst);
        }
    }

    /// Compares with zero, for the conditions `Eq` and `Ne` only.
    pub(crate) fn test(&mut self, width: Width, reg: Reg) {
        if !self.has_zero_flag(width, reg) {
            self.regs(Opcode::one(0x85).of(width), reg, reg);
        }
    }

    /// dst = base + constant
    pub(crate) fn lea_imm(&mut self, width: Width, dst: Reg, base: Reg, imm: i32) {
        self.mem(LEA.of(width), dst, Addr::Base(base, imm));
    }

    /// dst = a + b
    pub(crate) fn lea_add(&mut self, width: Width, dst: Reg, a: Reg, b: Reg) {
        // rbp and r13 take a displacement as a base, but not as an index.
        let (a, b) = if a.code() & 7 == 5 { (b, a) } else { (a, b) };
        self.mem(LEA.of(width), dst, Addr::Index(a, b, 0));
    }

    /// dst = address, for frame and stack addresses
    pub(crate) fn lea(&mut self, dst: Reg, addr: Addr) {
        self.mem(LEA.wide(), dst, addr);
    }

    /// dst = src * factor for factors 3, 5 and 9
    pub(crate) fn lea_times(&mut self, width: Width, dst: Reg, src: Reg, factor: u64) {
        let exponent = match factor {
            3 => 1,
            5 => 2,
            _ => 3,
        };
        self.lea_scaled(width, dst, (src, src), exponent);
    }

    /// dst = dst * src
    pub(crate) fn mul(&mut self, width: Width, dst: Reg, src: Reg) {
        self.regs(IMUL.of(width), dst, src);
    }

    /// dst = dst * memory
    pub(crate) fn mul_mem(&mut self, width: Width, dst: Reg, src: Addr) {
        self.mem(IMUL.of(width), dst, src);
    }

    /// dst = src * constant
    pub(crate) fn mul_imm(&mut self, width: Width, dst: Reg, src: Reg, imm: i32) {
        match byte(imm) {
            Some(imm) => self.reg_imm8(Opcode::one(0x6b).of(width), dst.code(), src, imm),
            None => self.reg_imm32(Opcode::one(0x69).of(width), dst.code(), src, imm),
        }
    }

    /// Sign of rax into rdx.
    pub(crate) fn sign_into_rdx(&mut self, width: Width) {
        self.plain(Opcode::one(0x99).of(width), (0, 0));
    }

    /// rax, rdx = quotient and remainder of rdx:rax by the register.
    pub(crate) fn divide(&mut self, width: Width, signed: bool, divisor: Reg) {
        let digit = if signed { 7 } else { 6 };
        self.reg(Opcode::one(0xf7).of(width), digit, divisor);
    }

    /// dst = dst shifted by a constant below the width
    pub(crate) fn shift_imm(&mut self, width: Width, op: ShiftOp, dst: Reg, count: i8) {
        let digit = shift_digit(op);
        if count == 1 {
            self.reg(Opcode::one(0xd1).of(width), digit, dst);
        } else {
            self.reg_imm8(Opcode::one(0xc1).of(width), digit, dst, count);
        }
    }

    /// dst = dst shifted by cl
    pub(crate) fn shift_cl(&mut self, width: Width, op: ShiftOp, dst: Reg) {
        self.reg(Opcode::one(0xd3).of(width), shift_digit(op), dst);
    }

    /// Whether shifts (not rotations) take their count from any register.
    pub(crate) fn has_free_shifts(&self) -> bool {
        self.cpu.has(CpuFeatures::BMI2)
    }

    /// dst = src shifted by a register; only with [`Self::has_free_shifts`], not for rotations
    pub(crate) fn shift_free(&mut self, width: Width, op: ShiftOp, dst: Reg, regs: (Reg, Reg)) {
        let (d, a, c) = (n(dst), n(regs.0), n(regs.1));
        match op {
            ShiftOp::Shl => bmi2_shift!(self, width, shlx, d, a, c),
            ShiftOp::ShrS => bmi2_shift!(self, width, sarx, d, a, c),
            ShiftOp::ShrU | ShiftOp::Rotl | ShiftOp::Rotr => {
                bmi2_shift!(self, width, shrx, d, a, c);
            }
        }
    }

    /// dst = src sign- or zero-extended from its low bits
    pub(crate) fn widen(&mut self, width: Width, kind: Widen, dst: Reg, src: Reg) {
        let op = match (width, kind) {
            (_, Widen::S8) => Opcode::two(0xbe).low_byte(src).of(width),
            (_, Widen::S16) => Opcode::two(0xbf).of(width),
            (Width::W32, Widen::S32) => Opcode::one(0x8b),
            (Width::W64, Widen::S32) => Opcode::one(0x63).wide(),
        };
        self.regs(op, dst, src);
    }

    /// dst = leading zeros of src; the registers differ
    pub(crate) fn clz(&mut self, width: Width, dst: Reg, src: Reg) {
        let (d, s) = (n(dst), n(src));
        if self.cpu.has(CpuFeatures::LZCNT) {
            wide!(self, width, lzcnt d, s);
            return;
        }
        // bsr leaves the destination alone for 0, where 2 * bits - 1 must turn into bits.
        let (bits_1, other) = match width {
            Width::W32 => (31_i8, 63),
            Width::W64 => (63, 127),
        };
        wide!(self, width, bsr d, s);
        emit!(self; mov r11d, DWORD other);
        let scratch = n(regs::R11);
        wide!(self, width, cmove d, scratch);
        wide!(self, width, xor d ; BYTE bits_1);
    }

    /// dst = trailing zeros of src; the registers differ
    pub(crate) fn ctz(&mut self, width: Width, dst: Reg, src: Reg) {
        let (d, s) = (n(dst), n(src));
        if self.cpu.has(CpuFeatures::BMI1) {
            wide!(self, width, tzcnt d, s);
            return;
        }
        let bits = match width {
            Width::W32 => 32,
            Width::W64 => 64,
        };
        wide!(self, width, bsf d, s);
        emit!(self; mov r11d, DWORD bits);
        let scratch = n(regs::R11);
        wide!(self, width, cmove d, scratch);
    }

    /// dst = number of ones in src; the registers differ, and without the instruction `src` is destroyed
    pub(crate) fn popcnt(&mut self, width: Width, dst: Reg, src: Reg) {
        let (d, s) = (n(dst), n(src));
        if self.cpu.has(CpuFeatures::POPCNT) {
            wide!(self, width, popcnt d, s);
            return;
        }
        // The usual sums of neighbouring groups, on 64 bits: a 32-bit value has its upper half cleared first.
        if width == Width::W32 {
            emit!(self; mov Rd(s), Rd(s));
        }
        emit!(self
            ; mov Rq(d), Rq(s)
            ; shr Rq(d), 1
            ; mov r11, QWORD 0x5555_5555_5555_5555
            ; and Rq(d), r11
            ; sub Rq(s), Rq(d)
            ; mov r11, QWORD 0x3333_3333_3333_3333
            ; mov Rq(d), Rq(s)
            ; and Rq(d), r11
            ; shr Rq(s), 2
            ; and Rq(s), r11
            ; add Rq(d), Rq(s)
            ; mov Rq(s), Rq(d)
            ; shr Rq(s), 4
            ; add Rq(d), Rq(s)
            ; mov r11, QWORD 0x0f0f_0f0f_0f0f_0f0f
            ; and Rq(d), r11
            ; mov r11, QWORD 0x0101_0101_0101_0101
            ; imul Rq(d), r11
            ; shr Rq(d), 56
        );
    }

    /// Whether `popcnt` keeps its source.
    pub(crate) fn has_popcnt(&self) -> bool {
        self.cpu.has(CpuFeatures::POPCNT)
    }

    /// dst = 0 or 1
    pub(crate) fn set_cond(&mut self, cond: Cond, dst: Reg) {
        let set = |cond| Opcode::two(0x90 | condition_code(cond));
        self.reg(set(cond).low_byte(dst), 0, dst);
        if let Cond::FloatEq | Cond::FloatNe = cond {
            // Unordered operands set the flags of equal ones.
            let (other, op) = if cond == Cond::FloatEq {
                (Cond::Ordered, Opcode::one(0x22))
            } else {
                (Cond::Unordered, Opcode::one(0x0a))
            };
            self.reg(set(other), 0, regs::R11);
            // A register beyond the first eight brings REX along.
            self.regs(op, dst, regs::R11);
        }
        self.regs(Opcode::two(0xb6).low_byte(dst), dst, dst);
    }

    /// dst = src if the condition holds; 32-bit moves clear the upper half in any case. Not for `FloatEq`,
    /// which takes a negated condition and exchanged operands.
    pub(crate) fn cond_move(&mut self, width: Width, cond: Cond, dst: Reg, src: Reg) {
        let op = |cond| Opcode::two(0x40 | condition_code(cond)).of(width);
        self.regs(op(cond), dst, src);
        if cond == Cond::FloatNe {
            self.regs(op(Cond::Unordered), dst, src);
        }
    }
}
