//! Integer instructions.

use super::{Asm, Code, byte, n, regs};
use crate::isa::{Addr, AluOp, Cond, Reg, ShiftOp, Widen};
use dynasmrt::DynasmApi as _;
use upshift_abi::CpuFeatures;
use upshift_module::ops::Width;

/// Instructions whose operands are two registers, a register and a constant, or a register and memory.
macro_rules! alu_rows {
    ($s:tt, $op:expr, $form:ident ! ( $($args:tt)* )) => {
        match $op {
            AluOp::Add => $form!($s, add, $($args)*),
            AluOp::Sub => $form!($s, sub, $($args)*),
            AluOp::And => $form!($s, and, $($args)*),
            AluOp::Or => $form!($s, or, $($args)*),
            AluOp::Xor => $form!($s, xor, $($args)*),
            AluOp::Cmp => $form!($s, cmp, $($args)*),
        }
    };
}

/// The same without `cmp`, which dynasm does not take with a byte.
macro_rules! alu_byte_rows {
    ($s:tt, $op:expr, $w:expr, $a:tt, $imm:tt) => {
        match $op {
            AluOp::Add => wide!($s, $w, add $a ; BYTE $imm),
            AluOp::Sub => wide!($s, $w, sub $a ; BYTE $imm),
            AluOp::And => wide!($s, $w, and $a ; BYTE $imm),
            AluOp::Or => wide!($s, $w, or $a ; BYTE $imm),
            AluOp::Xor => wide!($s, $w, xor $a ; BYTE $imm),
            AluOp::Cmp => $s.compare_byte($w, $a, $imm),
        }
    };
}

macro_rules! alu_registers {
    ($s:tt, $op:tt, $w:expr, $a:tt, $b:tt) => {
        wide!($s, $w, $op $a, $b)
    };
}

macro_rules! alu_dword {
    ($s:tt, $op:tt, $w:expr, $a:tt, $imm:tt) => {
        wide!($s, $w, $op $a ; DWORD $imm)
    };
}

macro_rules! alu_memory {
    ($s:tt, $op:tt, $w:expr, $a:tt, $addr:tt) => {
        match $w {
            Width::W32 => mem!($s, $addr, [$op Rd($a),] []),
            Width::W64 => mem!($s, $addr, [$op Rq($a),] []),
        }
    };
}

macro_rules! alu_memory_imm {
    ($s:tt, $op:tt, $w:expr, $addr:tt, $imm:tt) => {
        match $w {
            Width::W32 => mem!($s, $addr, [$op DWORD] [, $imm]),
            Width::W64 => mem!($s, $addr, [$op QWORD] [, $imm]),
        }
    };
}

macro_rules! shift_rows {
    ($s:tt, $op:expr, $w:expr, $a:tt, $($count:tt)*) => {
        match $op {
            ShiftOp::Shl => wide!($s, $w, shl $a ; $($count)*),
            ShiftOp::ShrS => wide!($s, $w, sar $a ; $($count)*),
            ShiftOp::ShrU => wide!($s, $w, shr $a ; $($count)*),
            ShiftOp::Rotl => wide!($s, $w, rol $a ; $($count)*),
            ShiftOp::Rotr => wide!($s, $w, ror $a ; $($count)*),
        }
    };
}

macro_rules! bmi2_shift {
    ($s:tt, $w:expr, $op:tt, $d:tt, $a:tt, $c:tt) => {
        match $w {
            Width::W32 => emit!($s; $op Rd($d), Rd($a), Rd($c)),
            Width::W64 => emit!($s; $op Rq($d), Rq($a), Rq($c)),
        }
    };
}

impl Asm {
    /// dst = dst op src
    pub(crate) fn alu(&mut self, width: Width, op: AluOp, dst: Reg, src: Reg) {
        let (a, b) = (n(dst), n(src));
        alu_rows!(self, op, alu_registers!(width, a, b));
        self.note_result(op, width, dst);
    }

    /// dst = dst op constant
    pub(crate) fn alu_imm(&mut self, width: Width, op: AluOp, dst: Reg, imm: i32) {
        let a = n(dst);
        match byte(imm) {
            Some(imm) => alu_byte_rows!(self, op, width, a, imm),
            None => alu_rows!(self, op, alu_dword!(width, a, imm)),
        }
        self.note_result(op, width, dst);
    }

    /// `cmp` with a byte, whose row dynasm never reaches.
    fn compare_byte(&mut self, width: Width, a: Code, imm: i8) {
        let wide = if width == Width::W64 { 8 } else { 0 };
        let rex = 0x40 | wide | a.0 >> 3;
        emit!(self; .u8 rex, 0x83, 0xf8 | a.0 & 7; .i8 imm);
    }

    /// dst = dst op memory
    pub(crate) fn alu_mem(&mut self, width: Width, op: AluOp, dst: Reg, src: Addr) {
        let a = n(dst);
        alu_rows!(self, op, alu_memory!(width, a, src));
        self.note_result(op, width, dst);
    }

    /// memory = memory op constant, or a comparison of memory with a constant
    pub(crate) fn alu_mem_imm(&mut self, width: Width, op: AluOp, dst: Addr, imm: i32) {
        alu_rows!(self, op, alu_memory_imm!(width, dst, imm));
    }

    fn note_result(&mut self, op: AluOp, width: Width, dst: Reg) {
        if op != AluOp::Cmp {
            self.note_zero_flag(width, dst);
        }
    }

    /// Compares with zero, for the conditions `Eq` and `Ne` only.
    pub(crate) fn test(&mut self, width: Width, reg: Reg) {
        if self.has_zero_flag(width, reg) {
            return;
        }
        let a = n(reg);
        wide!(self, width, test a, a);
    }

    /// dst = base + constant
    pub(crate) fn lea_imm(&mut self, width: Width, dst: Reg, base: Reg, imm: i32) {
        let d = n(dst);
        let addr = Addr::Base(base, imm);
        match width {
            Width::W32 => mem!(self, addr, [lea Rd(d),] []),
            Width::W64 => mem!(self, addr, [lea Rq(d),] []),
        }
    }

    /// dst = a + b
    pub(crate) fn lea_add(&mut self, width: Width, dst: Reg, a: Reg, b: Reg) {
        let (d, a, b) = (n(dst), n(a), n(b));
        match width {
            Width::W32 => emit!(self; lea Rd(d), [Rq(a) + Rq(b)]),
            Width::W64 => emit!(self; lea Rq(d), [Rq(a) + Rq(b)]),
        }
    }

    /// dst = address, for frame and stack addresses
    pub(crate) fn lea(&mut self, dst: Reg, addr: Addr) {
        let d = n(dst);
        mem!(self, addr, [lea Rq(d),] []);
    }

    /// dst = src * factor for factors 3, 5 and 9
    pub(crate) fn lea_times(&mut self, width: Width, dst: Reg, src: Reg, factor: u64) {
        let (d, s) = (n(dst), n(src));
        match (width, factor) {
            (Width::W32, 3) => emit!(self; lea Rd(d), [Rq(s) + Rq(s) * 2]),
            (Width::W32, 5) => emit!(self; lea Rd(d), [Rq(s) + Rq(s) * 4]),
            (Width::W32, _) => emit!(self; lea Rd(d), [Rq(s) + Rq(s) * 8]),
            (Width::W64, 3) => emit!(self; lea Rq(d), [Rq(s) + Rq(s) * 2]),
            (Width::W64, 5) => emit!(self; lea Rq(d), [Rq(s) + Rq(s) * 4]),
            (Width::W64, _) => emit!(self; lea Rq(d), [Rq(s) + Rq(s) * 8]),
        }
    }

    /// dst = dst * src
    pub(crate) fn mul(&mut self, width: Width, dst: Reg, src: Reg) {
        let (a, b) = (n(dst), n(src));
        wide!(self, width, imul a, b);
    }

    /// dst = dst * memory
    pub(crate) fn mul_mem(&mut self, width: Width, dst: Reg, src: Addr) {
        let a = n(dst);
        alu_memory!(self, imul, width, a, src);
    }

    /// dst = src * constant
    pub(crate) fn mul_imm(&mut self, width: Width, dst: Reg, src: Reg, imm: i32) {
        let (d, s) = (n(dst), n(src));
        match (width, byte(imm)) {
            (Width::W32, Some(imm)) => emit!(self; imul Rd(d), Rd(s), BYTE imm),
            (Width::W32, None) => emit!(self; imul Rd(d), Rd(s), DWORD imm),
            (Width::W64, Some(imm)) => emit!(self; imul Rq(d), Rq(s), BYTE imm),
            (Width::W64, None) => emit!(self; imul Rq(d), Rq(s), DWORD imm),
        }
    }

    /// Sign of rax into rdx.
    pub(crate) fn sign_into_rdx(&mut self, width: Width) {
        match width {
            Width::W32 => emit!(self; cdq),
            Width::W64 => emit!(self; cqo),
        }
    }

    /// rax, rdx = quotient and remainder of rdx:rax by the register.
    pub(crate) fn divide(&mut self, width: Width, signed: bool, divisor: Reg) {
        let d = n(divisor);
        if signed {
            wide!(self, width, idiv d);
        } else {
            wide!(self, width, div d);
        }
    }

    /// dst = dst shifted by a constant below the width
    pub(crate) fn shift_imm(&mut self, width: Width, op: ShiftOp, dst: Reg, count: i8) {
        let a = n(dst);
        shift_rows!(self, op, width, a, BYTE count);
    }

    /// dst = dst shifted by cl
    pub(crate) fn shift_cl(&mut self, width: Width, op: ShiftOp, dst: Reg) {
        let a = n(dst);
        shift_rows!(self, op, width, a, cl);
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
        let (d, s) = (n(dst), n(src));
        match (width, kind) {
            (Width::W32, Widen::S8) => emit!(self; movsx Rd(d), Rb(s)),
            (Width::W64, Widen::S8) => emit!(self; movsx Rq(d), Rb(s)),
            (Width::W32, Widen::S16) => emit!(self; movsx Rd(d), Rw(s)),
            (Width::W64, Widen::S16) => emit!(self; movsx Rq(d), Rw(s)),
            (Width::W32, Widen::S32) => emit!(self; mov Rd(d), Rd(s)),
            (Width::W64, Widen::S32) => emit!(self; movsxd Rq(d), Rd(s)),
        }
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
        let d = n(dst);
        match cond {
            Cond::Eq => emit!(self; sete Rb(d)),
            Cond::Ne => emit!(self; setne Rb(d)),
            Cond::LtS => emit!(self; setl Rb(d)),
            Cond::GeS => emit!(self; setge Rb(d)),
            Cond::GtS => emit!(self; setg Rb(d)),
            Cond::LeS => emit!(self; setle Rb(d)),
            Cond::LtU => emit!(self; setb Rb(d)),
            Cond::GeU => emit!(self; setae Rb(d)),
            Cond::GtU => emit!(self; seta Rb(d)),
            Cond::LeU => emit!(self; setbe Rb(d)),
            Cond::FloatEq => emit!(self; sete Rb(d) ; setnp r11b ; and Rb(d), r11b),
            Cond::FloatNe => emit!(self; setne Rb(d) ; setp r11b ; or Rb(d), r11b),
            Cond::Negative => emit!(self; sets Rb(d)),
            Cond::NotNegative => emit!(self; setns Rb(d)),
            Cond::Overflow => emit!(self; seto Rb(d)),
            Cond::NoOverflow => emit!(self; setno Rb(d)),
            Cond::Unordered => emit!(self; setp Rb(d)),
            Cond::Ordered => emit!(self; setnp Rb(d)),
        }
        emit!(self; movzx Rd(d), Rb(d));
    }

    /// dst = src if the condition holds; 32-bit moves clear the upper half in any case. Not for `FloatEq`,
    /// which takes a negated condition and exchanged operands.
    pub(crate) fn cond_move(&mut self, width: Width, cond: Cond, dst: Reg, src: Reg) {
        let (d, s) = (n(dst), n(src));
        match cond {
            Cond::Eq | Cond::FloatEq => wide!(self, width, cmove d, s),
            Cond::Ne => wide!(self, width, cmovne d, s),
            Cond::LtS => wide!(self, width, cmovl d, s),
            Cond::GeS => wide!(self, width, cmovge d, s),
            Cond::GtS => wide!(self, width, cmovg d, s),
            Cond::LeS => wide!(self, width, cmovle d, s),
            Cond::LtU => wide!(self, width, cmovb d, s),
            Cond::GeU => wide!(self, width, cmovae d, s),
            Cond::GtU => wide!(self, width, cmova d, s),
            Cond::LeU => wide!(self, width, cmovbe d, s),
            Cond::FloatNe => {
                wide!(self, width, cmovne d, s);
                wide!(self, width, cmovp d, s);
            }
            Cond::Negative => wide!(self, width, cmovs d, s),
            Cond::NotNegative => wide!(self, width, cmovns d, s),
            Cond::Overflow => wide!(self, width, cmovo d, s),
            Cond::NoOverflow => wide!(self, width, cmovno d, s),
            Cond::Unordered => wide!(self, width, cmovp d, s),
            Cond::Ordered => wide!(self, width, cmovnp d, s),
        }
    }
}
