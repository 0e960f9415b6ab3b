//! The contract between generated code and Rust, and between the two compilers, as data.
//!
//! Everything that two sides must agree on is here once: which register carries what
//! ([`callconv`]), where a field lies ([`layout`]), which helper takes what ([`Libcall`]), what a
//! compiler returns ([`CompiledFunc`]). `docs/abi.md` tells the same in prose.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod artefact;
pub mod callconv;
mod compiler;
pub mod layout;
mod libcall;
mod osr;
mod profile;
mod trap;

pub use artefact::{
    CallSite, CodeKind, CompiledFunc, InlineFrame, InlinedCall, Reloc, RelocTarget, SiteIndex,
    StackMap, Tier, TrapSite,
};
pub use callconv::{ArgLoc, CpuFeatures, ResultLoc, SignatureLayout};
pub use compiler::{
    CompileEnv, CompileError, CompileErrorKind, CompileOptions, Compiler, CompilerWorker,
    ENTRY_STEP, FRONT_GUARD_BYTES, MemoryStyle,
};
pub use layout::{
    Activation, EntrySlot, FuncImport, FuncRecord, GlobalCell, HostContext, MemoryDef,
    StoreContext, TableDef, TableEntry, TypeId, VmContext, VmLayout,
};
pub use libcall::{Libcall, LibcallSignature, LibcallType};
pub use osr::{LoopState, OSR_CELL_BYTES, OSR_CELLS_MAX, OsrPlace, OsrSaved};
pub use profile::{InlineLimits, Profile};
pub use trap::TrapCode;
