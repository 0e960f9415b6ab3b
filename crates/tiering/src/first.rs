//! First code: a function is called, and its entry slot still holds the lazy stub.

use crate::compile::{Compiled, compile};
use crate::events::EventKind;
use crate::module_tiers::ModuleTiers;
use crate::pool::Scratch;
use crate::state::{First, FuncState, StateCell};
use std::sync::{Arc, PoisonError};
use upshift_abi::Tier;
use upshift_module::ValidatedFunc;
use upshift_runtime::{CodePtr, LoadedModule, ModuleCode, TierError, TierErrorKind};

/// Where a first compile runs.
pub(crate) enum Place<'a> {
    /// On a guest's thread: baseline there, optimizing on the pool while the guest waits.
    Guest(&'a Arc<LoadedModule>),
    /// On a pool thread, with scratch memory for either tier.
    Pool(&'a mut Workbench),
    /// On the thread that loads the module: baseline there, optimizing on the pool.
    Host(&'a Arc<LoadedModule>, &'a mut Scratch),
}

/// Scratch memory for both tiers.
pub(crate) struct Workbench {
    pub(crate) baseline: Scratch,
    pub(crate) optimizing: Scratch,
}

impl ModuleTiers {
    /// Gives a function its first code, or waits until another thread has done so.
    ///
    /// # Errors
    /// The compiler's, or a full code space; the function is back in `Lazy` then, and the next call
    /// (or one of the threads that waited) tries again.
    pub(crate) fn first_code(
        &self,
        code: &ModuleCode,
        body: ValidatedFunc<'_>,
        place: &mut Place<'_>,
    ) -> Result<CodePtr, TierError> {
        let func = body.index();
        let defined = self.defined(func)?;
        let cell = self.cell(func)?;
        loop {
            match cell.begin_first() {
                First::Mine => {
                    let result = self.make_first(code, body, place);
                    match &result {
                        Ok((_, tier)) => cell.finish_first(*tier),
                        Err(_) => cell.fail_first(),
                    }
                    self.wake_waiting();
                    return result.map(|(entry, _)| entry);
                }
                First::Ready => return Ok(code.entries().load(defined)),
                First::Busy => self.wait_while_compiling(cell),
            }
        }
    }

    /// Compiles, publishes and installs. The caller owns the state `CompilingFirst`.
    fn make_first(
        &self,
        code: &ModuleCode,
        body: ValidatedFunc<'_>,
        place: &mut Place<'_>,
    ) -> Result<(CodePtr, Tier), TierError> {
        let func = body.index();
        let mut tier = self.first_tier(func);
        let mut compiled = self.compile_first_in(code, body, tier, place);
        if tier == Tier::Optimizing
            && let Err(error) = &compiled
            && error.kind() == TierErrorKind::Limit
        {
            // Too much for the optimizing tier: better baseline code than none.
            self.failed(func, tier, error);
            tier = Tier::Baseline;
            compiled = self.compile_first_in(code, body, tier, place);
        }
        let installed = compiled.and_then(|compiled| {
            let kind = EventKind::FirstCompiled {
                tier,
                code_bytes: compiled.code_bytes(),
                compile: compiled.time,
            };
            self.emit(func, kind);
            let installed = self.install(code, &compiled);
            match installed {
                Err(error)
                    if error.kind() == TierErrorKind::Resource && self.shared.reclaim_all() =>
                {
                    self.install(code, &compiled)
                }
                Ok(_) | Err(_) => installed,
            }
        });
        match installed {
            Ok(entry) => {
                if tier == Tier::Optimizing {
                    self.record_first(func);
                }
                Ok((entry, tier))
            }
            Err(error) => {
                self.failed(func, tier, &error);
                Err(error)
            }
        }
    }

    fn compile_first_in(
        &self,
        code: &ModuleCode,
        body: ValidatedFunc<'_>,
        tier: Tier,
        place: &mut Place<'_>,
    ) -> Result<Compiled, TierError> {
        match (tier, place) {
            (Tier::Baseline, place) => {
                let options = self.first_tier_options(body);
                let env = code.compile_env();
                match place {
                    Place::Guest(_) => self
                        .shared
                        .with_baseline(|scratch| compile(scratch, &env, body, &options)),
                    Place::Pool(bench) => compile(&mut bench.baseline, &env, body, &options),
                    Place::Host(_, scratch) => compile(scratch, &env, body, &options),
                }
            }
            (Tier::Optimizing, Place::Pool(bench)) => {
                self.optimize(&mut bench.optimizing, code, body)
            }
            (Tier::Optimizing, Place::Guest(loaded) | Place::Host(loaded, _)) => {
                self.compile_on_pool(loaded, body.index())
            }
        }
    }

    fn wait_while_compiling(&self, cell: &StateCell) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while cell.get() == FuncState::CompilingFirst {
            waiting = self
                .first_done
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The state has changed already. Taking the lock in between makes sure that a thread which
    /// still saw the old one is asleep by now.
    fn wake_waiting(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.first_done.notify_all();
    }
}
