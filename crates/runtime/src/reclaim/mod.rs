//! Freeing code while programs run.
//!
//! Problem: a function got better code, and its old code shall be freed. Threads may still run the old code (a), have frames of it
//! below others (b), have loaded its address from the entry slot and not yet jumped (c), be in a helper that has
//! chosen to enter it (d), or have its addresses in a backtrace (e). None of them may be stopped for long, and generated code
//! may not get slower: no fence, no counter, no check in it.
//!
//! Data: per module, the code that nobody can newly reach (*retired*), and the stores that have an instance of it: frames and
//! slots of a module's code are reached by its instances only, so no other store matters. Per store: `StoreContext::activation`, the
//! chain of entries into wasm; per activation `exit_fp`, 0 *inside* wasm, else *outside* (in a helper or a host
//! function), with the frames below it at rest; and `StoreContext::attention`, which exit stubs look at on their way back and
//! `enter` when it leaves.
//!
//! A *pass* ([`Pass`]) takes what is retired now, and asks every store for an answer: which of it is on your stack? A blob is freed
//! when all have answered and none has it; what somebody has goes into the next pass. The answer is given
//!
//! * at once for a store that is not in wasm: nothing is on its stack;
//! * by the reclaimer, which walks the stack of a store that is outside;
//! * by the store's own thread, if that is inside, or comes back while it is walked: at its next way back into wasm from a
//!   helper or host function, or when it leaves wasm.
//!
//! A store that runs a loop without calls of helpers or host functions for long delays the pass for as long. That costs memory, bounded by
//! the baseline code of its modules, and nothing else. It is not stopped for it: an interrupt ends a guest for good.
//!
//! Why it is right:
//!
//! * R1. *Nobody new.* Retired code is in no entry slot and no list of loop entries, and the barrier (`membarrier`, a full fence on
//!   every thread of the process) comes after that. So an address that a thread loads after its barrier is not retired code's. What was
//!   loaded before is on a stack, in a register of a thread that is inside, or in `Activation::entering`:
//!   Rust code never has such an address while its store is not inside. `enter` links the activation, which is then
//!   inside, and loads the slot after that. The lazy stub is given the slot, and loads it when it is inside again. A helper that
//!   enters a loop keeps the [`LoopEntry`](crate::LoopEntry), which keeps its code from being retired, until the address is in
//!   `entering`, which counts as a frame; the stub clears that when the activation says inside.
//!   Generated code jumps to what it has loaded before it can get to an exit.
//! * R2. *Idle stores.* After the barrier the reclaimer finds no activation. Then the store's thread links its next one
//!   after its barrier, and loads slots after that (R1).
//! * R3. *Walks from outside.* The reclaimer sets `attention`; then the barrier; then it reads `exit_fp`. The thread writes
//!   `exit_fp = 0`, then reads `attention`. If the reclaimer finds the thread outside, the thread has yet to write the 0, and then finds
//!   `attention` set. So it cannot get back unseen: its first act is to take the request away ([`Mailbox::take`]), after
//!   which the reclaimer's result does not count ([`Mailbox::claim`] finds nothing) and the thread walks itself. Until then its frames are at
//!   rest, also when `exit_fp` is 0 already, so the reclaimer reads that once. Nobody waits for
//!   anybody: the reclaimer reads whatever is there, within bounds that hold all the same (R4).
//! * R4. *What is read exists.* The reclaimer counts as a reader while it reads, and `enter` waits for readers when it leaves (the same
//!   order: unlink, then read `attention`), so every activation that it finds linked stays, and with it the stack from
//!   its `exit_fp` to its `entry_fp`. Frame pointers are followed only upwards within that. This is the one place where a thread
//!   waits; readers give up when the request is gone, after at most 256 frames.
//! * R5. *Walks from inside.* On its way back a thread stands in an exit stub: its frames are those from the stub's caller on, and code
//!   that it was about to enter is in `entering`. On leaving, it has the frames of outer activations only. Both
//!   are exact, since exits are calls, and every function that calls has a frame.
//! * R6. *Failures.* A trap leaves the activation inside until `enter` leaves, and its backtrace is resolved before
//!   that (e). A helper that fails resolves it while it is outside. The frames that a landing drops need no answer.
//! * R7. *Optimized code of whole functions* is never retired, so calls between such functions may name each other's
//!   address. A function's loop entries go when its baseline code was freed: they are entered from its frames only.
//!
//! Freed bytes become `int3`, and their addresses are used again after another barrier (rule CODE). `model.rs` checks R1 to R4 by
//! walking all interleavings of a model with store buffers; `tests.rs` and the stress tests check the code.

#[cfg(test)]
mod model;
mod pass;
#[cfg(test)]
mod tests;

pub use pass::Poke;
pub(crate) use pass::{Mailbox, Pass};

use crate::code_space::{CodeSpace, PublishedCode};
use crate::store::StoreInner;
use crate::store::handles::StoreId;
use crate::store::interrupt::SharedContext;
use pass::{Barrier, Found, Reader, walk};
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use upshift_abi::{CodeKind, StoreContext, Tier};
use upshift_module::FuncIndex;

/// Code that cannot be reached any more, or was freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetiredCode {
    /// Of which function.
    pub func: FuncIndex,
    /// By which compiler.
    pub tier: Tier,
    /// How it was entered.
    pub kind: CodeKind,
    /// Its size in bytes.
    pub code_bytes: u32,
}

impl RetiredCode {
    pub(crate) fn of(code: &PublishedCode) -> Self {
        Self {
            func: code.func(),
            tier: code.tier(),
            kind: code.kind(),
            code_bytes: code.code_bytes(),
        }
    }
}

/// What is retired of a module, and who may still use it.
#[derive(Default)]
pub(crate) struct Reclaimer {
    stores: Mutex<HashMap<StoreId, Arc<SharedContext>>>,
    /// For the next pass.
    retired: Mutex<Vec<PublishedCode>>,
    /// Bytes in `retired` and in the pass. Relaxed: a hint.
    retired_bytes: AtomicUsize,
    /// Held by whoever drives the pass; guests never wait for it.
    pass: Mutex<Option<InFlight>>,
}

/// A pass that some store has not answered yet.
struct InFlight {
    pass: Arc<Pass>,
    /// Not yet known to have answered.
    stores: Vec<Arc<SharedContext>>,
    /// By position in the pass.
    codes: Vec<PublishedCode>,
}

impl Reclaimer {
    /// A store has an instance of the module from now on. It has not run it yet.
    pub(crate) fn join(&self, id: StoreId, store: &Arc<SharedContext>) {
        lock(&self.stores).insert(id, Arc::clone(store));
    }

    /// A store goes away.
    pub(crate) fn leave(&self, id: StoreId) {
        lock(&self.stores).remove(&id);
    }

    /// Takes code over that nobody can newly reach: it is in no slot, and no `LoopEntry` names it.
    pub(crate) fn retire(&self, code: PublishedCode) {
        self.retired_bytes
            .fetch_add(code.code_bytes() as usize, Relaxed);
        lock(&self.retired).push(code);
    }

    /// Bytes that are retired and not freed.
    pub(crate) fn retired_bytes(&self) -> usize {
        self.retired_bytes.load(Relaxed)
    }

    /// All that is retired. Nobody uses the module any more.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = PublishedCode> {
        let retired = std::mem::take(&mut *lock(&self.retired));
        let in_flight = lock(&self.pass).take();
        let in_flight = in_flight.map(|in_flight| in_flight.codes);
        retired.into_iter().chain(in_flight.into_iter().flatten())
    }

    /// Goes on with the pass under way, or begins one; frees what nobody uses, and says what that was. While another thread is at it
    /// nothing is freed here.
    pub(crate) fn reclaim(&self, space: &CodeSpace, poke: &Poke) -> Vec<RetiredCode> {
        let mut freed = Vec::new();
        while space.can_recycle() && self.retired_bytes() != 0 {
            let mut slot = match self.pass.try_lock() {
                Ok(slot) => slot,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => break,
            };
            // What is under way, and then one pass of what was retired since.
            if let Some(in_flight) = slot.take() {
                *slot = self.drive(space, in_flight, &mut freed);
            }
            if slot.is_none()
                && let Some(in_flight) = self.begin(space, poke)
            {
                *slot = self.drive(space, in_flight, &mut freed);
            }
            let left = slot.as_ref().map(|in_flight| Arc::clone(&in_flight.pass));
            drop(slot);
            // A poke that came while the lock was held has found nothing to do.
            if !left.is_some_and(|pass| pass.is_answered()) {
                break;
            }
        }
        freed
    }

    /// A pass over all that is retired; none if there is nothing, or no barrier.
    fn begin(&self, space: &CodeSpace, poke: &Poke) -> Option<InFlight> {
        let mut codes = std::mem::take(&mut *lock(&self.retired));
        // R1: after the slots were stored, before anybody is looked at.
        if codes.is_empty() || !space.barrier() {
            lock(&self.retired).append(&mut codes);
            return None;
        }
        codes.sort_unstable_by_key(|code| code.entry().addr());
        // R2: whoever is idle now has answered.
        let stores: Vec<_> = lock(&self.stores)
            .values()
            .filter(|store| store.is_in_wasm())
            .map(Arc::clone)
            .collect();
        let pass = Pass::new(&codes, stores.len(), Arc::clone(poke));
        for store in &stores {
            store.mailbox().ask(store.context(), &pass);
        }
        Some(InFlight {
            pass,
            stores,
            codes,
        })
    }

    /// Collects answers; gives the pass back if some are missing.
    fn drive(
        &self,
        space: &CodeSpace,
        mut in_flight: InFlight,
        freed: &mut Vec<RetiredCode>,
    ) -> Option<InFlight> {
        in_flight.pass.hold();
        in_flight.collect(&|| space.barrier());
        if !in_flight.pass.release() {
            return Some(in_flight);
        }
        for (code, pinned) in in_flight.codes.into_iter().zip(in_flight.pass.pinned()) {
            if pinned {
                lock(&self.retired).push(code);
                continue;
            }
            freed.push(RetiredCode::of(&code));
            self.retired_bytes
                .fetch_sub(code.code_bytes() as usize, Relaxed);
            // SAFETY: rule CODE-LIFE: retired before the pass began, and no store that could run it has it on its stack.
            unsafe { space.free(code) };
        }
        None
    }
}

impl InFlight {
    /// Looks at the stores that have not answered, and answers for those that it can.
    fn collect(&mut self, barrier: Barrier<'_>) {
        let readers: Vec<_> = self.stores.drain(..).map(Reader::new).collect();
        // R3, R4: between `attention` and the first look.
        let fenced = readers.is_empty() || barrier();
        for reader in readers {
            let store = &reader.0;
            let mailbox = store.mailbox();
            // SAFETY: rule RECLAIM: counted as a reader since before the barrier.
            let found = fenced.then(|| unsafe { self.pass.look(store) });
            match found {
                Some(Found::Idle | Found::Outside) => mailbox.claim(store.context(), &self.pass),
                Some(Found::Inside) | None if mailbox.holds(&self.pass) => {
                    self.stores.push(Arc::clone(store));
                }
                Some(Found::Inside) | None => {}
            }
        }
    }
}

/// The way back into wasm, when `attention` is set: answers what is asked. `fp` and `pc` are what the stub had published. Called
/// by exit stubs, with `exit_fp` 0 again.
pub(crate) unsafe extern "C" fn returning_to_wasm(
    context: *const StoreContext,
    fp: usize,
    pc: usize,
) {
    // SAFETY: rule RECLAIM: the stub's context is that of a store whose guest runs on this thread.
    unsafe { answer(context, Some((fp, pc))) };
}

/// The way out of wasm, when `attention` is set; the activation is unlinked. Its frame stays until this has returned.
///
/// # Safety
/// Rule RECLAIM: called by `enter` on the thread that runs the store.
#[cold]
pub(crate) unsafe fn leaving_wasm(context: *const StoreContext) {
    // SAFETY: rule RECLAIM: as above.
    unsafe {
        answer(context, None);
        // R4.
        while Mailbox::has_readers(&*context) {
            std::thread::yield_now();
        }
    }
}

/// Answers all passes that ask this store.
///
/// # Safety
/// Rule RECLAIM: on the thread that runs the store, which is inside, with its innermost frame at `exit`; or has just left.
#[cold]
unsafe fn answer(context: *const StoreContext, exit: Option<(usize, usize)>) {
    // SAFETY: rule STORE-ALIAS: whoever sets `attention` reaches the context by its store's `SharedContext`, so there is a store, and
    // no reference to it is in use.
    let (context, mailbox) = unsafe {
        let store = (*context).store.get().cast::<StoreInner>();
        let shared = &(*store).shared;
        (&*context, shared.mailbox())
    };
    let passes = mailbox.take(context);
    if passes.is_empty() {
        return;
    }
    let mut mark = |pc| {
        for pass in &passes {
            pass.mark(pc);
        }
        true
    };
    // SAFETY: rule WALK: this thread's own activations.
    unsafe { walk(context.activation.load(Ordering::Acquire), exit, &mut mark) };
    for pass in passes {
        pass.answered();
    }
}

/// A store goes away: nothing of it is on any stack.
pub(crate) fn answer_idle(store: &SharedContext) {
    for pass in store.mailbox().take(store.context()) {
        pass.answered();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that may panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
