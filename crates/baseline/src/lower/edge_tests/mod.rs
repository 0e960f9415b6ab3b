//! The moves of branches, labels, loop headers, arms and calls, on their own: drawn states of the compiler, the code that it
//! emits for them, and a machine that runs it. Afterwards every value must be where the compiler says it is.
//!
//! States are drawn within the invariants of `lower/merge.rs` but beyond what operators happen to produce: any operand may be
//! a constant, in a register, an alias of a local or in its slot; any local at home, cached, dirty, in its slot or not yet
//! cleared; registers that may hold junk above a value do.

mod world;

use super::{Lower, Scratch};
use crate::isa::x64::Asm;
use crate::isa::x64::machine::{AREA, Machine, STACK};
use crate::isa::x64::regs::R11;
use crate::isa::{Reg, RegSet};
use crate::lower::merge::SCRATCH;
use crate::state::labels::{Block, BlockKind, REG_RESULTS_MAX};
use crate::state::moves::Moves;
use crate::state::value::{Place, Ty};
use std::fmt::Write as _;
use upshift_abi::{
    ArgLoc, CompileEnv, CompileOptions, CpuFeatures, MemoryStyle, ResultLoc, SignatureLayout,
    TypeId, VmLayout,
};
use upshift_module::ops::BlockType;
use upshift_module::{DecodeOptions, FactGatherer, Module, TypeIndex};
use world::{Below, World, bytes};

/// Types that operands may have.
const TYPES: [Ty; 6] = [
    Ty::I32,
    Ty::I64,
    Ty::F32,
    Ty::F64,
    Ty::FuncRef,
    Ty::ExternRef,
];
/// Edges to one label.
const EDGES: usize = 4;

/// A stream of numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(len).unwrap()).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.index(100) < percent
    }

    /// A value of a type: any bits, few bits, or none.
    fn value(&mut self, ty: Ty) -> u64 {
        let bits = match self.index(4) {
            0 => 0,
            1 => self.next().cast_signed().wrapping_shr(57).cast_unsigned(),
            _ => self.next(),
        };
        if bytes(ty) == 4 {
            bits & u64::from(u32::MAX)
        } else {
            bits
        }
    }

    /// A constant of a type; null is the only one among references.
    fn constant(&mut self, ty: Ty) -> u64 {
        if ty.is_ref() { 0 } else { self.value(ty) }
    }

    fn types(&mut self, most: usize) -> Vec<Ty> {
        // Few types at a time, so that registers of one class run out.
        let kinds = 1 + self.index(TYPES.len());
        let from = self.index(TYPES.len());
        (0..self.index(most + 1))
            .map(|_| TYPES[(from + self.index(kinds)) % TYPES.len()])
            .collect()
    }
}

fn text(keyword: &str, types: &[Ty]) -> String {
    let mut out = format!("({keyword}");
    for ty in types {
        let name = match ty {
            Ty::FuncRef => "funcref".to_owned(),
            Ty::ExternRef => "externref".to_owned(),
            Ty::I32 | Ty::I64 | Ty::F32 | Ty::F64 | Ty::V128 => format!("{ty:?}").to_lowercase(),
        };
        write!(out, " {name}").unwrap();
    }
    out.push(')');
    out
}

/// What a seed's function is made of.
struct Shape {
    /// Results of the function, of the block, and parameters of the callee.
    types: [Vec<Ty>; 3],
}

/// Sets the middle of a function up.
fn with_world(seed: u64, test: impl FnOnce(&mut World<'_>, &Shape, &CompileEnv<'_>, &mut Random)) {
    let mut random = Random::new(seed);
    let types = [random.types(12), random.types(7), random.types(14)];
    let shape = Shape { types };
    let [results, block, callee] = &shape.types;
    let text = format!(
        "(module (type (func {})) (type (func {} {})) (type (func {} {})) (func (type 0) unreachable))",
        text("result", results),
        text("param", block),
        text("result", block),
        text("param", callee),
        // Many results move the arguments: a pointer comes first.
        text(
            "result",
            &[Ty::I32; 9][..if random.chance(20) { 9 } else { 0 }]
        ),
    );
    let module = wat::parse_str(text).unwrap();
    let module = Module::new(module, &DecodeOptions::default()).unwrap();
    let env = module.env();
    let layout = VmLayout::new(env);
    let signatures: Vec<SignatureLayout> = env.types.iter().map(SignatureLayout::new).collect();
    let type_ids = vec![TypeId::FIRST; env.types.len()];
    let env = CompileEnv {
        layout: &layout,
        signatures: &signatures,
        type_ids: &type_ids,
        memory_style: MemoryStyle::Checked,
        cpu: CpuFeatures::SSE41,
        interruption: false,
        profile: None,
    };
    let options = CompileOptions::default();
    let func = module.funcs().next().unwrap();
    let mut gatherer = FactGatherer::default();
    let facts = gatherer.gather(func);
    let lower = Lower::new((func, facts), &env, &options, Scratch::default());
    let mut world = World::new(lower, &mut random);
    test(&mut world, &shape, &env, &mut random);
}

/// Operands below a block.
fn below(random: &mut Random) -> Vec<Below> {
    let types = random.types(6);
    types
        .into_iter()
        .map(|ty| (ty, random.chance(40).then(|| random.constant(ty))))
        .collect()
}

/// Opens the body, and a block in it above `height` operands unless the label is the body's own; the index of the target.
fn open(world: &mut World<'_>, kind: BlockKind, height: usize) -> usize {
    let label = world.lower.s.asm.new_label();
    let ty = BlockType::Func(TypeIndex(0));
    world.lower.open_block(BlockKind::Func, ty, label);
    if kind == BlockKind::Func {
        return 0;
    }
    let results = world.lower.module.ty(TypeIndex(1)).results().len();
    let results = u32::try_from(results).unwrap();
    let block = Block {
        kind,
        ty: BlockType::Func(TypeIndex(1)),
        height: u32::try_from(height).unwrap(),
        params: results,
        results,
        ..world.lower.s.blocks[0]
    };
    world.lower.s.blocks.push(block);
    1
}

/// After the moves of a branch: operands below the label, its results, and the locals.
fn check_label(world: &World<'_>, index: usize, results: &[Ty]) {
    let block = world.lower.s.blocks[index];
    let values = &world.operands[world.operands.len() - results.len()..];
    if block.kind == BlockKind::Func {
        return check_returns(world, results, values);
    }
    for height in 0..block.height {
        if !world.is_const(height) {
            let value = world.operands[height as usize];
            let ty = world.lower.s.stack.ty(height);
            world.expect_memory(ty, world.slot(height), value, "below a label");
        }
    }
    world.expect_locals("at a label");
    let slots = block.kind == BlockKind::Loop || results.len() > REG_RESULTS_MAX;
    for (i, (&ty, &value)) in results.iter().zip(values).enumerate() {
        if slots {
            let height = block.height + u32::try_from(i).unwrap();
            world.expect_memory(ty, world.slot(height), value, "a result");
        } else {
            let reg = block.result_regs[i];
            assert!(world.pool().contains(reg), "{reg:?} is not allocated");
            world.expect_reg(ty, reg, value, true, "a result");
        }
    }
}

fn check_returns(world: &World<'_>, results: &[Ty], values: &[u64]) {
    for ((&ty, &value), loc) in results.iter().zip(values).zip(&world.lower.sig.results) {
        let when = "a result of the function";
        match *loc {
            ResultLoc::Int(code) => world.expect_reg(ty, Reg::int(code), value, false, when),
            ResultLoc::Float(code) => world.expect_reg(ty, Reg::float(code), value, false, when),
            ResultLoc::Memory(offset) => {
                world.expect_memory(ty, AREA + u64::from(offset), value, when);
            }
        }
    }
}

/// Several branches to one label, and the code above it that falls through.
fn check_edges(seed: u64) {
    with_world(seed, |world, shape, _, random| {
        let kinds = [
            BlockKind::Func,
            BlockKind::Block,
            BlockKind::Block,
            BlockKind::Loop,
            BlockKind::If,
            BlockKind::Else,
        ];
        let kind = kinds[random.index(kinds.len())];
        let below = below(random);
        let index = open(world, kind, below.len());
        let results = &shape.types[usize::from(kind != BlockKind::Func)];
        let draw = |world: &mut World<'_>, random: &mut Random, between: usize| {
            let mut above = random.types(between);
            above.extend(results);
            world.draw(random, &below, &above);
        };
        // Branches come from inside of loops with homes of their own.
        let mut loops = Vec::new();
        if random.chance(60) {
            for _ in 0..1 + random.index(3) {
                draw(world, random, 0);
                loops.push(world.open_loop(random));
            }
        }
        for _ in 0..EDGES {
            draw(world, random, 5);
            let mut moves = true;
            if random.chance(60) {
                // A conditional branch: what is behind it goes on in the same state.
                moves = world.run(true, |lower| {
                    if index != 0 {
                        lower.flush_locals();
                    }
                    lower.branch_moves(index)
                });
                world.verify("behind a conditional branch");
            } else if index != 0 {
                world.run(false, Lower::flush_locals);
            }
            if moves {
                world.run(false, |lower| {
                    lower.store_loop_homes(index);
                    lower.move_results(index);
                    lower.load_former_homes(index);
                });
            } else if world.lower.leaves_loop_homes(index) {
                world.run(true, |lower| {
                    let (from, to) = lower.note_edge_moves(index);
                    lower.emit_edge_moves(from, to);
                });
            }
            check_label(world, index, results);
        }
        while let Some(before) = loops.pop() {
            draw(world, random, 5);
            world.end_loop(before);
        }
        if matches!(kind, BlockKind::Func | BlockKind::Loop) {
            return;
        }
        draw(world, random, 0);
        world.run(false, |lower| {
            lower.flush_locals();
            lower.move_results(index);
        });
        check_label(world, index, results);
        let block = world.lower.s.blocks[index];
        world.lower.enter_label(&block);
        world.verify("behind a label");
    });
}

#[test]
fn edges_meet_at_their_label() {
    (0..4000).for_each(check_edges);
}

/// A loop's header: everything in memory, nothing allocated.
fn check_header(seed: u64) {
    with_world(seed, |world, _, _, random| {
        let (below, above) = (below(random), random.types(10));
        world.draw(random, &below, &above);
        let len = world.lower.s.stack.len();
        let from = len - u32::try_from(random.index(above.len() + 1)).unwrap();
        world.run(false, |lower| {
            lower.freeze();
            lower.constants_to_slots(from);
            lower.flush_locals();
        });
        world.verify("before a header");
        world.lower.drop_registers();
        world.verify("at a header");
        world.expect_locals("at a header");
        assert_eq!(world.lower.s.regs.owned(), RegSet::EMPTY);
        assert_eq!(world.lower.s.stack.frozen, len);
        for height in 0..len {
            let place = world.lower.s.stack.place(height);
            let constant = matches!(place, Place::Const(_)) && height < from;
            assert!(constant || place == Place::Slot, "{height}: {place:?}");
        }
    });
}

#[test]
fn loop_headers_find_everything_in_memory() {
    (0..3000).for_each(check_header);
}

/// The second arm of an `if` begins with the registers of the `if`, whatever the first arm did.
fn check_arms(seed: u64) {
    with_world(seed, |world, _, _, random| {
        let (below, above) = (below(random), random.types(10));
        world.draw(random, &below, &above);
        let len = world.lower.s.stack.len();
        let height = len - u32::try_from(random.index(above.len() + 1)).unwrap();
        let types: Vec<Ty> = (height..len).map(|h| world.lower.s.stack.ty(h)).collect();
        let snapshot = world.run(true, |lower| {
            lower.freeze();
            lower.constants_to_slots(height);
            lower.clear_zeros();
            lower.save_registers()
        });
        world.verify("at an if");
        // The first arm's code does not run before the second arm.
        let (machine, operands) = (world.machine.clone(), world.operands.clone());
        world.run(false, |lower| {
            for reg in lower.s.regs.owned() {
                if random.chance(40) {
                    lower.spill(reg);
                }
            }
            if random.chance(50) {
                lower.flush_locals();
            }
        });
        world.verify("in the first arm");
        world.machine = machine;
        world.operands = operands;
        let lower = &mut world.lower;
        lower.truncate(height);
        if random.chance(30) {
            // A branch out of the first arm.
            lower.forget_locals();
        }
        lower.drop_registers();
        for &ty in &types {
            lower.s.stack.push_slot(ty);
        }
        lower.s.stack.frozen = lower.s.stack.len();
        lower.restore_registers(snapshot);
        world.verify("in the second arm");
    });
}

#[test]
fn second_arms_begin_where_the_first_began() {
    (0..3000).for_each(check_arms);
}

/// Arguments in registers and on the stack, and the index of an indirect call in the scratch register.
fn check_arguments(seed: u64) {
    with_world(seed, |world, shape, env, random| {
        let below = below(random);
        let params = &shape.types[2];
        let mut above = random.types(4);
        above.extend(params);
        let indirect = random.chance(60);
        if indirect {
            above.push(Ty::I32);
        }
        world.draw(random, &below, &above);
        let index = indirect.then(|| world.lower.s.stack.len() - 1);
        let count = u32::try_from(params.len()).unwrap() + u32::from(indirect);
        let base = world.lower.s.stack.len() - count;
        world.run(false, |lower| lower.prepare_call(base));
        world.verify("before a call");
        let sig = &env.signatures[2];
        if index.is_none() && sig.stack_bytes == 0 {
            world.run(false, |lower| lower.pop_args(sig));
            assert_eq!(world.lower.s.stack.len(), base);
        } else {
            world.run(false, |lower| lower.move_args(sig, base, index));
        }
        for height in 0..base {
            let ty = world.lower.s.stack.ty(height);
            let place = world.lower.s.stack.place(height);
            assert!(!matches!(place, Place::Reg { .. }), "{height}: {place:?}");
            if let Place::Local(local) = place
                && world.lower.s.locals[usize::from(local)].home().is_none()
            {
                let at = world.local_slot(usize::from(local));
                world.expect_memory(ty, at, world.operands[height as usize], "an alias");
            }
            if place == Place::Slot {
                let value = world.operands[height as usize];
                world.expect_memory(ty, world.slot(height), value, "below a call");
            }
        }
        let values = &world.operands[base as usize..];
        for ((&ty, &value), loc) in params.iter().zip(values).zip(&sig.params) {
            match *loc {
                ArgLoc::Int(code) => world.expect_reg(ty, Reg::int(code), value, false, "argument"),
                ArgLoc::Float(code) => {
                    world.expect_reg(ty, Reg::float(code), value, false, "argument");
                }
                ArgLoc::Stack(at) => {
                    world.expect_memory(ty, STACK + u64::from(at), value, "argument");
                }
            }
        }
        if let Some(index) = index {
            let value = world.operands[index as usize];
            world.expect_reg(Ty::I32, R11, value, true, "the index");
        }
        for (local, &value) in world.locals.iter().enumerate() {
            let state = world.lower.s.locals[local];
            let scratch = world
                .lower
                .s
                .scratch_homes
                .iter()
                .any(|&l| usize::from(l) == local);
            match state.home().filter(|_| !scratch) {
                Some(home) => world.expect_reg(state.ty, home, value, true, "a home"),
                None if state.zero || !state.carried => {}
                None => world.expect_memory(state.ty, world.local_slot(local), value, "a local"),
            }
        }
    });
}

#[test]
fn arguments_arrive() {
    (0..4000).for_each(check_arguments);
}

/// A set of moves in both classes and all types, resolved and run.
fn check_moves(seed: u64) {
    let mut random = Random::new(seed);
    // The fewer the registers, the more cycles.
    let most = 2 + random.index(13);
    let free = |code: usize, class: usize| code != usize::from(SCRATCH[class].code());
    let mut moves = Vec::new();
    for class in 0..2 {
        let reg = |code: usize| Reg(u8::try_from(class * 16 + code).unwrap());
        let codes: Vec<usize> = (0..16)
            .filter(|&code| free(code, class))
            .take(most)
            .collect();
        let permute = random.chance(50);
        let mut sources = codes.clone();
        for i in 0..sources.len() {
            let other = random.index(codes.len());
            if permute {
                sources.swap(i, other);
            } else {
                sources[i] = codes[other];
            }
        }
        let types = match class {
            0 => [Ty::I32, Ty::I64, Ty::FuncRef],
            _ => [Ty::F32, Ty::F64, Ty::V128],
        };
        for (dst, src) in codes.into_iter().zip(sources) {
            if random.chance(80) {
                moves.push((types[random.index(3)], reg(dst), reg(src)));
            }
        }
    }
    let mut machine = Machine::new(|| random.next());
    let before = machine.clone();
    let mut set = Moves::default();
    for &(ty, dst, src) in &moves {
        set.add(ty, dst, src);
    }
    let mut asm = Asm::default();
    asm.reset(CpuFeatures::SSE41);
    set.resolve(SCRATCH, |step| asm.mov(step.ty, step.dst, step.src));
    let code = asm.finish().unwrap();
    machine.run(&code.code, code.text_bytes);
    for reg in (0..32).map(Reg).filter(|reg| !SCRATCH.contains(reg)) {
        let (ty, src) = moves
            .iter()
            .find(|(_, dst, _)| *dst == reg)
            .map_or((Ty::V128, reg), |&(ty, _, src)| (ty, src));
        if reg.is_float() {
            let bits = bytes(ty) * 8;
            let mask = u128::MAX >> (128 - bits);
            let expected = before.float(src) & mask;
            assert_eq!(machine.float(reg) & mask, expected, "{reg:?} of {moves:?}");
        } else {
            // A move of 32 bits to the register itself is none; the others clear the upper half.
            let narrow = ty == Ty::I32;
            let mask = if narrow {
                u64::from(u32::MAX)
            } else {
                u64::MAX
            };
            let kept = if narrow && src != reg { u64::MAX } else { mask };
            let expected = before.reg(src) & mask;
            assert_eq!(machine.reg(reg) & kept, expected, "{reg:?} of {moves:?}");
        }
    }
}

#[test]
fn resolved_moves_run() {
    (0..20_000).for_each(check_moves);
}
