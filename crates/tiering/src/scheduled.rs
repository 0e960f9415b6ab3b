//! Runs whose visits of sites are counted: scheduled by numbers, replayed, recorded.
//!
//! Baseline code of such a run enters the slow path at every site, and [`ModuleTiers::every_site`] counts the visit, over all
//! instances and threads. What is due at it is done before the guest goes on:
//!
//! | run | what is due |
//! |---|---|
//! | `tier_up_after`, `osr_after` | what [`TieringOptions::due`] says of the count |
//! | replayed | what the module's [`Timetable`] says of function, site and count |
//! | recorded, and none of these | what the policy decides, see below |
//!
//! A recording must be able to name a visit for everything that happens, and what a compiler makes of a function may depend on
//! the moment (it may look at a profile). So in the recorded run of a policy nothing happens between visits either. The policy decides at
//! the visits at which counters would have flipped: [`Policy`] holds a counter per function that is added to as generated code would. The background
//! compiles as ever, which takes the time that it takes; its code is thrown away. The function's next visit of any
//! site after that compiles it again while the guest waits, and is what the recording names. So a recorded run does at
//! its visits just what a replay does, and a replay of it is the same run.

use crate::budget::Shape;
use crate::events::EventKind;
use crate::module_tiers::ModuleTiers;
use crate::osr::LoopStep;
use crate::policy::Counting;
use crate::schedule::{Due, ScheduleAction, ScheduleError, ScheduleStep, Timetable};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use upshift_abi::{SiteIndex, Tier};
use upshift_module::{FuncIndex, Module};
use upshift_runtime::{CounterVisit, LoadedModule, LoopEntry};

/// What such a run knows of a module.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    /// Set once the module is whole, before anything is compiled.
    bound: OnceLock<Bound>,
    /// Visits of entries, by function.
    entries: Box<[AtomicU64]>,
    /// Visits of loops.
    loops: Mutex<HashMap<(FuncIndex, SiteIndex), u64>>,
    policy: Option<Policy>,
    /// Loops are compiled one at a time, so that no visit finds its loop half done by another thread.
    turn: Mutex<()>,
}

/// What follows from the whole module.
#[derive(Debug)]
struct Bound {
    replay: Option<Timetable>,
    /// The module's place in the recorder.
    record: Option<usize>,
}

/// The recorded run of a policy: all by function.
#[derive(Debug)]
struct Policy {
    /// In place of the instances' counters. Updates that race cost a flip.
    counters: Box<[AtomicI32]>,
    /// The background has shown that there is optimized code by now. Who resets it owns the state `Compiling`.
    ready: Box<[AtomicBool]>,
    /// The same of loops.
    loops_ready: Mutex<HashSet<(FuncIndex, SiteIndex)>>,
}

impl Visits {
    pub(crate) fn new(options: &crate::TieringOptions, funcs: u32) -> Self {
        if !options.every_site() {
            return Self::default();
        }
        let policy = options.records_policy().then(|| Policy {
            counters: (0..funcs).map(|_| AtomicI32::new(0)).collect(),
            ready: (0..funcs).map(|_| AtomicBool::new(false)).collect(),
            loops_ready: Mutex::default(),
        });
        Self {
            entries: (0..funcs).map(|_| AtomicU64::new(0)).collect(),
            policy,
            ..Self::default()
        }
    }

    fn replay(&self) -> Option<&Timetable> {
        self.bound.get()?.replay.as_ref()
    }

    /// Calls of a function so far.
    pub(crate) fn calls(&self, defined: u32) -> u64 {
        let entries = self.entries.get(defined as usize);
        entries.map_or(0, |entries| entries.load(Ordering::Relaxed))
    }

    /// Counts a visit; gives its number.
    fn count(&self, defined: u32, (func, site): (FuncIndex, SiteIndex)) -> u64 {
        if site == SiteIndex::ENTRY {
            let entries = self.entries.get(defined as usize);
            return entries.map_or(0, |n| n.fetch_add(1, Ordering::Relaxed) + 1);
        }
        let mut loops = lock(&self.loops);
        let visits = loops.entry((func, site)).or_default();
        *visits += 1;
        *visits
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ModuleTiers {
    /// The module is whole: finds its schedule, if one is replayed, and its place in the recording. To be called once, before
    /// anything of the module is compiled.
    ///
    /// # Errors
    /// If the schedule is of other modules, or does not fit.
    pub fn bind(&self, module: &Module) -> Result<(), ScheduleError> {
        let replay = self.shared.replay.as_ref();
        let recorder = self.shared.options.recorder.as_ref();
        let bound = Bound {
            replay: replay.map(|replay| replay.take(module)).transpose()?,
            record: recorder.map(|recorder| recorder.module(module)),
        };
        let first = self.visits.bound.set(bound).is_ok();
        debug_assert!(first, "bound twice");
        Ok(())
    }

    /// Which compiler makes the function's first code.
    pub(crate) fn first_tier(&self, func: FuncIndex) -> Tier {
        match self.visits.replay() {
            None => self.shared.options.first_tier(func),
            Some(replay) if replay.due(func, SiteIndex::ENTRY, 0).install => Tier::Optimizing,
            Some(_) => Tier::Baseline,
        }
    }

    /// What the function's baseline code counts.
    pub(crate) fn counting(&self, func: FuncIndex) -> Counting {
        let options = &self.shared.options;
        match self.visits.replay() {
            None => options.counting(func),
            Some(replay) if replay.names(func) => Counting::EverySite,
            Some(_) => options.uncounted(),
        }
    }

    /// Whether the background only measures how long compiles take.
    pub(crate) fn only_measures(&self) -> bool {
        self.visits.policy.is_some()
    }

    /// Counts a visit and does what is due; gives code to go on in.
    pub(crate) fn every_site(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        site: SiteIndex,
    ) -> Option<Arc<LoopEntry>> {
        let defined = self.defined(func).ok()?;
        let key = (func, site);
        let count = self.visits.count(defined, key);
        let due = match self.visits.replay() {
            Some(replay) => replay.due(func, site, count),
            None => self.shared.options.due(site, count),
        };
        if self.install_at(loaded, key, due) {
            self.record(key, count, ScheduleAction::Install);
        }
        let entry = if due.enter {
            self.emit_loop_request(key);
            self.enter_now(loaded, key)
        } else {
            self.policy_visit(loaded, defined, key)
        };
        if entry.is_some() {
            self.record(key, count, ScheduleAction::Enter);
        }
        entry
    }

    /// Installs optimized code if it is due, or known to be there; whether it did.
    fn install_at(
        &self,
        loaded: &Arc<LoadedModule>,
        (func, site): (FuncIndex, SiteIndex),
        due: Due,
    ) -> bool {
        let ready = self.take_ready(func);
        if !due.install && !ready {
            return false;
        }
        let started = Instant::now();
        let installed = if ready {
            let compiled = self.compile_on_pool(loaded, func);
            self.finish_job(loaded, func, compiled)
        } else {
            self.tier_up_now(loaded, func, site)
        };
        self.shared.events.counters.guest_waited(started.elapsed());
        installed
    }

    fn emit_loop_request(&self, key: (FuncIndex, SiteIndex)) {
        if !self.knows_loop(key) {
            let (site, priority) = (key.1, u64::MAX);
            self.emit(key.0, EventKind::OsrRequested { site, priority });
        }
    }

    /// Code to enter a loop with, compiled while the guest waits.
    fn enter_now(
        &self,
        loaded: &Arc<LoadedModule>,
        key: (FuncIndex, SiteIndex),
    ) -> Option<Arc<LoopEntry>> {
        let turn = lock(&self.visits.turn);
        if self.begin_loop(key) {
            let started = Instant::now();
            let (site, waited) = (key.1, Duration::ZERO);
            self.emit(key.0, EventKind::OsrStarted { site, waited });
            let tiers = self.this.upgrade()?;
            let compiled = self.on_pool(loaded, move |scratch, loaded| {
                tiers.compile_loop(scratch, loaded, key)
            });
            self.finish_loop(loaded, key, compiled);
            self.shared.events.counters.guest_waited(started.elapsed());
        }
        drop(turn);
        match self.known_step(key)? {
            LoopStep::Enter { entry, .. } => Some(entry),
            LoopStep::InFlight | LoopStep::None => None,
        }
    }

    /// A visit that is not scheduled: in the recorded run of a policy, adds to the function's counter and asks the
    /// policy when it flips.
    fn policy_visit(
        &self,
        loaded: &Arc<LoadedModule>,
        defined: u32,
        (func, site): (FuncIndex, SiteIndex),
    ) -> Option<Arc<LoopEntry>> {
        let counter = self
            .visits
            .policy
            .as_ref()?
            .counters
            .get(defined as usize)?;
        let body = loaded.module().func(func)?;
        let step = self.plan(Shape::of(body)).step + i32::from(site == SiteIndex::ENTRY);
        let value = counter
            .fetch_add(step, Ordering::Relaxed)
            .wrapping_add(step);
        if value >= 0 {
            return None;
        }
        let visit = CounterVisit {
            site,
            entries: value.cast_unsigned() & 0xff,
            counter: value.cast_unsigned(),
        };
        let reply = self.spend(loaded, body, visit);
        counter.store(reply.rearm, Ordering::Relaxed);
        reply.entry
    }

    /// The background has compiled the function; the caller owns the state `Compiling` and gives it to the visit that comes next.
    pub(crate) fn set_ready(&self, func: FuncIndex) {
        if let Some(ready) = self.ready(func) {
            ready.store(true, Ordering::Release);
        }
    }

    fn take_ready(&self, func: FuncIndex) -> bool {
        self.ready(func).is_some_and(|ready| {
            ready.load(Ordering::Relaxed) && ready.swap(false, Ordering::Acquire)
        })
    }

    fn ready(&self, func: FuncIndex) -> Option<&AtomicBool> {
        let policy = self.visits.policy.as_ref()?;
        policy.ready.get(self.defined(func).ok()? as usize)
    }

    /// The background has compiled the loop, and ended its job.
    pub(crate) fn set_loop_ready(&self, key: (FuncIndex, SiteIndex)) {
        if let Some(policy) = &self.visits.policy {
            lock(&policy.loops_ready).insert(key);
        }
    }

    /// Code of a loop that the background is done with: compiled again, for the visit that the recording names.
    pub(crate) fn ready_loop(
        &self,
        loaded: &Arc<LoadedModule>,
        key: (FuncIndex, SiteIndex),
    ) -> Option<Arc<LoopEntry>> {
        let policy = self.visits.policy.as_ref()?;
        let ready = lock(&policy.loops_ready).remove(&key);
        if ready {
            self.enter_now(loaded, key)
        } else {
            None
        }
    }

    /// First code was made by the optimizing compiler, before any visit.
    pub(crate) fn record_first(&self, func: FuncIndex) {
        self.record((func, SiteIndex::ENTRY), 0, ScheduleAction::Install);
    }

    fn record(&self, (func, site): (FuncIndex, SiteIndex), count: u64, action: ScheduleAction) {
        let place = self.visits.bound.get().and_then(|bound| bound.record);
        if let (Some(recorder), Some(place)) = (&self.shared.options.recorder, place) {
            let step = ScheduleStep {
                func,
                site,
                count,
                action,
            };
            recorder.step(place, step);
        }
    }
}
