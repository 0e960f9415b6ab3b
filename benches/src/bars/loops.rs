//! Modules with hot loops, made from a seed.
//!
//! Their bodies are a mix of integer, float and memory work whose statements hang together little, so that the processor has
//! several under way at a time: a loop that is one chain of multiplications would run as fast in any code. As in the code of
//! many producers the same addresses are computed again and again, which the optimizing tier does once.

use crate::stats::Random;
use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, InstructionSink, MemArg, MemArgTarget, MemorySection, MemoryType, Module,
    TypeSection, ValType,
};

/// The modules of the bars, by the bytes of their function.
pub(super) const SIZES: [(&str, usize); 3] = [
    ("loop-200b", 200),
    ("loop-2kb", 2_000),
    ("loop-20kb", 20_000),
];

/// Steps that a long loop tells of.
const STEPS: i32 = 5_000;
/// Bytes of a body that are run from one step to the next: some 50 µs.
const STEP_BYTES: usize = 4_800_000;

/// Bytes of the function that are no statements.
const FRAME_BYTES: usize = 110;

/// Functions of [`called`], bytes of their loops, and how many bytes a call runs: some 10 µs.
const CALLED: usize = 80;
const CALLED_BYTES: usize = 1_000;
const CALL_BYTES: usize = 1_000_000;

/// Locals: the rounds that are left until the next step, the steps that are left, a count of all rounds; then those
/// that statements compute with.
const LEFT: u32 = 0;
const STEPS_LEFT: u32 = 1;
const ROUND: u32 = 2;
const FIRST_INT: u32 = 3;
const INTS: u32 = 8;
const FIRST_FLOAT: u32 = FIRST_INT + INTS;
const FLOATS: u32 = 6;

/// Integers lie in the first half of the memory, floats in the second.
const HALF: u64 = 1 << 16;

/// A module whose `_start` has so many bytes, nearly all of them in one loop. It calls the import `bench.step` every now and then.
pub(super) fn long(bytes: usize) -> Vec<u8> {
    let rounds = count(STEP_BYTES / bytes);
    let mut body = Body::new(bytes);
    body.ops().i32_const(rounds).local_set(LEFT);
    body.ops().i32_const(STEPS).local_set(STEPS_LEFT);
    body.ops().loop_(BlockType::Empty);
    body.statements(bytes.saturating_sub(FRAME_BYTES));
    body.count_down(LEFT);
    body.ops().br_if(0);
    body.ops().call(0).i32_const(rounds).local_set(LEFT);
    body.count_down(STEPS_LEFT);
    body.ops().br_if(0).end();
    module(true, &["_start".to_owned()], &[body.finish()])
}

/// A module with functions that each loop for a moment.
pub(super) fn called() -> Vec<u8> {
    let function = |seed: usize| {
        let mut body = Body::new(seed);
        body.ops().i32_const(count(CALL_BYTES / CALLED_BYTES));
        body.ops().local_set(LEFT).loop_(BlockType::Empty);
        body.statements(CALLED_BYTES);
        body.count_down(LEFT);
        body.ops().br_if(0).end();
        body.finish()
    };
    let names: Vec<String> = (0..CALLED).map(|index| format!("f{index}")).collect();
    module(
        false,
        &names,
        &(0..CALLED).map(function).collect::<Vec<_>>(),
    )
}

/// Functions without parameters, each exported by a name.
fn module(step: bool, names: &[String], bodies: &[Function]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    if step {
        imports.import("bench", "step", EntityType::Function(0));
    }
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    let mut exports = ExportSection::new();
    for (index, (name, body)) in (u32::from(step)..).zip(names.iter().zip(bodies)) {
        functions.function(0);
        code.function(body);
        exports.export(name, ExportKind::Func, index);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 2,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions);
    module.section(&memories).section(&exports).section(&code);
    module.finish()
}

/// A function in the making.
struct Body {
    function: Function,
    random: Random,
}

impl Body {
    fn new(seed: usize) -> Self {
        let ints = (FIRST_INT + INTS, ValType::I32);
        let floats = (FLOATS, ValType::F64);
        Self {
            function: Function::new([ints, floats]),
            random: Random::seeded(seed as u64),
        }
    }

    fn ops(&mut self) -> InstructionSink<'_> {
        self.function.instructions()
    }

    /// One less, and whether there is any left.
    fn count_down(&mut self, local: u32) {
        self.ops().local_get(local).i32_const(1).i32_sub();
        self.ops().local_tee(local);
    }

    /// Statements of so many bytes.
    fn statements(&mut self, bytes: usize) {
        let start = self.function.byte_len();
        self.ops().local_get(ROUND).i32_const(1).i32_add();
        self.ops().local_set(ROUND);
        while self.function.byte_len() - start < bytes {
            match self.random.below(6) {
                0 => self.gather(),
                1 => self.scatter(),
                2 => self.choose(),
                3 => self.rotate(),
                4 => self.weigh(),
                5.. => self.keep(),
            }
        }
    }

    /// If nothing came of what was computed, all of it could go.
    fn finish(mut self) -> Function {
        self.ops().i32_const(0).i32_const(0);
        for local in FIRST_INT..FIRST_INT + INTS {
            self.ops().local_get(local).i32_xor();
        }
        self.ops().i32_store(at(0, 2));
        self.ops().i32_const(0).f64_const(0.0.into());
        for local in FIRST_FLOAT..FIRST_FLOAT + FLOATS {
            self.ops().local_get(local).f64_add();
        }
        self.ops().f64_store(at(HALF, 3)).end();
        self.function
    }

    /// a += (load ^ b) * k
    fn gather(&mut self) {
        let (a, b, k) = (self.int(), self.int(), self.number(1 << 16));
        self.ops().local_get(a);
        self.place(4);
        let offset = self.offset(0);
        self.ops().i32_load(at(offset, 2)).local_get(b).i32_xor();
        self.ops().i32_const(k).i32_mul().i32_add().local_set(a);
    }

    /// store a + b
    fn scatter(&mut self) {
        let (a, b) = (self.int(), self.int());
        self.place(4);
        let offset = self.offset(0);
        self.ops().local_get(a).local_get(b).i32_add();
        self.ops().i32_store(at(offset, 2));
    }

    /// a = load < round ? b : a
    fn choose(&mut self) {
        let (a, b) = (self.int(), self.int());
        self.ops().local_get(b).local_get(a);
        self.place(4);
        let offset = self.offset(0);
        self.ops()
            .i32_load(at(offset, 2))
            .local_get(ROUND)
            .i32_lt_u();
        self.ops().select().local_set(a);
    }

    /// a = rotl(a, k) + address
    fn rotate(&mut self) {
        let (a, k) = (self.int(), self.number(31));
        self.ops().local_get(a).i32_const(k).i32_rotl();
        self.place(4);
        self.ops().i32_add().local_set(a);
    }

    /// f = (f + load) * 0.25 + 1, which stays where floats are fast
    fn weigh(&mut self) {
        let f = self.float();
        self.ops().local_get(f);
        self.place(8);
        let offset = self.offset(HALF);
        self.ops().f64_load(at(offset, 3)).f64_add();
        self.ops().f64_const(0.25.into()).f64_mul();
        self.ops().f64_const(1.0.into()).f64_add().local_set(f);
    }

    /// store f * g * 0.25
    fn keep(&mut self) {
        let (f, g) = (self.float(), self.float());
        self.place(8);
        let offset = self.offset(HALF);
        self.ops().local_get(f).local_get(g).f64_mul();
        self.ops().f64_const(0.25.into()).f64_mul();
        self.ops().f64_store(at(offset, 3));
    }

    /// One of four addresses that move with the rounds, below 2^15.
    fn place(&mut self, align: i32) {
        let factor = [4, 12, 20, 36][self.random.below(4)];
        self.ops()
            .local_get(ROUND)
            .i32_const(factor * align / 4)
            .i32_mul();
        self.ops().i32_const(0x7fff & -align).i32_and();
    }

    fn offset(&mut self, base: u64) -> u64 {
        base + 8 * self.random.below(512) as u64
    }

    fn int(&mut self) -> u32 {
        FIRST_INT + self.local(INTS)
    }

    fn float(&mut self) -> u32 {
        FIRST_FLOAT + self.local(FLOATS)
    }

    fn local(&mut self, count: u32) -> u32 {
        u32::try_from(self.random.below(count as usize)).unwrap_or(0)
    }

    /// From 1 to `limit`.
    fn number(&mut self, limit: usize) -> i32 {
        count(1 + self.random.below(limit))
    }
}

fn at(offset: u64, align: u32) -> MemArg {
    MemArg {
        offset,
        align,
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}

/// Numbers here are small.
fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{CALLED, SIZES, called, long};
    use upshift::{Engine, Module, inspect};

    #[test]
    fn modules_are_what_they_are_named() {
        let engine = Engine::default();
        for (name, bytes) in SIZES {
            assert_eq!(long(bytes), long(bytes), "{name}: always the same");
            let module = Module::new(&engine, long(bytes)).expect(name);
            let body = inspect::body_range(&module, 1).len();
            let about = bytes * 7 / 8..bytes * 9 / 8;
            assert!(about.contains(&body), "{name}: {body}");
        }
        let module = Module::new(&engine, called()).expect("a module");
        assert_eq!(module.exports().len(), CALLED);
        assert_eq!(module.imports().len(), 0);
    }
}
