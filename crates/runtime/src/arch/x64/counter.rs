//! The slow path of counters: convention of `Libcall::CounterOverflow`.
//!
//! Baseline code pushes the function and the site and calls; its vmctx is in r15. Whatever it holds in registers
//! survives, r11 and the flags excepted.
//!
//! ```text
//!   rbp+24           index of the function
//!   rbp+16           site
//!   rbp+8            return pc
//!   rbp              rbp of the baseline frame
//!   rbp-8            the activation
//!   rsp .. rsp+384   SavedRegisters, 16-aligned
//! ```
//!
//! If Rust gives the address of a loop entry, the stub does not return: the baseline frame goes, and the optimized body takes its
//! place. Rust has put the caller's values of the registers that calls preserve into `SavedRegisters` (they were in the baseline
//! frame), vmctx into rdi and the buffer into rsi. After `leave` rsp points at the return address of the
//! baseline function, with its stack arguments above: just what the body would find if it had been called.

use super::exit::{call_rust, publish_exit, return_or_land};
use super::{Assembler, ENTERING, disp, finish};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use upshift_abi::callconv::x64::{BASELINE_VMCTX, CALLEE_SAVED, INT_ARGS, INT_RESULTS, VMCTX_ARG};

/// The registers of baseline code while the slow path runs, by encoding number.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(crate) struct SavedRegisters {
    /// xmm0-15.
    pub(crate) floats: [[u64; 2]; 16],
    /// rax-r15. Those of rsp, rbp and r11 are undefined.
    pub(crate) ints: [u64; 16],
}

const FLOATS: i32 = disp(offset_of!(SavedRegisters, floats));
const INTS: i32 = disp(offset_of!(SavedRegisters, ints));
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "384"
)]
const SAVED_BYTES: i32 = size_of::<SavedRegisters>() as i32;
/// What may be used at an entry, besides the arguments.
const LOOP_ENTRY: u8 = 11;

fn int_home(reg: u8) -> i32 {
    INTS + 8 * i32::from(reg)
}

fn float_home(reg: u8) -> i32 {
    FLOATS + 16 * i32::from(reg)
}

/// The stub; `target(vmctx, function, site, registers)` gives 0, or the address of a loop entry.
pub(crate) fn counter_stub(target: *const c_void) -> Vec<u8> {
    let mut asm = Assembler::new(0);
    // The result registers are exactly what C may change, but for r11.
    let volatile = INT_RESULTS;
    dynasm!(asm
        ; .arch x64
        ; push rbp
        ; mov rbp, rsp
        ; sub rsp, SAVED_BYTES + 16
        ; and rsp, -16
    );
    for reg in volatile.into_iter().chain(CALLEE_SAVED) {
        dynasm!(asm ; .arch x64 ; mov [rsp + int_home(reg)], Rq(reg));
    }
    for reg in 0..16_u8 {
        dynasm!(asm ; .arch x64 ; movaps [rsp + float_home(reg)], Rx(reg));
    }
    publish_exit(&mut asm, BASELINE_VMCTX);
    dynasm!(asm
        ; .arch x64
        ; mov rdi, r15
        ; mov esi, [rbp + 24]
        ; mov edx, [rbp + 16]
        ; mov rcx, rsp
    );
    call_rust(&mut asm, target);
    return_or_land(&mut asm);
    dynasm!(asm ; .arch x64 ; mov r11, rax ; test r11, r11 ; jnz >enter);
    for reg in volatile {
        dynasm!(asm ; .arch x64 ; mov Rq(reg), [rsp + int_home(reg)]);
    }
    for reg in 0..16_u8 {
        dynasm!(asm ; .arch x64 ; movaps Rx(reg), [rsp + float_home(reg)]);
    }
    // From here on the activation says "inside", so its word for the jump's target has done its work (`reclaim/`).
    dynasm!(asm
        ; .arch x64
        ; leave
        ; ret 16
        ; enter:
        ; mov r10, [rbp - 8]
        ; mov QWORD [r10 + ENTERING], 0
    );
    for reg in CALLEE_SAVED.into_iter().chain([VMCTX_ARG, INT_ARGS[0]]) {
        dynasm!(asm ; .arch x64 ; mov Rq(reg), [rsp + int_home(reg)]);
    }
    dynasm!(asm
        ; .arch x64
        ; mov rbp, [rbp]
        ; leave
        ; jmp Rq(LOOP_ENTRY)
    );
    finish(asm)
}
