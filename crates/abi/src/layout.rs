//! Memory layouts that generated code reads and writes.
//!
//! Offsets come from `offset_of!` on these structs; nobody writes a numeric offset. The fixed part
//! of a vmctx is [`VmContext`]; behind it lie arrays whose offsets depend on the module: [`VmLayout`].
//!
//! ```text
//! vmctx -> +---------------------------+
//!          | VmContext                 |
//!          | FuncImport   x imported   |  16 bytes each
//!          | TableDef     x defined    |  16 bytes each
//!          | *TableDef    x imported   |
//!          | MemoryDef    x defined    |  16 bytes each
//!          | *MemoryDef   x imported   |
//!          | GlobalCell   x defined    |  16 bytes each
//!          | *GlobalCell  x imported   |
//!          | i32 counter  x defined functions
//!          | u32 feedback word of `call_indirect`s
//!          +---------------------------+
//! ```

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize};
use upshift_module::{FuncIndex, GlobalIndex, MemoryIndex, ModuleEnv, TableIndex};

/// The engine's canonical number of a function type; equal types have equal ids across modules.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct TypeId(pub u32);

impl TypeId {
    /// The id in a null table entry.
    pub const NULL: Self = Self(0);
    /// The id in a table entry that an active segment covers but nobody has looked at yet.
    pub const UNINITIALIZED: Self = Self(1);
    /// The first id of a real type.
    pub const FIRST: Self = Self(2);
}

/// The code pointer of a function: written by one release store at install, read by calls.
#[derive(Debug)]
#[repr(transparent)]
pub struct EntrySlot(pub AtomicPtr<u8>);

/// The fixed part of an instance's context.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct VmContext {
    /// The store. At the same offset as in [`HostContext`].
    pub store: *mut StoreContext,
    /// Base of memory 0, own or imported; valid while the style is reserved, where it never moves.
    pub memory0_base: *mut u8,
    /// Entry slots of the module's defined functions, by defined index.
    pub entry_table: *const EntrySlot,
    /// The runtime's instance.
    pub instance: *mut c_void,
    /// The runtime's per-engine data of the module.
    pub module: *const c_void,
}

/// The context of a host function: what rdi holds when its stub runs.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct HostContext {
    /// The store. At the same offset as in [`VmContext`].
    pub store: *mut StoreContext,
    /// The runtime's host function.
    pub func: *const c_void,
}

/// Value of [`StoreContext::stack_limit`] while an interrupt is pending: above every stack address, but not the maximum, because
/// prologues of optimized code add the size of their frame to the limit and compare rsp with the sum, which must not wrap.
pub const INTERRUPTED_STACK_LIMIT: usize = usize::MAX / 2;

/// What generated code sees of a store.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct StoreContext {
    /// Prologues trap when rsp would go below it. [`INTERRUPTED_STACK_LIMIT`] while an interrupt is pending.
    pub stack_limit: AtomicUsize,
    /// Not zero when the host asked the guest to stop; loops test it.
    pub interrupt: AtomicU32,
    /// Not zero when somebody who frees code waits for this store, or reads its stack: exit stubs test it before they return to wasm.
    pub attention: AtomicU32,
    /// The innermost activation, null outside wasm. Only the thread that uses the store writes it.
    pub activation: AtomicPtr<Activation>,
    /// The runtime's store.
    pub store: Cell<*mut c_void>,
}

/// One entry from Rust into wasm, in the frame of the host-entry stub.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Activation {
    /// The next outer one, or null.
    pub outer: *mut Activation,
    /// rbp of the host-entry stub: where a stack walk ends.
    pub entry_fp: usize,
    /// rsp to restore at the landing pad.
    pub entry_sp: usize,
    /// The landing pad.
    pub landing_pc: usize,
    /// rbp of the wasm frame that called out, stored by exit stubs after `exit_pc`; 0 while in wasm.
    pub exit_fp: usize,
    /// Return pc into that frame.
    pub exit_pc: usize,
    /// Not zero when a helper or host function failed: the exit stub goes to the landing pad.
    pub failed: u32,
    /// The store.
    pub context: *const StoreContext,
    /// Code that a helper has chosen and its stub will jump to, or 0. It counts as a frame of that code.
    pub entering: usize,
    /// The stack limit of this activation, whatever an interrupt has made of [`StoreContext::stack_limit`].
    pub stack_limit: usize,
}

/// An imported function: what a call of it loads.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct FuncImport {
    /// Context of the callee.
    pub vmctx: *mut c_void,
    /// Its entry slot.
    pub slot: *const EntrySlot,
}

/// A table: where its elements are. Elements of funcref tables are [`TableEntry`], of externref
/// tables 8-byte references.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct TableDef {
    /// First element.
    pub base: *mut u8,
    /// Number of elements.
    pub length: u64,
}

/// A funcref table's element: a copy of the function's record, so that a call needs one load less.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub struct TableEntry {
    /// Canonical type, [`TypeId::NULL`] or [`TypeId::UNINITIALIZED`].
    pub type_id: TypeId,
    /// Context of the callee.
    pub vmctx: *mut c_void,
    /// Its entry slot.
    pub slot: *const EntrySlot,
    /// The function's record: the reference itself.
    pub record: *const FuncRecord,
}

/// What a funcref points to: immutable, one per instance and function, so identity is pointer equality.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct FuncRecord {
    /// Canonical type.
    pub type_id: TypeId,
    /// Index in its module (or number among host functions).
    pub func: u32,
    /// Context of the callee.
    pub vmctx: *mut c_void,
    /// Its entry slot.
    pub slot: *const EntrySlot,
}

/// A memory: where it is and how long.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct MemoryDef {
    /// First byte.
    pub base: Cell<*mut u8>,
    /// Current size in bytes, a multiple of 65,536.
    pub bytes: AtomicUsize,
}

/// A global's value: integers and floats little-endian from the first byte on, references 8 bytes.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
pub struct GlobalCell(pub [u8; 16]);

/// Bytes of a table element.
pub const TABLE_ENTRY_BYTES: u32 = 32;
const _: () = assert!(size_of::<TableEntry>() == 32 && size_of::<FuncImport>() == 16);
const _: () = assert!(size_of::<TableDef>() == 16 && size_of::<MemoryDef>() == 16);
const _: () = assert!(offset_of!(VmContext, store) == offset_of!(HostContext, store));

/// So many `call_indirect`s of a function, the first ones in its body, leave word of whom they call.
pub const FEEDBACK_SITES_MAX: u32 = 64;
/// Least and greatest number of feedback words in a context, powers of two. A module without tables has none.
const FEEDBACK_WORDS: (u32, u32) = (64, 4096);

/// Where a definition is, as seen from vmctx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In vmctx at this offset.
    Inline(u32),
    /// vmctx holds a pointer to it at this offset.
    Pointer(u32),
}

/// Offsets of a module's vmctx in bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VmLayout {
    imported_funcs: u32,
    imported_tables: u32,
    imported_memories: u32,
    imported_globals: u32,
    tables: u32,
    table_pointers: u32,
    memories: u32,
    memory_pointers: u32,
    globals: u32,
    global_pointers: u32,
    counters: u32,
    feedback: u32,
    /// A power of two, or 0.
    feedback_words: u32,
    bytes: u32,
}

impl VmLayout {
    /// Lays out the context of a module. The engine's limits keep it far below 2 GiB.
    #[must_use]
    pub fn new(env: &ModuleEnv) -> Self {
        let count = |total: usize, imported: u32| {
            u32::try_from(total)
                .unwrap_or(u32::MAX)
                .saturating_sub(imported)
        };
        let mut next = u32::try_from(size_of::<VmContext>()).unwrap_or(u32::MAX);
        let mut array = |count: u32, stride: u32| {
            let at = next.next_multiple_of(16);
            next = at + count * stride;
            at
        };
        let func_imports = array(env.imported_funcs, 16);
        debug_assert_eq!(func_imports, Self::FUNC_IMPORTS);
        let tables = array(count(env.tables.len(), env.imported_tables), 16);
        let table_pointers = array(env.imported_tables, 8);
        let memories = array(count(env.memories.len(), env.imported_memories), 16);
        let memory_pointers = array(env.imported_memories, 8);
        let globals = array(count(env.globals.len(), env.imported_globals), 16);
        let global_pointers = array(env.imported_globals, 8);
        let counters = array(env.defined_func_count(), 4);
        let (least, most) = FEEDBACK_WORDS;
        let feedback_words = if env.tables.is_empty() {
            0
        } else {
            let two_each = env.defined_func_count().min(most) * 2;
            two_each.next_power_of_two().clamp(least, most)
        };
        let feedback = array(feedback_words, 4);
        Self {
            imported_funcs: env.imported_funcs,
            imported_tables: env.imported_tables,
            imported_memories: env.imported_memories,
            imported_globals: env.imported_globals,
            tables,
            table_pointers,
            memories,
            memory_pointers,
            globals,
            global_pointers,
            counters,
            feedback,
            feedback_words,
            bytes: next.next_multiple_of(16),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the size of a small struct"
    )]
    const FUNC_IMPORTS: u32 = (size_of::<VmContext>() as u32).next_multiple_of(16);

    /// Size of the whole context.
    #[must_use]
    pub fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Offset of an imported function's [`FuncImport`].
    #[must_use]
    pub fn func_import(&self, func: FuncIndex) -> u32 {
        debug_assert!(func.0 < self.imported_funcs);
        Self::FUNC_IMPORTS + func.0 * 16
    }

    /// Place of a table's [`TableDef`].
    #[must_use]
    pub fn table(&self, table: TableIndex) -> Place {
        match table.0.checked_sub(self.imported_tables) {
            Some(defined) => Place::Inline(self.tables + defined * 16),
            None => Place::Pointer(self.table_pointers + table.0 * 8),
        }
    }

    /// Place of a memory's [`MemoryDef`].
    #[must_use]
    pub fn memory(&self, memory: MemoryIndex) -> Place {
        match memory.0.checked_sub(self.imported_memories) {
            Some(defined) => Place::Inline(self.memories + defined * 16),
            None => Place::Pointer(self.memory_pointers + memory.0 * 8),
        }
    }

    /// Place of a global's [`GlobalCell`].
    #[must_use]
    pub fn global(&self, global: GlobalIndex) -> Place {
        match global.0.checked_sub(self.imported_globals) {
            Some(defined) => Place::Inline(self.globals + defined * 16),
            None => Place::Pointer(self.global_pointers + global.0 * 8),
        }
    }

    /// Offset of a defined function's counter (an i32), by defined index.
    #[must_use]
    pub fn counter(&self, defined: u32) -> u32 {
        self.counters + defined * 4
    }

    /// Offset of the feedback word (a u32) of a function's `call_indirect`, by defined index and by the number of those that come
    /// before it in the body; none for those that leave no word.
    ///
    /// Sites may share a word. The word is 0, or the lower half of the address of the entry slot that was called last.
    #[must_use]
    pub fn feedback(&self, defined: u32, ordinal: u32) -> Option<u32> {
        if self.feedback_words == 0 || ordinal >= FEEDBACK_SITES_MAX {
            return None;
        }
        let word = defined.wrapping_mul(2).wrapping_add(ordinal) & (self.feedback_words - 1);
        Some(self.feedback + word * 4)
    }
}
