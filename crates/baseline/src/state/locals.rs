//! Where the locals are.
//!
//! A local with a *home* is in that register from the prologue to the end of the function, or while a loop runs. Any other local
//! is in its slot, in a register that caches it, or both; a cached value that is newer than the slot is *dirty*. Declared locals that were not
//! written yet are zero without being anywhere, until the first branch or label: [`Local::zero`]. A local that is not [`Local::carried`]
//! is always written again before it is read behind a label or call: there it may be nowhere.

use crate::isa::{Addr, Reg};
use crate::state::value::{NO_ALIAS, Ty};

/// No register.
const NONE: u8 = u8::MAX;

/// One local, 16 bytes.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent flags, read one by one"
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub(crate) ty: Ty,
    home: u8,
    cached: u8,
    /// The cached value is newer than the slot.
    pub(crate) dirty: bool,
    /// Bits 32-63 of the cached i32 are undefined.
    pub(crate) upper_undefined: bool,
    /// Known to be zero; the slot is not written yet.
    pub(crate) zero: bool,
    /// Its value may be read behind the next label or call.
    pub(crate) carried: bool,
    /// Canonical slot, relative to rbp.
    disp: i32,
    /// Height of the newest alias on the value stack. It may be stale: the entry there must be looked at.
    pub(crate) newest_alias: u32,
}

impl Local {
    pub(crate) fn new(ty: Ty, disp: i32) -> Self {
        Self {
            ty,
            home: NONE,
            cached: NONE,
            dirty: false,
            upper_undefined: false,
            zero: false,
            carried: true,
            disp,
            newest_alias: NO_ALIAS,
        }
    }

    /// Canonical slot.
    #[inline]
    pub(crate) fn slot(&self) -> Addr {
        Addr::Frame(self.disp)
    }

    pub(crate) fn set_disp(&mut self, disp: i32) {
        self.disp = disp;
    }

    /// Displacement of the canonical slot from rbp.
    #[inline]
    pub(crate) fn disp(&self) -> i32 {
        self.disp
    }

    #[inline]
    pub(crate) fn home(&self) -> Option<Reg> {
        (self.home != NONE).then_some(Reg(self.home))
    }

    pub(crate) fn set_home(&mut self, reg: Option<Reg>) {
        self.home = reg.map_or(NONE, |reg| reg.0);
    }

    /// The register that caches it.
    #[inline]
    pub(crate) fn cached(&self) -> Option<Reg> {
        (self.cached != NONE).then_some(Reg(self.cached))
    }

    #[inline]
    pub(crate) fn set_cached(&mut self, reg: Option<Reg>) {
        self.cached = reg.map_or(NONE, |reg| reg.0);
    }

    /// Home or cache.
    #[inline]
    pub(crate) fn reg(&self) -> Option<Reg> {
        self.home().or(self.cached())
    }
}
