//! Which calls are replaced by the callee's body.
//!
//! Inlining never changes what is computed, so all of this may be wrong. What it must do is bound the work: a hostile module can
//! have a hundred thousand calls of a tiny function in one body, tiny functions with 50,000 locals, and calls that lead round in
//! circles.
//!
//! | size of the body, in bytes | is inlined |
//! |---|---|
//! | up to `tiny_bytes` | always: it is about as large as the call |
//! | up to `small_bytes` | where the call is in a loop or the callee is hot |
//! | up to `hot_bytes` | where both are true |
//!
//! Within inlined bodies the last two count for less, the further in the less. A body with a loop of its own spends its time there
//! and not on being called: it is taken for twice as large. No function is inlined into itself, however many bodies lie between.

use super::super::state::{SIZE_MAX, Translator};
use upshift_abi::InlineLimits;
use upshift_module::{FuncIndex, ValidatedFunc};

/// What an inlined body costs beside its size, in bytes of body.
const CALL_BYTES: u32 = 10;
/// What the comparison in front of it and the ordinary call beside it cost at a `call_indirect`.
const GUARD_BYTES: u32 = 40;
/// Locals of an inlined body, parameters among them.
const LOCALS_MAX: u32 = 64;
/// Results of an inlined body.
const RESULTS_MAX: usize = 16;
/// A function with so many values takes in nothing more, so that it is not inlining that makes it too large for the compiler.
const VALUES_MAX: usize = SIZE_MAX / 4;

/// What may still be inlined into a function.
#[derive(Clone, Copy)]
pub(in crate::translate) struct Budget {
    limits: InlineLimits,
    /// Bytes of bodies of any size.
    all: u32,
    /// Bytes of bodies that are not tiny.
    growth: u32,
}

impl Budget {
    /// The budget of a function whose body has this size.
    pub(in crate::translate) fn new(limits: InlineLimits, body_bytes: u32) -> Self {
        let growth = u64::from(body_bytes) * u64::from(limits.growth_percent) / 100;
        let growth = u32::try_from(growth).unwrap_or(u32::MAX);
        Self {
            limits,
            all: limits.budget_bytes,
            growth: growth.max(limits.growth_bytes_min),
        }
    }

    /// Takes a body, and what comes with it, out of the budget; false if it is too large.
    fn spend(&mut self, body_bytes: u32, more_bytes: u32) -> bool {
        let tiny = body_bytes <= self.limits.tiny_bytes;
        let bytes = body_bytes.saturating_add(more_bytes);
        if bytes > self.all || !tiny && bytes > self.growth {
            return false;
        }
        self.all -= bytes;
        if !tiny {
            self.growth -= bytes;
        }
        true
    }

    /// The largest body to inline at a call.
    fn size_max(&self, depth: u32, in_loop: bool, hot: bool) -> u32 {
        let limits = &self.limits;
        let bytes = match (in_loop, hot) {
            (true, true) => limits.hot_bytes,
            (true, false) | (false, true) => limits.small_bytes,
            (false, false) => 0,
        };
        limits.tiny_bytes.max(bytes / (depth + 1))
    }
}

impl<'a> Translator<'a, '_> {
    /// The body of a function that is to be inlined at the call that is being translated. It is in the budget, so it
    /// has to be inlined then.
    pub(in crate::translate) fn inlinee(&mut self, func: FuncIndex) -> Option<ValidatedFunc<'a>> {
        self.inlinee_for(func, CALL_BYTES)
    }

    /// The same for the common target of a `call_indirect`.
    pub(super) fn guarded_inlinee(&mut self, func: FuncIndex) -> Option<ValidatedFunc<'a>> {
        self.inlinee_for(func, GUARD_BYTES)
    }

    fn inlinee_for(&mut self, func: FuncIndex, more_bytes: u32) -> Option<ValidatedFunc<'a>> {
        let profile = self.env.profile?;
        let depth = u32::try_from(self.open_bodies.len()).unwrap_or(u32::MAX);
        let limits = self.budget.limits;
        if depth >= limits.depth || self.is_open(func) {
            return None;
        }
        if self.builder.func.dfg.num_values() > VALUES_MAX {
            return None;
        }
        let body = profile.inlinee(func)?;
        // Locals and labels are numbered by the declarations of the module that is being compiled.
        if body.index() != func || !std::ptr::eq(body.env(), self.func.env()) {
            debug_assert!(false, "the profile of another module");
            return None;
        }
        let hot = profile.entries(func) >= limits.hot_entries;
        let weight = if body.outline().loops() == 0 { 1 } else { 2 };
        let size_max = self.budget.size_max(depth, self.open_loops > 0, hot);
        let bytes = body.body_bytes();
        let fits =
            bytes.saturating_mul(weight) <= size_max.max(limits.tiny_bytes) && is_narrow(body);
        (fits && self.budget.spend(bytes, more_bytes)).then_some(body)
    }

    /// Whether the next operator is in a body of this function.
    fn is_open(&self, func: FuncIndex) -> bool {
        self.func.index() == func || self.open_bodies.contains(&func)
    }
}

/// Whether locals and results are so few that they cost no more than the code.
fn is_narrow(body: ValidatedFunc<'_>) -> bool {
    let ty = body.ty();
    let params = u32::try_from(ty.params().len()).unwrap_or(u32::MAX);
    let mut runs = body.locals().map(|(count, _)| count);
    let locals = runs.try_fold(params, |sum, count| sum.checked_add(count));
    locals.is_some_and(|count| count <= LOCALS_MAX) && ty.results().len() <= RESULTS_MAX
}
