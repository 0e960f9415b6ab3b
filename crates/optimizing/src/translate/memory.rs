//! Loads, stores, size and growth of linear memories (spec 4.4.7).

use super::heap::{Address, PAGE_BITS};
use super::state::Translator;
use cranelift_codegen::ir::{InstBuilder as _, Value, types};
use upshift_abi::{CompileError, Libcall};
use upshift_module::ops::{LoadOp, MemoryOp, StoreOp};

impl Translator<'_, '_> {
    /// A memory operator.
    pub(super) fn memory(&mut self, op: MemoryOp) -> Result<(), CompileError> {
        match op {
            MemoryOp::Load(op, arg) => {
                self.expect_memory32(arg.memory)?;
                let index = self.pop();
                let address = self.address(index, arg, op.bytes());
                let value = self.load(op, address);
                self.push(value);
            }
            MemoryOp::Store(op, arg) => {
                self.expect_memory32(arg.memory)?;
                let (index, value) = self.pop2();
                let address = self.address(index, arg, op.bytes());
                self.store(op, value, address);
            }
            MemoryOp::Size(memory) => {
                self.expect_memory32(memory)?;
                let bytes = self.memory_bytes(memory);
                let pages = self.builder.ins().ushr_imm_u(bytes, PAGE_BITS);
                let pages = self.builder.ins().ireduce(types::I32, pages);
                self.push(pages);
            }
            MemoryOp::Grow(memory) => {
                self.expect_memory32(memory)?;
                let delta = self.pop();
                let number = self.index(memory.0);
                let old = self.libcall_value(Libcall::MemoryGrow, &[number, delta]);
                self.push(old);
            }
        }
        Ok(())
    }

    fn load(&mut self, op: LoadOp, address: Address) -> Value {
        let Address {
            flags,
            base,
            offset,
        } = address;
        let ins = self.builder.ins();
        match op {
            LoadOp::I32 => ins.load(types::I32, flags, base, offset),
            LoadOp::I64 => ins.load(types::I64, flags, base, offset),
            LoadOp::F32 => ins.load(types::F32, flags, base, offset),
            LoadOp::F64 => ins.load(types::F64, flags, base, offset),
            LoadOp::I32S8 => ins.sload8(types::I32, flags, base, offset),
            LoadOp::I32U8 => ins.uload8(types::I32, flags, base, offset),
            LoadOp::I32S16 => ins.sload16(types::I32, flags, base, offset),
            LoadOp::I32U16 => ins.uload16(types::I32, flags, base, offset),
            LoadOp::I64S8 => ins.sload8(types::I64, flags, base, offset),
            LoadOp::I64U8 => ins.uload8(types::I64, flags, base, offset),
            LoadOp::I64S16 => ins.sload16(types::I64, flags, base, offset),
            LoadOp::I64U16 => ins.uload16(types::I64, flags, base, offset),
            LoadOp::I64S32 => ins.sload32(flags, base, offset),
            LoadOp::I64U32 => ins.uload32(flags, base, offset),
        }
    }

    fn store(&mut self, op: StoreOp, value: Value, address: Address) {
        let Address {
            flags,
            base,
            offset,
        } = address;
        let ins = self.builder.ins();
        match op {
            StoreOp::I32 | StoreOp::I64 | StoreOp::F32 | StoreOp::F64 => {
                ins.store(flags, value, base, offset)
            }
            StoreOp::I32As8 | StoreOp::I64As8 => ins.istore8(flags, value, base, offset),
            StoreOp::I32As16 | StoreOp::I64As16 => ins.istore16(flags, value, base, offset),
            StoreOp::I64As32 => ins.istore32(flags, value, base, offset),
        };
    }
}
