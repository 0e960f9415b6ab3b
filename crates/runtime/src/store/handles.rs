//! Handles: names of things in a store. Copies of two numbers, good for nothing in another store.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which store; unique in the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StoreId(NonZeroU64);

impl StoreId {
    /// The next unused id.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MAX))
    }
}

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct $name {
            pub(crate) store: StoreId,
            pub(crate) index: u32,
        }

        impl $name {
            /// The store that it belongs to.
            #[must_use]
            pub fn store(self) -> StoreId {
                self.store
            }
        }
    )* };
}

handles! {
    /// A function: of an instance, or of the host. Equal handles are the same function.
    FuncHandle;
    /// A linear memory.
    MemoryHandle;
    /// A table.
    TableHandle;
    /// A global.
    GlobalHandle;
    /// An instance of a module.
    InstanceHandle;
    /// A host value that wasm carries as an `externref`. It lives as long as its store.
    ExternRefHandle;
}

/// Anything that can be imported or exported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ExternHandle {
    /// A function.
    Func(FuncHandle),
    /// A table.
    Table(TableHandle),
    /// A memory.
    Memory(MemoryHandle),
    /// A global.
    Global(GlobalHandle),
}

impl ExternHandle {
    /// The store that it belongs to.
    #[must_use]
    pub fn store(self) -> StoreId {
        match self {
            Self::Func(handle) => handle.store,
            Self::Table(handle) => handle.store,
            Self::Memory(handle) => handle.store,
            Self::Global(handle) => handle.store,
        }
    }
}
