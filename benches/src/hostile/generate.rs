//! The generators: each a pure function of a size.

use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, InstructionSink,
    MemArg, MemArgTarget, MemorySection, MemoryType, Module, TypeSection, ValType,
};

/// Most locals of a function.
const LOCALS: u32 = 50_000;
/// Blocks nested in each other, below the limit of 65,536.
const DEEP: usize = 60_000;
/// Values of the widest types.
const WIDE: usize = 1_000;
/// Locals of ordinary code, parameters included.
const ORDINARY_LOCALS: u32 = 8;

/// Ordinary code in small functions, so many bytes of it.
pub(super) fn small(bytes: usize) -> Vec<u8> {
    let mut builder = Builder::new();
    let mut made = 0;
    while made < bytes {
        made += builder.body(I32_TO_I32, ORDINARY_LOCALS - 2, |code| {
            for at in 0..8 {
                code.statement(at);
            }
            code.ops().local_get(0);
        });
    }
    builder.finish()
}

/// The code of [`small`] in one function.
pub(super) fn huge(bytes: usize) -> Vec<u8> {
    one(I32_TO_I32, ORDINARY_LOCALS - 2, |code| {
        for at in 0.. {
            if code.len() >= bytes {
                break;
            }
            code.statement(at);
        }
        code.ops().local_get(0);
    })
}

/// So many functions of a few bytes; `_start` calls each hundredth.
pub(super) fn many_tiny(count: usize) -> Vec<u8> {
    let mut builder = Builder::empty();
    let called = (1..=count).step_by(100);
    builder.body(NOTHING, 0, |code| {
        for func in called {
            code.ops()
                .i32_const(1)
                .i32_const(2)
                .call(short(func))
                .drop();
        }
    });
    for at in 0..count {
        builder.body(I32_TO_I32, 0, |code| {
            let constant = i32::try_from(at % 64).unwrap_or(0);
            code.ops().local_get(0).local_get(1).i32_add();
            code.ops().i32_const(constant).i32_xor();
        });
    }
    builder.finish()
}

/// The most locals, and loops that each write one of them.
pub(super) fn locals_by_loops(bytes: usize) -> Vec<u8> {
    one(NOTHING, LOCALS, |code| {
        let mut local = 0;
        while code.len() < bytes {
            // Coprime to the number of locals, so that each has its turn.
            local = (local + 7_919) % LOCALS;
            code.ops().loop_(BlockType::Empty);
            code.count(local);
            code.ops().br_if(0).end();
        }
    })
}

/// The most locals, all of them written once, and as many loops as fit.
pub(super) fn bare_loops(bytes: usize) -> Vec<u8> {
    one(NOTHING, LOCALS, |code| {
        for local in 0..LOCALS.min(short(bytes / 16)) {
            code.ops().local_get(local / 2).local_set(local);
        }
        while code.len() < bytes {
            code.ops().loop_(BlockType::Empty).end();
        }
    })
}

/// The most locals, and loops nested as deep as they go, each of which writes one of them.
pub(super) fn deep_loops(bytes: usize) -> Vec<u8> {
    one(NOTHING, LOCALS, |code| {
        let mut local = 0;
        while code.len() < bytes {
            let depth = DEEP.min((bytes - code.len()) / 16 + 1);
            for _ in 0..depth {
                local = (local + 7_919) % LOCALS;
                code.ops().loop_(BlockType::Empty);
                code.count(local);
                code.ops().drop();
            }
            for _ in 0..depth {
                code.ops().end();
            }
        }
    })
}

/// Blocks nested as deep as they go, with a branch out of all of them in each.
pub(super) fn deep_blocks(bytes: usize) -> Vec<u8> {
    one(I32_TO_I32, ORDINARY_LOCALS - 2, |code| {
        while code.len() < bytes {
            let depth = DEEP.min((bytes - code.len()) / 10 + 1);
            for at in 0..depth {
                code.ops().block(BlockType::Empty);
                code.ops().local_get(short(at) % ORDINARY_LOCALS);
                code.ops().br_if(short(at));
            }
            for at in 0..depth {
                code.ops().i32_const(1);
                code.ops().local_set(short(at) % ORDINARY_LOCALS).end();
            }
        }
        code.ops().local_get(0);
    })
}

/// Many operands that wait on the stack while control flows above them.
pub(super) fn tall_stack(bytes: usize) -> Vec<u8> {
    let operands = 120_000.min(bytes / 8);
    one(I32_TO_I32, ORDINARY_LOCALS - 2, |code| {
        for at in 0..operands {
            code.ops().local_get(short(at) % ORDINARY_LOCALS);
        }
        let mut local = 0;
        while code.len() + operands < bytes {
            local = (local + 1) % ORDINARY_LOCALS;
            code.ops().block(BlockType::Empty).local_get(local);
            code.ops().br_if(0).end();
            code.ops().local_get(local).if_(BlockType::Empty);
            code.ops().i32_const(7).local_set(local).else_().end();
            code.ops().loop_(BlockType::Empty);
            code.count(local);
            code.ops().br_if(0).end();
        }
        for _ in 1..operands {
            code.ops().drop();
        }
    })
}

/// Blocks of the most results, with branches to their end.
pub(super) fn wide_merges(bytes: usize) -> Vec<u8> {
    one(I32_TO_I32, ORDINARY_LOCALS - 2, |code| {
        while code.len() < bytes {
            code.ops().block(BlockType::FunctionType(NOTHING_TO_WIDE));
            for at in 0..WIDE {
                code.ops().local_get(short(at) % ORDINARY_LOCALS);
            }
            for at in 0..32 {
                code.ops().local_get(at % ORDINARY_LOCALS).br_if(0);
            }
            code.ops().end();
            for _ in 0..WIDE {
                code.ops().drop();
            }
        }
        code.ops().local_get(0);
    })
}

/// Tables of many targets, which are all different.
pub(super) fn br_tables(bytes: usize) -> Vec<u8> {
    let (blocks, targets) = (WIDE, 10_000);
    one(I32_TO_I32, ORDINARY_LOCALS - 2, |code| {
        while code.len() < bytes {
            for _ in 0..blocks {
                code.ops().block(BlockType::Empty);
            }
            code.ops().local_get(0);
            let labels: Vec<u32> = (0..targets).map(|at| short(at % blocks)).collect();
            code.ops().br_table(labels, 0);
            for at in 0..blocks {
                code.ops().end().i32_const(1);
                code.ops().local_set(short(at) % ORDINARY_LOCALS);
            }
        }
        code.ops().local_get(0);
    })
}

/// Calls with the most parameters.
pub(super) fn wide_calls(bytes: usize) -> Vec<u8> {
    let mut builder = Builder::new();
    let callee = builder.next_func();
    builder.body(WIDE_TO_NOTHING, 0, |_| ());
    builder.body(I32_TO_I32, ORDINARY_LOCALS - 2, |code| {
        while code.len() < bytes {
            for at in 0..WIDE {
                code.ops().local_get(short(at) % ORDINARY_LOCALS);
            }
            code.ops().call(callee);
        }
        code.ops().local_get(0);
    });
    builder.finish()
}

/// So many calls that each take the thousand results of the one before: the most work that a byte of a body can ask
/// for, bounded by the limit of operand types compared and not by the size of the body.
pub(super) fn chained_calls(calls: usize) -> Vec<u8> {
    let mut builder = Builder::new();
    let callee = builder.next_func();
    builder.body(WIDE_TO_WIDE, 0, |code| {
        for at in 0..WIDE {
            code.ops().local_get(short(at));
        }
    });
    builder.body(I32_TO_I32, 0, |code| {
        for _ in 0..WIDE {
            code.ops().local_get(0);
        }
        for _ in 0..calls {
            code.ops().call(callee);
        }
        for _ in 1..WIDE {
            code.ops().drop();
        }
    });
    builder.finish()
}

/// A module whose one function, beside `_start`, is this.
fn one(ty: u32, locals: u32, write: impl FnOnce(&mut Code)) -> Vec<u8> {
    let mut builder = Builder::new();
    builder.body(ty, locals, write);
    builder.finish()
}

/// Types of all modules here, by index.
const NOTHING: u32 = 0;
const I32_TO_I32: u32 = 1;
const NOTHING_TO_WIDE: u32 = 2;
const WIDE_TO_NOTHING: u32 = 3;
const WIDE_TO_WIDE: u32 = 4;

/// A module in the making.
struct Builder {
    funcs: FunctionSection,
    code: CodeSection,
}

impl Builder {
    /// A module whose `_start` does nothing.
    fn new() -> Self {
        let mut builder = Self::empty();
        builder.body(NOTHING, 0, |_| ());
        builder
    }

    /// A module whose first body will be `_start`.
    fn empty() -> Self {
        Self {
            funcs: FunctionSection::new(),
            code: CodeSection::new(),
        }
    }

    /// Index of the next function.
    fn next_func(&self) -> u32 {
        self.funcs.len()
    }

    /// Adds a function; the size of its body in bytes.
    fn body(&mut self, ty: u32, locals: u32, write: impl FnOnce(&mut Code)) -> usize {
        let mut code = Code(Function::new([(locals, ValType::I32)]));
        write(&mut code);
        code.ops().end();
        self.funcs.function(ty);
        self.code.function(&code.0);
        code.len()
    }

    fn finish(self) -> Vec<u8> {
        let wide = || std::iter::repeat_n(ValType::I32, WIDE);
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I32; 2], [ValType::I32]);
        types.ty().function([], wide());
        types.ty().function(wide(), []);
        types.ty().function(wide(), wide());
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 2,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("_start", ExportKind::Func, 0);
        let mut module = Module::new();
        module.section(&types).section(&self.funcs);
        module.section(&memories).section(&exports);
        module.section(&self.code);
        module.finish()
    }
}

/// A body in the making.
struct Code(Function);

impl Code {
    fn ops(&mut self) -> InstructionSink<'_> {
        self.0.instructions()
    }

    /// Bytes so far.
    fn len(&self) -> usize {
        self.0.byte_len()
    }

    /// Counts a local up and asks whether it is still below nine.
    fn count(&mut self, local: u32) {
        self.ops().local_get(local).i32_const(1).i32_add();
        self.ops().local_tee(local).i32_const(9).i32_lt_s();
    }

    /// What ordinary code does: arithmetic, a condition, memory, now and then a loop.
    fn statement(&mut self, at: u32) {
        let local = |k: u32| (at * 5 + k * 3) % ORDINARY_LOCALS;
        let (a, b, c) = (local(0), local(1), local(2));
        let place = MemArg {
            offset: u64::from(at % 4096) * 4,
            align: 2,
            target: MemArgTarget::Memory(0),
            ordering: None,
        };
        self.ops().block(BlockType::Empty);
        self.ops().local_get(a).local_get(b).i32_lt_u().br_if(0);
        self.ops().local_get(a).local_get(b).i32_add().local_set(c);
        self.ops().local_get(c).i32_const(0xfff8).i32_and();
        self.ops().local_get(a).i32_store(place).end();
        self.ops().local_get(b).i32_const(0xfff8).i32_and();
        self.ops().i32_load(place).local_set(a);
        if at.is_multiple_of(4) {
            self.ops().loop_(BlockType::Empty);
            self.count(c);
            self.ops().br_if(0).end();
        }
    }
}

/// Indices and counts here are small.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
