//! Calls (spec 4.4.8).

use crate::types::{FuncIndex, TableIndex, TypeIndex};

/// A call operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallOp {
    /// Direct call.
    Call(FuncIndex),
    /// Call through a table; the i32 operand is the index.
    CallIndirect {
        /// Expected type.
        ty: TypeIndex,
        /// Table.
        table: TableIndex,
    },
}
