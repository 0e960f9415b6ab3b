//! Stopping a guest from another thread.
//!
//! The [`StoreContext`] lies in an allocation of its own that the store and its interrupt handles
//! share, so a handle stays safe when the store is gone. Other threads touch its two atomics only.

use crate::reclaim::Mailbox;
use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};
use upshift_abi::StoreContext;

/// The part of a store that generated code and other threads see.
pub(crate) struct SharedContext {
    context: StoreContext,
    mailbox: Mailbox,
}

// SAFETY: rule STORE-THREAD: the cells of the context are used by the thread that uses the store;
// other threads reach it through `InterruptHandle` and `Reclaimer`, which touch its atomics.
unsafe impl Send for SharedContext {}
// SAFETY: as above.
unsafe impl Sync for SharedContext {}

impl SharedContext {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            context: StoreContext {
                stack_limit: AtomicUsize::new(0),
                interrupt: AtomicU32::new(0),
                attention: AtomicU32::new(0),
                activation: AtomicPtr::default(),
                store: Cell::new(ptr::null_mut()),
            },
            mailbox: Mailbox::default(),
        })
    }

    /// The context. Its cells belong to the thread that uses the store.
    pub(crate) fn context(&self) -> &StoreContext {
        &self.context
    }

    /// What whoever frees code asks of the store.
    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }
}

/// Stops the guest of a store, from any thread, also when the store is gone.
#[derive(Clone)]
pub struct InterruptHandle(pub(crate) Arc<SharedContext>);

impl InterruptHandle {
    /// Makes the running guest trap with `Interrupt` at its next call or loop; a guest that does not
    /// run now traps at once when it is next called. The trap, once delivered, uses the request up.
    pub fn interrupt(&self) {
        crate::enter::interrupt(self.0.context());
    }
}

impl std::fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InterruptHandle")
    }
}
