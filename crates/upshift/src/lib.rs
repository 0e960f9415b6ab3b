//! A WebAssembly engine with two gears: a single-pass baseline compiler starts a program at once, an
//! optimizing one takes over what is hot, while it runs.
//!
//! ```
//! use upshift::{Engine, Instance, Module, Store};
//!
//! # fn main() -> upshift::Result<()> {
//! let engine = Engine::default();
//! let module = Module::new(&engine, r#"(module
//!     (func (export "add") (param i32 i32) (result i32)
//!         (i32.add (local.get 0) (local.get 1))))"#)?;
//! let mut store = Store::new(&engine, ());
//! let instance = Instance::new(&mut store, &module, &[])?;
//! let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
//! assert_eq!(add.call(&mut store, (2, 3))?, 5);
//! # Ok(())
//! # }
//! ```
//!
//! Names and call shapes follow wasmtime's. An [`Engine`] compiles, a [`Module`] is code, a [`Store`]
//! owns instances and the host's data, a [`Linker`] names what modules may import. Errors are [`Error`]s with
//! an [`ErrorKind`]; a guest that traps gives a [`Trap`] with a [`Backtrace`], whichever tier it ran in.
//!
//! [`Config`] chooses when functions are compiled by which tier ([`TierPolicy`], [`CompileMode`]); what the
//! engine does about it can be watched through [`Config::events`] and [`Engine::stats`].
//!
//! # The rest of the family
//!
//! Programs that want a system interface get WASI preview 1 from the crate `upshift-wasi`, which fills a
//! [`Linker`]. The program of the crate `upshift-cli`, called `upshift`, runs modules from the command line.
//!
//! # Feature flags
//!
//! | feature | default | meaning |
//! |---|---|---|
//! | `wat` | on | [`Module::new`], [`Module::from_vec`] and [`Module::from_file`] take the text format as well |
//!
//! # Threads
//!
//! [`Engine`], [`Module`] and [`Linker`] are `Send` and `Sync`, and cheap to share. A [`Store`] is `Send` when its data is,
//! and is used by one thread at a time. Values of one store ([`Func`], [`Memory`], [`Instance`], ...) are small handles; used with
//! another store they give an error of kind [`ErrorKind::Store`], or a panic where the description says so.
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("upshift runs on x86-64 Linux only");

mod caller;
mod config;
mod convert;
mod engine;
mod error;
mod externref;
mod externs;
mod func;
mod global;
pub mod inspect;
mod instance;
mod interrupt;
mod link;
mod linker;
mod memory;
mod module;
#[expect(unsafe_code, reason = "the call shim; docs/unsafe.md lists its rules")]
mod shim;
mod stats;
mod store;
mod stream;
mod table;
mod trap;
mod typed;
mod types;
mod value;
mod wrap;

pub use caller::Caller;
pub use config::{Config, ProfilingStrategy};
pub use engine::Engine;
pub use error::{Context, Error, ErrorKind, Result};
pub use externref::ExternRef;
pub use externs::{Export, Extern};
pub use func::Func;
pub use global::Global;
pub use instance::Instance;
pub use interrupt::InterruptHandle;
pub use linker::Linker;
pub use memory::{Memory, MemoryAccessError};
pub use module::Module;
pub use stats::Stats;
pub use store::{AsContext, AsContextMut, Store, StoreContext, StoreContextMut};
pub use stream::ModuleStream;
pub use table::Table;
pub use trap::{Backtrace, Frame, Trap, TrapCode};
pub use typed::{TypedFunc, WasmParams, WasmResults, WasmTy};
pub use types::{
    ExportType, ExternType, FuncType, GlobalType, HeapType, ImportType, MemoryType, Mutability,
    RefType, TableType, ValType,
};
pub use upshift_abi::{SiteIndex, Tier};
pub use upshift_module::FuncIndex;
pub use upshift_runtime::TierErrorKind;
pub use upshift_tiering::{
    CompileMode, Event, EventKind, EventSink, ModuleId, ModuleSchedule, RingBuffer, Schedule,
    ScheduleAction, ScheduleError, ScheduleRecorder, ScheduleStep, SkipReason, TierPolicy,
    TierStats, Tuning,
};
pub use value::{Ref, Val};
pub use wrap::{IntoFunc, WasmRet};
