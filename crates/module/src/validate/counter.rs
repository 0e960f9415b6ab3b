//! What validation counts besides what wasmparser's validator does: own limits, and the [`Outline`].
//!
//! Most operators cost nothing here: [`Counter::op`] is inlined into each operator's method, where all but one of its
//! arms go away.
//!
//! **Types compared.** Calls, blocks and branches make the validator compare as many operand types as their types
//! have, and a limit bounds the sum. A body that is small for the types of its module cannot reach it, so for that
//! one nothing is counted. Reason: let the widest type of the module have `w` values, at least 1. The body itself
//! compares `w` at most and begins with at least one byte of local declarations; a call or block compares `w` and has
//! two bytes; any other branch `w` and one; a `br_table` of `n` targets `w * (n + 1)` and `n + 3`. So the sum is at
//! most `w` times the bytes of the body.

use super::BodyContext;
use super::straight::Straight;
use crate::env::ModuleEnv;
use crate::facts::{Outline, Uses};
use crate::limits;
use crate::ops::{BlockType, CallOp, ControlOp, Op};
use crate::types::TypeIndex;

/// The counts of one body.
pub(super) struct Counter<'a> {
    env: &'a ModuleEnv,
    /// Whether types compared are counted.
    counts_types: bool,
    /// A limit is exceeded.
    exceeded: bool,
    uses: Uses,
    loops: u32,
    indirect_calls: u32,
    /// Blocks open, the body counted.
    depth: u32,
    /// Operand types that calls, blocks and branches made the validator compare, at least (saturates).
    type_checks: u32,
    /// Most values that a label of the body takes.
    widest_label: u32,
}

impl<'a> Counter<'a> {
    /// Starts a body of so many bytes, of a function of type `ty`.
    pub(super) fn new(context: &BodyContext<'a>, bytes: usize, ty: TypeIndex) -> Self {
        let env = context.env;
        let most = bytes.saturating_mul(context.widest_type);
        let mut counter = Self {
            env,
            counts_types: most > limits::TYPE_CHECKS_MAX as usize,
            exceeded: false,
            uses: Uses::default(),
            loops: 0,
            indirect_calls: 0,
            depth: 1,
            type_checks: 0,
            widest_label: len(env.ty(ty).results()),
        };
        counter.func_type(ty);
        counter
    }

    /// Which limit is exceeded, if any: its name, what was found, what is allowed.
    #[inline]
    pub(super) fn excess(&self) -> Option<(&'static str, u32, u32)> {
        self.exceeded.then(|| self.which())
    }

    #[cold]
    fn which(&self) -> (&'static str, u32, u32) {
        let max = limits::TYPE_CHECKS_MAX;
        if self.type_checks > max {
            ("comparisons of operand types", self.type_checks, max)
        } else {
            ("nested blocks", self.depth, limits::NESTING_MAX)
        }
    }

    /// Whether types compared are counted.
    pub(super) fn counts_types(&self) -> bool {
        self.counts_types
    }

    /// What is kept of the body, once it is valid: of the operators noted here, and of the simple ones.
    pub(super) fn outline(&self, simple: &Straight<'_>) -> Outline {
        let loops = self.loops + simple.loops();
        let indirect_calls = self.indirect_calls + simple.indirect_calls();
        let uses = self.uses.union(simple.uses());
        Outline::new(simple.max_operands(), loops, indirect_calls, uses)
    }

    /// Notes one operator, which has been validated.
    #[inline(always)]
    pub(super) fn op(&mut self, op: &Op<'_>) {
        self.uses.insert(Uses::of(op));
        match op {
            Op::Control(op) => self.control(op),
            Op::Call(op) => {
                if let CallOp::CallIndirect { .. } = op {
                    self.indirect_calls += 1;
                }
                if self.counts_types {
                    self.call(op);
                }
            }
            Op::Parametric(_)
            | Op::Variable(_)
            | Op::Const(_)
            | Op::Int(_, _)
            | Op::Float(_, _)
            | Op::Convert(_)
            | Op::Memory(_)
            | Op::Bulk(_)
            | Op::Table(_)
            | Op::Ref(_) => {}
        }
    }

    #[inline(always)]
    fn control(&mut self, op: &ControlOp<'_>) {
        match op {
            ControlOp::Block(ty) | ControlOp::If(ty) => self.open(*ty),
            ControlOp::Loop(ty) => {
                self.loops += 1;
                self.open(*ty);
            }
            ControlOp::End => {
                self.depth -= 1;
                self.branch(1);
            }
            ControlOp::Else | ControlOp::Br(_) | ControlOp::BrIf(_) | ControlOp::Return => {
                self.branch(1);
            }
            ControlOp::BrTable(table) => self.branch(table.len() + 1),
            ControlOp::Unreachable | ControlOp::Nop => {}
        }
    }

    #[inline]
    fn open(&mut self, ty: BlockType) {
        self.depth += 1;
        if self.depth > limits::NESTING_MAX {
            self.exceeded = true;
        }
        if self.counts_types {
            self.block_type(ty);
        }
    }

    /// Notes a branch to so many labels.
    #[inline]
    fn branch(&mut self, labels: u32) {
        if self.counts_types {
            self.compare(self.widest_label.saturating_mul(labels));
        }
    }

    fn block_type(&mut self, ty: BlockType) {
        match ty {
            BlockType::Empty => {}
            BlockType::Value(_) => self.widest_label = self.widest_label.max(1),
            BlockType::Func(ty) => {
                let ty_of = self.env.ty(ty);
                let label = len(ty_of.params()).max(len(ty_of.results()));
                self.widest_label = self.widest_label.max(label);
                self.func_type(ty);
            }
        }
    }

    fn call(&mut self, op: &CallOp) {
        match op {
            CallOp::Call(func) => self.func_type(self.env.funcs[func.0 as usize]),
            CallOp::CallIndirect { ty, .. } => self.func_type(*ty),
        }
    }

    /// Notes that the values of a function type are compared.
    fn func_type(&mut self, ty: TypeIndex) {
        let ty = self.env.ty(ty);
        self.compare(len(ty.params()) + len(ty.results()));
    }

    fn compare(&mut self, types: u32) {
        self.type_checks = self.type_checks.saturating_add(types);
        if self.type_checks > limits::TYPE_CHECKS_MAX {
            self.exceeded = true;
        }
    }
}

/// Types have at most 1,000 parameters and as many results.
fn len<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
