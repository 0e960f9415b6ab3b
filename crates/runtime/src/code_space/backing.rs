//! The pages of a code space: one reservation, entry tables first, code behind them.
//!
//! ```text
//!   base ... tables_bytes ................ len
//!   | entry tables, RW | code, read + execute |        | code, read + write |
//!                        \_______ one memory file, mapped twice ___________/
//! ```
//!
//! No address is ever writable and executable. Where a memory file is refused, pages of code are private: a
//! writer copies the pages in question to a scratch mapping, changes them there, makes them executable, and moves
//! them over the old ones, which the system does in one step for all threads.

use crate::error::{RuntimeError, RuntimeErrorKind};
use crate::pages::{Pages, file_size_unlimited};
use region::Protection;
use rustix::mm::{self, MapFlags, MprotectFlags, MremapFlags, ProtFlags};
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

/// Bytes of a page.
pub(super) const PAGE_BYTES: usize = 4096;
/// Entry tables are committed in steps of this many bytes.
const TABLE_STEP_BYTES: usize = 64 << 10;
/// `int3`: what freed and unused bytes of code hold.
pub(super) const INT3: u8 = 0xcc;

/// The reserved pages.
#[derive(Debug)]
pub(super) struct Backing {
    writer: Writer,
    tables_bytes: usize,
    tables_committed: Mutex<usize>,
    reservation: Pages,
}

// SAFETY: rule CODE: the pages are shared by design; every writer has a range of its own from the allocator.
unsafe impl Send for Backing {}
// SAFETY: as above.
unsafe impl Sync for Backing {}

#[derive(Debug)]
enum Writer {
    /// The second mapping of the memory file.
    Dual(WritableView),
    /// Offsets of the code pages that are committed.
    Moved(Mutex<BTreeSet<usize>>),
}

#[derive(Debug)]
struct WritableView {
    base: *mut u8,
    bytes: usize,
}

impl Drop for WritableView {
    fn drop(&mut self) {
        // SAFETY: rule CODE: the mapping is ours and nobody writes any more. A failure leaks address space, no more.
        let _ = unsafe { mm::munmap(self.base.cast::<c_void>(), self.bytes) };
    }
}

impl Backing {
    /// Reserves `bytes`, or half of it, and so on down to 1 MiB.
    pub(super) fn new(bytes: usize, dual: bool) -> Result<Self, RuntimeError> {
        let mut bytes = bytes.clamp(1 << 20, 2 << 30).next_multiple_of(1 << 20);
        loop {
            match Self::reserve(bytes, dual) {
                Ok(backing) => return Ok(backing),
                Err(error) if bytes <= 1 << 20 => return Err(error),
                Err(_) => bytes = (bytes / 2).next_multiple_of(1 << 20),
            }
        }
    }

    fn reserve(bytes: usize, dual: bool) -> Result<Self, RuntimeError> {
        let mut reservation =
            Pages::reserve(bytes, Protection::NONE, "reserving address space for code")?;
        let tables_bytes = bytes / 8;
        // SAFETY: rule CODE: inside the reservation.
        let code = unsafe { reservation.as_mut_ptr::<u8>().add(tables_bytes) };
        let file = if dual && file_size_unlimited() {
            map_file(code, bytes - tables_bytes)
        } else {
            None
        };
        let writer = match file {
            Some(view) => Writer::Dual(view),
            None => Writer::Moved(Mutex::new(BTreeSet::new())),
        };
        Ok(Self {
            writer,
            tables_bytes,
            tables_committed: Mutex::new(0),
            reservation,
        })
    }

    /// Everything, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.reservation.len()
    }

    /// First byte of the tables.
    pub(super) fn tables(&self) -> *mut u8 {
        self.reservation.as_ptr::<u8>().cast_mut()
    }

    /// Room for tables in bytes.
    pub(super) fn tables_bytes(&self) -> usize {
        self.tables_bytes
    }

    /// First byte of code, in the executable view.
    pub(super) fn code(&self) -> *mut u8 {
        // SAFETY: rule CODE: inside the reservation.
        unsafe { self.tables().add(self.tables_bytes) }
    }

    /// Room for code in bytes.
    pub(super) fn code_bytes(&self) -> usize {
        self.bytes() - self.tables_bytes
    }

    /// Makes the first `end` bytes of the tables usable.
    pub(super) fn commit_tables(&self, end: usize) -> Result<(), RuntimeError> {
        let mut committed = self
            .tables_committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if end <= *committed {
            return Ok(());
        }
        let end = end
            .next_multiple_of(TABLE_STEP_BYTES)
            .min(self.tables_bytes);
        // SAFETY: rule CODE: the range lies in the tables and nobody uses it yet.
        unsafe {
            region::protect(
                self.tables().add(*committed),
                end - *committed,
                Protection::READ_WRITE,
            )
        }
        .map_err(|error| RuntimeError::new(RuntimeErrorKind::Resource, error.to_string()))?;
        *committed = end;
        Ok(())
    }

    /// Makes all of the code area executable for a moment, while nothing is in it: profilers take note of mappings that become
    /// executable, and are told of none when pages are moved.
    pub(super) fn announce(&self) -> Result<(), RuntimeError> {
        for protection in [Protection::READ_EXECUTE, Protection::NONE] {
            // SAFETY: rule CODE: inside the reservation, and nobody has a page of it yet.
            unsafe { region::protect(self.code(), self.code_bytes(), protection) }
                .map_err(|error| RuntimeError::os("showing profilers the code space", error))?;
        }
        Ok(())
    }

    /// Lets `write` fill `bytes` of code at `offset` from the start of code. Nobody else has the range.
    pub(super) fn write(
        &self,
        offset: usize,
        bytes: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<(), RuntimeError> {
        debug_assert!(offset + bytes <= self.code_bytes());
        match &self.writer {
            Writer::Dual(view) => {
                // SAFETY: rule CODE: the range lies in the writable view and belongs to this caller alone; Rust
                // never reads or writes the executable view of it meanwhile.
                let slice = unsafe { std::slice::from_raw_parts_mut(view.base.add(offset), bytes) };
                write(slice);
                Ok(())
            }
            Writer::Moved(committed) => {
                let mut committed = committed.lock().unwrap_or_else(PoisonError::into_inner);
                self.write_moved(&mut committed, offset, bytes, write)
                    .map_err(|error| {
                        RuntimeError::new(
                            RuntimeErrorKind::Resource,
                            format!("committing code pages: {error}"),
                        )
                    })
            }
        }
    }

    fn write_moved(
        &self,
        committed: &mut BTreeSet<usize>,
        offset: usize,
        bytes: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> rustix::io::Result<()> {
        let first = offset - offset % PAGE_BYTES;
        let span = (offset + bytes).next_multiple_of(PAGE_BYTES) - first;
        // SAFETY: rule CODE: a fresh mapping.
        let scratch = unsafe {
            mm::mmap_anonymous(
                std::ptr::null_mut(),
                span,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        }
        .cast::<u8>();
        // SAFETY: rule CODE: the scratch mapping is ours and `span` bytes long.
        let slice = unsafe { std::slice::from_raw_parts_mut(scratch, span) };
        for page in (0..span).step_by(PAGE_BYTES) {
            let target = &mut slice[page..page + PAGE_BYTES];
            if committed.contains(&(first + page)) {
                // SAFETY: rule CODE: a committed page is readable, and the lock keeps other writers out.
                unsafe {
                    std::ptr::copy_nonoverlapping(
                        self.code().add(first + page),
                        target.as_mut_ptr(),
                        PAGE_BYTES,
                    );
                }
            } else {
                target.fill(INT3);
            }
        }
        write(&mut slice[offset - first..offset - first + bytes]);
        // SAFETY: rule CODE: the scratch pages become executable when they are no longer writable, and then replace
        // pages of the reservation that hold the same bytes but for the range that nobody executes yet.
        let moved = unsafe {
            let scratch = scratch.cast::<c_void>();
            mm::mprotect(scratch, span, MprotectFlags::READ | MprotectFlags::EXEC).and_then(|()| {
                let target = self.code().add(first).cast::<c_void>();
                mm::mremap_fixed(scratch, span, span, MremapFlags::MAYMOVE, target)
            })
        };
        if let Err(error) = moved {
            // SAFETY: rule CODE: the move failed, so the scratch mapping is still ours.
            let _ = unsafe { mm::munmap(scratch.cast::<c_void>(), span) };
            return Err(error);
        }
        committed.extend((first..first + span).step_by(PAGE_BYTES));
        Ok(())
    }
}

/// Maps a memory file over `code` (executable) and somewhere else (writable). None if the system refuses any
/// of it; `code` is then as it was, or mapped to a file that nobody can write.
fn map_file(code: *mut u8, bytes: usize) -> Option<WritableView> {
    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    let file = memfd_create("upshift-code", MemfdFlags::CLOEXEC).ok()?;
    ftruncate(&file, bytes as u64).ok()?;
    // SAFETY: rule CODE: a fresh mapping.
    let base = unsafe {
        mm::mmap(
            std::ptr::null_mut(),
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            &file,
            0,
        )
    }
    .ok()?
    .cast::<u8>();
    let view = WritableView { base, bytes };
    // SAFETY: rule CODE: a child process must not write the parent's code; the range is the mapping just made.
    unsafe { mm::madvise(base.cast::<c_void>(), bytes, mm::Advice::LinuxDontFork) }.ok()?;
    // SAFETY: rule CODE: replaces reserved pages that nobody uses yet.
    unsafe {
        mm::mmap(
            code.cast::<c_void>(),
            bytes,
            ProtFlags::READ | ProtFlags::EXEC,
            MapFlags::SHARED | MapFlags::FIXED,
            &file,
            0,
        )
    }
    .ok()?;
    Some(view)
}
