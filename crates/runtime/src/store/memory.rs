//! Memories of a store: the mapping, and the definition that code reads.

use crate::block::Pinned;
use crate::error::RuntimeError;
use crate::memory::{ImageFile, LinearMemory, Run};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use upshift_abi::{MemoryDef, MemoryStyle};
use upshift_module::MemoryType;

/// A memory of a store.
pub(crate) struct Memory {
    ty: MemoryType,
    linear: LinearMemory,
    def: NonNull<MemoryDef>,
    // Where `def` is, unless it is inside the vmctx of the instance that defines the memory.
    _home: Option<Pinned<MemoryDef>>,
    bytes_max: u64,
}

impl Memory {
    /// Makes a zeroed memory. `place` is where its definition goes, in a vmctx that lives as long as
    /// the memory; none makes a place of its own.
    pub(crate) fn new(
        ty: MemoryType,
        style: MemoryStyle,
        place: Option<NonNull<MemoryDef>>,
        bytes_max: u64,
    ) -> Result<Self, RuntimeError> {
        let linear = LinearMemory::new(style, ty.minimum, ty.maximum)?;
        let home = place.is_none().then(|| {
            Pinned::new(MemoryDef {
                base: Cell::new(std::ptr::null_mut()),
                bytes: AtomicUsize::new(0),
            })
        });
        let def = place
            .or(home.as_ref().map(Pinned::ptr))
            .expect("one of both is there");
        let memory = Self {
            ty,
            linear,
            def,
            _home: home,
            bytes_max,
        };
        memory.publish();
        Ok(memory)
    }

    /// Writes the definition that generated code reads.
    fn publish(&self) {
        // SAFETY: rule DEF: the definition lives as long as the memory; its fields are a cell and an
        // atomic, so a shared reference is enough. A zeroed place in a vmctx is a valid definition.
        let def = unsafe { self.def.as_ref() };
        def.base.set(self.linear.base());
        def.bytes.store(self.linear.bytes(), Ordering::Release);
    }

    /// The definition.
    pub(crate) fn def(&self) -> NonNull<MemoryDef> {
        self.def
    }

    /// First byte, never null.
    pub(crate) fn base(&self) -> *mut u8 {
        self.linear.base()
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.linear.bytes()
    }

    /// The type with the current size in pages as its minimum.
    pub(crate) fn current_type(&self) -> MemoryType {
        MemoryType {
            minimum: self.linear.pages(),
            ..self.ty
        }
    }

    /// The old size in pages, or none if it must not or cannot grow.
    pub(crate) fn grow(&mut self, delta_pages: u64) -> Option<u64> {
        let page = crate::memory::WASM_PAGE_BYTES as u64;
        let wished = self
            .linear
            .pages()
            .checked_add(delta_pages)?
            .checked_mul(page)?;
        if delta_pages > 0 && wished > self.bytes_max {
            return None;
        }
        let old = self.linear.grow(delta_pages)?;
        self.publish();
        Some(old)
    }

    /// Replaces zeroed pages by those of a run; see [`LinearMemory::map_run`]. The base stays.
    pub(crate) fn map_run(&mut self, file: &ImageFile, run: &Run) -> bool {
        self.linear.map_run(file, run)
    }

    /// Address of `count` bytes from `start` on, or none if they are not all inside.
    pub(crate) fn span(&self, start: u64, count: u64) -> Option<*mut u8> {
        let range = crate::table::range(start, count, self.bytes() as u64)?;
        // SAFETY: rule MEMORY: the range is inside the memory.
        Some(unsafe { self.base().add(range.start) })
    }

    /// The content. Nothing else changes it meanwhile: code is outside, and the store is borrowed.
    pub(crate) fn data(&self) -> &[u8] {
        // SAFETY: rule MEMORY: `bytes` bytes at `base` are readable and initialised.
        unsafe { std::slice::from_raw_parts(self.base(), self.bytes()) }
    }

    /// The content.
    pub(crate) fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: rule MEMORY: as in `data`, and exclusively borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.base(), self.bytes()) }
    }
}
