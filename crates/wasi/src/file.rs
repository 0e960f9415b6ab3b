//! Open host files: the provider's file, with the gaps closed.
//!
//! A [`HostFile`] is shared between the provider's descriptor table, which calls it, and the adapter's,
//! which polls it.

use crate::ready::Ready;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ReadWriteFlags, ioctl_fionread, pwritev, pwritev2};
use std::any::Any;
use std::io::{IoSlice, IoSliceMut, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use wasi_common::file::{Advice, FdFlags, FileType, Filestat};
use wasi_common::sync::file::File;
use wasi_common::{Error, ErrorExt as _, SystemTimeSpec, WasiFile};

/// `RWF_NOAPPEND` of Linux 6.9.
const NO_APPEND: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x20);

/// A file of the host that a guest has open.
#[derive(Clone)]
pub(crate) struct HostFile(Arc<Inner>);

struct Inner {
    file: File,
    /// Whether writes go to the end; the same as the host's `O_APPEND`.
    append: AtomicBool,
}

impl HostFile {
    /// Wraps a file that the provider opened, without append, and sets append if asked for.
    pub(crate) fn new(file: File, append: bool) -> Result<Self, Error> {
        let file = Self(Arc::new(Inner {
            file,
            append: AtomicBool::new(false),
        }));
        if append {
            file.set_append_nonblock(true, file.status_flags()?.contains(OFlags::NONBLOCK))?;
        }
        Ok(file)
    }

    /// Wraps a descriptor of the host as it is.
    pub(crate) fn from_fd(fd: OwnedFd) -> std::io::Result<Self> {
        let append = fcntl_getfl(&fd)?.contains(OFlags::APPEND);
        Ok(Self(Arc::new(Inner {
            file: File::from_cap_std(fd.into()),
            append: AtomicBool::new(append),
        })))
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }

    fn status_flags(&self) -> Result<OFlags, Error> {
        Ok(fcntl_getfl(self.fd()).map_err(std::io::Error::from)?)
    }

    fn set_append_nonblock(&self, append: bool, nonblock: bool) -> Result<(), Error> {
        let mut flags = self.status_flags()?;
        flags.set(OFlags::APPEND, append);
        flags.set(OFlags::NONBLOCK, nonblock);
        fcntl_setfl(self.fd(), flags).map_err(std::io::Error::from)?;
        self.0.append.store(append, Ordering::Relaxed);
        Ok(())
    }

    /// Writes at an offset of a file in append mode: Linux ignores the offset then, against POSIX.
    fn write_at_despite_append(
        &self,
        bufs: &[IoSlice<'_>],
        offset: u64,
    ) -> rustix::io::Result<usize> {
        // A negative offset would mean the current position.
        if i64::try_from(offset).is_err() {
            return Err(Errno::INVAL);
        }
        match pwritev2(self.fd(), bufs, offset, NO_APPEND) {
            Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => {
                self.write_at_without_append(bufs, offset)
            }
            result => result,
        }
    }

    /// The same for kernels that do not know the flag.
    fn write_at_without_append(
        &self,
        bufs: &[IoSlice<'_>],
        offset: u64,
    ) -> rustix::io::Result<usize> {
        let flags = fcntl_getfl(self.fd())?;
        fcntl_setfl(self.fd(), flags.difference(OFlags::APPEND))?;
        let result = pwritev(self.fd(), bufs, offset);
        fcntl_setfl(self.fd(), flags)?;
        result
    }
}

impl Ready for HostFile {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(HostFile::fd(self))
    }

    fn ready_bytes(&self) -> u64 {
        if let Ok(stat) = rustix::fs::fstat(self.fd())
            && rustix::fs::FileType::from_raw_mode(stat.st_mode)
                == rustix::fs::FileType::RegularFile
        {
            let position = rustix::fs::tell(self.fd()).unwrap_or(0);
            return u64::try_from(stat.st_size)
                .unwrap_or(0)
                .saturating_sub(position);
        }
        // Unknown: reading gives at least one byte or the end.
        ioctl_fionread(self.fd()).unwrap_or(1)
    }

    fn is_terminal(&self) -> bool {
        self.isatty()
    }
}

#[wiggle::async_trait]
impl WasiFile for HostFile {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn pollable(&self) -> Option<BorrowedFd<'_>> {
        Some(HostFile::fd(self))
    }

    fn isatty(&self) -> bool {
        self.0.file.isatty()
    }

    async fn datasync(&self) -> Result<(), Error> {
        self.0.file.datasync().await
    }

    async fn sync(&self) -> Result<(), Error> {
        self.0.file.sync().await
    }

    async fn get_filetype(&self) -> Result<FileType, Error> {
        self.0.file.get_filetype().await
    }

    async fn get_fdflags(&self) -> Result<FdFlags, Error> {
        self.0.file.get_fdflags().await
    }

    async fn set_fdflags(&mut self, flags: FdFlags) -> Result<(), Error> {
        if flags.intersects(FdFlags::DSYNC | FdFlags::SYNC | FdFlags::RSYNC) {
            return Err(Error::invalid_argument());
        }
        self.set_append_nonblock(
            flags.contains(FdFlags::APPEND),
            flags.contains(FdFlags::NONBLOCK),
        )
    }

    async fn get_filestat(&self) -> Result<Filestat, Error> {
        self.0.file.get_filestat().await.map(known_times)
    }

    async fn set_filestat_size(&self, size: u64) -> Result<(), Error> {
        self.0.file.set_filestat_size(size).await
    }

    async fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<(), Error> {
        self.0.file.advise(offset, len, advice).await
    }

    async fn set_times(
        &self,
        atime: Option<SystemTimeSpec>,
        mtime: Option<SystemTimeSpec>,
    ) -> Result<(), Error> {
        self.0.file.set_times(atime, mtime).await
    }

    async fn read_vectored<'a>(&self, bufs: &mut [IoSliceMut<'a>]) -> Result<u64, Error> {
        self.0.file.read_vectored(bufs).await
    }

    async fn read_vectored_at<'a>(
        &self,
        bufs: &mut [IoSliceMut<'a>],
        offset: u64,
    ) -> Result<u64, Error> {
        self.0.file.read_vectored_at(bufs, offset).await
    }

    async fn write_vectored<'a>(&self, bufs: &[IoSlice<'a>]) -> Result<u64, Error> {
        self.0.file.write_vectored(bufs).await
    }

    async fn write_vectored_at<'a>(&self, bufs: &[IoSlice<'a>], offset: u64) -> Result<u64, Error> {
        if !self.0.append.load(Ordering::Relaxed) {
            return self.0.file.write_vectored_at(bufs, offset).await;
        }
        let written = self
            .write_at_despite_append(bufs, offset)
            .map_err(std::io::Error::from)?;
        Ok(written.try_into()?)
    }

    async fn seek(&self, position: SeekFrom) -> Result<u64, Error> {
        self.0.file.seek(position).await
    }

    async fn peek(&self, buf: &mut [u8]) -> Result<u64, Error> {
        self.0.file.peek(buf).await
    }

    fn num_ready_bytes(&self) -> Result<u64, Error> {
        Ok(self.ready_bytes())
    }
}

/// Leaves out times before 1970: a guest's timestamp has no sign, and the provider would panic.
pub(crate) fn known_times(stat: Filestat) -> Filestat {
    let known = |time: Option<SystemTime>| time.filter(|time| *time >= SystemTime::UNIX_EPOCH);
    Filestat {
        atim: known(stat.atim),
        mtim: known(stat.mtim),
        ctim: known(stat.ctim),
        ..stat
    }
}

#[cfg(test)]
mod tests {
    use super::HostFile;
    use rustix::fs::{OFlags, fcntl_getfl};
    use std::io::{IoSlice, Read as _, Seek as _, Write as _};

    /// An append file holding `abcdef` after `write` has run on it.
    fn after(write: impl Fn(&HostFile)) -> String {
        let directory = tempfile::tempdir().unwrap();
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(directory.path().join("file"))
            .unwrap();
        file.write_all(b"abcdef").unwrap();
        let host = HostFile::from_fd(file.try_clone().unwrap().into()).unwrap();
        write(&host);
        let flags = fcntl_getfl(&file).unwrap();
        assert!(flags.contains(OFlags::APPEND), "append must stay set");
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn positioned_writes_honour_the_offset_in_append_mode() {
        let with_flag = after(|file| {
            assert_eq!(
                file.write_at_despite_append(&[IoSlice::new(b"XY")], 1),
                Ok(2)
            );
        });
        let by_fallback = after(|file| {
            assert_eq!(
                file.write_at_without_append(&[IoSlice::new(b"XY")], 1),
                Ok(2)
            );
        });
        assert_eq!(with_flag, "aXYdef");
        assert_eq!(by_fallback, "aXYdef");
    }

    #[test]
    fn negative_offsets_do_not_mean_the_current_position() {
        let text = after(|file| {
            let result = file.write_at_despite_append(&[IoSlice::new(b"XY")], u64::MAX);
            assert_eq!(result, Err(rustix::io::Errno::INVAL));
        });
        assert_eq!(text, "abcdef");
    }
}
