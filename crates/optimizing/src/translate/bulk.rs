//! Bulk operators (spec 4.4.6, 4.4.7): helpers, which check and trap.
//!
//! Copies and fills of a few bytes, as many as a constant says, are loads and stores instead. All loads come before all stores, so
//! overlapping areas and traps of the source need no thought. The stores begin with the last bytes: if the area is not
//! within the memory, the first of them traps and nothing was written, and a store that straddles the end writes nothing
//! before it faults.

use super::state::Translator;
use cranelift_codegen::ir::{InstBuilder as _, InstructionData, Opcode, Type, Value, types};
use smallvec::SmallVec;
use upshift_abi::{CompileError, Libcall};
use upshift_module::MemoryIndex;
use upshift_module::ops::{BulkOp, MemArg};

/// Copies and fills of up to this many bytes are expanded: four registers of the largest class.
const INLINE_BYTES_MAX: u32 = 64;

/// Some bytes of an area.
struct Piece {
    offset: u32,
    ty: Type,
}

/// Covers this many bytes (at least one) by pieces of one type, in ascending order; the last two may overlap.
fn pieces(bytes: u32) -> SmallVec<[Piece; 4]> {
    let ty = match bytes {
        16.. => types::I8X16,
        8.. => types::I64,
        4.. => types::I32,
        2.. => types::I16,
        _ => types::I8,
    };
    let size = ty.bytes();
    let whole = (0..bytes / size).map(|at| at * size);
    let rest = (!bytes.is_multiple_of(size)).then(|| bytes - size);
    whole
        .chain(rest)
        .map(|offset| Piece { offset, ty })
        .collect()
}

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
                match self.small_length() {
                    Some(bytes) => self.copy_small((dst, src), bytes),
                    None => self.ranged(Libcall::MemoryCopy, &[dst.0, src.0]),
                }
            }
            BulkOp::MemoryFill(memory) => {
                self.expect_memory32(memory)?;
                match self.small_length() {
                    Some(bytes) => self.fill_small(memory, bytes),
                    None => self.ranged(Libcall::MemoryFill, &[memory.0]),
                }
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

    /// The length on top of the stack, if it is a constant and small. None of nothing: even that is checked.
    fn small_length(&self) -> Option<u32> {
        let dfg = &self.builder.func.dfg;
        let length = *self.scratch.stack.last()?;
        let InstructionData::UnaryImm {
            opcode: Opcode::Iconst,
            imm,
        } = dfg.insts[dfg.value_def(length).inst()?]
        else {
            return None;
        };
        let length = u32::try_from(imm.bits()).ok()?;
        (1..=INLINE_BYTES_MAX).contains(&length).then_some(length)
    }

    fn copy_small(&mut self, (to, from): (MemoryIndex, MemoryIndex), bytes: u32) {
        let (dst, src, _) = self.pop3();
        let pieces = pieces(bytes);
        let mut values: SmallVec<[Value; 4]> = SmallVec::new();
        for piece in &pieces {
            let address = self.address(src, argument(from, piece), piece.ty.bytes());
            let ins = self.builder.ins();
            values.push(ins.load(piece.ty, address.flags, address.base, address.offset));
        }
        for (piece, value) in pieces.iter().zip(values).rev() {
            self.store_piece((to, dst), piece, value);
        }
    }

    fn fill_small(&mut self, memory: MemoryIndex, bytes: u32) {
        let (dst, byte, _) = self.pop3();
        let pieces = pieces(bytes);
        let Some(ty) = pieces.first().map(|piece| piece.ty) else {
            return;
        };
        let value = self.repeat(byte, ty);
        for piece in pieces.iter().rev() {
            self.store_piece((memory, dst), piece, value);
        }
    }

    /// The lowest byte of an i32 in each byte of a type.
    fn repeat(&mut self, byte: Value, ty: Type) -> Value {
        let byte = self.builder.ins().ireduce(types::I8, byte);
        if ty == types::I8 {
            return byte;
        }
        if ty.is_vector() {
            return self.builder.ins().splat(ty, byte);
        }
        let wide = self.builder.ins().uextend(types::I64, byte);
        let all = self.builder.ins().imul_imm_u(wide, 0x0101_0101_0101_0101);
        if ty == types::I64 {
            all
        } else {
            self.builder.ins().ireduce(ty, all)
        }
    }

    fn store_piece(&mut self, (memory, dst): (MemoryIndex, Value), piece: &Piece, value: Value) {
        let address = self.address(dst, argument(memory, piece), piece.ty.bytes());
        self.builder
            .ins()
            .store(address.flags, value, address.base, address.offset);
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

fn argument(memory: MemoryIndex, piece: &Piece) -> MemArg {
    MemArg {
        offset: u64::from(piece.offset),
        memory,
    }
}
