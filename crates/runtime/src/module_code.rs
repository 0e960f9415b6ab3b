//! The code of a module: entry table, layout and published code.
//!
//! It needs nothing but the module's declarations, so code can be made while the bodies of the module still arrive. Nobody
//! can run it then: that takes an instance, and an instance takes the whole module.

use crate::code_space::{CodeOwner, CodePtr, CodeSpace, PublishedCode};
use crate::entry_table::EntryTable;
use crate::error::RuntimeError;
use crate::reclaim::{Poke, Reclaimer, RetiredCode};
use crate::types::{TypeInfo, TypeRegistry};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use upshift_abi::{
    CompileEnv, CompiledFunc, CpuFeatures, MemoryStyle, SignatureLayout, Tier, TypeId, VmLayout,
};
use upshift_module::{ModuleEnv, TypeIndex};

/// Number of the next module of the process. 2^64 modules are never made, so no two have the same.
static NEXT_OWNER: AtomicUsize = AtomicUsize::new(1);

/// What a [`ModuleCode`] is made of.
pub struct ModuleCodeParts {
    /// The module's declarations.
    pub env: Arc<ModuleEnv>,
    /// The engine's code space.
    pub code_space: Arc<CodeSpace>,
    /// The engine's types.
    pub types: Arc<TypeRegistry>,
    /// How the engine checks 32-bit memories.
    pub memory_style: MemoryStyle,
    /// What code may use.
    pub cpu: CpuFeatures,
    /// Whether loops must notice an interrupt.
    pub interruption: bool,
}

/// The code of a module.
///
/// Published code lives until it is replaced and nobody runs it any more (`reclaim/`), or until this is dropped. The
/// [`LoadedModule`](crate::LoadedModule) holds it, which instances hold,
/// and an instance outlives every frame of its code, so nobody runs the code then.
pub struct ModuleCode {
    env: Arc<ModuleEnv>,
    code_space: Arc<CodeSpace>,
    types: Arc<TypeRegistry>,
    memory_style: MemoryStyle,
    cpu: CpuFeatures,
    interruption: bool,
    owner: CodeOwner,
    layout: VmLayout,
    type_infos: Box<[Arc<TypeInfo>]>,
    type_ids: Box<[TypeId]>,
    signatures: Box<[SignatureLayout]>,
    entries: EntryTable,
    /// By address.
    published: Mutex<HashMap<usize, PublishedCode>>,
    reclaimer: Reclaimer,
}

impl ModuleCode {
    /// Prepares for code: no function has any yet.
    ///
    /// # Errors
    /// When the code space has no room for the entry table.
    pub fn new(parts: ModuleCodeParts) -> Result<Arc<Self>, RuntimeError> {
        let env = parts.env;
        let type_infos: Box<[_]> = env.types.iter().map(|ty| parts.types.intern(ty)).collect();
        let entries = parts
            .code_space
            .entry_table(env.defined_func_count(), env.imported_funcs)?;
        Ok(Arc::new(Self {
            // Relaxed: only the numbers matter.
            owner: CodeOwner(NEXT_OWNER.fetch_add(1, Ordering::Relaxed)),
            layout: VmLayout::new(&env),
            type_ids: type_infos.iter().map(|info| info.id).collect(),
            signatures: type_infos.iter().map(|info| info.layout.clone()).collect(),
            type_infos,
            entries,
            published: Mutex::default(),
            reclaimer: Reclaimer::default(),
            env,
            code_space: parts.code_space,
            types: parts.types,
            memory_style: parts.memory_style,
            cpu: parts.cpu,
            interruption: parts.interruption,
        }))
    }

    /// The module's declarations.
    #[must_use]
    pub fn env(&self) -> &Arc<ModuleEnv> {
        &self.env
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
            profile: None,
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

    /// What lookups of it give back.
    #[must_use]
    pub fn owner(&self) -> CodeOwner {
        self.owner
    }

    /// Links and publishes code of a function; it is not installed.
    ///
    /// # Errors
    /// When the code space is full.
    pub fn publish(&self, code: &CompiledFunc) -> Result<PublishedCode, RuntimeError> {
        self.code_space.publish(code, &self.entries, self.owner)
    }

    /// Takes code over, to free it with the rest. Entry code of the optimizing tier must not be freed before: direct calls hold its
    /// address (rule CODE-LIFE).
    pub fn adopt(&self, code: PublishedCode) {
        self.published().insert(code.entry().addr(), code);
    }

    /// Installs code of a defined function, takes it over, and retires the baseline code that it replaces, if it does. One thread at a
    /// time installs code of a function. Optimized code stays, since other code may name its address (R7).
    ///
    /// # Panics
    /// If the table has no such function, or the code is another function's.
    pub fn install(&self, defined: u32, code: PublishedCode) -> Option<RetiredCode> {
        let old = self.entries.load(defined).addr();
        self.entries.install(defined, &code);
        self.adopt(code);
        let mut published = self.published();
        let is_baseline = |code: &PublishedCode| code.tier() == Tier::Baseline;
        if !published.get(&old).is_some_and(is_baseline) || self.entries.load(defined).addr() == old
        {
            return None;
        }
        let old = published.remove(&old);
        drop(published);
        old.map(|code| self.retire(code))
    }

    /// Retires code that enters a loop; nobody can newly reach it.
    pub(crate) fn retire_loop(&self, entry: CodePtr) {
        let code = self.published().remove(&entry.addr());
        if let Some(code) = code {
            self.retire(code);
        }
    }

    fn retire(&self, code: PublishedCode) -> RetiredCode {
        let retired = RetiredCode::of(&code);
        self.reclaimer.retire(code);
        retired
    }

    /// Bytes of code that was retired and not freed yet.
    #[must_use]
    pub fn retired_bytes(&self) -> usize {
        self.reclaimer.retired_bytes()
    }

    /// Frees retired code that nobody runs any more, as far as that can be known now; says what was freed. `poke` is called when more
    /// is known. While another thread is at it nothing is freed.
    pub fn reclaim(&self, poke: &Poke) -> Vec<RetiredCode> {
        self.reclaimer.reclaim(&self.code_space, poke)
    }

    /// Who may run the module's code.
    pub(crate) fn reclaimer(&self) -> &Reclaimer {
        &self.reclaimer
    }

    fn published(&self) -> MutexGuard<'_, HashMap<usize, PublishedCode>> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes, installs and adopts code of a defined function in one go; gives its entry.
    ///
    /// # Errors
    /// When the code space is full, or the function is an import.
    pub fn publish_and_install(&self, code: &CompiledFunc) -> Result<CodePtr, RuntimeError> {
        let defined = self.env.defined_func(code.func).ok_or_else(|| {
            RuntimeError::misuse(format!("function {} is an import", code.func.0))
        })?;
        let published = self.publish(code)?;
        let entry = published.entry();
        self.install(defined, published);
        Ok(entry)
    }
}

impl Drop for ModuleCode {
    fn drop(&mut self) {
        if let Some(profiler) = self.code_space.profiler() {
            profiler.forget(self.owner);
        }
        let published = self
            .published
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let mut codes: Vec<_> = published.drain().map(|(_, code)| code).collect();
        codes.extend(self.reclaimer.drain());
        // The last first, since the pc map finds those sooner.
        codes.sort_unstable_by_key(|code| Reverse(code.entry().addr()));
        for code in codes {
            // SAFETY: rule CODE-LIFE: frames and entry slots that reach this code belong to instances
            // of this module, each of which holds an `Arc` of the loaded module, which holds this; nobody does any more.
            unsafe { self.code_space.free(code) };
        }
    }
}

impl fmt::Debug for ModuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleCode")
            .field("funcs", &self.env.funcs.len())
            .finish_non_exhaustive()
    }
}
