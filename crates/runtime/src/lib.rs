//! Memories, code, traps and instances: everything that needs `unsafe` and a running processor.
//!
//! Two halves. The lower one knows bytes, addresses and frames: the [code space](CodeSpace), entry
//! tables, pc maps, [linear memories](LinearMemory), signal handlers, stubs and stack walks. The
//! upper one knows modules, stores and instances. `docs/unsafe.md` lists the areas of unsafe code
//! and the rules that its SAFETY comments name.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!(
    "upshift-runtime runs on x86-64 Linux only; upshift-module, upshift-abi, upshift-baseline and \
     upshift-optimizing build on every platform"
);

mod activation;
mod arch;
mod block;
mod code_space;
mod enter;
mod entry_table;
mod error;
mod externref;
mod func;
mod global;
mod instance;
mod libcalls;
mod loaded;
mod memory;
mod module_code;
mod pages;
mod pc_map;
mod profile;
mod raw;
mod reclaim;
mod signals;
mod stack;
mod store;
mod table;
mod types;

pub use activation::{FRAMES_MAX, FramePc, capture_frames};
pub use arch::LibcallTable;
pub use code_space::{
    CodeOwner, CodePtr, CodeSpace, CodeSpaceOptions, CodeSpaceStats, HostStub, PublishedCode,
};
pub use enter::{RawFrame, Stop, TrapRecord, clear_interrupt, enter, interrupt, request_interrupt};
pub use entry_table::EntryTable;
pub use error::{RuntimeError, RuntimeErrorKind};
pub use memory::{LinearMemory, WASM_PAGE_BYTES, probe_memory_style, reserved_memory_style};
pub use module_code::{ModuleCode, ModuleCodeParts};
pub use pc_map::{CodeLocation, lookup_pc, lookup_return_pc};
pub use profile::{ProfileFormat, Profiler};
pub use signals::install_signal_handlers;

pub use externref::ExternValue;
pub use func::{HostCall, HostFn};
pub use instance::{InstantiateError, entity_text};
pub use libcalls::libcall_table;
pub use loaded::{
    CounterReply, CounterVisit, LoadedModule, LoadedModuleParts, LoopEntry, TierError,
    TierErrorKind, TierSink,
};
pub use raw::RawVal;
pub use reclaim::{Poke, RetiredCode};
pub use store::failure::{CallError, Payload, WasmFrame};
pub use store::handles::{
    ExternHandle, ExternRefHandle, FuncHandle, GlobalHandle, InstanceHandle, MemoryHandle, StoreId,
    TableHandle,
};
pub use store::interrupt::InterruptHandle;
pub use store::{StoreInner, StoreOptions, StoreParts};
pub use table::TABLE_ELEMENTS_MAX;
pub use types::{TypeInfo, TypeRegistry};
