//! Tier-up: from a request to installed code, steps 3 to 8 of `docs/tiering.md`.

use crate::budget::Shape;
use crate::compile::{Compiled, body};
use crate::events::{EventKind, SkipReason};
use crate::load::{Cost, Stopwatch};
use crate::module_tiers::ModuleTiers;
use crate::pool::Scratch;
use crate::queue::JobKey;
use crate::state::StateCell;
use std::sync::{Arc, Weak};
use std::time::Duration;
use upshift_abi::{SiteIndex, Tier};
use upshift_module::FuncIndex;
use upshift_runtime::{LoadedModule, TierError, TierErrorKind};

impl ModuleTiers {
    /// Queues a function for the optimizing tier, unless it is on its way already.
    pub(crate) fn request(
        &self,
        loaded: &Weak<LoadedModule>,
        func: FuncIndex,
        shape: Shape,
        (site, priority): (Option<SiteIndex>, u64),
    ) {
        let Ok(cell) = self.cell(func) else { return };
        let shared = &self.shared;
        if !shared.options.tuning.accepts(shape) {
            if cell.start_now() {
                cell.fail();
                let reason = SkipReason::TooLarge;
                self.emit(func, EventKind::JobSkipped { reason });
            }
            return;
        }
        if self.refuses() || !cell.request() {
            return;
        }
        self.emit(func, EventKind::TierRequested { site, priority });
        let (tiers, loaded) = (self.this.clone(), loaded.clone());
        let task = Box::new(move |scratch: &mut Scratch, waited| {
            if let Some(tiers) = tiers.upgrade() {
                tiers.run_job(&loaded, func, scratch, waited);
            }
        });
        let cost_us = shared.options.tuning.compile_us(shape);
        let submitted =
            shared
                .pool
                .submit(self.key(func, SiteIndex::ENTRY), priority, cost_us, task);
        if submitted.is_err() && cell.unqueue() {
            let reason = SkipReason::NoWorker;
            self.emit(func, EventKind::JobSkipped { reason });
        }
    }

    /// Moves a queued function forward.
    pub(crate) fn raise(&self, func: FuncIndex, priority: u64) {
        let key = self.key(func, SiteIndex::ENTRY);
        if self.shared.pool.raise(key, priority) {
            self.emit(func, EventKind::PriorityRaised { priority });
        }
    }

    /// Queues a function that has just got baseline code, if the policy says so.
    pub(crate) fn queue_at_once(&self, loaded: &Arc<LoadedModule>, func: FuncIndex) {
        if !self.shared.options.queues_at_once(func) {
            return;
        }
        if let Some(body) = loaded.module().func(func) {
            let shape = Shape::of(body);
            let priority = self.shared.options.tuning.expected_priority(shape);
            self.request(&Arc::downgrade(loaded), func, shape, (None, priority));
        }
    }

    /// A worker's side of a job.
    fn run_job(
        &self,
        loaded: &Weak<LoadedModule>,
        func: FuncIndex,
        scratch: &mut Scratch,
        waited: Duration,
    ) {
        let Ok(cell) = self.cell(func) else { return };
        let Some(loaded) = loaded.upgrade() else {
            if cell.unqueue() {
                let reason = SkipReason::ModuleDropped;
                self.emit(func, EventKind::JobSkipped { reason });
            }
            return;
        };
        if cell.start() {
            self.remember(&loaded);
            self.emit(func, EventKind::JobStarted { waited });
            let watch = Stopwatch::start();
            let compiled =
                body(&loaded, func).and_then(|body| self.optimize(scratch, loaded.code(), body));
            self.calibrate(&loaded, func, watch.stop());
            if compiled.is_ok() && self.only_measures() {
                self.set_ready(func);
            } else {
                self.finish_job(&loaded, func, compiled);
            }
        }
    }

    /// Compiles a function in the optimizing tier before its caller goes on; whether it got code.
    pub(crate) fn tier_up_now(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        site: SiteIndex,
    ) -> bool {
        if !self.cell(func).is_ok_and(StateCell::start_now) {
            return false;
        }
        self.remember(loaded);
        let (site, priority) = (Some(site), u64::MAX);
        self.emit(func, EventKind::TierRequested { site, priority });
        let waited = Duration::ZERO;
        self.emit(func, EventKind::JobStarted { waited });
        let compiled = self.compile_on_pool(loaded, func);
        self.finish_job(loaded, func, compiled)
    }

    /// The end of a job; the caller owns the state `Compiling`. Gives whether code was installed.
    pub(crate) fn finish_job(
        &self,
        loaded: &LoadedModule,
        func: FuncIndex,
        compiled: Result<Compiled, TierError>,
    ) -> bool {
        let Ok(cell) = self.cell(func) else {
            return false;
        };
        let mark = self.shared.room.mark();
        let installed = compiled.and_then(|compiled| {
            let kind = EventKind::JobFinished {
                code_bytes: compiled.code_bytes(),
                compile: compiled.time,
            };
            self.emit(func, kind);
            self.install(loaded.code(), &compiled)
        });
        match installed {
            Ok(_) => {
                cell.finish();
                self.reclaim_after_install(loaded);
                true
            }
            Err(error) => {
                self.failed(func, Tier::Optimizing, &error);
                match error.kind() {
                    TierErrorKind::Resource => {
                        self.shared.room.full(mark);
                        cell.retry();
                        self.shared.reclaim_all();
                    }
                    TierErrorKind::Limit | TierErrorKind::Unsupported | TierErrorKind::Internal => {
                        cell.fail()
                    }
                }
                false
            }
        }
    }

    /// Takes what a worker's compile took into account, whatever came of it.
    pub(crate) fn calibrate(&self, loaded: &LoadedModule, func: FuncIndex, cost: Cost) {
        if let Some(body) = loaded.module().func(func) {
            let predicted_us = self.shared.options.tuning.compile_us(Shape::of(body));
            self.shared.load.record(predicted_us, cost);
        }
    }

    /// The key of a job: of the whole function, or of one of its loops.
    pub(crate) fn key(&self, func: FuncIndex, site: SiteIndex) -> JobKey {
        JobKey {
            module: self.id(),
            func,
            site,
        }
    }
}
