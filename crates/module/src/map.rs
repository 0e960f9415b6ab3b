//! Operators to [`Op`]: the one wide list, made of rows. It serves two decoders: wasmparser's, and our own of validated bodies.
//!
//! wasmparser hands its operators to a visitor with one method each. The methods are generated from its own list
//! (`for_each_visit_operator!`), so the mapping is exhaustive by construction: an operator of an enabled proposal
//! without a row does not compile, and neither does a proposal that is named in neither list of `visit!`.
//!
//! Our own ([`plain`]) is generated from the rows of `opcodes.rs`. Each arm hands a known operator to the sink, which is
//! inlined, so that the sink's own matches are made at compile time and no `Op` is ever built.

use wasmparser::{FrameKind, FrameStack, VisitOperator};

use crate::convert::Immediate;
use crate::opcodes::for_each_plain_operator;
use crate::ops::{
    BulkOp, CallOp, ConstOp, ControlOp, ConvertOp, FloatBinary, FloatCompare, FloatOp, FloatUnary,
    FloatWidth, IntBinary, IntCompare, IntOp, IntUnary, LoadOp, MemoryOp, Op, ParametricOp, RefOp,
    StoreOp, TableOp, VariableOp, Width,
};
use crate::reader::{Code, OpSink};
use crate::types::{
    DataIndex, ElemIndex, FuncIndex, GlobalIndex, LocalIndex, MemoryIndex, TableIndex, TypeIndex,
};

/// The visitor that maps one operator. It yields nothing for an operator that validation rejects.
pub(crate) struct Mapper;

/// Nothing for an operator that cannot occur after validation; its immediates are dropped.
#[inline(always)]
fn rejected<'a, T>(_immediates: T) -> Option<Op<'a>> {
    None
}

/// The right-hand side of one operator's method: by proposal, then by row.
macro_rules! visit {
    (@mvp $op:ident $args:tt) => { mapped!($op $args) };
    (@sign_extension $op:ident $args:tt) => { mapped!($op $args) };
    (@saturating_float_to_int $op:ident $args:tt) => { mapped!($op $args) };
    (@bulk_memory $op:ident $args:tt) => { mapped!($op $args) };
    (@reference_types $op:ident $args:tt) => { row_or_rejected!($op $args) };
    // Proposals that are not enabled.
    (@gc $op:ident $args:tt) => { rejected($args) };
    (@custom_descriptors $op:ident $args:tt) => { rejected($args) };
    (@tail_call $op:ident $args:tt) => { rejected($args) };
    (@memory_control $op:ident $args:tt) => { rejected($args) };
    (@threads $op:ident $args:tt) => { rejected($args) };
    (@exceptions $op:ident $args:tt) => { rejected($args) };
    (@legacy_exceptions $op:ident $args:tt) => { rejected($args) };
    (@shared_everything_threads $op:ident $args:tt) => { rejected($args) };
    (@function_references $op:ident $args:tt) => { rejected($args) };
    (@stack_switching $op:ident $args:tt) => { rejected($args) };
    (@wide_arithmetic $op:ident $args:tt) => { rejected($args) };
    (@acquire_release_atomics $op:ident $args:tt) => { rejected($args) };
    (@multibyte_array_access $op:ident $args:tt) => { rejected($args) };
}

/// `select` with several types is part of the binary format, but no version of the language accepts it.
macro_rules! row_or_rejected {
    (TypedSelectMulti $args:tt) => { rejected($args) };
    ($op:ident $args:tt) => { mapped!($op $args) };
}

/// The row of an operator with wasmparser's immediates, which become ours first.
macro_rules! mapped {
    ($op:ident ($($arg:ident),*)) => {{
        $(let $arg = Immediate::ours($arg)?;)*
        Some(row!($op ($($arg),*)))
    }};
}

/// One row per operator: name, immediates (ours), value.
#[rustfmt::skip]
macro_rules! row {
    // Control, calls.
    (Unreachable ()) => { Op::Control(ControlOp::Unreachable) };
    (Nop ()) => { Op::Control(ControlOp::Nop) };
    (Else ()) => { Op::Control(ControlOp::Else) };
    (End ()) => { Op::Control(ControlOp::End) };
    (Return ()) => { Op::Control(ControlOp::Return) };
    (Block ($ty:ident)) => { Op::Control(ControlOp::Block($ty)) };
    (Loop ($ty:ident)) => { Op::Control(ControlOp::Loop($ty)) };
    (If ($ty:ident)) => { Op::Control(ControlOp::If($ty)) };
    (Br ($depth:ident)) => { Op::Control(ControlOp::Br($depth)) };
    (BrIf ($depth:ident)) => { Op::Control(ControlOp::BrIf($depth)) };
    (BrTable ($targets:ident)) => { Op::Control(ControlOp::BrTable($targets)) };
    (Call ($func:ident)) => { Op::Call(CallOp::Call(FuncIndex($func))) };
    (CallIndirect ($ty:ident, $table:ident)) => { Op::Call(CallOp::CallIndirect { ty: TypeIndex($ty), table: TableIndex($table) }) };
    // Parametric, variables, constants.
    (Drop ()) => { Op::Parametric(ParametricOp::Drop) };
    (Select ()) => { Op::Parametric(ParametricOp::Select) };
    (TypedSelect ($ty:ident)) => { Op::Parametric(ParametricOp::TypedSelect($ty)) };
    (LocalGet ($local:ident)) => { Op::Variable(VariableOp::LocalGet(LocalIndex($local))) };
    (LocalSet ($local:ident)) => { Op::Variable(VariableOp::LocalSet(LocalIndex($local))) };
    (LocalTee ($local:ident)) => { Op::Variable(VariableOp::LocalTee(LocalIndex($local))) };
    (GlobalGet ($global:ident)) => { Op::Variable(VariableOp::GlobalGet(GlobalIndex($global))) };
    (GlobalSet ($global:ident)) => { Op::Variable(VariableOp::GlobalSet(GlobalIndex($global))) };
    (I32Const ($value:ident)) => { Op::Const(ConstOp::I32($value)) };
    (I64Const ($value:ident)) => { Op::Const(ConstOp::I64($value)) };
    (F32Const ($value:ident)) => { Op::Const(ConstOp::F32($value)) };
    (F64Const ($value:ident)) => { Op::Const(ConstOp::F64($value)) };
    // Integers.
    (I32Eqz ()) => { Op::Int(Width::W32, IntOp::Eqz) };
    (I32Eq ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::Eq)) };
    (I32Ne ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::Ne)) };
    (I32LtS ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::LtS)) };
    (I32LtU ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::LtU)) };
    (I32GtS ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::GtS)) };
    (I32GtU ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::GtU)) };
    (I32LeS ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::LeS)) };
    (I32LeU ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::LeU)) };
    (I32GeS ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::GeS)) };
    (I32GeU ()) => { Op::Int(Width::W32, IntOp::Compare(IntCompare::GeU)) };
    (I32Clz ()) => { Op::Int(Width::W32, IntOp::Unary(IntUnary::Clz)) };
    (I32Ctz ()) => { Op::Int(Width::W32, IntOp::Unary(IntUnary::Ctz)) };
    (I32Popcnt ()) => { Op::Int(Width::W32, IntOp::Unary(IntUnary::Popcnt)) };
    (I32Extend8S ()) => { Op::Int(Width::W32, IntOp::Unary(IntUnary::Extend8S)) };
    (I32Extend16S ()) => { Op::Int(Width::W32, IntOp::Unary(IntUnary::Extend16S)) };
    (I32Add ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::Add)) };
    (I32Sub ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::Sub)) };
    (I32Mul ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::Mul)) };
    (I32DivS ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::DivS)) };
    (I32DivU ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::DivU)) };
    (I32RemS ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::RemS)) };
    (I32RemU ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::RemU)) };
    (I32And ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::And)) };
    (I32Or ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::Or)) };
    (I32Xor ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::Xor)) };
    (I32Shl ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::Shl)) };
    (I32ShrS ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::ShrS)) };
    (I32ShrU ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::ShrU)) };
    (I32Rotl ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::Rotl)) };
    (I32Rotr ()) => { Op::Int(Width::W32, IntOp::Binary(IntBinary::Rotr)) };
    (I64Eqz ()) => { Op::Int(Width::W64, IntOp::Eqz) };
    (I64Eq ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::Eq)) };
    (I64Ne ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::Ne)) };
    (I64LtS ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::LtS)) };
    (I64LtU ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::LtU)) };
    (I64GtS ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::GtS)) };
    (I64GtU ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::GtU)) };
    (I64LeS ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::LeS)) };
    (I64LeU ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::LeU)) };
    (I64GeS ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::GeS)) };
    (I64GeU ()) => { Op::Int(Width::W64, IntOp::Compare(IntCompare::GeU)) };
    (I64Clz ()) => { Op::Int(Width::W64, IntOp::Unary(IntUnary::Clz)) };
    (I64Ctz ()) => { Op::Int(Width::W64, IntOp::Unary(IntUnary::Ctz)) };
    (I64Popcnt ()) => { Op::Int(Width::W64, IntOp::Unary(IntUnary::Popcnt)) };
    (I64Extend8S ()) => { Op::Int(Width::W64, IntOp::Unary(IntUnary::Extend8S)) };
    (I64Extend16S ()) => { Op::Int(Width::W64, IntOp::Unary(IntUnary::Extend16S)) };
    (I64Extend32S ()) => { Op::Int(Width::W64, IntOp::Unary(IntUnary::Extend32S)) };
    (I64Add ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::Add)) };
    (I64Sub ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::Sub)) };
    (I64Mul ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::Mul)) };
    (I64DivS ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::DivS)) };
    (I64DivU ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::DivU)) };
    (I64RemS ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::RemS)) };
    (I64RemU ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::RemU)) };
    (I64And ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::And)) };
    (I64Or ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::Or)) };
    (I64Xor ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::Xor)) };
    (I64Shl ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::Shl)) };
    (I64ShrS ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::ShrS)) };
    (I64ShrU ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::ShrU)) };
    (I64Rotl ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::Rotl)) };
    (I64Rotr ()) => { Op::Int(Width::W64, IntOp::Binary(IntBinary::Rotr)) };
    // Floats.
    (F32Eq ()) => { Op::Float(FloatWidth::F32, FloatOp::Compare(FloatCompare::Eq)) };
    (F32Ne ()) => { Op::Float(FloatWidth::F32, FloatOp::Compare(FloatCompare::Ne)) };
    (F32Lt ()) => { Op::Float(FloatWidth::F32, FloatOp::Compare(FloatCompare::Lt)) };
    (F32Gt ()) => { Op::Float(FloatWidth::F32, FloatOp::Compare(FloatCompare::Gt)) };
    (F32Le ()) => { Op::Float(FloatWidth::F32, FloatOp::Compare(FloatCompare::Le)) };
    (F32Ge ()) => { Op::Float(FloatWidth::F32, FloatOp::Compare(FloatCompare::Ge)) };
    (F32Abs ()) => { Op::Float(FloatWidth::F32, FloatOp::Unary(FloatUnary::Abs)) };
    (F32Neg ()) => { Op::Float(FloatWidth::F32, FloatOp::Unary(FloatUnary::Neg)) };
    (F32Ceil ()) => { Op::Float(FloatWidth::F32, FloatOp::Unary(FloatUnary::Ceil)) };
    (F32Floor ()) => { Op::Float(FloatWidth::F32, FloatOp::Unary(FloatUnary::Floor)) };
    (F32Trunc ()) => { Op::Float(FloatWidth::F32, FloatOp::Unary(FloatUnary::Trunc)) };
    (F32Nearest ()) => { Op::Float(FloatWidth::F32, FloatOp::Unary(FloatUnary::Nearest)) };
    (F32Sqrt ()) => { Op::Float(FloatWidth::F32, FloatOp::Unary(FloatUnary::Sqrt)) };
    (F32Add ()) => { Op::Float(FloatWidth::F32, FloatOp::Binary(FloatBinary::Add)) };
    (F32Sub ()) => { Op::Float(FloatWidth::F32, FloatOp::Binary(FloatBinary::Sub)) };
    (F32Mul ()) => { Op::Float(FloatWidth::F32, FloatOp::Binary(FloatBinary::Mul)) };
    (F32Div ()) => { Op::Float(FloatWidth::F32, FloatOp::Binary(FloatBinary::Div)) };
    (F32Min ()) => { Op::Float(FloatWidth::F32, FloatOp::Binary(FloatBinary::Min)) };
    (F32Max ()) => { Op::Float(FloatWidth::F32, FloatOp::Binary(FloatBinary::Max)) };
    (F32Copysign ()) => { Op::Float(FloatWidth::F32, FloatOp::Binary(FloatBinary::Copysign)) };
    (F64Eq ()) => { Op::Float(FloatWidth::F64, FloatOp::Compare(FloatCompare::Eq)) };
    (F64Ne ()) => { Op::Float(FloatWidth::F64, FloatOp::Compare(FloatCompare::Ne)) };
    (F64Lt ()) => { Op::Float(FloatWidth::F64, FloatOp::Compare(FloatCompare::Lt)) };
    (F64Gt ()) => { Op::Float(FloatWidth::F64, FloatOp::Compare(FloatCompare::Gt)) };
    (F64Le ()) => { Op::Float(FloatWidth::F64, FloatOp::Compare(FloatCompare::Le)) };
    (F64Ge ()) => { Op::Float(FloatWidth::F64, FloatOp::Compare(FloatCompare::Ge)) };
    (F64Abs ()) => { Op::Float(FloatWidth::F64, FloatOp::Unary(FloatUnary::Abs)) };
    (F64Neg ()) => { Op::Float(FloatWidth::F64, FloatOp::Unary(FloatUnary::Neg)) };
    (F64Ceil ()) => { Op::Float(FloatWidth::F64, FloatOp::Unary(FloatUnary::Ceil)) };
    (F64Floor ()) => { Op::Float(FloatWidth::F64, FloatOp::Unary(FloatUnary::Floor)) };
    (F64Trunc ()) => { Op::Float(FloatWidth::F64, FloatOp::Unary(FloatUnary::Trunc)) };
    (F64Nearest ()) => { Op::Float(FloatWidth::F64, FloatOp::Unary(FloatUnary::Nearest)) };
    (F64Sqrt ()) => { Op::Float(FloatWidth::F64, FloatOp::Unary(FloatUnary::Sqrt)) };
    (F64Add ()) => { Op::Float(FloatWidth::F64, FloatOp::Binary(FloatBinary::Add)) };
    (F64Sub ()) => { Op::Float(FloatWidth::F64, FloatOp::Binary(FloatBinary::Sub)) };
    (F64Mul ()) => { Op::Float(FloatWidth::F64, FloatOp::Binary(FloatBinary::Mul)) };
    (F64Div ()) => { Op::Float(FloatWidth::F64, FloatOp::Binary(FloatBinary::Div)) };
    (F64Min ()) => { Op::Float(FloatWidth::F64, FloatOp::Binary(FloatBinary::Min)) };
    (F64Max ()) => { Op::Float(FloatWidth::F64, FloatOp::Binary(FloatBinary::Max)) };
    (F64Copysign ()) => { Op::Float(FloatWidth::F64, FloatOp::Binary(FloatBinary::Copysign)) };
    // Conversions.
    (I32WrapI64 ()) => { Op::Convert(ConvertOp::Wrap) };
    (I64ExtendI32S ()) => { Op::Convert(ConvertOp::Extend { signed: true }) };
    (I64ExtendI32U ()) => { Op::Convert(ConvertOp::Extend { signed: false }) };
    (I32TruncF32S ()) => { Op::Convert(ConvertOp::Trunc { to: Width::W32, from: FloatWidth::F32, signed: true }) };
    (I32TruncF32U ()) => { Op::Convert(ConvertOp::Trunc { to: Width::W32, from: FloatWidth::F32, signed: false }) };
    (I32TruncF64S ()) => { Op::Convert(ConvertOp::Trunc { to: Width::W32, from: FloatWidth::F64, signed: true }) };
    (I32TruncF64U ()) => { Op::Convert(ConvertOp::Trunc { to: Width::W32, from: FloatWidth::F64, signed: false }) };
    (I64TruncF32S ()) => { Op::Convert(ConvertOp::Trunc { to: Width::W64, from: FloatWidth::F32, signed: true }) };
    (I64TruncF32U ()) => { Op::Convert(ConvertOp::Trunc { to: Width::W64, from: FloatWidth::F32, signed: false }) };
    (I64TruncF64S ()) => { Op::Convert(ConvertOp::Trunc { to: Width::W64, from: FloatWidth::F64, signed: true }) };
    (I64TruncF64U ()) => { Op::Convert(ConvertOp::Trunc { to: Width::W64, from: FloatWidth::F64, signed: false }) };
    (I32TruncSatF32S ()) => { Op::Convert(ConvertOp::TruncSat { to: Width::W32, from: FloatWidth::F32, signed: true }) };
    (I32TruncSatF32U ()) => { Op::Convert(ConvertOp::TruncSat { to: Width::W32, from: FloatWidth::F32, signed: false }) };
    (I32TruncSatF64S ()) => { Op::Convert(ConvertOp::TruncSat { to: Width::W32, from: FloatWidth::F64, signed: true }) };
    (I32TruncSatF64U ()) => { Op::Convert(ConvertOp::TruncSat { to: Width::W32, from: FloatWidth::F64, signed: false }) };
    (I64TruncSatF32S ()) => { Op::Convert(ConvertOp::TruncSat { to: Width::W64, from: FloatWidth::F32, signed: true }) };
    (I64TruncSatF32U ()) => { Op::Convert(ConvertOp::TruncSat { to: Width::W64, from: FloatWidth::F32, signed: false }) };
    (I64TruncSatF64S ()) => { Op::Convert(ConvertOp::TruncSat { to: Width::W64, from: FloatWidth::F64, signed: true }) };
    (I64TruncSatF64U ()) => { Op::Convert(ConvertOp::TruncSat { to: Width::W64, from: FloatWidth::F64, signed: false }) };
    (F32ConvertI32S ()) => { Op::Convert(ConvertOp::Convert { to: FloatWidth::F32, from: Width::W32, signed: true }) };
    (F32ConvertI32U ()) => { Op::Convert(ConvertOp::Convert { to: FloatWidth::F32, from: Width::W32, signed: false }) };
    (F32ConvertI64S ()) => { Op::Convert(ConvertOp::Convert { to: FloatWidth::F32, from: Width::W64, signed: true }) };
    (F32ConvertI64U ()) => { Op::Convert(ConvertOp::Convert { to: FloatWidth::F32, from: Width::W64, signed: false }) };
    (F64ConvertI32S ()) => { Op::Convert(ConvertOp::Convert { to: FloatWidth::F64, from: Width::W32, signed: true }) };
    (F64ConvertI32U ()) => { Op::Convert(ConvertOp::Convert { to: FloatWidth::F64, from: Width::W32, signed: false }) };
    (F64ConvertI64S ()) => { Op::Convert(ConvertOp::Convert { to: FloatWidth::F64, from: Width::W64, signed: true }) };
    (F64ConvertI64U ()) => { Op::Convert(ConvertOp::Convert { to: FloatWidth::F64, from: Width::W64, signed: false }) };
    (F32DemoteF64 ()) => { Op::Convert(ConvertOp::Demote) };
    (F64PromoteF32 ()) => { Op::Convert(ConvertOp::Promote) };
    (I32ReinterpretF32 ()) => { Op::Convert(ConvertOp::ReinterpretToInt(Width::W32)) };
    (F32ReinterpretI32 ()) => { Op::Convert(ConvertOp::ReinterpretToFloat(FloatWidth::F32)) };
    (I64ReinterpretF64 ()) => { Op::Convert(ConvertOp::ReinterpretToInt(Width::W64)) };
    (F64ReinterpretI64 ()) => { Op::Convert(ConvertOp::ReinterpretToFloat(FloatWidth::F64)) };
    // Memory.
    (I32Load ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I32, $arg)) };
    (I64Load ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I64, $arg)) };
    (F32Load ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::F32, $arg)) };
    (F64Load ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::F64, $arg)) };
    (I32Load8S ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I32S8, $arg)) };
    (I32Load8U ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I32U8, $arg)) };
    (I32Load16S ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I32S16, $arg)) };
    (I32Load16U ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I32U16, $arg)) };
    (I64Load8S ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I64S8, $arg)) };
    (I64Load8U ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I64U8, $arg)) };
    (I64Load16S ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I64S16, $arg)) };
    (I64Load16U ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I64U16, $arg)) };
    (I64Load32S ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I64S32, $arg)) };
    (I64Load32U ($arg:ident)) => { Op::Memory(MemoryOp::Load(LoadOp::I64U32, $arg)) };
    (I32Store ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::I32, $arg)) };
    (I64Store ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::I64, $arg)) };
    (F32Store ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::F32, $arg)) };
    (F64Store ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::F64, $arg)) };
    (I32Store8 ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::I32As8, $arg)) };
    (I32Store16 ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::I32As16, $arg)) };
    (I64Store8 ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::I64As8, $arg)) };
    (I64Store16 ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::I64As16, $arg)) };
    (I64Store32 ($arg:ident)) => { Op::Memory(MemoryOp::Store(StoreOp::I64As32, $arg)) };
    (MemorySize ($mem:ident)) => { Op::Memory(MemoryOp::Size(MemoryIndex($mem))) };
    (MemoryGrow ($mem:ident)) => { Op::Memory(MemoryOp::Grow(MemoryIndex($mem))) };
    // Bulk.
    (MemoryInit ($data:ident, $mem:ident)) => { Op::Bulk(BulkOp::MemoryInit { data: DataIndex($data), memory: MemoryIndex($mem) }) };
    (DataDrop ($data:ident)) => { Op::Bulk(BulkOp::DataDrop(DataIndex($data))) };
    (MemoryCopy ($dst:ident, $src:ident)) => { Op::Bulk(BulkOp::MemoryCopy { dst: MemoryIndex($dst), src: MemoryIndex($src) }) };
    (MemoryFill ($mem:ident)) => { Op::Bulk(BulkOp::MemoryFill(MemoryIndex($mem))) };
    (TableInit ($elem:ident, $table:ident)) => { Op::Bulk(BulkOp::TableInit { elem: ElemIndex($elem), table: TableIndex($table) }) };
    (ElemDrop ($elem:ident)) => { Op::Bulk(BulkOp::ElemDrop(ElemIndex($elem))) };
    (TableCopy ($dst:ident, $src:ident)) => { Op::Bulk(BulkOp::TableCopy { dst: TableIndex($dst), src: TableIndex($src) }) };
    // Tables, references.
    (TableGet ($table:ident)) => { Op::Table(TableOp::Get(TableIndex($table))) };
    (TableSet ($table:ident)) => { Op::Table(TableOp::Set(TableIndex($table))) };
    (TableSize ($table:ident)) => { Op::Table(TableOp::Size(TableIndex($table))) };
    (TableGrow ($table:ident)) => { Op::Table(TableOp::Grow(TableIndex($table))) };
    (TableFill ($table:ident)) => { Op::Table(TableOp::Fill(TableIndex($table))) };
    (RefNull ($heap:ident)) => { Op::Ref(RefOp::Null($heap)) };
    (RefIsNull ()) => { Op::Ref(RefOp::IsNull) };
    (RefFunc ($func:ident)) => { Op::Ref(RefOp::Func(FuncIndex($func))) };
}

macro_rules! define_visits {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        $(
            #[inline(always)]
            fn $visit(&mut self $($(, $arg: $argty)*)?) -> Option<Op<'a>> {
                visit!(@$proposal $op ($($($arg),*)?))
            }
        )*
    };
}

impl<'a> VisitOperator<'a> for Mapper {
    type Output = Option<Op<'a>>;

    wasmparser::for_each_visit_operator!(define_visits);
}

impl FrameStack for Mapper {
    /// The reader asks only to check that `else` follows an `if`, which validation has checked.
    #[inline(always)]
    fn current_frame(&self) -> Option<FrameKind> {
        Some(FrameKind::If)
    }
}

macro_rules! define_plain {
    ($($opcode:literal $op:ident $(($($arg:ident: $immediate:ident),*))?,)*) => {
        /// Decodes one operator of a validated body, if its opcode and immediates are of a common form: hands it to the
        /// sink and returns the code behind it. Else none, and the sink has seen nothing.
        #[inline(always)]
        pub(crate) fn plain<'a, S: OpSink<'a>>(
            mut code: Code<'a>,
            offset: u32,
            sink: &mut S,
        ) -> Option<Code<'a>> {
            match code.byte()? {
                $($opcode => {
                    $($(let $arg = code.$immediate()?;)*)?
                    sink.op(offset, row!($op ($($($arg),*)?)), code);
                    Some(code)
                })*
                _ => None,
            }
        }
    };
}

for_each_plain_operator!(define_plain);
