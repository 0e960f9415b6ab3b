//! Linear memories, in two styles.
//!
//! **Reserved**: a guard, 4 GiB of address space and another guard, of which the memory's pages are readable and writable.
//! The base never moves; growth changes protection. The last page of the 4 GiB is never given out: optimized code relies on
//! addresses right below the base and right below 4 GiB being out of bounds alike (docs/optimizing.md). **Checked**: a mapping of the memory's size (and some room to grow), which growth may
//! move; code compares every address.

mod image;
mod registry;

pub(crate) use image::{IMAGE_PAGE_BYTES, ImageFile, Run};
pub(crate) use registry::is_memory_address;

use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::pages::Pages;
use region::Protection;
use registry::Registration;
use rustix::mm::{self, MapFlags, MremapFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};
use std::ffi::c_void;
use upshift_abi::{FRONT_GUARD_BYTES, MemoryStyle};

/// Bytes of a WebAssembly page (spec 4.2.8).
pub const WASM_PAGE_BYTES: usize = 65536;
/// Pages that 32-bit addresses reach.
const PAGES_MAX: u64 = 65536;
/// Most pages of a memory in the reserved style.
const RESERVED_PAGES_MAX: u64 = PAGES_MAX - FRONT_BYTES as u64 / WASM_PAGE_BYTES as u64;
/// The guard before the first byte.
const FRONT_BYTES: usize = FRONT_GUARD_BYTES as usize;
/// Address space that 32-bit addresses reach.
const REACH_BYTES: usize = 4 << 30;
/// Behind it, so that constant offsets below 2^31 need no check.
const GUARD_BYTES: u64 = 2 << 30;
/// With less address space than this, memories are checked.
const RESERVED_STYLE_FROM_BYTES: u64 = 64 << 30;
/// A checked memory that grows takes up to this much more than it needs.
const GROWTH_ROOM_BYTES: usize = 64 << 20;

static ZERO_PAGE: [u8; IMAGE_PAGE_BYTES] = [0; IMAGE_PAGE_BYTES];

/// A linear memory: zeroed at first, given back when dropped.
#[derive(Debug)]
pub struct LinearMemory {
    // Before the mapping: an address is off the list before somebody else may get it.
    registration: Registration,
    mapping: Mapping,
    pages: u64,
    maximum_pages: u64,
}

#[derive(Debug)]
enum Mapping {
    Reserved(Pages),
    Checked(GrowableMap),
}

impl LinearMemory {
    /// A memory of `minimum_pages` pages, zeroed, which grows up to `maximum_pages` (or as far as addresses reach).
    ///
    /// # Errors
    /// `Limit` if it is larger than addresses reach (in the reserved style a page less), `Resource` if the system refuses.
    pub fn new(
        style: MemoryStyle,
        minimum_pages: u64,
        maximum_pages: Option<u64>,
    ) -> Result<Self, RuntimeError> {
        let pages_max = match style {
            MemoryStyle::Reserved { .. } => RESERVED_PAGES_MAX,
            MemoryStyle::Checked => PAGES_MAX,
        };
        if minimum_pages > pages_max {
            let message =
                format!("a memory of {minimum_pages} pages is larger than {pages_max} pages");
            return Err(RuntimeError::new(RuntimeErrorKind::Limit, message));
        }
        let bytes = byte_count(minimum_pages);
        let (mapping, listed) = match style {
            MemoryStyle::Reserved { guard_bytes } => {
                let guard = usize::try_from(guard_bytes).unwrap_or(usize::MAX);
                let reserve = (FRONT_BYTES + REACH_BYTES).saturating_add(guard);
                let mut pages = Pages::new(reserve, Protection::NONE)
                    .map_err(|error| refused(reserve, error))?;
                commit(&mut pages, 0, bytes).map_err(|error| refused(bytes, error))?;
                let listed = pages.as_range();
                (Mapping::Reserved(pages), listed)
            }
            MemoryStyle::Checked => {
                let map = GrowableMap::new(bytes).map_err(|error| refused(bytes, error))?;
                let listed = map.range();
                (Mapping::Checked(map), listed)
            }
        };
        Ok(Self {
            registration: Registration::new(listed),
            mapping,
            pages: minimum_pages,
            maximum_pages: maximum_pages.unwrap_or(pages_max).min(pages_max),
        })
    }

    /// Grows by zeroed pages. The old size in pages, or none (and nothing changed) when the maximum or the system forbids
    /// it. Moves the base if the style is checked.
    pub fn grow(&mut self, delta_pages: u64) -> Option<u64> {
        let old = self.pages;
        let new = old
            .checked_add(delta_pages)
            .filter(|&pages| pages <= self.maximum_pages)?;
        let (from, to) = (byte_count(old), byte_count(new));
        match &mut self.mapping {
            Mapping::Reserved(pages) => commit(pages, from, to).ok()?,
            Mapping::Checked(map) => {
                let before = map.range();
                map.grow(to).ok()?;
                if map.range() != before {
                    self.registration.change(map.range());
                }
            }
        }
        self.pages = new;
        Some(old)
    }

    /// Replaces zeroed pages by those of a run. Nobody has written or refers to them; the run lies within the memory.
    /// False, with nothing changed, if the system refuses.
    pub(crate) fn map_run(&mut self, file: &ImageFile, run: &Run) -> bool {
        let end = run.memory_at.checked_add(run.bytes);
        assert!(
            end.is_some_and(|end| end <= self.bytes()),
            "an image is within the memory's size"
        );
        if let Mapping::Checked(map) = &mut self.mapping {
            map.in_pieces = true;
        }
        // SAFETY: rule MEMORY: the pages are readable and writable, inside our own mapping, and exclusively borrowed; both
        // parts begin at whole pages.
        unsafe { file.map_over(self.base().add(run.memory_at), run) }
    }

    /// The first byte; never null.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        match &self.mapping {
            Mapping::Reserved(pages) => pages.as_ptr::<u8>().cast_mut().wrapping_add(FRONT_BYTES),
            Mapping::Checked(map) => map.base,
        }
    }

    /// Size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        byte_count(self.pages)
    }

    /// Size in pages.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Greatest size in pages that `grow` allows.
    #[must_use]
    pub fn maximum_pages(&self) -> u64 {
        self.maximum_pages
    }

    /// Whether an address lies in the memory or its guard.
    #[must_use]
    pub fn contains(&self, addr: usize) -> bool {
        self.range().contains(&addr)
    }

    fn range(&self) -> std::ops::Range<usize> {
        match &self.mapping {
            Mapping::Reserved(pages) => pages.as_range(),
            Mapping::Checked(map) => map.range(),
        }
    }
}

/// Sizes of at most 65,536 pages.
fn byte_count(pages: u64) -> usize {
    usize::try_from(pages).unwrap_or(usize::MAX) * WASM_PAGE_BYTES
}

/// Makes the bytes `from..to` of the memory in a reservation usable.
fn commit(pages: &mut Pages, from: usize, to: usize) -> region::Result<()> {
    if from == to {
        return Ok(());
    }
    // SAFETY: rule MEMORY: the range lies in the reservation; it was inaccessible, so nobody relies on its protection.
    unsafe {
        let start = pages.as_mut_ptr::<u8>().add(FRONT_BYTES + from);
        region::protect(start, to - from, Protection::READ_WRITE)
    }
}

#[cold]
fn refused(bytes: usize, error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::new(
        RuntimeErrorKind::Resource,
        format!("the system refuses {bytes} bytes for a linear memory: {error}"),
    )
}

/// Zeroed pages that can move when they grow.
#[derive(Debug)]
struct GrowableMap {
    base: *mut u8,
    capacity: usize,
    /// An image lies over a part of it, so the system has several mappings, which it does not move as one.
    in_pieces: bool,
}

// SAFETY: rule MEMORY: the mapping has one owner.
unsafe impl Send for GrowableMap {}
// SAFETY: rule MEMORY: shared references give out the base and nothing else.
unsafe impl Sync for GrowableMap {}

impl GrowableMap {
    fn new(bytes: usize) -> rustix::io::Result<Self> {
        // At least a page, so that an empty memory has a base too.
        let capacity = bytes.max(WASM_PAGE_BYTES);
        // SAFETY: rule MEMORY: a fresh mapping.
        let base = unsafe {
            mm::mmap_anonymous(
                std::ptr::null_mut(),
                capacity,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        Ok(Self {
            base: base.cast(),
            capacity,
            in_pieces: false,
        })
    }

    /// Room for `bytes` at least: half as much again if the system lets us, else exactly that.
    fn grow(&mut self, bytes: usize) -> rustix::io::Result<()> {
        if bytes <= self.capacity {
            return Ok(());
        }
        let room = (self.capacity / 2).min(GROWTH_ROOM_BYTES);
        let room = room - room % WASM_PAGE_BYTES;
        let generous = bytes.max((self.capacity + room).min(REACH_BYTES));
        self.resize(generous).or_else(|_| self.resize(bytes))
    }

    fn resize(&mut self, bytes: usize) -> rustix::io::Result<()> {
        if self.in_pieces {
            return self.copy_out(bytes);
        }
        // SAFETY: rule MEMORY: the mapping is ours; nobody holds its address across growth in this style.
        let base = unsafe {
            mm::mremap(
                self.base.cast::<c_void>(),
                self.capacity,
                bytes,
                MremapFlags::MAYMOVE,
            )?
        };
        self.base = base.cast();
        self.capacity = bytes;
        Ok(())
    }

    /// Moves the content to a mapping in one piece.
    fn copy_out(&mut self, bytes: usize) -> rustix::io::Result<()> {
        let fresh = Self::new(bytes)?;
        // SAFETY: rule MEMORY: both mappings are ours, readable and writable, and at least `capacity` bytes long, for
        // growth is beyond the capacity; no code runs that could use them.
        let (from, to) = unsafe {
            (
                std::slice::from_raw_parts(self.base, self.capacity),
                std::slice::from_raw_parts_mut(fresh.base, self.capacity),
            )
        };
        let pages = from.chunks_exact(IMAGE_PAGE_BYTES);
        for (from, to) in pages.zip(to.chunks_exact_mut(IMAGE_PAGE_BYTES)) {
            // The target is zeroed; a page that nobody touches costs nothing.
            if *from != ZERO_PAGE {
                to.copy_from_slice(from);
            }
        }
        *self = fresh;
        Ok(())
    }

    fn range(&self) -> std::ops::Range<usize> {
        let start = self.base.addr();
        start..start + self.capacity
    }
}

impl Drop for GrowableMap {
    fn drop(&mut self) {
        // SAFETY: rule MEMORY: the mapping is ours and goes with its owner. A failure leaks it, no more.
        let _ = unsafe { mm::munmap(self.base.cast::<c_void>(), self.capacity) };
    }
}

/// The reserved style with this runtime's guard.
#[must_use]
pub fn reserved_memory_style() -> MemoryStyle {
    MemoryStyle::Reserved {
        guard_bytes: GUARD_BYTES,
    }
}

/// The style that fits this process: reserved, unless its address space is limited or a trial reservation fails.
#[must_use]
pub fn probe_memory_style() -> MemoryStyle {
    let limited = getrlimit(Resource::As)
        .current
        .is_some_and(|limit| limit < RESERVED_STYLE_FROM_BYTES);
    let style = reserved_memory_style();
    if limited || LinearMemory::new(style, 1, None).is_err() {
        MemoryStyle::Checked
    } else {
        style
    }
}

#[cfg(test)]
mod tests {
    use super::{LinearMemory, WASM_PAGE_BYTES, is_memory_address, probe_memory_style};
    use crate::error::RuntimeErrorKind;
    use upshift_abi::MemoryStyle;

    const RESERVED: MemoryStyle = MemoryStyle::Reserved {
        guard_bytes: 2 << 30,
    };

    /// A byte of the memory, read and written where code would.
    fn touch(memory: &LinearMemory, at: usize, value: u8) -> u8 {
        assert!(at < memory.bytes());
        // SAFETY: rule MEMORY: within the size, and nobody else has the memory.
        unsafe {
            let byte = memory.base().add(at);
            let old = byte.read();
            byte.write(value);
            old
        }
    }

    #[test]
    fn grows_with_zeroes_up_to_the_maximum() {
        for style in [RESERVED, MemoryStyle::Checked] {
            for (minimum, maximum) in [(0, Some(70)), (1, Some(40)), (3, None)] {
                let mut memory = LinearMemory::new(style, minimum, maximum).unwrap();
                let mut pages = minimum;
                for delta in [0, 1, 1, 5, 30] {
                    assert_eq!(memory.grow(delta), Some(pages), "{style:?}");
                    pages += delta;
                    assert_eq!(memory.pages(), pages);
                    let end = usize::try_from(pages).unwrap() * WASM_PAGE_BYTES;
                    assert_eq!(memory.bytes(), end);
                    if delta > 0 {
                        assert_eq!(touch(&memory, end - 1, 7), 0, "{style:?}");
                    }
                }
                assert_eq!(memory.grow(100_000), None);
                assert_eq!(memory.grow(u64::MAX), None);
                let room = memory.maximum_pages() - pages;
                assert_eq!(memory.grow(room + 1), None);
                assert_eq!(memory.pages(), pages, "a refused growth changes nothing");
                let end = memory.bytes();
                assert_eq!(touch(&memory, end - 1, 8), 7, "growth keeps the content");
            }
        }
    }

    #[test]
    fn reserved_never_moves_and_has_a_guard() {
        let mut memory = LinearMemory::new(RESERVED, 1, None).unwrap();
        let base = memory.base();
        assert_eq!(memory.grow(1000), Some(1));
        assert_eq!(memory.base(), base);
        let (first, last) = (base.addr() - 65536, base.addr() + (6 << 30) - 1);
        assert!(memory.contains(first) && !memory.contains(first - 1));
        assert!(memory.contains(last) && !memory.contains(last + 1));
        assert!(is_memory_address(first) && is_memory_address(last));
    }

    #[test]
    fn checked_is_listed_where_it_moved() {
        let mut memory = LinearMemory::new(MemoryStyle::Checked, 1, None).unwrap();
        for _ in 0..100 {
            memory.grow(7).unwrap();
            assert!(is_memory_address(memory.base().addr()));
            assert!(is_memory_address(memory.base().addr() + memory.bytes() - 1));
        }
    }

    #[test]
    fn too_large_is_a_limit() {
        for (style, pages) in [(RESERVED, 65535), (MemoryStyle::Checked, 65536)] {
            let error = LinearMemory::new(style, pages + 1, None).unwrap_err();
            assert_eq!(error.kind(), RuntimeErrorKind::Limit);
            let mut whole = LinearMemory::new(style, pages, Some(65536)).unwrap();
            assert_eq!(touch(&whole, whole.bytes() - 1, 1), 0);
            assert_eq!(whole.grow(1), None);
            assert_eq!(whole.grow(0), Some(pages));
        }
    }

    #[test]
    fn the_probe_gives_a_style_that_works() {
        assert!(LinearMemory::new(probe_memory_style(), 1, Some(2)).is_ok());
    }
}
