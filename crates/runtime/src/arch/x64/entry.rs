//! From Rust into wasm: one stub for all signatures, one copy per process.
//!
//! It loads every argument register and copies the stack arguments, whatever the callee's type, and stores every result
//! register. rbp, rsp and the landing pad go into the activation; the pad finds the callee-saved registers in the frame,
//! so a trap needs nothing from the code that trapped.
//!
//! ```text
//!   rbp+8            return pc into `enter`
//!   rbp              rbp of `enter`           <- entry_fp
//!   rbp-8 .. -40     rbx r12 r13 r14 r15
//!   rbp-48           the RawFrame             <- entry_sp
//!   ..               stack arguments (the callee pops them)
//! ```

use super::{Assembler, ENTRY_FP, ENTRY_SP, LANDING_PC, disp, finish};
use crate::enter::RawFrame;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::OnceLock;
use upshift_abi::Activation;
use upshift_abi::callconv::x64::{FLOAT_ARGS, FLOAT_RESULTS, INT_ARGS, INT_RESULTS};

/// Activation, frame, code, vmctx, stack arguments and how many words; 0 for a return, 1 for a landing.
pub(crate) type HostEntry = unsafe extern "C" fn(
    *mut Activation,
    *mut RawFrame,
    *const u8,
    *mut c_void,
    *const u64,
    usize,
) -> u32;

const INTS: i32 = disp(offset_of!(RawFrame, ints));
const FLOATS: i32 = disp(offset_of!(RawFrame, floats));
const INT_RESULTS_AT: i32 = disp(offset_of!(RawFrame, int_results));
const FLOAT_RESULTS_AT: i32 = disp(offset_of!(RawFrame, float_results));

/// Element `i` of an array of words.
fn word(i: usize) -> i32 {
    8 * i32::try_from(i).unwrap_or(0)
}

fn assemble() -> Vec<u8> {
    let mut asm = Assembler::new(0);
    dynasm!(asm
        ; .arch x64
        ; push rbp
        ; mov rbp, rsp
        ; push rbx
        ; push r12
        ; push r13
        ; push r14
        ; push r15
        ; push rsi
        ; lea rax, [>pad]
        ; mov [rdi + LANDING_PC], rax
        ; mov [rdi + ENTRY_SP], rsp
        ; mov [rdi + ENTRY_FP], rbp
        ; mov r10, rdx
        ; mov r11, rcx
        ; mov rax, rsi
        ; lea rcx, [r9 * 8]
        ; sub rsp, rcx
        ; jmp >more
        ; copy:
        ; mov rcx, [r8 + r9 * 8]
        ; mov [rsp + r9 * 8], rcx
        ; more:
        ; sub r9, 1
        ; jnc <copy
    );
    for i in 0..FLOAT_ARGS {
        dynasm!(asm ; .arch x64 ; movups Rx(i), [rax + FLOATS + 16 * i32::from(i)]);
    }
    for (i, reg) in INT_ARGS.into_iter().enumerate() {
        dynasm!(asm ; .arch x64 ; mov Rq(reg), [rax + INTS + word(i)]);
    }
    dynasm!(asm
        ; .arch x64
        ; mov rdi, r11
        ; call r10
        ; mov r11, [rbp - 48]
    );
    for (i, reg) in INT_RESULTS.into_iter().enumerate() {
        dynasm!(asm ; .arch x64 ; mov [r11 + INT_RESULTS_AT + word(i)], Rq(reg));
    }
    for i in 0..FLOAT_RESULTS {
        dynasm!(asm ; .arch x64 ; movups [r11 + FLOAT_RESULTS_AT + 16 * i32::from(i)], Rx(i));
    }
    dynasm!(asm
        ; .arch x64
        ; xor eax, eax
        ; out:
        ; lea rsp, [rbp - 40]
        ; pop r15
        ; pop r14
        ; pop r13
        ; pop r12
        ; pop rbx
        ; pop rbp
        ; ret
        ; pad:
        ; mov eax, 1
        ; cld
        ; jmp <out
    );
    finish(asm)
}

/// The stub, made at the first use in the process and never given back.
///
/// # Errors
/// If the system refuses a page.
pub(crate) fn host_entry() -> Result<HostEntry, &'static region::Error> {
    static STUB: OnceLock<Result<HostEntry, region::Error>> = OnceLock::new();
    STUB.get_or_init(make).as_ref().copied()
}

/// The bytes of the stub.
pub(crate) fn host_entry_code() -> Vec<u8> {
    assemble()
}

fn make() -> Result<HostEntry, region::Error> {
    let bytes = assemble();
    let mut page = region::alloc(bytes.len(), region::Protection::READ_WRITE)?;
    let base = page.as_mut_ptr::<u8>();
    // SAFETY: rule CODE: the page is fresh, ours, and large enough.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), base, bytes.len()) };
    // SAFETY: rule CODE: the page is ours; from here on it is executable and never writable.
    unsafe { region::protect(base, bytes.len(), region::Protection::READ_EXECUTE)? };
    // The process keeps the stub: threads may be inside at any time.
    std::mem::forget(page);
    // SAFETY: rule STUB: the bytes at `base` are a function of this type.
    Ok(unsafe { std::mem::transmute::<*mut u8, HostEntry>(base) })
}
