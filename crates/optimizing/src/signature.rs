//! Function types and helpers as CLIF signatures.

use cranelift_codegen::ir::{AbiParam, ArgumentPurpose, Signature, Type, types};
use cranelift_codegen::isa::CallConv;
use upshift_abi::callconv::x64;
use upshift_abi::{ArgLoc, Libcall, LibcallType, ResultLoc, SignatureLayout};
use upshift_module::{FuncType, ValType};

/// Pointers and references.
pub(crate) const POINTER: Type = types::I64;

/// The CLIF type of a value.
pub(crate) fn clif_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => types::I32,
        ValType::I64 => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => types::I8X16,
        ValType::Ref(_) => POINTER,
    }
}

/// Whether a result is returned in a register, as opposed to behind the result pointer.
pub(crate) fn in_register(loc: ResultLoc) -> bool {
    match loc {
        ResultLoc::Int(_) | ResultLoc::Float(_) => true,
        ResultLoc::Memory(_) => false,
    }
}

/// The signature of a wasm function: vmctx, the result pointer if there is one, the parameters; the
/// results that fit into registers.
pub(crate) fn of_func(ty: &FuncType, layout: &SignatureLayout) -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    signature.params.push(vmctx());
    if layout.result_pointer().is_some() {
        signature.params.push(AbiParam::new(POINTER));
    }
    let params = ty.params().iter().map(|&ty| AbiParam::new(clif_type(ty)));
    signature.params.extend(params);
    let in_registers = ty
        .results()
        .iter()
        .zip(&layout.results)
        .filter(|(_, loc)| in_register(**loc))
        .map(|(&ty, _)| AbiParam::new(clif_type(ty)));
    signature.returns.extend(in_registers);
    signature
}

/// The signature of a body that is entered at a loop: vmctx, the buffer, and as many unused arguments as it takes to bring
/// the original stack parameters, which are in place already, onto the stack again; the same results.
pub(crate) fn of_loop_entry(ty: &FuncType, layout: &SignatureLayout) -> Signature {
    let mut signature = of_func(ty, layout);
    signature.params.truncate(1);
    let on_stack = || {
        let params = ty.params().iter().zip(&layout.params);
        params.filter_map(|(&ty, &loc)| match loc {
            ArgLoc::Stack(_) => Some(ty),
            ArgLoc::Int(_) | ArgLoc::Float(_) => None,
        })
    };
    let ints = std::iter::repeat_n(AbiParam::new(POINTER), x64::INT_ARGS.len());
    signature.params.extend(ints);
    if on_stack().any(ValType::is_float_class) {
        let floats = std::iter::repeat_n(AbiParam::new(types::F64), usize::from(x64::FLOAT_ARGS));
        signature.params.extend(floats);
    }
    let rest = on_stack().map(|ty| AbiParam::new(clif_type(ty)));
    signature.params.extend(rest);
    signature
}

/// The signature of a helper: the C convention, vmctx first.
pub(crate) fn of_libcall(libcall: Libcall) -> Signature {
    let types = libcall.signature();
    let param = |ty: LibcallType| {
        AbiParam::new(match ty {
            LibcallType::I32 => types::I32,
            LibcallType::I64 => types::I64,
        })
    };
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(vmctx());
    signature
        .params
        .extend(types.params.iter().map(|&ty| param(ty)));
    signature.returns.extend(types.result.map(param));
    signature
}

fn vmctx() -> AbiParam {
    AbiParam::special(POINTER, ArgumentPurpose::VMContext)
}
