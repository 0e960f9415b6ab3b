//! Calls through a table that almost always reach the same function: its body, behind a comparison.
//!
//! A table entry tells function and instance by two pointers: the entry slot, of which each function has one, shared by all
//! instances of the module, and the context. If the slot is that of the expected callee and the context is our own, the call would
//! run the expected body with our context, so the inlined body may take its place. Its type is compared here, once and for all.
//! Null entries, and entries that nobody has looked at yet, have a null slot. In all other cases (also beyond the table's end) the
//! ordinary call goes on from the same operands, with all its checks and traps. Nothing is undone, so nothing needs to be known at
//! the point of failure.

use super::super::control::Types;
use super::super::region::{Region, field};
use super::super::state::Translator;
use crate::signature::POINTER;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder as _, Value, types};
use std::mem::{offset_of, size_of};
use upshift_abi::layout::TABLE_ENTRY_BYTES;
use upshift_abi::{CompileError, EntrySlot, TableEntry, VmContext};
use upshift_module::{FuncIndex, TableIndex, TypeIndex, ValidatedFunc};

impl<'a> Translator<'a, '_> {
    /// The body to inline at the `call_indirect` that is being translated.
    pub(in crate::translate) fn indirect_inlinee(
        &mut self,
        ty: TypeIndex,
    ) -> Option<ValidatedFunc<'a>> {
        let profile = self.env.profile?;
        let target = profile.indirect_target(self.func.index(), self.indirect_calls)?;
        let env = self.func.env();
        env.defined_func(target)?;
        let id = |ty: TypeIndex| self.env.type_ids[ty.0 as usize];
        if id(env.funcs[target.0 as usize]) != id(ty) {
            return None;
        }
        self.guarded_inlinee(target)
    }

    /// Translates a `call_indirect` with the callee's body for the common case; index and arguments are the top operands.
    pub(in crate::translate) fn call_guarded(
        &mut self,
        (ty, table): (TypeIndex, TableIndex),
        callee: ValidatedFunc<'a>,
    ) -> Result<(), CompileError> {
        let index = self.pop();
        let func_type = self.func.env().ty(ty);
        let height = self.scratch.stack.len() - func_type.params().len();
        let args = self.scratch.stack[height..].to_vec();
        self.operands += args.len();
        let results = Types::Many(func_type.results());
        let [expected, other] = [(); 2].map(|()| self.builder.create_block());
        self.builder.set_cold_block(other);
        let done = self.block_of(results);

        self.compare_entry((table, index), callee.index(), (expected, other));
        for block in [expected, other] {
            self.builder.seal_block(block);
        }
        self.builder.switch_to_block(other);
        self.push(index);
        let first = self.builder.func.dfg.num_blocks();
        self.call_through_table(ty, table);
        for number in first..self.builder.func.dfg.num_blocks() {
            let block = Block::from_u32(u32::try_from(number).unwrap_or(u32::MAX));
            self.builder.set_cold_block(block);
        }
        self.pass_results(done, results);

        self.scratch.stack.truncate(height);
        self.scratch.stack.extend(args);
        self.builder.switch_to_block(expected);
        self.inline(callee)?;
        if self.reachable {
            self.pass_results(done, results);
        }
        self.reachable = true;
        self.builder.seal_block(done);
        self.builder.switch_to_block(done);
        self.resume_with_params(done, height);
        Ok(())
    }

    fn pass_results(&mut self, done: Block, results: Types<'_>) {
        let results = self.top(results.len());
        self.builder.ins().jump(done, &results);
    }

    /// Branches to the first block if the table's element is the function of our instance, else to the second.
    fn compare_entry(
        &mut self,
        (table, index): (TableIndex, Value),
        func: FuncIndex,
        (expected, other): (Block, Block),
    ) {
        let [inside, same_func] = [(); 2].map(|()| self.builder.create_block());
        let wide = self.builder.ins().uextend(types::I64, index);
        let length = self.table_length(table);
        let in_bounds = IntCC::UnsignedLessThan;
        let in_bounds = self.builder.ins().icmp(in_bounds, wide, length);
        self.builder.ins().brif(in_bounds, inside, &[], other, &[]);

        self.builder.switch_to_block(inside);
        self.builder.seal_block(inside);
        let base = self.table_base(table);
        let shift = i64::from(TABLE_ENTRY_BYTES.trailing_zeros());
        let offset = self.builder.ins().ishl_imm_u(wide, shift);
        let entry = self.builder.ins().iadd(base, offset);
        let flags = self.trusted(Region::Elements);
        let slot = field(offset_of!(TableEntry, slot));
        let slot = self.builder.ins().load(POINTER, flags, entry, slot);
        let own_slot = self.own_slot(func);
        let same = self.builder.ins().icmp(IntCC::Equal, slot, own_slot);
        self.builder.ins().brif(same, same_func, &[], other, &[]);

        self.builder.switch_to_block(same_func);
        self.builder.seal_block(same_func);
        let context = field(offset_of!(TableEntry, vmctx));
        let context = self.builder.ins().load(POINTER, flags, entry, context);
        let same = self.builder.ins().icmp(IntCC::Equal, context, self.vmctx);
        self.builder.ins().brif(same, expected, &[], other, &[]);
    }

    /// Address of the entry slot of a defined function.
    fn own_slot(&mut self, func: FuncIndex) -> Value {
        let defined = self.func.env().defined_func(func).unwrap_or_default();
        let vmctx = self.vmctx;
        let table = field(offset_of!(VmContext, entry_table));
        let table = self.load_fixed(POINTER, vmctx, table);
        let offset = field(defined as usize * size_of::<EntrySlot>());
        self.builder.ins().iadd_imm_s(table, i64::from(offset))
    }
}
