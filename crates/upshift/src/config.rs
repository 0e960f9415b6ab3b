//! What an embedder can choose: [`Config`], and its defaults.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use upshift_abi::Tier;
use upshift_module::FuncIndex;
use upshift_runtime::ProfileFormat;
use upshift_tiering::{
    CompileMode, EventSink, Schedule, ScheduleRecorder, TierMask, TierPolicy, TieringOptions,
    Tuning,
};

/// Stack that guests may use by default, in bytes.
const MAX_WASM_STACK: usize = 1 << 20;
/// Smallest stack that makes sense, in bytes.
const MIN_WASM_STACK: usize = 16 << 10;

/// Options of an [`Engine`](crate::Engine). Each setter has the default in its description.
///
/// ```
/// use upshift::{CompileMode, Config, Engine, TierPolicy};
///
/// # fn main() -> upshift::Result<()> {
/// let mut config = Config::new();
/// config.tier_policy(TierPolicy::Optimizing).compile_mode(CompileMode::Eager);
/// let engine = Engine::new(&config)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) tiering: TieringOptions,
    pub(crate) max_wasm_stack: usize,
    pub(crate) memory_reservation: Option<bool>,
    pub(crate) code_reserve_bytes: Option<usize>,
    pub(crate) profiling: ProfilingStrategy,
    quarantine_code: Option<bool>,
}

/// What is written for profilers; see [`Config::profiler`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ProfilingStrategy {
    /// Nothing.
    #[default]
    None,
    /// `/tmp/perf-PID.map`, a text file with address, size and name of each piece of code, which `perf report` and others read.
    /// It has no code in it, and does not tell code that was freed from code that took its place.
    PerfMap,
    /// `jit-PID.dump` in the current folder, with the code and the time of each piece. For `perf record -k mono` and
    /// `perf inject --jit`, or samply.
    JitDump,
}

impl ProfilingStrategy {
    pub(crate) fn format(self) -> Option<ProfileFormat> {
        match self {
            Self::None => None,
            Self::PerfMap => Some(ProfileFormat::PerfMap),
            Self::JitDump => Some(ProfileFormat::JitDump),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tiering: TieringOptions {
                interruption: true,
                ..TieringOptions::default()
            },
            max_wasm_stack: MAX_WASM_STACK,
            memory_reservation: None,
            code_reserve_bytes: None,
            profiling: ProfilingStrategy::None,
            quarantine_code: None,
        }
    }

    /// Which tier functions run in, and when they change it. Default: [`TierPolicy::Dynamic`].
    pub fn tier_policy(&mut self, policy: TierPolicy) -> &mut Self {
        self.tiering.policy = policy;
        self
    }

    /// Whether functions get their first code at their first call, or all in [`Module::new`](crate::Module::new).
    /// Default: [`CompileMode::Lazy`].
    pub fn compile_mode(&mut self, mode: CompileMode) -> &mut Self {
        self.tiering.mode = mode;
        self
    }

    /// How many threads validate and compile at the same time. With 1 everything before the first
    /// call happens on the calling thread. The pool that optimizes while guests run always keeps one thread. 0 counts as
    /// 1. Default: what the system says is available.
    pub fn threads(&mut self, threads: usize) -> &mut Self {
        self.tiering.threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Whether a running guest can be stopped by an [`InterruptHandle`](crate::InterruptHandle). Off, optimized loops
    /// without calls cannot be stopped and are a little faster. Default: on.
    pub fn interruption(&mut self, enable: bool) -> &mut Self {
        self.tiering.interruption = enable;
        self
    }

    /// Stack that one entry into a guest may use, in bytes; at least 16 KiB. What a thread's stack has
    /// left is a bound as well. Default: 1 MiB.
    pub fn max_wasm_stack(&mut self, bytes: usize) -> &mut Self {
        self.max_wasm_stack = bytes.max(MIN_WASM_STACK);
        self
    }

    /// Whether each memory reserves 4 GiB of address space, so that the processor checks bounds; off, code
    /// compares. Default: none, which reserves where the address space allows it.
    pub fn memory_reservation(&mut self, enable: impl Into<Option<bool>>) -> &mut Self {
        self.memory_reservation = enable.into();
        self
    }

    /// Address space for machine code, in bytes: whole MiB, at least 1 MiB and at most 2 GiB. Memory is only used
    /// for code that is there; when it is full, compiling more gives errors of kind
    /// [`ErrorKind::Resource`](crate::ErrorKind::Resource), and what has code runs on. Default: 1 GiB, less where address space is limited.
    pub fn code_reserve_bytes(&mut self, bytes: usize) -> &mut Self {
        self.code_reserve_bytes = Some(bytes.min(2 << 30));
        self
    }

    /// Thresholds of tier-up; they never change what a program computes. Default: [`Tuning::DEFAULT`].
    ///
    /// ```
    /// use upshift::{Config, Tuning};
    ///
    /// let tuning = Tuning { budget_percent: 200, ..Tuning::DEFAULT };
    /// let mut config = Config::new();
    /// config.tuning(tuning);
    /// ```
    pub fn tuning(&mut self, tuning: Tuning) -> &mut Self {
        self.tiering.tuning = tuning;
        self
    }

    /// Optimizes each function in its call number `calls`, whatever it costs; call `calls` + 1 runs
    /// the optimized code. 0 optimizes before the first call. Needs a policy that tiers up. Default: none.
    pub fn tier_up_after(&mut self, calls: impl Into<Option<u32>>) -> &mut Self {
        self.tiering.tier_up_after = calls.into();
        self
    }

    /// How many threads optimize functions while guests run, at least one. Default: one less than [`Self::threads`].
    /// Changes the [`Tuning`]; call it after [`Self::tuning`].
    pub fn compile_threads(&mut self, threads: impl Into<Option<usize>>) -> &mut Self {
        self.tiering.tuning.compile_threads = threads.into();
        self
    }

    /// What those threads add to the niceness of the process, up to 19. Default: 0. Changes the [`Tuning`]; call it after
    /// [`Self::tuning`].
    pub fn compile_nice(&mut self, nice: u8) -> &mut Self {
        self.tiering.tuning.compile_nice = nice;
        self
    }

    /// Whether a loop that runs in baseline code is entered in the middle by optimized code (on-stack replacement).
    /// Default: yes. Changes the [`Tuning`]; call it after [`Self::tuning`].
    pub fn osr(&mut self, enable: bool) -> &mut Self {
        self.tiering.tuning.osr = enable;
        self
    }

    /// Whether the optimizing tier puts the bodies of callees in place of calls, by size and profile. Backtraces show
    /// inlined functions as any others. Default: yes. Changes the [`Tuning`]; call it after [`Self::tuning`].
    pub fn inlining(&mut self, enable: bool) -> &mut Self {
        self.tiering.tuning.inlining = enable;
        self
    }

    /// Enters loops of baseline code with optimized code from visit number `visits` of the loop's header on, counted over all
    /// stores, whatever that costs; coming to the loop is its first visit. Needs a policy that tiers up. Default: none.
    pub fn osr_after(&mut self, visits: impl Into<Option<u32>>) -> &mut Self {
        self.tiering.osr_after = visits.into();
        self
    }

    /// Has `recorder` write down at which visits of which sites functions get optimized code: a [`Schedule`] that
    /// [`Self::replay_tiering`] follows. Baseline code enters the engine at every site then, which makes it much slower.
    /// Default: no recorder.
    ///
    /// ```
    /// use upshift::{Config, Engine, Instance, Module, Schedule, ScheduleRecorder, Store};
    ///
    /// # fn main() -> upshift::Result<()> {
    /// let run = |config: &Config| -> upshift::Result<()> {
    ///     let engine = Engine::new(config)?;
    ///     let module = Module::new(&engine, r#"(module (func (export "f")))"#)?;
    ///     let mut store = Store::new(&engine, ());
    ///     let f = Instance::new(&mut store, &module, &[])?.get_typed_func::<(), ()>(&mut store, "f")?;
    ///     (0..5).try_for_each(|_| f.call(&mut store, ()))
    /// };
    /// let recorder = ScheduleRecorder::new();
    /// run(Config::new().tier_up_after(3).record_tiering(&recorder))?;
    /// let schedule = recorder.schedule();
    /// assert!(schedule.to_string().contains(r#"{"func":0,"site":0,"count":3,"do":"install"}"#));
    ///
    /// let replayed = ScheduleRecorder::new();
    /// run(Config::new().replay_tiering(schedule.clone()).record_tiering(&replayed))?;
    /// assert_eq!(replayed.schedule(), schedule);
    /// # Ok(())
    /// # }
    /// ```
    pub fn record_tiering(&mut self, recorder: &ScheduleRecorder) -> &mut Self {
        self.tiering.recorder = Some(recorder.clone());
        self
    }

    /// Gives functions optimized code at the visits that the schedule names, and only there, compiled while the guest waits. It
    /// wins over policy, mask, [`Self::tier_up_after`] and [`Self::osr_after`]. Loading a module that is not in the schedule is
    /// an error of kind [`ErrorKind::Type`](crate::ErrorKind::Type). Default: no schedule.
    pub fn replay_tiering(&mut self, schedule: Schedule) -> &mut Self {
        self.tiering.replay = Some(Arc::new(schedule));
        self
    }

    /// Forces functions, by index, into a tier; those with none follow the policy. The function must
    /// always give the same answer. Default: no mask.
    pub fn tier_mask(
        &mut self,
        mask: impl Fn(u32) -> Option<Tier> + Send + Sync + 'static,
    ) -> &mut Self {
        self.tiering.mask = Some(TierMask::new(move |func: FuncIndex| mask(func.0)));
        self
    }

    /// Who is told of every compilation and installation. Default: nobody, at no cost.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use upshift::{Config, Engine, EventKind, Instance, Module, RingBuffer, Store, Tier};
    ///
    /// # fn main() -> upshift::Result<()> {
    /// let events = Arc::new(RingBuffer::new(1000));
    /// let engine = Engine::new(Config::new().tier_up_after(1).events(events.clone()))?;
    /// let module = Module::new(&engine, r#"(module (func (export "f")))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let f = Instance::new(&mut store, &module, &[])?.get_typed_func::<(), ()>(&mut store, "f")?;
    /// f.call(&mut store, ())?;
    /// let optimized = EventKind::Installed { tier: Tier::Optimizing };
    /// assert!(events.events().iter().any(|event| event.kind == optimized));
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&mut self, sink: Arc<dyn EventSink>) -> &mut Self {
        self.tiering.sink = Some(sink);
        self
    }

    /// What is written for profilers, so that they show functions by name with the tier behind it: `name [baseline]`,
    /// `name [optimizing]`, and `name [osr]` for loops that are entered in the middle. Engines of one process share the file.
    /// Default: nothing, at no cost.
    pub fn profiler(&mut self, profile: ProfilingStrategy) -> &mut Self {
        self.profiling = profile;
        self
    }

    /// Whether addresses of freed code are never used again, so that going there by mistake stops the process. For tests; default: in
    /// builds with debug assertions, unless [`Self::code_reserve_bytes`] asks for thrift.
    #[doc(hidden)]
    pub fn code_quarantine(&mut self, enable: impl Into<Option<bool>>) -> &mut Self {
        self.quarantine_code = enable.into();
        self
    }

    pub(crate) fn quarantine_code(&self) -> bool {
        let default = cfg!(debug_assertions) && self.code_reserve_bytes.is_none();
        self.quarantine_code.unwrap_or(default)
    }

    /// How many registers of each class baseline code may allocate, to test its spilling.
    #[doc(hidden)]
    pub fn baseline_registers(&mut self, registers: impl Into<Option<u8>>) -> &mut Self {
        self.tiering.baseline_registers = registers.into();
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("tiering", &self.tiering)
            .field("max_wasm_stack", &self.max_wasm_stack)
            .field("memory_reservation", &self.memory_reservation)
            .field("code_reserve_bytes", &self.code_reserve_bytes)
            .field("profiling", &self.profiling)
            .finish()
    }
}
