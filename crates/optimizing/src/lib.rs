//! The optimizing compiler: validated wasm to CLIF to machine code, by Cranelift.
//!
//! The translation is our own, because everything that makes code fast or slow around it is in the
//! contract with the baseline tier (`upshift-abi`): `CallConv::Tail` with vmctx first, calls through
//! entry slots, guard pages instead of checks, helpers behind exit stubs.
//!
//! ```text
//! worker.rs     one function: translate, compile, finish; keeps the scratch memory
//! translate/    operators to CLIF, one file per category
//! passes/       what is done to the CLIF before Cranelift's own passes
//! isa.rs        Cranelift's settings
//! names.rs      what symbols of the CLIF mean: entry slots, code that stays, helpers
//! traps.rs      trap codes to and from Cranelift's numbers
//! finish.rs     Cranelift's result to `CompiledFunc`
//! ```
#![forbid(unsafe_code)]

mod finish;
mod isa;
mod names;
mod passes;
mod signature;
mod translate;
mod traps;
mod worker;

use isa::IsaCache;
use std::sync::Arc;
use upshift_abi::{CompileEnv, CompileError, Compiler, CompilerWorker, Tier};
use upshift_module::ValidatedFunc;
use worker::Worker;

/// The compiler of the optimizing tier. Cheap to make and to share; the workers hold the memory.
#[derive(Clone, Default)]
pub struct OptimizingCompiler {
    isas: Arc<IsaCache>,
}

impl OptimizingCompiler {
    /// A compiler. It makes code for the processor that each [`CompileEnv`] describes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The CLIF of a function before Cranelift optimizes it, as text for people.
    ///
    /// # Errors
    /// As [`CompilerWorker::compile`].
    pub fn clif(
        &self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
    ) -> Result<String, CompileError> {
        Worker::new(Arc::clone(&self.isas)).clif(func, env)
    }
}

impl Compiler for OptimizingCompiler {
    fn tier(&self) -> Tier {
        Tier::Optimizing
    }

    fn worker(&self) -> Box<dyn CompilerWorker> {
        Box::new(Worker::new(Arc::clone(&self.isas)))
    }
}
