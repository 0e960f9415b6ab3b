//! Error codes of the interface (witx `errno`), and how host errors become one.

use crate::preview1::Stop;
use rustix::io::Errno as HostErrno;
use wasi_common::snapshots::preview_1::types;
use wiggle::{GuestError, anyhow};

/// An error code that a guest gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Errno(u16);

macro_rules! define_errnos {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Self = Self($code);)*
        }
    };
}

define_errnos! {
    BADF = 8, "The descriptor is not open, or not for this.";
    CHILD = 12, "There is no such child process.";
    DEADLK = 16, "The resource would deadlock.";
    FAULT = 21, "A pointer is outside of the guest's memory, or misaligned.";
    ILSEQ = 25, "The bytes are not UTF-8.";
    INVAL = 28, "An argument is invalid.";
    IO = 29, "Input or output failed.";
    NAMETOOLONG = 37, "A path is too long.";
    NODEV = 43, "There is no such device.";
    NOEXEC = 45, "The executable format is wrong.";
    NOLCK = 46, "There are no locks left.";
    NOSPC = 51, "There is no space left.";
    NOSYS = 52, "The function is not supported.";
    NOTSOCK = 57, "The descriptor is no socket.";
    NOTSUP = 58, "The operation is not supported.";
    NOTTY = 59, "The device does not have this operation.";
    NXIO = 60, "There is no such device or address.";
    OVERFLOW = 61, "A value does not fit its type.";
    PERM = 63, "The operation is not permitted.";
    PROTO = 65, "The protocol failed.";
    ROFS = 69, "The file system is read-only.";
    SRCH = 71, "There is no such process.";
    TXTBSY = 74, "The executable is in use.";
    XDEV = 75, "Source and target are on different file systems.";
    NOTCAPABLE = 76, "The descriptor lacks the right.";
}

impl Errno {
    /// The code, as the guest gets it.
    #[must_use]
    pub fn code(self) -> u16 {
        self.0
    }
}

impl From<types::Errno> for Errno {
    fn from(errno: types::Errno) -> Self {
        Self(errno.into())
    }
}

/// How a call ends that does not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    Errno(Errno),
    Stop(Stop),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<HostErrno> for Failure {
    fn from(error: HostErrno) -> Self {
        Self::from(wasi_common::Error::from(std::io::Error::from(error)))
    }
}

impl From<wasi_common::Error> for Failure {
    fn from(error: wasi_common::Error) -> Self {
        match error.downcast() {
            Ok(errno) => Self::Errno(errno.into()),
            Err(error) => Self::from(error),
        }
    }
}

impl From<anyhow::Error> for Failure {
    /// The provider gives errors that it has no errno for, and bad pointers, as errors that would end the guest.
    fn from(error: anyhow::Error) -> Self {
        if let Some(guest) = error.downcast_ref::<GuestError>() {
            return Self::Errno(from_guest(guest));
        }
        let io = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<std::io::Error>());
        match io {
            Some(io) => Self::Errno(from_io(io)),
            None => Self::Stop(Stop::Trap(format!("{error:#}"))),
        }
    }
}

fn from_guest(error: &GuestError) -> Errno {
    match error {
        GuestError::InvalidFlagValue(_) | GuestError::InvalidEnumValue(_) => Errno::INVAL,
        // Arguments that are wider than the type which they are for.
        GuestError::TryFromIntError(_) => Errno::INVAL,
        GuestError::PtrOverflow
        | GuestError::PtrOutOfBounds(_)
        | GuestError::PtrNotAligned(..)
        | GuestError::SliceLengthsDiffer => Errno::FAULT,
        GuestError::InvalidUtf8(_) => Errno::ILSEQ,
        GuestError::InFunc { err, .. } => from_guest(err),
    }
}

fn from_io(error: &std::io::Error) -> Errno {
    match HostErrno::from_io_error(error) {
        Some(errno) => from_host(errno),
        None => Errno::IO,
    }
}

/// The codes that the provider has no name for; the others never get here.
fn from_host(error: HostErrno) -> Errno {
    match error {
        HostErrno::BADF => Errno::BADF,
        HostErrno::CHILD => Errno::CHILD,
        HostErrno::DEADLK => Errno::DEADLK,
        HostErrno::INVAL => Errno::INVAL,
        HostErrno::NODEV => Errno::NODEV,
        HostErrno::NOEXEC => Errno::NOEXEC,
        HostErrno::NOLCK => Errno::NOLCK,
        HostErrno::NOSPC => Errno::NOSPC,
        HostErrno::NOSYS => Errno::NOSYS,
        HostErrno::NOTSOCK => Errno::NOTSOCK,
        HostErrno::NOTSUP => Errno::NOTSUP,
        HostErrno::NOTTY => Errno::NOTTY,
        HostErrno::NXIO => Errno::NXIO,
        HostErrno::OVERFLOW => Errno::OVERFLOW,
        HostErrno::PERM => Errno::PERM,
        HostErrno::PROTO => Errno::PROTO,
        HostErrno::ROFS => Errno::ROFS,
        HostErrno::SRCH => Errno::SRCH,
        HostErrno::TXTBSY => Errno::TXTBSY,
        HostErrno::XDEV => Errno::XDEV,
        _ => Errno::IO,
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Failure};
    use wasi_common::Error;

    /// The errno of an operation of the host that failed with `raw`, by way of the provider.
    fn errno_of(raw: i32) -> u16 {
        match Failure::from(Error::from(std::io::Error::from_raw_os_error(raw))) {
            Failure::Errno(errno) => errno.code(),
            Failure::Stop(stop) => panic!("expected an errno, found {stop:?}"),
        }
    }

    #[test]
    fn host_errors_become_errnos() {
        // Linux number, witx number: ENOENT, EXDEV, EROFS, ENXIO, ETXTBSY, ENOSYS, ENOTBLK (has none).
        let cases = [
            (2, 44),
            (18, 75),
            (30, 69),
            (6, 60),
            (26, 74),
            (38, 52),
            (15, 29),
        ];
        for (raw, expected) in cases {
            assert_eq!(errno_of(raw), expected, "host errno {raw}");
        }
        assert_eq!(Errno::NOTCAPABLE.code(), 76);
    }
}
