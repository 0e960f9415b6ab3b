//! Handles of what is published.

use std::ptr::NonNull;
use upshift_abi::{CodeKind, CompiledFunc, EntrySlot, Tier};
use upshift_module::FuncIndex;

/// An address in published code, or of a stub.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CodePtr(NonNull<u8>);

// SAFETY: rule CODE: only an address; running it is `enter`'s business.
unsafe impl Send for CodePtr {}
// SAFETY: as above.
unsafe impl Sync for CodePtr {}

impl CodePtr {
    /// From a pointer; none for null.
    #[must_use]
    pub fn new(ptr: *const u8) -> Option<Self> {
        NonNull::new(ptr.cast_mut()).map(Self)
    }

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
}

/// Whose code it is: an opaque word that lookups give back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CodeOwner(pub usize);

/// Code that is executable and can be installed. Dropping it leaks the bytes: give it to
/// [`CodeSpace::free`](crate::CodeSpace::free).
#[derive(Debug)]
#[must_use]
pub struct PublishedCode {
    entry: CodePtr,
    func: FuncIndex,
    tier: Tier,
    kind: CodeKind,
    bytes: u32,
}

impl PublishedCode {
    pub(super) fn new(entry: CodePtr, code: &CompiledFunc) -> Self {
        Self {
            entry,
            func: code.func,
            tier: code.tier,
            kind: code.kind,
            bytes: u32::try_from(code.code.len()).unwrap_or(u32::MAX),
        }
    }

    /// Where it starts.
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

    /// How it is entered.
    #[must_use]
    pub fn kind(&self) -> CodeKind {
        self.kind
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
    pub(super) slot: NonNull<EntrySlot>,
}

// SAFETY: rule CODE: the slot never changes once the stub is handed out.
unsafe impl Send for HostStub {}
// SAFETY: as above.
unsafe impl Sync for HostStub {}

impl HostStub {
    /// An entry slot that holds the stub, for import entries and function records.
    #[must_use]
    pub fn slot(&self) -> *const EntrySlot {
        self.slot.as_ptr()
    }
}
