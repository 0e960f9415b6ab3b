//! One compile, and what becomes of its code: the only place where tiering calls compilers, and the
//! only place where it has code published and installed.

use crate::budget::Shape;
use crate::events::EventKind;
use crate::module_tiers::ModuleTiers;
use crate::policy::Counting;
use crate::pool::Scratch;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use upshift_abi::{CompileEnv, CompileError, CompileOptions, CompiledFunc, CompilerWorker};
use upshift_module::{FuncIndex, ValidatedFunc};
use upshift_runtime::{CodePtr, LoadedModule, ModuleCode, TierError, TierErrorKind};

/// Code that nobody has published yet, and how long the compiler took.
pub(crate) struct Compiled {
    pub(crate) code: CompiledFunc,
    pub(crate) time: Duration,
}

impl Compiled {
    /// Size of the code in bytes.
    pub(crate) fn code_bytes(&self) -> u32 {
        u32::try_from(self.code.code.len()).unwrap_or(u32::MAX)
    }
}

/// The function's body.
///
/// # Errors
/// `Internal` if it has none: generated code only names functions of its module.
pub(crate) fn body(loaded: &LoadedModule, func: FuncIndex) -> Result<ValidatedFunc<'_>, TierError> {
    loaded.module().func(func).ok_or_else(|| {
        let message = format!("function {} has no body", func.0);
        TierError::new(TierErrorKind::Internal, message)
    })
}

/// Compiles a function with the compiler of the scratch memory.
///
/// # Errors
/// What the compiler says; `Internal` if it panics.
pub(crate) fn compile(
    scratch: &mut Scratch,
    env: &CompileEnv<'_>,
    body: ValidatedFunc<'_>,
    options: &CompileOptions,
) -> Result<Compiled, TierError> {
    let started = Instant::now();
    let code = guarded(scratch, body.index(), |worker| {
        worker.compile(body, env, options)
    })?;
    let time = started.elapsed();
    Ok(Compiled { code, time })
}

/// Has a compiler do something for a function. A panic must not leave the function in a state that others wait for.
///
/// # Errors
/// What the compiler says; `Internal` if it panics.
pub(crate) fn guarded<R>(
    scratch: &mut Scratch,
    func: FuncIndex,
    work: impl FnOnce(&mut dyn CompilerWorker) -> Result<R, CompileError>,
) -> Result<R, TierError> {
    match catch_unwind(AssertUnwindSafe(|| work(scratch.worker()))) {
        Ok(result) => Ok(result?),
        Err(_) => {
            scratch.reset();
            let message = format!("the compiler panicked in function {}", func.0);
            Err(TierError::new(TierErrorKind::Internal, message))
        }
    }
}

impl ModuleTiers {
    /// Compiles a function in the optimizing tier on a pool thread, whose stack is known to be big
    /// enough, while the caller waits on a channel (never in rayon, which would run other jobs on
    /// the caller's stack).
    ///
    /// # Errors
    /// As [`compile`]; `Resource` if the pool has no thread.
    pub(crate) fn compile_on_pool(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
    ) -> Result<Compiled, TierError> {
        let tiers = self.this.upgrade();
        self.on_pool(loaded, move |scratch, module| {
            let gone = || TierError::new(TierErrorKind::Internal, "the module is gone");
            let tiers = tiers.ok_or_else(gone)?;
            tiers.optimize(scratch, module.code(), body(module, func)?)
        })
    }

    /// Compiles a function in the optimizing tier, on a thread with stack enough.
    ///
    /// # Errors
    /// As [`compile`].
    pub(crate) fn optimize(
        &self,
        scratch: &mut Scratch,
        code: &ModuleCode,
        body: ValidatedFunc<'_>,
    ) -> Result<Compiled, TierError> {
        let profile = self.profile();
        let env = Self::optimizing_env(code, &profile);
        compile(scratch, &env, body, &OPTIMIZING)
    }

    /// Runs a compile on a pool thread while the caller waits.
    ///
    /// # Errors
    /// Its own; `Resource` if the pool has no thread.
    pub(crate) fn on_pool<R: Send + 'static>(
        &self,
        loaded: &Arc<LoadedModule>,
        work: impl FnOnce(&mut Scratch, &LoadedModule) -> Result<R, TierError> + Send + 'static,
    ) -> Result<R, TierError> {
        let no_thread = || TierError::new(TierErrorKind::Resource, "no thread to compile on");
        let (sender, receiver) = sync_channel(1);
        let module = Arc::clone(loaded);
        self.shared
            .pool
            .submit_urgent(Box::new(move |scratch, _| {
                let result = work(scratch, &module);
                // The guest goes on as soon as it hears of it; it should not find us holding the module.
                drop(module);
                drop(sender.send(result));
            }))
            .map_err(|_| no_thread())?;
        receiver.recv().map_err(|_| no_thread())?
    }

    /// How the function's baseline code is compiled.
    pub(crate) fn first_tier_options(&self, body: ValidatedFunc<'_>) -> CompileOptions {
        let options = &self.shared.options;
        let shape = Shape::of(body);
        let counter_step = match self.counting(body.index()) {
            Counting::Off => None,
            Counting::Poll => Some(options.tuning.poll_plan(shape).step),
            Counting::Budget => Some(options.tuning.budget_plan(shape, options.interruption).step),
            Counting::EverySite => Some(i32::MIN),
        };
        CompileOptions {
            counter_step,
            registers: options.baseline_registers,
        }
    }

    /// Publishes and installs code, steps 6 to 8 of `docs/tiering.md`, and gives its entry.
    ///
    /// # Errors
    /// `Resource` when the code space is full.
    pub(crate) fn install(
        &self,
        code: &ModuleCode,
        compiled: &Compiled,
    ) -> Result<CodePtr, TierError> {
        let func = compiled.code.func;
        let tier = compiled.code.tier;
        let defined = self.defined(func)?;
        self.emit_inlined(&compiled.code);
        let published = code.publish(&compiled.code)?;
        let code_bytes = published.code_bytes();
        self.emit(func, EventKind::Published { tier, code_bytes });
        let entry = published.entry();
        let retired = code.install(defined, published);
        self.emit(func, EventKind::Installed { tier });
        if let Some(retired) = retired {
            self.retired(&retired);
        }
        Ok(entry)
    }

    /// Tells whose bodies the code holds, each once.
    pub(crate) fn emit_inlined(&self, code: &CompiledFunc) {
        let callees: BTreeSet<FuncIndex> = code.inlined.iter().map(|call| call.func).collect();
        for callee in callees {
            self.emit(code.func, EventKind::Inlined { callee });
        }
    }
}

/// How optimizing compiles are made.
const OPTIMIZING: CompileOptions = CompileOptions {
    counter_step: None,
    registers: None,
};
