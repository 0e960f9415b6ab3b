//! The only door from Rust to wasm, and interrupts.

use crate::activation::{FRAMES_MAX, FramePc};
use crate::arch::x64::host_entry;
use crate::code_space::CodePtr;
use crate::reclaim::leaving_wasm;
use crate::signals::{self, Current};
use crate::stack;
use smallvec::SmallVec;
use std::ffi::c_void;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{Ordering, compiler_fence};
use upshift_abi::layout::INTERRUPTED_STACK_LIMIT;
use upshift_abi::{Activation, StoreContext, TrapCode};

/// Arguments and results of one entry, by register. The places of a type are those of
/// [`SignatureLayout`](upshift_abi::SignatureLayout).
#[derive(Clone, Default, Debug)]
#[repr(C, align(16))]
pub struct RawFrame {
    /// rsi rdx rcx r8 r9: [`INT_ARGS`](upshift_abi::callconv::x64::INT_ARGS) in order. The result pointer, if there
    /// is one, is the first.
    pub ints: [u64; 5],
    /// rax rcx rdx rsi rdi r8 r9 r10: [`INT_RESULTS`](upshift_abi::callconv::x64::INT_RESULTS) in order.
    pub int_results: [u64; 8],
    /// xmm0-7 at the call.
    pub floats: [[u8; 16]; 8],
    /// xmm0-7 at the return.
    pub float_results: [[u8; 16]; 8],
    /// The stack area: `SignatureLayout::stack_bytes` / 8 words.
    pub stack: SmallVec<[u64; 8]>,
}

/// Why the guest did not return.
#[derive(Debug)]
pub enum Stop {
    /// An instruction of generated code trapped.
    Trap(TrapRecord),
    /// A helper or host function set `Activation::failed`; what it wants to say is with the store.
    Failed,
}

/// A trap by an instruction.
#[derive(Debug)]
pub struct TrapRecord {
    /// Why.
    pub code: TrapCode,
    /// The pc that faulted first, then return addresses outwards, through all activations of the store; at most
    /// [`FRAMES_MAX`].
    pub frames: Vec<FramePc>,
}

/// Calls code with this context, and comes back when it returns, traps or fails. May be nested: a host function may enter
/// again.
///
/// The guest may use `max_wasm_stack` bytes of the thread's stack (less when it ends before, and never more than an outer
/// entry allows).
///
/// # Errors
/// The guest stopped; the results in `frame` are unchanged.
///
/// # Safety
/// Rule ENTER: `code` is live code, or a slot's stub, of a function whose convention `frame` follows: as many stack words
/// as it pops, and a result area behind the result pointer if its type has one. `vmctx` is its context; it
/// belongs to `store`, which no other thread uses meanwhile, and which like everything that the guest reaches stays alive
/// and in place until this returns.
pub unsafe fn enter(
    store: &StoreContext,
    code: CodePtr,
    vmctx: *mut c_void,
    frame: &mut RawFrame,
    max_wasm_stack: usize,
) -> Result<(), Stop> {
    // SAFETY: rule ENTER: passed on.
    unsafe { enter_by(store, || code, vmctx, frame, max_wasm_stack) }
}

/// [`enter`] with code that is looked up when the activation is linked: from then on it is not freed (`reclaim/`, R1).
///
/// # Errors
/// As for [`enter`].
///
/// # Safety
/// As for [`enter`]; what `code` gives need not be alive before it is called, nor after the guest has jumped to it.
pub(crate) unsafe fn enter_by(
    store: &StoreContext,
    code: impl FnOnce() -> CodePtr,
    vmctx: *mut c_void,
    frame: &mut RawFrame,
    max_wasm_stack: usize,
) -> Result<(), Stop> {
    let entry = host_entry().expect("the code space that holds the code made the stub");
    let sp = (&raw const entry).addr();
    let previous = signals::current();
    let limit = stack::limit_for(sp, max_wasm_stack).max(if previous.store.is_null() {
        0
    } else {
        previous.stack_limit
    });
    if sp <= limit {
        return Err(Stop::Trap(TrapRecord {
            code: TrapCode::StackOverflow,
            frames: signals::outer_frames(store),
        }));
    }
    let outer = store.activation.load(Relaxed);
    let mut activation = Activation {
        outer,
        entry_fp: 0,
        entry_sp: 0,
        landing_pc: 0,
        exit_fp: 0,
        exit_pc: 0,
        failed: 0,
        context: store,
        entering: 0,
        stack_limit: limit,
    };
    let activation = &raw mut activation;
    let words = frame.stack.len();
    debug_assert!(
        words.is_multiple_of(2),
        "the stack area is a multiple of 16"
    );
    let stack = frame.stack.as_ptr();
    store.activation.store(activation, Ordering::Release);
    compiler_fence(SeqCst);
    let code = code();
    signals::set_current(Current {
        store,
        stack_limit: limit,
    });
    set_stack_limit(store, limit);
    // SAFETY: rule ENTER: the caller vouches for code, context and frame; the activation outlives the call.
    let landed = unsafe { entry(activation, frame, code.as_ptr(), vmctx, stack, words) };
    // SAFETY: rule ENTER: the activation is this function's own.
    let stop = unsafe { stop_of(landed, &*activation) };
    signals::set_current(previous);
    store.activation.store(outer, Ordering::Release);
    compiler_fence(SeqCst);
    if store.attention.load(Relaxed) != 0 {
        // SAFETY: rule RECLAIM: on the store's thread, with the activation still in place.
        unsafe { leaving_wasm(store) };
    }
    // SAFETY: rule ENTER: activations of the store form a chain of live frames of this thread's callers.
    if let Some(outer) = unsafe { outer.as_ref() } {
        set_stack_limit(store, outer.stack_limit);
    }
    stop
}

/// How the guest came back. Frames of a trap are resolved here, while the activation is linked and keeps the code they lie in (`reclaim/`, R6).
fn stop_of(landed: u32, activation: &Activation) -> Result<(), Stop> {
    match landed {
        0 => Ok(()),
        _ if activation.failed != 0 => Err(Stop::Failed),
        _ => Err(Stop::Trap(signals::take_trap())),
    }
}

/// Sets the limit unless an interrupt is pending, or comes at the same time.
///
/// The interrupter sets the flag and then the limit; this sets the limit and then looks at the flag. All four
/// are `SeqCst`, so either this sees the flag, or the interrupter's limit is the last to be written.
fn set_stack_limit(store: &StoreContext, limit: usize) {
    // Unchanged, as for most entries in a row from one place: nothing that could undo an interrupt is written.
    if store.stack_limit.load(Relaxed) == limit {
        return;
    }
    store.stack_limit.store(limit, SeqCst);
    if store.interrupt.load(SeqCst) != 0 {
        store.stack_limit.store(INTERRUPTED_STACK_LIMIT, SeqCst);
    }
}

/// Asks the guest of this store to stop, from any thread: its next check traps with `Interrupt`, now or after the next
/// entry, until [`clear_interrupt`].
pub fn interrupt(store: &StoreContext) {
    request_interrupt(&store.interrupt, &store.stack_limit);
}

/// [`interrupt`] by the two words of the store, for a handle that outlives the borrow.
pub fn request_interrupt(interrupt: &AtomicU32, stack_limit: &std::sync::atomic::AtomicUsize) {
    interrupt.store(1, SeqCst);
    stack_limit.store(INTERRUPTED_STACK_LIMIT, SeqCst);
}

/// Forgets an interrupt. Only the thread that uses the store calls this.
pub fn clear_interrupt(store: &StoreContext) {
    store.interrupt.store(0, SeqCst);
    // SAFETY: rule ENTER: a store's activations are alive while they are linked.
    if let Some(activation) = unsafe { store.activation.load(Relaxed).as_ref() } {
        set_stack_limit(store, activation.stack_limit);
    }
}

impl TrapRecord {
    /// From the handler's record: the pc that faulted, and the return addresses.
    pub(crate) fn new(code: TrapCode, pcs: impl Iterator<Item = usize>) -> Self {
        let mut frames = Vec::new();
        for (i, pc) in pcs.take(FRAMES_MAX).enumerate() {
            FramePc::append(&mut frames, pc, i != 0);
        }
        Self { code, frames }
    }
}
