//! Bodies of callees in place of calls (docs/inlining.md).
//!
//! Problem: translate a body within another one, so that it computes what the call would have computed.
//!
//! Data: what belongs to a body rather than to the function is in fields of the translator that [`Translator::inline`]
//! replaces while the inner body is translated, and puts back: the body and the place in it ([`Outer`]). The stacks of operands,
//! blocks and locals are shared; the inner body's part begins at their present tops.
//!
//! Why it is right:
//!
//! * I1. The inner body is a block with the callee's results, opened above the operands that the arguments were. Labels are relative,
//!   so none of its branches leaves it; `return` is a branch to its end. When it ends, the stacks are as high as before, with the
//!   results in place of the arguments, or the code behind is unreachable.
//! * I2. Locals are variables of Cranelift's frontend, all defined where the body begins, which dominates all of it. Hence
//!   a variable can be used again by another body afterwards: no use sees an older definition.
//! * I3. The callee is a function of the same module and is called with the caller's own context, so vmctx, memories, globals,
//!   tables and types are the same.
//! * I4. There is one frame, and its prologue checks the stack limit for all bodies in it. A cycle of calls is never inlined as a
//!   whole, as no body is within itself; so endless recursion comes by a prologue, and finds the limit.
//! * I5. Loops of the inner body test for interrupts as all loops do.
//! * I6. References are declared to Cranelift where they are made, whichever body that is in, so they are in the stack maps of all
//!   calls that they live across.
//! * I7. At a loop that is entered in the middle, blocks are shared between two translations of the same loop by the
//!   offsets of their operators. These are offsets in the function's own body: an inner body has an empty [`Nest`].
//! * I8. Instruction selection may move a load into the instruction that uses its value, in the same block, and a fault is then
//!   that instruction's. So that backtraces name the right body, a block ends wherever the value of a load may go from one body
//!   to another.
//!
//! The depth of bodies in bodies is bounded by `InlineLimits::depth`, so this recursion is, too.

mod guard;
mod places;
mod policy;

use super::control::Frame;
use super::osr::Nest;
use super::state::Translator;
use cranelift_codegen::ir::{InstBuilder as _, Opcode, SourceLoc, Value};
use cranelift_frontend::Variable;
pub(in crate::translate) use places::Body;
pub(crate) use places::Places;
pub(in crate::translate) use policy::Budget;
use upshift_abi::{CompileError, CompileErrorKind, InlinedCall};
use upshift_module::{ValType, ValidatedFunc};

/// What the inner body replaces.
struct Outer<'a> {
    func: ValidatedFunc<'a>,
    body: Body,
    offset: u32,
    indirect_calls: u32,
    nest: Nest,
    root: usize,
    first_local: usize,
    memory0_base: Option<Value>,
}

impl<'a> Translator<'a, '_> {
    /// Translates the body of a callee instead of the call at the present place; the arguments are the top operands.
    pub(super) fn inline(&mut self, callee: ValidatedFunc<'a>) -> Result<(), CompileError> {
        let call = InlinedCall {
            func: callee.index(),
            caller: self.body.frame,
            wasm_offset: self.func.body_offset() + self.offset,
        };
        let Some(body) = self.scratch.places.add(call, callee) else {
            let message = "too much is inlined into the function";
            return Err(CompileError::new(CompileErrorKind::Limit, message));
        };
        let arguments = callee.ty().params().len();
        self.keep_loads_here(arguments);
        let outer = self.enter(callee, body);
        self.pass_arguments();
        let height = self.scratch.stack.len();
        let ty = callee.env().funcs[callee.index().0 as usize];
        self.scratch.frames.push(Frame::inlined(ty, height));
        let result = self.ops(0, u32::MAX);
        if self.reachable {
            self.keep_loads_here(callee.ty().results().len());
        }
        self.leave(outer);
        result
    }

    /// Begins a block if one of the top operands may be a load of the present body (I8).
    fn keep_loads_here(&mut self, operands: usize) {
        let dfg = &self.builder.func.dfg;
        let stack = &self.scratch.stack;
        let computed = |&value: &Value| {
            let inst = dfg.value_def(value).inst();
            inst.is_some_and(|inst| dfg.insts[inst].opcode() != Opcode::Iconst)
        };
        let loads = self.func.outline().accesses_memory0();
        if loads && stack[stack.len() - operands..].iter().any(computed) {
            let next = self.builder.create_block();
            self.builder.ins().jump(next, &[]);
            self.builder.seal_block(next);
            self.builder.switch_to_block(next);
        }
    }

    fn enter(&mut self, callee: ValidatedFunc<'a>, body: Body) -> Outer<'a> {
        self.open_bodies.push(self.func.index());
        let outer = Outer {
            func: std::mem::replace(&mut self.func, callee),
            body: std::mem::replace(&mut self.body, body),
            offset: self.offset,
            indirect_calls: self.indirect_calls,
            nest: std::mem::take(&mut self.nest),
            root: std::mem::replace(&mut self.root, self.scratch.frames.len()),
            first_local: std::mem::replace(&mut self.first_local, self.scratch.locals.len()),
            memory0_base: self.memory0_base,
        };
        self.builder.set_srcloc(SourceLoc::new(self.body.base));
        if self.memory0_base.is_none() {
            self.load_memory0_base();
        }
        outer
    }

    fn leave(&mut self, outer: Outer<'a>) {
        debug_assert_eq!(self.scratch.frames.len(), self.root, "I1");
        self.release_locals();
        self.func = outer.func;
        self.body = outer.body;
        self.offset = outer.offset;
        self.indirect_calls = outer.indirect_calls;
        self.nest = outer.nest;
        self.root = outer.root;
        self.first_local = outer.first_local;
        self.memory0_base = outer.memory0_base;
        self.open_bodies.pop();
        let place = SourceLoc::new(self.body.base + self.offset);
        self.builder.set_srcloc(place);
    }

    /// Makes the top operands the callee's parameters; its other locals are zero.
    fn pass_arguments(&mut self) {
        let params = self.func.ty().params();
        let first = self.scratch.stack.len() - params.len();
        self.operands += params.len();
        for (at, &ty) in params.iter().enumerate() {
            let value = self.scratch.stack[first + at];
            self.take_local(ty, value);
        }
        self.scratch.stack.truncate(first);
        for (count, ty) in self.func.locals() {
            let zero = self.zero(ty);
            for _ in 0..count {
                self.take_local(ty, zero);
            }
        }
    }

    /// The next local of the callee: a variable that no open body uses.
    fn take_local(&mut self, ty: ValType, value: Value) {
        let idle = &mut self.scratch.idle_locals[class(ty)];
        let variable = match idle.pop() {
            Some(variable) => variable,
            None => self.declare_local(ty),
        };
        self.builder.def_var(variable, value);
        self.scratch.locals.push(variable);
    }

    fn release_locals(&mut self) {
        let locals = self.scratch.locals.split_off(self.first_local);
        let params = self.func.ty().params().iter().map(|&ty| (1, ty));
        let types = params.chain(self.func.locals());
        let mut locals = locals.into_iter();
        for (count, ty) in types {
            let idle = &mut self.scratch.idle_locals[class(ty)];
            idle.extend(locals.by_ref().take(count as usize));
        }
    }
}

/// Types whose variables are alike: of the same CLIF type, and in stack maps or not.
pub(super) const CLASSES: usize = 6;

/// Variables that may be used for a local of the type, by class.
pub(super) type IdleLocals = [Vec<Variable>; CLASSES];

fn class(ty: ValType) -> usize {
    match ty {
        ValType::I32 => 0,
        ValType::I64 => 1,
        ValType::F32 => 2,
        ValType::F64 => 3,
        ValType::V128 => 4,
        ValType::Ref(_) => 5,
    }
}
