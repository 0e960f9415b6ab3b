//! Compiling while a module arrives: bodies get their first code as soon as they are valid.
//!
//! It is compiling [ahead](crate::ahead) with a head start: the states of functions are the same, so once
//! the module is whole, [`ModuleTiers::compile_all_first`](crate::ModuleTiers::compile_all_first) finds what has code and does
//! the rest. The rest is also what failed: nothing is reported from here, since the same error comes
//! up there again, at the right place. If the module turns out to be wrong, code and states are dropped unused.

use crate::first::Place;
use crate::manager::Shared;
use crate::module_tiers::ModuleTiers;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use upshift_abi::Tier;
use upshift_module::ValidatedFunc;
use upshift_runtime::ModuleCode;

/// A module of which the declarations are there, and bodies come.
pub struct Arriving {
    tiers: Arc<ModuleTiers>,
    code: Arc<ModuleCode>,
    /// Something failed, so the module will be refused. Relaxed: it only saves work.
    stopped: AtomicBool,
}

impl Arriving {
    pub(crate) fn new(tiers: Arc<ModuleTiers>, code: Arc<ModuleCode>) -> Self {
        Self {
            tiers,
            code,
            stopped: AtomicBool::new(false),
        }
    }

    /// Gives bodies of the module their first code, on this thread. A thread that is not of the
    /// [front pool](crate::TierManager::front_pool) leaves out those that the optimizing compiler is for, whose need
    /// of stack nobody bounds, and leaves them all out if callees may become part of them: they wait for the whole module.
    /// Does nothing in runs that are replayed or recorded, which need the whole module first.
    pub fn compile(&self, bodies: &[ValidatedFunc<'_>]) {
        bodies.iter().for_each(|body| self.tiers.validated(*body));
        let shared = &self.tiers.shared;
        if shared.options.needs_whole_modules() {
            return;
        }
        let on_pool = shared.is_front_thread();
        shared.with_bench(|bench| {
            let mut place = Place::Pool(bench);
            for body in bodies {
                let tier = shared.options.first_tier(body.index());
                let may_optimize = on_pool && !shared.options.tuning.inlining;
                let here = may_optimize || tier == Tier::Baseline;
                if self.stopped.load(Ordering::Relaxed) {
                    return;
                }
                if here
                    && self
                        .tiers
                        .first_code(&self.code, *body, &mut place)
                        .is_err()
                {
                    self.stopped.store(true, Ordering::Relaxed);
                }
            }
        });
    }

    /// The module is whole and valid: its tiers, and what code it has.
    #[must_use]
    pub fn arrived(&self) -> (Arc<ModuleTiers>, Arc<ModuleCode>) {
        self.tiers.count();
        (Arc::clone(&self.tiers), Arc::clone(&self.code))
    }
}

impl fmt::Debug for Arriving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving")
            .field("tiers", &self.tiers)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Whether this is a thread of the front pool.
    fn is_front_thread(&self) -> bool {
        let pool = self.front_pool();
        pool.is_some_and(|pool| pool.current_thread_index().is_some())
    }
}
