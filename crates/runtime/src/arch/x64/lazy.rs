//! Functions that have no code yet.
//!
//! The slot of function `i` holds stub `i`, `mov eax, i; jmp common`. The stubs are the same for all
//! modules of an engine, so a function that is never called costs its slot and nothing else. The
//! common part keeps every argument register, has the function compiled, and jumps to what is in its slot by then: the callee
//! finds the stack as the caller left it, whether it was a call or a tail call. Rust gives the slot and not the code, since code
//! may be replaced and freed while a thread is outside of wasm with its address in hand (`reclaim/`).
//!
//! ```text
//!   rbp-8            the activation
//!   rbp-16 .. -56    rdi rsi rdx rcx r8 r9
//!   rbp-192 .. -80   xmm7 .. xmm0
//! ```

use super::exit::{call_rust, publish_exit, return_or_land};
use super::{Assembler, finish};
use crate::arch::LazyCompile;
use dynasmrt::{DynasmApi, dynasm};
use upshift_abi::callconv::x64::{FLOAT_ARGS, INT_ARGS, VMCTX_ARG};

/// Bytes of one stub.
pub(crate) const LAZY_STUB_BYTES: usize = 10;
/// Stubs are made in chunks of this many.
pub(crate) const LAZY_CHUNK_STUBS: usize = 4096;

const FRAME_BYTES: i32 = 192;

/// Where argument register number `i` (vmctx first) is kept.
fn int_home(i: usize) -> i32 {
    -16 - 8 * i32::try_from(i).unwrap_or(0)
}

/// Where xmm register `i` is kept.
fn float_home(i: u8) -> i32 {
    -80 - 16 * i32::from(i)
}

/// The common part: eax holds the function's index.
pub(crate) fn lazy_common(compile: LazyCompile) -> Vec<u8> {
    let mut asm = Assembler::new(0);
    let ints = || std::iter::once(VMCTX_ARG).chain(INT_ARGS).enumerate();
    dynasm!(asm
        ; .arch x64
        ; push rbp
        ; mov rbp, rsp
        ; sub rsp, FRAME_BYTES
    );
    for (i, reg) in ints() {
        dynasm!(asm ; .arch x64 ; mov [rbp + int_home(i)], Rq(reg));
    }
    for i in 0..FLOAT_ARGS {
        dynasm!(asm ; .arch x64 ; movaps [rbp + float_home(i)], Rx(i));
    }
    publish_exit(&mut asm, VMCTX_ARG);
    dynasm!(asm ; .arch x64 ; mov esi, eax);
    call_rust(&mut asm, compile as *const _);
    return_or_land(&mut asm);
    for (i, reg) in ints() {
        dynasm!(asm ; .arch x64 ; mov Rq(reg), [rbp + int_home(i)]);
    }
    for i in 0..FLOAT_ARGS {
        dynasm!(asm ; .arch x64 ; movaps Rx(i), [rbp + float_home(i)]);
    }
    dynasm!(asm ; .arch x64 ; leave ; jmp QWORD [rax]);
    finish(asm)
}

/// A chunk of stubs for the functions `first ..`, which will lie at address `at`. Written byte by byte: a large module
/// has a hundred thousand of them before it runs.
pub(crate) fn lazy_chunk(at: usize, first: u32, common: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LAZY_CHUNK_STUBS * LAZY_STUB_BYTES);
    for index in first.. {
        if bytes.len() == LAZY_CHUNK_STUBS * LAZY_STUB_BYTES {
            break;
        }
        let next = at + bytes.len() + LAZY_STUB_BYTES;
        bytes.extend_from_slice(&lazy_stub(index, rel32(common, next)));
    }
    bytes
}

/// `mov eax, index; jmp distance`
fn lazy_stub(index: u32, distance: i32) -> [u8; LAZY_STUB_BYTES] {
    let [a, b, c, d] = index.to_le_bytes();
    let [e, f, g, h] = distance.to_le_bytes();
    [0xb8, a, b, c, d, 0xe9, e, f, g, h]
}

/// The distance between two addresses of one code space.
///
/// # Panics
/// If they lie more than 2 GiB apart, which a code space makes impossible.
fn rel32(to: usize, from: usize) -> i32 {
    i32::try_from(to.cast_signed() - from.cast_signed()).expect("a code space has at most 2 GiB")
}

#[cfg(test)]
mod tests {
    use super::{Assembler, finish, lazy_stub};
    use dynasmrt::{DynasmApi, dynasm};

    #[test]
    fn a_stub_is_what_the_assembler_writes() {
        for (index, distance) in [(0, -5), (1, 0x1234_5678), (999_999, i32::MIN)] {
            let mut asm = Assembler::new(0);
            dynasm!(asm
                ; .arch x64
                ; mov eax, index
                ; .u8 0xe9
                ; .i32 distance
            );
            assert_eq!(lazy_stub(index.cast_unsigned(), distance)[..], finish(asm));
        }
    }
}
