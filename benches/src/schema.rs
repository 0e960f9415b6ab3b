//! What the harness writes and reads as JSON: one [`RunFile`] per `run` or `policies`, one [`WarmupFile`] per `warmup`, one
//! [`BarsFile`] per `bars`.
//!
//! Times are milliseconds (`_ms`), sizes bytes unless the name says otherwise. Samples are kept whole;
//! medians, intervals and ratios are made from them when they are shown, so that no figure is lost.

use serde::{Deserialize, Serialize};

/// The version of the format; readers refuse any other.
pub(crate) const FORMAT: u32 = 1;

/// Everything that one `run` found.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct RunFile {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// When it began: seconds since 1970, UTC.
    pub(crate) started_unix: u64,
    /// The command line, without the program.
    pub(crate) command: Vec<String>,
    /// Seed of the random order.
    pub(crate) seed: u64,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// The engines asked for, also those that were skipped.
    pub(crate) engines: Vec<EngineInfo>,
    /// The programs, each with its sizes.
    pub(crate) programs: Vec<ProgramInfo>,
    /// Every sample, in the order in which they were taken.
    pub(crate) samples: Vec<Sample>,
}

/// The fingerprint of a machine; figures of different ones should not be compared.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    /// Logical processors that this process may use.
    pub(crate) cores: usize,
    pub(crate) memory_kb: u64,
    /// Kernel name and release.
    pub(crate) os: String,
    /// The load average of one minute when the run began: a noisy machine shows here.
    pub(crate) load: f64,
    /// Commit of the work tree that the harness was built from, with `+` if there were changes; empty if unknown.
    pub(crate) commit: String,
}

/// One engine in one configuration.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct EngineInfo {
    /// As on the command line: see [`crate::engine::Engine`].
    pub(crate) name: String,
    /// Version of the engine or program; empty if it was skipped.
    pub(crate) version: String,
    /// Why it was not measured.
    pub(crate) skipped: Option<String>,
}

/// A program and what it ought to print.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct ProgramInfo {
    pub(crate) name: String,
    /// `int`, `float`, `stress`, `corpus` or `other`.
    pub(crate) kind: String,
    /// The benchmark it stands for, if any.
    pub(crate) like: Option<String>,
    pub(crate) wasm_bytes: u64,
    /// In hexadecimal.
    pub(crate) wasm_sha256: String,
    pub(crate) sizes: Vec<SizeInfo>,
}

/// A size of a program.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct SizeInfo {
    pub(crate) name: String,
    /// See [`Sample::checksum`]; none if no output is recorded.
    pub(crate) expected_checksum: Option<String>,
}

/// One process that ran one program in one engine.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) engine: String,
    pub(crate) program: String,
    pub(crate) size: String,
    /// Samples of one round were taken close together and are compared pair by pair.
    pub(crate) round: u32,
    /// From the start of the process to its end, seen from outside.
    pub(crate) process_ms: f64,
    pub(crate) outcome: Outcome,
    /// What the program printed: the value of its last line `checksum VALUE`, else the first 16 digits of the SHA-256 of
    /// its output.
    pub(crate) checksum: Option<String>,
    /// None if the process failed before it could tell.
    pub(crate) measured: Option<Measured>,
}

/// How a sample ended.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The output is the recorded one in every iteration; or only loading was asked for.
    Verified,
    /// It ended well and no output is recorded.
    Unchecked,
    /// It printed something else; the message says where the outputs part.
    Wrong(String),
    /// It did not end well.
    Failed(String),
}

/// What the process of a sample tells of itself: the last line of its standard error, after [`RESULT_PREFIX`].
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub(crate) struct Measured {
    /// From the bytes in memory to a module that can be instantiated; 0 for native programs.
    pub(crate) load_ms: f64,
    /// The part of `load_ms` that decodes and validates, where the engine tells.
    pub(crate) validate_ms: Option<f64>,
    /// The part of `load_ms` that compiles, where the engine tells.
    pub(crate) compile_ms: Option<f64>,
    /// Instantiations and runs of that module, one after the other in new stores; empty if only loading was asked for.
    pub(crate) iterations: Vec<Iteration>,
    /// What the engine did until the end of the last iteration, where it tells.
    pub(crate) tiers: Option<Tiers>,
    /// Machine code made, over all tiers, where the engine tells.
    pub(crate) code_bytes: Option<u64>,
    /// From the last byte of a stream to a module that can be instantiated, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ready_ms: Option<f64>,
    /// Bytes of the module's function bodies, their sizes left out, where the engine tells.
    #[serde(default)]
    pub(crate) body_bytes: Option<u64>,
    /// Highest resident memory of the process that ran the engine, in KiB.
    pub(crate) peak_rss_kb: u64,
    /// Processor time of all threads of that process, user and system.
    pub(crate) cpu_ms: f64,
    /// What tier-up did, if it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<TierEvent>,
    /// When the program had done each step of its first run, in ms since the bytes of the module were in memory (native: since the
    /// start of the process). Steps are marks on standard error, if marks were asked for, or calls of `bench.step`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) steps_ms: Vec<f64>,
    /// How calls from many threads went, if those were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stalls: Option<Stalls>,
}

/// What threads saw that called the same functions, pair after pair, while these got better code.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default)]
pub(crate) struct Stalls {
    pub(crate) threads: u32,
    /// Calls of all threads.
    pub(crate) calls: u64,
    /// Times that calls were led to optimized code.
    pub(crate) swaps: u64,
    /// The longest time between the ends of two calls of one thread.
    pub(crate) longest_gap_ms: f64,
    /// The same without the time in which the thread could have run and the processor ran others.
    pub(crate) longest_stall_ms: f64,
}

/// One instantiation and run.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default)]
pub(crate) struct Iteration {
    /// Linking, instantiating, the start function.
    pub(crate) instantiate_ms: f64,
    /// From the call of `_start` to the first call of an import: what lazy compilation delays. Where the engine does
    /// not show it, 0, and `run_ms` has it.
    pub(crate) first_call_ms: f64,
    /// The rest of the call, with the compilation that happens meanwhile.
    pub(crate) run_ms: f64,
    /// Between `bench.start` and `bench.end`, if the program imports them: a part of `run_ms`.
    pub(crate) region_ms: Option<f64>,
    /// Exit code of the program.
    pub(crate) exit: i32,
}

/// What the tiers of Upshift did.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default)]
pub(crate) struct Tiers {
    pub(crate) baseline: TierCounts,
    pub(crate) optimizing: TierCounts,
    /// Functions with a body in the module.
    pub(crate) functions: u64,
    /// Machine code that was not freed yet at the end.
    pub(crate) code_bytes_live: u64,
    /// Guest threads waiting for code.
    pub(crate) lazy_compile_ms: f64,
    /// Loops that were entered in the middle.
    pub(crate) osr_entries: u64,
}

/// What one compiler did.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default)]
pub(crate) struct TierCounts {
    pub(crate) functions: u64,
    pub(crate) code_bytes: u64,
    /// Added over all threads.
    pub(crate) compile_ms: f64,
}

/// Something that tier-up did to a function.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct TierEvent {
    /// Since the engine was made.
    pub(crate) at_ms: f64,
    /// Index in the module.
    pub(crate) func: u32,
    /// From the name section.
    pub(crate) name: Option<String>,
    pub(crate) kind: TierEventKind,
}

/// What it did.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "snake_case", tag = "what")]
pub(crate) enum TierEventKind {
    /// The first code of the function was made, ending at `at_ms`.
    FirstCompiled {
        optimizing: bool,
        compile_ms: f64,
        code_bytes: u32,
    },
    /// The optimizing tier was asked for.
    Requested,
    /// A worker took the job.
    JobStarted,
    /// The optimizing compiler was done, at `at_ms`.
    JobFinished { compile_ms: f64, code_bytes: u32 },
    /// Calls reach the new code.
    Installed { optimizing: bool },
    /// Calls do not reach the old code any more.
    Retired,
    /// A running loop is to be entered in the middle; it is named by its site.
    OsrRequested { site: u32 },
    /// A worker took that job.
    OsrStarted { site: u32 },
    /// Code for the loop was made, ending at `at_ms`.
    OsrCompiled {
        site: u32,
        compile_ms: f64,
        code_bytes: u32,
    },
    /// The loop went on in optimized code.
    OsrEntered { site: u32 },
    /// A request was dropped, or a compile failed.
    Dropped,
}

/// What `warmup` found: when each step of one program was done, by engine.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct WarmupFile {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// When it began: seconds since 1970, UTC.
    pub(crate) started_unix: u64,
    /// The command line, without the program.
    pub(crate) command: Vec<String>,
    pub(crate) machine: Machine,
    pub(crate) program: String,
    pub(crate) size: String,
    pub(crate) curves: Vec<WarmupCurve>,
    /// What tier-up did in one run under a policy that has it.
    pub(crate) timeline: Option<Timeline>,
}

/// The samples of one engine.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct WarmupCurve {
    pub(crate) engine: String,
    /// Per good sample, when the program had done each step, in ms since the bytes of the module were in memory (native:
    /// since the start of the process); all of the same length.
    pub(crate) samples: Vec<Vec<f64>>,
    /// Why samples are missing, if any are.
    pub(crate) problem: Option<String>,
}

/// What `bars` found, part by part.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct BarsFile {
    /// [`FORMAT`].
    pub(crate) format: u32,
    pub(crate) parts: Vec<BarsPart>,
}

/// What was measured interleaved.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct BarsPart {
    /// Its name, among those of the command.
    pub(crate) name: String,
    pub(crate) run: RunFile,
}

/// The events of one run.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub(crate) struct Timeline {
    pub(crate) engine: String,
    pub(crate) program: String,
    pub(crate) size: String,
    /// In the order of time.
    pub(crate) events: Vec<TierEvent>,
}

/// What comes before the JSON of [`Measured`] on the last line of standard error.
pub(crate) const RESULT_PREFIX: &str = "upshift-bench-result ";

/// What a sample that was asked for marks writes on standard error when the bytes of the module are in memory; the
/// program adds a [`MARK_STEP`] after each step of its work.
pub(crate) const MARK_LOAD: u8 = b'<';

/// See [`MARK_LOAD`].
pub(crate) const MARK_STEP: u8 = b'.';
