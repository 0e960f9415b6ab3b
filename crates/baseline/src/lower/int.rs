//! Integer operators.

use super::Lower;
use super::cold::ColdKind;
use super::operands::{At, Val};
use crate::isa::x64::regs::{RAX, RCX, RDX};
use crate::isa::{AluOp, Cond, Reg, ShiftOp, Widen};
use crate::state::value::Ty;
use upshift_abi::TrapCode;
use upshift_module::ops::{IntBinary, IntCompare, IntOp, IntUnary, Width};

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn int(&mut self, width: Width, op: IntOp) {
        match op {
            IntOp::Unary(op) => self.int_unary(width, op),
            IntOp::Binary(op) => self.int_binary(width, op),
            IntOp::Compare(op) => self.int_compare(width, op),
            IntOp::Eqz => self.int_eqz(width),
        }
    }

    fn int_unary(&mut self, width: Width, op: IntUnary) {
        let ty = Ty::of_width(width);
        let value = self.pop();
        if let Some(bits) = value.as_const() {
            self.push_const(ty, super::int_const::unary(width, op, bits));
            return;
        }
        match op {
            IntUnary::Extend8S => self.widen(width, Widen::S8, value),
            IntUnary::Extend16S => self.widen(width, Widen::S16, value),
            IntUnary::Extend32S => self.widen(width, Widen::S32, value),
            IntUnary::Clz | IntUnary::Ctz | IntUnary::Popcnt => {
                let src = if op == IntUnary::Popcnt && !self.s.asm.has_popcnt() {
                    self.in_own_reg(value)
                } else {
                    self.in_reg(value)
                };
                // The result goes to a register of its own, or to the hinted home.
                let other = Val {
                    at: At::constant(0),
                    ..value
                };
                let dst = self.result_reg(ty, other, Some(src));
                match op {
                    IntUnary::Clz => self.s.asm.clz(width, dst, src),
                    IntUnary::Ctz => self.s.asm.ctz(width, dst, src),
                    IntUnary::Popcnt
                    | IntUnary::Extend8S
                    | IntUnary::Extend16S
                    | IntUnary::Extend32S => self.s.asm.popcnt(width, dst, src),
                }
                self.push_reg(ty, dst);
            }
        }
    }

    /// Widens an operand into a result of the width.
    pub(super) fn widen(&mut self, width: Width, kind: Widen, value: Val) {
        let ty = Ty::of_width(width);
        let src = self.in_reg(value);
        let dst = self.result_reg(ty, value, None);
        self.s.asm.widen(width, kind, dst, src);
        self.push_reg(ty, dst);
    }

    fn int_binary(&mut self, width: Width, op: IntBinary) {
        let second = self.pop();
        let first = self.pop();
        if let (Some(a), Some(b)) = (first.as_const(), second.as_const())
            && let Some(bits) = super::int_const::binary(width, op, a, b)
        {
            self.push_const(Ty::of_width(width), bits);
            return;
        }
        match op {
            IntBinary::Add => self.alu(width, AluOp::Add, first, second),
            IntBinary::Sub => self.alu(width, AluOp::Sub, first, second),
            IntBinary::And => self.alu(width, AluOp::And, first, second),
            IntBinary::Or => self.alu(width, AluOp::Or, first, second),
            IntBinary::Xor => self.alu(width, AluOp::Xor, first, second),
            IntBinary::Mul => self.multiply(width, first, second),
            IntBinary::DivS | IntBinary::DivU | IntBinary::RemS | IntBinary::RemU => {
                let signed = matches!(op, IntBinary::DivS | IntBinary::RemS);
                let remainder = matches!(op, IntBinary::RemS | IntBinary::RemU);
                if !self.divide_const(width, (signed, remainder), first, second) {
                    self.divide(width, (signed, remainder), first, second);
                }
            }
            IntBinary::Shl => self.shift(width, ShiftOp::Shl, first, second),
            IntBinary::ShrS => self.shift(width, ShiftOp::ShrS, first, second),
            IntBinary::ShrU => self.shift(width, ShiftOp::ShrU, first, second),
            IntBinary::Rotl => self.shift(width, ShiftOp::Rotl, first, second),
            IntBinary::Rotr => self.shift(width, ShiftOp::Rotr, first, second),
        }
    }

    fn alu(&mut self, width: Width, op: AluOp, first: Val, second: Val) {
        let commutes = op != AluOp::Sub;
        let (first, second) = if commutes && self.better_exchanged(first, second) {
            (second, first)
        } else {
            (first, second)
        };
        if let Some(imm) = second.as_imm() {
            self.alu_const(width, op, first, imm);
            return;
        }
        let ty = Ty::of_width(width);
        if let Some(slot) = self.slot_of(second) {
            let dst = self.result_reg(ty, first, None);
            self.move_to(dst, first);
            self.s.asm.alu_mem(width, op, dst, slot);
            self.push_reg(ty, dst);
            return;
        }
        let src = self.in_reg(second);
        self.cache(first);
        if op == AluOp::Add
            && let Some(base) = self.reg_of(first)
        {
            let owned = if first.is_owned() { first } else { second };
            let dst = self.result_reg(ty, owned, None);
            if dst == base {
                self.s.asm.alu(width, op, dst, src);
            } else if dst == src {
                self.s.asm.alu(width, op, dst, base);
            } else {
                self.s.asm.lea_add(width, dst, base, src);
            }
            self.push_reg(ty, dst);
            return;
        }
        let dst = self.result_reg(ty, first, Some(src));
        self.move_to(dst, first);
        self.s.asm.alu(width, op, dst, src);
        self.push_reg(ty, dst);
    }

    /// Whether a commutative operator does better with its operands exchanged: constants and memory go second, the local that
    /// is assigned next and registers that may be overwritten go first.
    pub(super) fn better_exchanged(&self, first: Val, second: Val) -> bool {
        let rank = |val: Val| match val.at {
            At::Const(_) => 0,
            At::Slot(_) => 1,
            At::Flags(_) => 2,
            At::Local(_) if self.is_hinted(val) => 5,
            At::Local(_) => 3,
            At::Reg(_) => 4,
        };
        rank(second) > rank(first)
    }

    fn alu_const(&mut self, width: Width, op: AluOp, first: Val, imm: i32) {
        let ty = Ty::of_width(width);
        self.cache(first);
        let distance = match op {
            AluOp::Add => Some(imm),
            AluOp::Sub => imm.checked_neg(),
            AluOp::And | AluOp::Or | AluOp::Xor | AluOp::Cmp => None,
        };
        if let Some(imm) = distance
            && let Some(src) = self.reg_of(first)
        {
            let dst = self.result_reg(ty, first, None);
            if dst == src {
                self.s.asm.alu_imm(width, AluOp::Add, dst, imm);
            } else {
                self.s.asm.lea_imm(width, dst, src, imm);
            }
            self.push_reg(ty, dst);
            return;
        }
        let dst = self.result_reg(ty, first, None);
        self.move_to(dst, first);
        self.s.asm.alu_imm(width, op, dst, imm);
        self.push_reg(ty, dst);
    }

    fn multiply(&mut self, width: Width, first: Val, second: Val) {
        let (first, second) = if self.better_exchanged(first, second) {
            (second, first)
        } else {
            (first, second)
        };
        if let Some(factor) = second.as_const()
            && self.multiply_const(width, first, second, factor)
        {
            return;
        }
        let ty = Ty::of_width(width);
        if let Some(slot) = self.slot_of(second) {
            let dst = self.result_reg(ty, first, None);
            self.move_to(dst, first);
            self.s.asm.mul_mem(width, dst, slot);
            self.push_reg(ty, dst);
            return;
        }
        let src = self.in_reg(second);
        let dst = self.result_reg(ty, first, Some(src));
        self.move_to(dst, first);
        self.s.asm.mul(width, dst, src);
        self.push_reg(ty, dst);
    }

    /// Shifts and rotations.
    pub(super) fn shift(&mut self, width: Width, op: ShiftOp, first: Val, second: Val) {
        let ty = Ty::of_width(width);
        if let Some(count) = second.as_const() {
            let count = i8::try_from(count & u64::from(crate::isa::width_bits(width) - 1));
            self.cache(first);
            let dst = self.result_reg(ty, first, None);
            self.move_to(dst, first);
            if let Ok(count @ 1..) = count {
                self.s.asm.shift_imm(width, op, dst, count);
            }
            self.push_reg(ty, dst);
            return;
        }
        let rotates = matches!(op, ShiftOp::Rotl | ShiftOp::Rotr);
        if self.s.asm.has_free_shifts() && !rotates {
            let count = self.in_reg(second);
            let src = self.in_reg(first);
            let dst = self.result_reg(ty, first, None);
            self.s.asm.shift_free(width, op, dst, (src, count));
            self.push_reg(ty, dst);
            return;
        }
        let first = self.count_in_rcx(first, second);
        let dst = self.result_reg(ty, first, Some(RCX));
        self.move_to(dst, first);
        self.s.asm.shift_cl(width, op, dst);
        self.push_reg(ty, dst);
    }

    /// Brings the count of a shift to rcx. The first operand is moved if it was there.
    fn count_in_rcx(&mut self, first: Val, second: Val) -> Val {
        self.s.regs.pin(RCX);
        if self.reg_of(second) == Some(RCX) {
            return first;
        }
        let mut first = first;
        if self.reg_of(first) == Some(RCX) {
            let other = self.alloc(false);
            self.s.asm.mov(first.ty, other, RCX);
            first = Val::reg(first.ty, other);
        }
        self.take(RCX);
        self.move_to(RCX, second);
        first
    }

    fn divide(&mut self, width: Width, kind: (bool, bool), first: Val, second: Val) {
        let (signed, remainder) = kind;
        let ty = Ty::of_width(width);
        self.s.regs.pin(RAX);
        self.s.regs.pin(RDX);
        let divisor = match self.reg_of(second) {
            Some(reg) if reg != RAX && reg != RDX => reg,
            Some(_) | None => {
                let reg = self.alloc(false);
                self.move_to(reg, second);
                reg
            }
        };
        let in_rax = self.reg_of(first) == Some(RAX);
        self.take(RAX);
        if !in_rax {
            self.move_to(RAX, first);
        }
        self.take(RDX);
        // A constant divisor that is neither 0 nor -1 cannot trap.
        let constant = second.as_imm();
        if constant.is_none_or(|imm| imm == 0) {
            let zero = self.trap(TrapCode::IntegerDivideByZero);
            self.s.asm.test(width, divisor);
            self.s.asm.jump_if(Cond::Eq, zero);
        }
        let minus_one = constant.is_none_or(|imm| imm == -1);
        let back = self.s.asm.new_label();
        if signed && remainder && minus_one {
            let cold = self.cold(ColdKind::RemainderZero(RDX), Some(back));
            self.s.asm.alu_imm(width, AluOp::Cmp, divisor, -1);
            self.s.asm.jump_if(Cond::Eq, cold);
        }
        if signed {
            self.s.asm.sign_into_rdx(width);
        } else {
            self.s.asm.load_const(Ty::I32, RDX, 0);
        }
        if signed && !remainder && minus_one {
            self.s.asm.trap_site(TrapCode::IntegerOverflow);
        }
        self.s.asm.divide(width, signed, divisor);
        self.s.asm.bind(back);
        let result = if remainder { RDX } else { RAX };
        self.push_result(ty, result);
    }

    /// Pushes a result that is in a certain register, or moves it to the hinted home.
    pub(super) fn push_result(&mut self, ty: Ty, reg: Reg) {
        // Copies of the home's old value must not land in it.
        self.s.regs.pin(reg);
        match self.take_hint(ty) {
            Some(home) => {
                self.s.asm.mov(ty, home, reg);
                self.push_reg(ty, home);
            }
            None => self.push_reg(ty, reg),
        }
    }

    fn int_compare(&mut self, width: Width, op: IntCompare) {
        let second = self.pop();
        let first = self.pop();
        if let (Some(a), Some(b)) = (first.as_const(), second.as_const()) {
            let holds = super::int_const::compare(width, op, a, b);
            self.push_const(Ty::I32, u64::from(holds));
            return;
        }
        let mut cond = condition(op);
        let (first, second) = if first.as_const().is_some() {
            cond = mirrored(cond);
            (second, first)
        } else {
            (first, second)
        };
        self.compare(width, cond, first, second);
        self.push_condition(cond);
    }

    /// Sets the flags for a condition on two operands, of which the first is not constant.
    fn compare(&mut self, width: Width, cond: Cond, first: Val, second: Val) {
        if let Some(imm) = second.as_imm() {
            if let Some(slot) = self.slot_of(first) {
                self.s.asm.alu_mem_imm(width, AluOp::Cmp, slot, imm);
                return;
            }
            let reg = self.in_reg(first);
            if imm == 0 && matches!(cond, Cond::Eq | Cond::Ne) {
                self.s.asm.test(width, reg);
            } else {
                self.s.asm.alu_imm(width, AluOp::Cmp, reg, imm);
            }
            return;
        }
        let a = self.in_reg(first);
        if let Some(slot) = self.slot_of(second) {
            self.s.asm.alu_mem(width, AluOp::Cmp, a, slot);
            return;
        }
        let b = self.in_reg(second);
        self.s.asm.alu(width, AluOp::Cmp, a, b);
    }

    /// Pushes a comparison that is in the flags: straight to a home, or left there for the next operator.
    pub(super) fn push_condition(&mut self, cond: Cond) {
        match self.take_hint(Ty::I32) {
            Some(home) => {
                self.s.asm.set_cond(cond, home);
                self.push_reg(Ty::I32, home);
            }
            None => {
                self.s.stack.push_flags(cond);
                self.compared = true;
            }
        }
    }

    fn int_eqz(&mut self, width: Width) {
        let value = self.pop();
        match value.at {
            At::Const(bits) => self.push_const(Ty::I32, u64::from(bits.get() == 0)),
            At::Flags(cond) => self.push_condition(cond.negate()),
            At::Reg(_) | At::Local(_) | At::Slot(_) => {
                let zero = Val {
                    at: At::constant(0),
                    ..value
                };
                self.compare(width, Cond::Eq, value, zero);
                self.push_condition(Cond::Eq);
            }
        }
    }
}

fn condition(op: IntCompare) -> Cond {
    match op {
        IntCompare::Eq => Cond::Eq,
        IntCompare::Ne => Cond::Ne,
        IntCompare::LtS => Cond::LtS,
        IntCompare::LtU => Cond::LtU,
        IntCompare::GtS => Cond::GtS,
        IntCompare::GtU => Cond::GtU,
        IntCompare::LeS => Cond::LeS,
        IntCompare::LeU => Cond::LeU,
        IntCompare::GeS => Cond::GeS,
        IntCompare::GeU => Cond::GeU,
    }
}

/// The condition on exchanged operands.
fn mirrored(cond: Cond) -> Cond {
    match cond {
        Cond::LtS => Cond::GtS,
        Cond::GtS => Cond::LtS,
        Cond::LeS => Cond::GeS,
        Cond::GeS => Cond::LeS,
        Cond::LtU => Cond::GtU,
        Cond::GtU => Cond::LtU,
        Cond::LeU => Cond::GeU,
        Cond::GeU => Cond::LeU,
        Cond::Eq
        | Cond::Ne
        | Cond::FloatEq
        | Cond::FloatNe
        | Cond::Negative
        | Cond::NotNegative
        | Cond::Overflow
        | Cond::NoOverflow
        | Cond::Unordered
        | Cond::Ordered => cond,
    }
}
