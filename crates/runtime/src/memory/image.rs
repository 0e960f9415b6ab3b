//! The initial content of memories as pages of a file, which instances map instead of copying it.
//!
//! An [`ImageFile`] is a sealed memory file: nobody can write or shorten it any more. A memory maps [`Run`]s of it
//! privately: reads show the file, and the first write to a page gives that memory a copy of the page. The mapping keeps
//! the pages alive, with or without the file's descriptor.

use crate::pages::file_size_unlimited;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};
use std::ffi::c_void;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Bytes of a page of the system, the unit of images.
pub(crate) const IMAGE_PAGE_BYTES: usize = 4096;

/// Whole pages of a memory and where the file has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    pub(crate) memory_at: usize,
    pub(crate) file_at: u64,
    pub(crate) bytes: usize,
}

/// A memory file that never changes again.
#[derive(Debug)]
pub(crate) struct ImageFile(File);

impl ImageFile {
    /// A file of `bytes`, zero but for `pieces`, which are written in order. None if the system refuses.
    pub(crate) fn new<'a>(
        bytes: u64,
        pieces: impl IntoIterator<Item = (u64, &'a [u8])>,
    ) -> Option<Self> {
        if !file_size_unlimited() {
            return None;
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("upshift-data", flags).ok()?);
        file.set_len(bytes).ok()?;
        for (at, piece) in pieces {
            file.write_all_at(piece, at).ok()?;
        }
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals).ok()?;
        Some(Self(file))
    }

    /// Replaces the pages at `target` by a private copy of a run. False, with nothing changed, if the system refuses.
    ///
    /// # Safety
    /// The caller owns the pages, which are anonymous, readable, writable and zeroed. Nobody else uses them meanwhile.
    pub(super) unsafe fn map_over(&self, target: *mut u8, run: &Run) -> bool {
        let target = target.cast::<c_void>();
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: rule MEMORY: replaces pages of the caller's. The file is as long as its runs and sealed, so that no access
        // fails for want of a page of it.
        let mapped =
            unsafe { mm::mmap(target, run.bytes, protection, flags, &self.0, run.file_at) };
        if mapped.is_ok() {
            return true;
        }
        // Some systems have taken the old pages away before they refuse new ones. Changing the protection to what it is fails
        // just then.
        // SAFETY: rule MEMORY: the pages are the caller's, or nobody's.
        let whole = unsafe {
            mm::mprotect(
                target,
                run.bytes,
                MprotectFlags::READ | MprotectFlags::WRITE,
            )
        };
        if whole.is_err() {
            // SAFETY: rule MEMORY: puts zeroed pages where the caller's were.
            let restored = unsafe { mm::mmap_anonymous(target, run.bytes, protection, flags) };
            if restored.is_err() {
                // A memory with a hole, which somebody else's mapping may fill, must not be.
                std::process::abort();
            }
        }
        false
    }
}
