//! Which addresses belong to linear memories: asked by the signal handler, so without locks.
//!
//! A list of nodes that are never given back, only reused. `end` is 0 while a node is idle, is set after
//! `start` and cleared before `start` changes; a reader looks at `end` before and after.

use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicPtr, AtomicUsize};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
struct Node {
    start: AtomicUsize,
    end: AtomicUsize,
    next: Option<&'static Self>,
}

static HEAD: AtomicPtr<Node> = AtomicPtr::new(std::ptr::null_mut());
static IDLE: Mutex<Vec<&'static Node>> = Mutex::new(Vec::new());

fn head() -> Option<&'static Node> {
    // SAFETY: rule MEMORY: nodes are leaked when they are made.
    unsafe { HEAD.load(SeqCst).as_ref() }
}

/// Whether an address lies in a linear memory or its guard. Takes no lock and allocates nothing.
pub(crate) fn is_memory_address(addr: usize) -> bool {
    let mut next = head();
    while let Some(node) = next {
        let end = node.end.load(SeqCst);
        if addr < end && node.start.load(SeqCst) <= addr && node.end.load(SeqCst) == end {
            return true;
        }
        next = node.next;
    }
    false
}

/// A range on the list for as long as it lives.
#[derive(Debug)]
pub(super) struct Registration(&'static Node);

impl Registration {
    pub(super) fn new(range: Range<usize>) -> Self {
        let registration = Self(take_node());
        registration.change(range);
        registration
    }

    /// Lists another range instead.
    pub(super) fn change(&self, range: Range<usize>) {
        self.0.end.store(0, SeqCst);
        self.0.start.store(range.start, SeqCst);
        self.0.end.store(range.end, SeqCst);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.end.store(0, SeqCst);
        IDLE.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.0);
    }
}

fn take_node() -> &'static Node {
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(node) = idle.pop() {
        return node;
    }
    // The lock is held, so nobody else links at the same time.
    let node = Box::leak(Box::new(Node {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        next: head(),
    }));
    HEAD.store(node, SeqCst);
    node
}

#[cfg(test)]
mod tests {
    use super::{Registration, is_memory_address};

    #[test]
    fn a_range_is_listed_while_its_registration_lives() {
        // Addresses that no mapping ever has.
        let listed = |addrs: [usize; 4]| addrs.map(is_memory_address);
        let first = Registration::new(16..32);
        let second = Registration::new(64..80);
        assert_eq!(listed([15, 16, 31, 32]), [false, true, true, false]);
        first.change(32..48);
        assert_eq!(listed([31, 32, 47, 48]), [false, true, true, false]);
        drop(first);
        assert_eq!(listed([16, 32, 64, 79]), [false, false, true, true]);
        drop(second);
        assert_eq!(listed([16, 32, 64, 79]), [false; 4]);
    }
}
