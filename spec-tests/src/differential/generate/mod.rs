//! Random modules of structured code over many live values: nested loops and branches that carry values, calls
//! with many arguments and results, memory, tables and globals.

mod control;
mod operator;

use crate::differential::random::{
    INTERESTING_F32, INTERESTING_F64, INTERESTING_I32, INTERESTING_I64, Random,
};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, HeapType,
    ImportSection, Instruction as I, MemorySection, MemoryType, Module, RefType, TableSection,
    TableType, TypeSection, ValType,
};

/// An index or a count of what a generated module has little of.
fn small(n: usize) -> u32 {
    u32::try_from(n).expect("generated modules are small")
}

#[derive(Clone)]
struct Sig {
    params: Vec<ValType>,
    results: Vec<ValType>,
}

/// The module that the numbers give.
pub(crate) fn module(random: &mut Random) -> Vec<u8> {
    let count = 2 + random.below(6);
    let imports = vec![
        Sig {
            params: vec![ValType::I32, ValType::F64],
            results: vec![ValType::I64],
        },
        Sig {
            params: (0..13)
                .map(|i| [ValType::I32, ValType::I64, ValType::F32, ValType::F64][i * 7 % 4])
                .collect(),
            results: (0..11)
                .map(|i| [ValType::I64, ValType::F32, ValType::I32, ValType::F64][i * 3 % 4])
                .collect(),
        },
        Sig {
            params: vec![ValType::I64],
            results: vec![],
        },
    ];
    let mut sigs = imports.clone();
    for _ in 0..count {
        let sig = Sig {
            params: types(random),
            results: types(random),
        };
        sigs.push(sig);
    }
    let globals: Vec<ValType> = (0..2 + random.below(6)).map(|_| ty(random)).collect();
    let shared = Shared {
        imports: imports.len(),
        sigs,
        globals,
        blocks: Vec::new(),
    };
    assemble(random, shared)
}

fn ty(random: &mut Random) -> ValType {
    match random.below(26) {
        0..9 => ValType::I32,
        9..15 => ValType::I64,
        15..19 => ValType::F32,
        19..25 => ValType::F64,
        _ => ValType::Ref(RefType::FUNCREF),
    }
}

fn types(random: &mut Random) -> Vec<ValType> {
    let n = match random.below(10) {
        0 => 0,
        1..7 => 1 + random.below(4),
        7..9 => 4 + random.below(8),
        _ => 9 + random.below(16),
    };
    (0..n).map(|_| ty(random)).collect()
}

struct Shared {
    imports: usize,
    sigs: Vec<Sig>,
    globals: Vec<ValType>,
    blocks: Vec<Sig>,
}

/// Entries of the table.
const TABLE: u32 = 16;

fn assemble(random: &mut Random, mut shared: Shared) -> Vec<u8> {
    let n = shared.sigs.len();
    let bodies: Vec<Function> = (shared.imports..n)
        .map(|f| Body::generate(random, &mut shared, f))
        .collect();
    let mut module = Module::new();
    let mut section = TypeSection::new();
    for sig in shared.sigs.iter().chain(&shared.blocks) {
        section
            .ty()
            .function(sig.params.iter().copied(), sig.results.iter().copied());
    }
    module.section(&section);
    let mut section = ImportSection::new();
    for i in 0..shared.imports {
        section.import("h", &format!("f{i}"), EntityType::Function(small(i)));
    }
    module.section(&section);
    let mut section = FunctionSection::new();
    for f in shared.imports..n {
        section.function(small(f));
    }
    module.section(&section);
    table_and_memory(&mut module);
    module.section(&globals(random, &shared.globals));
    let mut section = ExportSection::new();
    for f in shared.imports..n {
        section.export(&format!("f{f}"), ExportKind::Func, small(f));
    }
    section.export("m", ExportKind::Memory, 0);
    section.export("t", ExportKind::Table, 0);
    for g in 0..=shared.globals.len() {
        section.export(&format!("g{g}"), ExportKind::Global, small(g));
    }
    module.section(&section);
    let mut section = ElementSection::new();
    let funcs: Vec<u32> = (0..TABLE - 2).map(|i| i % small(n)).collect();
    section.active(
        None,
        &ConstExpr::i32_const(0),
        Elements::Functions(funcs.into()),
    );
    module.section(&section);
    let mut section = CodeSection::new();
    for body in &bodies {
        section.function(body);
    }
    module.section(&section);
    let mut section = DataSection::new();
    let bytes: Vec<u8> = (0..512).map(|_| random.next().to_le_bytes()[0]).collect();
    section.active(0, &ConstExpr::i32_const(0), bytes);
    module.section(&section);
    module.finish()
}

fn table_and_memory(module: &mut Module) {
    let mut section = TableSection::new();
    section.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: u64::from(TABLE),
        maximum: Some(40),
        shared: false,
    });
    module.section(&section);
    let mut section = MemorySection::new();
    section.memory(MemoryType {
        minimum: 1,
        maximum: Some(3),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    module.section(&section);
}

/// The fuel in global 0, and the globals of functions.
fn globals(random: &mut Random, types: &[ValType]) -> GlobalSection {
    let mut section = GlobalSection::new();
    let fuel = 200 + random.below(300);
    section.global(
        GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        },
        &ConstExpr::i32_const(fuel.cast_signed()),
    );
    for g in types {
        let init = match g {
            ValType::I32 => ConstExpr::i32_const(random.pick(&INTERESTING_I32)),
            ValType::I64 => ConstExpr::i64_const(random.pick(&INTERESTING_I64)),
            ValType::F32 => ConstExpr::f32_const(random.pick(&INTERESTING_F32).into()),
            ValType::F64 => ConstExpr::f64_const(random.pick(&INTERESTING_F64).into()),
            ValType::V128 | ValType::Ref(_) => ConstExpr::ref_null(HeapType::FUNC),
        };
        section.global(
            GlobalType {
                val_type: *g,
                mutable: true,
                shared: false,
            },
            &init,
        );
    }
    section
}

struct Body<'a> {
    random: &'a mut Random,
    shared: &'a mut Shared,
    locals: Vec<ValType>,
    /// Locals below this one may be written.
    scratch32: u32,
    scratch64: u32,
    /// What a branch to each label carries, outermost first.
    labels: Vec<Vec<ValType>>,
    out: Vec<I<'static>>,
    budget: i32,
}

impl<'a> Body<'a> {
    fn generate(random: &'a mut Random, shared: &'a mut Shared, index: usize) -> Function {
        let sig = shared.sigs[index].clone();
        let mut locals = sig.params.clone();
        let extra = if random.chance(30) {
            random.below(50)
        } else {
            random.below(12)
        };
        let declared: Vec<ValType> = (0..extra)
            .map(|_| ty(random))
            .chain([ValType::I32, ValType::I64, ValType::F32, ValType::F64])
            .chain([ValType::F32, ValType::F64])
            .collect();
        locals.extend(&declared);
        let scratch32 = small(locals.len()) - 2;
        let budget = 50 + random.below(400).cast_signed();
        let mut body = Body {
            random,
            shared,
            scratch32,
            scratch64: scratch32 + 1,
            locals: locals[..scratch32 as usize].to_vec(),
            labels: vec![sig.results.clone()],
            out: Vec::new(),
            budget,
        };
        body.run(&sig);
        let mut function = Function::new_with_locals_types(declared);
        for i in &body.out {
            function.instruction(i);
        }
        function
    }

    fn run(&mut self, sig: &Sig) {
        // Out of fuel: the function gives constants.
        self.fuel();
        self.out.push(I::If(BlockType::Empty));
        for r in sig.results.clone() {
            self.constant(r);
        }
        self.out.extend([I::Return, I::End]);
        let n = 2 + self.random.below(10);
        for _ in 0..n {
            self.statement(4);
        }
        for r in sig.results.clone() {
            self.expression(r, 4);
        }
        self.out.push(I::End);
    }

    /// Takes one unit; leaves whether none is left.
    fn fuel(&mut self) {
        self.out.extend([
            I::GlobalGet(0),
            I::I32Const(1),
            I::I32Sub,
            I::GlobalSet(0),
            I::GlobalGet(0),
            I::I32Const(0),
            I::I32LtS,
        ]);
    }

    fn constant(&mut self, ty: ValType) {
        let i = match ty {
            ValType::I32 => I::I32Const(if self.random.chance(30) {
                self.random.next_i32()
            } else {
                self.random.pick(&INTERESTING_I32)
            }),
            ValType::I64 => I::I64Const(if self.random.chance(30) {
                self.random.next().cast_signed()
            } else {
                self.random.pick(&INTERESTING_I64)
            }),
            ValType::F32 => I::F32Const(self.random.pick(&INTERESTING_F32).into()),
            ValType::F64 => I::F64Const(self.random.pick(&INTERESTING_F64).into()),
            ValType::V128 | ValType::Ref(_) if self.random.chance(60) => I::RefFunc(
                self.random
                    .below((TABLE - 2).min(small(self.shared.sigs.len()))),
            ),
            ValType::V128 | ValType::Ref(_) => I::RefNull(HeapType::FUNC),
        };
        self.out.push(i);
    }

    fn local(&mut self, ty: ValType) -> Option<u32> {
        let all: Vec<u32> = (0..small(self.locals.len()))
            .filter(|&l| self.locals[l as usize] == ty)
            .collect();
        (!all.is_empty()).then(|| self.random.pick(&all))
    }

    fn global(&mut self, ty: ValType) -> Option<u32> {
        let all: Vec<u32> = (0..self.shared.globals.len())
            .filter(|&g| self.shared.globals[g] == ty)
            .map(|g| small(g) + 1)
            .collect();
        (!all.is_empty()).then(|| self.random.pick(&all))
    }

    fn leaf(&mut self, ty: ValType) {
        let kind = self.random.below(10);
        if kind < 6
            && let Some(l) = self.local(ty)
        {
            self.out.push(I::LocalGet(l));
        } else if kind < 8
            && let Some(g) = self.global(ty)
        {
            self.out.push(I::GlobalGet(g));
        } else {
            self.constant(ty);
        }
    }

    /// An expression whose bits may be looked at: any NaN becomes the canonical one.
    fn observed(&mut self, ty: ValType, depth: u32) {
        self.expression(ty, depth);
        match ty {
            ValType::F32 => {
                let l = self.scratch32;
                self.out.extend([
                    I::LocalTee(l),
                    I::F32Const(f32::NAN.into()),
                    I::LocalGet(l),
                    I::LocalGet(l),
                    I::F32Eq,
                    I::Select,
                ]);
            }
            ValType::F64 => {
                let l = self.scratch64;
                self.out.extend([
                    I::LocalTee(l),
                    I::F64Const(f64::NAN.into()),
                    I::LocalGet(l),
                    I::LocalGet(l),
                    I::F64Eq,
                    I::Select,
                ]);
            }
            ValType::I32 | ValType::I64 | ValType::V128 | ValType::Ref(_) => {}
        }
    }

    /// The immediate of a branch to a label.
    fn depth_of(&self, label: usize) -> u32 {
        small(self.labels.len() - 1 - label)
    }
}
