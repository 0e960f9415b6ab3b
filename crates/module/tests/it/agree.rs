//! The same answer as wasmparser's validator alone: simple code is checked without it, so whatever it refuses must be
//! refused here, at the same place, and whatever it accepts must be accepted.

use std::ops::ControlFlow;

use crate::common::{Random, examples};
use upshift_module::{DecodeOptions, ErrorKind, Module};
use wasm_encoder::{
    CodeSection, ConstExpr, FunctionSection, GlobalSection, GlobalType, MemorySection, MemoryType,
    Module as Encoder, RefType, Section as _, TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{
    FuncValidator, FunctionBody, Operator, Parser, ValidPayload, Validator, ValidatorResources,
    WasmFeatures,
};

/// As in the crate.
const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .difference(WasmFeatures::SIMD)
    .union(WasmFeatures::EXTENDED_CONST);

/// Types of functions that bodies can call, by index; [`PARAMS`] are the parameters of the one under test.
const CALLEES: [(&[ValType], &[ValType]); 6] = [
    (&[], &[]),
    (&[ValType::I32, ValType::I64], &[ValType::F32]),
    (&[ValType::F64], &[]),
    (&[], &[ValType::I64]),
    (&[ValType::I32], &[ValType::I32, ValType::I64]),
    (&[ValType::I32, ValType::EXTERNREF], &[ValType::I32]),
];
const PARAMS: [ValType; 5] = [
    ValType::I32,
    ValType::I64,
    ValType::F32,
    ValType::F64,
    ValType::FUNCREF,
];

/// Modules that are alike but for the body of their last function.
struct World {
    /// All but the code section, which comes last.
    declarations: Vec<u8>,
}

impl World {
    fn new(results: &[ValType], memory: bool) -> Self {
        let mut types = TypeSection::new();
        for (params, results) in CALLEES {
            types
                .ty()
                .function(params.iter().copied(), results.iter().copied());
        }
        types.ty().function(PARAMS, results.iter().copied());
        let mut funcs = FunctionSection::new();
        for ty in 0..=6 {
            funcs.function(ty);
        }
        let mut tables = TableSection::new();
        for element_type in [RefType::FUNCREF, RefType::EXTERNREF] {
            tables.table(TableType {
                element_type,
                table64: false,
                minimum: 1,
                maximum: None,
                shared: false,
            });
        }
        let mut memories = MemorySection::new();
        if memory {
            memories.memory(MemoryType {
                minimum: 1,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
        }
        let mut module = Encoder::new();
        module.section(&types).section(&funcs).section(&tables);
        module.section(&memories).section(&globals());
        Self {
            declarations: module.finish(),
        }
    }

    fn module(&self, body: &[u8]) -> Vec<u8> {
        let mut code = CodeSection::new();
        for _ in CALLEES {
            code.raw(&[0, 0x00, 0x0b]);
        }
        code.raw(&[&[0], body].concat());
        let mut bytes = self.declarations.clone();
        code.append_to(&mut bytes);
        bytes
    }
}

fn globals() -> GlobalSection {
    let mut globals = GlobalSection::new();
    for (val_type, mutable, init) in [
        (ValType::I32, true, ConstExpr::i32_const(0)),
        (ValType::I64, false, ConstExpr::i64_const(0)),
        (ValType::F32, true, ConstExpr::f32_const(0.0.into())),
        (
            ValType::EXTERNREF,
            true,
            ConstExpr::ref_null(wasm_encoder::HeapType::EXTERN),
        ),
    ] {
        globals.global(
            GlobalType {
                val_type,
                mutable,
                shared: false,
            },
            &init,
        );
    }
    globals
}

/// Compares the two on one module. Whether it is valid.
fn compare(bytes: &[u8], what: impl FnOnce() -> String) -> bool {
    let expected = Validator::new_with_features(FEATURES)
        .validate_all(bytes)
        .map(|_| ());
    let found = Module::validate(bytes, &DecodeOptions::default());
    let agree = match (&expected, &found) {
        (Ok(_), Ok(())) => true,
        // Where it is, not what it says: some kinds of error are worded anew.
        (Err(expected), Err(found)) => usize::try_from(expected.offset()) == Ok(found.offset()),
        (Ok(_), Err(found)) => found.kind() == ErrorKind::Limit,
        (Err(_), Ok(())) => false,
    };
    let what = if agree { String::new() } else { what() };
    assert!(agree, "{what}: expected {expected:?}, found {found:?}");
    found.is_ok()
}

/// What validation counted in each body, against a count by wasmparser's validator alone.
fn compare_counts(bytes: &[u8]) {
    let module = Module::new(bytes.to_vec(), &DecodeOptions::default()).expect("it is valid");
    let counted: Vec<(u32, u32)> = module
        .funcs()
        .map(|func| {
            let outline = func.outline();
            (outline.max_operands(), outline.loops().into())
        })
        .collect();
    let mut validator = Validator::new_with_features(FEATURES);
    let mut expected = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.expect("it is valid");
        let payload = validator.payload(&payload).expect("it is valid");
        if let ValidPayload::Func(func, body) = payload {
            expected.push(count(func.into_validator(Default::default()), &body));
        }
    }
    assert_eq!(counted, expected);
}

/// Most operands, and loops.
fn count(mut validator: FuncValidator<ValidatorResources>, body: &FunctionBody<'_>) -> (u32, u32) {
    let mut locals = body.get_binary_reader();
    validator.read_locals(&mut locals).expect("it is valid");
    let mut operators = body.get_operators_reader().expect("it is valid");
    let (mut most, mut loops) = (0, 0);
    while !operators.eof() {
        let offset = operators.original_position();
        let operator = operators.read().expect("it is valid");
        validator.op(offset, &operator).expect("it is valid");
        most = most.max(validator.operand_stack_height());
        loops += u32::from(matches!(operator, Operator::Loop { .. }));
    }
    (most, loops)
}

/// Opcodes of operators that take three operands.
const SELECT: u8 = 0x1b;
const BULK: u8 = 0xfc;

/// What comes before the operator: nothing, a block with nothing of its own, blocks with values, dead code.
const BEFORE: [&[u8]; 6] = [
    &[],
    &[0x41, 0, 0x42, 0, 0x43, 0, 0, 0, 0, 0x02, 0x40],
    &[0x41, 0, 0x03, 0x40],
    &[0x41, 1, 0x04, 0x40],
    &[0x02, 0x7e],
    &[0x02, 0x40, 0x00],
];

/// What comes after it: an operator that takes a value of each type, or none.
const AFTER: [&[u8]; 6] = [
    &[],
    &[0x21, 0],
    &[0x21, 1],
    &[0x21, 2],
    &[0x21, 3],
    &[0x0b, 0x1a],
];

/// Immediates; those that are too many are operators of their own.
fn immediates(opcode: u8) -> Vec<Vec<u8>> {
    if (0x45..=0xc4).contains(&opcode) {
        return vec![vec![]];
    }
    let mut all = vec![vec![], vec![0]];
    if opcode > 0xc4 && opcode != 0xfc {
        return all;
    }
    for bytes in [
        &[1][..],
        &[2],
        &[3],
        &[4],
        &[5],
        &[6],
        &[0x40],
        &[0x7f],
        &[0, 0],
        &[0, 1],
        &[1, 0],
        &[2, 0],
        &[3, 0],
        &[4, 0],
        &[0x80, 0],
        &[0x83, 0],
        &[0x80, 0x80, 0x80, 0x01],
        &[0, 0x80, 0x80, 0x80, 0x80, 0x07],
        &[0; 8],
        &[0x0a, 0, 0],
        &[0x0a, 0, 1],
        &[0x0b, 0],
        &[0x0b, 1],
        &[0x0e, 0],
        // The tables of three labels.
        &[2, 0, 0, 0],
        &[2, 0, 1, 0],
        &[2, 0, 2, 0],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02],
    ] {
        all.push(bytes.to_vec());
    }
    for last in [0x00, 0x07, 0x08, 0x0f, 0x10, 0x70, 0x77, 0x78, 0x7f, 0x80] {
        all.push(vec![0x80, 0x80, 0x80, 0x80, last]);
    }
    all
}

/// Combinations of so many operands, as the operators that push them.
fn operands(most: usize) -> Vec<Vec<u8>> {
    let mut all = vec![vec![]];
    let mut longest = all.clone();
    for _ in 0..most {
        let longer = longest
            .iter()
            .flat_map(|shorter| (0..5).map(|local| [&shorter[..], &[0x20, local]].concat()));
        longest = longer.collect();
        all.extend(longest.iter().cloned());
    }
    all
}

#[test]
fn every_operator_on_all_operands() {
    let world = World::new(&[], true);
    let mut valid = 0;
    for opcode in 0..=255_u8 {
        let most = if matches!(opcode, SELECT | BULK) {
            3
        } else {
            2
        };
        for immediate in immediates(opcode) {
            // Long immediates matter in one place as in another.
            let places = if immediate.len() > 1 { 2 } else { BEFORE.len() };
            for operands in operands(most) {
                for before in &BEFORE[..places] {
                    for after in &AFTER[..places] {
                        let body = [*before, &operands, &[opcode], &immediate, after, &[0, 0x0b]];
                        let mut body = body.concat();
                        if before.ends_with(&[0x40]) || before.len() > 1 {
                            body.push(0x0b);
                        }
                        let bytes = world.module(&body);
                        valid += u32::from(compare(&bytes, || format!("{body:02x?}")));
                    }
                }
            }
        }
    }
    assert!(valid > 10_000, "only {valid} were valid");
}

#[test]
fn an_access_without_a_memory() {
    let world = World::new(&[], false);
    for opcode in 0x28..=0x3e {
        let body = [0x20, 0, 0x20, 0, opcode, 0, 0, 0x00, 0x0b];
        assert!(!compare(&world.module(&body), || format!("{body:02x?}")));
    }
}

/// Bodies that mostly make sense, half of them with a byte changed.
#[test]
fn random_bodies() {
    let mut random = Random::new();
    let mut valid = 0;
    let worlds = [
        World::new(&[], true),
        World::new(&[], false),
        World::new(&[ValType::I32], true),
        World::new(&[ValType::I64, ValType::I32], true),
    ];
    let rounds = 40_000;
    for round in 0..rounds {
        let world = &worlds[random.below(worlds.len())];
        let mut body = Body::default().generate(&mut random);
        if round % 2 == 1 {
            let at = random.below(body.len());
            body[at] = match random.below(3) {
                0 => 0x0b,
                1 => u8::try_from(random.below(0x24)).expect("a byte"),
                _ => u8::try_from(random.below(256)).expect("a byte"),
            };
        }
        let bytes = world.module(&body);
        if compare(&bytes, || format!("{body:02x?}")) {
            compare_counts(&bytes);
            valid += 1;
        }
    }
    assert!(valid > rounds / 10, "only {valid} were valid");
}

/// A body in the making: what is on the stack, and where each block began.
#[derive(Default)]
struct Body {
    code: Vec<u8>,
    types: Vec<u8>,
    blocks: Vec<usize>,
}

impl Body {
    fn generate(mut self, random: &mut Random) -> Vec<u8> {
        for _ in 0..random.below(60) {
            if self.step(random).is_break() {
                break;
            }
        }
        while let Some(start) = self.blocks.pop() {
            self.drop_to(start);
            self.code.push(0x0b);
        }
        // Whatever the results are.
        self.code.extend([0x00, 0x0b]);
        self.code
    }

    fn drop_to(&mut self, height: usize) {
        while self.types.len() > height {
            self.types.pop();
            self.code.push(0x1a);
        }
    }

    fn floor(&self) -> usize {
        self.blocks.last().copied().unwrap_or(0)
    }

    /// Adds an operator or two.
    fn step(&mut self, random: &mut Random) -> ControlFlow<()> {
        let choice = random.below(24);
        let byte = |n: usize| u8::try_from(n).expect("a byte");
        let above = self.types.len() - self.floor();
        match choice {
            0..6 => {
                let local = byte(random.below(5));
                self.code.extend([0x20, local]);
                self.types.push(local);
            }
            6..8 => {
                self.code.extend([0x41, byte(random.below(128))]);
                self.types.push(0);
            }
            8..12 if above >= 2 => self.binary(random),
            12 if above >= 1 => {
                let ty = self.types.pop().unwrap_or(0);
                self.code.extend([0x21, ty]);
            }
            13 if above >= 1 => {
                let ty = self.types.last().copied().unwrap_or(0);
                self.code.extend([0x22, ty]);
            }
            14..17 => {
                self.code.extend([byte(0x02 + random.below(2)), 0x40]);
                self.blocks.push(self.types.len());
            }
            17 => {
                self.code.extend([0x20, 0, 0x04, 0x40]);
                self.blocks.push(self.types.len());
            }
            18 if random.below(2) == 0 && !self.blocks.is_empty() => {
                let labels = self.blocks.len() + 1;
                self.code.extend([0x20, 0, 0x0e, 2]);
                for _ in 0..3 {
                    self.code.push(byte(random.below(labels)));
                }
                let start = self.floor();
                self.types.truncate(start);
                self.blocks.pop();
                self.code.push(0x0b);
            }
            18 => {
                let depth = random.below(self.blocks.len() + 1);
                self.code.extend([0x20, 0, 0x0d, byte(depth)]);
            }
            19 => {
                let callee = byte(random.below(6));
                self.code.extend([0x10, callee]);
            }
            20..22 if !self.blocks.is_empty() => {
                let start = self.floor();
                self.drop_to(start);
                self.blocks.pop();
                if random.below(4) == 0 {
                    self.code
                        .extend([0x0c, byte(random.below(self.blocks.len() + 1))]);
                }
                self.code.push(0x0b);
            }
            22 if random.below(4) == 0 => self.code.push(byte(random.below(0x45))),
            23 if random.below(8) == 0 => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// An operator that fits the two operands on top, if there is one.
    fn binary(&mut self, random: &mut Random) {
        let byte = |n: usize| u8::try_from(n).expect("a byte");
        let [.., left, right] = self.types[..] else {
            return;
        };
        let (opcode, result) = match (left, right) {
            (0, 0) => (byte(0x6a + random.below(15)), 0),
            (1, 1) => (byte(0x7c + random.below(15)), 1),
            (2, 2) => (0x92, 2),
            (3, 3) => (0xa0, 3),
            _ => return,
        };
        self.code.push(opcode);
        self.types.pop();
        self.types.pop();
        self.types.push(result);
    }
}

/// Real code with a few bytes changed.
#[test]
fn mutated_programs() {
    let mut random = Random::new();
    for (name, bytes) in examples() {
        assert!(compare(&bytes, || name.clone()));
        compare_counts(&bytes);
        for _ in 0..200 {
            let mut bytes = bytes.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = u8::try_from(random.below(256)).expect("a byte");
            }
            // Which of two errors is reported may differ, since bodies come after all declarations here.
            let expected = Validator::new_with_features(FEATURES).validate_all(&bytes);
            let found = Module::validate(&bytes, &DecodeOptions::default());
            assert_eq!(expected.is_ok(), found.is_ok(), "{name}: {found:?}");
        }
    }
}
