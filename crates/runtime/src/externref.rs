//! Host values that wasm carries around as `externref`.
//!
//! The reference is a handle, 1 + the index in the store's list; 0 is null. Values live as long as
//! their store: nothing is collected yet. A made-up handle finds another value or none, never
//! memory that it must not see.

use crate::store::StoreInner;
use crate::store::handles::ExternRefHandle;
use std::any::Any;

/// A value behind an `externref`.
pub type ExternValue = Box<dyn Any + Send + Sync>;

impl StoreInner {
    /// Puts a value into the store, where it stays until the store is dropped.
    ///
    /// # Panics
    /// After 2^32 - 1 values.
    pub fn new_externref(&mut self, value: ExternValue) -> ExternRefHandle {
        let index = u32::try_from(self.externrefs.len())
            .ok()
            .filter(|index| *index < u32::MAX)
            .expect("fewer than 2^32 - 1 references in a store");
        self.externrefs.push(value);
        ExternRefHandle {
            store: self.id,
            index,
        }
    }

    /// The value, or none if the handle is another store's.
    #[must_use]
    pub fn externref(&self, handle: ExternRefHandle) -> Option<&(dyn Any + Send + Sync)> {
        let index = self.index_of(handle.store, handle.index)?;
        self.externrefs.get(index).map(AsRef::as_ref)
    }

    /// The bits that stand for it in wasm, or none if the handle is another store's.
    #[must_use]
    pub fn externref_bits(&self, handle: ExternRefHandle) -> Option<u64> {
        (handle.store == self.id).then_some(u64::from(handle.index) + 1)
    }

    /// The handle of a reference's bits; none for null and for what is no reference of this store.
    #[must_use]
    pub fn externref_of_bits(&self, bits: u64) -> Option<ExternRefHandle> {
        let index = u32::try_from(bits.checked_sub(1)?).ok()?;
        ((index as usize) < self.externrefs.len()).then_some(ExternRefHandle {
            store: self.id,
            index,
        })
    }
}
