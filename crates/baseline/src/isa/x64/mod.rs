//! The x86-64 macro assembler. SSE4.1 is the floor; newer extensions are used when present.

#[macro_use]
mod macros;
mod buffer;
mod call;
pub(crate) mod control;
mod convert;
mod encode;
#[cfg(test)]
mod encode_tests;
mod float;
mod int;
#[cfg(test)]
pub(crate) mod machine;
mod memory;
pub(crate) mod regs;

use crate::isa::{Cond, ConstId, Label, Reg};
use buffer::{CodeBuffer, Fixups, append, take_exact};
pub(crate) use control::PrologueFields;
pub(crate) use convert::Truncation;
use upshift_abi::{CallSite, CpuFeatures, InlineFrame, Reloc, RelocTarget, TrapCode, TrapSite};
use upshift_module::ops::Width;

/// Emits instructions of one function and collects what belongs to them.
#[derive(Debug, Default)]
pub(crate) struct Asm {
    pub(in crate::isa::x64) buf: CodeBuffer,
    fixups: Fixups,
    relocs: Vec<Reloc>,
    traps: Vec<TrapSite>,
    calls: Vec<CallSite>,
    pub(in crate::isa::x64) cpu: CpuFeatures,
    /// Offset in the module of the operator that is being compiled.
    pub(crate) wasm_offset: u32,
    /// The last instruction, if it ends here, set the zero flag by this register.
    zero_flag: Option<(u32, Reg, Width)>,
    /// While set, constants are loaded by instructions that leave the flags alone.
    pub(crate) flags_live: bool,
}

/// A finished function's parts.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Vec<u8>,
    pub(crate) text_bytes: u32,
    pub(crate) relocs: Vec<Reloc>,
    pub(crate) traps: Vec<TrapSite>,
    pub(crate) calls: Vec<CallSite>,
}

impl Asm {
    /// Forgets the last function.
    pub(crate) fn reset(&mut self, cpu: CpuFeatures) {
        self.buf.clear();
        self.fixups.reset();
        self.relocs.clear();
        self.traps.clear();
        self.calls.clear();
        self.cpu = cpu;
        self.flags_live = false;
        self.zero_flag = None;
    }

    /// Bytes that the code buffer holds without growing.
    pub(crate) fn capacity(&self) -> usize {
        self.buf.capacity()
    }

    /// Bytes emitted so far.
    #[inline]
    pub(crate) fn offset(&self) -> u32 {
        self.buf.end()
    }

    /// A label not yet bound.
    #[inline]
    pub(crate) fn new_label(&mut self) -> Label {
        self.fixups.new_label()
    }

    /// Binds a label here.
    #[inline]
    pub(crate) fn bind(&mut self, label: Label) {
        // Whoever jumps here brings other flags.
        self.zero_flag = None;
        let here = self.offset();
        self.fixups.bind(label, here);
    }

    /// A pool constant of 8 bytes.
    pub(crate) fn const64(&mut self, bits: u64) -> ConstId {
        self.fixups.constant(u128::from(bits))
    }

    /// A pool constant of 16 bytes.
    pub(crate) fn const128(&mut self, bits: u128) -> ConstId {
        self.fixups.constant(bits)
    }

    /// Notes that the zero flag tells whether the register is zero.
    fn note_zero_flag(&mut self, width: Width, reg: Reg) {
        self.zero_flag = Some((self.offset(), reg, width));
    }

    /// Whether the zero flag tells whether the register is zero.
    fn has_zero_flag(&self, width: Width, reg: Reg) -> bool {
        self.zero_flag == Some((self.offset(), reg, width))
    }

    /// Marks the next instruction as one that may trap.
    pub(crate) fn trap_site(&mut self, code: TrapCode) {
        let offset = self.offset();
        let site = TrapSite {
            offset,
            wasm_offset: self.wasm_offset,
            frame: InlineFrame::FUNC,
            code,
        };
        append(&mut self.traps, site);
    }

    /// Marks the end of the call instruction just emitted; its return offset.
    fn call_site(&mut self) -> u32 {
        let return_offset = self.offset();
        self.calls.push(CallSite {
            return_offset,
            wasm_offset: self.wasm_offset,
            frame: InlineFrame::FUNC,
        });
        return_offset
    }

    /// Marks the 4-byte field just emitted as one to be linked.
    fn reloc_here(&mut self, target: RelocTarget) {
        let offset = self.offset() - 4;
        self.relocs.push(Reloc {
            offset,
            target,
            addend: -4,
        });
    }

    /// Patches every field and hands the parts out; none if some distance is out of reach.
    pub(crate) fn finish(&mut self) -> Option<Finished> {
        let text_bytes = self.fixups.finish(&mut self.buf)?;
        i32::try_from(self.buf.len()).ok()?;
        Some(Finished {
            code: self.buf.take_code(),
            text_bytes,
            relocs: take_exact(&mut self.relocs),
            traps: take_exact(&mut self.traps),
            calls: take_exact(&mut self.calls),
        })
    }

    /// Overwrites a 32-bit field that ends at `end`.
    pub(crate) fn patch32(&mut self, end: u32, value: i32) {
        self.buf.patch(end, value.to_le_bytes());
    }
}

/// A condition's number in jumps, conditional moves and `setcc`.
const fn condition_code(cond: Cond) -> u8 {
    match cond {
        Cond::Overflow => 0,
        Cond::NoOverflow => 1,
        Cond::LtU => 2,
        Cond::GeU => 3,
        Cond::Eq | Cond::FloatEq => 4,
        Cond::Ne | Cond::FloatNe => 5,
        Cond::LeU => 6,
        Cond::GtU => 7,
        Cond::Negative => 8,
        Cond::NotNegative => 9,
        Cond::Unordered => 10,
        Cond::Ordered => 11,
        Cond::LtS => 12,
        Cond::GeS => 13,
        Cond::LeS => 14,
        Cond::GtS => 15,
    }
}

/// Whether a constant fits the sign-extended byte of an instruction.
fn byte(value: i32) -> Option<i8> {
    i8::try_from(value).ok()
}

/// A register's number for dynasm, which converts it where it is used.
#[derive(Clone, Copy)]
struct Code(u8);

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        code.0
    }
}

const fn n(reg: Reg) -> Code {
    Code(reg.code())
}
