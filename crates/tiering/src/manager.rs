//! What an engine has once: options, compilers, pools, measured costs, events.

use crate::arriving::Arriving;
use crate::events::{Events, ModuleId};
use crate::first::Workbench;
use crate::load::Load;
use crate::module_tiers::ModuleTiers;
use crate::policy::TieringOptions;
use crate::pool::{Pool, PoolOptions, Scratch, front_pool};
use crate::reclaim::Room;
use crate::schedule::Replay;
use crate::stats::Stats;
use rayon::ThreadPool;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::available_parallelism;
use std::time::Duration;
use upshift_abi::{Compiler, CompilerWorker, Tier};
use upshift_module::{FuncIndex, Module, ModuleEnv};
use upshift_runtime::ModuleCode;

/// The tier-up manager of an engine.
///
/// Dropping it waits for nothing. Modules keep what they need of it.
#[derive(Debug)]
pub struct TierManager {
    shared: Arc<Shared>,
}

impl TierManager {
    /// A manager over the two compilers. Starts no thread.
    #[must_use]
    pub fn new(
        options: TieringOptions,
        baseline: Arc<dyn Compiler>,
        optimizing: Arc<dyn Compiler>,
    ) -> Self {
        debug_assert_eq!(baseline.tier(), Tier::Baseline);
        debug_assert_eq!(optimizing.tier(), Tier::Optimizing);
        let background = PoolOptions {
            name: "upshift-tier-up",
            threads: options
                .tuning
                .compile_threads
                .unwrap_or_else(|| options.background_workers()),
            stack_bytes: options.tuning.pool_stack_bytes,
            nice: options.tuning.compile_nice,
            idle: Duration::from_millis(options.tuning.compile_idle_ms.into()),
        };
        Self {
            shared: Arc::new(Shared {
                events: Events::new(options.sink.clone()),
                load: Load::new(&options.tuning, cores()),
                pool: Pool::new(background, Arc::clone(&optimizing)),
                front: OnceLock::new(),
                spare: Mutex::default(),
                replay: options.replay.as_deref().cloned().map(Replay::new),
                room: Room::new(),
                modules: Mutex::default(),
                next_module: AtomicU64::new(0),
                baseline,
                optimizing,
                options,
            }),
        }
    }

    /// What it was made with.
    #[must_use]
    pub fn options(&self) -> &TieringOptions {
        &self.shared.options
    }

    /// Starts to keep track of a module: the sink of the `LoadedModule` that is about to be made.
    #[must_use]
    pub fn module(&self, module: &Module) -> Arc<ModuleTiers> {
        let tiers = self.new_module(module.env());
        tiers.count();
        if self.shared.events.watched() {
            let bodies = tiers
                .funcs()
                .filter_map(|func| module.func(FuncIndex(func)));
            bodies.for_each(|body| tiers.validated(body));
        }
        tiers
    }

    /// Starts to compile a module of which only the declarations are there.
    #[must_use]
    pub fn arriving(&self, code: Arc<ModuleCode>) -> Arriving {
        Arriving::new(self.new_module(code.env()), code)
    }

    fn new_module(&self, env: &ModuleEnv) -> Arc<ModuleTiers> {
        let id = self.shared.next_module.fetch_add(1, Ordering::Relaxed);
        let id = ModuleId(id);
        let tiers = ModuleTiers::new(&self.shared, id, env);
        let modules = &self.shared.modules;
        let mut modules = modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.insert(id, Arc::downgrade(&tiers));
        tiers
    }

    /// The pool for work that the host waits for (validation, compiling ahead), with
    /// [`TieringOptions::threads`] threads; none when that is 1 or the system gives no threads: then
    /// the calling thread does it all.
    #[must_use]
    pub fn front_pool(&self) -> Option<Arc<ThreadPool>> {
        self.shared.front_pool().cloned()
    }

    /// Numbers since the manager was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        shared.events.counters.snapshot(shared.pool.len())
    }

    /// Frees code that was replaced and that nobody runs any more. It happens by itself, when code is replaced and
    /// when room is short; this is for a moment at which the host knows that guests are idle.
    pub fn reclaim(&self) {
        self.shared.reclaim_all();
    }

    /// Waits until no job is queued or running: for tests and tools, which never wait for time. Not
    /// to be called by an event sink.
    pub fn drain(&self) {
        self.shared.pool.drain();
    }

    /// Waits until the threads of the background pool have ended.
    #[cfg(test)]
    pub(crate) fn wait_for_end(&self) {
        self.shared.pool.wait_for_end();
    }
}

/// What the manager shares with its modules.
pub(crate) struct Shared {
    pub(crate) options: TieringOptions,
    pub(crate) baseline: Arc<dyn Compiler>,
    pub(crate) optimizing: Arc<dyn Compiler>,
    pub(crate) events: Events,
    pub(crate) load: Load,
    pub(crate) pool: Pool,
    /// The schedule that modules take their parts of.
    pub(crate) replay: Option<Replay>,
    /// Whether there is room for code of tier-ups; requests are refused while there is none.
    pub(crate) room: Room,
    /// All modules.
    pub(crate) modules: Mutex<HashMap<ModuleId, Weak<ModuleTiers>>>,
    front: OnceLock<Option<Arc<ThreadPool>>>,
    spare: Mutex<Vec<Box<dyn CompilerWorker>>>,
    next_module: AtomicU64,
}

impl Shared {
    pub(crate) fn front_pool(&self) -> Option<&Arc<ThreadPool>> {
        let threads = self.options.threads.get();
        if threads == 1 {
            return None;
        }
        let stack_bytes = self.options.tuning.pool_stack_bytes;
        let front = self
            .front
            .get_or_init(|| front_pool(threads, stack_bytes).map(Arc::new));
        front.as_ref()
    }

    /// Runs `work` with the scratch memory of a baseline compiler, from the last call if there is one.
    pub(crate) fn with_baseline<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let spare = self.spare().pop();
        let mut scratch = Scratch::with_worker(Arc::clone(&self.baseline), spare);
        let result = work(&mut scratch);
        if let Some(worker) = scratch.into_worker() {
            let mut spare = self.spare();
            if spare.len() < self.options.tuning.kept_workers {
                spare.push(worker);
            }
        }
        result
    }

    /// The same with scratch memory for either tier.
    pub(crate) fn with_bench(&self, work: impl FnOnce(&mut Workbench)) {
        self.with_baseline(|scratch| {
            let none = Scratch::new(Arc::clone(&self.baseline));
            let mut bench = Workbench {
                baseline: std::mem::replace(scratch, none),
                optimizing: Scratch::new(Arc::clone(&self.optimizing)),
            };
            work(&mut bench);
            *scratch = bench.baseline;
        });
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn CompilerWorker>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many cores this process may use.
fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.options)
            .field("events", &self.events)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
