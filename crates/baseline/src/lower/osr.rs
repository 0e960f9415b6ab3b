//! What the optimizing tier is told of a loop header.
//!
//! Nothing is kept of this when a function is compiled: who wants to enter a loop has the body compiled once more, with
//! the same options, and this notes the state at one header on the way. M5 says that it is complete.

use super::Lower;
use crate::isa::Addr;
use crate::state::locals::Local;
use crate::state::value::Place;
use upshift_abi::{LoopState, OsrPlace, OsrSaved, SiteIndex};

impl Lower<'_> {
    /// Notes the state at a header that has just been bound.
    pub(super) fn note_loop(&mut self, site: SiteIndex) {
        let pointer = self.result_pointer;
        let result_pointer = pointer.map(|addr| OsrPlace::Frame(self.frame_disp(addr)));
        let locals = self.s.locals.iter().map(place_of_local).collect();
        let operands = (0..self.s.stack.len())
            .map(|height| {
                (
                    self.s.stack.ty(height).val_type(),
                    self.frozen_place(height),
                )
            })
            .collect();
        let saved = self.s.frame.saved().to_vec();
        let saved = saved
            .into_iter()
            .map(|(reg, addr)| OsrSaved {
                reg: reg.code(),
                disp: self.frame_disp(addr),
            })
            .collect();
        self.noted = Some(LoopState {
            site,
            code_bytes: 0,
            result_pointer,
            locals,
            operands,
            saved,
            heights: self.s.blocks[1..].iter().map(|b| b.height).collect(),
        });
    }

    fn frozen_place(&mut self, height: u32) -> OsrPlace {
        match self.s.stack.place(height) {
            Place::Const(bits) => OsrPlace::Const(bits),
            Place::Slot => OsrPlace::Frame(self.frame_operand(height)),
            Place::Reg { .. } | Place::Local(_) | Place::Flags(_) => {
                self.fail("an operand that is not in its slot at a loop");
                OsrPlace::Const(0)
            }
        }
    }

    fn frame_operand(&mut self, height: u32) -> i32 {
        let slot = self.s.frame.operand(height);
        self.frame_disp(slot)
    }

    fn frame_disp(&mut self, addr: Addr) -> i32 {
        if let Addr::Frame(disp) = addr {
            return disp;
        }
        self.fail("a slot outside the frame");
        0
    }
}

fn place_of_local(local: &Local) -> OsrPlace {
    match local.home() {
        Some(home) if home.is_float() => OsrPlace::Float(home.code()),
        Some(home) => OsrPlace::Int(home.code()),
        None if local.carried => OsrPlace::Frame(local.disp()),
        // It is written again before it is read, and has no slot.
        None => OsrPlace::Const(0),
    }
}
