//! Variables (spec 4.4.5).

use crate::types::{GlobalIndex, LocalIndex};

/// A variable operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VariableOp {
    /// Push a local.
    LocalGet(LocalIndex),
    /// Pop into a local.
    LocalSet(LocalIndex),
    /// Assign a local and keep the operand.
    LocalTee(LocalIndex),
    /// Push a global.
    GlobalGet(GlobalIndex),
    /// Pop into a global.
    GlobalSet(GlobalIndex),
}
