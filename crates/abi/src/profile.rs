//! What an optimizing compile may know of the rest of the module and of how it has run.
//!
//! Everything here is a hint or a permission: code that is compiled with other answers computes the same.

use std::fmt;
use upshift_module::{FuncIndex, ValidatedFunc};

/// The surroundings of a function that is optimized. Answers may change from one question to the next.
pub trait Profile: fmt::Debug + Sync {
    /// The body of a defined function, to be inlined. None if it has not arrived or must not be inlined (its tier is forced,
    /// its calls are counted one by one).
    fn inlinee(&self, func: FuncIndex) -> Option<ValidatedFunc<'_>>;

    /// How often the function was entered in baseline code, as far as the counters tell; 0 for one that has no code. Where nothing is
    /// counted (the policy Optimizing, masks), 1 for every function with code.
    fn entries(&self, func: FuncIndex) -> u64;

    /// Whether the function has the code that it keeps, so that a caller may reach it without its entry slot.
    fn is_final(&self, func: FuncIndex) -> bool;

    /// The function that a `call_indirect` of `func` has called almost always, of those that it may call a function of the same module.
    /// `ordinal` is the number of `call_indirect`s before it in the body, those in unreachable code included.
    fn indirect_target(&self, func: FuncIndex, ordinal: u32) -> Option<FuncIndex>;

    /// How much may be inlined.
    fn inlining(&self) -> InlineLimits {
        InlineLimits::OFF
    }
}

/// How much of its callees a function may take in (docs/inlining.md). All sizes are bytes of wasm bodies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InlineLimits {
    /// Bodies up to this size are inlined wherever they are called.
    pub tiny_bytes: u32,
    /// Bodies up to this size are inlined where the call is in a loop or the callee is hot.
    pub small_bytes: u32,
    /// Bodies up to this size are inlined where the call is in a loop and the callee is hot.
    pub hot_bytes: u32,
    /// Entries from which on a callee is hot.
    pub hot_entries: u64,
    /// Inlined bodies around a call, at most; 0 turns inlining off.
    pub depth: u32,
    /// Size of all inlined bodies of one function, at most.
    pub budget_bytes: u32,
    /// Size of all inlined bodies of one function but the tiny ones, at most, in percent of the function's own.
    pub growth_percent: u32,
    /// What small functions may take in even so.
    pub growth_bytes_min: u32,
}

impl InlineLimits {
    /// Nothing is inlined.
    pub const OFF: Self = Self {
        tiny_bytes: 0,
        small_bytes: 0,
        hot_bytes: 0,
        hot_entries: u64::MAX,
        depth: 0,
        budget_bytes: 0,
        growth_percent: 0,
        growth_bytes_min: 0,
    };
}
