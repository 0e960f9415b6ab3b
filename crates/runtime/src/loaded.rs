//! A module in an engine: the decoded module and its code, shared by all instances.
//!
//! The runtime calls up to whoever schedules compilation through [`TierSink`]; it sees no compiler.

use crate::code_space::{CodeOwner, CodePtr, CodeSpace, PublishedCode};
use crate::entry_table::EntryTable;
use crate::error::RuntimeError;
use crate::instance::counters::LiveCounters;
use crate::instance::initial::InitialMemories;
use crate::module_code::{ModuleCode, ModuleCodeParts};
use crate::types::{TypeInfo, TypeRegistry};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use upshift_abi::{
    CodeKind, CompileEnv, CompileError, CompileErrorKind, CompiledFunc, CpuFeatures, LoopState,
    MemoryStyle, OSR_CELLS_MAX, SiteIndex, VmLayout,
};
use upshift_module::{FuncIndex, Module, TypeIndex};

/// Who compiles functions and listens to their counters. Called on guest threads.
pub trait TierSink: Send + Sync {
    /// A function without code is called: compiles, publishes and installs it, and gives its entry.
    /// Concurrent callers of the same function wait for the first one. Must leave 256 KiB of stack.
    ///
    /// # Errors
    /// The compiler's, or a full code space; the guest stops with it.
    fn compile_first(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
    ) -> Result<CodePtr, TierError>;

    /// A counter flipped its sign.
    fn counter_overflow(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        visit: CounterVisit,
    ) -> CounterReply;

    /// Comes before the flips of a function's counters, and before [`Self::instance_dropped`]: `targets` tells whom `call_indirect`s of the
    /// function have called last, by their place among those in its body; none is a function of another module. Ignored unless written.
    fn indirect_calls(
        &self,
        loaded: &LoadedModule,
        func: FuncIndex,
        targets: &mut dyn Iterator<Item = (u32, Option<FuncIndex>)>,
    ) {
        let _ = (loaded, func, targets);
    }

    /// An instance goes away; `counters` are its counters by defined function index, so that
    /// short-lived instances heat a module up too. Ignored unless written.
    fn instance_dropped(&self, loaded: &LoadedModule, counters: &mut dyn Iterator<Item = i32>) {
        let _ = (loaded, counters);
    }
}

/// Where a counter flipped its sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterVisit {
    /// The site.
    pub site: SiteIndex,
    /// How often the function was entered since the counter was armed, modulo 256.
    pub entries: u32,
    /// The counter as it is now, its sign bit set.
    pub counter: u32,
}

/// What the slow path of a counter does next.
#[derive(Clone, Debug)]
pub struct CounterReply {
    /// The counter's new value, not negative; its low byte counts entries.
    pub rearm: i32,
    /// Code to enter the running loop with; only at loop sites.
    pub entry: Option<Arc<LoopEntry>>,
}

/// Code that a running loop of baseline code can be entered with. Dropping it retires the code.
#[derive(Debug)]
pub struct LoopEntry {
    code: CodePtr,
    code_bytes: u32,
    func: FuncIndex,
    state: LoopState,
    /// Its code, unless the module is gone.
    module: Weak<ModuleCode>,
}

impl Drop for LoopEntry {
    fn drop(&mut self) {
        // The last to know the address: a thread that goes there has noted it in its activation.
        if let Some(module) = self.module.upgrade() {
            module.retire_loop(self.code);
        }
    }
}

impl LoopEntry {
    /// Where the code begins.
    pub(crate) fn code(&self) -> CodePtr {
        self.code
    }

    /// The function.
    pub(crate) fn func(&self) -> FuncIndex {
        self.func
    }

    /// Size of the code in bytes.
    #[must_use]
    pub fn code_bytes(&self) -> u32 {
        self.code_bytes
    }

    /// Where baseline code keeps its values there.
    pub(crate) fn state(&self) -> &LoopState {
        &self.state
    }
}

/// Why a function has no code. One word.
#[derive(Debug)]
pub struct TierError(Box<TierErrorInner>);

#[derive(Debug)]
struct TierErrorInner {
    kind: TierErrorKind,
    message: String,
}

/// Kinds of [`TierError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TierErrorKind {
    /// The function is beyond a limit of the compiler.
    Limit,
    /// The compiler does not cover something in it.
    Unsupported,
    /// No room for its code.
    Resource,
    /// A bug.
    Internal,
}

impl TierError {
    /// Makes an error.
    #[cold]
    #[must_use]
    pub fn new(kind: TierErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(TierErrorInner {
            kind,
            message: message.into(),
        }))
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> TierErrorKind {
        self.0.kind
    }
}

impl fmt::Display for TierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for TierError {}

impl From<CompileError> for TierError {
    fn from(error: CompileError) -> Self {
        let kind = match error.kind() {
            CompileErrorKind::Limit => TierErrorKind::Limit,
            CompileErrorKind::Unsupported => TierErrorKind::Unsupported,
            CompileErrorKind::Internal => TierErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<RuntimeError> for TierError {
    fn from(error: RuntimeError) -> Self {
        Self::new(TierErrorKind::Resource, error.to_string())
    }
}

/// What a [`LoadedModule`] is made of.
pub struct LoadedModuleParts {
    /// The validated module.
    pub module: Arc<Module>,
    /// The engine's code space.
    pub code_space: Arc<CodeSpace>,
    /// The engine's types.
    pub types: Arc<TypeRegistry>,
    /// Who compiles this module.
    pub sink: Arc<dyn TierSink>,
    /// How the engine checks 32-bit memories.
    pub memory_style: MemoryStyle,
    /// What code may use.
    pub cpu: CpuFeatures,
    /// Whether loops must notice an interrupt.
    pub interruption: bool,
}

/// A module in an engine. Instances hold it.
pub struct LoadedModule {
    module: Arc<Module>,
    code: Arc<ModuleCode>,
    sink: Arc<dyn TierSink>,
    counters: LiveCounters,
    // Made when somebody asks for an export by name.
    exports: OnceLock<HashMap<Box<str>, usize>>,
    // Made by the first instantiation; none if there is nothing that pays, or the system refuses.
    initial_memories: OnceLock<Option<InitialMemories>>,
}

impl LoadedModule {
    /// Prepares a module for an engine: no function has code yet.
    ///
    /// # Errors
    /// When the code space has no room for the entry table.
    pub fn new(parts: LoadedModuleParts) -> Result<Arc<Self>, RuntimeError> {
        let code = ModuleCode::new(ModuleCodeParts {
            env: Arc::clone(parts.module.env()),
            code_space: parts.code_space,
            types: parts.types,
            memory_style: parts.memory_style,
            cpu: parts.cpu,
            interruption: parts.interruption,
        })?;
        Self::with_code(parts.module, code, parts.sink)
    }

    /// A module with code that was made from its declarations before the rest of it was there.
    ///
    /// # Errors
    /// `Misuse` if the code is of other declarations.
    pub fn with_code(
        module: Arc<Module>,
        code: Arc<ModuleCode>,
        sink: Arc<dyn TierSink>,
    ) -> Result<Arc<Self>, RuntimeError> {
        if !Arc::ptr_eq(module.env(), code.env()) {
            return Err(RuntimeError::misuse("code of another module".to_owned()));
        }
        if let Some(profiler) = code.code_space().profiler() {
            profiler.module(code.owner(), &module);
        }
        Ok(Arc::new(Self {
            module,
            code,
            sink,
            counters: LiveCounters::default(),
            exports: OnceLock::new(),
            initial_memories: OnceLock::new(),
        }))
    }

    /// The validated module.
    #[must_use]
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &ModuleCode {
        &self.code
    }

    /// What compilers are given.
    #[must_use]
    pub fn compile_env(&self) -> CompileEnv<'_> {
        self.code.compile_env()
    }

    /// Offsets of the module's context.
    #[must_use]
    pub fn layout(&self) -> &VmLayout {
        self.code.layout()
    }

    /// The module's entry table.
    #[must_use]
    pub fn entries(&self) -> &EntryTable {
        self.code.entries()
    }

    /// The engine's code space.
    #[must_use]
    pub fn code_space(&self) -> &Arc<CodeSpace> {
        self.code.code_space()
    }

    /// The engine's types.
    #[must_use]
    pub fn types(&self) -> &Arc<TypeRegistry> {
        self.code.types()
    }

    /// How 32-bit memories are checked.
    #[must_use]
    pub fn memory_style(&self) -> MemoryStyle {
        self.code.memory_style()
    }

    /// The canonical type of a type of the module.
    ///
    /// # Panics
    /// If the index is out of bounds.
    #[must_use]
    pub fn type_info(&self, ty: TypeIndex) -> &Arc<TypeInfo> {
        self.code.type_info(ty)
    }

    /// The canonical type of a function.
    ///
    /// # Panics
    /// If the index is out of bounds.
    #[must_use]
    pub fn func_type_info(&self, func: FuncIndex) -> &Arc<TypeInfo> {
        self.type_info(self.module.env().funcs[func.0 as usize])
    }

    /// Position of an export in the module's list.
    pub(crate) fn export_position(&self, name: &str) -> Option<usize> {
        let by_name = self.exports.get_or_init(|| {
            let exports = self.module.env().exports.iter().enumerate();
            exports
                .map(|(i, export)| (export.name.clone(), i))
                .collect()
        });
        by_name.get(name).copied()
    }

    /// What new instances map instead of copying their data.
    pub(crate) fn initial_memories(&self) -> Option<&InitialMemories> {
        let made = self
            .initial_memories
            .get_or_init(|| InitialMemories::new(&self.module));
        made.as_ref()
    }

    /// The counters of its living instances.
    pub(crate) fn counters(&self) -> &LiveCounters {
        &self.counters
    }

    /// Shows the counters of a function in living instances of the module, on whatever threads they run. Where there are many
    /// instances, only some of them.
    pub fn visit_counters(&self, func: FuncIndex, visit: &mut dyn FnMut(i32)) {
        let env = self.module.env();
        let defined = env.defined_func(func);
        if let Some(defined) = defined.filter(|defined| *defined < env.defined_func_count()) {
            // SAFETY: rule VMCTX: there is such a function.
            unsafe { self.counters.visit(defined, visit) };
        }
    }

    /// Who compiles it.
    #[must_use]
    pub fn sink(&self) -> &Arc<dyn TierSink> {
        &self.sink
    }

    /// What lookups of its code give back.
    #[must_use]
    pub fn owner(&self) -> CodeOwner {
        self.code.owner()
    }

    /// Links and publishes code of one of its functions; it is not installed.
    ///
    /// # Errors
    /// When the code space is full.
    pub fn publish(&self, code: &CompiledFunc) -> Result<PublishedCode, RuntimeError> {
        self.code.publish(code)
    }

    /// Takes code over, to free it when the module goes.
    pub fn adopt(&self, code: PublishedCode) {
        self.code.adopt(code);
    }

    /// Takes code that enters a loop over. `state` is what its compiler was given.
    ///
    /// # Errors
    /// If it is no code for this loop.
    pub fn adopt_loop_entry(
        &self,
        code: PublishedCode,
        state: LoopState,
    ) -> Result<Arc<LoopEntry>, RuntimeError> {
        let fits = code.kind() == CodeKind::Osr(state.site);
        let (entry, func, code_bytes) = (code.entry(), code.func(), code.code_bytes());
        self.adopt(code);
        if !fits || state.cells() > OSR_CELLS_MAX as usize {
            let message = format!("code of function {} does not enter this loop", func.0);
            return Err(RuntimeError::misuse(message));
        }
        Ok(Arc::new(LoopEntry {
            code: entry,
            code_bytes,
            func,
            state,
            module: Arc::downgrade(&self.code),
        }))
    }

    /// Publishes, installs and adopts code of a defined function in one go; gives its entry.
    ///
    /// # Errors
    /// When the code space is full, or the function is an import.
    pub fn publish_and_install(&self, code: &CompiledFunc) -> Result<CodePtr, RuntimeError> {
        self.code.publish_and_install(code)
    }
}

impl fmt::Debug for LoadedModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedModule")
            .field("name", &self.module.module_name())
            .field("funcs", &self.module.env().funcs.len())
            .finish_non_exhaustive()
    }
}
