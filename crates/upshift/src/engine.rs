//! [`Engine`]: compilers, code space and policy, shared by modules and stores.

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::shim::StoreBox;
use crate::stats::Stats;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use upshift_abi::{Compiler, CpuFeatures, MemoryStyle, Tier};
use upshift_baseline::BaselineCompiler;
use upshift_module::{DecodeOptions, Module as DecodedModule, ModuleEnv, Parallelism};
use upshift_optimizing::OptimizingCompiler;
use upshift_runtime::{
    CodeSpace, CodeSpaceOptions, LoadedModule, ModuleCode, ModuleCodeParts, Profiler, StoreInner,
    StoreOptions, StoreParts, TypeRegistry, libcall_table, probe_memory_style,
    reserved_memory_style,
};
use upshift_tiering::{Arriving, CompileMode, TierManager};

/// Compiles modules and runs them: what a process has one of, as a rule.
///
/// Cheap to clone, `Send` and `Sync`. All code of an engine lies in one reservation of address space.
///
/// ```
/// use upshift::{Config, Engine, TierPolicy};
///
/// # fn main() -> upshift::Result<()> {
/// let engine = Engine::new(Config::new().tier_policy(TierPolicy::Baseline))?;
/// assert_eq!(engine.stats().tier(upshift::Tier::Optimizing).functions, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine(Arc<EngineInner>);

struct EngineInner {
    tiers: TierManager,
    baseline: Arc<dyn Compiler>,
    optimizing: Arc<dyn Compiler>,
    code_space: Arc<CodeSpace>,
    types: Arc<TypeRegistry>,
    memory_style: MemoryStyle,
    cpu: CpuFeatures,
    max_wasm_stack: usize,
    /// See [`Stats::validate_time`], in nanoseconds. Relaxed, since it orders nothing.
    validate_ns: AtomicU64,
}

impl Engine {
    /// An engine with these options.
    ///
    /// # Errors
    /// Kind [`ErrorKind::Unsupported`] on a processor without SSE4.1; kind [`ErrorKind::Resource`] if the system
    /// refuses address space for code, or the file of a profiler.
    pub fn new(config: &Config) -> Result<Self> {
        let cpu = CpuFeatures::detect();
        if !cpu.has(CpuFeatures::SSE41) {
            return Err(Error::with_kind(
                ErrorKind::Unsupported,
                "expected a processor with SSE4.1, found one without",
            ));
        }
        let mut options = CodeSpaceOptions::default();
        if let Some(bytes) = config.code_reserve_bytes {
            options.reserve_bytes = bytes;
        }
        if let Some(format) = config.profiling.format() {
            options.profiler = Some(Profiler::new(format).map_err(Error::from_runtime)?);
        }
        options.quarantine = config.quarantine_code();
        let memory_style = match config.memory_reservation {
            None => probe_memory_style(),
            Some(true) => reserved_memory_style(),
            Some(false) => MemoryStyle::Checked,
        };
        let baseline: Arc<dyn Compiler> = Arc::new(BaselineCompiler::new());
        let optimizing: Arc<dyn Compiler> = Arc::new(OptimizingCompiler::new());
        let tiers = TierManager::new(
            config.tiering.clone(),
            Arc::clone(&baseline),
            Arc::clone(&optimizing),
        );
        Ok(Self(Arc::new(EngineInner {
            tiers,
            baseline,
            optimizing,
            code_space: CodeSpace::new(&options, &libcall_table()).map_err(Error::from_runtime)?,
            types: TypeRegistry::new(),
            memory_style,
            cpu,
            max_wasm_stack: config.max_wasm_stack,
            validate_ns: AtomicU64::new(0),
        })))
    }

    /// Whether two are clones of one engine.
    #[must_use]
    pub fn same(a: &Self, b: &Self) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }

    /// What was compiled so far, by which tier, in how many bytes and how much time.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::new(self.0.tiers.stats(), self.0.code_space.stats());
        stats.validate_time = Duration::from_nanos(self.0.validate_ns.load(Ordering::Relaxed));
        stats
    }

    /// Waits until no function is queued or being compiled in the background: for tests and tools, whose
    /// outcome must not depend on how fast the machine is.
    pub fn wait_for_tier_up(&self) {
        self.0.tiers.drain();
    }

    /// Frees machine code that was replaced and that no guest runs any more. It happens by itself when code is replaced and
    /// when room is short; this is for a moment at which the host knows that guests are idle.
    pub fn free_retired_code(&self) {
        self.0.tiers.reclaim();
    }

    /// How bodies are validated: on the pool, or on the calling thread alone.
    pub(crate) fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            parallelism: match self.0.tiers.front_pool() {
                Some(pool) => Parallelism::Pool(pool),
                None => Parallelism::CallingThread,
            },
        }
    }

    /// Counts time that was spent on decoding and validating a module.
    pub(crate) fn validated(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.validate_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Whether modules are compiled before they are handed out.
    pub(crate) fn compiles_ahead(&self) -> bool {
        match self.0.tiers.options().mode {
            CompileMode::Lazy => false,
            CompileMode::Eager => true,
        }
    }

    /// Starts to compile a module of which only the declarations are there.
    pub(crate) fn arriving(&self, env: &Arc<ModuleEnv>) -> Result<Arriving> {
        Ok(self.0.tiers.arriving(self.module_code(env)?))
    }

    fn module_code(&self, env: &Arc<ModuleEnv>) -> Result<Arc<ModuleCode>> {
        let inner = &*self.0;
        ModuleCode::new(ModuleCodeParts {
            env: Arc::clone(env),
            code_space: Arc::clone(&inner.code_space),
            types: Arc::clone(&inner.types),
            memory_style: inner.memory_style,
            cpu: inner.cpu,
            interruption: inner.tiers.options().interruption,
        })
        .map_err(Error::from_runtime)
    }

    /// Makes a module of this engine of a decoded one; compiles it now if the mode says so, but for what was
    /// compiled while it arrived.
    pub(crate) fn load(
        &self,
        module: DecodedModule,
        arriving: Option<&Arriving>,
    ) -> Result<Arc<LoadedModule>> {
        let (tiers, code) = match arriving {
            Some(arriving) => arriving.arrived(),
            None => {
                let code = self.module_code(module.env())?;
                (self.0.tiers.module(&module), code)
            }
        };
        tiers
            .bind(&module)
            .map_err(|error| Error::with_kind(ErrorKind::Type, error.to_string()))?;
        let sink = Arc::<upshift_tiering::ModuleTiers>::clone(&tiers);
        let loaded = LoadedModule::with_code(Arc::new(module), code, sink);
        let loaded = loaded.map_err(Error::from_runtime)?;
        if self.compiles_ahead() {
            tiers.compile_all_first(&loaded).map_err(Error::from_tier)?;
        }
        Ok(loaded)
    }

    /// The compiler of a tier.
    pub(crate) fn compiler(&self, tier: Tier) -> &Arc<dyn Compiler> {
        match tier {
            Tier::Baseline => &self.0.baseline,
            Tier::Optimizing => &self.0.optimizing,
        }
    }

    /// An empty store.
    pub(crate) fn new_store(&self) -> StoreBox {
        StoreBox::new(StoreInner::new(StoreParts {
            code_space: Arc::clone(&self.0.code_space),
            types: Arc::clone(&self.0.types),
            memory_style: self.0.memory_style,
            options: StoreOptions {
                max_wasm_stack: self.0.max_wasm_stack,
                ..StoreOptions::default()
            },
        }))
    }
}

impl Default for Engine {
    /// An engine with the default options.
    ///
    /// # Panics
    /// If [`Engine::new`] fails with them.
    fn default() -> Self {
        Self::new(&Config::new()).expect("an engine with default options")
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("tiers", &self.0.tiers)
            .finish_non_exhaustive()
    }
}
