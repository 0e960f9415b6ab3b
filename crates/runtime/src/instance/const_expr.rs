//! Values of constant expressions (spec 3.3.10), at instantiation and for element segments.

use crate::error::RuntimeError;
use crate::func::record_bits;
use crate::raw::RawVal;
use crate::store::StoreInner;
use smallvec::SmallVec;
use upshift_module::ConstInst;

impl StoreInner {
    /// Evaluates an expression of an instance's module. An empty one is null.
    pub(super) fn eval_const(
        &mut self,
        instance: usize,
        expr: &[ConstInst],
    ) -> Result<RawVal, RuntimeError> {
        let mut stack: SmallVec<[RawVal; 4]> = SmallVec::new();
        for inst in expr {
            let value = match *inst {
                ConstInst::I32(value) => RawVal::from_u32(value.cast_unsigned()),
                ConstInst::I64(value) => RawVal::from_u64(value.cast_unsigned()),
                ConstInst::F32(bits) => RawVal::from_u32(bits),
                ConstInst::F64(bits) => RawVal::from_u64(bits),
                ConstInst::RefNull(_) => RawVal::ZERO,
                ConstInst::RefFunc(func) => {
                    let record = self.instance_func_record(instance, func)?;
                    RawVal::from_ref(record_bits(record))
                }
                ConstInst::GlobalGet(global) => {
                    let global = self.instances[instance].globals[global.0 as usize];
                    self.globals[global as usize].get()
                }
                ConstInst::I32Add => binary32(&mut stack, u32::wrapping_add),
                ConstInst::I32Sub => binary32(&mut stack, u32::wrapping_sub),
                ConstInst::I32Mul => binary32(&mut stack, u32::wrapping_mul),
                ConstInst::I64Add => binary64(&mut stack, u64::wrapping_add),
                ConstInst::I64Sub => binary64(&mut stack, u64::wrapping_sub),
                ConstInst::I64Mul => binary64(&mut stack, u64::wrapping_mul),
            };
            stack.push(value);
        }
        Ok(stack.pop().unwrap_or(RawVal::ZERO))
    }
}

/// The two operands; validation has counted them.
fn operands(stack: &mut SmallVec<[RawVal; 4]>) -> (RawVal, RawVal) {
    let right = stack.pop().unwrap_or(RawVal::ZERO);
    let left = stack.pop().unwrap_or(RawVal::ZERO);
    (left, right)
}

fn binary32(stack: &mut SmallVec<[RawVal; 4]>, op: fn(u32, u32) -> u32) -> RawVal {
    let (left, right) = operands(stack);
    RawVal::from_u32(op(left.u32(), right.u32()))
}

fn binary64(stack: &mut SmallVec<[RawVal; 4]>, op: fn(u64, u64) -> u64) -> RawVal {
    let (left, right) = operands(stack);
    RawVal::from_u64(op(left.u64(), right.u64()))
}
