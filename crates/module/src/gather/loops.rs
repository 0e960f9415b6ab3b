//! Home candidates of every loop.
//!
//! Problem: which locals are used most while a loop runs, for every loop, in time and memory linear in the body.
//!
//! * An entry of per-local scratch ([`LoopLocal`]) holds the weight in one loop, its `owner`, always an open one. A use
//!   in another loop, which then is nested in the owner, sets the entry aside in `aside` and starts anew. When a loop
//!   ends, what it set aside is put back. So a use sets aside at most one entry, and each is looked at once more.
//! * A loop that ends hands its best locals on to the enclosing one: a fixed number per loop, and a local is handed on only if
//!   it is used. Loops beyond [`DEPTH_MAX`] levels have no candidates of their own; what is used there counts for the loop
//!   at that level. So an entry is copied a fixed number of times.
//!
//! Besides, the body is cut into stretches of straight code, at every label and call. A local that is read only in the stretch in which
//! it was written last needs no home and no slot: it is not *carried*. Since code enters a stretch at its start only, what is
//! written in it before the read is what is read.

use super::ranking::Ranking;
use super::{LocalScratch, WEIGHT_PER_LEVEL_LOG2};
use crate::facts::{LOOP_HOME_CANDIDATES, LoopHome};
use crate::types::LocalIndex;

/// Levels of loops with candidates of their own.
const DEPTH_MAX: usize = 8;
/// Levels beyond those that add to the weight.
const DEEPER_MAX: u32 = 2;

/// What open loops know of a local.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LoopLocal {
    /// Number of the loop that the weight is for; 0 for none, and then nobody reads it.
    owner: u32,
    weight: u32,
    /// The stretch in which it was last used; 0 before the first use.
    used: u32,
}

/// A loop with candidates.
#[derive(Clone, Copy, Debug)]
struct Open {
    index: u32,
    /// Length of `aside` when it began.
    aside: usize,
}

impl Open {
    /// Distinguishes open loops; not 0.
    fn number(self) -> u32 {
        self.index + 1
    }
}

/// What a loop put aside.
#[derive(Clone, Copy, Debug)]
struct Aside {
    local: LocalIndex,
    owner: u32,
    weight: u32,
}

/// Where a local was used last before a use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// In the same stretch.
    SameStretch,
    OtherStretch,
    Nowhere,
}

/// Uses of locals in open loops.
#[derive(Debug, Default)]
pub(super) struct LoopUses {
    open: Vec<Open>,
    aside: Vec<Aside>,
    ranking: Ranking<LoopHome>,
    /// Number of the innermost loop with candidates; 0 for none.
    owner: u32,
    /// Open loops beyond the levels with candidates.
    deeper: u32,
    /// What a use weighs.
    step: u32,
    /// Stretches of straight code so far.
    stretch: u32,
    params: u32,
    /// Entries of per-local scratch that were looked at apart from uses.
    #[cfg(test)]
    pub(super) work: u64,
}

impl LoopUses {
    /// Makes it as new.
    pub(super) fn reset(&mut self, params: u32) {
        self.params = params;
        self.open.clear();
        self.aside.clear();
        self.ranking.clear();
        self.owner = 0;
        self.set_deeper(0);
        self.stretch = 1;
    }

    /// A label or a call.
    pub(super) fn label(&mut self) {
        self.stretch += 1;
    }

    /// A loop begins.
    pub(super) fn open(&mut self, index: u32) {
        self.label();
        if self.open.len() == DEPTH_MAX {
            self.set_deeper(self.deeper + 1);
            return;
        }
        let open = Open {
            index,
            aside: self.aside.len(),
        };
        self.owner = open.number();
        self.open.push(open);
    }

    /// Whether the loop is the innermost one with candidates; if it is not, it has none and ends here.
    pub(super) fn is_open(&mut self, index: u32) -> bool {
        let open = self.open.last().is_some_and(|open| open.index == index);
        self.set_deeper(self.deeper - u32::from(!open));
        open
    }

    /// Marks a local as used here.
    #[inline(always)]
    pub(super) fn mark(&mut self, entry: &mut LoopLocal) -> Before {
        let before = std::mem::replace(&mut entry.used, self.stretch);
        if before == self.stretch {
            Before::SameStretch
        } else if before == 0 {
            Before::Nowhere
        } else {
            Before::OtherStretch
        }
    }

    /// Adds a use to the weight of a local, if the weight is that in the innermost loop. Outside of loops too, where nobody
    /// reads it.
    #[inline(always)]
    pub(super) fn weigh_again(&self, entry: &mut LoopLocal) -> bool {
        let owned = entry.owner == self.owner;
        if owned {
            entry.weight = entry.weight.saturating_add(self.step);
        }
        owned
    }

    /// Adds a use to the weight of a local in the innermost loop.
    pub(super) fn weigh_use(&mut self, entry: &mut LoopLocal, local: LocalIndex) {
        self.weigh(entry, local, self.step);
    }

    /// Counts open loops beyond the levels with candidates.
    fn set_deeper(&mut self, deeper: u32) {
        self.deeper = deeper;
        self.step = 1 << (WEIGHT_PER_LEVEL_LOG2 * deeper.min(DEEPER_MAX));
    }

    /// Whether the stretch brings a value of a local that it has not written: parameters are written where the body begins.
    pub(super) fn brings(&self, local: LocalIndex) -> bool {
        self.stretch == 1 && local.0 < self.params
    }

    /// Adds to the weight of a local in the innermost loop.
    #[inline]
    fn weigh(&mut self, entry: &mut LoopLocal, local: LocalIndex, weight: u32) {
        if entry.owner != self.owner {
            self.aside.push(Aside {
                local,
                owner: entry.owner,
                weight: entry.weight,
            });
            entry.owner = self.owner;
            entry.weight = 0;
        }
        entry.weight = entry.weight.saturating_add(weight);
    }

    /// The innermost loop with candidates ends. Its best locals go to `out` and on to the enclosing loop, but for those that were not
    /// carried so far, which gain nothing from a home.
    pub(super) fn close(
        &mut self,
        locals: &mut [LocalScratch],
        carried: &[u64],
        is_float: impl Fn(u32) -> bool,
        out: &mut Vec<LoopHome>,
    ) {
        let Some(closed) = self.open.pop() else {
            return;
        };
        for aside in self.aside.drain(closed.aside..) {
            #[cfg(test)]
            {
                self.work += 1;
            }
            let local = aside.local;
            let scratch = &mut locals[local.0 as usize];
            let candidate = LoopHome {
                local,
                weight: scratch.in_loop.weight,
                written: scratch.written > closed.index,
            };
            debug_assert_eq!(scratch.in_loop.owner, closed.number());
            scratch.in_loop.owner = aside.owner;
            scratch.in_loop.weight = aside.weight;
            if carried[local.0 as usize / 64] >> (local.0 % 64) & 1 != 0 {
                self.ranking
                    .offer(candidate, LOOP_HOME_CANDIDATES, || is_float(local.0));
            }
        }
        let start = out.len();
        self.ranking.take_into(out);
        let Some(outer) = self.open.last() else {
            self.owner = 0;
            return;
        };
        self.owner = outer.number();
        for home in &out[start..] {
            #[cfg(test)]
            {
                self.work += 1;
            }
            let weight = home.weight.saturating_mul(1 << WEIGHT_PER_LEVEL_LOG2);
            let entry = &mut locals[home.local.0 as usize].in_loop;
            self.weigh(entry, home.local, weight);
        }
    }
}
