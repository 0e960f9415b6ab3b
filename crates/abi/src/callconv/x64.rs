//! x86-64 registers by their encoding numbers (rax 0, rcx 1, rdx 2, rbx 3, rsp 4, rbp 5, rsi 6, rdi 7, r8-r15).

/// vmctx of the callee, at entry.
pub const VMCTX_ARG: u8 = 7;
/// Integer and reference arguments after vmctx: rsi rdx rcx r8 r9.
pub const INT_ARGS: [u8; 5] = [6, 2, 1, 8, 9];
/// Number of float and vector arguments in xmm0..
pub const FLOAT_ARGS: u8 = 8;
/// Integer and reference results: rax rcx rdx rsi rdi r8 r9 r10.
pub const INT_RESULTS: [u8; 8] = [0, 1, 2, 6, 7, 8, 9, 10];
/// Number of float and vector results in xmm0..
pub const FLOAT_RESULTS: u8 = 8;
/// Preserved by calls (with rbp): rbx r12 r13 r14 r15.
pub const CALLEE_SAVED: [u8; 5] = [3, 12, 13, 14, 15];
/// Baseline code keeps vmctx in r15.
pub const BASELINE_VMCTX: u8 = 15;
/// Baseline code keeps the base of memory 0 in r14.
pub const BASELINE_MEMORY0: u8 = 14;
/// Incoming stack arguments begin at rbp + this, behind the saved rbp and the return address.
pub const INCOMING_ARGS_OFFSET: u32 = 16;
