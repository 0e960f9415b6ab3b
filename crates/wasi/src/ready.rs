//! What the adapter must know of an open file to poll it.

use rustix::fd::BorrowedFd;

/// An open file, as `poll_oneoff` and `fd_fdstat_get` see it.
pub(crate) trait Ready: Send + Sync {
    /// The host's descriptor to poll; without one, the file is always ready.
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// How many bytes can be read without waiting, as far as is known, once the file is ready.
    fn ready_bytes(&self) -> u64;

    /// Whether it is a terminal.
    fn is_terminal(&self) -> bool;
}
