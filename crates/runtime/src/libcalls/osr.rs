//! From a baseline frame into an optimized loop (docs/abi.md, OSR).
//!
//! Problem: a thread stands at a loop header of baseline code, in the slow path of its counter, and is to go on in code that was
//! compiled for just this place. Its values are in the frame and in registers, as [`LoopState`] says.
//!
//! What happens here: every value is copied to a cell of the store's buffer; the registers that the baseline function preserves for
//! its caller get the caller's values back, in the stub's frame; vmctx and the buffer's address go where the first
//! two arguments are. The stub then takes both frames off and jumps (`arch/x64/counter.rs`).
//!
//! Why it is right (rule OSR): the description was made by the compiler that made the running code, from the same body and
//! options, and says how large that code is; what is running is looked up by its return pc and compared, so a description
//! of other code is never used. The buffer is read by the first instructions of the optimized body, before anything else can
//! use it. Cells of types that are smaller than their copy have garbage behind their value, which nobody reads.

use crate::arch::x64::SavedRegisters;
use crate::loaded::LoopEntry;
use crate::pc_map::lookup_return_pc;
use crate::store::StoreInner;
use std::sync::atomic::Ordering;
use upshift_abi::callconv::x64::{INT_ARGS, VMCTX_ARG};
use upshift_abi::{OSR_CELL_BYTES, OSR_CELLS_MAX, OsrPlace, Tier, VmContext};

/// A value on its way.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C, align(16))]
pub(crate) struct LoopCell([u64; 2]);

const _: () = assert!(size_of::<LoopCell>() == OSR_CELL_BYTES as usize);

/// Prepares the jump; gives its target, or 0 if the frame is not of the code that the entry was made for.
///
/// # Safety
/// Rule OSR: called in the slow path of a counter, at the loop of `entry`; `registers` is the stub's frame.
pub(super) unsafe fn prepare(
    store: &mut StoreInner,
    vmctx: *mut VmContext,
    registers: &mut SavedRegisters,
    entry: &LoopEntry,
) -> u64 {
    let activation = store.shared.context().activation.load(Ordering::Relaxed);
    // SAFETY: rule LIBCALL: wasm runs, so there is an activation; the stub has published its caller.
    let (fp, pc) = unsafe { ((*activation).exit_fp, (*activation).exit_pc) };
    let state = entry.state();
    let fits = lookup_return_pc(pc).is_some_and(|running| {
        running.func == entry.func()
            && running.tier == Tier::Baseline
            && running.code_bytes == state.code_bytes
    });
    debug_assert!(fits, "a description of other code");
    if !fits {
        return 0;
    }
    if store.loop_cells.is_empty() {
        let cells = OSR_CELLS_MAX as usize;
        store.loop_cells.resize(cells, LoopCell::default());
    }
    let frame = |disp: i32| -> u64 {
        let at = fp.wrapping_add_signed(disp as isize);
        // SAFETY: rule OSR: a slot of the frame, whose layout the compiler has described.
        unsafe { std::ptr::with_exposed_provenance::<u64>(at).read() }
    };
    for (cell, place) in store.loop_cells.iter_mut().zip(state.places()) {
        cell.0 = match place {
            OsrPlace::Int(reg) => [registers.ints[usize::from(reg & 15)], 0],
            OsrPlace::Float(reg) => registers.floats[usize::from(reg & 15)],
            OsrPlace::Frame(disp) => [frame(disp), 0],
            OsrPlace::Const(bits) => [bits, 0],
        };
    }
    for saved in &state.saved {
        registers.ints[usize::from(saved.reg & 15)] = frame(saved.disp);
    }
    registers.ints[usize::from(VMCTX_ARG)] = vmctx.expose_provenance() as u64;
    registers.ints[usize::from(INT_ARGS[0])] =
        store.loop_cells.as_mut_ptr().expose_provenance() as u64;
    let target = entry.code().addr();
    // SAFETY: rule LIBCALL: as above. From here on the address counts as a frame (`reclaim/`, R1), so the entry may go.
    unsafe { (*activation).entering = target };
    target as u64
}
