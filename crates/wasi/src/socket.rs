//! Sockets: the provider's, so that the adapter learns of accepted connections and can poll them.

use crate::dir::{LastOpened, Opened};
use crate::ready::Ready;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io::ioctl_fionread;
use std::any::Any;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use wasi_common::file::{FdFlags, FileType, RiFlags, RoFlags, SdFlags, SiFlags};
use wasi_common::{Error, ErrorExt as _, WasiFile};

/// A second descriptor of the host for a socket, to poll it.
#[derive(Clone)]
pub(crate) struct Polled(Arc<OwnedFd>);

impl Ready for Polled {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn ready_bytes(&self) -> u64 {
        // A socket that listens has connections, not bytes.
        ioctl_fionread(&self.0).unwrap_or(1)
    }

    fn is_terminal(&self) -> bool {
        false
    }
}

/// A socket that a guest has open: one that listens, or a connection.
pub(crate) struct HostSocket {
    socket: Box<dyn WasiFile>,
    polled: Polled,
    last_opened: LastOpened,
}

impl HostSocket {
    pub(crate) fn new(socket: Box<dyn WasiFile>, last_opened: LastOpened) -> Result<Self, Error> {
        let fd = socket.pollable().ok_or_else(Error::badf)?;
        let polled = Polled(Arc::new(fd.try_clone_to_owned()?));
        Ok(Self {
            socket,
            polled,
            last_opened,
        })
    }

    /// What the adapter polls.
    pub(crate) fn polled(&self) -> Polled {
        self.polled.clone()
    }
}

#[wiggle::async_trait]
impl WasiFile for HostSocket {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.socket.pollable()
    }

    async fn get_filetype(&self) -> Result<FileType, Error> {
        self.socket.get_filetype().await
    }

    async fn get_fdflags(&self) -> Result<FdFlags, Error> {
        self.socket.get_fdflags().await
    }

    async fn set_fdflags(&mut self, flags: FdFlags) -> Result<(), Error> {
        self.socket.set_fdflags(flags).await
    }

    async fn sock_accept(&self, flags: FdFlags) -> Result<Box<dyn WasiFile>, Error> {
        let connection = self.socket.sock_accept(flags).await?;
        let connection = Self::new(connection, self.last_opened.clone())?;
        self.last_opened
            .put(Opened::File(Box::new(connection.polled())));
        Ok(Box::new(connection))
    }

    async fn sock_recv<'a>(
        &self,
        buffers: &mut [IoSliceMut<'a>],
        flags: RiFlags,
    ) -> Result<(u64, RoFlags), Error> {
        self.socket.sock_recv(buffers, flags).await
    }

    async fn sock_send<'a>(&self, buffers: &[IoSlice<'a>], flags: SiFlags) -> Result<u64, Error> {
        self.socket.sock_send(buffers, flags).await
    }

    async fn sock_shutdown(&self, how: SdFlags) -> Result<(), Error> {
        self.socket.sock_shutdown(how).await
    }

    async fn read_vectored<'a>(&self, buffers: &mut [IoSliceMut<'a>]) -> Result<u64, Error> {
        self.socket.read_vectored(buffers).await
    }

    async fn write_vectored<'a>(&self, buffers: &[IoSlice<'a>]) -> Result<u64, Error> {
        self.socket.write_vectored(buffers).await
    }
}
