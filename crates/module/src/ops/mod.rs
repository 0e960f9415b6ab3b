//! WebAssembly operators by category: what the compilers match on.
//!
//! wasmparser's `Operator` is one flat, non-exhaustive list of several hundred cases. Here the
//! same operators are factored by category, width and sign into small exhaustive enums, so that each compiler
//! has one short dispatch over [`Op`] and one file per category, matched without a wildcard.

mod bulk;
mod call;
mod control;
mod convert;
mod float;
mod int;
mod memory;
mod parametric;
mod reference;
mod table;
mod variable;

pub use bulk::BulkOp;
pub use call::CallOp;
pub use control::{BlockType, BrTable, ControlOp};
pub use convert::ConvertOp;
pub use float::{FloatBinary, FloatCompare, FloatOp, FloatUnary, FloatWidth};
pub use int::{IntBinary, IntCompare, IntOp, IntUnary, Width};
pub use memory::{LoadOp, MemArg, MemoryOp, StoreOp};
pub use parametric::{ConstOp, ParametricOp};
pub use reference::RefOp;
pub use table::TableOp;
pub use variable::VariableOp;

/// One operator.
#[derive(Clone, Debug)]
pub enum Op<'a> {
    /// Structured control and branches.
    Control(ControlOp<'a>),
    /// Calls and returns to other functions.
    Call(CallOp),
    /// `drop`, `select`.
    Parametric(ParametricOp),
    /// Locals and globals.
    Variable(VariableOp),
    /// Numeric constants.
    Const(ConstOp),
    /// Integer arithmetic and comparison.
    Int(Width, IntOp),
    /// Float arithmetic and comparison.
    Float(FloatWidth, FloatOp),
    /// Conversions between numeric types.
    Convert(ConvertOp),
    /// Linear memory access, size and growth.
    Memory(MemoryOp),
    /// Bulk operations on memories, tables and segments.
    Bulk(BulkOp),
    /// Table access, size, growth, fill.
    Table(TableOp),
    /// References.
    Ref(RefOp),
}
