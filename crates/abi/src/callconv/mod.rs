//! The calling convention shared by baseline code, optimized code and stubs: Cranelift's
//! `CallConv::Tail` with vmctx first (docs/abi.md). Registers are data here; instructions that use
//! them are spelled in the compilers and the runtime's stubs.

mod cpu;
mod signature;
pub mod x64;

pub use cpu::CpuFeatures;
pub use signature::{ArgLoc, ResultLoc, SignatureLayout};
