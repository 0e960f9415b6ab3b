//! Traps: from a faulting instruction to the landing pad.
//!
//! The handler takes a fault if its pc is a trap site of published code, this thread is inside [`enter`](crate::enter),
//! and, for bad addresses, the address lies in a linear memory or its guard. It notes code and frames in the thread's
//! record, and changes the interrupted registers so that the thread goes on at the landing pad. Everything else
//! goes to the handler that was there before.
//!
//! Rule SIGNAL: the handler takes no lock, allocates nothing, and touches only atomics, const-initialised thread-locals
//! without destructors, and the stack of the activation that faulted.

use crate::activation::{FRAMES_MAX, FramePc, capture_frames, walk_activations, walk_frames};
use crate::enter::TrapRecord;
use crate::error::RuntimeError;
use crate::memory::is_memory_address;
use crate::pc_map::lookup_pc;
use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use upshift_abi::layout::INTERRUPTED_STACK_LIMIT;
use upshift_abi::{StoreContext, TrapCode};

/// What a thread runs.
#[derive(Clone, Copy)]
pub(crate) struct Current {
    /// The store of the innermost entry; null outside of wasm.
    pub(crate) store: *const StoreContext,
    /// Its stack limit.
    pub(crate) stack_limit: usize,
}

/// What the handler leaves for `enter`.
struct Record {
    code: Cell<u8>,
    count: Cell<usize>,
    pcs: [Cell<usize>; FRAMES_MAX],
}

thread_local! {
    static CURRENT: Cell<Current> = const {
        Cell::new(Current { store: std::ptr::null(), stack_limit: 0 })
    };
    static RECORD: Record = const {
        Record {
            code: Cell::new(0),
            count: Cell::new(0),
            pcs: [const { Cell::new(0) }; FRAMES_MAX],
        }
    };
    /// How many foreign handlers our handler has called that are still running.
    static CHAINED: Cell<usize> = const { Cell::new(0) };
}

/// What this thread runs.
pub(crate) fn current() -> Current {
    CURRENT.get()
}

/// Sets what this thread runs.
pub(crate) fn set_current(current: Current) {
    CURRENT.set(current);
}

/// The trap that the handler noted last on this thread.
pub(crate) fn take_trap() -> TrapRecord {
    RECORD.with(|record| {
        // The handler writes only codes that exist.
        let code = TrapCode::from_number(record.code.get()).unwrap_or(TrapCode::Unreachable);
        let pcs = record.pcs.iter().map(Cell::get).take(record.count.get());
        TrapRecord::new(code, pcs)
    })
}

/// Frames of the activations that a refused entry is nested in.
pub(crate) fn outer_frames(store: &StoreContext) -> Vec<FramePc> {
    // SAFETY: rule WALK: Rust code runs on the store's thread, so its innermost activation, if any, is outside of wasm.
    unsafe { capture_frames(store) }
}

const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// How often we go in front of others before we forget about them.
const PREVIOUS_MAX: usize = 8;

/// Actions that were there before ours, by position in [`SIGNALS`]. More than one if somebody came after us and we went in
/// front again.
struct Previous {
    /// How many of `actions` are in use.
    count: AtomicUsize,
    actions: UnsafeCell<[MaybeUninit<libc::sigaction>; PREVIOUS_MAX]>,
}

// SAFETY: rule SIGNAL: written under `INSTALL` before `count` is raised; the handler reads below `count`.
unsafe impl Sync for Previous {}

static PREVIOUS: [Previous; 4] = [const {
    Previous {
        count: AtomicUsize::new(0),
        actions: UnsafeCell::new([const { MaybeUninit::uninit() }; PREVIOUS_MAX]),
    }
}; 4];

static INSTALL: Mutex<()> = Mutex::new(());

impl Previous {
    /// The action to pass a signal on to: the latest; when that passed it back to us, the one before; and so on.
    fn get(&self, passed_back: usize) -> Option<libc::sigaction> {
        let count = self.count.load(Ordering::Acquire);
        let index = count.checked_sub(1 + passed_back)?;
        // SAFETY: rule SIGNAL: entries below `count` are initialised and never change again.
        Some(unsafe { (*self.actions.get())[index].assume_init() })
    }

    /// Adds an action. The caller holds `INSTALL`.
    fn push(&self, action: libc::sigaction) {
        let count = self.count.load(Ordering::Relaxed);
        if count < PREVIOUS_MAX {
            // SAFETY: rule SIGNAL: entries from `count` on are not read yet, and the lock keeps other writers out.
            unsafe { (*self.actions.get())[count].write(action) };
            self.count.store(count + 1, Ordering::Release);
        }
    }
}

/// Installs the handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE, once per process; handlers that were there
/// before get what is not ours. If somebody installed handlers after us, a call goes in front of them again.
/// Every [`CodeSpace`](crate::CodeSpace) does this when it is made.
///
/// # Errors
/// `Os` if the system refuses.
pub fn install_signal_handlers() -> Result<(), RuntimeError> {
    let _guard = INSTALL.lock().unwrap_or_else(PoisonError::into_inner);
    for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
        let current = query_action(signal)?;
        let ours = handler as *const () as usize;
        if current.sa_sigaction == ours {
            continue;
        }
        previous.push(current);
        // SAFETY: rule SIGNAL: a zeroed sigaction is valid; its fields are set below.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = ours;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: rule SIGNAL: the handler keeps the rules of signal handlers.
        let done = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        if done != 0 {
            return Err(last_error());
        }
    }
    Ok(())
}

fn query_action(signal: c_int) -> Result<libc::sigaction, RuntimeError> {
    let mut action = MaybeUninit::uninit();
    // SAFETY: rule SIGNAL: a query; the result is read only if it was filled.
    let got = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    if got != 0 {
        return Err(last_error());
    }
    // SAFETY: rule SIGNAL: filled by the call.
    Ok(unsafe { action.assume_init() })
}

#[cold]
fn last_error() -> RuntimeError {
    RuntimeError::os(
        "installing signal handlers",
        std::io::Error::last_os_error(),
    )
}

/// The signal handler.
unsafe extern "C" fn handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: rule SIGNAL: the kernel (or a handler that passes a signal on) gives valid pointers.
    unsafe {
        if !take_fault(signal, info, context.cast()) {
            pass_on(signal, info, context);
        }
    }
}

/// Whether the kernel sent the signal because of the instruction at the interrupted pc.
unsafe fn is_fault(info: *const libc::siginfo_t) -> bool {
    // SAFETY: rule SIGNAL: passed on.
    unsafe { (*info).si_code > 0 }
}

/// A register of the interrupted thread.
fn register(context: &libc::ucontext_t, number: c_int) -> usize {
    let index = usize::try_from(number).unwrap_or(0);
    let bits = context.uc_mcontext.gregs[index].cast_unsigned();
    usize::try_from(bits).unwrap_or(usize::MAX)
}

fn set_register(context: &mut libc::ucontext_t, number: c_int, value: usize) {
    let index = usize::try_from(number).unwrap_or(0);
    context.uc_mcontext.gregs[index] = value.cast_signed() as i64;
}

/// Sends the thread to its landing pad if the fault is a trap.
unsafe fn take_fault(
    signal: c_int,
    info: *const libc::siginfo_t,
    context: *mut libc::ucontext_t,
) -> bool {
    // SAFETY: rule SIGNAL: the context belongs to this invocation of the handler.
    let context = unsafe { &mut *context };
    let pc = register(context, libc::REG_RIP);
    // SAFETY: rule SIGNAL: passed on.
    if !unsafe { is_fault(info) } {
        return false;
    }
    let Some(code) = lookup_pc(pc).and_then(|location| location.trap) else {
        return false;
    };
    if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
        // SAFETY: rule SIGNAL: these signals carry an address.
        let address = unsafe { (*info).si_addr() }.addr();
        if !is_memory_address(address) {
            return false;
        }
    }
    // SAFETY: rule SIGNAL: while a store is current, it and its activations are alive.
    let Some(store) = (unsafe { CURRENT.get().store.as_ref() }) else {
        return false;
    };
    let activation = store.activation.load(Ordering::Relaxed);
    // SAFETY: rule SIGNAL: as above.
    let Some(active) = (unsafe { activation.as_ref() }) else {
        return false;
    };
    RECORD.with(|record| {
        record.code.set(effective_code(code, store).number());
        record.count.set(0);
        let mut emit = |pc| record.add(pc);
        emit(pc);
        let (sp, fp) = (
            register(context, libc::REG_RSP),
            register(context, libc::REG_RBP),
        );
        // SAFETY: rule WALK: the frames between the faulting sp and the entry are this thread's live stack.
        if sp <= fp && unsafe { walk_frames(fp, active.entry_fp, &mut emit) } {
            // SAFETY: rule WALK: outer activations are outside of wasm.
            unsafe { walk_activations(active.outer, &mut emit) };
        }
    });
    set_register(context, libc::REG_RIP, active.landing_pc);
    set_register(context, libc::REG_RSP, active.entry_sp);
    set_register(context, libc::REG_RBP, active.entry_fp);
    true
}

impl Record {
    /// Notes a pc; false when there is no room for another.
    fn add(&self, pc: usize) -> bool {
        let count = self.count.get();
        if let Some(slot) = self.pcs.get(count) {
            slot.set(pc);
            self.count.set(count + 1);
        }
        count + 1 < FRAMES_MAX
    }
}

/// An interrupt shows as a stack overflow: it raises the stack limit.
fn effective_code(code: TrapCode, store: &StoreContext) -> TrapCode {
    let interrupted = store.interrupt.load(Ordering::Relaxed) != 0
        || store.stack_limit.load(Ordering::Relaxed) == INTERRUPTED_STACK_LIMIT;
    if code == TrapCode::StackOverflow && interrupted {
        TrapCode::Interrupt
    } else {
        code
    }
}

/// Hands a signal to the action that was there before ours.
unsafe fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let position = SIGNALS.iter().position(|&known| known == signal);
    let passed_back = CHAINED.get();
    let previous = position.and_then(|position| PREVIOUS[position].get(passed_back));
    let action = match previous {
        Some(action) if action.sa_sigaction != handler as *const () as usize => action.sa_sigaction,
        Some(_) | None => libc::SIG_DFL,
    };
    // SAFETY: rule SIGNAL: passed on.
    let fault = unsafe { is_fault(info) };
    match action {
        // An ignored signal that an instruction caused kills all the same.
        libc::SIG_IGN if !fault => {}
        // SAFETY: rule SIGNAL: restores the default action; the instruction faults again, or the signal is sent
        // again and comes when the handler returns.
        libc::SIG_DFL | libc::SIG_IGN => unsafe {
            let mut default: libc::sigaction = std::mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &raw const default, std::ptr::null_mut());
            if !fault {
                libc::raise(signal);
            }
        },
        address => {
            CHAINED.set(passed_back + 1);
            let takes_info = previous.is_some_and(|action| action.sa_flags & libc::SA_SIGINFO != 0);
            // SAFETY: rule SIGNAL: the address is a handler of the kind that its flags say.
            unsafe { call_handler(address, takes_info, (signal, info, context)) };
            CHAINED.set(passed_back);
        }
    }
}

type InfoHandler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
type PlainHandler = unsafe extern "C" fn(c_int);

/// Calls a foreign handler.
///
/// # Safety
/// Rule SIGNAL: `address` is a signal handler that takes what `takes_info` says.
unsafe fn call_handler(
    address: usize,
    takes_info: bool,
    (signal, info, context): (c_int, *mut libc::siginfo_t, *mut c_void),
) {
    // SAFETY: rule SIGNAL: by the contract of this function.
    unsafe {
        if takes_info {
            let handler = std::mem::transmute::<usize, InfoHandler>(address);
            handler(signal, info, context);
        } else {
            let handler = std::mem::transmute::<usize, PlainHandler>(address);
            handler(signal);
        }
    }
}
