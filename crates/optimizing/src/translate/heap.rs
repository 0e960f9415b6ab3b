//! Addresses in linear memories, and what keeps them in bounds.
//!
//! In the reserved style an access of a 32-bit memory is in bounds or hits the guard: base plus zero-extended index
//! plus constant offset stays below 4 GiB + guard as long as offset + size <= guard, so the access itself is the
//! check. Only the constant offset is ever folded into the instruction: an i32 addition wraps, an address does not. In
//! the checked style, and for larger offsets, the end of the access is compared with the memory's size.

use super::region::{Region, field};
use super::state::Translator;
use super::table::fixed;
use crate::signature::POINTER;
use crate::traps;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder as _, MemFlagsData, Value, types};
use std::mem::offset_of;
use upshift_abi::{CompileError, CompileErrorKind, MemoryDef, MemoryStyle, TrapCode, VmContext};
use upshift_module::MemoryIndex;
use upshift_module::ops::MemArg;

/// log2 of the bytes of a page.
pub(super) const PAGE_BITS: i64 = 16;

/// An operand of a load or store.
#[derive(Clone, Copy)]
pub(super) struct Address {
    /// Flags of the access.
    pub(super) flags: MemFlagsData,
    /// The register part.
    pub(super) base: Value,
    /// The displacement.
    pub(super) offset: i32,
}

impl Translator<'_, '_> {
    /// Memories with 64-bit addresses come with their proposal.
    pub(super) fn expect_memory32(&self, memory: MemoryIndex) -> Result<(), CompileError> {
        if self.func.env().memories[memory.0 as usize].memory64 {
            return Err(CompileError::new(
                CompileErrorKind::Unsupported,
                "64-bit memory",
            ));
        }
        Ok(())
    }

    /// Where an access of `size` bytes at an i32 index goes; traps before the access if the access itself would not.
    pub(super) fn address(&mut self, index: Value, arg: MemArg, size: u32) -> Address {
        let index = self.builder.ins().uextend(types::I64, index);
        let end = arg.offset + u64::from(size);
        let guarded = match self.env.memory_style {
            MemoryStyle::Reserved { guard_bytes } => end <= guard_bytes,
            MemoryStyle::Checked => false,
        };
        if !guarded {
            self.check_end(index, arg.memory, end);
        }
        let base = self.memory_base(arg.memory);
        let sum = self.builder.ins().iadd(base, index);
        let (base, offset) = match i32::try_from(arg.offset) {
            Ok(offset) => (sum, offset),
            // At most 2^32 - 1, the greatest offset of a 32-bit memory.
            Err(_) => {
                let offset = arg.offset.cast_signed();
                (self.builder.ins().iadd_imm_s(sum, offset), 0)
            }
        };
        let region = Region::of_memory(self.func.env(), arg.memory);
        let code = guarded.then(|| traps::to_clif(TrapCode::MemoryOutOfBounds));
        let flags = MemFlagsData::new()
            .with_trap_code(code)
            .with_alias_region(Some(region.declare(self.builder.func)));
        Address {
            flags,
            base,
            offset,
        }
    }

    /// Traps unless index + end <= size of the memory. Index and end are below 2^32 + 2^5: nothing wraps.
    fn check_end(&mut self, index: Value, memory: MemoryIndex, end: u64) {
        let end = self.builder.ins().iadd_imm_s(index, end.cast_signed());
        let bytes = self.memory_bytes(memory);
        let outside = self
            .builder
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, end, bytes);
        let code = traps::to_clif(TrapCode::MemoryOutOfBounds);
        self.builder.ins().trapnz(outside, code);
    }

    /// Current size in bytes, as 64 bits.
    pub(super) fn memory_bytes(&mut self, memory: MemoryIndex) -> Value {
        if let Some(bytes) = self.fixed_bytes(memory) {
            return self.builder.ins().iconst(types::I64, bytes);
        }
        let (def, offset) = self.place(self.env.layout.memory(memory));
        let flags = self.trusted(Region::MemoryDefs);
        let offset = offset + field(offset_of!(MemoryDef, bytes));
        self.builder.ins().load(types::I64, flags, def, offset)
    }

    fn fixed_bytes(&self, memory: MemoryIndex) -> Option<i64> {
        let ty = self.func.env().memories[memory.0 as usize];
        fixed(ty.minimum, ty.maximum)?.checked_shl(u32::try_from(PAGE_BITS).ok()?)
    }

    /// Loads the base of memory 0 once for the whole function, if it cannot move. Cranelift places the load where it is needed,
    /// out of loops; that one instruction stands for all is for the sake of compile time.
    pub(super) fn load_memory0_base(&mut self) {
        let reserved = matches!(self.env.memory_style, MemoryStyle::Reserved { .. });
        if reserved && self.func.outline().accesses_memory0() {
            let offset = field(offset_of!(VmContext, memory0_base));
            self.memory0_base = Some(self.load_fixed(POINTER, self.vmctx, offset));
        }
    }

    /// Address of the first byte. It cannot move in the reserved style, nor when the memory cannot grow.
    fn memory_base(&mut self, memory: MemoryIndex) -> Value {
        let reserved = matches!(self.env.memory_style, MemoryStyle::Reserved { .. });
        if let (0, Some(base)) = (memory.0, self.memory0_base) {
            return base;
        }
        let (def, offset) = self.place(self.env.layout.memory(memory));
        let offset = offset + field(offset_of!(MemoryDef, base));
        if reserved || self.fixed_bytes(memory).is_some() {
            return self.load_fixed(POINTER, def, offset);
        }
        let flags = self.trusted(Region::MemoryDefs);
        self.builder.ins().load(POINTER, flags, def, offset)
    }
}
