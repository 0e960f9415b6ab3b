//! Homes for the time of a loop.
//!
//! Problem: the locals that are hot in one loop are not those of the next one, and there are fewer registers than hot locals.
//!
//! When a loop opens, the best candidates of the fact pass that have no home yet are given one: a register of the working set that can
//! be spared, or one that is home to a local that the loop uses less. They are loaded before the header, and what was at home there before
//! is stored. So homes are invariant from the header to the loop's end, and an inner loop may give them away in the same manner, for its time.
//!
//! * **Given homes are a stack** (`given`), and a block remembers its length at its label (`Block::homes`). Whoever branches to a label
//!   gives back what is above that length; the compiler's state changes only where the loop ends.
//! * **Slots.** If a local with a given home is not written in the loop, its slot is as good as the register all the time. If it is, the slot is
//!   written when the home is given back: on the edge of a branch, or behind the loop, where a register that goes back to the working
//!   set keeps the local as a dirty cache.
//! * **An edge stores, moves results, then loads.** Several given homes may be one register, one above the other. The highest holds the
//!   register, so it is stored; those below lost it to the next higher one, which stored them then. The label wants what was there before
//!   the lowest. Stores come first, since a result may travel in a register that was taken from the working set; the results' sources
//!   may be homes, so loads, which change no register of the label's working set, come last.
//! * **Calls.** A loop with calls is given registers that they preserve only.

use super::Lower;
use super::cold::ColdKind;
use crate::isa::x64::regs;
use crate::isa::{Label, Reg, RegSet};
use crate::state::registers::Owner;
use crate::state::value::Ty;
use upshift_module::{LocalIndex, LoopHome};

/// Least weight per round for a register of the working set.
const FREE_WEIGHT: u32 = 1;
/// So much more weight than the local that is at home in a register.
const SWAP_WEIGHT: u32 = 2;

/// No local.
const NONE: u16 = u16::MAX;

/// A home that a loop gave.
#[derive(Clone, Copy, Debug)]
struct Given {
    reg: Reg,
    local: u16,
    /// Whether the loop writes the local: its slot is out of date then.
    written: bool,
    /// Whose home it was; none if it was in the working set.
    former: Option<u16>,
    /// Whether the slot of that one was out of date.
    former_written: bool,
}

/// A move on a cold edge.
#[derive(Clone, Copy, Debug)]
struct EdgeMove {
    ty: Ty,
    reg: Reg,
    local: u16,
    store: bool,
}

/// Who is at home where.
#[derive(Debug)]
pub(super) struct LoopHomes {
    given: Vec<Given>,
    edges: Vec<EdgeMove>,
    /// Registers that are homes.
    homes: RegSet,
    /// Those whose local's slot may be out of date.
    written: RegSet,
    locals: [u16; 32],
}

impl Default for LoopHomes {
    fn default() -> Self {
        Self {
            given: Vec::new(),
            edges: Vec::new(),
            homes: RegSet::EMPTY,
            written: RegSet::EMPTY,
            locals: [NONE; 32],
        }
    }
}

impl LoopHomes {
    pub(super) fn reset(&mut self) {
        self.given.clear();
        self.edges.clear();
        self.homes = RegSet::EMPTY;
        self.written = RegSet::EMPTY;
    }

    fn set(&mut self, reg: Reg, local: u16, written: bool) {
        self.homes.insert(reg);
        self.locals[reg.index()] = local;
        if written {
            self.written.insert(reg);
        } else {
            self.written.remove(reg);
        }
    }
}

impl Lower<'_> {
    /// Gives a local its home for the whole function.
    pub(super) fn set_home(&mut self, local: LocalIndex, reg: Reg) {
        self.s.locals[local.0 as usize].set_home(Some(reg));
        if let Ok(local) = u16::try_from(local.0) {
            self.s.loop_homes.set(reg, local, true);
        }
    }

    /// How many homes loops have given.
    pub(super) fn loop_homes_len(&self) -> u32 {
        u32::try_from(self.s.loop_homes.given.len()).unwrap_or(u32::MAX)
    }

    /// Gives homes for the time of a loop. Everything is in memory or at home, and the working set is free.
    pub(super) fn give_loop_homes(&mut self, site: u32) {
        let facts = self.facts;
        let Some(of_loop) = facts.loops.get(site as usize - 1) else {
            return;
        };
        let candidates = &facts.loop_homes[of_loop.homes()];
        if candidates.is_empty() {
            return;
        }
        let calls = of_loop.calls();
        let mut weights = [0; 32];
        for candidate in candidates {
            if let Some(home) = self.s.locals[candidate.local.0 as usize].home() {
                weights[home.index()] = candidate.weight;
            }
        }
        let mut swappable = self.s.loop_homes.homes;
        if calls {
            swappable = swappable.and(regs::SAVED);
        }
        for &candidate in candidates {
            let state = self.s.locals[candidate.local.0 as usize];
            if state.home().is_some() || state.ty.is_ref() || !state.carried {
                continue;
            }
            let class = RegSet::class(state.ty.is_float());
            if !calls
                && candidate.weight >= FREE_WEIGHT
                && let Some(reg) = self.spare_register(class)
            {
                self.s.regs.pool.remove(reg);
                self.give_home(reg, candidate, None);
                continue;
            }
            let lightest = swappable.and(class).min_by_key(|reg| weights[reg.index()]);
            if let Some(reg) = lightest
                && candidate.weight >= weights[reg.index()].saturating_add(SWAP_WEIGHT)
            {
                swappable.remove(reg);
                let former = self.s.loop_homes.locals[reg.index()];
                self.give_home(reg, candidate, Some(former));
            }
        }
    }

    /// A register of the working set that can be a home where nothing is called.
    fn spare_register(&self, class: RegSet) -> Option<Reg> {
        let pool = self.s.regs.pool.and(class);
        if pool.len() <= u32::from(regs::POOL_MIN) {
            return None;
        }
        let last = pool.and(regs::SPARE).0.checked_ilog2()?;
        u8::try_from(last).ok().map(Reg)
    }

    /// Registers that a loop without calls may have as homes of a type.
    #[cfg(test)]
    pub(super) fn possible_homes(&self, ty: Ty) -> RegSet {
        let class = RegSet::class(ty.is_float());
        let mut set = self.s.loop_homes.homes.and(class);
        if let Some(spare) = self.spare_register(class) {
            set.insert(spare);
        }
        set
    }

    /// Gives a register of [`Self::possible_homes`].
    #[cfg(test)]
    pub(super) fn take_for_home(&mut self, reg: Reg, home: LoopHome) {
        if self.s.regs.pool.contains(reg) {
            self.s.regs.pool.remove(reg);
            self.give_home(reg, home, None);
        } else {
            let former = self.s.loop_homes.locals[reg.index()];
            self.give_home(reg, home, Some(former));
        }
    }

    /// Whether the slot of the local that is at home there may be out of date.
    #[cfg(test)]
    pub(super) fn slot_is_old(&self, home: Reg) -> bool {
        self.s.loop_homes.written.contains(home)
    }

    fn give_home(&mut self, reg: Reg, home: LoopHome, former: Option<u16>) {
        let Ok(local) = u16::try_from(home.local.0) else {
            return;
        };
        let former_written = self.s.loop_homes.written.contains(reg);
        if let Some(former) = former {
            let state = &mut self.s.locals[usize::from(former)];
            state.set_home(None);
            if former_written {
                self.s.asm.store(state.ty, state.slot(), reg);
            }
        }
        let state = &mut self.s.locals[usize::from(local)];
        state.set_home(Some(reg));
        self.s.asm.load(state.ty, reg, state.slot());
        self.s.loop_homes.set(reg, local, home.written);
        self.s.loop_homes.given.push(Given {
            reg,
            local,
            written: home.written,
            former,
            former_written,
        });
    }

    /// The loop whose block was just closed ends here: gives back what it was given.
    pub(super) fn end_loop_homes(&mut self) {
        let outer = self.s.blocks.last().map_or(0, |block| block.homes) as usize;
        let count = self.s.loop_homes.given.len();
        for at in (outer..count).rev() {
            let given = self.s.loop_homes.given[at];
            self.take_home_back(given);
        }
        // After all stores: two locals may have exchanged their homes.
        for at in outer..count {
            let Given { reg, former, .. } = self.s.loop_homes.given[at];
            if let Some(former) = former {
                self.bring_home(former, reg);
            }
        }
        self.s.loop_homes.given.truncate(outer);
    }

    /// Brings a local back to the home that it had, from where it was in the loop.
    fn bring_home(&mut self, local: u16, home: Reg) {
        let state = &mut self.s.locals[usize::from(local)];
        let cached = state.cached();
        state.set_home(Some(home));
        state.set_cached(None);
        state.dirty = false;
        state.upper_undefined = false;
        let state = *state;
        if let Some(reg) = cached {
            self.s.asm.mov(state.ty, home, reg);
            self.s.regs.release(reg);
        } else if self.reachable {
            self.s.asm.load(state.ty, home, state.slot());
        }
    }

    fn take_home_back(&mut self, given: Given) {
        let Given { reg, local, .. } = given;
        let state = &mut self.s.locals[usize::from(local)];
        state.set_home(None);
        match given.former {
            Some(former) => {
                if self.reachable && given.written {
                    self.s.asm.store(state.ty, state.slot(), reg);
                }
                self.s.loop_homes.set(reg, former, given.former_written);
            }
            None => {
                self.s.loop_homes.homes.remove(reg);
                self.s.regs.pool.insert(reg);
                if self.reachable {
                    state.set_cached(Some(reg));
                    state.dirty = given.written;
                    state.upper_undefined = false;
                    self.s.regs.set_owner(reg, Owner::Local(local));
                }
            }
        }
    }

    /// Where the homes begin that a branch to a label gives back. Locals die at the function's own label.
    fn given_above(&self, index: usize) -> usize {
        if index == 0 {
            self.s.loop_homes.given.len()
        } else {
            self.s.blocks[index].homes as usize
        }
    }

    /// Whether a branch has to store or load homes.
    pub(super) fn leaves_loop_homes(&self, index: usize) -> bool {
        let given = &self.s.loop_homes.given[self.given_above(index)..];
        given
            .iter()
            .any(|given| given.written || given.former.is_some())
    }

    /// The first part of giving homes back on an edge: stores. Changes no state.
    pub(super) fn store_loop_homes(&mut self, index: usize) {
        let mut seen = RegSet::EMPTY;
        for at in (self.given_above(index)..self.s.loop_homes.given.len()).rev() {
            let given = self.s.loop_homes.given[at];
            if given.written && !seen.contains(given.reg) {
                let state = self.s.locals[usize::from(given.local)];
                self.s.asm.store(state.ty, state.slot(), given.reg);
            }
            seen.insert(given.reg);
        }
    }

    /// The last part: loads. Changes no state.
    pub(super) fn load_former_homes(&mut self, index: usize) {
        let mut seen = RegSet::EMPTY;
        for at in self.given_above(index)..self.s.loop_homes.given.len() {
            let Given { reg, former, .. } = self.s.loop_homes.given[at];
            if let Some(former) = former
                && !seen.contains(reg)
            {
                let state = self.s.locals[usize::from(former)];
                self.s.asm.load(state.ty, reg, state.slot());
            }
            seen.insert(reg);
        }
    }

    /// An edge without results, out of line.
    pub(super) fn cold_edge(&mut self, index: usize, label: Label) -> Label {
        let (from, to) = self.note_edge_moves(index);
        self.cold(ColdKind::Edge(from, to), Some(label))
    }

    /// Keeps the moves of an edge for later; their range.
    pub(super) fn note_edge_moves(&mut self, index: usize) -> (u32, u32) {
        let from = self.s.loop_homes.edges.len();
        let above = self.given_above(index);
        let mut seen = RegSet::EMPTY;
        let homes = &mut self.s.loop_homes;
        for given in homes.given[above..].iter().rev() {
            if given.written && !seen.contains(given.reg) {
                homes.edges.push(EdgeMove {
                    ty: self.s.locals[usize::from(given.local)].ty,
                    reg: given.reg,
                    local: given.local,
                    store: true,
                });
            }
            seen.insert(given.reg);
        }
        seen = RegSet::EMPTY;
        for given in &homes.given[above..] {
            if let Some(former) = given.former
                && !seen.contains(given.reg)
            {
                homes.edges.push(EdgeMove {
                    ty: self.s.locals[usize::from(former)].ty,
                    reg: given.reg,
                    local: former,
                    store: false,
                });
            }
            seen.insert(given.reg);
        }
        let range = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        (range(from), range(homes.edges.len()))
    }

    /// The moves of a cold edge.
    pub(super) fn emit_edge_moves(&mut self, from: u32, to: u32) {
        for at in from as usize..to as usize {
            let edge = self.s.loop_homes.edges[at];
            let slot = self.s.locals[usize::from(edge.local)].slot();
            if edge.store {
                self.s.asm.store(edge.ty, slot, edge.reg);
            } else {
                self.s.asm.load(edge.ty, edge.reg, slot);
            }
        }
    }
}
