//! Tells profilers what machine code is called.
//!
//! Code space and stubs call in here when code was written and before anybody can run it; without a [`Profiler`] that is one
//! comparison per compile. Both formats are files per process, which engines share: tools find them by the process id.
//!
//! Names come from the module, which may still be arriving when its first code is made. Such code is held back until the
//! module is whole ([`Profiler::module`]); nobody can run it before that.

mod jit_dump;
mod perf_map;

use crate::code_space::CodeOwner;
use crate::error::RuntimeError;
use jit_dump::JitDump;
use perf_map::PerfMap;
use std::collections::HashMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use upshift_abi::{CodeKind, CompiledFunc};
use upshift_module::{FuncIndex, Module};

/// What is written for profilers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProfileFormat {
    /// `/tmp/perf-PID.map`: address, size and name of each piece of code, as text. It does not tell code that was freed from
    /// code that took its place.
    PerfMap,
    /// `jit-PID.dump` in the current folder: all of it, with the code and the time. For `perf record -k mono` and
    /// `perf inject --jit`.
    JitDump,
}

/// Writes down where code is.
pub struct Profiler {
    format: ProfileFormat,
    state: Mutex<State>,
}

struct State {
    writer: Arc<Mutex<Writer>>,
    modules: HashMap<CodeOwner, Weak<Module>>,
    waiting: HashMap<CodeOwner, Vec<Code>>,
}

/// Code of a module whose names are not known yet.
struct Code {
    func: FuncIndex,
    suffix: &'static str,
    address: usize,
    bytes: Vec<u8>,
}

enum Writer {
    PerfMap(PerfMap),
    JitDump(JitDump),
}

impl Writer {
    fn open(format: ProfileFormat) -> io::Result<Self> {
        let pid = std::process::id();
        match format {
            ProfileFormat::PerfMap => {
                PerfMap::create(Path::new(&format!("/tmp/perf-{pid}.map"))).map(Self::PerfMap)
            }
            ProfileFormat::JitDump => {
                JitDump::create(Path::new(&format!("jit-{pid}.dump"))).map(Self::JitDump)
            }
        }
    }

    /// What cannot be written is lost: a profile is no reason to stop a guest.
    fn load(&mut self, name: &str, address: usize, bytes: &[u8]) {
        let _ = match self {
            Self::PerfMap(map) => map.load(name, address, bytes.len()),
            Self::JitDump(dump) => dump.load(name, address, bytes),
        };
    }
}

/// Starts a file. One that is there is of a process that had this number before; it is removed and not written to, since in a
/// folder that everybody can write to it might be a link to something else.
fn start_file(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).open(path)
}

/// The files of this process, opened at the first use and never closed.
static WRITERS: Mutex<[Option<Arc<Mutex<Writer>>>; 2]> = Mutex::new([None, None]);

fn writer(format: ProfileFormat) -> io::Result<Arc<Mutex<Writer>>> {
    let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = match format {
        ProfileFormat::PerfMap => &mut writers[0],
        ProfileFormat::JitDump => &mut writers[1],
    };
    match place {
        Some(writer) => Ok(Arc::clone(writer)),
        None => {
            let writer = Arc::new(Mutex::new(Writer::open(format)?));
            *place = Some(Arc::clone(&writer));
            Ok(writer)
        }
    }
}

impl Profiler {
    /// Opens the file of this process.
    ///
    /// # Errors
    /// Kind `Os` if the system refuses.
    pub fn new(format: ProfileFormat) -> Result<Arc<Self>, RuntimeError> {
        let writer = writer(format).map_err(|error| {
            let what = match format {
                ProfileFormat::PerfMap => "writing a perf map to /tmp",
                ProfileFormat::JitDump => "writing a jitdump file to the current folder",
            };
            RuntimeError::os(what, error)
        })?;
        Ok(Arc::new(Self {
            format,
            state: Mutex::new(State {
                writer,
                modules: HashMap::new(),
                waiting: HashMap::new(),
            }),
        }))
    }

    /// What it writes.
    #[must_use]
    pub fn format(&self) -> ProfileFormat {
        self.format
    }

    /// A module is whole: its functions have names from now on.
    pub(crate) fn module(&self, owner: CodeOwner, module: &Arc<Module>) {
        let mut state = self.lock();
        state.modules.insert(owner, Arc::downgrade(module));
        for code in state.waiting.remove(&owner).unwrap_or_default() {
            state.write(module, &code);
        }
    }

    /// A module goes, whole or not.
    pub(crate) fn forget(&self, owner: CodeOwner) {
        let mut state = self.lock();
        state.modules.remove(&owner);
        state.waiting.remove(&owner);
    }

    /// Code of a function is at this address; `bytes` are those that are linked.
    pub(crate) fn code(
        &self,
        owner: CodeOwner,
        code: &CompiledFunc,
        address: usize,
        bytes: Vec<u8>,
    ) {
        let code = Code {
            func: code.func,
            suffix: match code.kind {
                CodeKind::Osr(_) => "osr",
                CodeKind::Entry => code.tier.name(),
            },
            address,
            bytes,
        };
        let mut state = self.lock();
        match state.modules.get(&owner).and_then(Weak::upgrade) {
            Some(module) => state.write(&module, &code),
            None => state.waiting.entry(owner).or_default().push(code),
        }
    }

    /// A stub is at this address.
    pub(crate) fn stub(&self, name: &str, address: usize, bytes: &[u8]) {
        let state = self.lock();
        state.load(&format!("upshift {name} [stub]"), address, bytes);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&self, module: &Module, code: &Code) {
        let (func, suffix) = (code.func, code.suffix);
        let name = match module.func_name(func) {
            Some(name) if !name.is_empty() => format!("{name} [{suffix}]"),
            Some(_) | None => format!("func {} [{suffix}]", func.0),
        };
        self.load(&name, code.address, &code.bytes);
    }

    /// Names are the guest's: both formats end them with a control character.
    fn load(&self, name: &str, address: usize, bytes: &[u8]) {
        let name = name.replace(char::is_control, " ");
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.load(&name, address, bytes);
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
