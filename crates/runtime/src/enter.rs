//! The only door from Rust to wasm (skeleton).

use crate::activation::FramePc;
use crate::code_space::CodePtr;
use smallvec::SmallVec;
use std::ffi::c_void;
use upshift_abi::{StoreContext, TrapCode};

/// Arguments and results of one entry, by register.
#[derive(Clone, Default, Debug)]
#[repr(C, align(16))]
pub struct RawFrame {
    /// rsi rdx rcx r8 r9 (`INT_ARGS`).
    pub ints: [u64; 5],
    /// xmm0-7 in.
    pub floats: [[u8; 16]; 8],
    /// The stack area: exactly `SignatureLayout::stack_bytes` / 8 words.
    pub stack: SmallVec<[u64; 8]>,
    /// rax rcx rdx rsi rdi r8 r9 r10 (`INT_RESULTS`).
    pub int_results: [u64; 8],
    /// xmm0-7 out.
    pub float_results: [[u8; 16]; 8],
}

/// Why the guest did not return.
#[derive(Debug)]
pub enum Stop {
    /// Generated code trapped.
    Trap(TrapRecord),
    /// A helper or host function set `Activation::failed` and left its payload with the store.
    Failed,
}

/// A trap by an instruction.
#[derive(Debug)]
pub struct TrapRecord {
    /// Why.
    pub code: TrapCode,
    /// The faulting pc first, then return addresses outwards, through all activations of the store. Resolve
    /// them ([`FramePc::locate`]) while the modules are alive.
    pub frames: Vec<FramePc>,
}

/// Calls `code` with this context.
///
/// # Errors
/// The guest stopped.
///
/// # Safety
/// `code` is live code of a function whose convention `frame` follows (as many stack words as it pops, a result
/// area behind the result pointer), `vmctx` is its context and belongs to `store`, which stays where it is and is used by this thread only.
pub unsafe fn enter(
    store: &StoreContext,
    code: CodePtr,
    vmctx: *mut c_void,
    frame: &mut RawFrame,
    max_wasm_stack: usize,
) -> Result<(), Stop> {
    let _ = (store, code, vmctx, frame, max_wasm_stack);
    unimplemented!()
}

/// Asks the guest of this store to stop, from any thread: the next check traps with `Interrupt`.
pub fn interrupt(store: &StoreContext) {
    let _ = store;
}

/// Forgets an interrupt.
pub fn clear_interrupt(store: &StoreContext) {
    let _ = store;
}
