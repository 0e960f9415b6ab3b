//! One function after the other: translate, compile, finish.

use crate::finish;
use crate::isa::IsaCache;
use crate::passes;
use crate::translate::{self, Scratch};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::{CodegenError, CompiledCode, Context};
use cranelift_frontend::FunctionBuilderContext;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use upshift_abi::{
    CodeKind, CompileEnv, CompileError, CompileErrorKind, CompileOptions, CompiledFunc,
    CompilerWorker, CpuFeatures, LoopState, MemoryStyle,
};
use upshift_module::ValidatedFunc;

/// Bodies over this size, in bytes, do not leave their scratch memory to the next function: Cranelift's
/// tables keep the capacity of the largest function they have seen, hundreds of bytes per byte of body.
const KEEP_SCRATCH_BODY_BYTES_MAX: u32 = 64 << 10;

/// Frames of functions that call nothing may be this large, in bytes, without a comparison with the stack limit.
const LEAF_FRAME_BYTES_MAX: u32 = 4096;
/// A function with more values may well have a larger frame.
const LEAF_VALUES_MAX: usize = 1_000;

/// Compiles on one thread at a time.
pub(crate) struct Worker {
    isas: Arc<IsaCache>,
    isa: Option<(CpuFeatures, OwnedTargetIsa)>,
    memory: Option<Box<Memory>>,
}

/// What is kept from function to function.
struct Memory {
    context: Context,
    builder: FunctionBuilderContext,
    scratch: Scratch,
}

impl Memory {
    fn new() -> Box<Self> {
        Box::new(Self {
            context: Context::new(),
            builder: FunctionBuilderContext::new(),
            scratch: Scratch::default(),
        })
    }
}

impl Worker {
    /// A worker without scratch memory yet.
    pub(crate) fn new(isas: Arc<IsaCache>) -> Self {
        Self {
            isas,
            isa: None,
            memory: None,
        }
    }

    /// The CLIF of a function as text.
    pub(crate) fn clif(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
    ) -> Result<String, CompileError> {
        self.guarded((func, None), env, |memory, _| {
            Ok(memory.context.func.display().to_string())
        })
    }

    /// Translates the function and hands it to `then`. Scratch memory survives only a success: after an
    /// error, and even more so after a panic, nobody knows what state it is in.
    fn guarded<R>(
        &mut self,
        (func, entry): (ValidatedFunc<'_>, Option<&LoopState>),
        env: &CompileEnv<'_>,
        then: impl FnOnce(&mut Memory, &OwnedTargetIsa) -> Result<R, CompileError>,
    ) -> Result<R, CompileError> {
        let isa = self.isa(env.cpu)?;
        let mut memory = self.memory.take().unwrap_or_else(Memory::new);
        let result = catch_unwind(AssertUnwindSafe(|| {
            memory.context.clear();
            translate::translate(
                (func, entry),
                env,
                &*isa,
                (&mut memory.context.func, &mut memory.builder),
                &mut memory.scratch,
            )?;
            then(&mut memory, &isa)
        }));
        match result {
            Ok(Ok(value)) => {
                if func.body_bytes() <= KEEP_SCRATCH_BODY_BYTES_MAX {
                    self.memory = Some(memory);
                }
                Ok(value)
            }
            Ok(Err(error)) => Err(error),
            Err(payload) => Err(CompileError::new(
                CompileErrorKind::Internal,
                format!("function {}: {}", func.index().0, panic_text(&*payload)),
            )),
        }
    }

    fn isa(&mut self, cpu: CpuFeatures) -> Result<OwnedTargetIsa, CompileError> {
        if let Some((known, isa)) = &self.isa
            && *known == cpu
        {
            return Ok(OwnedTargetIsa::clone(isa));
        }
        let isa = self.isas.get(cpu)?;
        self.isa = Some((cpu, OwnedTargetIsa::clone(&isa)));
        Ok(isa)
    }
}

impl Worker {
    /// Compiles a body as called, or as entered at a loop. What is too large with others inlined into it is compiled by itself.
    fn make(
        &mut self,
        body: (ValidatedFunc<'_>, Option<&LoopState>),
        env: &CompileEnv<'_>,
    ) -> Result<CompiledFunc, CompileError> {
        let made = self.make_once(body, env);
        match &made {
            Err(error) if error.kind() == CompileErrorKind::Limit && env.profile.is_some() => {
                let profile = None;
                self.make_once(body, &CompileEnv { profile, ..*env })
            }
            Ok(_) | Err(_) => made,
        }
    }

    fn make_once(
        &mut self,
        (func, entry): (ValidatedFunc<'_>, Option<&LoopState>),
        env: &CompileEnv<'_>,
    ) -> Result<CompiledFunc, CompileError> {
        self.guarded((func, entry), env, |memory, isa| {
            let reserved = matches!(env.memory_style, MemoryStyle::Reserved { .. });
            passes::run(&mut memory.context, &**isa, reserved)
                .map_err(|error| codegen_error(func, &error))?;
            let code = generate(func, &mut memory.context, &**isa)?;
            let kind = entry.map_or(CodeKind::Entry, |state| CodeKind::Osr(state.site));
            let clif = (&memory.context.func, &memory.scratch.places);
            finish::finish((func, kind), clif, &code)
        })
    }
}

/// Machine code of a function. One that calls nothing, not even a helper, and has a small frame does not compare rsp with the stack
/// limit: its caller has, and below the limit there is room for more than such a frame, as there is for helpers.
/// What else the comparison is for, to notice an interrupt, loops and callers do.
fn generate(
    func: ValidatedFunc<'_>,
    context: &mut Context,
    isa: &dyn TargetIsa,
) -> Result<CompiledCode, CompileError> {
    // Whatever is called has a signature.
    let leaf =
        context.func.dfg.signatures.is_empty() && context.func.dfg.num_values() <= LEAF_VALUES_MAX;
    let limit = context.func.stack_limit;
    if leaf {
        context.func.stack_limit = None;
    }
    let code = compile(func, context, isa)?;
    let frame = code.buffer.frame_layout().map(|l| l.frame_to_fp_offset);
    if leaf && frame.is_none_or(|bytes| bytes > LEAF_FRAME_BYTES_MAX) {
        context.func.stack_limit = limit;
        return compile(func, context, isa);
    }
    Ok(code)
}

fn compile(
    func: ValidatedFunc<'_>,
    context: &mut Context,
    isa: &dyn TargetIsa,
) -> Result<CompiledCode, CompileError> {
    context
        .compile(isa, &mut ControlPlane::default())
        .map_err(|error| codegen_error(func, &error.inner))?;
    context
        .take_compiled_code()
        .ok_or_else(|| CompileError::new(CompileErrorKind::Internal, "Cranelift returned no code"))
}

impl CompilerWorker for Worker {
    fn compile(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
        _: &CompileOptions,
    ) -> Result<CompiledFunc, CompileError> {
        self.make((func, None), env)
    }

    fn compile_osr(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
        state: &LoopState,
    ) -> Result<CompiledFunc, CompileError> {
        self.make((func, Some(state)), env)
    }
}

fn codegen_error(func: ValidatedFunc<'_>, error: &CodegenError) -> CompileError {
    // Which cases the enum has depends on Cranelift's features, so it is not matched exhaustively.
    let kind = if let CodegenError::ImplLimitExceeded | CodegenError::CodeTooLarge = error {
        CompileErrorKind::Limit
    } else if let CodegenError::Unsupported(_) = error {
        CompileErrorKind::Unsupported
    } else {
        CompileErrorKind::Internal
    };
    let mut text = format!("function {}: {error}", func.index().0);
    if let CodegenError::Verifier(errors) = error {
        text = format!("{text}: {errors}");
    }
    CompileError::new(kind, text)
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("panic")
}
