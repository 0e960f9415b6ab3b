//! References (spec 4.4.2).

use crate::types::{FuncIndex, HeapType};

/// A reference operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RefOp {
    /// -> null
    Null(HeapType),
    /// reference -> i32
    IsNull,
    /// -> reference to the function
    Func(FuncIndex),
}
