//! What a compiler returns: one artefact type for both tiers.

use crate::libcall::Libcall;
use crate::trap::TrapCode;
use upshift_module::FuncIndex;

/// Which compiler made a piece of code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Tier {
    /// The single-pass compiler.
    Baseline,
    /// Cranelift.
    Optimizing,
}

impl Tier {
    /// Lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Optimizing => "optimizing",
        }
    }
}

/// A place in a function that counts: 0 is the entry, 1 + i is the back-edge of loop i in the order
/// of [`FuncFacts::loops`](upshift_module::FuncFacts::loops).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SiteIndex(pub u32);

impl SiteIndex {
    /// The function's entry.
    pub const ENTRY: Self = Self(0);
}

/// How the code is entered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CodeKind {
    /// By calls through the entry table.
    Entry,
    /// By a jump from the baseline frame at this loop (docs/abi.md, OSR).
    Osr(SiteIndex),
}

/// Position-independent machine code of one function with what is needed to link, publish and walk
/// it. Not executable: only the runtime's code space turns it into published code.
#[derive(Clone, Debug)]
pub struct CompiledFunc {
    /// Which function.
    pub func: FuncIndex,
    /// By which compiler.
    pub tier: Tier,
    /// How it is entered.
    pub kind: CodeKind,
    /// Code, with constants and jump tables behind it. The entry is at offset 0.
    pub code: Vec<u8>,
    /// How many bytes of `code` are instructions; the rest is data.
    pub text_bytes: u32,
    /// Alignment of the blob in bytes, a power of two, at least 16.
    pub align: u32,
    /// Places to patch, in any order.
    pub relocs: Vec<Reloc>,
    /// Instructions that may trap, sorted by offset.
    pub traps: Vec<TrapSite>,
    /// Calls, sorted by return offset.
    pub calls: Vec<CallSite>,
    /// Live references at calls, sorted by return offset; calls without references have none.
    pub stack_maps: Vec<StackMap>,
    /// Bytes of the frame below the saved rbp.
    pub frame_bytes: u32,
    /// Calls whose callee's body is part of the code, in the order in which they were translated: a caller comes before
    /// what was inlined into it. Sites name them by [`InlineFrame`].
    pub inlined: Vec<InlinedCall>,
}

/// A 32-bit pc-relative field: `target + addend - (address of the field)` is written to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reloc {
    /// Offset of the 4-byte field in the code.
    pub offset: u32,
    /// What is referred to.
    pub target: RelocTarget,
    /// Added to the target; -4 where the field ends the instruction.
    pub addend: i32,
}

/// What a reloc refers to. All of it lies in the engine's code space, so 32 bits reach.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RelocTarget {
    /// The entry slot of a **defined** function of the same module: the address of the 8-byte slot, not the code.
    EntrySlot(FuncIndex),
    /// The exit stub of a helper: an address to call.
    Libcall(Libcall),
    /// The code of a **defined** function of the same module, to be called directly: the code that it keeps. For functions of
    /// which [`Profile::is_final`](crate::Profile::is_final) said so, and in entry code of the optimizing tier for the function itself.
    Code(FuncIndex),
}

/// Which body an instruction came from: 0 is the function's own, k + 1 that of call k in [`CompiledFunc::inlined`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct InlineFrame(pub u32);

impl InlineFrame {
    /// The function itself.
    pub const FUNC: Self = Self(0);

    /// Index of the inlined call; none for the function itself.
    #[must_use]
    pub fn call(self) -> Option<usize> {
        self.0
            .checked_sub(1)
            .and_then(|at| usize::try_from(at).ok())
    }
}

/// A call that was replaced by the callee's body. A backtrace shows it as if it were a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InlinedCall {
    /// The callee.
    pub func: FuncIndex,
    /// Whose body the call operator is in: an earlier one.
    pub caller: InlineFrame,
    /// Offset of the call operator in the module, in bytes.
    pub wasm_offset: u32,
}

/// An instruction that may trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrapSite {
    /// Offset of the faulting instruction in the code.
    pub offset: u32,
    /// Offset of the operator in the module, in bytes.
    pub wasm_offset: u32,
    /// Whose body the operator is in.
    pub frame: InlineFrame,
    /// Why it traps.
    pub code: TrapCode,
}

/// A call, for backtraces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallSite {
    /// Offset of the return address in the code.
    pub return_offset: u32,
    /// Offset of the operator in the module, in bytes.
    pub wasm_offset: u32,
    /// Whose body the operator is in.
    pub frame: InlineFrame,
}

/// References that live in the frame while a call runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StackMap {
    /// Offset of the return address in the code.
    pub return_offset: u32,
    /// Distance in bytes **below** the saved rbp of each 8-byte slot that holds a reference: address = rbp - distance.
    pub slots: Box<[u32]>,
}
