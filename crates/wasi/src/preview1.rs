//! The interface as data: one row per function of WASI preview 1, and the trait that an implementation provides.
//!
//! A row holds the name, the parameter types of the core function, which right of which descriptor
//! argument it needs, how many bytes it writes behind which pointer argument, and where its paths are. Every function but
//! `proc_exit` returns an errno (an `i32`).

use crate::rights::Rights;

/// The name of the module that guests import the functions from.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// The type of a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Param {
    /// A 32-bit integer, a guest pointer or a descriptor.
    I32,
    /// A 64-bit integer.
    I64,
}

/// What ends the guest instead of an errno.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// `proc_exit` with this code.
    Exit(u32),
    /// The host cannot go on with this guest.
    Trap(String),
}

/// An implementation of the interface.
pub trait Preview1 {
    /// Calls a function: `args` are its arguments (an `i32` in the low half), `memory` the guest's memory.
    ///
    /// Gives the errno, 0 for success (witx `errno`).
    ///
    /// # Errors
    /// A [`Stop`] if the guest cannot go on.
    fn call(&mut self, function: Function, args: &[u64], memory: &mut [u8]) -> Result<u32, Stop>;
}

/// Passes the rows to the macro named by its argument.
///
/// `needs [n: RIGHT]`: the descriptor in argument n needs the right. `out [n: b]`: the function writes
/// b bytes behind the pointer in argument n when it succeeds. `paths [n]`: arguments n and n + 1 are the
/// pointer and the length of a path.
macro_rules! for_each_function {
    ($callback:ident) => {
        $callback! {
            ArgsGet = args_get(I32, I32) needs [] out [] paths [];
            ArgsSizesGet = args_sizes_get(I32, I32) needs [] out [0: 4, 1: 4] paths [];
            EnvironGet = environ_get(I32, I32) needs [] out [] paths [];
            EnvironSizesGet = environ_sizes_get(I32, I32) needs [] out [0: 4, 1: 4] paths [];
            ClockResGet = clock_res_get(I32, I32) needs [] out [1: 8] paths [];
            ClockTimeGet = clock_time_get(I32, I64, I32) needs [] out [2: 8] paths [];
            FdAdvise = fd_advise(I32, I64, I64, I32) needs [0: FD_ADVISE] out [] paths [];
            FdAllocate = fd_allocate(I32, I64, I64) needs [0: FD_ALLOCATE] out [] paths [];
            FdClose = fd_close(I32) needs [] out [] paths [];
            FdDatasync = fd_datasync(I32) needs [0: FD_DATASYNC] out [] paths [];
            FdFdstatGet = fd_fdstat_get(I32, I32) needs [] out [1: 24] paths [];
            FdFdstatSetFlags = fd_fdstat_set_flags(I32, I32) needs [0: FD_FDSTAT_SET_FLAGS] out [] paths [];
            FdFdstatSetRights = fd_fdstat_set_rights(I32, I64, I64) needs [] out [] paths [];
            FdFilestatGet = fd_filestat_get(I32, I32) needs [0: FD_FILESTAT_GET] out [1: 64] paths [];
            FdFilestatSetSize = fd_filestat_set_size(I32, I64) needs [0: FD_FILESTAT_SET_SIZE] out [] paths [];
            FdFilestatSetTimes = fd_filestat_set_times(I32, I64, I64, I32) needs [0: FD_FILESTAT_SET_TIMES] out [] paths [];
            FdPread = fd_pread(I32, I32, I32, I64, I32) needs [0: FD_READ_AT] out [4: 4] paths [];
            FdPrestatGet = fd_prestat_get(I32, I32) needs [] out [1: 8] paths [];
            FdPrestatDirName = fd_prestat_dir_name(I32, I32, I32) needs [] out [] paths [];
            FdPwrite = fd_pwrite(I32, I32, I32, I64, I32) needs [0: FD_WRITE_AT] out [4: 4] paths [];
            FdRead = fd_read(I32, I32, I32, I32) needs [0: FD_READ] out [3: 4] paths [];
            FdReaddir = fd_readdir(I32, I32, I32, I64, I32) needs [0: FD_READDIR] out [4: 4] paths [];
            FdRenumber = fd_renumber(I32, I32) needs [] out [] paths [];
            FdSeek = fd_seek(I32, I64, I32, I32) needs [] out [3: 8] paths [];
            FdSync = fd_sync(I32) needs [0: FD_SYNC] out [] paths [];
            FdTell = fd_tell(I32, I32) needs [0: FD_TELL] out [1: 8] paths [];
            FdWrite = fd_write(I32, I32, I32, I32) needs [0: FD_WRITE] out [3: 4] paths [];
            PathCreateDirectory = path_create_directory(I32, I32, I32) needs [0: PATH_CREATE_DIRECTORY] out [] paths [1];
            PathFilestatGet = path_filestat_get(I32, I32, I32, I32, I32) needs [0: PATH_FILESTAT_GET] out [4: 64] paths [2];
            PathFilestatSetTimes = path_filestat_set_times(I32, I32, I32, I32, I64, I64, I32)
                needs [0: PATH_FILESTAT_SET_TIMES] out [] paths [2];
            PathLink = path_link(I32, I32, I32, I32, I32, I32, I32)
                needs [0: PATH_LINK_SOURCE, 4: PATH_LINK_TARGET] out [] paths [2, 5];
            PathOpen = path_open(I32, I32, I32, I32, I32, I64, I64, I32, I32) needs [0: PATH_OPEN] out [8: 4] paths [2];
            PathReadlink = path_readlink(I32, I32, I32, I32, I32, I32) needs [0: PATH_READLINK] out [5: 4] paths [1];
            PathRemoveDirectory = path_remove_directory(I32, I32, I32) needs [0: PATH_REMOVE_DIRECTORY] out [] paths [1];
            PathRename = path_rename(I32, I32, I32, I32, I32, I32)
                needs [0: PATH_RENAME_SOURCE, 3: PATH_RENAME_TARGET] out [] paths [1, 4];
            PathSymlink = path_symlink(I32, I32, I32, I32, I32) needs [2: PATH_SYMLINK] out [] paths [0, 3];
            PathUnlinkFile = path_unlink_file(I32, I32, I32) needs [0: PATH_UNLINK_FILE] out [] paths [1];
            PollOneoff = poll_oneoff(I32, I32, I32, I32) needs [] out [3: 4] paths [];
            ProcExit = proc_exit(I32) needs [] out [] paths [];
            ProcRaise = proc_raise(I32) needs [] out [] paths [];
            SchedYield = sched_yield() needs [] out [] paths [];
            RandomGet = random_get(I32, I32) needs [] out [] paths [];
            SockAccept = sock_accept(I32, I32, I32) needs [0: SOCK_ACCEPT] out [2: 4] paths [];
            SockRecv = sock_recv(I32, I32, I32, I32, I32, I32) needs [0: FD_READ] out [4: 4, 5: 2] paths [];
            SockSend = sock_send(I32, I32, I32, I32, I32) needs [0: FD_WRITE] out [4: 4] paths [];
            SockShutdown = sock_shutdown(I32, I32) needs [0: SOCK_SHUTDOWN] out [] paths [];
        }
    };
}
pub(crate) use for_each_function;

macro_rules! define_functions {
    ($($variant:ident = $name:ident($($param:ident),*)
        needs [$($fd:literal: $right:ident),*] out [$($pointer:literal: $bytes:literal),*]
        paths [$($path:literal),*];)*) => {
        /// A function of the interface.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Function {
            $(#[doc = concat!("`", stringify!($name), "`")] $variant,)*
        }

        impl Function {
            /// All functions.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that guests import.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)*
                }
            }

            /// Types of the parameters.
            #[must_use]
            pub fn params(self) -> &'static [Param] {
                match self {
                    $(Self::$variant => &[$(Param::$param),*],)*
                }
            }

            /// Index of a descriptor argument, and the right that it needs.
            pub(crate) fn needs(self) -> &'static [(usize, Rights)] {
                match self {
                    $(Self::$variant => &[$(($fd, Rights::$right)),*],)*
                }
            }

            /// Index of a pointer argument, and the number of bytes that are written behind it.
            pub(crate) fn out(self) -> &'static [(usize, u32)] {
                match self {
                    $(Self::$variant => &[$(($pointer, $bytes)),*],)*
                }
            }

            /// Index of the pointer of a path; its length is the next argument.
            pub(crate) fn paths(self) -> &'static [usize] {
                match self {
                    $(Self::$variant => &[$($path),*],)*
                }
            }
        }
    };
}

for_each_function!(define_functions);

impl Function {
    /// Whether it returns an errno; only `proc_exit` returns nothing.
    #[must_use]
    pub fn returns_errno(self) -> bool {
        self != Self::ProcExit
    }
}

#[cfg(test)]
mod tests {
    use super::{Function, Param};

    #[test]
    fn rows_are_consistent() {
        assert_eq!(Function::ALL.len(), 46);
        for &function in Function::ALL {
            let params = function.params();
            let named = function.needs().iter().map(|&(index, _)| index);
            let pointers = function.out().iter().map(|&(index, _)| index);
            let paths = function.paths().iter().flat_map(|&path| [path, path + 1]);
            for index in named.chain(pointers).chain(paths) {
                assert_eq!(params.get(index), Some(&Param::I32), "{}", function.name());
            }
        }
    }
}
