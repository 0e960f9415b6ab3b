//! Linear memories (skeleton).

use crate::error::RuntimeError;
use upshift_abi::MemoryStyle;

/// Bytes of a WebAssembly page (spec 4.2.8).
pub const WASM_PAGE_BYTES: usize = 65536;

/// A linear memory: zeroed at first, given back when dropped.
#[derive(Debug)]
pub struct LinearMemory {}

impl LinearMemory {
    /// Sizes in pages.
    ///
    /// # Errors
    /// `Resource` when the system refuses.
    pub fn new(
        style: MemoryStyle,
        minimum_pages: u64,
        maximum_pages: Option<u64>,
    ) -> Result<Self, RuntimeError> {
        let _ = (style, minimum_pages, maximum_pages);
        unimplemented!()
    }
    /// Grows; the old size in pages, or none when the maximum or the system forbids it. Moves the base if the style is checked.
    pub fn grow(&mut self, delta_pages: u64) -> Option<u64> {
        let _ = delta_pages;
        None
    }
    /// First byte; never null.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        unimplemented!()
    }
    /// Size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }
    /// Size in pages.
    #[must_use]
    pub fn pages(&self) -> u64 {
        unimplemented!()
    }
    /// Whether the address lies in the memory or its guard.
    #[must_use]
    pub fn contains(&self, addr: usize) -> bool {
        let _ = addr;
        unimplemented!()
    }
}

/// The style that fits this process.
#[must_use]
pub fn probe_memory_style() -> MemoryStyle {
    unimplemented!()
}
