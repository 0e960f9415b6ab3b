//! Rust helpers that generated code calls.
//!
//! Every helper is reached through its *exit stub*, `call rel32` to
//! [`RelocTarget::Libcall`](crate::RelocTarget::Libcall). The stub makes an rbp frame, publishes
//! rbp and the return pc in the current activation record, calls the Rust function, and jumps to
//! the landing pad if the helper left a failure in the record: a helper that fails never returns to
//! generated code.
//!
//! Convention of all but [`Libcall::CounterOverflow`]: that of the C ABI, which is also
//! `CallConv::Tail` for so few arguments: vmctx in rdi, the parameters of the table below in rsi
//! rdx rcx r8 r9, the result in rax, callee-saved rbx rbp r12-r15, rsp 16-aligned at the call.
//! Upper halves of 32-bit values are undefined both ways.

/// Type of a helper's parameter or result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LibcallType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer, pointer or reference.
    I64,
}

/// Parameters after vmctx, and the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LibcallSignature {
    /// At most 5.
    pub params: &'static [LibcallType],
    /// At most one.
    pub result: Option<LibcallType>,
}

macro_rules! libcalls {
    ($( $(#[$doc:meta])* $name:ident ( $($param:ident),* ) $(-> $result:ident)? ; )*) => {
        /// A Rust helper of generated code.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Libcall { $( $(#[$doc])* $name, )* }

        impl Libcall {
            /// All helpers in the order of their numbers.
            pub const ALL: &'static [Self] = &[ $( Self::$name, )* ];

            /// Types of its parameters after vmctx and of its result.
            #[must_use]
            pub const fn signature(self) -> LibcallSignature {
                match self {
                    $( Self::$name => LibcallSignature {
                        params: &[ $( LibcallType::$param ),* ],
                        result: libcalls!(@result $($result)?),
                    }, )*
                }
            }

            /// Its name in listings.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => stringify!($name), )* }
            }
        }
    };
    (@result) => { None };
    (@result $result:ident) => { Some(LibcallType::$result) };
}

libcalls! {
    /// memory, delta in pages -> old size in pages, or -1 (spec 4.4.7).
    MemoryGrow(I32, I32) -> I32;
    /// memory, data segment, destination, source, length in bytes. Traps.
    MemoryInit(I32, I32, I32, I32, I32);
    /// destination memory, source memory, destination, source, length in bytes. Traps.
    MemoryCopy(I32, I32, I32, I32, I32);
    /// memory, destination, value, length in bytes. Traps.
    MemoryFill(I32, I32, I32, I32);
    /// data segment.
    DataDrop(I32);
    /// table, index -> reference. Traps.
    TableGet(I32, I32) -> I64;
    /// table, index, reference. Traps.
    TableSet(I32, I32, I64);
    /// table, initial reference, delta -> old size, or -1.
    TableGrow(I32, I64, I32) -> I32;
    /// table, start, reference, length. Traps.
    TableFill(I32, I32, I64, I32);
    /// table, element segment, destination, source, length. Traps.
    TableInit(I32, I32, I32, I32, I32);
    /// destination table, source table, destination, source, length. Traps.
    TableCopy(I32, I32, I32, I32, I32);
    /// element segment.
    ElemDrop(I32);
    /// function -> reference (a pointer to its `FuncRecord`).
    RefFunc(I32) -> I64;
    /// table, index, expected type id -> address of the `TableEntry`, which has that type.
    /// The cold path of `call_indirect`: called when the id differs or the index is out of bounds;
    /// fills an entry that was not initialised yet, or traps with the right one of three codes.
    IndirectSlow(I32, I32, I32) -> I64;
    /// The counter of a function flipped its sign, in baseline code. Own convention: the caller pushes two
    /// 8-byte words, first the index of the function, then the [`SiteIndex`](crate::SiteIndex), and calls; the stub pops both
    /// (`ret 16`), aligns rsp by itself and preserves every register but r11 and the flags. The helper rearms the counter,
    /// and traps with `Interrupt` if the host asked for it. At a loop site it may not return at all: optimized code
    /// takes the place of the caller's frame (docs/abi.md, OSR).
    CounterOverflow(I32, I32) -> I64;
}
