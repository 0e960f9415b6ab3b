//! Entry tables: one code pointer per function, and the only place that holds one.
//!
//! All calls, direct ones from baseline code, indirect ones, calls of imports, read the slot. So a function is
//! swapped by one store, and nothing else is touched. Only code that is never swapped again is called without its
//! slot (`code_space/direct.rs`).

use crate::arch::x64::{LAZY_CHUNK_STUBS, LAZY_STUB_BYTES};
use crate::code_space::{CodePtr, CodeSpace, PublishedCode};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use upshift_abi::{CodeKind, EntrySlot};
use upshift_module::FuncIndex;

/// The entry slots of a module's defined functions, shared by all its instances.
#[derive(Debug)]
pub struct EntryTable {
    space: Arc<CodeSpace>,
    /// `count` slots in the code space.
    ///
    /// Protocol: [`install`](EntryTable::install) is the only writer once the table is made, by one aligned `Release`
    /// store, after the code is written and in the pc map. Generated code reads with a plain load, which on x86-64 is an
    /// acquire; Rust reads with `Acquire`. A slot always holds code that can be entered: at first the
    /// lazy stub of its function.
    base: NonNull<EntrySlot>,
    count: u32,
    first_index: u32,
    /// Chunks of lazy stubs for all indices of this module.
    lazy_chunks: Arc<[usize]>,
}

// SAFETY: rule CODE: slots are atomics, and the code space lives as long as the table.
unsafe impl Send for EntryTable {}
// SAFETY: as above.
unsafe impl Sync for EntryTable {}

impl EntryTable {
    /// Takes over slots and fills them with lazy stubs. `indices` is the first function's index and how many there are.
    pub(crate) fn new(
        space: Arc<CodeSpace>,
        base: NonNull<EntrySlot>,
        indices: (u32, u32),
        lazy_chunks: Arc<[usize]>,
    ) -> Self {
        let (first_index, count) = indices;
        let table = Self {
            space,
            base,
            count,
            first_index,
            lazy_chunks,
        };
        for defined in 0..count {
            let stub = std::ptr::with_exposed_provenance_mut(table.lazy_stub(defined));
            // SAFETY: rule CODE: the slot is one of `count` committed ones that nobody reads yet.
            unsafe {
                base.add(defined as usize)
                    .write(EntrySlot(AtomicPtr::new(stub)))
            };
        }
        table
    }

    /// Address of the lazy stub of a function.
    pub(crate) fn lazy_stub(&self, defined: u32) -> usize {
        let index = (self.first_index + defined) as usize;
        self.lazy_chunks[index / LAZY_CHUNK_STUBS] + index % LAZY_CHUNK_STUBS * LAZY_STUB_BYTES
    }

    fn get(&self, defined: u32) -> &EntrySlot {
        assert!(defined < self.count, "no such defined function: {defined}");
        // SAFETY: rule CODE: inside the table, whose slots were all written when it was made.
        unsafe { self.base.add(defined as usize).as_ref() }
    }

    /// Makes new calls of a function run this code: one aligned release store, nothing else.
    ///
    /// # Panics
    /// If the table has no such function, or the code is another function's, or enters a loop.
    pub fn install(&self, defined: u32, code: &PublishedCode) {
        assert_eq!(
            code.func().0,
            self.first_index + defined,
            "code of another function"
        );
        assert_eq!(code.kind(), CodeKind::Entry, "code that enters a loop");
        let entry = code.entry().as_ptr().cast_mut();
        self.get(defined).0.store(entry, Ordering::Release);
    }

    /// What calls of the function run now.
    ///
    /// # Panics
    /// If the table has no such function.
    #[must_use]
    pub fn load(&self, defined: u32) -> CodePtr {
        CodePtr::new(self.get(defined).0.load(Ordering::Acquire))
            .expect("a slot always holds code: its lazy stub at first")
    }

    /// Whether the function has no code yet: its slot holds the lazy stub.
    ///
    /// # Panics
    /// If the table has no such function.
    #[must_use]
    pub fn is_lazy(&self, defined: u32) -> bool {
        self.load(defined).addr() == self.lazy_stub(defined)
    }

    /// Number of slots.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether the module defines no function.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first slot.
    #[must_use]
    pub fn base(&self) -> *const EntrySlot {
        self.base.as_ptr()
    }

    /// The slot of a defined function.
    ///
    /// # Panics
    /// If the table has no such function.
    #[must_use]
    pub fn slot(&self, defined: u32) -> *const EntrySlot {
        self.get(defined)
    }

    /// Address of the slot of a function, none for an import or an index out of bounds.
    pub(crate) fn slot_of(&self, func: FuncIndex) -> Option<usize> {
        self.defined(func).map(|defined| self.slot(defined).addr())
    }

    /// The function whose slot's address has this lower half; none if it is no slot of this table. All slots of an engine lie within
    /// 2 GiB, so no two have the same.
    pub(crate) fn func_of_low_half(&self, address: u32) -> Option<FuncIndex> {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let first = self.base.as_ptr().addr() as u32;
        let distance = address.wrapping_sub(first) as usize;
        let defined = distance / size_of::<EntrySlot>();
        let defined = u32::try_from(defined).ok()?;
        let is_slot = distance.is_multiple_of(size_of::<EntrySlot>()) && defined < self.count;
        is_slot.then(|| FuncIndex(self.first_index + defined))
    }

    /// Which slot is a function's, none for an import or an index out of bounds.
    pub(crate) fn defined(&self, func: FuncIndex) -> Option<u32> {
        let defined = func.0.checked_sub(self.first_index)?;
        (defined < self.count).then_some(defined)
    }
}

impl Drop for EntryTable {
    fn drop(&mut self) {
        self.space.free_slots(self.base, self.count.max(1));
    }
}
