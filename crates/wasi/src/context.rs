//! [`WasiCtx`]: the provider's context behind the adapter, which closes its gaps.
//!
//! Every call goes through the same steps:
//!
//! 1. the pointers behind which results are written must lie in the guest's memory, so that no effect
//!    happens whose result the guest never learns, and paths must not be too long;
//! 2. rights that the guest has given up are refused;
//! 3. the function runs: in the adapter where the provider falls short, else in the provider;
//! 4. the adapter's descriptor table follows what has happened.

use crate::buffers::{clamp_iovecs, zero_dirent_padding};
use crate::clock::Clock;
use crate::descriptors::{Descriptors, Kind};
use crate::dir::{LastOpened, Opened};
use crate::errno::{Errno, Failure};
use crate::guest;
use crate::poll::{self, Request};
use crate::preview1::{Function, Preview1, Stop};
use crate::provider::forward;
use crate::rights::Rights;
use rustix::fs::FallocateFlags;

/// Bytes of the longest path on the host, with its final zero; the provider copies paths whatever their length.
const PATH_BYTES_MAX: u32 = 4096;
/// Bytes of an `fdstat` record.
const FDSTAT_BYTES: usize = 24;
/// `filetype.block_device`
const BLOCK_DEVICE: u8 = 1;
/// `filetype.character_device`
const CHARACTER_DEVICE: u8 = 2;
/// `filetype.directory`
const DIRECTORY: u8 = 3;
/// `filetype.regular_file`
const REGULAR_FILE: u8 = 4;
/// `filetype.socket_dgram`
const SOCKET_DGRAM: u8 = 5;
/// `filetype.socket_stream`
const SOCKET_STREAM: u8 = 6;
/// `oflags.creat`
const CREATE: u32 = 1;
/// `oflags.trunc`
const TRUNCATE: u32 = 8;
/// `whence.cur`
const CURRENT: u32 = 1;
/// The last `signal`.
const SIGNAL_MAX: u32 = 30;

/// One guest's arguments, environment, descriptors and clocks.
pub struct WasiCtx {
    provider: wasi_common::WasiCtx,
    descriptors: Descriptors,
    last_opened: LastOpened,
}

/// The arguments of a call. Their number has been checked.
#[derive(Clone, Copy)]
struct Args<'a>(&'a [u64]);

impl Args<'_> {
    /// A 32-bit argument: the high half of its slot means nothing.
    #[expect(clippy::cast_possible_truncation, reason = "takes the low half")]
    fn word(self, index: usize) -> u32 {
        self.0[index] as u32
    }

    fn long(self, index: usize) -> u64 {
        self.0[index]
    }
}

impl Preview1 for WasiCtx {
    fn call(&mut self, function: Function, args: &[u64], memory: &mut [u8]) -> Result<u32, Stop> {
        if args.len() != function.params().len() {
            let expected = function.params().len();
            let name = function.name();
            return Err(Stop::Trap(format!(
                "expected {expected} arguments of {name}, found {}",
                args.len()
            )));
        }
        match self.run(function, Args(args), memory) {
            Ok(()) => Ok(0),
            Err(Failure::Errno(errno)) => Ok(errno.code().into()),
            Err(Failure::Stop(stop)) => Err(stop),
        }
    }
}

impl WasiCtx {
    pub(crate) fn new(
        provider: wasi_common::WasiCtx,
        descriptors: Descriptors,
        last_opened: LastOpened,
    ) -> Self {
        Self {
            provider,
            descriptors,
            last_opened,
        }
    }

    fn run(
        &mut self,
        function: Function,
        args: Args<'_>,
        memory: &mut [u8],
    ) -> Result<(), Failure> {
        for &(index, bytes) in function.out() {
            guest::slice(memory, args.word(index), bytes.into())?;
        }
        for &index in function.paths() {
            if args.word(index + 1) >= PATH_BYTES_MAX {
                return Err(Errno::NAMETOOLONG.into());
            }
        }
        for &(index, right) in function.needs() {
            if self.descriptors.lacks(args.word(index), right) {
                return Err(Errno::NOTCAPABLE.into());
            }
        }
        self.dispatch(function, args, memory)
    }

    fn dispatch(
        &mut self,
        function: Function,
        args: Args<'_>,
        memory: &mut [u8],
    ) -> Result<(), Failure> {
        use Function as F;
        match function {
            F::ArgsGet | F::EnvironGet => self.strings(function, args, memory),
            F::ClockResGet | F::ClockTimeGet => self.clock(function, args, memory),
            F::FdAllocate => self.allocate(args),
            F::FdClose => self.close(args, memory),
            F::FdFdstatGet => self.fdstat_get(args, memory),
            F::FdFdstatSetRights => self.fdstat_set_rights(args),
            F::FdPread | F::FdPwrite | F::FdRead | F::FdWrite => {
                self.vectored(function, args, memory)
            }
            F::FdReaddir => self.readdir(args, memory),
            F::FdRenumber => self.renumber(args, memory),
            F::FdSeek => self.seek(args, memory),
            F::PathOpen => self.open(args, memory),
            F::PollOneoff => self.poll(args, memory),
            F::ProcExit => Err(Failure::Stop(Stop::Exit(args.word(0)))),
            F::ProcRaise if args.word(0) > SIGNAL_MAX => Err(Errno::INVAL.into()),
            F::ProcRaise => Err(Errno::NOSYS.into()),
            F::SockAccept | F::SockShutdown | F::SockRecv | F::SockSend => {
                self.socket(function, args, memory)
            }
            F::ArgsSizesGet
            | F::EnvironSizesGet
            | F::FdAdvise
            | F::FdDatasync
            | F::FdFdstatSetFlags
            | F::FdFilestatGet
            | F::FdFilestatSetSize
            | F::FdFilestatSetTimes
            | F::FdPrestatGet
            | F::FdPrestatDirName
            | F::FdSync
            | F::FdTell
            | F::PathCreateDirectory
            | F::PathFilestatGet
            | F::PathFilestatSetTimes
            | F::PathLink
            | F::PathReadlink
            | F::PathRemoveDirectory
            | F::PathRename
            | F::PathSymlink
            | F::PathUnlinkFile
            | F::SchedYield
            | F::RandomGet => forward(&mut self.provider, function, args.0, memory),
        }
    }

    /// The provider relies on the whole table and the whole buffer being inside of the address space.
    fn strings(
        &mut self,
        function: Function,
        args: Args<'_>,
        memory: &mut [u8],
    ) -> Result<(), Failure> {
        let strings = if function == Function::EnvironGet {
            &self.provider.env
        } else {
            &self.provider.args
        };
        let table_bytes = u64::from(strings.number_elements()) * 4;
        guest::slice(memory, args.word(0), table_bytes)?;
        guest::slice(memory, args.word(1), strings.cumulative_size().into())?;
        forward(&mut self.provider, function, args.0, memory)
    }

    fn clock(
        &mut self,
        function: Function,
        args: Args<'_>,
        memory: &mut [u8],
    ) -> Result<(), Failure> {
        let clock = Clock::from_guest(args.word(0))?;
        let cpu = if function == Function::ClockResGet {
            clock.cpu_resolution(args.word(1), memory)
        } else {
            clock.cpu_time(args.word(2), memory)
        };
        cpu.unwrap_or_else(|| forward(&mut self.provider, function, args.0, memory))
    }

    /// The provider has no files that can be allocated.
    fn allocate(&mut self, args: Args<'_>) -> Result<(), Failure> {
        let fd = args.word(0);
        let fdstat = self.fdstat(fd)?;
        let writes = Rights::from_bits(guest::u64_at(&fdstat, 8)).contains(Rights::FD_WRITE);
        let descriptor = self.descriptors.get(fd).ok_or(Errno::BADF)?;
        let Kind::File(file) = &descriptor.kind else {
            return Err(Errno::BADF.into());
        };
        let host = file.fd().filter(|_| writes).ok_or(Errno::BADF)?;
        Ok(rustix::fs::fallocate(
            host,
            FallocateFlags::empty(),
            args.long(1),
            args.long(2),
        )?)
    }

    fn close(&mut self, args: Args<'_>, memory: &mut [u8]) -> Result<(), Failure> {
        forward(&mut self.provider, Function::FdClose, args.0, memory)?;
        self.descriptors.remove(args.word(0));
        Ok(())
    }

    fn renumber(&mut self, args: Args<'_>, memory: &mut [u8]) -> Result<(), Failure> {
        forward(&mut self.provider, Function::FdRenumber, args.0, memory)?;
        self.descriptors.renumber(args.word(0), args.word(1));
        Ok(())
    }

    fn fdstat_get(&mut self, args: Args<'_>, memory: &mut [u8]) -> Result<(), Failure> {
        forward(&mut self.provider, Function::FdFdstatGet, args.0, memory)?;
        let record = guest::slice(memory, args.word(1), FDSTAT_BYTES as u64)?;
        let (base, inheriting) = self.rights(args.word(0), record);
        record[8..16].copy_from_slice(&base.bits().to_le_bytes());
        record[16..24].copy_from_slice(&inheriting.bits().to_le_bytes());
        Ok(())
    }

    /// The rights of a descriptor, from the `fdstat` that the provider gives for it.
    fn rights(&self, fd: u32, fdstat: &[u8]) -> (Rights, Rights) {
        let mut base = Rights::from_bits(guest::u64_at(fdstat, 8));
        let mut inheriting = Rights::from_bits(guest::u64_at(fdstat, 16));
        let Some(descriptor) = self.descriptors.get(fd) else {
            return (base, inheriting);
        };
        if fdstat[0] == DIRECTORY {
            base |= Rights::PATH_FILESTAT_SET_SIZE;
            inheriting |= Rights::PATH_FILESTAT_SET_SIZE;
        } else {
            base |= Rights::FILE;
        }
        let seeks = match (fdstat[0], &descriptor.kind) {
            // C libraries take a character device that cannot seek for a terminal.
            (CHARACTER_DEVICE, Kind::File(file)) => !file.is_terminal(),
            (filetype, _) => filetype == REGULAR_FILE || filetype == BLOCK_DEVICE,
        };
        if seeks {
            base |= Rights::FD_SEEK | Rights::FD_TELL;
        }
        if is_socket(fdstat[0]) {
            base |= Rights::SOCK_ACCEPT | Rights::SOCK_SHUTDOWN;
        }
        inheriting = inheriting.without(descriptor.removed_inheriting);
        (base.without(descriptor.removed), inheriting)
    }

    /// What the provider says of a descriptor.
    fn fdstat(&mut self, fd: u32) -> Result<[u8; FDSTAT_BYTES], Failure> {
        // The provider checks the alignment of the address.
        #[repr(align(8))]
        struct Aligned([u8; FDSTAT_BYTES]);
        let mut memory = Aligned([0; FDSTAT_BYTES]);
        let args = [u64::from(fd), 0];
        forward(
            &mut self.provider,
            Function::FdFdstatGet,
            &args,
            &mut memory.0,
        )?;
        Ok(memory.0)
    }

    /// Rights can only shrink (witx `fd_fdstat_set_rights`).
    fn fdstat_set_rights(&mut self, args: Args<'_>) -> Result<(), Failure> {
        let fd = args.word(0);
        let fdstat = self.fdstat(fd)?;
        let (base, inheriting) = self.rights(fd, &fdstat);
        let wanted = Rights::from_bits(args.long(1));
        let wanted_inheriting = Rights::from_bits(args.long(2));
        if !base.contains(wanted) || !inheriting.contains(wanted_inheriting) {
            return Err(Errno::NOTCAPABLE.into());
        }
        let descriptor = self.descriptors.get_mut(fd).ok_or(Errno::BADF)?;
        descriptor.removed |= base.without(wanted);
        descriptor.removed_inheriting |= inheriting.without(wanted_inheriting);
        Ok(())
    }

    /// Telling the position by a seek needs less than moving it.
    fn seek(&mut self, args: Args<'_>, memory: &mut [u8]) -> Result<(), Failure> {
        let tells = args.long(1) == 0 && args.word(2) == CURRENT;
        let lacks = |right| self.descriptors.lacks(args.word(0), right);
        if lacks(Rights::FD_SEEK) && (!tells || lacks(Rights::FD_TELL)) {
            return Err(Errno::NOTCAPABLE.into());
        }
        forward(&mut self.provider, Function::FdSeek, args.0, memory)
    }

    /// Bounds the number of buffers, which the provider would collect whatever their number.
    fn vectored(
        &mut self,
        function: Function,
        args: Args<'_>,
        memory: &mut [u8],
    ) -> Result<(), Failure> {
        let (start, count) = clamp_iovecs(memory, args.word(1), args.word(2))?;
        let mut clamped = [0; 6];
        let clamped = &mut clamped[..args.0.len()];
        clamped.copy_from_slice(args.0);
        clamped[1] = start.into();
        clamped[2] = count.into();
        forward(&mut self.provider, function, clamped, memory)
    }

    fn readdir(&mut self, args: Args<'_>, memory: &mut [u8]) -> Result<(), Failure> {
        forward(&mut self.provider, Function::FdReaddir, args.0, memory)?;
        let used = guest::read_u32(memory, args.word(4))?;
        zero_dirent_padding(guest::slice(memory, args.word(1), used.into())?);
        Ok(())
    }

    fn open(&mut self, args: Args<'_>, memory: &mut [u8]) -> Result<(), Failure> {
        let directory = args.word(0);
        let mut removed = Rights::default();
        if let Some(descriptor) = self.descriptors.get(directory) {
            removed = descriptor.removed_inheriting;
        }
        let wanted = Rights::from_bits(args.long(5)) | Rights::from_bits(args.long(6));
        let oflags = args.word(4);
        let lacks = |flag, right| oflags & flag != 0 && self.descriptors.lacks(directory, right);
        if removed.intersects(wanted)
            || lacks(CREATE, Rights::PATH_CREATE_FILE)
            || lacks(TRUNCATE, Rights::PATH_FILESTAT_SET_SIZE)
        {
            return Err(Errno::NOTCAPABLE.into());
        }
        forward(&mut self.provider, Function::PathOpen, args.0, memory)?;
        self.add_opened(args.word(8), removed, memory)
    }

    /// Adds what the provider has just opened, by the number that it has written behind `pointer`.
    fn add_opened(
        &mut self,
        pointer: u32,
        removed: Rights,
        memory: &mut [u8],
    ) -> Result<(), Failure> {
        let fd = guest::read_u32(memory, pointer)?;
        let kind = match self.last_opened.take() {
            Some(Opened::File(file)) => Kind::File(file),
            Some(Opened::Dir) => Kind::Dir,
            None => return Ok(()),
        };
        self.descriptors.insert_child(fd, kind, removed);
        Ok(())
    }

    fn poll(&mut self, args: Args<'_>, memory: &mut [u8]) -> Result<(), Failure> {
        let request = Request {
            subscriptions: args.word(0),
            events: args.word(1),
            count: args.word(2),
        };
        let events = poll::poll_oneoff(&self.provider.clocks, &self.descriptors, request, memory)?;
        Ok(guest::write(memory, args.word(3), &events.to_le_bytes())?)
    }

    /// The provider says `badf` of open descriptors that are no sockets.
    fn socket(
        &mut self,
        function: Function,
        args: Args<'_>,
        memory: &mut [u8],
    ) -> Result<(), Failure> {
        if !is_socket(self.fdstat(args.word(0))?[0]) {
            return Err(Errno::NOTSOCK.into());
        }
        if matches!(function, Function::SockRecv | Function::SockSend) {
            return self.vectored(function, args, memory);
        }
        forward(&mut self.provider, function, args.0, memory)?;
        if function == Function::SockAccept {
            self.add_opened(args.word(2), Rights::default(), memory)?;
        }
        Ok(())
    }
}

fn is_socket(filetype: u8) -> bool {
    filetype == SOCKET_DGRAM || filetype == SOCKET_STREAM
}
