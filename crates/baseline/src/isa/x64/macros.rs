//! Macros that spell one instruction for every width or every form of address.
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

/// One instruction with a memory operand, for each form of address:
/// `mem!(self, addr, [mov Rd(dst),] [])` puts the operand between the brackets.
macro_rules! mem {
    ($s:tt, $addr:expr, [$($pre:tt)*] [$($post:tt)*]) => {{
        use $crate::isa::Addr;
        match $addr {
            Addr::Frame(d) => match i8::try_from(d) {
                Ok(d) => emit!($s; $($pre)* [BYTE rbp + d] $($post)*),
                Err(_) => emit!($s; $($pre)* [DWORD rbp + d] $($post)*),
            },
            Addr::Ctx(d) => match i8::try_from(d) {
                Ok(d) => emit!($s; $($pre)* [BYTE r15 + d] $($post)*),
                Err(_) => emit!($s; $($pre)* [DWORD r15 + d] $($post)*),
            },
            Addr::Mem0(d) => emit!($s; $($pre)* [DWORD r14 + d] $($post)*),
            Addr::Mem0Index(i, d) => {
                let i = $crate::isa::x64::n(i);
                match (d, i8::try_from(d)) {
                    (0, _) => emit!($s; $($pre)* [r14 + Rq(i)] $($post)*),
                    (_, Ok(d)) => emit!($s; $($pre)* [BYTE r14 + Rq(i) + d] $($post)*),
                    (_, Err(_)) => emit!($s; $($pre)* [DWORD r14 + Rq(i) + d] $($post)*),
                }
            }
            Addr::Base(b, d) => {
                let b = $crate::isa::x64::n(b);
                match i8::try_from(d) {
                    Ok(d) => emit!($s; $($pre)* [BYTE Rq(b) + d] $($post)*),
                    Err(_) => emit!($s; $($pre)* [DWORD Rq(b) + d] $($post)*),
                }
            }
            Addr::Index(b, i, d) => {
                let (b, i) = ($crate::isa::x64::n(b), $crate::isa::x64::n(i));
                match i8::try_from(d) {
                    Ok(d) => emit!($s; $($pre)* [BYTE Rq(b) + Rq(i) + d] $($post)*),
                    Err(_) => emit!($s; $($pre)* [DWORD Rq(b) + Rq(i) + d] $($post)*),
                }
            }
            Addr::Stack(d) => emit!($s; $($pre)* [DWORD rsp + d] $($post)*),
            Addr::Const(id) => {
                emit!($s; $($pre)* [rip + 0] $($post)*);
                let end = $s.offset();
                $s.fixups.const_ref(end, id);
            }
        }
    }};
}
