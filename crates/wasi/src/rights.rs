//! Rights of descriptors (witx `rights`), and which ones a guest has given up.
//!
//! The provider knows only whether a file is open for reading and writing. The adapter reports the
//! other rights by the kind of the descriptor, and remembers what `fd_fdstat_set_rights` took away. It
//! enforces only what was taken away, so that a guest which never reduces rights never misses one.

use std::ops::{BitOr, BitOrAssign};

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Rights(u64);

macro_rules! define_rights {
    ($($name:ident = $bit:literal;)*) => {
        impl Rights {
            $(pub(crate) const $name: Self = Self(1 << $bit);)*
        }
    };
}

define_rights! {
    FD_DATASYNC = 0;
    FD_READ = 1;
    FD_SEEK = 2;
    FD_FDSTAT_SET_FLAGS = 3;
    FD_SYNC = 4;
    FD_TELL = 5;
    FD_WRITE = 6;
    FD_ADVISE = 7;
    FD_ALLOCATE = 8;
    PATH_CREATE_DIRECTORY = 9;
    PATH_CREATE_FILE = 10;
    PATH_LINK_SOURCE = 11;
    PATH_LINK_TARGET = 12;
    PATH_OPEN = 13;
    FD_READDIR = 14;
    PATH_READLINK = 15;
    PATH_RENAME_SOURCE = 16;
    PATH_RENAME_TARGET = 17;
    PATH_FILESTAT_GET = 18;
    PATH_FILESTAT_SET_SIZE = 19;
    PATH_FILESTAT_SET_TIMES = 20;
    FD_FILESTAT_GET = 21;
    FD_FILESTAT_SET_SIZE = 22;
    FD_FILESTAT_SET_TIMES = 23;
    PATH_SYMLINK = 24;
    PATH_REMOVE_DIRECTORY = 25;
    PATH_UNLINK_FILE = 26;
    POLL_FD_READWRITE = 27;
    SOCK_SHUTDOWN = 28;
    SOCK_ACCEPT = 29;
}

impl Rights {
    /// `fd_pread` needs both.
    pub(crate) const FD_READ_AT: Self = Self(Self::FD_READ.0 | Self::FD_SEEK.0);
    /// `fd_pwrite` needs both.
    pub(crate) const FD_WRITE_AT: Self = Self(Self::FD_WRITE.0 | Self::FD_SEEK.0);
    /// What every file has besides reading, writing and seeking.
    pub(crate) const FILE: Self = Self(
        Self::FD_DATASYNC.0
            | Self::FD_FDSTAT_SET_FLAGS.0
            | Self::FD_SYNC.0
            | Self::FD_ADVISE.0
            | Self::FD_ALLOCATE.0
            | Self::FD_FILESTAT_GET.0
            | Self::FD_FILESTAT_SET_SIZE.0
            | Self::FD_FILESTAT_SET_TIMES.0
            | Self::POLL_FD_READWRITE.0,
    );

    /// The set that a guest passed.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as a guest gets it.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Rights {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
