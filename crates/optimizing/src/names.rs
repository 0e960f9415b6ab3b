//! Symbols in the CLIF and what they stand for.

use cranelift_codegen::ir::UserExternalName;
use upshift_abi::{Libcall, RelocTarget};
use upshift_module::FuncIndex;

/// Namespace of functions: the symbol is the function, its address is read from its entry slot.
const FUNCS: u32 = 0;
/// Namespace of helpers: the symbol is the exit stub.
const LIBCALLS: u32 = 1;
/// Namespace of functions that are called directly: the symbol is the code that the function keeps.
const CODES: u32 = 2;

/// Name of a function of the module.
pub(crate) fn func(index: FuncIndex) -> UserExternalName {
    UserExternalName::new(FUNCS, index.0)
}

/// Name of the code that a function of the module keeps.
pub(crate) fn code(index: FuncIndex) -> UserExternalName {
    UserExternalName::new(CODES, index.0)
}

/// Name of a helper.
pub(crate) fn libcall(libcall: Libcall) -> UserExternalName {
    UserExternalName::new(LIBCALLS, libcall as u32)
}

/// What a relocation against the name refers to.
pub(crate) fn target(name: &UserExternalName) -> Option<RelocTarget> {
    match name.namespace {
        FUNCS => Some(RelocTarget::EntrySlot(FuncIndex(name.index))),
        LIBCALLS => Libcall::ALL
            .get(usize::try_from(name.index).ok()?)
            .map(|&libcall| RelocTarget::Libcall(libcall)),
        CODES => Some(RelocTarget::Code(FuncIndex(name.index))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{code, func, libcall, target};
    use upshift_abi::{Libcall, RelocTarget};
    use upshift_module::FuncIndex;

    #[test]
    fn names_lead_back_to_what_they_name() {
        for &helper in Libcall::ALL {
            assert_eq!(target(&libcall(helper)), Some(RelocTarget::Libcall(helper)));
        }
        assert_eq!(
            target(&func(FuncIndex(7))),
            Some(RelocTarget::EntrySlot(FuncIndex(7)))
        );
        assert_eq!(
            target(&code(FuncIndex(7))),
            Some(RelocTarget::Code(FuncIndex(7)))
        );
    }
}
