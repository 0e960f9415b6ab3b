//! Exit stubs answer whoever frees code, and nothing is lost on that way.

use super::tiering::counting;
use super::{Body, TestEngine, body, call, call_import, forward, host_func};
use crate::RawVal;
use crate::reclaim::{Mailbox, Pass};
use dynasmrt::{DynasmApi, dynasm};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use upshift_abi::{CodeKind, Libcall, Tier};
use upshift_module::{FuncType, ValType};

/// Exports `grow`, `host`, `count` and `leaf`, each of which leaves wasm in its own way.
const TEXT: &str = r#"(module
    (import "h" "sum" (func (param i32 i64) (result i64)))
    (memory 1 9)
    (func (export "count") (result i32) unreachable)
    (func (export "grow") (param i32 i32) (result i32) unreachable)
    (func (export "host") (param i32 i64) (result i64) unreachable)
    (func (export "leaf") (result i32) unreachable))"#;

fn leaf() -> Body {
    body(|_, asm, _| dynasm!(asm ; .arch x64 ; mov eax, 5 ; ret))
}

/// The export, its arguments, its result, whether its own frame is what the answer has, and whether it had code before.
type Row = (&'static str, &'static [u64], u64, bool, bool);

#[test]
fn every_way_back_answers() {
    let rows: [Row; 6] = [
        ("count", &[], 1, true, true),
        ("grow", &[0, 2], 1, true, true),
        ("host", &[4, 1 << 40], (1 << 40) + 4, true, true),
        // Through the lazy stub, where there is no frame yet, and on leaving.
        ("leaf", &[], 5, false, false),
        ("leaf", &[], 5, false, true),
        ("grow", &[0, 2], 1, false, false),
    ];
    for (name, args, expected, framed, warm) in rows {
        let engine = TestEngine::new();
        let bodies = vec![
            (1, counting()),
            (2, forward(Libcall::MemoryGrow)),
            (3, call_import(0)),
            (4, leaf()),
        ];
        let (loaded, sink) = engine.load(TEXT, bodies);
        let mut store = engine.store();
        let ty = FuncType::new([ValType::I32, ValType::I64], [ValType::I64]);
        let sum = host_func(&mut store, ty, |call| {
            let (a, b) = (call.values[0].u32(), call.values[1].u64());
            call.values[0] = RawVal::from_u64(u64::from(a) + b);
            Ok(())
        });
        let defined = ["count", "grow", "host", "leaf"];
        let defined = u32::try_from(defined.iter().position(|it| *it == name).unwrap()).unwrap();
        if warm {
            // In another store, so that this one's state is fresh.
            let mut other = engine.store();
            let ty = FuncType::new([ValType::I32, ValType::I64], [ValType::I64]);
            let sum = host_func(&mut other, ty, |_| Ok(()));
            let (warm, _) = other.instantiate(&loaded, &[sum]).unwrap();
            call(&mut other, warm, name, args).unwrap();
        }
        let (instance, _) = store.instantiate(&loaded, &[sum]).unwrap();
        let code = loaded.entries().load(defined).addr();
        let pokes = Arc::new(AtomicUsize::new(0));
        let poked = Arc::clone(&pokes);
        let poke = Arc::new(move || {
            poked.fetch_add(1, SeqCst);
        });
        let pass = Pass::of_ranges(std::iter::once(code..code + 64).collect(), 1, poke);
        let shared = Arc::clone(&store.shared);
        shared.mailbox().ask(shared.context(), &pass);
        let compiled = sink.first_compiles.load(SeqCst);
        assert_eq!(
            call(&mut store, instance, name, args).unwrap(),
            expected,
            "{name}"
        );
        assert_eq!(sink.first_compiles.load(SeqCst) > compiled, !warm);
        assert_eq!(pokes.load(SeqCst), 1, "{name} answered once");
        assert_eq!(pass.pinned().collect::<Vec<_>>(), [framed], "{name}");
        assert_eq!(shared.context().attention.load(SeqCst), 0);
        assert!(!Mailbox::has_readers(shared.context()));
    }
}

/// Installing optimized code retires baseline code, and only that; it is freed when no store has it.
#[test]
fn replaced_code_is_retired_and_freed() {
    let engine = TestEngine::new();
    let (loaded, _) = engine.load(TEXT, Vec::new());
    let live = engine.space.stats().live_bytes;
    let leaf = |tier| {
        let mut draft = super::Draft::new(4, |asm, _| {
            dynasm!(asm ; .arch x64 ; mov eax, 5 ; ret);
        });
        draft.func.tier = tier;
        loaded.publish(&draft.func).unwrap()
    };
    let code = loaded.code();
    let tiers = [
        Tier::Baseline,
        Tier::Baseline,
        Tier::Optimizing,
        Tier::Optimizing,
    ];
    let retired = tiers.map(|tier| code.install(3, leaf(tier)).is_some());
    assert_eq!(retired, [false, true, true, false]);
    assert_eq!(code.retired_bytes(), 12);
    let poke: crate::Poke = Arc::new(|| ());
    let freed = code.reclaim(&poke);
    assert_eq!(freed.len(), 2);
    assert!(freed.iter().all(|freed| {
        (freed.func.0, freed.tier, freed.code_bytes) == (4, Tier::Baseline, 6)
            && freed.kind == CodeKind::Entry
    }));
    assert_eq!((code.retired_bytes(), code.reclaim(&poke).len()), (0, 0));
    assert_eq!(engine.space.stats().live_bytes, live + 12);
    drop(loaded);
    assert_eq!(engine.space.stats().live_bytes, live);
}
