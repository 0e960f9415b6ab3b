//! From pc to function (skeleton).

use crate::code_space::CodeOwner;
use upshift_abi::{Tier, TrapCode};
use upshift_module::FuncIndex;

/// What a pc belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CodeLocation {
    /// Whose code.
    pub owner: CodeOwner,
    /// Which function.
    pub func: FuncIndex,
    /// Which tier.
    pub tier: Tier,
    /// Offset of the operator in the module in bytes, if the pc is a trap site or call site.
    pub wasm_offset: Option<u32>,
    /// Why the instruction may trap, if the pc is a trap site.
    pub trap: Option<TrapCode>,
}

/// What the instruction at `pc` belongs to. Lock-free, callable from a signal handler.
#[must_use]
pub fn lookup_pc(pc: usize) -> Option<CodeLocation> {
    let _ = pc;
    None
}

/// What the call that returns to `pc` belongs to.
#[must_use]
pub fn lookup_return_pc(pc: usize) -> Option<CodeLocation> {
    let _ = pc;
    None
}
