//! A guest made of a buffer: puts arguments in place, calls a function, and reads the results back.

use std::path::Path;
use tempfile::TempDir;
use upshift_wasi::{Function, Preview1 as _, Stop, WasiCtx, WasiCtxBuilder};

pub(crate) const SUCCESS: u32 = 0;
pub(crate) const AGAIN: u32 = 6;
pub(crate) const BADF: u32 = 8;
pub(crate) const EXIST: u32 = 20;
pub(crate) const FAULT: u32 = 21;
pub(crate) const ILSEQ: u32 = 25;
pub(crate) const INVAL: u32 = 28;
pub(crate) const ISDIR: u32 = 31;
pub(crate) const NAMETOOLONG: u32 = 37;
pub(crate) const NOENT: u32 = 44;
pub(crate) const NOSPC: u32 = 51;
pub(crate) const NOSYS: u32 = 52;
pub(crate) const NOTDIR: u32 = 54;
pub(crate) const NOTSOCK: u32 = 57;
pub(crate) const NOTSUP: u32 = 58;
pub(crate) const PERM: u32 = 63;
pub(crate) const SPIPE: u32 = 70;
pub(crate) const NOTCAPABLE: u32 = 76;

pub(crate) const FD_READ: u64 = 1 << 1;
pub(crate) const FD_SEEK: u64 = 1 << 2;
pub(crate) const FD_TELL: u64 = 1 << 5;
pub(crate) const FD_WRITE: u64 = 1 << 6;
pub(crate) const READ_WRITE: u64 = FD_READ | FD_WRITE;

pub(crate) const CREATE: u64 = 1;
pub(crate) const DIRECTORY: u64 = 2;
pub(crate) const EXCLUSIVE: u64 = 4;
pub(crate) const TRUNCATE: u64 = 8;
pub(crate) const APPEND: u64 = 1;

/// The preopened directory.
pub(crate) const DIR: u64 = 3;

/// Bytes of the memory.
pub(crate) const MEMORY: u64 = 1 << 17;
/// Where results go.
pub(crate) const RESULT: u64 = 0x100;
/// Where a second result goes.
pub(crate) const RESULT_2: u64 = 0x108;
/// Where vectors of buffers are.
const IOVECS: u64 = 0x200;
/// Where paths and data are.
const DATA: u64 = 0x1000;
const DATA_2: u64 = 0x3000;
/// Where data is read to.
pub(crate) const BUFFER: u64 = 0x8000;

/// A guest with, in general, a directory that exists as long as it.
pub(crate) struct Guest {
    context: WasiCtx,
    buffer: Vec<u8>,
    directory: Option<TempDir>,
}

impl Guest {
    pub(crate) fn new(builder: &mut WasiCtxBuilder) -> Self {
        Self {
            context: builder.build().unwrap(),
            buffer: vec![0; usize::try_from(MEMORY + 8).unwrap()],
            directory: None,
        }
    }

    /// A guest with an empty directory as descriptor [`DIR`].
    pub(crate) fn with_dir() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut builder = WasiCtxBuilder::new();
        builder.preopened_dir(directory.path(), "/work").unwrap();
        Self {
            directory: Some(directory),
            ..Self::new(&mut builder)
        }
    }

    /// The directory on the host.
    pub(crate) fn host(&self) -> &Path {
        self.directory.as_ref().unwrap().path()
    }

    /// The memory, as aligned as a real one.
    pub(crate) fn memory(&mut self) -> &mut [u8] {
        memory_in(&mut self.buffer)
    }

    pub(crate) fn try_call(&mut self, function: Function, args: &[u64]) -> Result<u32, Stop> {
        self.context
            .call(function, args, memory_in(&mut self.buffer))
    }

    /// Calls a function and gives the errno.
    pub(crate) fn call(&mut self, function: Function, args: &[u64]) -> u32 {
        self.try_call(function, args).unwrap()
    }

    /// Calls a function that must succeed.
    #[track_caller]
    pub(crate) fn ok(&mut self, function: Function, args: &[u64]) {
        assert_eq!(self.call(function, args), SUCCESS, "{function:?}{args:x?}");
    }

    pub(crate) fn write(&mut self, pointer: u64, data: &[u8]) {
        let start = usize::try_from(pointer).unwrap();
        self.memory()[start..start + data.len()].copy_from_slice(data);
    }

    pub(crate) fn read(&mut self, pointer: u64, length: u64) -> Vec<u8> {
        let start = usize::try_from(pointer).unwrap();
        let end = start + usize::try_from(length).unwrap();
        self.memory()[start..end].to_vec()
    }

    pub(crate) fn u32_at(&mut self, pointer: u64) -> u32 {
        u32::from_le_bytes(self.read(pointer, 4).try_into().unwrap())
    }

    pub(crate) fn u64_at(&mut self, pointer: u64) -> u64 {
        u64::from_le_bytes(self.read(pointer, 8).try_into().unwrap())
    }

    /// Puts a path in place; gives its pointer and length as arguments.
    pub(crate) fn path(&mut self, path: &str) -> [u64; 2] {
        self.write(DATA, path.as_bytes());
        [DATA, path.len() as u64]
    }

    /// The same for a second path of the call.
    pub(crate) fn path_2(&mut self, path: &str) -> [u64; 2] {
        self.write(DATA_2, path.as_bytes());
        [DATA_2, path.len() as u64]
    }

    /// Puts a vector of buffers in place, each a pointer and a length.
    pub(crate) fn iovecs(&mut self, buffers: &[(u64, u64)]) -> [u64; 2] {
        for (index, &(pointer, length)) in buffers.iter().enumerate() {
            let at = IOVECS + 8 * index as u64;
            self.write(at, &u32::try_from(pointer).unwrap().to_le_bytes());
            self.write(at + 4, &u32::try_from(length).unwrap().to_le_bytes());
        }
        [IOVECS, buffers.len() as u64]
    }

    /// `path_open` with everything that differs between cases.
    pub(crate) fn try_open(&mut self, dir: u64, path: &str, open: Open) -> Result<u64, u32> {
        let [pointer, length] = self.path(path);
        let Open {
            oflags,
            rights,
            fdflags,
        } = open;
        let args = [dir, 1, pointer, length, oflags, rights, 0, fdflags, RESULT];
        match self.call(Function::PathOpen, &args) {
            SUCCESS => Ok(self.u32_at(RESULT).into()),
            errno => Err(errno),
        }
    }

    /// Opens a path in the preopened directory.
    #[track_caller]
    pub(crate) fn open(&mut self, path: &str, open: Open) -> u64 {
        self.try_open(DIR, path, open).unwrap()
    }

    /// `fd_write` of some data; gives how many bytes were written.
    pub(crate) fn fd_write(&mut self, fd: u64, data: &str) -> Result<u32, u32> {
        let buffer = self.path(data);
        let [iovecs, count] = self.iovecs(&[buffer.into()]);
        self.size_of(Function::FdWrite, &[fd, iovecs, count, RESULT], RESULT)
    }

    /// `fd_pwrite` of some data.
    pub(crate) fn fd_pwrite(&mut self, fd: u64, data: &str, offset: u64) -> Result<u32, u32> {
        let buffer = self.path(data);
        let [iovecs, count] = self.iovecs(&[buffer.into()]);
        self.size_of(
            Function::FdPwrite,
            &[fd, iovecs, count, offset, RESULT],
            RESULT,
        )
    }

    /// `fd_read` of up to `length` bytes.
    pub(crate) fn fd_read(&mut self, fd: u64, length: u64) -> Result<String, u32> {
        let [iovecs, count] = self.iovecs(&[(BUFFER, length)]);
        let bytes = self.size_of(Function::FdRead, &[fd, iovecs, count, RESULT], RESULT)?;
        Ok(String::from_utf8(self.read(BUFFER, bytes.into())).unwrap())
    }

    /// `fd_pread` of up to `length` bytes.
    pub(crate) fn fd_pread(&mut self, fd: u64, length: u64, offset: u64) -> Result<String, u32> {
        let [iovecs, count] = self.iovecs(&[(BUFFER, length)]);
        let bytes = self.size_of(
            Function::FdPread,
            &[fd, iovecs, count, offset, RESULT],
            RESULT,
        )?;
        Ok(String::from_utf8(self.read(BUFFER, bytes.into())).unwrap())
    }

    /// `fd_fdstat_get`: filetype, flags, rights, inheriting rights.
    pub(crate) fn fdstat(&mut self, fd: u64) -> Result<(u8, u16, u64, u64), u32> {
        let errno = self.call(Function::FdFdstatGet, &[fd, RESULT]);
        if errno != SUCCESS {
            return Err(errno);
        }
        let stat = self.read(RESULT, 4);
        let flags = u16::from_le_bytes([stat[2], stat[3]]);
        Ok((
            stat[0],
            flags,
            self.u64_at(RESULT + 8),
            self.u64_at(RESULT + 16),
        ))
    }

    /// `poll_oneoff` of reading from one descriptor: the event's errno and readable bytes.
    pub(crate) fn poll_read(&mut self, fd: u64) -> Result<(u32, u64), u32> {
        let mut subscription = [0; 48];
        subscription[8] = 1;
        subscription[16..24].copy_from_slice(&fd.to_le_bytes());
        self.write(DATA, &subscription);
        self.size_of(Function::PollOneoff, &[DATA, BUFFER, 1, RESULT], RESULT)?;
        let errno = self.u32_at(BUFFER + 8) & 0xffff;
        Ok((errno, self.u64_at(BUFFER + 16)))
    }

    /// Calls a function that gives a size behind `pointer`.
    pub(crate) fn size_of(
        &mut self,
        function: Function,
        args: &[u64],
        pointer: u64,
    ) -> Result<u32, u32> {
        match self.call(function, args) {
            SUCCESS => Ok(self.u32_at(pointer)),
            errno => Err(errno),
        }
    }
}

fn memory_in(buffer: &mut [u8]) -> &mut [u8] {
    let start = buffer.as_ptr().align_offset(8);
    &mut buffer[start..start + usize::try_from(MEMORY).unwrap()]
}

/// What `path_open` is asked for.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Open {
    pub(crate) oflags: u64,
    pub(crate) rights: u64,
    pub(crate) fdflags: u64,
}

/// For reading.
pub(crate) const READING: Open = Open {
    oflags: 0,
    rights: FD_READ,
    fdflags: 0,
};

/// For reading and writing, creating the file.
pub(crate) const CREATING: Open = Open {
    oflags: CREATE,
    rights: READ_WRITE,
    fdflags: 0,
};
