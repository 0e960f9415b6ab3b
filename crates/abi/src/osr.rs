//! On-stack replacement: how a running loop goes from baseline to optimized code (docs/abi.md, OSR).
//!
//! At a loop header of baseline code every operand is a constant or in its slot, and every local is in its slot or in its
//! home register. [`LoopState`] says where. The runtime copies all of it to a buffer of cells, takes the baseline frame off and
//! jumps to the optimized body, which finds the buffer's address in place of its first argument.
//!
//! Order of the cells: the result pointer, if the function has one; the locals; the operands, lowest first.

use crate::artefact::SiteIndex;
use upshift_module::ValType;

/// Bytes of a cell. The value begins at its first byte; a vector needs all of it.
pub const OSR_CELL_BYTES: u32 = 16;
/// Most cells that a loop may have to be entered: the buffer of a store holds so many.
pub const OSR_CELLS_MAX: u32 = 4096;

/// Where baseline code keeps a value at a loop header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OsrPlace {
    /// In this integer register, by encoding number.
    Int(u8),
    /// In this vector register, by encoding number.
    Float(u8),
    /// In the frame, at this displacement from rbp.
    Frame(i32),
    /// Nowhere: a constant with these bits.
    Const(u64),
}

/// A register that the baseline function preserves for its caller, and where in its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OsrSaved {
    /// Encoding number.
    pub reg: u8,
    /// Displacement from rbp.
    pub disp: i32,
}

/// What baseline code knows at one loop header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoopState {
    /// The loop.
    pub site: SiteIndex,
    /// Size of the whole baseline code of the function: it tells whether the code that is running is the one that is
    /// described here.
    pub code_bytes: u32,
    /// The pointer to the results beyond the registers, if there is one.
    pub result_pointer: Option<OsrPlace>,
    /// All locals.
    pub locals: Vec<OsrPlace>,
    /// All operands with their types, lowest first; the parameters of the loop are the last ones.
    pub operands: Vec<(ValType, OsrPlace)>,
    /// For each enclosing block, outermost first, the loop itself last: operands below its parameters.
    pub heights: Vec<u32>,
    /// What must be restored before the frame goes.
    pub saved: Vec<OsrSaved>,
}

impl LoopState {
    /// Number of cells of its buffer.
    #[must_use]
    pub fn cells(&self) -> usize {
        usize::from(self.result_pointer.is_some()) + self.locals.len() + self.operands.len()
    }

    /// The places in the order of the cells.
    pub fn places(&self) -> impl Iterator<Item = OsrPlace> {
        let locals = self.locals.iter().copied();
        let operands = self.operands.iter().map(|&(_, place)| place);
        self.result_pointer
            .into_iter()
            .chain(locals)
            .chain(operands)
    }
}
