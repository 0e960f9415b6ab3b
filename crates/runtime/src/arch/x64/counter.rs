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
//!   rbp-16 .. -72    rax rcx rdx rsi rdi r8 r9 r10
//!   rsp .. rsp+240   xmm0 .. xmm15, 16-aligned
//! ```

use super::exit::{call_rust, publish_exit, return_or_land};
use super::{Assembler, finish};
use dynasmrt::{DynasmApi, dynasm};
use std::ffi::c_void;
use upshift_abi::callconv::x64::{BASELINE_VMCTX, INT_RESULTS};

/// rbp to the end of the integer homes, and 16 vector registers.
const FRAME_BYTES: i32 = 80 + 256;

fn int_home(i: usize) -> i32 {
    -16 - 8 * i32::try_from(i).unwrap_or(0)
}

/// The stub; `target(vmctx, function, site)` gives what r11 will hold.
pub(crate) fn counter_stub(target: *const c_void) -> Vec<u8> {
    let mut asm = Assembler::new(0);
    dynasm!(asm
        ; .arch x64
        ; push rbp
        ; mov rbp, rsp
        ; sub rsp, FRAME_BYTES
        ; and rsp, -16
    );
    // The result registers are exactly what C may change, but for r11.
    for (i, reg) in INT_RESULTS.into_iter().enumerate() {
        dynasm!(asm ; .arch x64 ; mov [rbp + int_home(i)], Rq(reg));
    }
    for i in 0..16_u8 {
        dynasm!(asm ; .arch x64 ; movaps [rsp + 16 * i32::from(i)], Rx(i));
    }
    publish_exit(&mut asm, BASELINE_VMCTX);
    dynasm!(asm
        ; .arch x64
        ; mov rdi, r15
        ; mov esi, [rbp + 24]
        ; mov edx, [rbp + 16]
    );
    call_rust(&mut asm, target);
    return_or_land(&mut asm);
    dynasm!(asm ; .arch x64 ; mov r11, rax);
    for (i, reg) in INT_RESULTS.into_iter().enumerate() {
        dynasm!(asm ; .arch x64 ; mov Rq(reg), [rbp + int_home(i)]);
    }
    for i in 0..16_u8 {
        dynasm!(asm ; .arch x64 ; movaps Rx(i), [rsp + 16 * i32::from(i)]);
    }
    dynasm!(asm ; .arch x64 ; leave ; ret 16);
    finish(asm)
}
