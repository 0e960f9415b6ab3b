//! The tiers of one module: the state of each function, and the runtime's calls.

use crate::budget::{Plan, Shape};
use crate::compile::body;
use crate::events::{EventKind, ModuleId};
use crate::first::Place;
use crate::manager::Shared;
use crate::osr::{ENTRIES_MAX, LoopStep, Loops, Spent};
use crate::policy::Counting;
use crate::scheduled::Visits;
use crate::state::{FuncState, StateCell};
use crate::targets::Targets;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::Instant;
use upshift_abi::{SiteIndex, Tier};
use upshift_module::{FuncIndex, ModuleEnv, ValidatedFunc};
use upshift_runtime::{
    CodePtr, CounterReply, CounterVisit, LoadedModule, LoopEntry, Poke, TierError, TierErrorKind,
    TierSink,
};

/// What the manager knows of one module.
///
/// The module owns it as its sink; jobs in the queue hold it weakly, and it takes them out of the
/// queue when it goes.
pub struct ModuleTiers {
    pub(crate) shared: Arc<Shared>,
    pub(crate) this: Weak<Self>,
    id: ModuleId,
    first_func: u32,
    states: Box<[StateCell]>,
    /// Per function, the time that it will have spent in baseline code when its counter flips next,
    /// in microseconds; 0 before the first flip. A lost update costs one flip.
    armed_us: Box<[AtomicU32]>,
    /// Per function, how often its baseline code was entered up to the last flips; saturates.
    pub(crate) entered: Box<[AtomicU32]>,
    /// What runs know whose visits are counted.
    pub(crate) visits: Visits,
    /// Whom `call_indirect`s call.
    pub(crate) targets: Targets,
    /// Loops that are entered in the middle.
    pub(crate) loops: Mutex<Loops>,
    /// The module, once a function of it was called or replaced.
    loaded: OnceLock<Weak<LoadedModule>>,
    /// Frees retired code soon.
    pub(crate) poke: Poke,
    /// Whether a task for that is queued.
    pub(crate) reclaim_queued: AtomicBool,
    /// Callers that wait for a first compile: the states are what they wait for.
    pub(crate) waiting: Mutex<()>,
    pub(crate) first_done: Condvar,
}

impl ModuleTiers {
    pub(crate) fn new(shared: &Arc<Shared>, id: ModuleId, env: &ModuleEnv) -> Arc<Self> {
        let count = env.defined_func_count();
        Arc::new_cyclic(|this| Self {
            shared: Arc::clone(shared),
            this: this.clone(),
            id,
            first_func: env.imported_funcs,
            states: (0..count).map(|_| StateCell::new()).collect(),
            armed_us: (0..count).map(|_| AtomicU32::new(0)).collect(),
            entered: (0..count).map(|_| AtomicU32::new(0)).collect(),
            visits: Visits::new(&shared.options, count),
            targets: Targets::default(),
            loops: Mutex::default(),
            loaded: OnceLock::new(),
            poke: Self::poke(this),
            reclaim_queued: AtomicBool::new(false),
            waiting: Mutex::new(()),
            first_done: Condvar::new(),
        })
    }

    /// The module's number in its engine, as events name it.
    #[must_use]
    pub fn id(&self) -> ModuleId {
        self.id
    }

    /// Counts its functions: the module is there.
    pub(crate) fn count(&self) {
        let count = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        self.shared.events.counters.loaded(count);
    }

    /// The state of a function; none for an import.
    #[must_use]
    pub fn state(&self, func: FuncIndex) -> Option<FuncState> {
        self.cell(func).ok().map(StateCell::get)
    }

    /// Indices of the functions with a body.
    pub(crate) fn funcs(&self) -> Range<u32> {
        let count = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        self.first_func..self.first_func.saturating_add(count)
    }

    /// Index among the functions with a body.
    ///
    /// # Errors
    /// `Internal` for an import: generated code asks for defined functions only.
    pub(crate) fn defined(&self, func: FuncIndex) -> Result<u32, TierError> {
        if self.funcs().contains(&func.0) {
            return Ok(func.0 - self.first_func);
        }
        let message = format!("function {} has no body", func.0);
        Err(TierError::new(TierErrorKind::Internal, message))
    }

    /// The state of a function.
    ///
    /// # Errors
    /// As [`Self::defined`].
    pub(crate) fn cell(&self, func: FuncIndex) -> Result<&StateCell, TierError> {
        Ok(&self.states[self.defined(func)? as usize])
    }

    pub(crate) fn emit(&self, func: FuncIndex, kind: EventKind) {
        self.shared.events.emit(self.id, func, kind);
    }

    /// Tells of a valid body, if somebody wants to know.
    pub(crate) fn validated(&self, body: ValidatedFunc<'_>) {
        if self.shared.events.watched() {
            let body_bytes = body.body_bytes();
            self.emit(body.index(), EventKind::FunctionValidated { body_bytes });
        }
    }

    pub(crate) fn failed(&self, func: FuncIndex, tier: Tier, error: &TierError) {
        let kind = error.kind();
        self.emit(func, EventKind::Failed { tier, kind });
    }

    /// Keeps a way back to the module, for requests that come without it.
    pub(crate) fn remember(&self, loaded: &Arc<LoadedModule>) {
        self.loaded.get_or_init(|| Arc::downgrade(loaded));
    }

    /// The module, if it is remembered and still there.
    pub(crate) fn loaded(&self) -> Option<Arc<LoadedModule>> {
        self.loaded.get()?.upgrade()
    }

    /// A counter flipped: what it is set to, and where to go on.
    fn flip(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        visit: CounterVisit,
    ) -> CounterReply {
        match self.counting(func) {
            Counting::Off | Counting::Poll => reply(0),
            Counting::EverySite => CounterReply {
                entry: self.every_site(loaded, func, visit.site),
                ..reply(0)
            },
            Counting::Budget => match loaded.module().func(func) {
                Some(body) => self.spend(loaded, body, visit),
                None => reply(0),
            },
        }
    }

    /// Steps 2 to 4: adds up the time, asks for the optimizing tier when the budget is used up, and
    /// arms the counter for the next flip.
    pub(crate) fn spend(
        &self,
        loaded: &Arc<LoadedModule>,
        body: ValidatedFunc<'_>,
        visit: CounterVisit,
    ) -> CounterReply {
        let (func, site) = (body.index(), visit.site);
        let entries = self.entries_in(body, visit.counter);
        let shape = Shape::of(body);
        let plan = self.plan(shape);
        let Some((state, armed)) = self.counted(func) else {
            return reply(0);
        };
        let total_us = armed.load(Ordering::Relaxed).max(plan.span_us);
        let spent = Spent {
            loaded,
            shape,
            total_us,
        };
        let missing_us = match state {
            FuncState::Baseline => self.missing_us(&plan, total_us),
            FuncState::Lazy
            | FuncState::CompilingFirst
            | FuncState::Queued
            | FuncState::Compiling
            | FuncState::Optimized
            | FuncState::Failed => 0,
        };
        if missing_us > 0 {
            // One or two of the entries stay in the counter: whether one activation has used the budget up is asked at its end.
            let kept = entries.min(ENTRIES_MAX + 1);
            self.note_entries(func, entries - kept);
            let rearm = arm(armed, &plan, total_us, missing_us);
            return reply(rearm.saturating_add_unsigned(kept));
        }
        self.note_entries(func, entries);
        let (next_us, entry) = match state {
            FuncState::Baseline => self.hot(&spent, &plan, func, visit),
            FuncState::Queued => {
                self.raise(func, self.shared.options.tuning.priority(shape, total_us));
                (self.in_flight_us(&plan, site), None)
            }
            FuncState::Compiling => (self.in_flight_us(&plan, site), None),
            // Only activations that began before are still in baseline code.
            FuncState::Optimized | FuncState::Failed => {
                match self.running_loop(&spent, func, visit) {
                    LoopStep::Enter { entry, .. } => (plan.span_us, Some(entry)),
                    LoopStep::InFlight => (self.in_flight_us(&plan, site), None),
                    LoopStep::None => (plan.span_us, None),
                }
            }
            // Another instance's code cannot have counted, but it does no harm.
            FuncState::Lazy | FuncState::CompilingFirst => (plan.span_us, None),
        };
        CounterReply {
            entry,
            ..reply(arm(armed, &plan, total_us, next_us))
        }
    }

    /// The budget is used up. If it was by one activation in a loop, that loop is to be entered in the middle, and the function
    /// as a whole may never be called again; it is asked for when a second activation gets so far, or else at once.
    fn hot(
        &self,
        spent: &Spent<'_>,
        plan: &Plan,
        func: FuncIndex,
        visit: CounterVisit,
    ) -> (u32, Option<Arc<LoopEntry>>) {
        let request = || {
            let priority = self
                .shared
                .options
                .tuning
                .priority(spent.shape, spent.total_us);
            let loaded = Arc::downgrade(spent.loaded);
            self.request(&loaded, func, spent.shape, (Some(visit.site), priority));
        };
        match self.running_loop(spent, func, visit) {
            LoopStep::Enter { entry, again } => {
                if again {
                    request();
                }
                (plan.span_us, Some(entry))
            }
            LoopStep::InFlight => (self.in_flight_us(plan, visit.site), None),
            LoopStep::None => {
                request();
                (self.in_flight_us(plan, visit.site), None)
            }
        }
    }

    /// Time to the next flip while the function is queued or compiled: a loop comes by often, so
    /// that it can be entered in the middle as soon as there is code for that.
    fn in_flight_us(&self, plan: &Plan, site: SiteIndex) -> u32 {
        if site == SiteIndex::ENTRY {
            return plan.span_us;
        }
        let tuning = &self.shared.options.tuning;
        tuning.poll_us(self.shared.pool.backlog().wait_us())
    }

    pub(crate) fn plan(&self, shape: Shape) -> Plan {
        let options = &self.shared.options;
        options.tuning.budget_plan(shape, options.interruption)
    }

    /// How much more time in baseline code a function needs that has spent this much: until its budget is used up, and until
    /// there is compile time for it.
    fn missing_us(&self, plan: &Plan, spent_us: u32) -> u32 {
        let (load, tuning) = (&self.shared.load, &self.shared.options.tuning);
        let backlog = self.shared.pool.backlog();
        let required_us = load.required_us(tuning, plan, backlog);
        match required_us.saturating_sub(spent_us) {
            0 => match load.wait_us(tuning, backlog, load.now_us()) {
                0 => 0,
                wait_us => wait_us.max(tuning.poll_us),
            },
            missing_us => missing_us,
        }
    }

    fn counted(&self, func: FuncIndex) -> Option<(FuncState, &AtomicU32)> {
        let defined = self.defined(func).ok()? as usize;
        Some((self.states[defined].get(), self.armed_us.get(defined)?))
    }

    /// Folds the counter of an instance that goes away into the module's time.
    fn fold(&self, loaded: &LoadedModule, func: FuncIndex, counter: i32) {
        if self.counting(func) != Counting::Budget {
            return;
        }
        let (Some(body), Some((state, armed))) = (loaded.module().func(func), self.counted(func))
        else {
            return;
        };
        self.note_entries(func, self.entries_in(body, counter.unsigned_abs()));
        let shape = Shape::of(body);
        let plan = self.plan(shape);
        let armed_us = armed.load(Ordering::Relaxed).max(plan.span_us);
        let spent_us = armed_us - plan.left_us(counter).min(armed_us);
        armed.store(spent_us.saturating_add(plan.span_us), Ordering::Relaxed);
        if state == FuncState::Baseline
            && self.missing_us(&plan, spent_us) == 0
            && let Some(module) = self.loaded.get()
        {
            let priority = self.shared.options.tuning.priority(shape, spent_us);
            self.request(module, func, shape, (None, priority));
        }
    }
}

/// An answer that only sets the counter.
fn reply(rearm: i32) -> CounterReply {
    CounterReply { rearm, entry: None }
}

/// Arms a counter for the next flip, after `next_us` or one span.
fn arm(armed: &AtomicU32, plan: &Plan, total_us: u32, next_us: u32) -> i32 {
    let next_us = next_us.min(plan.span_us);
    armed.store(total_us.saturating_add(next_us), Ordering::Relaxed);
    plan.rearm(next_us)
}

impl TierSink for ModuleTiers {
    fn compile_first(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
    ) -> Result<CodePtr, TierError> {
        let started = Instant::now();
        self.remember(loaded);
        let result = body(loaded, func)
            .and_then(|body| self.first_code(loaded.code(), body, &mut Place::Guest(loaded)));
        self.shared.events.counters.guest_waited(started.elapsed());
        if result.is_ok() {
            self.queue_at_once(loaded, func);
        }
        result
    }

    fn counter_overflow(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        visit: CounterVisit,
    ) -> CounterReply {
        self.flip(loaded, func, visit)
    }

    fn indirect_calls(
        &self,
        _: &LoadedModule,
        func: FuncIndex,
        targets: &mut dyn Iterator<Item = (u32, Option<FuncIndex>)>,
    ) {
        if self.shared.options.counting(func) == Counting::Budget {
            self.targets.note(func, targets);
        }
    }

    fn instance_dropped(&self, loaded: &LoadedModule, counters: &mut dyn Iterator<Item = i32>) {
        for (func, counter) in self.funcs().zip(counters) {
            if counter > 0 {
                self.fold(loaded, FuncIndex(func), counter);
            }
        }
    }
}

impl Drop for ModuleTiers {
    fn drop(&mut self) {
        self.shared.pool.remove_module(self.id);
        let modules = &self.shared.modules;
        let mut modules = modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.remove(&self.id);
        drop(modules);
        // The module has given its code back: there may be room again.
        self.shared.room.freed();
    }
}

impl fmt::Debug for ModuleTiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleTiers")
            .field("id", &self.id)
            .field("first_func", &self.first_func)
            .field("funcs", &self.states.len())
            .finish_non_exhaustive()
    }
}
