//! Tables.

use super::Lower;
use super::memory::offset_by;
use crate::isa::x64::control::field;
use crate::isa::x64::regs::R11;
use crate::state::value::Ty;
use std::mem::offset_of;
use upshift_abi::{Libcall, TableDef};
use upshift_module::TableIndex;
use upshift_module::ops::TableOp;

impl Lower<'_> {
    #[inline(always)]
    pub(super) fn table(&mut self, op: TableOp) {
        match op {
            TableOp::Get(table) => {
                let heap = self.module.tables[table.0 as usize].element.heap;
                let ty = Ty::of_heap(heap);
                self.libcall(Libcall::TableGet, &[table.0], 1, Some(ty));
            }
            TableOp::Set(table) => self.libcall(Libcall::TableSet, &[table.0], 2, None),
            TableOp::Size(table) => self.table_size(table),
            TableOp::Grow(table) => {
                self.libcall(Libcall::TableGrow, &[table.0], 2, Some(Ty::I32));
            }
            TableOp::Fill(table) => self.libcall(Libcall::TableFill, &[table.0], 3, None),
        }
    }

    fn table_size(&mut self, table: TableIndex) {
        let dst = self.new_result_reg(Ty::I32);
        let place = self.env.layout.table(table);
        let def = self.vm_place(place, R11);
        let length = offset_by(def, field(offset_of!(TableDef, length)));
        self.s.asm.load(Ty::I32, dst, length);
        self.push_reg(Ty::I32, dst);
    }
}
