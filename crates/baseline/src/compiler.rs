//! The driver: one worker per thread, whose scratch memory goes from function to function.

use crate::lower::{Lower, Scratch};
use upshift_abi::{
    CompileEnv, CompileError, CompileErrorKind, CompileOptions, CompiledFunc, Compiler,
    CompilerWorker, LoopState, OSR_CELLS_MAX, SiteIndex, Tier,
};
use upshift_module::{FactGatherer, Uses, ValidatedFunc};

/// Capacities above this many entries are given back after a function: one huge body should not
/// keep its memory for the life of the worker.
const KEPT_ENTRIES: usize = 1 << 16;

/// The baseline compiler.
#[derive(Debug, Default)]
pub struct BaselineCompiler;

impl BaselineCompiler {
    /// Makes it; it has no state of its own.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Compiler for BaselineCompiler {
    fn tier(&self) -> Tier {
        Tier::Baseline
    }

    fn worker(&self) -> Box<dyn CompilerWorker> {
        Box::new(Worker::default())
    }
}

#[derive(Debug, Default)]
struct Worker {
    gatherer: FactGatherer,
    scratch: Scratch,
}

impl Worker {
    /// Compiles a body, and hands what is noted about it to `then`.
    fn run<R>(
        &mut self,
        func: ValidatedFunc<'_>,
        (env, options): (&CompileEnv<'_>, &CompileOptions),
        watched: Option<SiteIndex>,
        then: impl FnOnce(CompiledFunc, Option<LoopState>) -> Result<R, CompileError>,
    ) -> Result<R, CompileError> {
        let facts = self.gatherer.gather(func);
        if facts.uses.contains(Uses::V128) {
            let message = "vectors in the baseline tier";
            return Err(CompileError::new(CompileErrorKind::Unsupported, message));
        }
        let scratch = std::mem::take(&mut self.scratch);
        let mut lower = Lower::new((func, facts), env, options, scratch);
        lower.watched = watched;
        let result = lower.compile();
        let state = lower.noted.take();
        self.scratch = lower.into_scratch();
        if self.scratch.largest() > KEPT_ENTRIES {
            self.scratch = Scratch::default();
        }
        if self.gatherer.largest() > KEPT_ENTRIES {
            self.gatherer = FactGatherer::default();
        }
        then(result?, state)
    }
}

impl CompilerWorker for Worker {
    fn compile(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
        options: &CompileOptions,
    ) -> Result<CompiledFunc, CompileError> {
        self.run(func, (env, options), None, |code, _| Ok(code))
    }

    fn describe_loop(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
        options: &CompileOptions,
        site: SiteIndex,
    ) -> Result<LoopState, CompileError> {
        self.run(func, (env, options), Some(site), |code, state| {
            let unreachable = || {
                let message = format!("loop {} is never reached", site.0);
                CompileError::new(CompileErrorKind::Unsupported, message)
            };
            let mut state = state.ok_or_else(unreachable)?;
            if state.cells() > OSR_CELLS_MAX as usize {
                let message = "too many values to enter a loop with";
                return Err(CompileError::new(CompileErrorKind::Limit, message));
            }
            state.code_bytes = u32::try_from(code.code.len()).unwrap_or(u32::MAX);
            Ok(state)
        })
    }
}
