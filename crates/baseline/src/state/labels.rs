//! Open blocks and what their labels expect.

use crate::isa::{Label, Reg};
use crate::state::registers::Owner;
use upshift_module::ops::BlockType;

/// Most results of a label that travel in registers; if there are more, all of them travel in slots.
pub(crate) const REG_RESULTS_MAX: usize = 4;

/// What kind of block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BlockKind {
    /// The body.
    Func,
    Block,
    Loop,
    /// The first arm; `else_label` is where the second begins.
    If,
    /// The second arm.
    Else,
}

/// One open block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    pub(crate) ty: BlockType,
    /// Where branches go.
    pub(crate) label: Label,
    /// Where the second arm begins.
    pub(crate) else_label: Label,
    /// Operands below the block's parameters.
    pub(crate) height: u32,
    pub(crate) params: u32,
    pub(crate) results: u32,
    /// Number of homes that loops have given, at the label.
    pub(crate) homes: u32,
    /// Start of the snapshot for the second arm.
    pub(crate) snapshot: u32,
    /// Whether anything branches to the label.
    pub(crate) reached: bool,
    /// Registers of the results, once the first branch has chosen them.
    pub(crate) chosen: bool,
    pub(crate) result_regs: [Reg; REG_RESULTS_MAX],
    /// The `br_table` that made `trampoline`.
    pub(crate) trampoline_of: u32,
    pub(crate) trampoline: Label,
}

impl Block {
    /// Number of operands that a branch to the label carries.
    pub(crate) fn arity(&self) -> u32 {
        match self.kind {
            BlockKind::Loop => self.params,
            BlockKind::Func | BlockKind::Block | BlockKind::If | BlockKind::Else => self.results,
        }
    }
}

/// Register contents at an `if`, for its second arm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SavedReg {
    pub(crate) reg: Reg,
    pub(crate) owner: Owner,
    pub(crate) upper_undefined: bool,
    /// A cached local that is newer than its slot.
    pub(crate) dirty: bool,
}
