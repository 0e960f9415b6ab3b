//! Bulk operators (spec 4.4.6, 4.4.7): all are helpers, which check and trap.

use super::state::Translator;
use upshift_abi::{CompileError, Libcall};
use upshift_module::ops::BulkOp;

impl Translator<'_, '_> {
    /// A bulk operator.
    pub(super) fn bulk(&mut self, op: BulkOp) -> Result<(), CompileError> {
        match op {
            BulkOp::MemoryInit { data, memory } => {
                self.expect_memory32(memory)?;
                self.ranged(Libcall::MemoryInit, &[memory.0, data.0]);
            }
            BulkOp::MemoryCopy { dst, src } => {
                self.expect_memory32(dst)?;
                self.expect_memory32(src)?;
                self.ranged(Libcall::MemoryCopy, &[dst.0, src.0]);
            }
            BulkOp::MemoryFill(memory) => {
                self.expect_memory32(memory)?;
                self.ranged(Libcall::MemoryFill, &[memory.0]);
            }
            BulkOp::TableInit { elem, table } => {
                self.ranged(Libcall::TableInit, &[table.0, elem.0]);
            }
            BulkOp::TableCopy { dst, src } => {
                self.ranged(Libcall::TableCopy, &[dst.0, src.0]);
            }
            BulkOp::DataDrop(data) => self.drop_segment(Libcall::DataDrop, data.0),
            BulkOp::ElemDrop(elem) => self.drop_segment(Libcall::ElemDrop, elem.0),
        }
        Ok(())
    }

    /// Calls a helper with one or two indices of the module, then destination, source (or value) and length.
    fn ranged(&mut self, libcall: Libcall, indices: &[u32]) {
        let (dst, src, len) = self.pop3();
        let mut args = [dst; 5];
        let args = &mut args[..indices.len() + 3];
        for (arg, &index) in args.iter_mut().zip(indices) {
            *arg = self.index(index);
        }
        args[indices.len()..].copy_from_slice(&[dst, src, len]);
        self.libcall(libcall, args);
    }

    fn drop_segment(&mut self, libcall: Libcall, segment: u32) {
        let segment = self.index(segment);
        self.libcall(libcall, &[segment]);
    }
}
