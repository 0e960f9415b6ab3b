//! A module in an engine: its entry table, layout and published code, shared by all instances.
//!
//! The runtime calls up to whoever schedules compilation through [`TierSink`]; it sees no compiler.

use crate::code_space::{CodeOwner, CodePtr, CodeSpace, PublishedCode};
use crate::entry_table::EntryTable;
use crate::error::RuntimeError;
use crate::instance::initial::InitialMemories;
use crate::types::{TypeInfo, TypeRegistry};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use upshift_abi::{
    CompileEnv, CompileError, CompileErrorKind, CompiledFunc, CpuFeatures, MemoryStyle,
    SignatureLayout, SiteIndex, TypeId, VmLayout,
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

    /// A counter flipped its sign at `site`.
    fn counter_overflow(
        &self,
        loaded: &Arc<LoadedModule>,
        func: FuncIndex,
        site: SiteIndex,
    ) -> CounterReply;

    /// An instance goes away; `counters` are its counters by defined function index, so that
    /// short-lived instances heat a module up too. Ignored unless written.
    fn instance_dropped(&self, loaded: &LoadedModule, counters: &mut dyn Iterator<Item = i32>) {
        let _ = (loaded, counters);
    }
}

/// What the slow path of a counter does next.
#[derive(Clone, Copy, Debug)]
pub struct CounterReply {
    /// The counter's new value.
    pub rearm: i32,
    /// Code to enter the running loop with; only at loop sites.
    pub osr_entry: Option<CodePtr>,
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

/// A module in an engine.
///
/// Its published code lives until it is dropped. Instances hold it, and an instance outlives every
/// frame of its code, so nobody runs the code when it is freed.
pub struct LoadedModule {
    module: Arc<Module>,
    code_space: Arc<CodeSpace>,
    types: Arc<TypeRegistry>,
    sink: Arc<dyn TierSink>,
    memory_style: MemoryStyle,
    cpu: CpuFeatures,
    interruption: bool,
    layout: VmLayout,
    type_infos: Box<[Arc<TypeInfo>]>,
    type_ids: Box<[TypeId]>,
    signatures: Box<[SignatureLayout]>,
    entries: EntryTable,
    // Made when somebody asks for an export by name.
    exports: OnceLock<HashMap<Box<str>, usize>>,
    // Made by the first instantiation; none if there is nothing that pays, or the system refuses.
    initial_memories: OnceLock<Option<InitialMemories>>,
    published: Mutex<Vec<PublishedCode>>,
}

impl LoadedModule {
    /// Prepares a module for an engine: no function has code yet.
    ///
    /// # Errors
    /// When the code space has no room for the entry table.
    pub fn new(parts: LoadedModuleParts) -> Result<Arc<Self>, RuntimeError> {
        let env = parts.module.env();
        let type_infos: Box<[_]> = env.types.iter().map(|ty| parts.types.intern(ty)).collect();
        let entries = parts
            .code_space
            .entry_table(env.defined_func_count(), env.imported_funcs)?;
        Ok(Arc::new(Self {
            layout: VmLayout::new(env),
            type_ids: type_infos.iter().map(|info| info.id).collect(),
            signatures: type_infos.iter().map(|info| info.layout.clone()).collect(),
            type_infos,
            entries,
            exports: OnceLock::new(),
            initial_memories: OnceLock::new(),
            published: Mutex::default(),
            module: parts.module,
            code_space: parts.code_space,
            types: parts.types,
            sink: parts.sink,
            memory_style: parts.memory_style,
            cpu: parts.cpu,
            interruption: parts.interruption,
        }))
    }

    /// The validated module.
    #[must_use]
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// What compilers are given.
    #[must_use]
    pub fn compile_env(&self) -> CompileEnv<'_> {
        CompileEnv {
            layout: &self.layout,
            signatures: &self.signatures,
            type_ids: &self.type_ids,
            memory_style: self.memory_style,
            cpu: self.cpu,
            interruption: self.interruption,
        }
    }

    /// Offsets of the module's context.
    #[must_use]
    pub fn layout(&self) -> &VmLayout {
        &self.layout
    }

    /// The module's entry table.
    #[must_use]
    pub fn entries(&self) -> &EntryTable {
        &self.entries
    }

    /// The engine's code space.
    #[must_use]
    pub fn code_space(&self) -> &Arc<CodeSpace> {
        &self.code_space
    }

    /// The engine's types.
    #[must_use]
    pub fn types(&self) -> &Arc<TypeRegistry> {
        &self.types
    }

    /// How 32-bit memories are checked.
    #[must_use]
    pub fn memory_style(&self) -> MemoryStyle {
        self.memory_style
    }

    /// The canonical type of a type of the module.
    ///
    /// # Panics
    /// If the index is out of bounds.
    #[must_use]
    pub fn type_info(&self, ty: TypeIndex) -> &Arc<TypeInfo> {
        &self.type_infos[ty.0 as usize]
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

    /// Who compiles it.
    #[must_use]
    pub fn sink(&self) -> &Arc<dyn TierSink> {
        &self.sink
    }

    /// What lookups of its code give back.
    #[must_use]
    pub fn owner(&self) -> CodeOwner {
        CodeOwner(std::ptr::from_ref(self).addr())
    }

    /// Links and publishes code of one of its functions; it is not installed.
    ///
    /// # Errors
    /// When the code space is full.
    pub fn publish(&self, code: &CompiledFunc) -> Result<PublishedCode, RuntimeError> {
        self.code_space.publish(code, &self.entries, self.owner())
    }

    /// Takes code over, to free it when the module goes.
    pub fn adopt(&self, code: PublishedCode) {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(code);
    }

    /// Publishes, installs and adopts code of a defined function in one go; gives its entry.
    ///
    /// # Errors
    /// When the code space is full, or the function is an import.
    pub fn publish_and_install(&self, code: &CompiledFunc) -> Result<CodePtr, RuntimeError> {
        let defined = self.module.env().defined_func(code.func).ok_or_else(|| {
            RuntimeError::misuse(format!("function {} is an import", code.func.0))
        })?;
        let published = self.publish(code)?;
        let entry = published.entry();
        self.entries.install(defined, &published);
        self.adopt(published);
        Ok(entry)
    }
}

impl Drop for LoadedModule {
    fn drop(&mut self) {
        let published = self
            .published
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for code in published.drain(..) {
            // SAFETY: rule CODE-LIFE: frames and entry slots that reach this code belong to instances
            // of this module, each of which holds an `Arc` of it; this was the last one.
            unsafe { self.code_space.free(code) };
        }
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
