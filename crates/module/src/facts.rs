//! What is known of a body: [`Outline`], which validation keeps of every one, and [`FuncFacts`], which one more linear
//! pass learns for a compiler.
//!
//! Facts are linear in the body even at the engine's limits, and small: a body may have a loop per three bytes. So a loop has
//! four bytes and its best candidates, never a set of locals.

use crate::limits;
use crate::ops::{ControlOp, MemoryOp, Op, RefOp, TableOp, VariableOp};
use crate::types::{LocalIndex, MemoryIndex, ValType};

/// How many locals are proposed for register homes per function and register class.
pub const HOME_CANDIDATES: usize = 16;
/// How many are proposed per loop and register class.
pub const LOOP_HOME_CANDIDATES: usize = 8;

/// What validation keeps of a body: what a schedule needs, and what only the validator knows.
///
/// Small, because there is one per function, called or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Operands below, `call_indirect`s above [`Self::INDIRECT_SHIFT`].
    operands_and_indirect: u32,
    loops: u16,
    uses: Uses,
}

impl Outline {
    /// Operands are limited to fewer bits.
    const INDIRECT_SHIFT: u32 = 24;
    const OPERANDS: u32 = (1 << Self::INDIRECT_SHIFT) - 1;

    pub(crate) fn new(max_operands: u32, loops: u32, indirect_calls: u32, uses: Uses) -> Self {
        // An invalid body, whose outline is of no use, may have more.
        let max_operands = max_operands.min(Self::OPERANDS);
        Self {
            operands_and_indirect: max_operands | indirect_calls.min(255) << Self::INDIRECT_SHIFT,
            loops: u16::try_from(loops).unwrap_or(u16::MAX),
            uses,
        }
    }

    /// Greatest number of operands on the operand stack at once.
    #[must_use]
    pub fn max_operands(self) -> u32 {
        self.operands_and_indirect & Self::OPERANDS
    }

    /// Number of `call_indirect` operators, those in unreachable code included; 255 stands for that many and more.
    #[must_use]
    pub fn indirect_calls(self) -> u32 {
        self.operands_and_indirect >> Self::INDIRECT_SHIFT
    }

    /// Number of loops; 65,535 stands for that many and more.
    #[must_use]
    pub fn loops(self) -> u16 {
        self.loops
    }

    /// Whether an operator of the body is a libcall in generated code.
    #[must_use]
    pub fn has_libcalls(self) -> bool {
        self.uses.contains(Uses::LIBCALL)
    }

    /// Whether the body accesses memory 0.
    #[must_use]
    pub fn accesses_memory0(self) -> bool {
        self.uses.contains(Uses::MEMORY0)
    }
}

const _: () = assert!(limits::OPERANDS_MAX <= Outline::OPERANDS);

/// Facts of one function body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FuncFacts {
    /// Greatest number of operands on the operand stack at once.
    pub max_operands: u32,
    /// Number of locals, parameters included.
    pub local_count: u32,
    /// Number of call operators (direct and indirect).
    pub call_count: u32,
    /// How many loops are around the calls, of functions or helpers, that are in the most of them.
    pub call_depth: u32,
    /// What occurs anywhere in the body.
    pub uses: Uses,
    /// Loops in the order of their `loop` operators.
    pub loops: Vec<LoopFacts>,
    /// Locals that some code reads which a label or a call separates from the last write before it in the body, one bit each.
    /// The values of others live between labels only.
    pub carried: Vec<u64>,
    /// Hottest locals of the function, best first, at most [`HOME_CANDIDATES`] per register class. Locals used less
    /// than three times outside loops are left out: a register of their own would save nothing.
    pub homes: Vec<HomeCandidate>,
    /// Candidates of all loops, in the order of their ends; [`LoopFacts`] are ranges of it.
    pub loop_homes: Vec<LoopHome>,
}

impl FuncFacts {
    /// Makes them those of no body, in the same memory.
    pub(crate) fn reset(&mut self) {
        let Self {
            loops,
            homes,
            loop_homes,
            carried,
            ..
        } = std::mem::take(self);
        self.loops = emptied(loops);
        self.homes = emptied(homes);
        self.loop_homes = emptied(loop_homes);
        self.carried = emptied(carried);
    }

    /// Notes that some code reads the local which a label or a call separates from the last write.
    #[inline(always)]
    pub(crate) fn carry(&mut self, local: LocalIndex) {
        self.carried[local.0 as usize / 64] |= 1 << (local.0 % 64);
    }

    /// Whether some code reads the local which a label or a call separates from the last write before it in the body.
    #[must_use]
    pub fn is_carried(&self, local: LocalIndex) -> bool {
        let word = self.carried.get(local.0 as usize / 64);
        word.is_none_or(|word| word >> (local.0 % 64) & 1 != 0)
    }
}

fn emptied<T>(mut list: Vec<T>) -> Vec<T> {
    list.clear();
    list
}

/// Flags of what a body contains.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Uses(u16);

impl Uses {
    /// A call to another function (direct, indirect).
    pub const CALL: Self = Self(1);
    /// An access of memory 0.
    pub const MEMORY0: Self = Self(1 << 1);
    /// An access of another memory.
    pub const OTHER_MEMORY: Self = Self(1 << 2);
    /// A `memory.grow`.
    pub const MEMORY_GROW: Self = Self(1 << 3);
    /// A value of type v128.
    pub const V128: Self = Self(1 << 4);
    /// A local or operand of reference type.
    pub const REFS: Self = Self(1 << 5);
    /// An operator that is a libcall in generated code (bulk, table growth, memory growth, `ref.func`, table access).
    pub const LIBCALL: Self = Self(1 << 6);
    /// A write of a global.
    pub const GLOBAL_SET: Self = Self(1 << 7);
    /// A loop.
    pub const LOOP: Self = Self(1 << 8);

    /// What a value of a type shows.
    pub(crate) const fn of_type(ty: ValType) -> Self {
        match ty {
            ValType::V128 => Self::V128,
            ValType::Ref(_) => Self::REFS,
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => Self(0),
        }
    }

    /// What an operator shows by itself, whatever the types of its values are.
    #[inline(always)]
    pub(crate) fn of(op: &Op<'_>) -> Self {
        match op {
            Op::Control(ControlOp::Loop(_)) => Self::LOOP,
            Op::Call(_) => Self::CALL,
            Op::Variable(VariableOp::GlobalSet(_)) => Self::GLOBAL_SET,
            Op::Memory(MemoryOp::Load(_, arg)) => Self::access(arg.memory),
            Op::Memory(MemoryOp::Store(_, arg)) => Self::access(arg.memory),
            Op::Memory(MemoryOp::Grow(_)) => Self::MEMORY_GROW.union(Self::LIBCALL),
            Op::Bulk(_) => Self::LIBCALL,
            Op::Table(TableOp::Get(_) | TableOp::Set(_) | TableOp::Grow(_) | TableOp::Fill(_))
            | Op::Ref(RefOp::Func(_)) => Self::LIBCALL.union(Self::REFS),
            Op::Ref(RefOp::Null(_) | RefOp::IsNull) => Self::REFS,
            Op::Control(_)
            | Op::Parametric(_)
            | Op::Variable(_)
            | Op::Const(_)
            | Op::Int(_, _)
            | Op::Float(_, _)
            | Op::Convert(_)
            | Op::Memory(MemoryOp::Size(_))
            | Op::Table(TableOp::Size(_)) => Self::default(),
        }
    }

    fn access(memory: MemoryIndex) -> Self {
        if memory.0 == 0 {
            Self::MEMORY0
        } else {
            Self::OTHER_MEMORY
        }
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Sets all flags of `other`.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Facts of one loop, packed into four bytes: home candidates and whether there are calls inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopFacts(u32);

impl LoopFacts {
    /// The lowest bit is about calls, the next ones are the number of candidates, and the others are the first one.
    const COUNT_SHIFT: u32 = 1;
    const COUNT_MAX: u32 = 31;
    const START_SHIFT: u32 = 6;
    const START_MAX: u32 = u32::MAX >> Self::START_SHIFT;

    /// Candidates from `start` to `end`. Where a range does not fit, there are none, which is true of any loop; but a loop has
    /// at most 16, and a body at most two per byte.
    pub(crate) fn new(start: u32, end: u32, calls: bool) -> Self {
        let count = end - start;
        let range = if count <= Self::COUNT_MAX && start <= Self::START_MAX {
            start << Self::START_SHIFT | count << Self::COUNT_SHIFT
        } else {
            0
        };
        Self(range | u32::from(calls))
    }

    /// Home candidates, best first: a range of [`FuncFacts::loop_homes`]. Empty for loops that are nested very deeply.
    #[must_use]
    pub fn homes(self) -> std::ops::Range<usize> {
        let start = (self.0 >> Self::START_SHIFT) as usize;
        start..start + (self.0 >> Self::COUNT_SHIFT & Self::COUNT_MAX) as usize
    }

    /// Whether a function or a helper is called inside, inner loops included.
    #[must_use]
    pub fn calls(self) -> bool {
        self.0 & 1 != 0
    }
}

/// A local worth a register of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HomeCandidate {
    /// Which local.
    pub local: LocalIndex,
    /// Uses weighted by loop depth (8 per level, saturating).
    pub weight: u32,
}

/// A local worth a register of its own while a loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopHome {
    /// Which local.
    pub local: LocalIndex,
    /// Uses per round, those in inner loops eight times per level.
    pub weight: u32,
    /// Whether it is written inside.
    pub written: bool,
}
