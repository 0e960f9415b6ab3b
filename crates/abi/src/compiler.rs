//! The trait that both compilers implement, and what they are given.

use crate::artefact::{CompiledFunc, SiteIndex, Tier};
use crate::callconv::{CpuFeatures, SignatureLayout};
use crate::layout::{TypeId, VmLayout};
use crate::osr::LoopState;
use crate::profile::Profile;
use std::fmt;
use upshift_module::ValidatedFunc;

/// A compiler: hands out workers, each of which compiles one function at a time.
pub trait Compiler: Send + Sync {
    /// Which tier it makes.
    fn tier(&self) -> Tier;

    /// A new worker. A worker keeps its scratch memory from function to function; drop it to give the memory back.
    fn worker(&self) -> Box<dyn CompilerWorker>;
}

/// Compiles functions one after the other, on one thread at a time.
pub trait CompilerWorker: Send {
    /// Compiles one body.
    ///
    /// # Errors
    /// A function beyond what the compiler can express (code over 2 GiB, frames over the stack), or an
    /// internal failure, which is a bug. Never panics on validated input.
    fn compile(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
        options: &CompileOptions,
    ) -> Result<CompiledFunc, CompileError>;

    /// Baseline only: where the code that [`Self::compile`] makes with the same arguments keeps its values at the
    /// header of a loop. Costs a compile.
    ///
    /// # Errors
    /// As [`Self::compile`]; `Limit` if there are more values than [`OSR_CELLS_MAX`](crate::OSR_CELLS_MAX);
    /// `Unsupported` from other compilers, and if the loop cannot be reached.
    fn describe_loop(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
        options: &CompileOptions,
        site: SiteIndex,
    ) -> Result<LoopState, CompileError> {
        let _ = (func, env, options, site);
        let message = "loops are described by the baseline tier";
        Err(CompileError::new(CompileErrorKind::Unsupported, message))
    }

    /// Optimizing only: compiles a body that is entered at the header of a loop with the values that are described,
    /// [`CodeKind::Osr`](crate::CodeKind::Osr).
    ///
    /// # Errors
    /// As [`Self::compile`]; `Unsupported` from other compilers.
    fn compile_osr(
        &mut self,
        func: ValidatedFunc<'_>,
        env: &CompileEnv<'_>,
        state: &LoopState,
    ) -> Result<CompiledFunc, CompileError> {
        let _ = (func, env, state);
        let message = "loops are entered by the optimizing tier";
        Err(CompileError::new(CompileErrorKind::Unsupported, message))
    }
}

/// What is the same for all functions of a module in an engine.
#[derive(Clone, Copy, Debug)]
pub struct CompileEnv<'a> {
    /// Offsets of the module's vmctx.
    pub layout: &'a VmLayout,
    /// Where arguments and results go, by type index.
    pub signatures: &'a [SignatureLayout],
    /// The engine's canonical ids, by type index.
    pub type_ids: &'a [TypeId],
    /// How 32-bit memories are checked.
    pub memory_style: MemoryStyle,
    /// What the processor can do.
    pub cpu: CpuFeatures,
    /// Whether code must notice `StoreContext::interrupt` in loops.
    pub interruption: bool,
    /// Optimizing only: what is known of the module's run; none compiles the function by itself.
    pub profile: Option<&'a dyn Profile>,
}

/// What the entry of a function adds to its counter besides the step.
pub const ENTRY_STEP: i32 = 1;

/// What may differ from one compile to the next.
#[derive(Clone, Copy, Default, Debug)]
pub struct CompileOptions {
    /// Baseline only: what is added to the function's counter at each round of a loop; none leaves counters out.
    /// A multiple of 256; a function's entry adds [`ENTRY_STEP`] more, so that the low byte of a counter counts entries. `i32::MIN` reaches the slow path at every site.
    pub counter_step: Option<i32>,
    /// Baseline only, for tests: how many registers of each class may be allocated.
    pub registers: Option<u8>,
}

/// In the reserved style, bytes right before a memory and at the end of its 4 GiB that are never accessible. An address a
/// little below the base is thus out of bounds as it is after wrapping to 32 bits; a page (spec 4.2.8).
pub const FRONT_GUARD_BYTES: u32 = 65_536;

/// How accesses of 32-bit memories are kept in bounds. The same for all memories of an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemoryStyle {
    /// 4 GiB of address space between guards: an access is one instruction, bounds are
    /// checked by the processor. The base never moves. The [`FRONT_GUARD_BYTES`] before the base are
    /// inaccessible, and so are the last [`FRONT_GUARD_BYTES`] of the 4 GiB: no memory is that large.
    Reserved {
        /// Size of the guard in bytes. A constant offset is folded into the access while
        /// offset + size <= guard and < 2^31.
        guard_bytes: u64,
    },
    /// Explicit comparison with `MemoryDef::bytes`; base and length are loaded again after calls and growth.
    Checked,
}

/// Why a function could not be compiled.
#[derive(Debug)]
pub struct CompileError(Box<CompileErrorInner>);

#[derive(Debug)]
struct CompileErrorInner {
    kind: CompileErrorKind,
    message: String,
}

/// Kinds of [`CompileError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompileErrorKind {
    /// A limit of the compiler.
    Limit,
    /// Something that this compiler does not cover.
    Unsupported,
    /// A bug of the compiler.
    Internal,
}

impl CompileError {
    /// Makes an error.
    #[cold]
    #[must_use]
    pub fn new(kind: CompileErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(CompileErrorInner {
            kind,
            message: message.into(),
        }))
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> CompileErrorKind {
        self.0.kind
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            CompileErrorKind::Limit => "limit exceeded",
            CompileErrorKind::Unsupported => "unsupported",
            CompileErrorKind::Internal => "internal compiler error",
        };
        write!(f, "{kind}: {}", self.0.message)
    }
}

impl std::error::Error for CompileError {}
