//! Open host directories: the provider's directory, with the gaps closed.

use crate::file::{HostFile, known_times};
use crate::ready::Ready;
use std::any::Any;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use wasi_common::dir::{OpenResult, ReaddirCursor, ReaddirEntity};
use wasi_common::file::{FdFlags, Filestat, OFlags};
use wasi_common::sync::dir::{Dir, OpenResult as HostOpenResult};
use wasi_common::{Error, SystemTimeSpec, WasiDir};

/// What the last `path_open` or `sock_accept` opened. The provider's table gives out a number only; this is how the
/// adapter learns what is behind it.
#[derive(Clone, Default)]
pub(crate) struct LastOpened(Arc<Mutex<Option<Opened>>>);

/// A file or a socket, or a directory.
pub(crate) enum Opened {
    File(Box<dyn Ready>),
    Dir,
}

impl LastOpened {
    pub(crate) fn put(&self, opened: Opened) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
    }

    /// Gives what was opened since the last call.
    pub(crate) fn take(&self) -> Option<Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A directory of the host that a guest has open.
pub(crate) struct HostDir {
    dir: Dir,
    last_opened: LastOpened,
}

impl HostDir {
    pub(crate) fn new(dir: Dir, last_opened: LastOpened) -> Self {
        Self { dir, last_opened }
    }
}

#[wiggle::async_trait]
impl WasiDir for HostDir {
    /// The provider looks for its own type when two directories are involved.
    fn as_any(&self) -> &dyn Any {
        self.dir.as_any()
    }

    /// Append is set after opening: the provider refuses it together with truncation, and opens for
    /// writing by it. Truncation needs a file that is open for writing on the host; the provider keeps
    /// the guest from writing to it.
    async fn open_file(
        &self,
        symlink_follow: bool,
        path: &str,
        oflags: OFlags,
        read: bool,
        write: bool,
        fdflags: FdFlags,
    ) -> Result<OpenResult, Error> {
        let host_write = write || oflags.contains(OFlags::TRUNCATE);
        let host_flags = fdflags.difference(FdFlags::APPEND);
        let opened =
            self.dir
                .open_file_(symlink_follow, path, oflags, read, host_write, host_flags)?;
        match opened {
            HostOpenResult::File(file) => {
                let file = HostFile::new(file, fdflags.contains(FdFlags::APPEND))?;
                self.last_opened.put(Opened::File(Box::new(file.clone())));
                Ok(OpenResult::File(Box::new(file)))
            }
            HostOpenResult::Dir(dir) => {
                self.last_opened.put(Opened::Dir);
                let dir = Self::new(dir, self.last_opened.clone());
                Ok(OpenResult::Dir(Box::new(dir)))
            }
        }
    }

    async fn create_dir(&self, path: &str) -> Result<(), Error> {
        self.dir.create_dir(path).await
    }

    async fn readdir(
        &self,
        cursor: ReaddirCursor,
    ) -> Result<Box<dyn Iterator<Item = Result<ReaddirEntity, Error>> + Send>, Error> {
        self.dir.readdir(cursor).await
    }

    async fn symlink(&self, old_path: &str, new_path: &str) -> Result<(), Error> {
        self.dir.symlink(old_path, new_path).await
    }

    async fn remove_dir(&self, path: &str) -> Result<(), Error> {
        self.dir.remove_dir(path).await
    }

    async fn unlink_file(&self, path: &str) -> Result<(), Error> {
        self.dir.unlink_file(path).await
    }

    async fn read_link(&self, path: &str) -> Result<PathBuf, Error> {
        self.dir.read_link(path).await
    }

    async fn get_filestat(&self) -> Result<Filestat, Error> {
        self.dir.get_filestat().await.map(known_times)
    }

    async fn get_path_filestat(
        &self,
        path: &str,
        follow_symlinks: bool,
    ) -> Result<Filestat, Error> {
        self.dir
            .get_path_filestat(path, follow_symlinks)
            .await
            .map(known_times)
    }

    async fn rename(
        &self,
        path: &str,
        target_dir: &dyn WasiDir,
        target_path: &str,
    ) -> Result<(), Error> {
        self.dir.rename(path, target_dir, target_path).await
    }

    async fn hard_link(
        &self,
        path: &str,
        target_dir: &dyn WasiDir,
        target_path: &str,
    ) -> Result<(), Error> {
        self.dir.hard_link(path, target_dir, target_path).await
    }

    async fn set_times(
        &self,
        path: &str,
        atime: Option<SystemTimeSpec>,
        mtime: Option<SystemTimeSpec>,
        follow_symlinks: bool,
    ) -> Result<(), Error> {
        self.dir
            .set_times(path, atime, mtime, follow_symlinks)
            .await
    }
}
