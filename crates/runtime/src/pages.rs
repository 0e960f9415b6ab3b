//! Reserved pages with one owner, as a type that threads may hand on and that shows its range; and when files of pages
//! can be had.

use crate::error::RuntimeError;
use region::{Allocation, Protection};
use rustix::mm::{self, MapFlags, ProtFlags};
use std::fmt;
use std::fs::File;
use std::ops::{Deref, DerefMut};

/// Pages of the system, given back when dropped.
pub(crate) struct Pages(Allocation);

// SAFETY: rule MEMORY: an address range with one owner; what is in it is up to the owner.
unsafe impl Send for Pages {}
// SAFETY: rule MEMORY: a shared reference gives out the address and nothing else.
unsafe impl Sync for Pages {}

impl Pages {
    /// Takes zeroed pages from the system.
    pub(crate) fn new(bytes: usize, protection: Protection) -> region::Result<Self> {
        region::alloc(bytes, protection).map(Self)
    }

    /// As `new`, naming the purpose in the error.
    pub(crate) fn reserve(
        bytes: usize,
        protection: Protection,
        what: &str,
    ) -> Result<Self, RuntimeError> {
        Self::new(bytes, protection).map_err(|error| RuntimeError::os(what, error))
    }
}

impl Deref for Pages {
    type Target = Allocation;

    fn deref(&self) -> &Allocation {
        &self.0
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut Allocation {
        &mut self.0
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pages({:x?})", self.0.as_range())
    }
}

/// Maps the first page of a file as executable, for as long as the process lives, and never uses it: profilers see that.
///
/// # Errors
/// What the system says.
pub(crate) fn map_executable_marker(file: &File) -> std::io::Result<()> {
    // SAFETY: rule MEMORY: a fresh mapping, of which nobody has the address.
    unsafe {
        mm::mmap(
            std::ptr::null_mut(),
            MARKER_BYTES,
            ProtFlags::READ | ProtFlags::EXEC,
            MapFlags::PRIVATE,
            file,
            0,
        )
    }?;
    Ok(())
}

/// A page.
const MARKER_BYTES: usize = 4096;

/// Whether memory files may have any size: growing one beyond the process's limit would raise a signal.
pub(crate) fn file_size_unlimited() -> bool {
    rustix::process::getrlimit(rustix::process::Resource::Fsize)
        .current
        .is_none()
}
