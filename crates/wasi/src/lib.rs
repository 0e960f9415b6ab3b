//! WASI preview 1 for the Upshift engine: arguments, environment, standard streams, preopened
//! directories, clocks, random numbers, polling and exit codes.
//!
//! [`WasiCtxBuilder`] says what a guest gets to see, [`add_to_linker`] makes the 46 functions importable.
//! They are described as data in [`Function`] and called through the small trait [`Preview1`], so that a
//! host can bring an implementation of its own. [`WasiCtx`] is ours: the sandbox of `wasi-common`
//! behind an adapter that closes its gaps.
//!
//! ```text
//! guest -> linker -> Preview1 for WasiCtx (context) -> provider -> wasi-common -> HostFile, HostDir -> host
//!                      |  bounds, rights, polling,                                  (file, dir)
//!                      |  CPU clocks, exit codes                                        |
//!                      +-- Descriptors: one row per open descriptor <-------------------+
//! ```

#![forbid(unsafe_code)]

mod buffers;
mod builder;
mod clock;
mod context;
mod descriptors;
mod dir;
mod errno;
mod exit;
mod file;
mod guest;
mod linker;
mod pipe;
mod poll;
mod preview1;
mod provider;
mod ready;
mod rights;
mod socket;

pub use builder::WasiCtxBuilder;
pub use context::WasiCtx;
pub use errno::Errno;
pub use exit::ExitStatus;
pub use linker::add_to_linker;
pub use pipe::Output;
pub use preview1::{Function, MODULE, Param, Preview1, Stop};
