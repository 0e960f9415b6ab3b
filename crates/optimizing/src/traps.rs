//! Trap codes to Cranelift's numbers and back.
//!
//! Ours are Cranelift "user" codes with the same number. Cranelift itself raises five of its own: in
//! prologues, divisions and conversions.

use cranelift_codegen::ir;
use upshift_abi::TrapCode;

/// The code to put into CLIF.
pub(crate) fn to_clif(code: TrapCode) -> ir::TrapCode {
    ir::TrapCode::unwrap_user(code.number())
}

/// The code behind a trap record.
pub(crate) fn from_clif(code: ir::TrapCode) -> Option<TrapCode> {
    match code {
        ir::TrapCode::STACK_OVERFLOW => Some(TrapCode::StackOverflow),
        ir::TrapCode::HEAP_OUT_OF_BOUNDS => Some(TrapCode::MemoryOutOfBounds),
        ir::TrapCode::INTEGER_OVERFLOW => Some(TrapCode::IntegerOverflow),
        ir::TrapCode::INTEGER_DIVISION_BY_ZERO => Some(TrapCode::IntegerDivideByZero),
        ir::TrapCode::BAD_CONVERSION_TO_INTEGER => Some(TrapCode::BadConversionToInteger),
        user => TrapCode::from_number(user.as_raw().get()),
    }
}

#[cfg(test)]
mod tests {
    use super::{from_clif, to_clif};
    use upshift_abi::TrapCode;

    #[test]
    fn codes_survive_the_round_trip() {
        for code in TrapCode::ALL {
            assert_eq!(from_clif(to_clif(code)), Some(code));
        }
    }
}
