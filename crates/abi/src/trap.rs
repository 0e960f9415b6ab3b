//! Why a guest stops.

use std::fmt;

/// The reason of a trap. The texts are the ones that the official test suite expects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum TrapCode {
    /// The stack limit was passed.
    StackOverflow = 1,
    /// An address, or a range of a bulk operation, lies outside the memory.
    MemoryOutOfBounds,
    /// An index, or a range of a bulk operation, lies outside the table.
    TableOutOfBounds,
    /// `call_indirect` with an index outside the table.
    UndefinedElement,
    /// `call_indirect` met a null entry.
    UninitializedElement,
    /// `call_indirect` met a function of another type.
    IndirectCallTypeMismatch,
    /// Integer division or remainder by zero.
    IntegerDivideByZero,
    /// Signed division overflow, or a float out of the integer's range.
    IntegerOverflow,
    /// A NaN has no integer value.
    BadConversionToInteger,
    /// `unreachable` was executed.
    Unreachable,
    /// The host asked the guest to stop.
    Interrupt,
}

impl TrapCode {
    /// All codes in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::StackOverflow,
        Self::MemoryOutOfBounds,
        Self::TableOutOfBounds,
        Self::UndefinedElement,
        Self::UninitializedElement,
        Self::IndirectCallTypeMismatch,
        Self::IntegerDivideByZero,
        Self::IntegerOverflow,
        Self::BadConversionToInteger,
        Self::Unreachable,
        Self::Interrupt,
    ];

    /// The code with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Its number, 1 and up.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What the user reads.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::StackOverflow => "call stack exhausted",
            Self::MemoryOutOfBounds => "out of bounds memory access",
            Self::TableOutOfBounds => "out of bounds table access",
            Self::UndefinedElement => "undefined element",
            Self::UninitializedElement => "uninitialized element",
            Self::IndirectCallTypeMismatch => "indirect call type mismatch",
            Self::IntegerDivideByZero => "integer divide by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::BadConversionToInteger => "invalid conversion to integer",
            Self::Unreachable => "unreachable",
            Self::Interrupt => "interrupt",
        }
    }
}

impl fmt::Display for TrapCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}
