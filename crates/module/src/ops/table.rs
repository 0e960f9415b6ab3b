//! Tables (spec 4.4.6).

use crate::types::TableIndex;

/// A table operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TableOp {
    /// index -> reference
    Get(TableIndex),
    /// index, reference ->
    Set(TableIndex),
    /// -> size
    Size(TableIndex),
    /// initial, delta -> old size or -1
    Grow(TableIndex),
    /// start, value, length ->
    Fill(TableIndex),
}
