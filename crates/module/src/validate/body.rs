//! One pass over one body: [`Straight`] accepts the simple operators, and wasmparser decodes each of the others and
//! hands it to its validator and to the [`Counter`]. They keep what the limits and the [`Outline`] need and nothing
//! else: most bodies are never compiled, so facts for the compilers are gathered when one is.

use wasmparser::{
    BinaryReader, BlockType, FrameKind, FrameStack, FuncToValidate, FuncValidator,
    FuncValidatorAllocations, ValidatorResources, VisitOperator, VisitSimdOperator,
};

use super::counter::Counter;
use super::straight::{Straight, StraightScratch, Ty};
use super::{Body, BodyContext};
use crate::convert;
use crate::error::{ModuleError, Result};
use crate::facts::Outline;
use crate::features;
use crate::limits;
use crate::map::Mapper;

/// Memory that one worker uses for body after body.
#[derive(Default)]
pub(crate) struct WorkerScratch {
    validator: FuncValidatorAllocations,
    straight: StraightScratch,
}

/// Validates one body.
///
/// # Errors
/// If it does not decode, does not validate, or exceeds a limit.
pub(super) fn validate(
    context: &BodyContext<'_>,
    body: Body<'_>,
    scratch: &mut WorkerScratch,
) -> Result<Outline> {
    let ty = context.env.funcs[body.index.0 as usize];
    let to_validate = FuncToValidate {
        resources: context.resources,
        index: body.index.0,
        ty: ty.0,
        features: features::ENABLED,
    };
    let counter = Counter::new(context, body.bytes.len(), ty);
    let straight = Straight::new(
        context.env,
        (context.env.ty(ty), body.bytes),
        counter.counts_types(),
        &mut scratch.straight,
    );
    let mut pass = Pass {
        validator: to_validate.into_validator(std::mem::take(&mut scratch.validator)),
        straight,
        counter,
        reader: BinaryReader::new_features(body.bytes, u64::from(body.offset), features::ENABLED),
    };
    let result = pass.run();
    let straight = &pass.straight;
    let outline = pass.counter.outline(straight);
    scratch.validator = pass.validator.into_allocations();
    match result {
        Ok(()) => Ok(outline),
        Err(error) => Err(error.in_func(body.index, context.export_name(body.index))),
    }
}

/// The pass in progress.
struct Pass<'a> {
    validator: FuncValidator<&'a ValidatorResources>,
    straight: Straight<'a>,
    counter: Counter<'a>,
    reader: BinaryReader<'a>,
}

impl Pass<'_> {
    fn run(&mut self) -> Result<()> {
        self.locals().map_err(Step::into_error)?;
        self.resume();
        while !self.reader.eof() {
            // Bytes after the end of the body are wasmparser's to refuse.
            if self.validator.control_stack_height() > 0 {
                self.simple_operators()?;
                if self.reader.eof() {
                    break;
                }
            }
            self.operator()?;
            self.resume();
        }
        let end = self.validator.visitor(self.reader.original_position());
        self.reader
            .finish_expression(&end)
            .map_err(|error| ModuleError::malformed(&error))
    }

    /// The validator is where the simple operators go on.
    #[inline]
    fn resume(&mut self) {
        let operands = self.validator.operand_stack_height();
        let depth = self.validator.control_stack_height();
        (self.straight).resume(self.reader.current_position(), operands, depth);
    }

    /// Validates simple operators, as many as there are.
    #[inline]
    fn simple_operators(&mut self) -> Result<()> {
        self.straight.run(&self.validator);
        let passed = self.straight.offset() - self.reader.current_position();
        self.reader
            .read_bytes(passed)
            .map_err(|error| ModuleError::malformed(&error))?;
        if self.straight.is_pending() {
            let mut both = Both {
                validator: self.validator.visitor(self.reader.original_position()),
                counter: &mut self.counter,
            };
            for entry in self.straight.take() {
                tell(&mut both, *entry).map_err(|error| ModuleError::invalid(&error))?;
            }
        }
        Ok(())
    }

    fn locals(&mut self) -> Result<(), Step> {
        let malformed = Step::Malformed;
        for _ in 0..self.reader.read_var_u32().map_err(malformed)? {
            let offset = self.reader.original_position();
            let count = self.reader.read_var_u32().map_err(malformed)?;
            let ty = self.reader.read().map_err(malformed)?;
            let locals = u64::from(self.validator.len_locals()) + u64::from(count);
            if locals > limits::LOCALS_MAX.into() {
                return Err(Step::Other(ModuleError::limit(
                    position(offset),
                    "locals",
                    locals,
                    limits::LOCALS_MAX.into(),
                )));
            }
            self.validator
                .define_locals(offset, count, ty)
                .map_err(Step::Invalid)?;
            let Some(ty) = convert::val_type(ty) else {
                return Err(Step::Other(ModuleError::unsupported(
                    position(offset),
                    "a type of a later proposal is",
                )));
            };
            self.straight.locals(count as usize, ty);
        }
        Ok(())
    }

    #[inline]
    fn operator(&mut self) -> Result<()> {
        let offset = self.reader.original_position();
        let visited = self.reader.visit_operator(&mut Both {
            validator: self.validator.visitor(offset),
            counter: &mut self.counter,
        });
        match visited {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(ModuleError::invalid(&error)),
            Err(error) => return Err(ModuleError::malformed(&error)),
        }
        let operands = self.validator.operand_stack_height();
        if operands > limits::OPERANDS_MAX {
            let max = limits::OPERANDS_MAX;
            return Err(over(offset, ("operands", operands, max)));
        }
        match self.counter.excess() {
            None => Ok(()),
            Some(excess) => Err(over(offset, excess)),
        }
    }
}

/// Tells the validator of an operand, or of the beginning of a block.
fn tell<'a>(
    validator: &mut impl VisitOperator<'a, Output = wasmparser::Result<()>>,
    entry: Ty,
) -> wasmparser::Result<()> {
    match entry {
        Ty::I32 => validator.visit_i32_const(0),
        Ty::I64 => validator.visit_i64_const(0),
        Ty::F32 => validator.visit_f32_const(0.0_f32.into()),
        Ty::F64 => validator.visit_f64_const(0.0_f64.into()),
        Ty::Block => validator.visit_block(BlockType::Empty),
        Ty::Loop => validator.visit_loop(BlockType::Empty),
        Ty::If | Ty::Else => {
            validator.visit_i32_const(0)?;
            validator.visit_if(BlockType::Empty)?;
            if entry == Ty::Else {
                validator.visit_else()?;
            }
            Ok(())
        }
        // They are never entries. Should one be, the body is refused: this operator's proposal is not enabled.
        Ty::Nothing | Ty::Other => {
            debug_assert!(false, "{entry:?} is no entry");
            validator.visit_throw_ref()
        }
    }
}

#[cold]
fn over(offset: u64, (what, found, max): (&str, u32, u32)) -> ModuleError {
    ModuleError::limit(position(offset), what, found.into(), max.into())
}

/// Which of the two refused; kept apart because one is malformed and the other invalid.
enum Step {
    Malformed(wasmparser::Error),
    Invalid(wasmparser::Error),
    Other(ModuleError),
}

impl Step {
    fn into_error(self) -> ModuleError {
        match self {
            Self::Malformed(error) => ModuleError::malformed(&error),
            Self::Invalid(error) => ModuleError::invalid(&error),
            Self::Other(error) => error,
        }
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

/// The visitor that feeds both.
struct Both<'c, 'a, V> {
    validator: V,
    counter: &'c mut Counter<'a>,
}

macro_rules! define_visits {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        $(
            #[inline(always)]
            fn $visit(&mut self $($(, $arg: $argty)*)?) -> wasmparser::Result<()> {
                self.validator.$visit($($(Clone::clone(&$arg)),*)?)?;
                if let Some(op) = Mapper.$visit($($($arg),*)?) {
                    self.counter.op(&op);
                }
                Ok(())
            }
        )*
    };
}

impl<'a, V> VisitOperator<'a> for Both<'_, '_, V>
where
    V: VisitOperator<'a, Output = wasmparser::Result<()>>,
{
    type Output = wasmparser::Result<()>;

    /// Vector operators go to the validator alone, whose error names the proposal.
    fn simd_visitor(
        &mut self,
    ) -> Option<&mut dyn VisitSimdOperator<'a, Output = wasmparser::Result<()>>> {
        self.validator.simd_visitor()
    }

    wasmparser::for_each_visit_operator!(define_visits);
}

impl<V: FrameStack> FrameStack for Both<'_, '_, V> {
    #[inline(always)]
    fn current_frame(&self) -> Option<FrameKind> {
        self.validator.current_frame()
    }
}
