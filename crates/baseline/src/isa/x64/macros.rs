//! Macros that spell one instruction, or one for every width, by dynasm: for what the encoder of [`super::encode`] has no form of.
//!
//! dynasm evaluates operand expressions in the middle of an instruction, so all of them are plain variables here.

/// Emits instructions: `emit!(self; mov rax, rcx; ret)`.
macro_rules! emit {
    ($s:tt ; $($code:tt)*) => {
        dynasmrt::dynasm!($s.buf ; .arch x64 ; $($code)*)
    };
}

/// The same instruction at 32 and 64 bits: `wide!(self, width, add dst, src)` for registers by number.
macro_rules! wide {
    ($s:tt, $w:expr, $op:tt $a:tt) => {
        match $w {
            upshift_module::ops::Width::W32 => emit!($s; $op Rd($a)),
            upshift_module::ops::Width::W64 => emit!($s; $op Rq($a)),
        }
    };
    ($s:tt, $w:expr, $op:tt $a:tt, $b:tt) => {
        match $w {
            upshift_module::ops::Width::W32 => emit!($s; $op Rd($a), Rd($b)),
            upshift_module::ops::Width::W64 => emit!($s; $op Rq($a), Rq($b)),
        }
    };
    ($s:tt, $w:expr, $op:tt $a:tt ; $($imm:tt)*) => {
        match $w {
            upshift_module::ops::Width::W32 => emit!($s; $op Rd($a), $($imm)*),
            upshift_module::ops::Width::W64 => emit!($s; $op Rq($a), $($imm)*),
        }
    };
}
