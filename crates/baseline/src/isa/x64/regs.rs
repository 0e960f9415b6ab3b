//! Which register does what.

use crate::isa::{Reg, RegSet};
use upshift_abi::callconv::x64;

pub(crate) const RAX: Reg = Reg::int(0);
pub(crate) const RCX: Reg = Reg::int(1);
pub(crate) const RDX: Reg = Reg::int(2);
pub(crate) const RBX: Reg = Reg::int(3);
pub(crate) const RSP: Reg = Reg::int(4);
pub(crate) const RBP: Reg = Reg::int(5);
pub(crate) const RSI: Reg = Reg::int(6);
pub(crate) const RDI: Reg = Reg::int(7);
pub(crate) const R8: Reg = Reg::int(8);
pub(crate) const R9: Reg = Reg::int(9);
pub(crate) const R10: Reg = Reg::int(10);
/// Never allocated: scratch of single macro instructions and of cold paths.
pub(crate) const R11: Reg = Reg::int(11);
pub(crate) const R12: Reg = Reg::int(12);
pub(crate) const R13: Reg = Reg::int(13);
/// Base of memory 0.
pub(crate) const MEMORY0: Reg = Reg::int(x64::BASELINE_MEMORY0);
pub(crate) const VMCTX: Reg = Reg::int(x64::BASELINE_VMCTX);
/// Never allocated: scratch for copies between memory places.
pub(crate) const XMM15: Reg = Reg::float(15);

/// Integer registers of the working set, in the order in which a limit takes them.
pub(crate) const INT_POOL: [Reg; 8] = [RAX, RCX, RDX, RSI, RDI, R8, R9, R10];
/// Vector registers of the working set.
pub(crate) const FLOAT_POOL: u8 = 15;
/// Fewest registers of a class with which every operator can be compiled.
pub(crate) const POOL_MIN: u8 = 5;

/// Taken first, from the highest number down: rsi rdx rcx, where the first arguments of calls go, so that what is computed for a
/// call is there already.
const FIRST_CHOICE: RegSet = RegSet(1 << 6 | 1 << 2 | 1 << 1);
/// Where results of calls arrive.
const RESULTS: RegSet = RegSet(1);

/// Picks a register of a set: those that may be right for a call first, then those that need no prefix.
#[inline]
pub(crate) fn prefer(set: RegSet) -> Option<Reg> {
    set.and(FIRST_CHOICE).last().or_else(|| set.first())
}

/// Picks a register for a block's result: it often ends up as a function's.
pub(crate) fn prefer_result(set: RegSet) -> Option<Reg> {
    set.and(RESULTS).first().or_else(|| prefer(set))
}

/// Preserved by calls and free for homes, cheapest encoding first.
pub(crate) const SAVED_HOMES: [Reg; 4] = [RBX, R12, R13, MEMORY0];
/// Homes in code without calls, not preserved by them.
pub(crate) const SCRATCH_HOMES: [Reg; 3] = [R9, R8, R10];
/// The same as a set, with the base of memory 0 where it is one.
pub(crate) const SAVED: RegSet = RegSet(1 << 3 | 1 << 12 | 1 << 13 | 1 << 14);
/// Registers of the working set that loops without calls may have as homes, best last.
pub(crate) const SPARE: RegSet = RegSet(1 << 8 | 1 << 9 | 1 << 10 | 0xff << 23);
/// Float homes, from the top; the rest stays for the working set.
pub(crate) const FLOAT_HOMES: [Reg; 8] = [
    Reg::float(14),
    Reg::float(13),
    Reg::float(12),
    Reg::float(11),
    Reg::float(10),
    Reg::float(9),
    Reg::float(8),
    Reg::float(7),
];
