//! Bulk operators (spec 4.4.6, 4.4.7). Operands in order: destination, source (or value), length; all i32.

use crate::types::{DataIndex, ElemIndex, MemoryIndex, TableIndex};

/// A bulk operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BulkOp {
    /// `memory.init`
    MemoryInit {
        /// Source segment.
        data: DataIndex,
        /// Destination.
        memory: MemoryIndex,
    },
    /// `data.drop`
    DataDrop(DataIndex),
    /// `memory.copy`
    MemoryCopy {
        /// Destination.
        dst: MemoryIndex,
        /// Source.
        src: MemoryIndex,
    },
    /// `memory.fill`
    MemoryFill(MemoryIndex),
    /// `table.init`
    TableInit {
        /// Source segment.
        elem: ElemIndex,
        /// Destination.
        table: TableIndex,
    },
    /// `elem.drop`
    ElemDrop(ElemIndex),
    /// `table.copy`
    TableCopy {
        /// Destination.
        dst: TableIndex,
        /// Source.
        src: TableIndex,
    },
}
