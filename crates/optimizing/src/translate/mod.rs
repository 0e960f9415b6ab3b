//! Operators to CLIF.
//!
//! One pass over the body with an operand stack of SSA values, as validation does it with types. Locals
//! are variables of Cranelift's frontend, which makes the block parameters that joins need; results and
//! parameters of wasm blocks are explicit block parameters. Nothing recurses over wasm's nesting.
//!
//! Code behind a branch, up to the `end` or `else` of its block, is unreachable: [`control`] counts
//! blocks there, and no other category ever sees it.

mod bulk;
mod call;
mod control;
mod convert;
mod float;
mod heap;
mod inline;
mod int;
mod memory;
mod osr;
mod parametric;
mod reference;
mod region;
mod state;
mod table;
mod variable;

use crate::signature::{self, POINTER, clif_type};
use control::Frame;
use cranelift_codegen::ir::{
    self, Function, GlobalValueData, InstBuilder as _, MemFlagsData, SourceLoc, UserFuncName, Value,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
pub(crate) use inline::Places;
pub(crate) use state::Scratch;
use state::Translator;
use std::mem::offset_of;
use upshift_abi::{CompileEnv, CompileError, LoopState, StoreContext, VmContext};
use upshift_module::{Op, ValType, ValidatedFunc};

/// Translates a body into `func`, which is empty before: as called, or as entered at a loop.
pub(crate) fn translate(
    (func, entry): (ValidatedFunc<'_>, Option<&LoopState>),
    env: &CompileEnv<'_>,
    isa: &dyn TargetIsa,
    (clif, context): (&mut Function, &mut FunctionBuilderContext),
    scratch: &mut Scratch,
) -> Result<(), CompileError> {
    let layout = &env.signatures[func.env().funcs[func.index().0 as usize].0 as usize];
    clif.name = UserFuncName::user(0, func.index().0);
    clif.signature = match entry {
        None => signature::of_func(func.ty(), layout),
        Some(_) => signature::of_loop_entry(func.ty(), layout),
    };
    set_stack_limit(clif);
    scratch.reset();

    let mut builder = FunctionBuilder::new(clif, context);
    region::place_reference_spills(&mut builder);
    builder.set_srcloc(SourceLoc::new(func.body_offset()));
    let start = builder.create_block();
    builder.append_block_params_for_function_params(start);
    builder.switch_to_block(start);
    builder.seal_block(start);

    let mut params = builder.block_params(start).iter().copied();
    let vmctx = params.next().unwrap_or(Value::from_u32(0));
    // At a loop this is the buffer.
    let has_pointer = entry.is_some() || layout.result_pointer().is_some();
    let pointer = has_pointer.then(|| params.next()).flatten();
    let params: Vec<Value> = params.collect();

    let mut translator = Translator::new(func, env, builder, scratch);
    translator.vmctx = vmctx;
    translator.own = entry.is_none().then_some(func.index());
    translator.load_memory0_base();
    match (entry, pointer) {
        (Some(state), Some(buffer)) => translator.enter_loop(state, buffer)?,
        (_, result_pointer) => {
            translator.result_pointer = result_pointer;
            translator.declare_locals(&params);
            translator.scratch.frames.push(Frame::function());
            translator.ops(0, u32::MAX)?;
        }
    }
    translator.builder.finalize(isa.frontend_config());
    Ok(())
}

/// The prologue compares rsp with `vmctx->store->stack_limit`. Cranelift leaves the check out of leaf functions without a frame.
fn set_stack_limit(clif: &mut Function) {
    let vmctx = clif.create_global_value(GlobalValueData::VMContext);
    let flags = MemFlagsData::trusted();
    let flags = clif.dfg.mem_flags.insert_unchecked(flags);
    let mut load = |base, offset: usize| {
        clif.create_global_value(GlobalValueData::Load {
            base,
            offset: region::field(offset).into(),
            global_type: POINTER,
            flags,
        })
    };
    let store = load(vmctx, offset_of!(VmContext, store));
    let limit = load(store, offset_of!(StoreContext, stack_limit));
    clif.stack_limit = Some(limit);
}

impl Translator<'_, '_> {
    /// Declares all locals of the function. Parameters hold the arguments, the others zero or null.
    fn declare_locals(&mut self, params: &[Value]) {
        let types = self.func.ty().params().iter().copied();
        for (ty, &value) in types.zip(params) {
            if ty.is_ref() {
                self.builder.declare_value_needs_stack_map(value);
            }
            let variable = self.declare_local(ty);
            self.scratch.locals.push(variable);
            self.builder.def_var(variable, value);
        }
        for (count, ty) in self.func.locals() {
            let zero = self.zero(ty);
            for _ in 0..count {
                let variable = self.declare_local(ty);
                self.scratch.locals.push(variable);
                self.builder.def_var(variable, zero);
            }
        }
    }

    fn declare_local(&mut self, ty: ValType) -> Variable {
        let variable = self.builder.declare_var(clif_type(ty));
        if ty.is_ref() {
            self.builder.declare_var_needs_stack_map(variable);
        }
        variable
    }

    fn zero(&mut self, ty: ValType) -> Value {
        let ins = self.builder.ins();
        match ty {
            ValType::I32 => ins.iconst(ir::types::I32, 0),
            ValType::I64 | ValType::Ref(_) => ins.iconst(ir::types::I64, 0),
            ValType::F32 => ins.f32const(0.0),
            ValType::F64 => ins.f64const(0.0),
            ValType::V128 => {
                let zero = self.builder.ins().iconst(ir::types::I8, 0);
                self.builder.ins().splat(ir::types::I8X16, zero)
            }
        }
    }

    /// Translates one operator, which is reachable unless it is structured control.
    fn op(&mut self, op: &Op<'_>) -> Result<(), CompileError> {
        match op {
            Op::Control(op) => self.control(op),
            Op::Call(op) => return self.call(*op),
            Op::Parametric(op) => self.parametric(*op),
            Op::Variable(op) => self.variable(*op),
            Op::Const(op) => self.constant(*op),
            Op::Int(width, op) => self.int(*width, *op),
            Op::Float(_, op) => self.float(*op),
            Op::Convert(op) => self.convert(*op),
            Op::Memory(op) => return self.memory(*op),
            Op::Bulk(op) => return self.bulk(*op),
            Op::Table(op) => self.table(*op),
            Op::Ref(op) => self.reference(*op),
        }
        Ok(())
    }
}
