//! Calls (spec 4.4.8). Code pointers are read from an entry slot right before the call, so that an installed body is seen by
//! the next call of it. Functions whose code will not be replaced any more are called directly: those that have optimized code, and the function
//! itself in its own optimized code.

use super::region::{Region, field};
use super::state::Translator;
use crate::signature::{POINTER, clif_type, in_register};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder as _, StackSlotData, StackSlotKind, Value, types};
use smallvec::SmallVec;
use std::mem::offset_of;
use upshift_abi::layout::TABLE_ENTRY_BYTES;
use upshift_abi::{CompileError, FuncImport, Libcall, ResultLoc, TableEntry};
use upshift_module::ops::CallOp;
use upshift_module::{FuncIndex, TableIndex, TypeIndex};

/// log2 of the alignment of a result area.
const RESULT_ALIGN_BITS: u8 = 4;

/// How the callee is reached.
#[derive(Clone, Copy)]
enum Callee {
    /// A function with a body in this module, by its symbol.
    Defined(FuncIndex),
    /// Whatever is in the slot at this address.
    Slot(Value),
}

impl Translator<'_, '_> {
    /// A call operator.
    pub(super) fn call(&mut self, op: CallOp) -> Result<(), CompileError> {
        match op {
            CallOp::Call(func) => match self.inlinee(func) {
                Some(callee) => return self.inline(callee),
                None => self.call_direct(func),
            },
            CallOp::CallIndirect { ty, table } => match self.indirect_inlinee(ty) {
                Some(callee) => return self.call_guarded((ty, table), callee),
                None => self.call_through_table(ty, table),
            },
        }
        Ok(())
    }

    fn call_direct(&mut self, func: FuncIndex) {
        let env = self.func.env();
        let ty = env.funcs[func.0 as usize];
        let vmctx = self.vmctx;
        if !env.is_imported_func(func) {
            return self.call_typed(ty, vmctx, Callee::Defined(func));
        }
        let import = self.env.layout.func_import(func) as usize;
        let callee = field(import + offset_of!(FuncImport, vmctx));
        let callee = self.load_fixed(POINTER, vmctx, callee);
        let slot = field(import + offset_of!(FuncImport, slot));
        let slot = self.load_fixed(POINTER, vmctx, slot);
        self.call_typed(ty, callee, Callee::Slot(slot));
    }

    /// The common path costs a comparison of the index and one of the type id; everything else (out of bounds, null, not
    /// filled yet, another type) goes to one helper, which traps or returns the entry.
    pub(super) fn call_through_table(&mut self, ty: TypeIndex, table: TableIndex) {
        let index = self.pop();
        let entry = self.checked_entry(ty, table, index);
        let flags = self.trusted(Region::Elements);
        let vmctx = field(offset_of!(TableEntry, vmctx));
        let vmctx = self.builder.ins().load(POINTER, flags, entry, vmctx);
        let slot = field(offset_of!(TableEntry, slot));
        let slot = self.builder.ins().load(POINTER, flags, entry, slot);
        self.call_typed(ty, vmctx, Callee::Slot(slot));
    }

    fn checked_entry(&mut self, ty: TypeIndex, table: TableIndex, index: Value) -> Value {
        let in_bounds = self.builder.create_block();
        let slow = self.builder.create_block();
        let found = self.builder.create_block();
        self.builder.set_cold_block(slow);
        let entry = self.builder.append_block_param(found, POINTER);
        let expected = i64::from(self.env.type_ids[ty.0 as usize].0);

        let wide = self.builder.ins().uextend(types::I64, index);
        let length = self.table_length(table);
        let inside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedLessThan, wide, length);
        self.builder.ins().brif(inside, in_bounds, &[], slow, &[]);

        self.builder.switch_to_block(in_bounds);
        self.builder.seal_block(in_bounds);
        let base = self.table_base(table);
        let shift = i64::from(TABLE_ENTRY_BYTES.trailing_zeros());
        let offset = self.builder.ins().ishl_imm_u(wide, shift);
        let address = self.builder.ins().iadd(base, offset);
        let flags = self.trusted(Region::Elements);
        let id = field(offset_of!(TableEntry, type_id));
        let id = self.builder.ins().load(types::I32, flags, address, id);
        let matches = self.builder.ins().icmp_imm_u(IntCC::Equal, id, expected);
        self.builder
            .ins()
            .brif(matches, found, &[address.into()], slow, &[]);

        self.builder.switch_to_block(slow);
        self.builder.seal_block(slow);
        let table = self.index(table.0);
        let id = self.builder.ins().iconst(types::I32, expected);
        let address = self.libcall_value(Libcall::IndirectSlow, &[table, index, id]);
        self.builder.ins().jump(found, &[address.into()]);

        self.builder.switch_to_block(found);
        self.builder.seal_block(found);
        entry
    }

    /// Pops the arguments, calls, pushes the results.
    fn call_typed(&mut self, ty: TypeIndex, vmctx: Value, callee: Callee) {
        let func_type = self.func.env().ty(ty);
        let layout = &self.env.signatures[ty.0 as usize];
        let mut args: SmallVec<[Value; 16]> = SmallVec::new();
        args.push(vmctx);
        let area = layout
            .result_pointer()
            .map(|_| self.result_area(layout.result_area_bytes));
        args.extend(area);
        let first = self.scratch.stack.len() - func_type.params().len();
        args.extend(self.scratch.stack.drain(first..));
        self.operands += args.len();

        let call = match callee {
            Callee::Defined(func) => {
                let func = self.func_ref(func);
                self.builder.ins().call(func, &args)
            }
            Callee::Slot(slot) => {
                let signature = self.signature(ty);
                let flags = self.trusted(Region::EntrySlots);
                let code = self.builder.ins().load(POINTER, flags, slot, 0);
                self.builder.ins().call_indirect(signature, code, &args)
            }
        };
        let mut in_registers = 0;
        for (&ty, &loc) in func_type.results().iter().zip(&layout.results) {
            let value = match (loc, area) {
                (ResultLoc::Memory(offset), Some(area)) => {
                    let flags = self.trusted(Region::Results);
                    let offset = field(offset as usize);
                    let clif = clif_type(ty);
                    self.builder.ins().load(clif, flags, area, offset)
                }
                (ResultLoc::Memory(_) | ResultLoc::Int(_) | ResultLoc::Float(_), _) => {
                    debug_assert!(in_register(loc));
                    in_registers += 1;
                    self.builder.inst_results(call)[in_registers - 1]
                }
            };
            self.push_typed(ty, value);
        }
    }

    /// Address of the area for results beyond the registers, at least this large.
    fn result_area(&mut self, bytes: u32) -> Value {
        let slot = *self.result_area.get_or_insert_with(|| {
            self.builder.create_sized_stack_slot(StackSlotData::new(
                StackSlotKind::ExplicitSlot,
                bytes,
                RESULT_ALIGN_BITS,
            ))
        });
        let data = &mut self.builder.func.sized_stack_slots[slot];
        data.size = data.size.max(bytes);
        self.builder.ins().stack_addr(POINTER, slot, 0)
    }
}
