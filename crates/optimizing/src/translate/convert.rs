//! Conversions (spec 4.3.4). The trapping ones raise Cranelift's own codes, which mean the same.

use super::int::int_type;
use super::state::Translator;
use cranelift_codegen::ir::{InstBuilder as _, MemFlagsData, Type, types};
use upshift_module::ops::{ConvertOp, FloatWidth};

fn float_type(width: FloatWidth) -> Type {
    match width {
        FloatWidth::F32 => types::F32,
        FloatWidth::F64 => types::F64,
    }
}

impl Translator<'_, '_> {
    /// A conversion.
    pub(super) fn convert(&mut self, op: ConvertOp) {
        let a = self.pop();
        let ins = self.builder.ins();
        let result = match op {
            ConvertOp::Wrap => ins.ireduce(types::I32, a),
            ConvertOp::Extend { signed: true } => ins.sextend(types::I64, a),
            ConvertOp::Extend { signed: false } => ins.uextend(types::I64, a),
            ConvertOp::Trunc {
                to,
                from: _,
                signed: true,
            } => ins.fcvt_to_sint(int_type(to), a),
            ConvertOp::Trunc {
                to,
                from: _,
                signed: false,
            } => ins.fcvt_to_uint(int_type(to), a),
            ConvertOp::TruncSat {
                to,
                from: _,
                signed: true,
            } => ins.fcvt_to_sint_sat(int_type(to), a),
            ConvertOp::TruncSat {
                to,
                from: _,
                signed: false,
            } => ins.fcvt_to_uint_sat(int_type(to), a),
            ConvertOp::Convert {
                to,
                from: _,
                signed: true,
            } => ins.fcvt_from_sint(float_type(to), a),
            ConvertOp::Convert {
                to,
                from: _,
                signed: false,
            } => ins.fcvt_from_uint(float_type(to), a),
            ConvertOp::Demote => ins.fdemote(types::F32, a),
            ConvertOp::Promote => ins.fpromote(types::F64, a),
            ConvertOp::ReinterpretToInt(width) => {
                ins.bitcast(int_type(width), MemFlagsData::new(), a)
            }
            ConvertOp::ReinterpretToFloat(width) => {
                ins.bitcast(float_type(width), MemFlagsData::new(), a)
            }
        };
        self.push(result);
    }
}
