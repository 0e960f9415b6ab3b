//! Published code (skeleton).

use crate::arch::LibcallTable;
use crate::entry_table::EntryTable;
use crate::error::RuntimeError;
use std::ptr::NonNull;
use std::sync::Arc;
use upshift_abi::{CompiledFunc, EntrySlot, Tier};
use upshift_module::{FuncIndex, FuncType};

/// An address in published code, or of a stub.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CodePtr(pub(crate) NonNull<u8>);
// SAFETY: rule CODE: a code pointer is only an address; using it as code is `enter`'s business.
unsafe impl Send for CodePtr {}
// SAFETY: as above.
unsafe impl Sync for CodePtr {}

impl CodePtr {
    /// The address.
    #[must_use]
    pub fn addr(self) -> usize {
        self.0.as_ptr().addr()
    }
    /// As a pointer.
    #[must_use]
    pub fn as_ptr(self) -> *const u8 {
        self.0.as_ptr()
    }
    /// From a pointer, none for null.
    #[must_use]
    pub fn new(ptr: *const u8) -> Option<Self> {
        NonNull::new(ptr.cast_mut()).map(Self)
    }
}

/// Whose code it is: an opaque word that lookups give back (the runtime puts the address of its
/// `LoadedModule` there).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CodeOwner(pub usize);

/// How a [`CodeSpace`] is made.
#[derive(Clone, Debug)]
pub struct CodeSpaceOptions {
    /// Address space for entry tables and code, in bytes; at most 2 GiB, halved until it fits.
    pub reserve_bytes: usize,
    /// Whether code is written through a second mapping of a memory file; else pages are copied,
    /// written, protected and moved into place.
    pub dual_mapping: bool,
    /// Whether the addresses of freed code are never used again, so that a stale pointer hits `int3`.
    pub quarantine: bool,
}

impl Default for CodeSpaceOptions {
    fn default() -> Self {
        Self {
            reserve_bytes: 1 << 30,
            dual_mapping: true,
            quarantine: false,
        }
    }
}

/// Sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CodeSpaceStats {
    /// Address space reserved for entry tables and code.
    pub reserved_bytes: usize,
    /// Pages that hold code or stubs, or held them once.
    pub committed_bytes: usize,
    /// Code and stubs that are published now.
    pub live_bytes: usize,
    /// Published in total by the baseline tier.
    pub published_baseline_bytes: usize,
    /// Published in total by the optimizing tier.
    pub published_optimizing_bytes: usize,
}

impl CodeSpaceStats {
    /// Bytes published in total by a tier.
    #[must_use]
    pub fn published_bytes(&self, tier: Tier) -> usize {
        match tier {
            Tier::Baseline => self.published_baseline_bytes,
            Tier::Optimizing => self.published_optimizing_bytes,
        }
    }
}

/// One per engine.
#[derive(Debug)]
pub struct CodeSpace {}

impl CodeSpace {
    /// Reserves.
    ///
    /// # Errors
    /// `Os`.
    pub fn new(
        options: &CodeSpaceOptions,
        libcalls: &LibcallTable,
    ) -> Result<Arc<Self>, RuntimeError> {
        let _ = (options, libcalls);
        unimplemented!()
    }
    /// A table for the defined functions of a module, the first of which has index `first_index`.
    ///
    /// # Errors
    /// `Resource`.
    pub fn entry_table(
        self: &Arc<Self>,
        defined_funcs: u32,
        first_index: u32,
    ) -> Result<EntryTable, RuntimeError> {
        let _ = (defined_funcs, first_index);
        unimplemented!()
    }
    /// Writes and links; not installed.
    ///
    /// # Errors
    /// `Resource`.
    pub fn publish(
        self: &Arc<Self>,
        code: &CompiledFunc,
        entries: &EntryTable,
        owner: CodeOwner,
    ) -> Result<PublishedCode, RuntimeError> {
        let _ = (code, entries, owner);
        unimplemented!()
    }
    /// Gives the bytes back.
    ///
    /// # Safety
    /// Nobody runs it, has a frame in it, or will call it.
    pub unsafe fn free(&self, code: PublishedCode) {
        let _ = code;
    }
    /// The stub that calls host functions of this type.
    ///
    /// # Errors
    /// `Resource`.
    pub fn host_stub(self: &Arc<Self>, ty: &FuncType) -> Result<HostStub, RuntimeError> {
        let _ = ty;
        unimplemented!()
    }
    /// Sizes.
    #[must_use]
    pub fn stats(&self) -> CodeSpaceStats {
        unimplemented!()
    }
}

/// Code that is executable and can be installed. Dropping it leaks the bytes: give it to [`CodeSpace::free`].
#[derive(Debug)]
#[must_use]
pub struct PublishedCode {
    entry: CodePtr,
    func: FuncIndex,
    tier: Tier,
    bytes: u32,
}

impl PublishedCode {
    /// The entry.
    #[must_use]
    pub fn entry(&self) -> CodePtr {
        self.entry
    }
    /// Which function.
    #[must_use]
    pub fn func(&self) -> FuncIndex {
        self.func
    }
    /// By which compiler.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }
    /// Size of code and constants in bytes.
    #[must_use]
    pub fn code_bytes(&self) -> u32 {
        self.bytes
    }
}

/// A stub through which wasm calls host functions of one signature shape. Lives as long as its code space.
#[derive(Clone, Copy, Debug)]
pub struct HostStub {
    slot: *const EntrySlot,
}
// SAFETY: rule CODE: the slot is immutable once the stub is handed out.
unsafe impl Send for HostStub {}
// SAFETY: as above.
unsafe impl Sync for HostStub {}

impl HostStub {
    /// An entry slot that holds the stub.
    #[must_use]
    pub fn slot(&self) -> *const EntrySlot {
        self.slot
    }
}
