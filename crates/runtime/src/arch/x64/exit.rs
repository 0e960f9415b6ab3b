//! The exit protocol, and the stubs of helpers.
//!
//! Every way out of generated code does the same: it makes an rbp frame, stores the caller's rbp and the
//! return pc in the current activation (so a walk starts at the wasm frame and never sees a Rust frame), calls, and
//! goes to the landing pad if the callee left a failure there.
//!
//! Whoever frees code reads the activation from another thread (`reclaim/`), so order matters here: the pc is there before
//! the frame pointer that says "outside", and `attention` is looked at after the 0 that says "inside".
//!
//! ```text
//!   rbp+8   return pc into the wasm frame
//!   rbp     rbp of the wasm frame
//!   rbp-8   the activation
//! ```

use super::{
    ACTIVATION, ATTENTION, Assembler, CONTEXT, ENTRY_FP, ENTRY_SP, EXIT_FP, EXIT_PC, FAILED,
    LANDING_PC, STORE, finish,
};
use crate::reclaim::returning_to_wasm;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::ffi::c_void;

/// Stores rbp and the return pc in the activation, and the activation at `[rbp - 8]`. `context` is the
/// register of vmctx or of a host function's context. Uses r10 and r11; the frame is made.
pub(super) fn publish_exit(asm: &mut Assembler, context: u8) {
    dynasm!(asm
        ; .arch x64
        ; mov r10, [Rq(context) + STORE]
        ; mov r10, [r10 + ACTIVATION]
        ; mov r11, [rbp + 8]
        ; mov [r10 + EXIT_PC], r11
        ; mov r11, [rbp]
        ; mov [r10 + EXIT_FP], r11
        ; mov [rbp - 8], r10
    );
}

/// Back in generated code, or off to the landing pad. Uses r11 and the flags, and what a Rust function may change other
/// than rax. rsp is a multiple of 16.
pub(super) fn return_or_land(asm: &mut Assembler) {
    let returning = (returning_to_wasm as *const c_void).addr().cast_signed() as i64;
    dynasm!(asm
        ; .arch x64
        ; mov r11, [rbp - 8]
        ; mov QWORD [r11 + EXIT_FP], 0
        ; cmp DWORD [r11 + FAILED], 0
        ; jne >land
        ; mov r11, [r11 + CONTEXT]
        ; cmp DWORD [r11 + ATTENTION], 0
        ; je >returned
        ; push rax
        ; push rax
        ; mov rdi, r11
        ; mov rsi, [rbp]
        ; mov rdx, [rbp + 8]
        ; mov rax, QWORD returning
        ; call rax
        ; pop rax
        ; pop rax
        ; jmp >returned
        ; land:
        ; mov rbp, [r11 + ENTRY_FP]
        ; mov rsp, [r11 + ENTRY_SP]
        ; jmp QWORD [r11 + LANDING_PC]
        ; returned:
    );
}

/// Calls Rust. Uses rax.
pub(super) fn call_rust(asm: &mut Assembler, target: *const c_void) {
    let target = target.addr().cast_signed() as i64;
    dynasm!(asm ; .arch x64 ; mov rax, QWORD target ; call rax);
}

/// The stub of a helper: arguments and result stay where they are.
pub(crate) fn exit_stub(target: *const c_void) -> Vec<u8> {
    let mut asm = Assembler::new(0);
    dynasm!(asm
        ; .arch x64
        ; push rbp
        ; mov rbp, rsp
        ; sub rsp, 16
    );
    publish_exit(&mut asm, upshift_abi::callconv::x64::VMCTX_ARG);
    call_rust(&mut asm, target);
    return_or_land(&mut asm);
    dynasm!(asm ; .arch x64 ; leave ; ret);
    finish(asm)
}
