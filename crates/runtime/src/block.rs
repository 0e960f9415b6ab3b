//! Memory that generated code points into, so it must neither move nor be seen through a Rust
//! reference for long: zeroed blocks and pinned single values.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Alignment of a block: that of a table entry, the strictest thing in one.
const BLOCK_ALIGN: usize = 32;
/// What the allocator is asked for: up to this alignment it hands out untouched zero pages.
const ALLOCATOR_ALIGN: usize = 16;

/// A zeroed block that stays where it is. Pages that nobody touches stay uncommitted.
pub(crate) struct ZeroedBlock {
    allocation: NonNull<u8>,
    layout: Layout,
    base: NonNull<u8>,
    bytes: usize,
}

impl ZeroedBlock {
    /// Allocates a block, or none if the system refuses.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let padded = bytes.checked_add(BLOCK_ALIGN)?;
        let layout = Layout::from_size_align(padded, ALLOCATOR_ALIGN).ok()?;
        // SAFETY: rule ALLOC: the layout's size is not zero.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let skip = allocation.as_ptr().align_offset(BLOCK_ALIGN);
        debug_assert!(skip < BLOCK_ALIGN);
        // SAFETY: rule ALLOC: `skip` is less than the padding.
        let base = unsafe { allocation.add(skip) };
        Some(Self {
            allocation,
            layout,
            base,
            bytes,
        })
    }

    /// First byte, 32-aligned.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Where a `T` lies at this offset.
    ///
    /// # Panics
    /// If it would be out of bounds or misaligned: layouts are computed, so that is a bug.
    pub(crate) fn place<T>(&self, offset: u32) -> NonNull<T> {
        let offset = offset as usize;
        let fits = offset
            .checked_add(size_of::<T>())
            .is_some_and(|end| end <= self.bytes);
        assert!(
            fits && offset.is_multiple_of(align_of::<T>()),
            "a place in its block"
        );
        // SAFETY: rule ALLOC: the offset was just found to be in bounds.
        unsafe { self.base.add(offset) }.cast()
    }
}

impl Drop for ZeroedBlock {
    fn drop(&mut self) {
        // SAFETY: rule ALLOC: allocated in `new` with this layout; owned, so freed once.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) }
    }
}

/// A value on the heap that raw pointers refer to. Unlike a `Box` it promises nothing about
/// uniqueness, so moving it does not end the life of those pointers.
pub(crate) struct Pinned<T>(NonNull<T>);

impl<T> Pinned<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    pub(crate) fn ptr(&self) -> NonNull<T> {
        self.0
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        // SAFETY: rule ALLOC: leaked in `new`; owned, so freed once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

#[cfg(test)]
mod tests {
    use super::ZeroedBlock;

    #[test]
    fn blocks_are_zero_and_aligned() {
        for bytes in [0_usize, 1, 31, 4096, 10 << 20] {
            let block = ZeroedBlock::new(bytes).expect("memory");
            assert!(block.base().addr().get().is_multiple_of(32));
            if bytes >= 4096 {
                let last = block.place::<u64>(u32::try_from(bytes - 8).expect("small"));
                // SAFETY: rule ALLOC: inside the block.
                assert_eq!(unsafe { last.read() }, 0);
            }
        }
        assert!(ZeroedBlock::new(usize::MAX).is_none());
    }
}
