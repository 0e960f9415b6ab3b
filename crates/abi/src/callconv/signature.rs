//! Where the arguments and results of a function type go.

use super::x64::{FLOAT_ARGS, FLOAT_RESULTS, INT_ARGS, INT_RESULTS};
use upshift_module::{FuncType, ValType};

/// Where a parameter is at entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgLoc {
    /// The register with this encoding number.
    Int(u8),
    /// xmm register.
    Float(u8),
    /// Bytes from the start of the incoming stack area, which the callee finds at rbp + 16 and the
    /// caller at rsp when it calls.
    Stack(u32),
}

/// Where a result is at return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultLoc {
    /// The register with this encoding number.
    Int(u8),
    /// xmm register.
    Float(u8),
    /// Bytes from the result pointer.
    Memory(u32),
}

/// Bytes between two results in the area behind the result pointer.
const RESULT_STRIDE: u32 = 16;

/// The calling convention applied to one function type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignatureLayout {
    /// Each parameter's place.
    pub params: Box<[ArgLoc]>,
    /// Each result's place.
    pub results: Box<[ResultLoc]>,
    /// Bytes of stack arguments, a multiple of 16; the callee pops them.
    pub stack_bytes: u32,
    /// Bytes behind the result pointer, a multiple of 16. Not zero: the result pointer is the first parameter
    /// after vmctx (rsi), and the others move up by one.
    pub result_area_bytes: u32,
}

impl SignatureLayout {
    /// Applies the convention.
    #[must_use]
    pub fn new(ty: &FuncType) -> Self {
        let (results, result_area_bytes) = place_results(ty.results());
        let (params, stack_bytes) = place_params(ty.params(), result_area_bytes != 0);
        Self {
            params,
            results,
            stack_bytes,
            result_area_bytes,
        }
    }

    /// The register of the result pointer, if there is one.
    #[must_use]
    pub fn result_pointer(&self) -> Option<u8> {
        (self.result_area_bytes != 0).then_some(INT_ARGS[0])
    }
}

fn place_results(types: &[ValType]) -> (Box<[ResultLoc]>, u32) {
    let (mut ints, mut floats, mut area) = (0_u8, 0_u8, 0);
    let places = types
        .iter()
        .map(|ty| {
            if ty.is_float_class() {
                if floats < FLOAT_RESULTS {
                    floats += 1;
                    return ResultLoc::Float(floats - 1);
                }
            } else if let Some(&reg) = INT_RESULTS.get(usize::from(ints)) {
                ints += 1;
                return ResultLoc::Int(reg);
            }
            area += RESULT_STRIDE;
            ResultLoc::Memory(area - RESULT_STRIDE)
        })
        .collect();
    (places, area)
}

fn place_params(types: &[ValType], result_pointer: bool) -> (Box<[ArgLoc]>, u32) {
    let (mut ints, mut floats, mut stack) = (usize::from(result_pointer), 0_u8, 0_u32);
    let places = types
        .iter()
        .map(|ty| {
            if ty.is_float_class() {
                if floats < FLOAT_ARGS {
                    floats += 1;
                    return ArgLoc::Float(floats - 1);
                }
            } else if let Some(&reg) = INT_ARGS.get(ints) {
                ints += 1;
                return ArgLoc::Int(reg);
            }
            let slot = ty.bytes().max(8);
            let offset = stack.next_multiple_of(slot);
            stack = offset + slot;
            ArgLoc::Stack(offset)
        })
        .collect();
    (places, stack.next_multiple_of(16))
}

#[cfg(test)]
mod tests {
    use super::{ArgLoc, ResultLoc, SignatureLayout};
    use upshift_module::{FuncType, ValType};

    #[test]
    fn arguments_and_results_beyond_the_registers() {
        let ty = FuncType::new(
            [
                [ValType::I64; 6].as_slice(),
                &[ValType::F32; 9],
                &[ValType::V128],
            ]
            .concat(),
            [ValType::I32; 10],
        );
        let layout = SignatureLayout::new(&ty);
        assert_eq!(layout.result_pointer(), Some(6));
        assert_eq!(
            layout.params[0],
            ArgLoc::Int(2),
            "the result pointer takes rsi"
        );
        assert_eq!(layout.params[4], ArgLoc::Stack(0));
        assert_eq!(layout.params[5], ArgLoc::Stack(8));
        assert_eq!(layout.params[13], ArgLoc::Float(7));
        assert_eq!(layout.params[14], ArgLoc::Stack(16));
        assert_eq!(layout.params[15], ArgLoc::Stack(32), "v128 is 16-aligned");
        assert_eq!(layout.stack_bytes, 48);
        assert_eq!(layout.results[7], ResultLoc::Int(10));
        assert_eq!(layout.results[9], ResultLoc::Memory(16));
        assert_eq!(layout.result_area_bytes, 32);
    }
}
