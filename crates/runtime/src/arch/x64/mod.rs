//! Stubs for x86-64. `docs/abi.md` has the convention; each file shows its frame.
//!
//! Stubs are position-independent: they call Rust by absolute address, and read the store and the
//! activation by offsets from `upshift-abi`.
#![expect(
    clippy::useless_conversion,
    reason = "dynasm! converts register numbers of any type to u8"
)]

mod counter;
mod entry;
mod exit;
mod host;
mod lazy;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use counter::{SavedRegisters, counter_stub};
pub(crate) use entry::{host_entry, host_entry_code};
pub(crate) use exit::exit_stub;
pub(crate) use host::{HostShape, host_stub};
pub(crate) use lazy::{LAZY_CHUNK_STUBS, LAZY_STUB_BYTES, lazy_chunk, lazy_common};

use dynasmrt::VecAssembler;
use dynasmrt::x64::X64Relocation;
use std::mem::offset_of;
use upshift_abi::{Activation, StoreContext, VmContext};

/// The assembler of stubs.
pub(crate) type Assembler = VecAssembler<X64Relocation>;

/// A displacement for an assembler operand.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "offsets in structs of under 1 KiB"
)]
pub(crate) const fn disp(offset: usize) -> i32 {
    assert!(offset < 1024);
    offset as i32
}

/// The store's place in a vmctx and in a host function's context.
const STORE: i32 = disp(offset_of!(VmContext, store));
const ACTIVATION: i32 = disp(offset_of!(StoreContext, activation));
const ENTRY_FP: i32 = disp(offset_of!(Activation, entry_fp));
const ENTRY_SP: i32 = disp(offset_of!(Activation, entry_sp));
const LANDING_PC: i32 = disp(offset_of!(Activation, landing_pc));
const EXIT_FP: i32 = disp(offset_of!(Activation, exit_fp));
const EXIT_PC: i32 = disp(offset_of!(Activation, exit_pc));
const FAILED: i32 = disp(offset_of!(Activation, failed));
const CONTEXT: i32 = disp(offset_of!(Activation, context));
const ENTERING: i32 = disp(offset_of!(Activation, entering));
const ATTENTION: i32 = disp(offset_of!(StoreContext, attention));

/// Reads a word that other code may write at the same time, as a debugger would: by an instruction that the compiler knows nothing of.
///
/// # Safety
/// Rule RECLAIM or rule WALK: the word can be read.
pub(crate) unsafe fn peek(at: *const usize) -> usize {
    let word;
    // SAFETY: rule RECLAIM: a load of a word that is there.
    unsafe {
        std::arch::asm!("mov {}, [{}]", out(reg) word, in(reg) at, options(nostack, preserves_flags));
    }
    word
}

/// The bytes of an assembled stub.
///
/// # Panics
/// If a label is missing, which is a bug in this directory.
fn finish(asm: Assembler) -> Vec<u8> {
    asm.finalize()
        .expect("stubs use only labels that they define")
}
