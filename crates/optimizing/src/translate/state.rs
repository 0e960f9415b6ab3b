//! What the translation of one function keeps: operand stack, symbols, access to the instance.

use super::control::Frame;
use super::inline::{Body, Budget, CLASSES, IdleLocals, Places};
use super::osr::Nest;
use super::region::{Region, field};
use crate::names;
use crate::signature::{self, POINTER};
use cranelift_codegen::ir::{
    ExtFuncData, ExternalName, FuncRef, InstBuilder as _, MemFlagsData, SigRef, StackSlot, Type,
    UserExternalName, Value, types,
};
use cranelift_frontend::{FunctionBuilder, Variable};
use std::collections::HashMap;
use upshift_abi::layout::Place;
use upshift_abi::{CompileEnv, CompileError, CompileErrorKind, InlineLimits, Libcall};
use upshift_module::{FuncIndex, TypeIndex, ValType, ValidatedFunc};

/// Values of a function, and operands of its branches and calls. SSA form of a hostile body can be quadratic in it: parameters for
/// thousands of locals at each of thousands of joins. Cranelift itself ends at 2^21 virtual registers.
pub(super) const SIZE_MAX: usize = 4 << 20;
/// Basic blocks of a function. Millions of empty ones take Cranelift minutes: a body of nothing but `if end` has more than that.
const BLOCKS_MAX: usize = 1 << 19;
/// Loops in loops. Cranelift's dominator trees take time in the square of it: 10 ms here, 3 s at 32,000.
const LOOP_DEPTH_MAX: u32 = 2_000;

/// Memory that is kept from function to function.
#[derive(Default)]
pub(crate) struct Scratch {
    /// The operand stack.
    pub(super) stack: Vec<Value>,
    /// Enclosing blocks, the function first.
    pub(super) frames: Vec<Frame>,
    /// Parameters of the enclosing `if`s, for their second arms.
    pub(super) if_params: Vec<Value>,
    /// Locals of the open bodies, the function's own first.
    pub(super) locals: Vec<Variable>,
    /// Variables of bodies that are done with.
    pub(super) idle_locals: IdleLocals,
    /// What was inlined.
    pub(crate) places: Places,
    signatures: HashMap<TypeIndex, SigRef>,
    funcs: HashMap<FuncIndex, FuncRef>,
    libcalls: HashMap<Libcall, FuncRef>,
}

impl Scratch {
    /// Forgets the last function, keeps the memory.
    pub(super) fn reset(&mut self) {
        self.stack.clear();
        self.frames.clear();
        self.if_params.clear();
        self.locals.clear();
        self.idle_locals = <[Vec<Variable>; CLASSES]>::default();
        self.places.reset();
        self.signatures.clear();
        self.funcs.clear();
        self.libcalls.clear();
    }
}

/// The translation of one function.
pub(super) struct Translator<'a, 'f> {
    // Inputs.
    pub(super) env: &'a CompileEnv<'a>,
    /// The function that this code will be the last code of: none if it enters a loop.
    pub(super) own: Option<FuncIndex>,
    /// Our own context.
    pub(super) vmctx: Value,
    /// Where results beyond the registers go, if there are any.
    pub(super) result_pointer: Option<Value>,

    // The body that is being translated: the function's own, or an inlined one (inline/mod.rs).
    pub(super) func: ValidatedFunc<'a>,
    /// How its operators name it.
    pub(super) body: Body,
    /// Offset of the operator that is being translated, from the start of the body.
    pub(super) offset: u32,
    /// How many `call_indirect` come before the last one, in the order of the body.
    pub(super) indirect_calls: u32,
    /// Index of its frame.
    pub(super) root: usize,
    /// Index of its first local.
    pub(super) first_local: usize,
    /// Where memory 0 begins, if it cannot move.
    pub(super) memory0_base: Option<Value>,
    /// If the function is entered at a loop: what its parts share.
    pub(super) nest: Nest,
    /// The functions whose bodies are around this one, outermost first.
    pub(super) open_bodies: Vec<FuncIndex>,

    // Working state.
    pub(super) builder: FunctionBuilder<'f>,
    pub(super) scratch: &'f mut Scratch,
    /// Whether the next operator can be reached.
    pub(super) reachable: bool,
    /// Blocks opened since code became unreachable.
    pub(super) skipped_blocks: u32,
    /// Operands of branches and calls so far.
    pub(super) operands: usize,
    /// Loops around the next operator.
    pub(super) open_loops: u32,
    /// Loops translated so far that test for interrupts.
    pub(super) loops: i32,
    /// What may still be inlined.
    pub(super) budget: Budget,
    /// Where callees put results beyond the registers; one area for all calls, as large as the largest.
    pub(super) result_area: Option<StackSlot>,
}

impl<'a, 'f> Translator<'a, 'f> {
    /// Starts; `vmctx` and `result_pointer` are set by the caller.
    pub(super) fn new(
        func: ValidatedFunc<'a>,
        env: &'a CompileEnv<'a>,
        builder: FunctionBuilder<'f>,
        scratch: &'f mut Scratch,
    ) -> Self {
        let limits = env.profile.map_or(InlineLimits::OFF, |it| it.inlining());
        Self {
            env,
            own: None,
            vmctx: Value::from_u32(0),
            result_pointer: None,
            func,
            body: Body::of_func(func),
            offset: 0,
            indirect_calls: 0,
            root: 0,
            first_local: 0,
            memory0_base: None,
            nest: Nest::default(),
            open_bodies: Vec::new(),
            builder,
            scratch,
            reachable: true,
            skipped_blocks: 0,
            operands: 0,
            open_loops: 0,
            loops: 0,
            budget: Budget::new(limits, func.body_bytes()),
            result_area: None,
        }
    }

    /// Refuses what would take Cranelift out of proportion to the body, while that is still cheap.
    pub(super) fn check_size(&self) -> Result<(), CompileError> {
        if self.builder.func.dfg.num_values() + self.operands > SIZE_MAX {
            return Err(CompileError::new(
                CompileErrorKind::Limit,
                "the function has too many values",
            ));
        }
        if self.builder.func.dfg.num_blocks() > BLOCKS_MAX {
            return Err(CompileError::new(
                CompileErrorKind::Limit,
                "the function has too many blocks",
            ));
        }
        if self.open_loops > LOOP_DEPTH_MAX {
            return Err(CompileError::new(
                CompileErrorKind::Limit,
                "the function nests too many loops",
            ));
        }
        Ok(())
    }

    /// Pushes an operand that is no fresh reference.
    pub(super) fn push(&mut self, value: Value) {
        self.scratch.stack.push(value);
    }

    /// Pushes an operand of a type; a reference is from now on in the stack maps of calls that it lives across.
    pub(super) fn push_typed(&mut self, ty: ValType, value: Value) {
        if ty.is_ref() {
            self.builder.declare_value_needs_stack_map(value);
        }
        self.push(value);
    }

    /// Pushes the i32 0 or 1 of a comparison's result.
    pub(super) fn push_bool(&mut self, flag: Value) {
        let value = self.builder.ins().uextend(types::I32, flag);
        self.push(value);
    }

    /// Pops an operand.
    pub(super) fn pop(&mut self) -> Value {
        self.scratch
            .stack
            .pop()
            .expect("validation has checked the operand stack's height")
    }

    /// Pops two, the lower first.
    pub(super) fn pop2(&mut self) -> (Value, Value) {
        let upper = self.pop();
        (self.pop(), upper)
    }

    /// Pops three, the lowest first.
    pub(super) fn pop3(&mut self) -> (Value, Value, Value) {
        let (middle, upper) = self.pop2();
        (self.pop(), middle, upper)
    }

    /// An i32 constant that holds an index of the module.
    pub(super) fn index(&mut self, index: u32) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(index))
    }

    /// Flags of an access that cannot trap and is aligned.
    pub(super) fn trusted(&mut self, region: Region) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(region.declare(self.builder.func)))
    }

    /// Loads what never changes while an instance lives; it may be moved out of loops.
    pub(super) fn load_fixed(&mut self, ty: Type, base: Value, offset: i32) -> Value {
        let flags = self.trusted(Region::Fixed).with_readonly().with_can_move();
        self.builder.ins().load(ty, flags, base, offset)
    }

    /// Base and offset of a definition, from vmctx.
    pub(super) fn place(&mut self, place: Place) -> (Value, i32) {
        match place {
            Place::Inline(offset) => (self.vmctx, field(offset as usize)),
            Place::Pointer(offset) => {
                let vmctx = self.vmctx;
                (self.load_fixed(POINTER, vmctx, field(offset as usize)), 0)
            }
        }
    }

    /// The signature of a function type.
    pub(super) fn signature(&mut self, ty: TypeIndex) -> SigRef {
        let layout = &self.env.signatures[ty.0 as usize];
        let func_type = self.func.env().ty(ty);
        let builder = &mut self.builder;
        *self
            .scratch
            .signatures
            .entry(ty)
            .or_insert_with(|| builder.import_signature(signature::of_func(func_type, layout)))
    }

    /// The symbol of a function of the module. It is not colocated: its address comes from its entry
    /// slot, loaded anew at each call, so that a swap is seen. Unless there will be no swap: then it is the code itself.
    pub(super) fn func_ref(&mut self, func: FuncIndex) -> FuncRef {
        if let Some(&known) = self.scratch.funcs.get(&func) {
            return known;
        }
        let signature = self.signature(self.func.env().funcs[func.0 as usize]);
        let profile = self.env.profile;
        let last = self.own == Some(func) || profile.is_some_and(|profile| profile.is_final(func));
        let name = if last {
            names::code(func)
        } else {
            names::func(func)
        };
        let made = self.import(name, signature, last);
        self.scratch.funcs.insert(func, made);
        made
    }

    /// Calls a helper, vmctx first; its result, if it has one.
    pub(super) fn libcall(&mut self, libcall: Libcall, args: &[Value]) -> Option<Value> {
        let func = self.libcall_ref(libcall);
        let mut all = [self.vmctx; 6];
        let all = &mut all[..=args.len()];
        all[1..].copy_from_slice(args);
        let call = self.builder.ins().call(func, all);
        self.builder.inst_results(call).first().copied()
    }

    /// Calls a helper that has a result.
    pub(super) fn libcall_value(&mut self, libcall: Libcall, args: &[Value]) -> Value {
        self.libcall(libcall, args)
            .expect("the table of helpers gives this one a result")
    }

    fn libcall_ref(&mut self, libcall: Libcall) -> FuncRef {
        if let Some(&known) = self.scratch.libcalls.get(&libcall) {
            return known;
        }
        let signature = self
            .builder
            .import_signature(signature::of_libcall(libcall));
        let made = self.import(names::libcall(libcall), signature, true);
        self.scratch.libcalls.insert(libcall, made);
        made
    }

    fn import(&mut self, name: UserExternalName, signature: SigRef, colocated: bool) -> FuncRef {
        let name = self.builder.func.declare_imported_user_function(name);
        self.builder.import_function(ExtFuncData {
            name: ExternalName::user(name),
            signature,
            colocated,
            patchable: false,
        })
    }
}
