//! What the optimizing tier is told of the module: the [`Profile`] of a compile.
//!
//! Everything in it is a guess or a permission, and may be out of date when it is read. What must hold: a body that is given out may be
//! copied into its callers, and a function that is called final never gets other code (S3 of `state.rs`).
//!
//! **Entries.** A counter starts at 0 or where a flip has armed it, both multiples of the function's step. Each site adds the step, the entry
//! one more. So its remainder by the step is the number of entries since then, as long as there are fewer than that until the next flip: true
//! but for bodies of few bytes between sites, six with the default tuning, of which a multiple of the step may be missed.
//! Flips and instances that go away add it to a sum; what the living instances hold is read when somebody asks.

use crate::budget::Shape;
use crate::module_tiers::ModuleTiers;
use crate::policy::Counting;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_abi::{CompileEnv, InlineLimits, Profile};
use upshift_module::ops::CallOp;
use upshift_module::{FuncIndex, Op, ValidatedFunc};
use upshift_runtime::{LoadedModule, ModuleCode};

use crate::state::{FuncState, StateCell};

/// The surroundings of one optimizing compile.
#[derive(Debug)]
struct ModuleProfile<'a> {
    tiers: &'a ModuleTiers,
    /// None while bodies still arrive: then there is nothing to inline, and nothing has run.
    loaded: Option<Arc<LoadedModule>>,
}

impl ModuleTiers {
    /// What an optimizing compile of the module is told now.
    #[must_use]
    pub fn profile(&self) -> impl Profile {
        ModuleProfile {
            tiers: self,
            loaded: self.loaded(),
        }
    }

    /// What an optimizing compile is given.
    pub(crate) fn optimizing_env<'a>(
        code: &'a ModuleCode,
        profile: &'a dyn Profile,
    ) -> CompileEnv<'a> {
        CompileEnv {
            profile: Some(profile),
            ..code.compile_env()
        }
    }

    /// How often the function was entered according to a counter of its baseline code.
    pub(crate) fn entries_in(&self, body: ValidatedFunc<'_>, counter: u32) -> u32 {
        counter % self.plan(Shape::of(body)).step.unsigned_abs()
    }

    /// Adds to the entries of a function that are known.
    pub(crate) fn note_entries(&self, func: FuncIndex, entries: u32) {
        let Ok(defined) = self.defined(func) else {
            return;
        };
        if let Some(sum) = self.entered.get(defined as usize) {
            // A lost update loses the entries of one flip.
            let entries = sum.load(Ordering::Relaxed).saturating_add(entries);
            sum.store(entries, Ordering::Relaxed);
        }
    }
}

impl ModuleProfile<'_> {
    fn state(&self, func: FuncIndex) -> FuncState {
        let cell = self.tiers.cell(func);
        cell.map_or(FuncState::Lazy, StateCell::get)
    }

    /// Entries that have not reached the sum yet.
    fn running(&self, func: FuncIndex) -> u64 {
        let Some(loaded) = &self.loaded else { return 0 };
        let Some(body) = loaded.module().func(func) else {
            return 0;
        };
        let mut entries = 0_u64;
        loaded.visit_counters(func, &mut |counter| {
            let counter = counter.cast_unsigned();
            entries = entries.saturating_add(self.tiers.entries_in(body, counter).into());
        });
        entries
    }
}

impl Profile for ModuleProfile<'_> {
    fn inlinee(&self, func: FuncIndex) -> Option<ValidatedFunc<'_>> {
        if !self.tiers.shared.options.may_inline(func) {
            return None;
        }
        self.loaded.as_ref()?.module().func(func)
    }

    fn entries(&self, func: FuncIndex) -> u64 {
        let Ok(defined) = self.tiers.defined(func) else {
            return 0;
        };
        let counted = match self.tiers.shared.options.counting(func) {
            Counting::Budget => {
                let sum = self.tiers.entered.get(defined as usize);
                let sum = sum.map_or(0, |sum| sum.load(Ordering::Relaxed));
                self.running(func).saturating_add(sum.into())
            }
            Counting::EverySite => self.tiers.visits.calls(defined),
            Counting::Off | Counting::Poll => 0,
        };
        // Where nobody counts, or has counted yet, code tells that there was a call, or will be.
        counted.max(self.state(func).has_code().into())
    }

    fn is_final(&self, func: FuncIndex) -> bool {
        self.state(func) == FuncState::Optimized
    }

    fn inlining(&self) -> InlineLimits {
        self.tiers.shared.options.tuning.inline_limits()
    }

    fn indirect_target(&self, func: FuncIndex, ordinal: u32) -> Option<FuncIndex> {
        let known = self.tiers.targets.dominant(func, ordinal);
        if known.is_some() || !self.tiers.shared.options.tuning.inline_guesses {
            return known;
        }
        guess(self.loaded.as_ref()?.module().func(func)?, ordinal)
    }
}

/// Any function that a table may hold and that the call may reach; which one depends on the call.
fn guess(body: ValidatedFunc<'_>, ordinal: u32) -> Option<FuncIndex> {
    let env = body.env();
    let mut calls = body.ops().filter_map(|(_, op)| {
        let Op::Call(CallOp::CallIndirect { ty, .. }) = op else {
            return None;
        };
        Some(ty)
    });
    let ty = env.ty(calls.nth(ordinal as usize)?);
    let fits = |func: &&FuncIndex| !env.is_imported_func(**func) && env.func_type(**func) == ty;
    let funcs: Vec<&FuncIndex> = env.declared_funcs.iter().filter(fits).collect();
    let at = ordinal as usize % funcs.len().max(1);
    funcs.get(at).map(|func| **func)
}
