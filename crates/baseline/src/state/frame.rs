//! The frame: one canonical slot for each local and for each operand height.
//!
//! ```text
//! rbp + 16 + n   incoming stack arguments: the canonical slots of those parameters (but references)
//! rbp            saved rbp
//! rbp - 8        vmctx
//! rbp - 16 ...   saved registers
//!                locals
//!                operands, by height; the frame ends below the highest slot that was used
//! rsp            outgoing stack arguments and result areas come and go below
//! ```

use crate::isa::{Addr, Reg};

/// Largest frame in bytes.
const FRAME_BYTES_MAX: u64 = 1 << 30;

/// Layout of one frame; sizes in bytes below rbp.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    slot_bytes: u32,
    /// Bytes above the operands' slots.
    base: u32,
    /// Bytes in use.
    used: u32,
    /// Most bytes that calls push.
    outgoing: u32,
    saved: Vec<(Reg, Addr)>,
}

impl Frame {
    pub(crate) fn reset(&mut self, wide: bool) {
        self.slot_bytes = if wide { 16 } else { 8 };
        self.base = 8;
        self.outgoing = 0;
        self.saved.clear();
        self.used = 8;
    }

    /// Gives a register that the function must preserve its slot.
    pub(crate) fn save(&mut self, reg: Reg) {
        self.base += 8;
        self.used = self.base;
        let addr = self.at(self.base);
        self.saved.push((reg, addr));
    }

    /// A slot for a pointer, before any local.
    pub(crate) fn pointer_slot(&mut self) -> Addr {
        self.base += 8;
        self.used = self.base;
        self.at(self.base)
    }

    /// Registers that are saved, and where.
    pub(crate) fn saved(&self) -> &[(Reg, Addr)] {
        &self.saved
    }

    /// Ends the part of saved registers.
    pub(crate) fn end_saved(&mut self) {
        self.base = self.base.next_multiple_of(self.slot_bytes);
        self.used = self.base;
    }

    /// A slot for a local: its displacement from rbp.
    pub(crate) fn local_slot(&mut self) -> i32 {
        self.base += self.slot_bytes;
        self.used = self.base;
        -i32::try_from(self.base).unwrap_or(i32::MAX)
    }

    /// Bytes of a slot.
    pub(crate) fn slot_bytes(&self) -> u32 {
        self.slot_bytes
    }

    #[expect(
        clippy::cast_possible_wrap,
        reason = "frames over FRAME_BYTES_MAX are refused before"
    )]
    fn at(&self, distance: u32) -> Addr {
        Addr::Frame(-(distance as i32))
    }

    /// Distance of an operand's slot below rbp.
    pub(crate) fn operand_distance(&self, height: u32) -> u32 {
        self.base + (height + 1) * self.slot_bytes
    }

    /// The canonical slot of an operand, to write.
    pub(crate) fn operand(&mut self, height: u32) -> Addr {
        let distance = self.operand_distance(height);
        self.used = self.used.max(distance);
        self.at(distance)
    }

    /// Notes what a call pushes.
    pub(crate) fn note_outgoing(&mut self, bytes: u32) {
        self.outgoing = self.outgoing.max(bytes);
    }

    /// Whether a frame of so many operands is too large.
    pub(crate) fn too_large(&self, operands: u32) -> bool {
        u64::from(self.base) + (u64::from(operands) + 1) * u64::from(self.slot_bytes)
            > FRAME_BYTES_MAX
    }

    /// Greatest size that the frame can reach with so many operands.
    pub(crate) fn most(&self, operands: u32) -> u32 {
        self.operand_distance(operands)
    }

    /// Final size, 16-aligned, and that plus what calls push.
    pub(crate) fn sizes(&self) -> (u32, u32) {
        let frame = self.used.next_multiple_of(16);
        (frame, frame + self.outgoing)
    }
}
