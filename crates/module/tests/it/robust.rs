//! Any bytes, in any pieces: the same answer, and never a panic.

use std::collections::{BTreeSet, HashMap};

use crate::common::{Random, SMALL, decode, decode_pieces, encode, examples, pool, render};
use upshift_module::ops::{CallOp, ControlOp, MemoryOp, RefOp, TableOp, VariableOp};
use upshift_module::{
    DecodeOptions, FactGatherer, FuncFacts, Module, Op, Outline, Uses, ValidatedFunc,
};

/// Small modules and one real one.
fn modules() -> Vec<Vec<u8>> {
    SMALL.iter().map(|wat| encode(wat)).collect()
}

#[test]
fn pieces_do_not_matter() {
    let pool = pool();
    for bytes in modules() {
        let whole = render(&decode(&bytes));
        let single = bytes.chunks(1);
        assert_eq!(
            render(&decode_pieces(single, DecodeOptions::default())),
            whole
        );
        assert_eq!(render(&Module::new(bytes.clone(), &pool)), whole);
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            let split = decode_pieces([left, right], DecodeOptions::default());
            assert_eq!(render(&split), whole, "split at {at}");
        }
    }
    for (name, bytes) in examples() {
        let whole = render(&decode(&bytes));
        for size in [1, 7, 1000, 20_000] {
            let pieces = bytes.chunks(size);
            assert_eq!(
                render(&decode_pieces(pieces, pool.clone())),
                whole,
                "{name}"
            );
        }
    }
}

#[test]
fn the_first_error_is_reported_whoever_finds_it() {
    let pool = pool();
    let valid = "(func (result i32) (i32.const 0))".repeat(20_000);
    let wrong = "(func (result i32) (i64.const 0))";
    let bytes = encode(&format!(
        "(module {valid} {wrong} {valid} {wrong} (memory 1) (data (i64.const 0)))"
    ));
    let expected = decode(&bytes).expect_err("invalid");
    assert_eq!(expected.func().map(|func| func.0), Some(20_000));
    for _ in 0..20 {
        let found = Module::new(bytes.clone(), &pool).expect_err("invalid");
        assert_eq!(found, expected);
    }
    for size in [100_000, 10_000, 3_000] {
        for _ in 0..20 {
            let found = decode_pieces(bytes.chunks(size), pool.clone());
            assert_eq!(found.expect_err("invalid"), expected);
        }
    }
}

#[test]
fn truncated_modules() {
    for bytes in modules() {
        for end in 0..bytes.len() {
            let whole = render(&decode(&bytes[..end]));
            let pieces = bytes[..end].chunks(3);
            assert_eq!(
                render(&decode_pieces(pieces, DecodeOptions::default())),
                whole
            );
        }
    }
    for (_, bytes) in examples() {
        for end in (0..bytes.len()).step_by(997) {
            // Some prefixes end after a section and are modules; all the others must be refused.
            walk(decode(&bytes[..end]));
        }
    }
}

#[test]
fn mutated_modules() {
    let mut accepted = 0;
    for bytes in modules() {
        for at in 0..bytes.len() {
            for value in [0, 1, 0x0b, 0x40, 0x7f, 0x80, 0xfc, 0xff, bytes[at] ^ 1] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                let whole = decode(&bytes);
                let pieces = decode_pieces(bytes.chunks(1 + at % 9), DecodeOptions::default());
                assert_eq!(render(&pieces), render(&whole));
                accepted += walk(whole);
            }
        }
    }
    let mut random = Random::new();
    let pool = pool();
    for (_, bytes) in examples() {
        for _ in 0..100 {
            let mut bytes = bytes.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = u8::try_from(random.below(256)).expect("a byte");
            }
            let whole = decode(&bytes);
            let pieces = decode_pieces(bytes.chunks(1 + random.below(5000)), pool.clone());
            let error = |result: &upshift_module::Result<Module>| result.as_ref().err().cloned();
            assert_eq!(error(&pieces), error(&whole));
            accepted += walk(whole);
        }
    }
    assert!(
        accepted > 1000,
        "only {accepted} were valid, too few to mean anything"
    );
}

/// Walks all that a module has, if there is one, and checks it against the facts.
fn walk(module: upshift_module::Result<Module>) -> usize {
    let Ok(module) = module else {
        return 0;
    };
    // One for all: what it knew of the body before must not show.
    let mut gatherer = FactGatherer::default();
    for func in module.funcs() {
        let _name = module.func_name(func.index());
        check_facts(func, gatherer.gather(func));
    }
    1
}

#[test]
fn facts_agree_with_a_naive_count() {
    for (_, bytes) in examples() {
        walk(decode(&bytes));
    }
    for bytes in modules() {
        walk(decode(&bytes));
    }
}

/// Counts the facts again, the slow and plain way.
fn check_facts(func: ValidatedFunc<'_>, facts: &FuncFacts) {
    let mut open: Vec<Option<usize>> = vec![None];
    let mut naive = Naive::default();
    for (_, op) in func.ops() {
        match &op {
            Op::Control(ControlOp::Block(_) | ControlOp::If(_)) => open.push(None),
            Op::Control(ControlOp::Loop(_)) => {
                open.push(Some(naive.loops.len()));
                naive.loops.push(BTreeSet::new());
            }
            Op::Control(ControlOp::End) => {
                open.pop().expect("balanced");
            }
            Op::Variable(VariableOp::LocalSet(local) | VariableOp::LocalTee(local)) => {
                for index in open.iter().flatten() {
                    naive.loops[*index].insert(local.0);
                }
                naive.weigh(local.0, &open);
            }
            Op::Variable(VariableOp::LocalGet(local)) => naive.weigh(local.0, &open),
            Op::Call(op) => {
                naive.calls += 1;
                let indirect = matches!(op, CallOp::CallIndirect { .. });
                naive.indirect_calls += u32::from(indirect);
                naive.call(&open);
            }
            Op::Memory(MemoryOp::Grow(_)) | Op::Bulk(_) | Op::Ref(RefOp::Func(_)) => {
                naive.call(&open);
            }
            Op::Table(op) if !matches!(op, TableOp::Size(_)) => naive.call(&open),
            Op::Control(_)
            | Op::Parametric(_)
            | Op::Variable(_)
            | Op::Const(_)
            | Op::Int(..)
            | Op::Float(..)
            | Op::Convert(_)
            | Op::Memory(_)
            | Op::Table(_)
            | Op::Ref(_) => {}
        }
    }
    assert!(open.is_empty());
    naive.check(facts);
    check_outline(func.outline(), facts);
    let indirect = naive.indirect_calls.min(255);
    assert_eq!(func.outline().indirect_calls(), indirect);
}

/// Validation and the gatherer agree.
fn check_outline(outline: Outline, facts: &FuncFacts) {
    let of_facts = (
        facts.max_operands,
        facts.loops.len().min(u16::MAX.into()),
        facts.uses.contains(Uses::LIBCALL),
        facts.uses.contains(Uses::MEMORY0),
    );
    let of_outline = (
        outline.max_operands(),
        usize::from(outline.loops()),
        outline.has_libcalls(),
        outline.accesses_memory0(),
    );
    assert_eq!(of_outline, of_facts);
}

#[derive(Default)]
struct Naive {
    calls: u32,
    indirect_calls: u32,
    call_depth: usize,
    /// Locals written.
    loops: Vec<BTreeSet<u32>>,
    weights: HashMap<u32, u64>,
}

impl Naive {
    fn weigh(&mut self, local: u32, open: &[Option<usize>]) {
        let depth = open.iter().flatten().count().min(9);
        *self.weights.entry(local).or_default() += 8_u64.pow(u32::try_from(depth).expect("small"));
    }

    fn call(&mut self, open: &[Option<usize>]) {
        self.call_depth = self.call_depth.max(open.iter().flatten().count());
    }

    fn check(&self, facts: &FuncFacts) {
        assert_eq!(
            (self.calls, self.call_depth),
            (facts.call_count, facts.call_depth as usize)
        );
        assert_eq!(self.loops.len(), facts.loops.len());
        for (writes, found) in self.loops.iter().zip(&facts.loops) {
            for home in &facts.loop_homes[found.homes()] {
                assert_eq!(home.written, writes.contains(&home.local.0));
            }
        }
        for home in &facts.homes {
            let weight = self.weights[&home.local.0].min(u32::MAX.into());
            assert_eq!(weight, home.weight.into());
        }
        let best = self.weights.values().copied().max().unwrap_or(0);
        let found = facts.homes.first().map_or(0, |home| home.weight.into());
        assert!(found == best.min(u32::MAX.into()) || best < 3);
    }
}
