//! Tables (spec 4.4.6). Only sizes are read in place: elements are filled lazily, which is the helpers' business.

use super::region::{Region, field};
use super::state::Translator;
use crate::signature::POINTER;
use cranelift_codegen::ir::{InstBuilder as _, Value, types};
use std::mem::offset_of;
use upshift_abi::{Libcall, TableDef};
use upshift_module::ops::TableOp;
use upshift_module::{TableIndex, ValType};

impl Translator<'_, '_> {
    /// A table operator.
    pub(super) fn table(&mut self, op: TableOp) {
        match op {
            TableOp::Get(table) => {
                let index = self.pop();
                let number = self.index(table.0);
                let reference = self.libcall_value(Libcall::TableGet, &[number, index]);
                let element = self.func.env().tables[table.0 as usize].element;
                self.push_typed(ValType::Ref(element), reference);
            }
            TableOp::Set(table) => {
                let (index, reference) = self.pop2();
                let number = self.index(table.0);
                self.libcall(Libcall::TableSet, &[number, index, reference]);
            }
            TableOp::Size(table) => {
                let length = self.table_length(table);
                let length = self.builder.ins().ireduce(types::I32, length);
                self.push(length);
            }
            TableOp::Grow(table) => {
                let (initial, delta) = self.pop2();
                let number = self.index(table.0);
                let old = self.libcall_value(Libcall::TableGrow, &[number, initial, delta]);
                self.push(old);
            }
            TableOp::Fill(table) => {
                let (start, reference, length) = self.pop3();
                let number = self.index(table.0);
                self.libcall(Libcall::TableFill, &[number, start, reference, length]);
            }
        }
    }

    /// Number of elements, as 64 bits. A constant when the table can neither grow nor, being imported, differ.
    pub(super) fn table_length(&mut self, table: TableIndex) -> Value {
        let ty = self.func.env().tables[table.0 as usize];
        if let Some(length) = fixed(ty.minimum, ty.maximum) {
            return self.builder.ins().iconst(types::I64, length);
        }
        let (def, offset) = self.place(self.env.layout.table(table));
        let flags = self.trusted(Region::TableDefs);
        let offset = offset + field(offset_of!(TableDef, length));
        self.builder.ins().load(types::I64, flags, def, offset)
    }

    /// Address of the first element.
    pub(super) fn table_base(&mut self, table: TableIndex) -> Value {
        let ty = self.func.env().tables[table.0 as usize];
        let (def, offset) = self.place(self.env.layout.table(table));
        let offset = offset + field(offset_of!(TableDef, base));
        if fixed(ty.minimum, ty.maximum).is_some() {
            return self.load_fixed(POINTER, def, offset);
        }
        let flags = self.trusted(Region::TableDefs);
        self.builder.ins().load(POINTER, flags, def, offset)
    }
}

/// The size of what cannot grow: whatever is linked has at least the minimum and at most the maximum.
pub(super) fn fixed(minimum: u64, maximum: Option<u64>) -> Option<i64> {
    (maximum == Some(minimum))
        .then(|| i64::try_from(minimum).ok())
        .flatten()
}
