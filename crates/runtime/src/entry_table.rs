//! Entry tables (skeleton).

use crate::code_space::{CodePtr, CodeSpace, PublishedCode};
use std::sync::Arc;
use upshift_abi::EntrySlot;

/// The entry slots of a module's defined functions.
#[derive(Debug)]
pub struct EntryTable {
    space: Arc<CodeSpace>,
}

impl EntryTable {
    /// Installs.
    ///
    /// # Panics
    /// Bad index.
    pub fn install(&self, defined: u32, code: &PublishedCode) {
        let _ = (defined, code, &self.space);
        unimplemented!()
    }
    /// What the slot holds.
    ///
    /// # Panics
    /// Bad index.
    #[must_use]
    pub fn load(&self, defined: u32) -> CodePtr {
        let _ = defined;
        unimplemented!()
    }
    /// Whether the slot still holds the lazy stub.
    #[must_use]
    pub fn is_lazy(&self, defined: u32) -> bool {
        let _ = defined;
        unimplemented!()
    }
    /// First slot.
    #[must_use]
    pub fn base(&self) -> *const EntrySlot {
        unimplemented!()
    }
    /// One slot.
    #[must_use]
    pub fn slot(&self, defined: u32) -> *const EntrySlot {
        let _ = defined;
        unimplemented!()
    }
}
