//! Stack walks (skeleton).

use crate::pc_map::CodeLocation;
use upshift_abi::StoreContext;

/// How many frames a walk takes down at most.
pub const FRAMES_MAX: usize = 64;

/// A pc found in a frame of generated code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FramePc {
    /// The address.
    pub pc: usize,
    /// Whether it is a return address; else the instruction itself faulted.
    pub is_return: bool,
}

impl FramePc {
    /// Looks it up.
    #[must_use]
    pub fn locate(self) -> Option<CodeLocation> {
        None
    }
}

/// The wasm frames of a store that is in a helper or host function, innermost first, through all its activations.
///
/// # Safety
/// Called on the thread that runs the store, from within a helper or host function that an exit stub called (or with no activation).
#[must_use]
pub unsafe fn capture_frames(store: &StoreContext) -> Vec<FramePc> {
    let _ = store;
    Vec::new()
}
