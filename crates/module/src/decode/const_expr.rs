//! Constant expressions (spec 3.3.10), decoded once and kept in postfix order.

use crate::env::{ConstExpr, ConstInst};
use crate::error::{ModuleError, Result};
use crate::map::Mapper;
use crate::ops::{ConstOp, ControlOp, IntBinary, IntOp, Op, RefOp, VariableOp, Width};
use crate::types::RefType;

/// Decodes an expression that validation has accepted.
///
/// # Errors
/// If it has an operator that no enabled proposal allows, which validation should have refused.
pub(super) fn decode(expr: &wasmparser::ConstExpr<'_>) -> Result<ConstExpr> {
    let mut reader = expr.get_binary_reader();
    let mut insts = ConstExpr::new();
    while !reader.eof() {
        let offset = usize::try_from(reader.original_position()).unwrap_or(usize::MAX);
        let op = reader
            .visit_operator(&mut Mapper)
            .map_err(|error| ModuleError::malformed(&error))?;
        match op.as_ref().map(inst) {
            Some(Constant::Inst(inst)) => insts.push(inst),
            Some(Constant::End) => break,
            Some(Constant::Not) | None => {
                return Err(ModuleError::unsupported(
                    offset,
                    "this constant expression is",
                ));
            }
        }
    }
    Ok(insts)
}

/// What an operator is in a constant expression.
enum Constant {
    Inst(ConstInst),
    End,
    Not,
}

fn inst(op: &Op<'_>) -> Constant {
    Constant::Inst(match op {
        Op::Const(ConstOp::I32(value)) => ConstInst::I32(*value),
        Op::Const(ConstOp::I64(value)) => ConstInst::I64(*value),
        Op::Const(ConstOp::F32(bits)) => ConstInst::F32(*bits),
        Op::Const(ConstOp::F64(bits)) => ConstInst::F64(*bits),
        Op::Ref(RefOp::Null(heap)) => ConstInst::RefNull(RefType {
            nullable: true,
            heap: *heap,
        }),
        Op::Ref(RefOp::Func(func)) => ConstInst::RefFunc(*func),
        Op::Variable(VariableOp::GlobalGet(global)) => ConstInst::GlobalGet(*global),
        Op::Int(width, IntOp::Binary(op)) => return arithmetic(*width, *op),
        Op::Control(ControlOp::End) => return Constant::End,
        Op::Control(_)
        | Op::Call(_)
        | Op::Parametric(_)
        | Op::Variable(_)
        | Op::Int(_, _)
        | Op::Float(_, _)
        | Op::Convert(_)
        | Op::Memory(_)
        | Op::Bulk(_)
        | Op::Table(_)
        | Op::Ref(_) => return Constant::Not,
    })
}

/// The extended constant expressions.
fn arithmetic(width: Width, op: IntBinary) -> Constant {
    let (narrow, wide) = match op {
        IntBinary::Add => (ConstInst::I32Add, ConstInst::I64Add),
        IntBinary::Sub => (ConstInst::I32Sub, ConstInst::I64Sub),
        IntBinary::Mul => (ConstInst::I32Mul, ConstInst::I64Mul),
        IntBinary::DivS
        | IntBinary::DivU
        | IntBinary::RemS
        | IntBinary::RemU
        | IntBinary::And
        | IntBinary::Or
        | IntBinary::Xor
        | IntBinary::Shl
        | IntBinary::ShrS
        | IntBinary::ShrU
        | IntBinary::Rotl
        | IntBinary::Rotr => return Constant::Not,
    };
    Constant::Inst(match width {
        Width::W32 => narrow,
        Width::W64 => wide,
    })
}
