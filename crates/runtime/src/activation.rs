//! Stack walks.
//!
//! A walk goes activation by activation: from the frame that left generated code (or faulted) along saved rbps to the
//! frame of the host-entry stub, then on to the next outer activation. It never enters a Rust frame, whose rbp chain
//! nobody promises. It runs in the signal handler too, so it neither locks nor allocates, and it trusts no
//! frame pointer that does not lie above the last one and within the activation (rule WALK).

use crate::pc_map::{self, CodeLocation};
use std::sync::atomic::Ordering::Relaxed;
use upshift_abi::{Activation, StoreContext};

/// How many frames a walk takes down at most, counted from the innermost.
pub const FRAMES_MAX: usize = 64;

/// A pc found in a frame of generated code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FramePc {
    /// The address.
    pub pc: usize,
    /// Whether it is a return address; else the instruction there faulted.
    pub is_return: bool,
    /// Looked up at once: when the frame is gone, its code may be freed.
    location: Option<CodeLocation>,
}

impl FramePc {
    /// Appends what a pc in a frame that is still there stands for, innermost first: an inlined function is a frame of its
    /// own, with the same pc. Never more than [`FRAMES_MAX`] together.
    pub(crate) fn append(frames: &mut Vec<Self>, pc: usize, is_return: bool) {
        let mut add = |location| {
            if frames.len() < FRAMES_MAX {
                frames.push(Self {
                    pc,
                    is_return,
                    location,
                });
            }
        };
        if !pc_map::bodies(pc, is_return, &mut |location| add(Some(location))) {
            add(None);
        }
    }

    /// Function and position.
    #[must_use]
    pub fn locate(self) -> Option<CodeLocation> {
        self.location
    }
}

/// The wasm frames of a store that is in a helper or host function, innermost first, through all its activations; at
/// most [`FRAMES_MAX`]. Empty outside of any activation.
///
/// # Safety
/// Rule WALK: called on the thread that runs the store, from within a helper or host function that an exit
/// stub called, or while the store has no activation.
#[must_use]
pub unsafe fn capture_frames(store: &StoreContext) -> Vec<FramePc> {
    let mut frames = Vec::new();
    let mut emit = |pc| {
        FramePc::append(&mut frames, pc, true);
        frames.len() < FRAMES_MAX
    };
    // SAFETY: rule WALK: passed on.
    unsafe { walk_activations(store.activation.load(Relaxed), &mut emit) };
    frames
}

/// Calls `emit` with the return addresses of this activation, which is outside of wasm, and of all
/// outer ones, until it says false.
///
/// # Safety
/// Rule WALK: the activations are alive and belong to this thread.
pub(crate) unsafe fn walk_activations(
    mut activation: *const Activation,
    emit: &mut dyn FnMut(usize) -> bool,
) {
    // SAFETY: rule WALK: activations lie in frames that are further out than this one.
    while let Some(current) = unsafe { activation.as_ref() } {
        if current.exit_fp != 0 {
            if !emit(current.exit_pc) {
                return;
            }
            // SAFETY: rule WALK: the frames lie between the exit and the entry of a live activation.
            if !unsafe { walk_frames(current.exit_fp, current.entry_fp, emit) } {
                return;
            }
        }
        activation = current.outer;
    }
}

/// Calls `emit` with the return address of every frame from `fp` outwards to the entry stub's frame, whose own
/// is not generated code's. False as soon as `emit` says so.
///
/// # Safety
/// Rule WALK: `fp` is a frame pointer of this thread's live stack at or below `entry_fp`.
pub(crate) unsafe fn walk_frames(
    mut fp: usize,
    entry_fp: usize,
    emit: &mut dyn FnMut(usize) -> bool,
) -> bool {
    while fp < entry_fp && fp.is_multiple_of(8) {
        let frame = std::ptr::with_exposed_provenance::<usize>(fp);
        // SAFETY: rule WALK: two words at an address within the live stack of this activation.
        let (next, pc) = unsafe { (frame.read(), frame.add(1).read()) };
        // The outermost wasm frame returns into the entry stub.
        if next == entry_fp {
            return true;
        }
        if !emit(pc) {
            return false;
        }
        if next <= fp {
            break;
        }
        fp = next;
    }
    true
}
