//! Locals and globals (spec 4.4.5).

use super::region::Region;
use super::state::Translator;
use crate::signature::{POINTER, clif_type};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder as _, Value, types};
use cranelift_frontend::Variable;
use upshift_module::ops::VariableOp;
use upshift_module::{ConstInst, GlobalIndex, LocalIndex};

impl Translator<'_, '_> {
    /// A variable operator.
    pub(super) fn variable(&mut self, op: VariableOp) {
        match op {
            VariableOp::LocalGet(local) => {
                let value = self.builder.use_var(self.local(local));
                self.push(value);
            }
            VariableOp::LocalSet(local) => {
                let value = self.pop();
                self.builder.def_var(self.local(local), value);
            }
            VariableOp::LocalTee(local) => {
                let value = self.pop();
                self.builder.def_var(self.local(local), value);
                self.push(value);
            }
            VariableOp::GlobalGet(global) => self.global_get(global),
            VariableOp::GlobalSet(global) => self.global_set(global),
        }
    }

    fn global_get(&mut self, global: GlobalIndex) {
        let ty = self.func.env().globals[global.0 as usize];
        if let Some(value) = self.constant_global(global) {
            return self.push_typed(ty.content, value);
        }
        let (cell, offset) = self.place(self.env.layout.global(global));
        let clif = clif_type(ty.content);
        let value = if ty.mutable {
            let flags = self.trusted(Region::of_global(self.func.env(), global));
            self.builder.ins().load(clif, flags, cell, offset)
        } else {
            self.load_fixed(clif, cell, offset)
        };
        self.push_typed(ty.content, value);
    }

    fn global_set(&mut self, global: GlobalIndex) {
        let value = self.pop();
        let (cell, offset) = self.place(self.env.layout.global(global));
        let flags = self.trusted(Region::of_global(self.func.env(), global));
        self.builder.ins().store(flags, value, cell, offset);
    }

    /// The value of an immutable global of ours that is initialised by one constant.
    fn constant_global(&mut self, global: GlobalIndex) -> Option<Value> {
        let env = self.func.env();
        let defined = env.defined_global(global)?;
        if env.globals[global.0 as usize].mutable {
            return None;
        }
        let [init] = env.global_inits.get(defined as usize)?.as_slice() else {
            return None;
        };
        let ins = self.builder.ins();
        match *init {
            ConstInst::I32(bits) => Some(ins.iconst(types::I32, i64::from(bits.cast_unsigned()))),
            ConstInst::I64(bits) => Some(ins.iconst(types::I64, bits)),
            ConstInst::F32(bits) => Some(ins.f32const(Ieee32::with_bits(bits))),
            ConstInst::F64(bits) => Some(ins.f64const(Ieee64::with_bits(bits))),
            ConstInst::RefNull(_) => Some(ins.iconst(POINTER, 0)),
            ConstInst::RefFunc(_)
            | ConstInst::GlobalGet(_)
            | ConstInst::I32Add
            | ConstInst::I32Sub
            | ConstInst::I32Mul
            | ConstInst::I64Add
            | ConstInst::I64Sub
            | ConstInst::I64Mul => None,
        }
    }

    /// The variable of a local of the present body.
    fn local(&self, local: LocalIndex) -> Variable {
        self.scratch.locals[self.first_local + local.0 as usize]
    }
}
