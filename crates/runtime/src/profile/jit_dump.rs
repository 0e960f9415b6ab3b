//! The jitdump file, version 1, as `tools/perf/Documentation/jitdump-specification.txt` of Linux has it.
//!
//! A header of 40 bytes, then records: a head of 16 bytes (kind, size, time), and what its kind has. All numbers in the byte order
//! of the machine. `perf record` learns of the file by seeing the process map a page of it as executable.

use super::start_file;
use crate::pages::map_executable_marker;
use rustix::thread::gettid;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process;

/// `JiTD`, read as a number.
const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 40;
/// The number of x86-64 in ELF files.
const EM_X86_64: u32 = 62;
/// A record with code.
const JIT_CODE_LOAD: u32 = 0;
/// Its size without name and code.
const LOAD_BYTES: usize = 56;

/// The file.
pub(super) struct JitDump {
    file: File,
    /// Number of the next piece of code.
    index: u64,
}

impl JitDump {
    /// Starts the file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut file = start_file(path)?;
        let mut header = Vec::new();
        for word in [MAGIC, VERSION, HEADER_BYTES, EM_X86_64, 0, process::id()] {
            header.extend(word.to_ne_bytes());
        }
        header.extend(now().to_ne_bytes());
        // No flags.
        header.extend(0_u64.to_ne_bytes());
        file.write_all(&header)?;
        map_executable_marker(&file)?;
        Ok(Self { file, index: 0 })
    }

    /// Adds code, at once: the process may end at any time.
    pub(super) fn load(&mut self, name: &str, address: usize, code: &[u8]) -> io::Result<()> {
        let size = LOAD_BYTES + name.len() + 1 + code.len();
        let total = u32::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut record = Vec::with_capacity(size);
        record.extend(JIT_CODE_LOAD.to_ne_bytes());
        record.extend(total.to_ne_bytes());
        record.extend(now().to_ne_bytes());
        record.extend(process::id().to_ne_bytes());
        record.extend(gettid().as_raw_nonzero().get().to_ne_bytes());
        // The address where it is running, and where it is: no difference here.
        record.extend((address as u64).to_ne_bytes());
        record.extend((address as u64).to_ne_bytes());
        record.extend((code.len() as u64).to_ne_bytes());
        record.extend(self.index.to_ne_bytes());
        record.extend(name.as_bytes());
        record.push(0);
        record.extend(code);
        self.index += 1;
        self.file.write_all(&record)
    }
}

/// The clock of `perf record -k mono`, in nanoseconds.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}
