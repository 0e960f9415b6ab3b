//! Constants that the guest adds to an index become displacements of the access.
//!
//! Problem: `i32.add` wraps and an address does not, so `load (i + 8)` is an addition of its own, then the access. LLVM folds
//! a constant into the offset of the access where it can prove that nothing wraps; unrolled loops and fields of array
//! elements are full of constants where it cannot.
//!
//! Data: an access of the reserved style is `[base + zext(v) + o]`, `o >= 0`, of `s` bytes. Seen through additions of constants
//! `v` is `(r + c) mod 2^32` for a root `r`. An *anchor* of `r` is a value `A = zext(r + K)` for a constant `K`, with an
//! interval `lo <= 0 <= hi`: for every `d` in it `0 <= A + d < 2^32` holds as integers wherever the anchor's block
//! dominates. With `d = c - K (mod 2^32, signed)` the index is `(A + d) mod 2^32`. F = [`FRONT_GUARD_BYTES`]: this many bytes
//! are inaccessible before the base, and no memory reaches above 2^32 - F (`MemoryStyle::Reserved`).
//!
//! Rules, and why they are right:
//! 1. `d` in the interval: the index is the integer `A + d`, so `[base + A + (o + d)]` is the same address.
//! 2. `-F <= d < 0` and `o = 0`: if `A + d >= 0`, as rule 1. Else the index is `2^32 + A + d >= 2^32 - F`, which is out of
//!    bounds: the access traps. And so does `[base + A + d]`, which begins in the guard before the base. Both with the same
//!    code at the same place; a store that straddles the guard's end writes nothing before it faults.
//! 3. Behind an access (that is, where its block dominates, and later in the block) it did not trap, so `A + d + o + s` is at
//!    most `2^32 - F`. Then `hi` may grow to `d + o + s + F - 1`, and `lo` to `d`, by rule 1 or 2. An access at an anchor's own
//!    index has `d = 0`.
//!
//! An access that remains unfolded makes an anchor of its own index (`d = 0`); one that rule 2 folds onto the root itself, of
//! the root. What is known of one memory holds for all, for the size of none is in the argument. Nothing is moved: the
//! accesses stay where they are, in their order, and keep their trap codes and places.
//!
//! Linear: each access looks at no more than [`ANCHORS_MAX`] anchors and [`ADDITIONS_MAX`] additions.

use crate::traps;
use cranelift_codegen::cursor::{Cursor as _, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::ir::immediates::Offset32;
use cranelift_codegen::ir::{
    Block, Function, Inst, InstBuilder as _, InstructionData, Opcode, Value, ValueDef, types,
};
use smallvec::SmallVec;
use std::collections::HashMap;
use upshift_abi::{FRONT_GUARD_BYTES, TrapCode};

/// Anchors of a root that are tried, the newest first.
const ANCHORS_MAX: usize = 6;
/// Additions of constants that are seen through.
const ADDITIONS_MAX: usize = 6;
/// Bytes before the base and at the end of the 4 GiB that are out of bounds.
const FRONT: i64 = FRONT_GUARD_BYTES as i64;

/// What is known of `A = zext(root + constant)`.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// Where it is known: wherever this block dominates.
    block: Block,
    /// What was added to the root, modulo 2^32.
    constant: i32,
    /// A itself.
    wide: Value,
    lo: i64,
    hi: i64,
}

impl Anchor {
    /// Nothing but that it is there.
    fn new(block: Block, constant: i32, wide: Value) -> Self {
        Self {
            block,
            constant,
            wide,
            lo: 0,
            hi: 0,
        }
    }

    /// The distance of an index from the anchor if the rules 1 and 2 let the access use it.
    fn reach(&self, constant: i32, offset: i32) -> Option<i32> {
        let distance = constant.wrapping_sub(self.constant);
        let d = i64::from(distance);
        let exact = (self.lo..=self.hi).contains(&d);
        let folds = exact || in_front(distance, offset);
        (folds && offset.checked_add(distance).is_some()).then_some(distance)
    }

    /// Rule 3, behind an access at this distance.
    fn learn(&mut self, distance: i32, offset: i32, size: u32) {
        let d = i64::from(distance);
        self.lo = self.lo.min(d);
        self.hi = self
            .hi
            .max(d + i64::from(offset) + i64::from(size) + FRONT - 1);
    }
}

/// A load or store of the guest that relies on the guard.
struct Access {
    base: Value,
    /// `uextend` of the index.
    wide: Value,
    index: Value,
    offset: i32,
    size: u32,
}

/// Folds what can be folded in all functions of the reserved style.
pub(super) fn run(func: &mut Function, domtree: &DominatorTree) {
    let mut anchors: HashMap<Value, SmallVec<[Anchor; 2]>> = HashMap::new();
    let blocks: Vec<Block> = domtree.cfg_rpo().copied().collect();
    for block in blocks {
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            if let Some(access) = access(func, inst) {
                let (root, constant) = root(func, access.index);
                let known = anchors.entry(root).or_default();
                place(
                    func,
                    (block, inst),
                    &access,
                    (root, constant),
                    known,
                    domtree,
                );
            }
        }
    }
}

/// Rewrites one access, or makes an anchor of it.
fn place(
    func: &mut Function,
    (block, inst): (Block, Inst),
    access: &Access,
    (root, constant): (Value, i32),
    known: &mut SmallVec<[Anchor; 2]>,
    domtree: &DominatorTree,
) {
    let holds = |anchor: &Anchor| domtree.block_dominates(anchor.block, block);
    let (mut anchor, distance) = match choose(known, holds, (constant, access.offset)) {
        Choice::Known(anchor, distance) => (anchor, distance),
        Choice::OnRoot => {
            let wide = at(func, inst).ins().uextend(types::I64, root);
            (Anchor::new(block, 0, wide), constant)
        }
        Choice::OnIndex => (Anchor::new(block, constant, access.wide), 0),
    };
    if anchor.wide != access.wide {
        let address = at(func, inst).ins().iadd(access.base, anchor.wide);
        redirect(func, inst, address, access.offset + distance);
    }
    anchor.learn(distance, access.offset, access.size);
    anchor.block = block;
    match known.last_mut() {
        Some(last) if last.block == block && last.wide == anchor.wide => *last = anchor,
        _ => known.push(anchor),
    }
}

/// How an access is addressed.
enum Choice {
    /// By an anchor, at this distance.
    Known(Anchor, i32),
    /// By a new anchor, which is the root itself, by rule 2: it costs no addition and serves others, too.
    OnRoot,
    /// As it is, and by that an anchor.
    OnIndex,
}

fn choose(
    known: &[Anchor],
    holds: impl Fn(&Anchor) -> bool,
    (constant, offset): (i32, i32),
) -> Choice {
    let found = known.iter().rev().take(ANCHORS_MAX).find_map(|anchor| {
        let distance = anchor.reach(constant, offset)?;
        holds(anchor).then_some((*anchor, distance))
    });
    match found {
        Some((anchor, distance)) => Choice::Known(anchor, distance),
        None if constant != 0 && in_front(constant, offset) => Choice::OnRoot,
        None => Choice::OnIndex,
    }
}

/// Rule 2.
fn in_front(distance: i32, offset: i32) -> bool {
    offset == 0 && (-FRONT..0).contains(&i64::from(distance))
}

/// A position before an instruction, with its place in the source.
fn at(func: &mut Function, inst: Inst) -> FuncCursor<'_> {
    let mut cursor = FuncCursor::new(func).at_inst(inst);
    cursor.use_srcloc(inst);
    cursor
}

/// The access that an instruction is, if it is one of the guest and relies on the guard.
fn access(func: &Function, inst: Inst) -> Option<Access> {
    let dfg = &func.dfg;
    let data = &dfg.insts[inst];
    // The translation makes no other accesses.
    let (opcode, address, offset, value) = if let InstructionData::Load {
        opcode,
        arg,
        offset,
        ..
    } = *data
    {
        (opcode, arg, offset, dfg.first_result(inst))
    } else if let InstructionData::Store {
        opcode,
        args: [value, address],
        offset,
        ..
    } = *data
    {
        (opcode, address, offset, value)
    } else {
        return None;
    };
    if data.memflags_trap_code(dfg) != Some(traps::to_clif(TrapCode::MemoryOutOfBounds)) {
        return None;
    }
    let (Opcode::Iadd, [base, wide]) = operation::<2>(func, address)? else {
        return None;
    };
    let (Opcode::Uextend, [index]) = operation::<1>(func, wide)? else {
        return None;
    };
    let offset = i32::from(offset);
    let size = size(func, opcode, value)?;
    (dfg.value_type(index) == types::I32 && offset >= 0).then_some(Access {
        base,
        wide,
        index,
        offset,
        size,
    })
}

/// Bytes that a load or store touches, by its opcode and the type of its value.
fn size(func: &Function, opcode: Opcode, value: Value) -> Option<u32> {
    let is = |opcodes: [Opcode; 3]| opcodes.contains(&opcode);
    if matches!(opcode, Opcode::Load | Opcode::Store) {
        Some(func.dfg.value_type(value).bytes())
    } else if is([Opcode::Uload8, Opcode::Sload8, Opcode::Istore8]) {
        Some(1)
    } else if is([Opcode::Uload16, Opcode::Sload16, Opcode::Istore16]) {
        Some(2)
    } else if is([Opcode::Uload32, Opcode::Sload32, Opcode::Istore32]) {
        Some(4)
    } else {
        None
    }
}

/// Root and constant of an index.
fn root(func: &Function, index: Value) -> (Value, i32) {
    let mut root = index;
    let mut sum = 0_i32;
    for _ in 0..ADDITIONS_MAX {
        let Some((opcode, [a, b])) = operation::<2>(func, root) else {
            break;
        };
        let (rest, constant) = match (opcode, low_constant(func, a), low_constant(func, b)) {
            (Opcode::Iadd, _, Some(constant)) => (a, constant),
            (Opcode::Iadd, Some(constant), None) => (b, constant),
            (Opcode::Isub, _, Some(constant)) => (a, constant.wrapping_neg()),
            _ => break,
        };
        root = rest;
        sum = sum.wrapping_add(constant);
    }
    (root, sum)
}

/// The opcode and operands of the instruction that makes a value, if it has this many.
fn operation<const N: usize>(func: &Function, value: Value) -> Option<(Opcode, [Value; N])> {
    let ValueDef::Result(inst, 0) = func.dfg.value_def(value) else {
        return None;
    };
    let args = func.dfg.inst_args(inst).try_into().ok()?;
    Some((func.dfg.insts[inst].opcode(), args))
}

/// The value of an i32 constant.
fn low_constant(func: &Function, value: Value) -> Option<i32> {
    let inst = func.dfg.value_def(value).inst()?;
    let InstructionData::UnaryImm {
        opcode: Opcode::Iconst,
        imm,
    } = func.dfg.insts[inst]
    else {
        return None;
    };
    Some(low_half(imm.bits()))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "an i32 constant is its lower half, however Cranelift extends it"
)]
fn low_half(bits: i64) -> i32 {
    bits as i32
}

/// Gives an access another address.
fn redirect(func: &mut Function, inst: Inst, to: Value, displacement: i32) {
    let data = &mut func.dfg.insts[inst];
    if let InstructionData::Load { arg, offset, .. } = data {
        *arg = to;
        *offset = Offset32::new(displacement);
    } else if let InstructionData::Store { args, offset, .. } = data {
        args[1] = to;
        *offset = Offset32::new(displacement);
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Choice, FRONT, choose};
    use cranelift_codegen::ir::{Block, Value};

    const REACH: i64 = 1 << 32;

    /// Numbers that look random, the same each time.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % end
        }

        fn pick(&mut self, from: &[i64]) -> i64 {
            from[usize::try_from(self.below(from.len() as u64)).unwrap()]
        }

        /// Close to one of the values where something changes.
        fn near(&mut self, from: &[i64]) -> i64 {
            self.pick(from) + i64::try_from(self.below(41)).unwrap() - 20
        }
    }

    /// What `wide` of an anchor is when the root has a value.
    fn wide(anchor: &Anchor, root: i64) -> i64 {
        (root + i64::from(anchor.constant)).rem_euclid(REACH)
    }

    /// Runs accesses one after the other, as a guest would and as they are folded, up to the first trap. Knows nothing of the rules,
    /// only what memory looks like: `bytes` from 0 on, around them a guard on both sides.
    fn check(root: i64, bytes: i64, accesses: &[(i32, i32, u32)]) -> usize {
        let mut known: Vec<Anchor> = Vec::new();
        let mut folded = 0;
        for &(constant, offset, size) in accesses {
            let index = (root + i64::from(constant)).rem_euclid(REACH);
            let (first, size64) = (index + i64::from(offset), i64::from(size));
            let traps = first + size64 > bytes;
            let (mut anchor, distance) = match choose(&known, |_| true, (constant, offset)) {
                Choice::Known(anchor, distance) => (anchor, distance),
                Choice::OnRoot => {
                    let anchor = Anchor::new(Block::from_u32(0), 0, Value::from_u32(0));
                    (anchor, constant)
                }
                Choice::OnIndex => {
                    let anchor = Anchor::new(Block::from_u32(0), constant, Value::from_u32(1));
                    (anchor, 0)
                }
            };
            let address = wide(&anchor, root) + i64::from(offset) + i64::from(distance);
            let faults = address < 0 || address + size64 > bytes;
            assert_eq!(traps, faults, "root {root:#x}, {accesses:x?}");
            // Within what the reservation covers.
            assert!((-FRONT..REACH + (1 << 31)).contains(&address));
            if traps {
                break;
            }
            assert_eq!(address, first, "root {root:#x}, {accesses:x?}");
            folded += usize::from(distance != 0);
            anchor.learn(distance, offset, size);
            known.push(anchor);
        }
        folded
    }

    #[test]
    fn folded_accesses_reach_the_same_bytes_and_trap_alike() {
        let mut random = Random(1);
        let edges = [0, FRONT, 2 * FRONT, 1 << 31, REACH - FRONT, REACH];
        let constants = [0, 8, -8, FRONT, -FRONT, 1 << 30, i64::from(i32::MIN) + 20];
        let offsets = [0, 0, 8, FRONT, (1 << 31) - 100];
        let mut folded = 0;
        for _ in 0..400_000 {
            let root = random.near(&edges).rem_euclid(REACH);
            let bytes = random.pick(&[0, FRONT, 2 * FRONT, 1 << 31, REACH - FRONT]);
            let mut accesses = [(0, 0, 1); 6];
            for access in &mut accesses {
                let constant = i32::try_from(random.near(&constants)).unwrap();
                let offset = i32::try_from(random.near(&offsets).max(0)).unwrap();
                *access = (constant, offset, 1 << random.below(4));
            }
            folded += check(root, bytes, &accesses);
        }
        assert!(folded > 10_000, "{folded} accesses were folded");
    }
}
