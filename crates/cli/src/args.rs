//! The command line.

use crate::observe::{ObserveOptions, TiersOptions};
use crate::schedule::Mask;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;
use upshift::{CompileMode, Config, Error, ErrorKind, TierPolicy, Tuning};

/// The subcommands, for telling them from a file.
pub(crate) const COMMANDS: [&str; 6] = ["run", "tiers", "validate", "compile", "objdump", "wast"];

/// A WebAssembly engine with two gears: starts at once, runs optimized.
#[derive(Parser, Debug)]
#[command(
    name = "upshift",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a program (the default command: `upshift FILE` is `upshift run FILE`).
    Run(RunOptions),
    /// Run a program and print the history of its functions; FILE may also be what `--trace-tiering` wrote.
    Tiers(TiersOptions),
    /// Check that a module is valid.
    Validate(FileOptions),
    /// Compile a whole module with each tier; print times and sizes.
    Compile(CompileOptions),
    /// Show a function's wasm beside its machine code.
    Objdump(ObjdumpOptions),
    /// Run test scripts.
    Wast(WastOptions),
}

/// How functions get their code.
#[derive(Args, Clone, Debug)]
pub(crate) struct EngineOptions {
    /// When code is made by which compiler.
    #[arg(long, value_enum, default_value_t = TierArg::Dynamic, value_name = "POLICY")]
    pub(crate) tier: TierArg,
    /// Compile a function at its first call, or all of them before the start.
    #[arg(long, value_enum, default_value_t = CompileArg::Lazy, value_name = "MODE")]
    pub(crate) compile: CompileArg,
    /// Threads that validate and compile at the same time (1: only the calling one until the guest runs).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Threads that optimize while the program runs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) compile_threads: Option<u32>,
    /// What those threads add to the niceness of the process.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=19))]
    pub(crate) compile_nice: Option<u8>,
    /// Optimize each function in its N-th call, whatever the counters say; 0: before the first (for tests).
    #[arg(long, value_name = "N")]
    pub(crate) tier_up_after: Option<u32>,
    /// Enter each loop with optimized code at its N-th round in baseline code, whatever the counters say (for tests).
    #[arg(long, value_name = "N")]
    pub(crate) osr_after: Option<u32>,
    /// Leave running loops in baseline code.
    #[arg(long)]
    pub(crate) no_osr: bool,
    /// Compile each function by itself: leave calls of small and hot functions calls.
    #[arg(long)]
    pub(crate) no_inlining: bool,
    /// Thresholds of tier-up; a key that there is not lists those that there are.
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = tuning)]
    pub(crate) tuning: Option<Tuning>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum TierArg {
    /// Baseline first; what turns out hot is optimized.
    Dynamic,
    /// Baseline first; everything is optimized in the background.
    Eager,
    /// Baseline only.
    Baseline,
    /// Optimized code before the first call.
    Optimizing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum CompileArg {
    /// At the first call.
    Lazy,
    /// All before the start.
    Eager,
}

impl EngineOptions {
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.tier_policy(match self.tier {
            TierArg::Dynamic => TierPolicy::Dynamic,
            TierArg::Eager => TierPolicy::Eager,
            TierArg::Baseline => TierPolicy::Baseline,
            TierArg::Optimizing => TierPolicy::Optimizing,
        });
        config.compile_mode(match self.compile {
            CompileArg::Lazy => CompileMode::Lazy,
            CompileArg::Eager => CompileMode::Eager,
        });
        if let Some(threads) = self.threads {
            config.threads(threads as usize);
        }
        if let Some(tuning) = self.tuning {
            config.tuning(tuning);
        }
        if let Some(threads) = self.compile_threads {
            config.compile_threads(threads as usize);
        }
        if let Some(nice) = self.compile_nice {
            config.compile_nice(nice);
        }
        config.tier_up_after(self.tier_up_after);
        config.osr_after(self.osr_after);
        if self.no_osr {
            config.osr(false);
        }
        if self.no_inlining {
            config.inlining(false);
        }
        config
    }
}

#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
    /// Force functions into a tier: FUNC is an index, a range `3-9`, a name or `*`, TIER `baseline`, `optimizing` or `policy`;
    /// the last that fits counts. `@FILE` reads one from each line.
    #[arg(long, value_name = "FUNC=TIER,...", value_parser = Mask::parse)]
    pub(crate) tier_mask: Option<Mask>,
    /// Write down at which visits of which sites functions get optimized code. Slows baseline code down.
    #[arg(long, value_name = "FILE")]
    pub(crate) record_tiering: Option<PathBuf>,
    /// Give functions optimized code at the visits that a recording names, and only there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tier", "tier_up_after", "osr_after", "no_osr", "tier_mask"])]
    pub(crate) replay_tiering: Option<PathBuf>,
    /// Stop the guest after this many seconds, with a trap.
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Call this export instead of `_start`; ARGS are its arguments, results go to standard output.
    #[arg(long, value_name = "NAME")]
    pub(crate) invoke: Option<String>,
    /// Give the guest a directory.
    #[arg(long = "dir", value_name = "HOST[::GUEST]")]
    pub(crate) dirs: Vec<String>,
    /// Set an environment variable of the guest.
    #[arg(long = "env", value_name = "K=V", value_parser = key_value)]
    pub(crate) env: Vec<(String, String)>,
    /// Print times and sizes as one line on standard error, the last.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) timings: Option<TimingsFormat>,
    /// Print what the tiers did, on standard error.
    #[arg(long)]
    pub(crate) stats: bool,
    #[command(flatten)]
    pub(crate) observe: ObserveOptions,
    /// The module, binary or text (`-`: from standard input, loaded while it arrives), and the arguments of the guest: all
    /// that follows FILE is the guest's.
    #[arg(value_names = ["FILE", "ARGS"], trailing_var_arg = true, required = true, num_args = 1..)]
    command: Vec<OsString>,
}

impl RunOptions {
    /// The module's path, as given.
    pub(crate) fn file(&self) -> &Path {
        Path::new(self.command.first().map_or(OsStr::new(""), |file| file))
    }

    /// The guest's arguments.
    ///
    /// # Errors
    /// If one is not UTF-8: WASI has no other arguments.
    pub(crate) fn guest_args(&self) -> Result<Vec<&str>, Error> {
        let args = self.command.get(1..).unwrap_or_default().iter();
        args.map(|arg| {
            arg.to_str().ok_or_else(|| {
                let message = format!("expected an argument in UTF-8, found {arg:?}");
                Error::with_kind(ErrorKind::Type, message)
            })
        })
        .collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum TimingsFormat {
    /// One JSON object.
    Json,
}

#[derive(Args, Debug)]
pub(crate) struct FileOptions {
    /// The module, binary or text; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct CompileOptions {
    /// Threads that compile at the same time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// The module, binary or text; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ObjdumpOptions {
    /// Index of the function, imports counted; all functions when absent.
    #[arg(long, value_name = "N")]
    pub(crate) func: Option<u32>,
    /// Whose code.
    #[arg(long, value_enum, default_value_t = DumpTier::Both)]
    pub(crate) tier: DumpTier,
    /// The module, binary or text; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum DumpTier {
    /// The single-pass compiler's.
    Baseline,
    /// The optimizing compiler's.
    Optimizing,
    /// One after the other.
    Both,
}

#[derive(Args, Debug)]
pub(crate) struct WastOptions {
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
    /// The scripts.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("expected seconds, found {text:?}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())
}

/// Thresholds as TOML, but with commas for the ends of lines; those that are not named keep their defaults.
fn tuning(text: &str) -> Result<Tuning, String> {
    let lines = text.replace(',', "\n");
    toml::from_str(&lines).map_err(|error| {
        let place = error.span().and_then(|span| lines.get(span));
        format!("{} at {:?}", error.message(), place.unwrap_or_default())
    })
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("expected K=V, found {text:?}")),
    }
}
