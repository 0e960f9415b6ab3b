//! The types of the operators that [`Straight`](super::Straight) knows, one row per opcode.
//!
//! A row must say what the specification says (3.3, 5.4) and may say nothing: an opcode without a row is left to
//! wasmparser. `crates/module/tests/it/agree.rs` compares every opcode with wasmparser, on every combination of
//! operand types.

/// The type of an operand, in a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(in crate::validate) enum Ty {
    /// Below the bottom of the stack: no operand is of this type.
    Nothing,
    I32,
    I64,
    F32,
    F64,
    /// What is left to wasmparser: no operand is of this type.
    Other,
    /// No operand but the beginning of a block.
    Block,
    /// The beginning of a loop.
    Loop,
    /// The beginning of the first arm of an `if`.
    If,
    /// The beginning of the second arm of an `if`.
    Else,
}

impl Ty {
    pub(super) fn of(ty: crate::types::ValType) -> Self {
        use crate::types::ValType;
        match ty {
            ValType::I32 => Self::I32,
            ValType::I64 => Self::I64,
            ValType::F32 => Self::F32,
            ValType::F64 => Self::F64,
            ValType::V128 | ValType::Ref(_) => Self::Other,
        }
    }

    /// Whether it begins a block.
    #[inline(always)]
    pub(super) fn is_block(self) -> bool {
        match self {
            Self::Block | Self::Loop | Self::If | Self::Else => true,
            Self::Nothing | Self::I32 | Self::I64 | Self::F32 | Self::F64 | Self::Other => false,
        }
    }
}

/// What an operator is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// Left to wasmparser.
    Other,
    Nop,
    /// One operand, one result.
    Unary,
    /// Two operands of one type, one result.
    Binary,
    /// An address, and a result.
    Load,
    /// An address and a value.
    Store,
    /// A constant of an integer type: a LEB128 number follows.
    IntConst,
    /// A constant of a floating-point type: so many bytes follow as its width is.
    FloatConst,
    LocalGet,
    LocalSet,
    LocalTee,
    GlobalGet,
    GlobalSet,
    Drop,
    Select,
    Call,
    CallIndirect,
    Block,
    Loop,
    If,
    Else,
    End,
    Br,
    BrIf,
    BrTable,
    Return,
    Unreachable,
    /// The opcode goes on in the next byte.
    Prefix,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) shape: Shape,
    /// Type of each operand; of a load and store, that of the value.
    pub(super) operand: Ty,
    pub(super) result: Ty,
    /// Binary logarithm of the largest alignment of a memory access.
    pub(super) align: u8,
}

/// The rows by opcode.
pub(super) const RULES: [Rule; 256] = rules();

const fn rules() -> [Rule; 256] {
    let mut rules = [Rule {
        shape: Shape::Other,
        operand: Ty::Other,
        result: Ty::Other,
        align: 0,
    }; 256];
    simple(&mut rules);
    accesses(&mut rules);
    arithmetic(&mut rules);
    conversions(&mut rules);
    rules
}

/// Sets the rows of opcodes from `first` to `last`.
const fn set(
    rules: &mut [Rule; 256],
    (first, last): (usize, usize),
    shape: Shape,
    (operand, result): (Ty, Ty),
) {
    let mut opcode = first;
    while opcode <= last {
        rules[opcode].shape = shape;
        rules[opcode].operand = operand;
        rules[opcode].result = result;
        opcode += 1;
    }
}

const fn simple(rules: &mut [Rule; 256]) {
    let untyped = (Ty::Other, Ty::Other);
    set(rules, (0x00, 0x00), Shape::Unreachable, untyped);
    set(rules, (0x01, 0x01), Shape::Nop, untyped);
    set(rules, (0x02, 0x02), Shape::Block, untyped);
    set(rules, (0x03, 0x03), Shape::Loop, untyped);
    set(rules, (0x04, 0x04), Shape::If, untyped);
    set(rules, (0x05, 0x05), Shape::Else, untyped);
    set(rules, (0x0b, 0x0b), Shape::End, untyped);
    set(rules, (0x0c, 0x0c), Shape::Br, untyped);
    set(rules, (0x0d, 0x0d), Shape::BrIf, untyped);
    set(rules, (0x0e, 0x0e), Shape::BrTable, untyped);
    set(rules, (0x0f, 0x0f), Shape::Return, untyped);
    set(rules, (0x11, 0x11), Shape::CallIndirect, untyped);
    set(rules, (0x10, 0x10), Shape::Call, untyped);
    set(rules, (0x1a, 0x1a), Shape::Drop, untyped);
    set(rules, (0x1b, 0x1b), Shape::Select, untyped);
    set(rules, (0x20, 0x20), Shape::LocalGet, untyped);
    set(rules, (0x21, 0x21), Shape::LocalSet, untyped);
    set(rules, (0x22, 0x22), Shape::LocalTee, untyped);
    set(rules, (0x23, 0x23), Shape::GlobalGet, untyped);
    set(rules, (0x24, 0x24), Shape::GlobalSet, untyped);
    set(rules, (0xfc, 0xfc), Shape::Prefix, untyped);
    set(rules, (0x41, 0x41), Shape::IntConst, (Ty::Other, Ty::I32));
    set(rules, (0x42, 0x42), Shape::IntConst, (Ty::Other, Ty::I64));
    set(rules, (0x43, 0x43), Shape::FloatConst, (Ty::Other, Ty::F32));
    set(rules, (0x44, 0x44), Shape::FloatConst, (Ty::Other, Ty::F64));
}

const fn accesses(rules: &mut [Rule; 256]) {
    // From opcode 0x28 on: the type of the value, and the binary logarithm of the width in memory.
    const LOADS: [(Ty, u8); 14] = [
        (Ty::I32, 2),
        (Ty::I64, 3),
        (Ty::F32, 2),
        (Ty::F64, 3),
        (Ty::I32, 0),
        (Ty::I32, 0),
        (Ty::I32, 1),
        (Ty::I32, 1),
        (Ty::I64, 0),
        (Ty::I64, 0),
        (Ty::I64, 1),
        (Ty::I64, 1),
        (Ty::I64, 2),
        (Ty::I64, 2),
    ];
    // From opcode 0x36 on.
    const STORES: [(Ty, u8); 9] = [
        (Ty::I32, 2),
        (Ty::I64, 3),
        (Ty::F32, 2),
        (Ty::F64, 3),
        (Ty::I32, 0),
        (Ty::I32, 1),
        (Ty::I64, 0),
        (Ty::I64, 1),
        (Ty::I64, 2),
    ];
    let mut at = 0;
    while at < LOADS.len() {
        let (ty, align) = LOADS[at];
        set(rules, (0x28 + at, 0x28 + at), Shape::Load, (ty, ty));
        rules[0x28 + at].align = align;
        at += 1;
    }
    at = 0;
    while at < STORES.len() {
        let (ty, align) = STORES[at];
        set(rules, (0x36 + at, 0x36 + at), Shape::Store, (ty, ty));
        rules[0x36 + at].align = align;
        at += 1;
    }
}

const fn arithmetic(rules: &mut [Rule; 256]) {
    use Shape::{Binary, Unary};
    // Tests and comparisons.
    set(rules, (0x45, 0x45), Unary, (Ty::I32, Ty::I32));
    set(rules, (0x46, 0x4f), Binary, (Ty::I32, Ty::I32));
    set(rules, (0x50, 0x50), Unary, (Ty::I64, Ty::I32));
    set(rules, (0x51, 0x5a), Binary, (Ty::I64, Ty::I32));
    set(rules, (0x5b, 0x60), Binary, (Ty::F32, Ty::I32));
    set(rules, (0x61, 0x66), Binary, (Ty::F64, Ty::I32));
    // Arithmetic.
    set(rules, (0x67, 0x69), Unary, (Ty::I32, Ty::I32));
    set(rules, (0x6a, 0x78), Binary, (Ty::I32, Ty::I32));
    set(rules, (0x79, 0x7b), Unary, (Ty::I64, Ty::I64));
    set(rules, (0x7c, 0x8a), Binary, (Ty::I64, Ty::I64));
    set(rules, (0x8b, 0x91), Unary, (Ty::F32, Ty::F32));
    set(rules, (0x92, 0x98), Binary, (Ty::F32, Ty::F32));
    set(rules, (0x99, 0x9f), Unary, (Ty::F64, Ty::F64));
    set(rules, (0xa0, 0xa6), Binary, (Ty::F64, Ty::F64));
}

const fn conversions(rules: &mut [Rule; 256]) {
    use Shape::Unary;
    set(rules, (0xa7, 0xa7), Unary, (Ty::I64, Ty::I32));
    set(rules, (0xa8, 0xa9), Unary, (Ty::F32, Ty::I32));
    set(rules, (0xaa, 0xab), Unary, (Ty::F64, Ty::I32));
    set(rules, (0xac, 0xad), Unary, (Ty::I32, Ty::I64));
    set(rules, (0xae, 0xaf), Unary, (Ty::F32, Ty::I64));
    set(rules, (0xb0, 0xb1), Unary, (Ty::F64, Ty::I64));
    set(rules, (0xb2, 0xb3), Unary, (Ty::I32, Ty::F32));
    set(rules, (0xb4, 0xb5), Unary, (Ty::I64, Ty::F32));
    set(rules, (0xb6, 0xb6), Unary, (Ty::F64, Ty::F32));
    set(rules, (0xb7, 0xb8), Unary, (Ty::I32, Ty::F64));
    set(rules, (0xb9, 0xba), Unary, (Ty::I64, Ty::F64));
    set(rules, (0xbb, 0xbb), Unary, (Ty::F32, Ty::F64));
    // Reinterpretations.
    set(rules, (0xbc, 0xbc), Unary, (Ty::F32, Ty::I32));
    set(rules, (0xbd, 0xbd), Unary, (Ty::F64, Ty::I64));
    set(rules, (0xbe, 0xbe), Unary, (Ty::I32, Ty::F32));
    set(rules, (0xbf, 0xbf), Unary, (Ty::I64, Ty::F64));
    // Sign extensions.
    set(rules, (0xc0, 0xc1), Unary, (Ty::I32, Ty::I32));
    set(rules, (0xc2, 0xc4), Unary, (Ty::I64, Ty::I64));
}
