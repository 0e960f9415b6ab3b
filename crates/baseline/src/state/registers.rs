//! Who holds which register.
//!
//! A register of the pool is free, holds the operand at one height, or caches one local. During an operator, registers
//! that its operands came in or that it took are *pinned*: they are neither taken nor evicted until the operator ends.

use crate::isa::{Reg, RegSet};

/// Who holds a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Nobody.
    None,
    /// The operand at this height.
    Operand(u32),
    /// A cached local.
    Local(u16),
}

/// The register file at compile time.
#[derive(Debug)]
pub(crate) struct Registers {
    owners: [Owner; 32],
    /// The working set.
    pub(crate) pool: RegSet,
    /// Those with an owner.
    owned: RegSet,
    /// Those that cache locals.
    pub(crate) cached: RegSet,
    /// In use by the operator being compiled.
    pub(crate) pinned: RegSet,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            owners: [Owner::None; 32],
            pool: RegSet::EMPTY,
            owned: RegSet::EMPTY,
            cached: RegSet::EMPTY,
            pinned: RegSet::EMPTY,
        }
    }
}

impl Registers {
    pub(crate) fn reset(&mut self, pool: RegSet) {
        *self = Self {
            pool,
            ..Self::default()
        };
    }

    #[inline]
    pub(crate) fn owner(&self, reg: Reg) -> Owner {
        self.owners[reg.index()]
    }

    /// Registers with an owner.
    #[inline]
    pub(crate) fn owned(&self) -> RegSet {
        self.owned
    }

    /// Registers that could be taken without moving anything.
    #[inline]
    pub(crate) fn free(&self) -> RegSet {
        self.pool.minus(self.owned).minus(self.pinned)
    }

    /// Registers that could be taken after moving their value away.
    #[inline]
    pub(crate) fn evictable(&self) -> RegSet {
        self.pool.and(self.owned).minus(self.pinned)
    }

    #[inline]
    pub(crate) fn set_owner(&mut self, reg: Reg, owner: Owner) {
        debug_assert!(self.pool.contains(reg));
        self.owners[reg.index()] = owner;
        match owner {
            Owner::None => {
                self.owned.remove(reg);
                self.cached.remove(reg);
            }
            Owner::Operand(_) => {
                self.owned.insert(reg);
                self.cached.remove(reg);
            }
            Owner::Local(_) => {
                self.owned.insert(reg);
                self.cached.insert(reg);
            }
        }
    }

    #[inline]
    pub(crate) fn release(&mut self, reg: Reg) {
        self.set_owner(reg, Owner::None);
    }

    /// Releases every member of a set.
    #[inline]
    pub(crate) fn release_all(&mut self, set: RegSet) {
        for reg in set {
            self.owners[reg.index()] = Owner::None;
        }
        self.owned = self.owned.minus(set);
        self.cached = self.cached.minus(set);
    }

    /// Gives the register of an operand that was taken off to the operator, unless it is a home.
    #[inline]
    pub(crate) fn give(&mut self, reg: Reg) {
        if self.pool.contains(reg) {
            self.owners[reg.index()] = Owner::None;
            self.owned.remove(reg);
            self.pinned.insert(reg);
        }
    }

    /// Registers that hold operands.
    #[inline]
    pub(crate) fn operands(&self) -> RegSet {
        self.owned.minus(self.cached)
    }

    #[inline]
    pub(crate) fn pin(&mut self, reg: Reg) {
        self.pinned.insert(reg);
    }
}
