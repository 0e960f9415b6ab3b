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
}
