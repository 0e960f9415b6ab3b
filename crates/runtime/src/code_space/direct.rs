//! Where a direct call of a function goes, [`RelocTarget::Code`](upshift_abi::RelocTarget::Code).
//!
//! Problem: such a call holds the address of the callee's code, which a swap of its entry slot does not reach. So the code must be what the callee
//! keeps, and must be there as long as its callers.
//!
//! * F1. A slot goes from the lazy stub to baseline code to optimized code, never back (S3 of `tiering/src/state.rs`). So optimized code found in it is the last
//!   that it will hold, whatever made the compiler ask. Slots are read with acquire, and what is in one was entered into the pc map before
//!   it was stored, so the map tells which tier it is.
//! * F2. Optimized entry code is freed with its module only, as are its callers: reclamation frees baseline code and code that enters loops.
//!   The baseline code that a slot was read with may be freed, and its address be another function's, before the map is asked. So the slot is read again
//!   after that: what is in it then was in it all the time.
//! * F3. A function's own optimized entry code is what its slot gets, so a call of itself goes to its own first instruction.
//!
//! A compiler that asks too early gets the callee's lazy stub, which is always there and leads to whatever is in the slot: slow, but right.

use super::CodeSpace;
use crate::entry_table::EntryTable;
use crate::pc_map::lookup_pc;
use upshift_abi::{CodeKind, CompiledFunc, Tier};
use upshift_module::FuncIndex;

impl CodeSpace {
    /// The address that direct calls of `func` from `code`, which lies at `base`, go to; none for an import.
    pub(super) fn direct_target(
        code: &CompiledFunc,
        base: usize,
        entries: &EntryTable,
        func: FuncIndex,
    ) -> Option<usize> {
        let is_entry = match code.kind {
            CodeKind::Entry => code.tier == Tier::Optimizing,
            CodeKind::Osr(_) => false,
        };
        if func == code.func && is_entry {
            return Some(base);
        }
        let defined = entries.defined(func)?;
        let entry = entries.load(defined).addr();
        let last = lookup_pc(entry)
            .is_some_and(|found| found.tier == Tier::Optimizing && found.func == func)
            && entries.load(defined).addr() == entry;
        Some(if last {
            entry
        } else {
            entries.lazy_stub(defined)
        })
    }
}
