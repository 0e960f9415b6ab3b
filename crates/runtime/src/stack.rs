//! What a thread needs before it enters wasm: the bounds of its stack, and a signal stack that is large enough.

use crate::pages::Pages;
use region::Protection;
use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;

/// Below the stack limit this much must be left for helpers, host functions, baseline compiles and signal handlers.
pub(crate) const STACK_RESERVE_BYTES: usize = 256 << 10;
/// Our own signal stack, if the thread has none or a smaller one.
const ALT_STACK_BYTES: usize = 64 << 10;
const PAGE_BYTES: usize = 4096;

/// Lowest and one past the highest address of a thread's stack.
#[derive(Clone, Copy)]
struct Bounds {
    low: usize,
    high: usize,
}

thread_local! {
    // Without destructors and initialised at compile time: plain words in the thread's block.
    static BOUNDS: Cell<Option<Bounds>> = const { Cell::new(None) };
    static ALT_STACK: RefCell<Option<AltStack>> = const { RefCell::new(None) };
}

/// The stack limit for an entry at `sp`: the guest may use `max_wasm_stack` bytes and must leave the reserve. Prepares the
/// thread when it enters for the first time.
pub(crate) fn limit_for(sp: usize, max_wasm_stack: usize) -> usize {
    let bounds = match BOUNDS.get() {
        Some(bounds) => bounds,
        None => prepare_thread(),
    };
    let wanted = sp.saturating_sub(max_wasm_stack);
    if (bounds.low..bounds.high).contains(&sp) {
        wanted.max(bounds.low + STACK_RESERVE_BYTES)
    } else {
        // A stack of the host's own making, of unknown size: what the host allows is all there is to go by.
        wanted
    }
}

#[cold]
fn prepare_thread() -> Bounds {
    let bounds = query_bounds().unwrap_or(Bounds { low: 0, high: 0 });
    BOUNDS.set(Some(bounds));
    ensure_alt_stack();
    bounds
}

fn query_bounds() -> Option<Bounds> {
    let mut attr = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: rule SIGNAL: initialises the attributes of the calling thread, or says that it did not.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attr.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut low, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: rule SIGNAL: the attributes were initialised just now and are destroyed once.
    let got = unsafe {
        let got = libc::pthread_attr_getstack(attr.as_ptr(), &raw mut low, &raw mut size);
        libc::pthread_attr_destroy(attr.as_mut_ptr());
        got
    };
    let low = low.addr();
    (got == 0).then(|| Bounds {
        low,
        high: low.saturating_add(size),
    })
}

/// A signal stack of ours: a guard page and the stack. Given back when the thread ends.
struct AltStack {
    pages: Pages,
}

impl AltStack {
    fn stack_base(&self) -> *mut u8 {
        // The stack is all but the first page.
        self.pages
            .as_ptr::<u8>()
            .cast_mut()
            .wrapping_add(PAGE_BYTES)
    }
}

impl Drop for AltStack {
    fn drop(&mut self) {
        let Some(current) = current_alt_stack() else {
            return;
        };
        if current.ss_sp == self.stack_base().cast() {
            // What was there before may be gone already (std gives its own back before thread-locals go).
            let off = libc::stack_t {
                ss_sp: std::ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: 0,
            };
            // SAFETY: rule SIGNAL: no handler runs on it: this is ordinary code of the thread that owns it.
            unsafe { libc::sigaltstack(&raw const off, std::ptr::null_mut()) };
        }
    }
}

fn current_alt_stack() -> Option<libc::stack_t> {
    let mut current = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: rule SIGNAL: a query; the result is read only if it was filled.
    let got = unsafe { libc::sigaltstack(std::ptr::null(), current.as_mut_ptr()) };
    // SAFETY: rule SIGNAL: filled by the call.
    (got == 0).then(|| unsafe { current.assume_init() })
}

/// Gives the thread a signal stack of at least 64 KiB. If the system refuses, handlers run where they can: the reserve below
/// the stack limit is enough for ours.
fn ensure_alt_stack() {
    let enough = current_alt_stack().is_some_and(|current| {
        current.ss_flags & libc::SS_DISABLE == 0 && current.ss_size >= ALT_STACK_BYTES
    });
    if enough {
        return;
    }
    // SAFETY: rule SIGNAL: a query of the auxiliary vector.
    let minimum = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    let minimum = usize::try_from(minimum)
        .unwrap_or(0)
        .next_multiple_of(PAGE_BYTES);
    let bytes = ALT_STACK_BYTES + minimum;
    let Ok(mut pages) = Pages::new(PAGE_BYTES + bytes, Protection::READ_WRITE) else {
        return;
    };
    // SAFETY: rule SIGNAL: the first page of a mapping that is ours becomes the guard.
    let guarded =
        unsafe { region::protect(pages.as_mut_ptr::<u8>(), PAGE_BYTES, Protection::NONE) };
    if guarded.is_err() {
        return;
    }
    let alt = AltStack { pages };
    let stack = libc::stack_t {
        ss_sp: alt.stack_base().cast(),
        ss_flags: 0,
        ss_size: bytes,
    };
    // At the end of the thread, when its destructors have run, there is nobody left to give the stack back.
    let _ = ALT_STACK.try_with(|slot| {
        // SAFETY: rule SIGNAL: the stack is mapped until the thread-local is dropped, which takes it off first.
        if unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) } == 0 {
            slot.replace(Some(alt));
        }
    });
}
