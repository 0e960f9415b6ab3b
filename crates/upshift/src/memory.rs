//! Linear memories: [`Memory`].

use crate::error::{Error, ErrorKind, Result};
use crate::store::{AsContext, AsContextMut, StoreContext, StoreContextMut};
use crate::types::MemoryType;
use std::fmt;
use upshift_runtime::{MemoryHandle, StoreInner, WASM_PAGE_BYTES};

/// Pages of 64 KiB that 32-bit addresses reach.
const MAX_PAGES: u64 = 1 << 16;

/// Limits of a memory or table that the host describes (spec 3.2.1).
pub(crate) fn valid_limits(
    what: &str,
    minimum: u64,
    maximum: Option<u64>,
    range: u64,
) -> Result<()> {
    let most = maximum.unwrap_or(range);
    if minimum <= most && most <= range {
        return Ok(());
    }
    let found = match maximum {
        Some(maximum) => format!("{minimum} and {maximum}"),
        None => format!("{minimum} and none"),
    };
    Err(Error::with_kind(
        ErrorKind::Type,
        format!(
            "expected a {what} whose minimum is at most its maximum, and that at most {range}, found {found}"
        ),
    ))
}

/// A memory of a store.
///
/// ```
/// use upshift::{Engine, Memory, MemoryType, Store};
///
/// # fn main() -> upshift::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let memory = Memory::new(&mut store, MemoryType::new(1, Some(2)))?;
/// memory.write(&mut store, 16, b"hello")?;
/// assert_eq!(&memory.data(&store)[16..21], b"hello");
/// assert_eq!(memory.grow(&mut store, 1)?, 1);
/// assert_eq!(memory.data_size(&store), 2 << 16);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory(pub(crate) MemoryHandle);

/// An access outside a memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryAccessError(());

impl fmt::Display for MemoryAccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of bounds memory access")
    }
}

impl std::error::Error for MemoryAccessError {}

impl Memory {
    /// Makes a memory, zeroed.
    ///
    /// # Errors
    /// Kind [`ErrorKind::Type`] if the type is not valid (spec 3.2.1); kind [`ErrorKind::Resource`] if the system
    /// has no room.
    pub fn new(mut store: impl AsContextMut, ty: MemoryType) -> Result<Self> {
        let mut context = store.as_context_mut();
        valid_limits("memory", ty.minimum(), ty.maximum(), MAX_PAGES)?;
        let memory = context.inner_mut().new_memory(ty.0);
        memory.map(Self).map_err(Error::from_runtime)
    }

    /// Its type, with the current size as minimum.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn ty(&self, store: impl AsContext) -> MemoryType {
        self.type_in(store.as_context().inner())
    }

    /// Its bytes.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn data<'a, T: 'a>(&self, store: impl Into<StoreContext<'a, T>>) -> &'a [u8] {
        let data = store.into().inner().memory_data(self.0);
        data.expect("the memory is of this store")
    }

    /// Its bytes.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn data_mut<'a, T: 'a>(&self, store: impl Into<StoreContextMut<'a, T>>) -> &'a mut [u8] {
        let data = store.into().into_inner().memory_data_mut(self.0);
        data.expect("the memory is of this store")
    }

    /// Its bytes and the host's data at once.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn data_and_store_mut<'a, T: 'a>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> (&'a mut [u8], &'a mut T) {
        let (inner, data) = store.into().split();
        let bytes = inner.memory_data_mut(self.0);
        (bytes.expect("the memory is of this store"), data)
    }

    /// The address of its first byte. It changes when the memory grows, unless memories are reserved.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn data_ptr(&self, store: impl AsContext) -> *const u8 {
        let context = store.as_context();
        let data = context.inner().memory_data(self.0);
        data.expect("the memory is of this store").as_ptr()
    }

    /// Its size in bytes.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn data_size(&self, store: impl AsContext) -> usize {
        let context = store.as_context();
        let data = context.inner().memory_data(self.0);
        data.expect("the memory is of this store").len()
    }

    /// Its size in pages of 64 KiB.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn size(&self, store: impl AsContext) -> u64 {
        (self.data_size(store) / WASM_PAGE_BYTES) as u64
    }

    /// Adds pages of zeros; gives the old size in pages.
    ///
    /// # Errors
    /// Kind [`ErrorKind::Limit`] if the maximum or the system forbids it; kind [`ErrorKind::Store`] if it is of another store.
    pub fn grow(&self, mut store: impl AsContextMut, pages: u64) -> Result<u64> {
        let mut context = store.as_context_mut();
        self.check(context.inner())?;
        context
            .inner_mut()
            .memory_grow(self.0, pages)
            .ok_or_else(|| {
                Error::with_kind(
                    ErrorKind::Limit,
                    format!("the memory cannot grow by {pages} pages"),
                )
            })
    }

    /// Copies bytes out of it.
    ///
    /// # Errors
    /// If the range is not within it.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn read(
        &self,
        store: impl AsContext,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<(), MemoryAccessError> {
        let context = store.as_context();
        let data = context.inner().memory_data(self.0);
        let data = data.expect("the memory is of this store");
        let source = offset
            .checked_add(buffer.len())
            .and_then(|end| data.get(offset..end))
            .ok_or(MemoryAccessError(()))?;
        buffer.copy_from_slice(source);
        Ok(())
    }

    /// Copies bytes into it.
    ///
    /// # Errors
    /// If the range is not within it.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn write(
        &self,
        mut store: impl AsContextMut,
        offset: usize,
        buffer: &[u8],
    ) -> Result<(), MemoryAccessError> {
        let mut context = store.as_context_mut();
        let data = context.inner_mut().memory_data_mut(self.0);
        let data = data.expect("the memory is of this store");
        let target = offset
            .checked_add(buffer.len())
            .and_then(|end| data.get_mut(offset..end))
            .ok_or(MemoryAccessError(()))?;
        target.copy_from_slice(buffer);
        Ok(())
    }

    pub(crate) fn type_in(self, store: &StoreInner) -> MemoryType {
        let ty = store.memory_type(self.0);
        MemoryType(ty.expect("the memory is of this store"))
    }

    fn check(self, store: &StoreInner) -> Result<()> {
        if store.memory_type(self.0).is_some() {
            Ok(())
        } else {
            Err(Error::other_store("memory"))
        }
    }
}
