//! One pass: what is asked, who has answered, and how a stack is read.

use super::lock;
use crate::arch::x64::peek;
use crate::code_space::PublishedCode;
use crate::store::interrupt::SharedContext;
use std::ops::Range;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use upshift_abi::{Activation, StoreContext};

/// In `StoreContext::attention`: there are requests.
const ASKED: u32 = 1;
/// In `StoreContext::attention`: one reader of the stack.
const READER: u32 = 2;
/// A walk looks this often, in frames, whether its result is still wanted.
const FRAMES_PER_LOOK: usize = 256;

/// Called, on any thread, when it is worth going on with a pass; neither blocks nor panics.
pub type Poke = Arc<dyn Fn() + Send + Sync>;

/// Makes every thread of the process pass a full fence; false if the system refuses.
pub(super) type Barrier<'a> = &'a dyn Fn() -> bool;

/// A question to stores: which of this code is on your stack?
pub(crate) struct Pass {
    /// Sorted, disjoint.
    ranges: Box<[Range<usize>]>,
    /// By position. Relaxed: `pending` orders.
    pinned: Box<[AtomicBool]>,
    /// Answers that are missing, and one for whoever drives the pass now.
    pending: AtomicUsize,
    poke: Poke,
}

impl Pass {
    /// Of this code, which is sorted by address, to so many stores.
    pub(super) fn new(codes: &[PublishedCode], stores: usize, poke: Poke) -> Arc<Self> {
        let ranges = codes.iter().map(|code| {
            let start = code.entry().addr();
            start..start + code.code_bytes() as usize
        });
        Self::of_ranges(ranges.collect(), stores, poke)
    }

    pub(crate) fn of_ranges(ranges: Box<[Range<usize>]>, stores: usize, poke: Poke) -> Arc<Self> {
        Arc::new(Self {
            pinned: ranges.iter().map(|_| AtomicBool::new(false)).collect(),
            ranges,
            pending: AtomicUsize::new(stores),
            poke,
        })
    }

    /// Keeps the code that this return address, or address of an entry, lies in.
    pub(super) fn mark(&self, pc: usize) {
        let after = self.ranges.partition_point(|range| range.start <= pc);
        // A call may be the last instruction of its code, so the end belongs to it; it may be the start of the next as well.
        for i in after.saturating_sub(2)..after {
            if pc <= self.ranges[i].end {
                self.pinned[i].store(true, Relaxed);
            }
        }
    }

    /// Whether some stack has the code at each position. All have answered.
    pub(crate) fn pinned(&self) -> impl Iterator<Item = bool> {
        self.pinned.iter().map(|pinned| pinned.load(Relaxed))
    }

    /// Somebody drives the pass, and needs no poke.
    pub(super) fn hold(&self) {
        self.pending.fetch_add(1, AcqRel);
    }

    /// Whether all have answered.
    pub(super) fn is_answered(&self) -> bool {
        self.pending.load(Acquire) == 0
    }

    /// Nobody drives it any more; whether all have answered.
    pub(super) fn release(&self) -> bool {
        self.pending.fetch_sub(1, AcqRel) == 1
    }

    /// A store has answered by itself; the marks are made.
    pub(super) fn answered(&self) {
        if self.pending.fetch_sub(1, AcqRel) == 1 {
            (self.poke)();
        }
    }

    /// Looks where a store is, and marks what is on its stack if it is outside. The result counts if the request can be claimed
    /// afterwards.
    ///
    /// # Safety
    /// Rule RECLAIM: the caller has been counted as a reader since before a barrier.
    pub(super) unsafe fn look(&self, store: &SharedContext) -> Found {
        let context = store.context();
        let head = context.activation.load(Acquire);
        if head.is_null() {
            return Found::Idle;
        }
        // SAFETY: rule RECLAIM: R4: an activation that a reader finds linked stays.
        let (fp, pc) = unsafe {
            (
                peek(&raw const (*head).exit_fp),
                peek(&raw const (*head).exit_pc),
            )
        };
        if fp == 0 {
            return Found::Inside;
        }
        // The walk begins at this frame. `exit_fp` must not be read again: it may be 0 by now, and the thread not yet back.
        let mut frames = 0;
        let mut mark = |pc| {
            self.mark(pc);
            frames += 1;
            frames % FRAMES_PER_LOOK != 0 || context.attention.load(Relaxed) & ASKED != 0
        };
        // SAFETY: rule RECLAIM: as above, for all that are linked to it.
        unsafe { walk(head, Some((fp, pc)), &mut mark) };
        Found::Outside
    }
}

/// Where a store was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Not in wasm.
    Idle,
    /// In wasm, called out.
    Outside,
    /// In wasm.
    Inside,
}

/// Calls `mark` with every address of code that this chain of activations has on its stack, until it says false. `exit` is the
/// innermost frame and its pc; without it the innermost activation is at rest, and says where it is.
///
/// # Safety
/// Rule WALK or rule RECLAIM: the activations stay, and with them the stack between exit and entry of each. What is in the frames
/// may change meanwhile; then the result means nothing.
pub(super) unsafe fn walk(
    mut activation: *const Activation,
    mut exit: Option<(usize, usize)>,
    mark: &mut dyn FnMut(usize) -> bool,
) {
    while !activation.is_null() {
        // SAFETY: the caller's promise. Fields are read one by one, since the owner may write some of them.
        let (fp, pc, entering, entry_fp, outer) = unsafe {
            let (fp, pc) = exit.take().unwrap_or_else(|| {
                let fp = peek(&raw const (*activation).exit_fp);
                (fp, peek(&raw const (*activation).exit_pc))
            });
            let entering = peek(&raw const (*activation).entering);
            let entry_fp = peek(&raw const (*activation).entry_fp);
            (fp, pc, entering, entry_fp, (*activation).outer)
        };
        if !mark(entering) || (fp != 0 && !mark(pc)) {
            return;
        }
        // SAFETY: the caller's promise.
        if fp != 0 && !unsafe { walk_stack(fp, entry_fp, mark) } {
            return;
        }
        activation = outer;
    }
}

/// The return addresses from the frame at `fp` outwards, up to the entry's.
///
/// # Safety
/// As for [`walk`]: `fp .. entry_fp` and two words from there are stack.
unsafe fn walk_stack(mut fp: usize, entry_fp: usize, mark: &mut dyn FnMut(usize) -> bool) -> bool {
    while fp < entry_fp && fp.is_multiple_of(8) {
        let frame = std::ptr::with_exposed_provenance::<usize>(fp);
        // SAFETY: the caller's promise: `fp` lies below the entry's frame and not below the exit's.
        let (next, pc) = unsafe { (peek(frame), peek(frame.add(1))) };
        if !mark(pc) {
            return false;
        }
        if next <= fp {
            break;
        }
        fp = next;
    }
    true
}

/// What passes ask of one store.
#[derive(Default)]
pub(crate) struct Mailbox {
    /// `ASKED` in `attention` says whether there are any; both change under this lock.
    requests: Mutex<Vec<Arc<Pass>>>,
}

impl Mailbox {
    /// Asks the store.
    pub(crate) fn ask(&self, context: &StoreContext, pass: &Arc<Pass>) {
        let mut requests = lock(&self.requests);
        requests.push(Arc::clone(pass));
        context.attention.fetch_or(ASKED, SeqCst);
    }

    /// Takes a request back, which is answered thereby. If the store's thread has taken it, that counts the answer.
    pub(super) fn claim(&self, context: &StoreContext, pass: &Arc<Pass>) {
        let mut requests = lock(&self.requests);
        if let Some(at) = requests.iter().position(|asked| Arc::ptr_eq(asked, pass)) {
            requests.swap_remove(at);
            if requests.is_empty() {
                context.attention.fetch_and(!ASKED, SeqCst);
            }
            drop(requests);
            // Whoever claims holds the pass, so this is not the last.
            pass.pending.fetch_sub(1, AcqRel);
        }
    }

    /// Whether the request is still there.
    pub(super) fn holds(&self, pass: &Arc<Pass>) -> bool {
        lock(&self.requests)
            .iter()
            .any(|asked| Arc::ptr_eq(asked, pass))
    }

    /// The store's thread takes all requests, and has to answer them.
    pub(super) fn take(&self, context: &StoreContext) -> Vec<Arc<Pass>> {
        let mut requests = lock(&self.requests);
        context.attention.fetch_and(!ASKED, SeqCst);
        std::mem::take(&mut *requests)
    }

    /// Whether somebody reads the store's stack.
    pub(crate) fn has_readers(context: &StoreContext) -> bool {
        context.attention.load(Acquire) >= READER
    }
}

/// A reader of a store's stack, as long as it lives.
pub(super) struct Reader(pub(super) Arc<SharedContext>);

impl Reader {
    /// Counts a reader.
    pub(super) fn new(store: Arc<SharedContext>) -> Self {
        store.context().attention.fetch_add(READER, SeqCst);
        Self(store)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.context().attention.fetch_sub(READER, SeqCst);
    }
}

impl SharedContext {
    /// Whether there is an activation.
    pub(super) fn is_in_wasm(&self) -> bool {
        !self.context().activation.load(Acquire).is_null()
    }
}
