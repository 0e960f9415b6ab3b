//! The counters of a module's living instances, as other threads see them.
//!
//! Generated code adds to the counters of the instance that it runs in, on that instance's thread. A thread that compiles wants to
//! know what they hold. So each instance enters its counters here as long as it lives, and whoever reads holds the lock: an
//! instance leaves before its context is freed, which waits for the few loads that a reader makes under it.

use std::collections::BTreeSet;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Of so many instances the counters are read; with more, those at the lowest addresses stand for all.
const INSTANCES_MAX: usize = 64;

/// The first counter of an instance; the others follow it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct First(NonNull<AtomicI32>);

// SAFETY: rule VMCTX: counters are accessed as atomics, and live while they are listed.
unsafe impl Send for First {}

/// The counters of the instances of one module.
#[derive(Default, Debug)]
pub(crate) struct LiveCounters(Mutex<BTreeSet<First>>);

impl LiveCounters {
    /// Enters the counters of an instance.
    ///
    /// # Safety
    /// Rule VMCTX: from `first` on there is a counter for each defined function of the module, until [`Self::remove`].
    pub(crate) unsafe fn add(&self, first: NonNull<AtomicI32>) {
        self.firsts().insert(First(first));
    }

    /// Takes the counters of an instance out, if they are here.
    pub(crate) fn remove(&self, first: NonNull<AtomicI32>) {
        self.firsts().remove(&First(first));
    }

    /// Shows what the counters of one defined function hold.
    ///
    /// # Safety
    /// The module defines so many functions.
    pub(crate) unsafe fn visit(&self, defined: u32, visit: &mut dyn FnMut(i32)) {
        for first in self.firsts().iter().take(INSTANCES_MAX) {
            // SAFETY: rule VMCTX: by the promises of `add` and of the caller there is such a counter, as the lock is held.
            let counter = unsafe { first.0.add(defined as usize).as_ref() };
            visit(counter.load(Ordering::Relaxed));
        }
    }

    fn firsts(&self) -> MutexGuard<'_, BTreeSet<First>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{INSTANCES_MAX, LiveCounters};
    use std::ptr::NonNull;
    use std::sync::atomic::AtomicI32;

    #[test]
    fn counters_are_seen_while_they_are_listed() {
        let instances: Vec<[AtomicI32; 2]> = (0..100)
            .map(|i| [AtomicI32::new(i), AtomicI32::new(-i)])
            .collect();
        let live = LiveCounters::default();
        let sum = |defined| {
            let (mut count, mut sum) = (0, 0);
            // SAFETY: there are two.
            unsafe {
                live.visit(defined, &mut |counter| {
                    (count, sum) = (count + 1, sum + counter)
                })
            };
            (count, sum)
        };
        assert_eq!(sum(1), (0, 0));
        let firsts = || instances.iter().map(|i| NonNull::from(i).cast());
        for first in firsts().take(10) {
            // SAFETY: two counters that stay until the end of the test.
            unsafe { live.add(first) };
        }
        assert_eq!((sum(0), sum(1)), ((10, 45), (10, -45)));
        for first in firsts().skip(5) {
            live.remove(first);
        }
        assert_eq!(sum(1), (5, -10));
        for first in firsts() {
            // SAFETY: as above.
            unsafe { live.add(first) };
        }
        assert_eq!(sum(0).0, INSTANCES_MAX);
    }
}
