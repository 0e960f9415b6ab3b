//! Retired code and room for new code: when the runtime is asked to free what nobody runs any more, and what is refused until then.
//!
//! The runtime knows who runs what (`crates/runtime/src/reclaim`). Here is decided when to look: after an install, when enough is
//! retired or nothing else is queued; when the last thread has answered that was missing (the poke); when the
//! code space is full; and when the host asks. It happens on pool threads, but for scheduled runs and full code spaces.

use crate::events::EventKind;
use crate::manager::Shared;
use crate::module_tiers::ModuleTiers;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;
use upshift_abi::{CodeKind, Tier};
use upshift_runtime::{LoadedModule, Poke, RetiredCode};

/// So many retired bytes are worth a look at all stores while jobs are queued.
const BATCH_BYTES: usize = 4 << 10;
/// While the code space is full, flips ask for a look at most so often.
const RETRY_US: u64 = 5_000;
/// No moment.
const NEVER: u64 = u64::MAX;

/// Whether the code space has room for tier-ups, as far as is known: it has not from the moment when one found it full until
/// something is freed.
#[derive(Debug)]
pub(crate) struct Room {
    /// Times that code was freed.
    freed: AtomicU64,
    /// The value of `freed` at which there was no room.
    full_at: AtomicU64,
    started: Instant,
    /// When a flip has last asked for a look, in microseconds since `started`.
    asked_us: AtomicU64,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            freed: AtomicU64::new(0),
            full_at: AtomicU64::new(NEVER),
            started: Instant::now(),
            asked_us: AtomicU64::new(0),
        }
    }

    /// A mark to be taken before code is published, for [`Self::full`].
    pub(crate) fn mark(&self) -> u64 {
        self.freed.load(Ordering::SeqCst)
    }

    /// There was no room, at some time after the mark. What was freed since the mark may have made some.
    pub(crate) fn full(&self, mark: u64) {
        self.full_at.store(mark, Ordering::SeqCst);
    }

    /// Something was freed.
    pub(crate) fn freed(&self) {
        self.freed.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether there is none.
    pub(crate) fn is_full(&self) -> bool {
        self.full_at.load(Ordering::SeqCst) == self.freed.load(Ordering::SeqCst)
    }

    /// Whether the last look was long enough ago.
    fn may_look(&self) -> bool {
        let now = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let asked = self.asked_us.load(Ordering::Relaxed);
        now.saturating_sub(asked) >= RETRY_US
            && self
                .asked_us
                .compare_exchange(asked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl ModuleTiers {
    /// What the runtime calls when a pass can go on.
    pub(crate) fn poke(tiers: &Weak<Self>) -> Poke {
        let tiers = Weak::clone(tiers);
        Arc::new(move || {
            if let Some(tiers) = tiers.upgrade() {
                tiers.reclaim_soon();
            }
        })
    }

    /// Step 8: code was replaced.
    pub(crate) fn retired(&self, code: &RetiredCode) {
        let (tier, code_bytes) = (code.tier, code.code_bytes);
        self.emit(code.func, EventKind::CodeRetired { tier, code_bytes });
    }

    /// Frees retired code if it is worth it now.
    pub(crate) fn reclaim_after_install(&self, loaded: &LoadedModule) {
        let retired = loaded.code().retired_bytes();
        let full = self.shared.room.is_full();
        if retired >= BATCH_BYTES || full || self.shared.pool.len() == 0 {
            self.reclaim(loaded);
        }
    }

    /// Frees retired code that nobody runs any more; whether there was any.
    pub(crate) fn reclaim(&self, loaded: &LoadedModule) -> bool {
        let mut any = false;
        loop {
            let freed = loaded.code().reclaim(&self.poke);
            if freed.is_empty() {
                return any;
            }
            any = true;
            self.shared.room.freed();
            for code in &freed {
                self.freed(code);
            }
        }
    }

    fn freed(&self, code: &RetiredCode) {
        let (func, tier, code_bytes) = (code.func, code.tier, code.code_bytes);
        self.emit(func, EventKind::CodeFreed { tier, code_bytes });
        if tier == Tier::Baseline && code.kind == CodeKind::Entry {
            self.forget_loops(func);
        }
    }

    /// Has a pool thread free retired code.
    fn reclaim_soon(&self) {
        if self.reclaim_queued.swap(true, Ordering::SeqCst) {
            return;
        }
        let tiers = self.this.clone();
        let task = Box::new(move |_: &mut _, _| {
            if let Some(tiers) = tiers.upgrade() {
                tiers.reclaim_queued.store(false, Ordering::SeqCst);
                tiers.reclaim_known();
            }
        });
        if self.shared.pool.submit_urgent(task).is_err() {
            self.reclaim_queued.store(false, Ordering::SeqCst);
        }
    }

    /// Frees retired code, if the module is there and has ever had any.
    fn reclaim_known(&self) -> bool {
        let loaded = self.loaded();
        loaded.is_some_and(|loaded| self.reclaim(&loaded))
    }

    /// Whether a request is refused for want of room; then room is looked for.
    pub(crate) fn refuses(&self) -> bool {
        let full = self.shared.room.is_full();
        if full && self.shared.room.may_look() {
            self.reclaim_soon();
        }
        full
    }
}

impl Shared {
    /// Frees retired code of all modules that nobody runs any more; whether there was any.
    pub(crate) fn reclaim_all(&self) -> bool {
        let modules: Vec<_> = {
            let modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
            modules.values().filter_map(Weak::upgrade).collect()
        };
        // The list is not locked any more: the last handle of a module takes it off.
        let mut any = false;
        for tiers in modules {
            any |= tiers.reclaim_known();
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    /// What happens one after the other, and whether there is room then. `m` takes the mark, `x` is a full code space found after
    /// it, `f` frees.
    #[test]
    fn room_comes_back_with_whatever_is_freed() {
        let rows = [
            ("", false),
            ("mx", true),
            ("mxf", false),
            ("mfx", false),
            ("fmx", true),
            ("mxfmx", true),
            ("mxff", false),
            ("mxmx", true),
        ];
        for (steps, full) in rows {
            let room = Room::new();
            let mut mark = room.mark();
            for step in steps.chars() {
                match step {
                    'm' => mark = room.mark(),
                    'x' => room.full(mark),
                    _ => room.freed(),
                }
            }
            assert_eq!(room.is_full(), full, "{steps}");
        }
    }
}
