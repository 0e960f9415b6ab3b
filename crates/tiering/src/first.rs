//! First code: a function is called, and its entry slot still holds the lazy stub.

use crate::compile::{Compiled, body, compile};
use crate::events::EventKind;
use crate::module_tiers::ModuleTiers;
use crate::pool::Scratch;
use crate::state::{First, FuncState, StateCell};
use std::sync::{Arc, PoisonError};
use upshift_abi::Tier;
use upshift_module::FuncIndex;
use upshift_runtime::{CodePtr, LoadedModule, TierError, TierErrorKind};

/// Where a first compile runs.
pub(crate) enum Place<'a> {
    /// On a guest's thread: baseline there, optimizing on the pool while the guest waits.
    Guest,
    /// On a pool thread, with scratch memory for either tier.
    Pool(&'a mut Workbench),
    /// On the thread that loads the module, which only compiles baseline code.
    Host(&'a mut Scratch),
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
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        place: &mut Place<'_>,
    ) -> Result<CodePtr, TierError> {
        let defined = self.defined(func)?;
        let cell = self.cell(func)?;
        loop {
            match cell.begin_first() {
                First::Mine => {
                    let result = self.make_first(loaded, func, place);
                    match &result {
                        Ok((_, tier)) => cell.finish_first(*tier),
                        Err(_) => cell.fail_first(),
                    }
                    self.wake_waiting();
                    return result.map(|(entry, _)| entry);
                }
                First::Ready => return Ok(loaded.entries().load(defined)),
                First::Busy => self.wait_while_compiling(cell),
            }
        }
    }

    /// Compiles, publishes and installs. The caller owns the state `CompilingFirst`.
    fn make_first(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        place: &mut Place<'_>,
    ) -> Result<(CodePtr, Tier), TierError> {
        let mut tier = self.shared.options.first_tier(func);
        let mut compiled = self.compile_first_in(loaded, func, tier, place);
        if tier == Tier::Optimizing
            && let Err(error) = &compiled
            && error.kind() == TierErrorKind::Limit
        {
            // Too much for the optimizing tier: better baseline code than none.
            self.failed(func, tier, error);
            tier = Tier::Baseline;
            compiled = self.compile_first_in(loaded, func, tier, place);
        }
        let installed = compiled.and_then(|compiled| {
            let kind = EventKind::FirstCompiled {
                tier,
                code_bytes: compiled.code_bytes(),
                compile: compiled.time,
            };
            self.emit(func, kind);
            self.install(loaded, &compiled)
        });
        match installed {
            Ok(entry) => Ok((entry, tier)),
            Err(error) => {
                self.failed(func, tier, &error);
                Err(error)
            }
        }
    }

    fn compile_first_in(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        tier: Tier,
        place: &mut Place<'_>,
    ) -> Result<Compiled, TierError> {
        match (tier, place) {
            (Tier::Baseline, place) => {
                let options = self.first_tier_options(body(loaded, func)?);
                match place {
                    Place::Guest => self
                        .shared
                        .with_baseline(|scratch| compile(scratch, loaded, func, &options)),
                    Place::Pool(bench) => compile(&mut bench.baseline, loaded, func, &options),
                    Place::Host(scratch) => compile(scratch, loaded, func, &options),
                }
            }
            (Tier::Optimizing, Place::Pool(bench)) => compile(
                &mut bench.optimizing,
                loaded,
                func,
                &crate::compile::OPTIMIZING,
            ),
            (Tier::Optimizing, Place::Guest | Place::Host(_)) => self.compile_on_pool(loaded, func),
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
