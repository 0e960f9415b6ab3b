//! Loops that are entered in the middle: on-stack replacement.
//!
//! A function whose budget one activation has used up in a loop gets code for that loop (`docs/abi.md`, OSR): the loop's
//! next visit of the slow path leaves the baseline frame for it. A function has at most one such job at a time, and code
//! for a few of its loops at most. The state of a loop here is independent of its function's state: the function
//! as a whole goes its own way up.
//!
//! ```text
//! (none) --request--> InFlight --compiled--> Ready --> entered, again and again
//!    ^                    |  \
//!    +------no room-------+   +--refused--> Refused
//! ```
//!
//! All changes happen under one lock, which only slow paths and workers take; nothing is compiled or told to a sink under it.

use crate::budget::Shape;
use crate::compile::{Compiled, body, guarded};
use crate::events::EventKind;
use crate::load::Stopwatch;
use crate::module_tiers::ModuleTiers;
use crate::pool::Scratch;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use upshift_abi::{LoopState, SiteIndex, Tier};
use upshift_module::FuncIndex;
use upshift_runtime::{CounterVisit, LoadedModule, LoopEntry, TierError, TierErrorKind};

#[cfg(test)]
mod model;

/// Added to the rank of jobs that a running loop waits for: they go before all others.
const PRIORITY: u64 = 1 << 62;
/// An activation that saw at most so many entries of its function since the counter was armed has used the time up alone.
pub(crate) const ENTRIES_MAX: u32 = 1;

/// What is known of a loop.
#[derive(Debug)]
enum Slot {
    /// A job is queued or running.
    InFlight,
    /// There is code, which was entered so often.
    Ready(Arc<LoopEntry>, u32),
    /// There will be none.
    Refused,
}

/// The loops of one module that are or were to be entered.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    slots: HashMap<(FuncIndex, SiteIndex), Slot>,
    /// Per function: number of its loops here, and whether one of them is in flight.
    funcs: HashMap<FuncIndex, (usize, bool)>,
    /// Functions whose baseline code was freed: nobody comes to their loops any more.
    gone: HashSet<FuncIndex>,
}

impl Loops {
    /// Starts a job unless the function has one, or enough loops.
    fn begin(&mut self, key: (FuncIndex, SiteIndex), loops_max: usize) -> bool {
        let (count, in_flight) = self.funcs.entry(key.0).or_default();
        let known = self.slots.contains_key(&key) || self.gone.contains(&key.0);
        if *in_flight || *count >= loops_max || known {
            return false;
        }
        (*count, *in_flight) = (*count + 1, true);
        self.slots.insert(key, Slot::InFlight);
        true
    }

    /// Ends a job; without a slot the loop may be asked for again. Gives the slot back if nobody will come to the loop any more.
    fn end(&mut self, key: (FuncIndex, SiteIndex), slot: Option<Slot>) -> Option<Slot> {
        if self.gone.contains(&key.0) {
            return slot;
        }
        let (count, in_flight) = self.funcs.entry(key.0).or_default();
        *in_flight = false;
        match slot {
            Some(slot) => drop(self.slots.insert(key, slot)),
            None => {
                *count = count.saturating_sub(1);
                self.slots.remove(&key);
            }
        }
        None
    }

    /// The function's baseline code is gone: takes its loops out.
    fn forget(&mut self, func: FuncIndex) -> Vec<(SiteIndex, Slot)> {
        self.gone.insert(func);
        if self.funcs.remove(&func).is_none() {
            return Vec::new();
        }
        let slots = self.slots.extract_if(|key, _| key.0 == func);
        let mut slots: Vec<_> = slots.map(|(key, slot)| (key.1, slot)).collect();
        slots.sort_unstable_by_key(|(site, _)| site.0);
        slots
    }

    fn in_flight(&self, func: FuncIndex) -> bool {
        self.funcs.get(&func).is_some_and(|&(_, busy)| busy)
    }
}

/// What a counter that flipped says of its function.
pub(crate) struct Spent<'a> {
    pub(crate) loaded: &'a Arc<LoadedModule>,
    pub(crate) shape: Shape,
    /// Time in baseline code so far.
    pub(crate) total_us: u32,
}

/// What a running loop does next.
pub(crate) enum LoopStep {
    /// It goes on in this code. `again`: not the first time.
    Enter { entry: Arc<LoopEntry>, again: bool },
    /// Code is on its way.
    InFlight,
    /// It goes on as it is.
    None,
}

impl ModuleTiers {
    /// A counter flipped whose function is hot enough: whether the loop can be entered, or will be.
    pub(crate) fn running_loop(
        &self,
        spent: &Spent<'_>,
        func: FuncIndex,
        visit: CounterVisit,
    ) -> LoopStep {
        let tuning = &self.shared.options.tuning;
        if visit.site == SiteIndex::ENTRY || visit.entries > ENTRIES_MAX || !tuning.osr {
            return LoopStep::None;
        }
        let key = (func, visit.site);
        if let Some(entry) = self.ready_loop(spent.loaded, key) {
            let again = false;
            return LoopStep::Enter { entry, again };
        }
        if let Some(step) = self.known_step(key) {
            return step;
        }
        if self.refuses() || !tuning.accepts(spent.shape) {
            return LoopStep::None;
        }
        if self.loops().begin(key, tuning.osr_loops_max) {
            self.queue_loop(spent, key)
        } else if self.loops().in_flight(func) {
            LoopStep::InFlight
        } else {
            LoopStep::None
        }
    }

    /// What follows from what is known of the loop, if anything is.
    pub(crate) fn known_step(&self, key: (FuncIndex, SiteIndex)) -> Option<LoopStep> {
        let step = match self.loops().slots.get_mut(&key)? {
            Slot::InFlight => LoopStep::InFlight,
            Slot::Refused => LoopStep::None,
            Slot::Ready(entry, times) => {
                *times = times.saturating_add(1);
                LoopStep::Enter {
                    entry: Arc::clone(entry),
                    again: *times > 1,
                }
            }
        };
        if let LoopStep::Enter { .. } = step {
            self.emit(key.0, EventKind::OsrEntered { site: key.1 });
        }
        Some(step)
    }

    fn queue_loop(&self, spent: &Spent<'_>, key: (FuncIndex, SiteIndex)) -> LoopStep {
        let (func, site) = key;
        let tuning = &self.shared.options.tuning;
        let priority = PRIORITY + tuning.priority(spent.shape, spent.total_us);
        self.emit(func, EventKind::OsrRequested { site, priority });
        let (tiers, loaded) = (self.this.clone(), Arc::downgrade(spent.loaded));
        let task = Box::new(move |scratch: &mut Scratch, waited| {
            if let Some(tiers) = tiers.upgrade() {
                tiers.run_loop_job(&loaded, key, scratch, waited);
            }
        });
        let cost_us = tuning.compile_us(spent.shape);
        let pool = &self.shared.pool;
        if pool
            .submit(self.key(func, site), priority, cost_us, task)
            .is_ok()
        {
            return LoopStep::InFlight;
        }
        drop(self.loops().end(key, Some(Slot::Refused)));
        let kind = TierErrorKind::Resource;
        self.emit(func, EventKind::OsrRefused { site, kind });
        LoopStep::None
    }

    fn run_loop_job(
        &self,
        loaded: &Weak<LoadedModule>,
        key: (FuncIndex, SiteIndex),
        scratch: &mut Scratch,
        waited: Duration,
    ) {
        if let Some(loaded) = loaded.upgrade() {
            self.remember(&loaded);
            self.emit(
                key.0,
                EventKind::OsrStarted {
                    site: key.1,
                    waited,
                },
            );
            let watch = Stopwatch::start();
            let compiled = self.compile_loop(scratch, &loaded, key);
            self.calibrate(&loaded, key.0, watch.stop());
            if compiled.is_ok() && self.only_measures() {
                drop(self.loops().end(key, None));
                self.set_loop_ready(key);
            } else {
                self.finish_loop(&loaded, key, compiled);
            }
        }
    }

    /// Describes and compiles a loop.
    ///
    /// # Errors
    /// What the compilers say.
    pub(crate) fn compile_loop(
        &self,
        scratch: &mut Scratch,
        loaded: &LoadedModule,
        (func, site): (FuncIndex, SiteIndex),
    ) -> Result<(Compiled, LoopState), TierError> {
        let body = body(loaded, func)?;
        let env = loaded.compile_env();
        let profile = self.profile();
        let optimizing_env = Self::optimizing_env(loaded.code(), &profile);
        let options = self.first_tier_options(body);
        let started = Instant::now();
        let state = self.shared.with_baseline(|scratch| {
            guarded(scratch, func, |worker| {
                worker.describe_loop(body, &env, &options, site)
            })
        })?;
        let code = guarded(scratch, func, |worker| {
            worker.compile_osr(body, &optimizing_env, &state)
        })?;
        let time = started.elapsed();
        Ok((Compiled { code, time }, state))
    }

    /// The end of a loop's compile; the caller has begun it.
    pub(crate) fn finish_loop(
        &self,
        loaded: &LoadedModule,
        key: (FuncIndex, SiteIndex),
        compiled: Result<(Compiled, LoopState), TierError>,
    ) -> Option<Arc<LoopEntry>> {
        let (func, site) = key;
        let mark = self.shared.room.mark();
        let made = compiled.and_then(|(compiled, state)| {
            let (code_bytes, compile) = (compiled.code_bytes(), compiled.time);
            let kind = EventKind::OsrCompiled {
                site,
                code_bytes,
                compile,
            };
            self.emit(func, kind);
            self.emit_inlined(&compiled.code);
            let published = loaded.publish(&compiled.code)?;
            let tier = Tier::Optimizing;
            self.emit(func, EventKind::Published { tier, code_bytes });
            Ok(loaded.adopt_loop_entry(published, state)?)
        });
        match made {
            Ok(entry) => {
                let slot = Slot::Ready(Arc::clone(&entry), 0);
                let left = self.loops().end(key, Some(slot));
                if left.is_some() {
                    self.retired_loop(func, &entry);
                }
                Some(entry)
            }
            Err(error) => {
                let kind = error.kind();
                let full = kind == TierErrorKind::Resource;
                drop(self.loops().end(key, (!full).then_some(Slot::Refused)));
                self.emit(func, EventKind::OsrRefused { site, kind });
                if full {
                    self.shared.room.full(mark);
                    self.shared.reclaim_all();
                }
                None
            }
        }
    }

    /// The function's baseline code was freed, and only from that its loops are entered: their code is retired.
    pub(crate) fn forget_loops(&self, func: FuncIndex) {
        let slots = self.loops().forget(func);
        for (_, slot) in slots {
            match slot {
                Slot::Ready(entry, _) => self.retired_loop(func, &entry),
                Slot::InFlight | Slot::Refused => {}
            }
        }
    }

    /// Nobody will come to this loop. The code is retired with the last handle.
    fn retired_loop(&self, func: FuncIndex, entry: &LoopEntry) {
        let (tier, code_bytes) = (Tier::Optimizing, entry.code_bytes());
        self.emit(func, EventKind::CodeRetired { tier, code_bytes });
    }

    /// Starts a compile of a loop that a schedule wants, whatever else the function has.
    pub(crate) fn begin_loop(&self, key: (FuncIndex, SiteIndex)) -> bool {
        self.loops().begin(key, usize::MAX)
    }

    /// Whether the loop has code, will have it, or was refused.
    pub(crate) fn knows_loop(&self, key: (FuncIndex, SiteIndex)) -> bool {
        self.loops().slots.contains_key(&key)
    }

    fn loops(&self) -> MutexGuard<'_, Loops> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
