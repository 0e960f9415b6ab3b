//! One sample: one program in one engine in this process, which ends with it.
//!
//! Upshift, Wasmtime and wasmi run in this process; native programs and JavaScript engines in a child of it.
//! A [`Job`] is what all of them get.

mod child;
mod clock;
mod hammer;
pub(crate) mod js;
mod upshift;
mod usage;
#[cfg(feature = "peers")]
mod wasmi;
#[cfg(feature = "peers")]
mod wasmtime;

use crate::engine::{Engine, Kind};
use crate::manifest::{self, Program};
use crate::schema::{MARK_LOAD, Measured, RESULT_PREFIX};
use std::borrow::Cow;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

/// Which program in which engine.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Options {
    /// The engine.
    pub(crate) engine: Engine,
    /// The program, by its name in the manifest, or a .wasm or .wat file.
    pub(crate) program: String,
    /// Manifests to look in; the suite's and the corpora's, if none is given.
    #[arg(long)]
    pub(crate) suite: Vec<PathBuf>,
    /// The size; the first one, if none is given.
    #[arg(long)]
    pub(crate) size: Option<String>,
    /// How often the module is instantiated and run in this process.
    #[arg(long, default_value_t = 1)]
    pub(crate) iterations: u32,
    /// Only load the module.
    #[arg(long)]
    pub(crate) load_only: bool,
    /// Write marks on standard error: when the module's bytes are in memory, and after each step of the program.
    #[arg(long)]
    pub(crate) marks: bool,
    /// Record what tier-up does.
    #[arg(long)]
    pub(crate) events: bool,
    /// Load the module from a stream of so many MB (1,000,000 bytes) per second.
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) stream: Option<u32>,
    /// Instead of running `_start`, call all functions that the module exports from so many threads.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) threads: Option<u32>,
}

/// Runs the program; what was measured is the last line on standard error. What the program prints goes to standard output,
/// once per iteration.
///
/// # Errors
/// If the engine is not here, or the program does not load or traps. An exit code other than 0 is no error.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let program = manifest::find(&options.suite, &options.program)?;
    let job = Job::new(options, &program)?;
    let one_thread = options.engine.one_thread;
    let special = job.stream.is_some() || job.threads.is_some();
    if special && !matches!(options.engine.kind, Kind::Upshift(..)) {
        let engine = options.engine;
        return Err(format!(
            "{engine}: only Upshift is measured with streams and threads"
        ));
    }
    let measured = match options.engine.kind {
        Kind::Upshift(policy, mode) => {
            upshift::run(&job, upshift::config(policy, mode, one_thread))
        }
        Kind::Counted(mode) => upshift::run(&job, upshift::counted(mode, one_thread)),
        #[cfg(feature = "peers")]
        Kind::Wasmtime(strategy) => wasmtime::run(&job, strategy, one_thread),
        #[cfg(feature = "peers")]
        Kind::Wasmi => wasmi::run(&job),
        #[cfg(not(feature = "peers"))]
        Kind::Wasmtime(_) | Kind::Wasmi => Err(crate::available::NO_PEERS.to_owned()),
        Kind::Native(native) => child::run_native(&job, native),
        Kind::V8(tiers) => child::run_js(&job, &js::v8(tiers, one_thread)?),
        Kind::Jsc(tiers) => child::run_js(&job, &js::jsc(tiers, one_thread)?),
    };
    tell(&measured?)
}

/// Writes the last line.
fn tell(measured: &Measured) -> Result<(), String> {
    let json = serde_json::to_string(measured).map_err(|e| format!("result: {e}"))?;
    // The guest may have left a line unfinished; nobody here knows, since its writes go past this process' own.
    let line = format!("\n{RESULT_PREFIX}{json}\n");
    let written = std::io::stderr().write_all(line.as_bytes());
    written.map_err(|e| format!("standard error: {e}"))
}

/// What every engine gets.
#[derive(Debug)]
struct Job<'a> {
    program: &'a Program,
    /// Arguments after the name of the program.
    args: Vec<String>,
    /// 0 if the module is to be loaded only.
    iterations: u32,
    marks: bool,
    events: bool,
    stream: Option<u32>,
    threads: Option<u32>,
}

impl<'a> Job<'a> {
    fn new(options: &Options, program: &'a Program) -> Result<Self, String> {
        let name = &program.name;
        let size = match &options.size {
            Some(size) if program.sizes.contains(size) => size,
            Some(size) => {
                let known = program.sizes.join(", ");
                return Err(format!(
                    "{name}: expected a size (one of {known}), found {size:?}"
                ));
            }
            None => program
                .sizes
                .first()
                .ok_or_else(|| format!("{name}: expected a size, found none"))?,
        };
        let load_only = options.load_only || program.compile_only;
        Ok(Self {
            program,
            args: program.arguments(size, options.marks),
            iterations: if load_only { 0 } else { options.iterations },
            marks: options.marks,
            events: options.events,
            stream: options.stream,
            threads: options.threads,
        })
    }

    /// The module in the binary format, in memory.
    fn module(&self) -> Result<Vec<u8>, String> {
        let path = &self.program.module;
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        // Whatever does not begin as a binary module is text, or has this error.
        if bytes.starts_with(b"\0") {
            return Ok(bytes);
        }
        match wat::parse_bytes(&bytes) {
            Ok(Cow::Owned(binary)) => Ok(binary),
            Ok(Cow::Borrowed(_)) => Ok(bytes),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Says, if it was asked for, that the bytes of the module are in memory.
    fn mark_load(&self) -> Result<(), String> {
        if !self.marks {
            return Ok(());
        }
        let written = std::io::stderr().write_all(&[MARK_LOAD]);
        written.map_err(|e| format!("standard error: {e}"))
    }

    /// What a program sees as its own name: WebAssembly ones the name of the module's file.
    fn argv0(&self) -> String {
        let module = &self.program.module;
        let file = module.file_name().unwrap_or(module.as_os_str());
        file.to_string_lossy().into_owned()
    }

    /// Makes the file that the program reads, if there is one, the standard input of this process, from its start.
    fn redirect_stdin(&self) -> Result<(), String> {
        let Some(path) = &self.program.stdin else {
            return Ok(());
        };
        let failed = |e: std::io::Error| format!("{}: {e}", path.display());
        let mut file = std::fs::File::open(path).map_err(failed)?;
        // A directory opens as well, and would be an error of the guest.
        file.read(&mut []).map_err(failed)?;
        nix::unistd::dup2_stdin(&file).map_err(|e| failed(e.into()))
    }
}
