//! Where an instruction came from, when several bodies are in one function.
//!
//! Cranelift carries 32 bits per instruction. For the function's own body they are the operator's offset in the module, which is
//! below 2^30. Each inlined body gets a range of its own above that, as long as the body, so that the bits name both the
//! inlined call and the operator. Ranges are given out in ascending order: a search finds the one that the bits lie in.

use cranelift_codegen::ir::SourceLoc;
use upshift_abi::{InlineFrame, InlinedCall};
use upshift_module::ValidatedFunc;

/// Modules are not larger (limit of the engine), so no operator of the function itself has this place.
const FIRST_INLINED: u32 = 1 << 30;

/// The bodies of one function.
#[derive(Default)]
pub(crate) struct Places {
    calls: Vec<InlinedCall>,
    /// Of each call, where the range of its body begins, and what lies there: the offset of the body in the module.
    ranges: Vec<(u32, u32)>,
    /// Ranges end here, once there are any.
    end: u32,
}

impl Places {
    /// Makes them those of no function.
    pub(crate) fn reset(&mut self) {
        self.calls.clear();
        self.ranges.clear();
        self.end = FIRST_INLINED;
    }

    /// Adds an inlined body: its frame, and where its range begins. None if the ranges are used up.
    pub(super) fn add(&mut self, call: InlinedCall, body: ValidatedFunc<'_>) -> Option<Body> {
        let base = self.end;
        let end = base.checked_add(body.body_bytes())?.checked_add(1)?;
        let frame = InlineFrame(u32::try_from(self.calls.len() + 1).ok()?);
        self.end = end;
        self.calls.push(call);
        self.ranges.push((base, body.body_offset()));
        Some(Body { frame, base })
    }

    /// What was inlined.
    pub(crate) fn calls(&self) -> &[InlinedCall] {
        &self.calls
    }

    /// Whose body an instruction came from, and the offset of the operator in the module.
    pub(crate) fn find(&self, place: SourceLoc) -> (InlineFrame, u32) {
        let bits = place.bits();
        let after = self.ranges.partition_point(|&(base, _)| base <= bits);
        match after.checked_sub(1).map(|at| self.ranges[at]) {
            Some((base, offset)) => {
                let number = u32::try_from(after).unwrap_or(u32::MAX);
                (InlineFrame(number), offset + (bits - base))
            }
            None => (InlineFrame::FUNC, bits),
        }
    }
}

/// The body that is being translated, as its instructions name it.
#[derive(Clone, Copy)]
pub(in crate::translate) struct Body {
    /// Its number.
    pub(in crate::translate) frame: InlineFrame,
    /// The place of its first byte; an operator's is its offset in the body further.
    pub(in crate::translate) base: u32,
}

impl Body {
    /// The function's own.
    pub(in crate::translate) fn of_func(func: ValidatedFunc<'_>) -> Self {
        Self {
            frame: InlineFrame::FUNC,
            base: func.body_offset(),
        }
    }
}
