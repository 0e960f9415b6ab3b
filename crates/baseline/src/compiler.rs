//! The driver: one worker per thread, whose scratch memory goes from function to function.

use crate::lower::{Lower, Scratch};
use upshift_abi::{
    CodeKind, CompileEnv, CompileError, CompileErrorKind, CompileOptions, CompiledFunc, Compiler,
    CompilerWorker, Tier,
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

impl CompilerWorker for Worker {
    fn compile(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
        options: &CompileOptions,
    ) -> Result<CompiledFunc, CompileError> {
        if options.kind != CodeKind::Entry {
            let message = "the baseline tier makes entries only";
            return Err(CompileError::new(CompileErrorKind::Unsupported, message));
        }
        let facts = self.gatherer.gather(func);
        if facts.uses.contains(Uses::V128) {
            let message = "vectors in the baseline tier";
            return Err(CompileError::new(CompileErrorKind::Unsupported, message));
        }
        let scratch = std::mem::take(&mut self.scratch);
        let mut lower = Lower::new((func, facts), env, options, scratch);
        let result = lower.compile();
        self.scratch = lower.into_scratch();
        if self.scratch.largest() > KEPT_ENTRIES {
            self.scratch = Scratch::default();
        }
        if self.gatherer.largest() > KEPT_ENTRIES {
            self.gatherer = FactGatherer::default();
        }
        result
    }
}
