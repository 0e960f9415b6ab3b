//! What the lowering knows of a machine: registers as numbers, conditions, addresses.
//!
//! Instructions are spelled only in the directory of an instruction set; everything else calls methods of its
//! macro assembler that are named after machine ideas.

pub(crate) mod x64;

use upshift_module::ops::Width;

/// A register: 0-15 integer, 16-31 vector, by encoding number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Reg(pub(crate) u8);

impl Reg {
    /// Integer register with this encoding number.
    pub(crate) const fn int(code: u8) -> Self {
        Self(code)
    }

    /// Vector register with this encoding number.
    pub(crate) const fn float(code: u8) -> Self {
        Self(code + 16)
    }

    /// Encoding number in its class.
    pub(crate) const fn code(self) -> u8 {
        self.0 & 15
    }

    /// Whether it is a vector register.
    pub(crate) const fn is_float(self) -> bool {
        self.0 >= 16
    }

    /// Index into tables of all registers.
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of registers of both classes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct RegSet(pub(crate) u32);

impl RegSet {
    pub(crate) const EMPTY: Self = Self(0);
    pub(crate) const INTS: Self = Self(0xffff);
    pub(crate) const FLOATS: Self = Self(0xffff_0000);

    pub(crate) const fn class(float: bool) -> Self {
        if float { Self::FLOATS } else { Self::INTS }
    }

    pub(crate) const fn contains(self, reg: Reg) -> bool {
        self.0 >> reg.0 & 1 != 0
    }

    pub(crate) fn insert(&mut self, reg: Reg) {
        self.0 |= 1 << reg.0;
    }

    pub(crate) fn remove(&mut self, reg: Reg) {
        self.0 &= !(1 << reg.0);
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Number of members.
    pub(crate) const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The member with the highest number.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a set has 32 bits")]
    pub(crate) fn last(self) -> Option<Reg> {
        (self.0 != 0).then(|| Reg(31 - self.0.leading_zeros() as u8))
    }

    /// The member with the lowest number.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a set has 32 bits")]
    pub(crate) fn first(self) -> Option<Reg> {
        (self.0 != 0).then_some(Reg(self.0.trailing_zeros() as u8))
    }
}

impl Iterator for RegSet {
    type Item = Reg;

    #[inline]
    fn next(&mut self) -> Option<Reg> {
        let reg = self.first()?;
        self.0 &= self.0 - 1;
        Some(reg)
    }
}

/// A condition on the flags that a comparison left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Cond {
    /// Equal, or zero.
    Eq,
    /// Not equal, or not zero.
    Ne,
    /// Signed.
    LtS,
    /// Signed.
    GeS,
    /// Signed.
    GtS,
    /// Signed.
    LeS,
    /// Unsigned; for floats: less or unordered.
    LtU,
    /// Unsigned; for floats: greater or equal, and ordered.
    GeU,
    /// Unsigned; for floats: greater, and ordered.
    GtU,
    /// Unsigned; for floats: less or equal, or unordered.
    LeU,
    /// Floats: equal and ordered.
    FloatEq,
    /// Floats: not equal or unordered.
    FloatNe,
    /// The sign flag is set.
    Negative,
    /// The sign flag is clear.
    NotNegative,
    /// The overflow flag is set.
    Overflow,
    /// The overflow flag is clear.
    NoOverflow,
    /// Floats: unordered.
    Unordered,
    /// Floats: ordered.
    Ordered,
}

impl Cond {
    const ALL: [Self; 18] = [
        Self::Eq,
        Self::Ne,
        Self::LtS,
        Self::GeS,
        Self::GtS,
        Self::LeS,
        Self::LtU,
        Self::GeU,
        Self::GtU,
        Self::LeU,
        Self::FloatEq,
        Self::FloatNe,
        Self::Negative,
        Self::NotNegative,
        Self::Overflow,
        Self::NoOverflow,
        Self::Unordered,
        Self::Ordered,
    ];

    /// The condition with this number.
    pub(crate) fn from_number(number: u16) -> Self {
        Self::ALL[usize::from(number) % Self::ALL.len()]
    }

    /// The opposite: conditions come in pairs.
    pub(crate) fn negate(self) -> Self {
        Self::ALL[self as usize ^ 1]
    }
}

/// Where an instruction finds a memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Addr {
    /// Relative to the frame pointer.
    Frame(i32),
    /// Relative to vmctx.
    Ctx(i32),
    /// Relative to the base of memory 0.
    Mem0(i32),
    /// Memory 0 base + register + constant.
    Mem0Index(Reg, i32),
    /// Register + constant.
    Base(Reg, i32),
    /// Register + register + constant.
    Index(Reg, Reg, i32),
    /// Relative to the stack pointer.
    Stack(i32),
    /// A constant of the function's pool.
    Const(ConstId),
}

/// A constant behind the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConstId(pub(crate) u32);

/// A place in the code to jump to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Label(pub(crate) u32);

/// Two-operand integer instructions whose second operand may be a constant or in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AluOp {
    Add,
    Sub,
    And,
    Or,
    Xor,
    /// Only sets flags.
    Cmp,
}

/// Shifts and rotations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ShiftOp {
    Shl,
    ShrS,
    ShrU,
    Rotl,
    Rotr,
}

/// Two-operand float instructions that are one machine instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FloatAlu {
    Add,
    Sub,
    Mul,
    Div,
}

/// Bitwise instructions on vector registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FloatBits {
    And,
    Or,
    Xor,
}

/// Rounding to an integral value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rounding {
    Nearest,
    Floor,
    Ceil,
    Trunc,
}

/// How a narrow integer is widened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Widen {
    S8,
    S16,
    /// To 64 bits.
    S32,
}

/// Width of a register in bits as a number.
pub(crate) const fn width_bits(width: Width) -> u32 {
    match width {
        Width::W32 => 32,
        Width::W64 => 64,
    }
}
