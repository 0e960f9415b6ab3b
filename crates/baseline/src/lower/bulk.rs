//! Bulk operators: all of them are helpers.

use super::Lower;
use upshift_abi::Libcall;
use upshift_module::ops::BulkOp;

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn bulk(&mut self, op: BulkOp) {
        match op {
            BulkOp::MemoryInit { data, memory } => {
                self.libcall(Libcall::MemoryInit, &[memory.0, data.0], 3, None);
            }
            BulkOp::DataDrop(data) => self.libcall(Libcall::DataDrop, &[data.0], 0, None),
            BulkOp::MemoryCopy { dst, src } => {
                self.libcall(Libcall::MemoryCopy, &[dst.0, src.0], 3, None);
            }
            BulkOp::MemoryFill(memory) => {
                self.libcall(Libcall::MemoryFill, &[memory.0], 3, None);
            }
            BulkOp::TableInit { elem, table } => {
                self.libcall(Libcall::TableInit, &[table.0, elem.0], 3, None);
            }
            BulkOp::ElemDrop(elem) => self.libcall(Libcall::ElemDrop, &[elem.0], 0, None),
            BulkOp::TableCopy { dst, src } => {
                self.libcall(Libcall::TableCopy, &[dst.0, src.0], 3, None);
            }
        }
    }
}
