//! In-memory standard streams.

use crate::ready::Ready;
use rustix::fd::BorrowedFd;
use std::any::Any;
use std::io::{Cursor, Error as IoError, IoSlice, IoSliceMut, Read as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasi_common::file::{FdFlags, FileType};
use wasi_common::{Error, ErrorExt as _, WasiFile};

/// What a guest has written to a stream, kept in memory. Clones share the bytes.
///
/// ```
/// let output = upshift_wasi::Output::new(1 << 20);
/// let mut builder = upshift_wasi::WasiCtxBuilder::new();
/// builder.stdout(&output);
/// assert!(output.contents().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Output {
    bytes: Arc<Mutex<Vec<u8>>>,
    bytes_max: usize,
    discards: bool,
}

impl Output {
    /// A stream that takes up to `bytes_max` bytes; after that the guest gets the errno `nospc`.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Arc::default(),
            bytes_max,
            discards: false,
        }
    }

    /// A stream that takes everything and keeps nothing.
    pub(crate) fn discarding() -> Self {
        Self {
            discards: true,
            ..Self::new(0)
        }
    }

    /// The bytes that have been written.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready for Output {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn ready_bytes(&self) -> u64 {
        0
    }

    fn is_terminal(&self) -> bool {
        false
    }
}

#[wiggle::async_trait]
impl WasiFile for Output {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn get_filetype(&self) -> Result<FileType, Error> {
        Ok(FileType::Pipe)
    }

    async fn get_fdflags(&self) -> Result<FdFlags, Error> {
        Ok(FdFlags::APPEND)
    }

    async fn write_vectored<'a>(&self, bufs: &[IoSlice<'a>]) -> Result<u64, Error> {
        if self.discards {
            return Ok(bufs.iter().map(|buf| buf.len() as u64).sum());
        }
        let mut bytes = self.lock();
        let mut written = 0;
        for buf in bufs {
            let room = self.bytes_max - bytes.len();
            let taken = &buf[..buf.len().min(room)];
            bytes.extend_from_slice(taken);
            written += taken.len();
            if taken.len() < buf.len() {
                break;
            }
        }
        if written == 0 && bufs.iter().any(|buf| !buf.is_empty()) {
            return Err(IoError::from(rustix::io::Errno::NOSPC).into());
        }
        Ok(written.try_into()?)
    }

    async fn write_vectored_at<'a>(
        &self,
        _bufs: &[IoSlice<'a>],
        _offset: u64,
    ) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }

    async fn seek(&self, _position: std::io::SeekFrom) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }
}

/// Bytes that a guest reads as a stream. Clones share the position.
#[derive(Clone, Default, Debug)]
pub(crate) struct Input(Arc<Mutex<Cursor<Vec<u8>>>>);

impl Input {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Cursor::new(bytes))))
    }

    fn lock(&self) -> MutexGuard<'_, Cursor<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready for Input {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn ready_bytes(&self) -> u64 {
        let cursor = self.lock();
        (cursor.get_ref().len() as u64).saturating_sub(cursor.position())
    }

    fn is_terminal(&self) -> bool {
        false
    }
}

#[wiggle::async_trait]
impl WasiFile for Input {
    fn as_any(&self) -> &dyn Any {
        self
    }

    async fn get_filetype(&self) -> Result<FileType, Error> {
        Ok(FileType::Pipe)
    }

    async fn read_vectored<'a>(&self, bufs: &mut [IoSliceMut<'a>]) -> Result<u64, Error> {
        Ok(self.lock().read_vectored(bufs)?.try_into()?)
    }

    async fn read_vectored_at<'a>(
        &self,
        _bufs: &mut [IoSliceMut<'a>],
        _offset: u64,
    ) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }

    async fn seek(&self, _position: std::io::SeekFrom) -> Result<u64, Error> {
        Err(Error::seek_pipe())
    }
}
