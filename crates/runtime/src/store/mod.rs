//! Stores: everything that instances own, on one thread at a time.
//!
//! A store only grows: instances, memories, tables, globals, functions and host values live until it
//! is dropped, so whatever generated code points to is there as long as code can run.
//!
//! # Who may touch what (rules STORE-THREAD and STORE-ALIAS of docs/unsafe.md)
//!
//! While wasm runs, no Rust reference to the store is in use. [`StoreInner::call`] turns its
//! `&mut self` into a raw pointer, leaves it in the store's context for helpers, and enters wasm. A
//! helper makes a `&mut StoreInner` from that pointer, for as long as it runs; if it calls back into
//! wasm, the same happens one level further in, and the outer pointer is put back afterwards. All
//! references thus form one chain of reborrows, of which only the innermost is used.

mod access;
mod call;
pub(crate) mod failure;
pub(crate) mod handles;
pub(crate) mod interrupt;
pub(crate) mod memory;

use crate::block::Pinned;
use crate::code_space::CodeSpace;
use crate::externref::ExternValue;
use crate::func::{Func, HostThunk};
use crate::global::Global;
use crate::instance::Instance;
use crate::libcalls::LoopCell;
use crate::loaded::LoadedModule;
use crate::reclaim::answer_idle;
use crate::table::{TABLE_ELEMENTS_MAX, Table};
use crate::types::TypeRegistry;
use failure::{Failure, WasmFrame};
use handles::{ExternHandle, InstanceHandle, StoreId};
use interrupt::{InterruptHandle, SharedContext};
use memory::Memory;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use upshift_abi::{MemoryStyle, StoreContext};

/// Limits of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Bytes of stack that wasm may use, counted from the entry. 1 MiB.
    pub max_wasm_stack: usize,
    /// Greatest size of a memory in bytes, beyond its declared maximum. Unlimited.
    pub memory_bytes_max: u64,
    /// Greatest number of elements of a table, beyond its declared maximum. 10,000,000.
    pub table_elements_max: u64,
    /// Greatest number of instances. 10,000.
    pub instances_max: usize,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            max_wasm_stack: 1 << 20,
            memory_bytes_max: u64::MAX,
            table_elements_max: TABLE_ELEMENTS_MAX,
            instances_max: 10_000,
        }
    }
}

/// What a store takes from its engine.
#[derive(Clone)]
pub struct StoreParts {
    /// The engine's code space.
    pub code_space: Arc<CodeSpace>,
    /// The engine's types.
    pub types: Arc<TypeRegistry>,
    /// How the engine checks 32-bit memories.
    pub memory_style: MemoryStyle,
    /// Limits.
    pub options: StoreOptions,
}

/// A store without the host's data.
pub struct StoreInner {
    pub(crate) id: StoreId,
    pub(crate) shared: Arc<SharedContext>,
    pub(crate) options: StoreOptions,
    pub(crate) code_space: Arc<CodeSpace>,
    pub(crate) types: Arc<TypeRegistry>,
    pub(crate) memory_style: MemoryStyle,
    user: *mut c_void,

    // What handles name. Things here may point into a vmctx of `instances`.
    pub(crate) memories: Vec<Memory>,
    pub(crate) tables: Vec<Table>,
    pub(crate) globals: Vec<Global>,
    pub(crate) funcs: Vec<Func>,
    pub(crate) externrefs: Vec<ExternValue>,
    pub(crate) instances: Vec<Instance>,

    /// Positions in `funcs` by the address of the record.
    pub(crate) func_by_record: HashMap<u64, u32>,
    pub(crate) thunks: Vec<Pinned<HostThunk>>,
    /// Modules of `instances` by their address, which is what lookups of code give.
    pub(crate) modules: HashMap<usize, Arc<LoadedModule>>,
    /// Values on their way into a loop (`libcalls/osr.rs`); empty until a loop is entered.
    pub(crate) loop_cells: Vec<LoopCell>,
    /// What a helper or host function failed with, from there to the landing.
    pub(crate) failure: Option<(Failure, Vec<WasmFrame>)>,
}

// SAFETY: rule STORE-THREAD: everything that the raw pointers lead to is owned by the store, and
// what it holds for the host (values, host functions) is `Send`.
unsafe impl Send for StoreInner {}

impl StoreInner {
    /// An empty store. It may be moved when no wasm runs in it.
    #[must_use]
    pub fn new(parts: StoreParts) -> Self {
        Self {
            id: StoreId::next(),
            shared: SharedContext::new(),
            options: parts.options,
            code_space: parts.code_space,
            types: parts.types,
            memory_style: parts.memory_style,
            user: ptr::null_mut(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            funcs: Vec::new(),
            externrefs: Vec::new(),
            instances: Vec::new(),
            func_by_record: HashMap::new(),
            thunks: Vec::new(),
            modules: HashMap::new(),
            loop_cells: Vec::new(),
            failure: None,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// The engine's types.
    #[must_use]
    pub fn types(&self) -> &Arc<TypeRegistry> {
        &self.types
    }

    /// Its limits.
    #[must_use]
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Its limits, to be changed; they hold for what happens from now on.
    pub fn options_mut(&mut self) -> &mut StoreOptions {
        &mut self.options
    }

    /// A handle that stops its guest from any thread.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle(Arc::clone(&self.shared))
    }

    /// The host's own pointer, null at first. The runtime only keeps it.
    #[must_use]
    pub fn user(&self) -> *mut c_void {
        self.user
    }

    /// Sets the host's own pointer.
    pub fn set_user(&mut self, user: *mut c_void) {
        self.user = user;
    }

    /// Whether something belongs to this store.
    #[must_use]
    pub fn owns(&self, item: ExternHandle) -> bool {
        item.store() == self.id
    }

    /// Whether an instance belongs to this store.
    #[must_use]
    pub fn owns_instance(&self, instance: InstanceHandle) -> bool {
        instance.store == self.id
    }

    /// The context that generated code sees.
    pub(crate) fn context_ptr(&self) -> *mut StoreContext {
        ptr::from_ref(self.shared.context()).cast_mut()
    }

    /// The index in a handle, if it is of this store.
    pub(crate) fn index_of(&self, store: StoreId, index: u32) -> Option<usize> {
        (store == self.id).then_some(index as usize)
    }
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        for instance in &self.instances {
            instance.fold_counters();
        }
        for loaded in self.modules.values() {
            loaded.code().reclaimer().leave(self.id);
        }
        answer_idle(&self.shared);
    }
}

impl std::fmt::Debug for StoreInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreInner")
            .field("id", &self.id)
            .field("instances", &self.instances.len())
            .finish_non_exhaustive()
    }
}
