//! Passes of our own over CLIF, after the translation and before Cranelift's. They do what Cranelift cannot know: that an
//! i32 addition in an address does not wrap, that the upper half of a register is zero.
//!
//! ```text
//! address.rs   constants added to an index become displacements
//! widen.rs     indices that loops carry stay zero-extended
//! ```
//!
//! Each pass walks the instructions once or twice. docs/optimizing.md says what they gain and cost.

mod address;
mod widen;

use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CodegenError, Context};

/// Runs the passes. `reserved`: memories are in the reserved style.
pub(crate) fn run(
    context: &mut Context,
    isa: &dyn TargetIsa,
    reserved: bool,
) -> Result<(), CodegenError> {
    // Cranelift does these four anyway, and they cost little when there is nothing left to do. Without them parameters of
    // loops that never change would hide that two accesses have the same index.
    context.flowgraph();
    context.eliminate_unreachable_code(isa)?;
    context.remove_constant_phis(isa)?;
    context.func.dfg.resolve_all_aliases();
    if reserved {
        address::run(&mut context.func, &context.domtree);
    }
    widen::run(&mut context.func);
    Ok(())
}
