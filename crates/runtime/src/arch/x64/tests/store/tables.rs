//! Tables and bulk operations by their helpers.

use super::{TestEngine, call, forward, func, type_id};
use crate::{CallError, ExternHandle, InstanceHandle, RawVal, StoreInner};
use upshift_abi::{Libcall, TrapCode};

/// Two tables, a passive segment, two types; every helper exported.
const TABLES: &str = r#"(module
    (type $unary (func (param i32))) (type $nullary (func))
    (func (export "a") (type $nullary))
    (func (export "b") (type $unary))
    (func (export "get") (param i32 i32) (result funcref) unreachable)
    (func (export "set") (param i32 i32 funcref) unreachable)
    (func (export "grow") (param i32 funcref i32) (result i32) unreachable)
    (func (export "fill") (param i32 i32 funcref i32) unreachable)
    (func (export "init") (param i32 i32 i32 i32 i32) unreachable)
    (func (export "copy") (param i32 i32 i32 i32 i32) unreachable)
    (func (export "drop") (param i32) unreachable)
    (func (export "slow") (param i32 i32 i32) (result i64) unreachable)
    (func (export "ref") (param i32) (result funcref) unreachable)
    (table (export "t") 5 10 funcref) (table 3 funcref)
    (elem (i32.const 1) func 0 1 0)
    (elem funcref (ref.func 1) (ref.null func) (ref.func 0)))"#;

fn tables() -> (StoreInner, InstanceHandle) {
    let helpers = [
        Libcall::TableGet,
        Libcall::TableSet,
        Libcall::TableGrow,
        Libcall::TableFill,
        Libcall::TableInit,
        Libcall::TableCopy,
        Libcall::ElemDrop,
        Libcall::IndirectSlow,
        Libcall::RefFunc,
    ];
    let bodies = (2..).zip(helpers.map(forward)).collect();
    TestEngine::new().instance(TABLES, bodies)
}

/// Table contents as letters: `a`, `b`, `-` for null.
fn contents(store: &mut StoreInner, instance: InstanceHandle, table: u64) -> String {
    let (a, b) = (func(store, instance, "a"), func(store, instance, "b"));
    let mut text = String::new();
    for index in 0.. {
        match call(store, instance, "get", &[table, index]) {
            Ok(0) => text.push('-'),
            Ok(bits) if store.func_of_bits(bits) == Some(a) => text.push('a'),
            Ok(bits) if store.func_of_bits(bits) == Some(b) => text.push('b'),
            Ok(bits) => panic!("found {bits:#x} at {index}"),
            Err(CallError::Trap {
                code: TrapCode::TableOutOfBounds,
                ..
            }) => return text,
            Err(error) => panic!("expected a trap, found {error:?}"),
        }
    }
    unreachable!("tables end")
}

fn trap(result: Result<u64, CallError>) -> TrapCode {
    match result {
        Err(CallError::Trap { code, .. }) => code,
        other => panic!("expected a trap, found {other:?}"),
    }
}

#[test]
fn table_operations() {
    let (mut store, instance) = tables();
    let s = &mut store;
    let a = call(s, instance, "ref", &[0]).unwrap();
    assert_eq!(s.func_of_bits(a), Some(func(s, instance, "a")));
    // (operation, arguments, result or trap, tables 0 and 1 afterwards)
    type Row = (
        &'static str,
        Vec<u64>,
        Result<u64, TrapCode>,
        &'static str,
        &'static str,
    );
    let oob = Err(TrapCode::TableOutOfBounds);
    let refused = u64::from(u32::MAX);
    let rows: Vec<Row> = vec![
        ("copy", vec![1, 0, 0, 1, 3], Ok(0), "-aba-", "aba"),
        ("copy", vec![0, 0, 2, 1, 3], Ok(0), "-aaba", "aba"),
        ("copy", vec![1, 0, 1, 0, 3], oob, "-aaba", "aba"),
        ("copy", vec![1, 0, 3, 5, 0], Ok(0), "-aaba", "aba"),
        ("copy", vec![1, 0, 4, 0, 0], oob, "-aaba", "aba"),
        ("set", vec![0, 0, a], Ok(0), "aaaba", "aba"),
        ("set", vec![0, 0, 0], Ok(0), "-aaba", "aba"),
        ("set", vec![0, 5, 0], oob, "-aaba", "aba"),
        ("set", vec![0, refused, 0], oob, "-aaba", "aba"),
        ("init", vec![1, 1, 0, 1, 2], Ok(0), "-aaba", "-aa"),
        ("init", vec![1, 1, 2, 0, 1], Ok(0), "-aaba", "-ab"),
        ("init", vec![1, 1, 2, 0, 2], oob, "-aaba", "-ab"),
        ("init", vec![1, 0, 0, 0, 1], oob, "-aaba", "-ab"),
        ("init", vec![1, 0, 0, 0, 0], Ok(0), "-aaba", "-ab"),
        ("drop", vec![1], Ok(0), "-aaba", "-ab"),
        ("init", vec![1, 1, 0, 0, 1], oob, "-aaba", "-ab"),
        ("grow", vec![0, a, 2], Ok(5), "-aabaaa", "-ab"),
        ("grow", vec![0, a, 4], Ok(refused), "-aabaaa", "-ab"),
        ("grow", vec![1, 0, 0], Ok(3), "-aabaaa", "-ab"),
        ("grow", vec![1, 0, refused], Ok(refused), "-aabaaa", "-ab"),
        ("fill", vec![0, 0, 0, 7], Ok(0), "-------", "-ab"),
        ("fill", vec![0, 5, a, 2], Ok(0), "-----aa", "-ab"),
        ("fill", vec![0, 6, a, 2], oob, "-----aa", "-ab"),
    ];
    for (op, args, expected, table0, table1) in rows {
        let result = call(s, instance, op, &args);
        match expected {
            Ok(value) => {
                let found = result.unwrap();
                assert!(found == value || op != "grow", "{op} {args:?} gave {found}");
            }
            Err(code) => assert_eq!(trap(result), code, "{op} {args:?}"),
        }
        assert_eq!(contents(s, instance, 0), table0, "{op} {args:?}");
        assert_eq!(contents(s, instance, 1), table1, "{op} {args:?}");
    }
}

#[test]
fn the_cold_path_of_indirect_calls() {
    let (mut store, instance) = tables();
    let loaded = std::sync::Arc::clone(store.instance_module(instance).unwrap());
    let (unary, nullary) = (type_id(&loaded, 0), type_id(&loaded, 1));
    let s = &mut store;
    let first = call(s, instance, "slow", &[0, 1, nullary]).unwrap();
    assert_eq!(call(s, instance, "slow", &[0, 1, nullary]).unwrap(), first);
    assert_eq!(
        call(s, instance, "slow", &[0, 2, unary]).unwrap(),
        first + 32
    );
    let rows = [
        ([0, 1, unary], TrapCode::IndirectCallTypeMismatch),
        ([0, 2, nullary], TrapCode::IndirectCallTypeMismatch),
        ([0, 0, nullary], TrapCode::UninitializedElement),
        ([0, 5, nullary], TrapCode::UndefinedElement),
        (
            [0, u64::from(u32::MAX), nullary],
            TrapCode::UndefinedElement,
        ),
    ];
    for (args, code) in rows {
        assert_eq!(trap(call(s, instance, "slow", &args)), code, "{args:?}");
    }
}

#[test]
fn lazy_entries_work_from_another_instance() {
    let engine = TestEngine::new();
    let bodies = || {
        vec![
            (1, forward(Libcall::IndirectSlow)),
            (2, forward(Libcall::TableGet)),
        ]
    };
    let text = |import: &str, elem: &str| {
        format!(
            r#"(module (type $t (func (result i32))) {import}
                (func $f (export "f") (type $t) unreachable)
                (func (export "slow") (param i32 i32 i32) (result i64) unreachable)
                (func (export "get") (param i32 i32) (result funcref) unreachable)
                {elem} (export "t" (table 0)))"#
        )
    };
    let (first, _) = engine.load(
        &text("(table 4 funcref)", "(elem (i32.const 0) $f)"),
        bodies(),
    );
    let import = r#"(import "m" "t" (table 4 funcref))"#;
    let (second, _) = engine.load(&text(import, "(elem (i32.const 1) $f)"), bodies());
    let mut store = engine.store();
    let (a, _) = store.instantiate(&first, &[]).unwrap();
    let table = store.export_by_name(a, "t").unwrap();
    let (b, _) = store.instantiate(&second, &[table]).unwrap();
    assert_eq!(store.export_by_name(b, "t"), Some(table));
    let id = type_id(&first, 0);
    assert_eq!(id, type_id(&second, 0), "types are the engine's");
    for (instance, index, owner) in [(b, 0, a), (a, 1, b), (a, 0, a), (b, 1, b)] {
        let bits = call(&mut store, instance, "get", &[0, index]).unwrap();
        assert_eq!(store.func_of_bits(bits), Some(func(&store, owner, "f")));
        assert!(call(&mut store, instance, "slow", &[0, index, id]).is_ok());
    }
}

#[test]
fn externref_tables_and_values() {
    let engine = TestEngine::new();
    let bodies = vec![
        (0, forward(Libcall::TableGet)),
        (1, forward(Libcall::TableSet)),
        (2, forward(Libcall::TableGrow)),
    ];
    let (mut store, instance) = engine.instance(
        r#"(module (table (export "t") 2 externref)
            (func (export "get") (param i32 i32) (result externref) unreachable)
            (func (export "set") (param i32 i32 externref) unreachable)
            (func (export "grow") (param i32 externref i32) (result i32) unreachable))"#,
        bodies,
    );
    let s = &mut store;
    let word = s.new_externref(Box::new("word"));
    let number = s.new_externref(Box::new(17_u32));
    let (word_bits, number_bits) = (
        s.externref_bits(word).unwrap(),
        s.externref_bits(number).unwrap(),
    );
    assert_ne!(word_bits, 0);
    call(s, instance, "set", &[0, 1, word_bits]).unwrap();
    assert_eq!(call(s, instance, "grow", &[0, number_bits, 3]).unwrap(), 2);
    let expected = [0, word_bits, number_bits, number_bits, number_bits];
    for (index, expected) in (0..).zip(expected) {
        assert_eq!(call(s, instance, "get", &[0, index]).unwrap(), expected);
    }
    let Some(ExternHandle::Table(t)) = s.export_by_name(instance, "t") else {
        panic!("expected a table");
    };
    assert_eq!(s.table_get(t, 1).map(RawVal::ref_bits), Some(word_bits));
    assert_eq!(s.externref_of_bits(number_bits), Some(number));
    assert_eq!(
        s.externref(number).unwrap().downcast_ref::<u32>(),
        Some(&17)
    );
    assert_eq!(s.externref_of_bits(0), None);
    assert_eq!(s.externref_of_bits(99), None);
    assert!(engine.store().externref(word).is_none(), "another store");
}

#[test]
fn bulk_memory() {
    let bodies = vec![
        (0, forward(Libcall::MemoryCopy)),
        (1, forward(Libcall::MemoryFill)),
        (2, forward(Libcall::MemoryInit)),
        (3, forward(Libcall::DataDrop)),
        (4, forward(Libcall::MemoryGrow)),
    ];
    let (mut store, instance) = TestEngine::new().instance(
        r#"(module (memory (export "m") 1 2) (data "abcdef")
            (func (export "copy") (param i32 i32 i32 i32 i32) unreachable)
            (func (export "fill") (param i32 i32 i32 i32) unreachable)
            (func (export "init") (param i32 i32 i32 i32 i32) unreachable)
            (func (export "drop") (param i32) unreachable)
            (func (export "grow") (param i32 i32) (result i32) unreachable))"#,
        bodies,
    );
    let s = &mut store;
    let Some(ExternHandle::Memory(m)) = s.export_by_name(instance, "m") else {
        panic!("expected a memory");
    };
    let high = u64::from(u32::MAX);
    let rows: [(&str, &[u64], bool, &[u8; 8]); 13] = [
        ("init", &[0, 0, 1, 2, 3], true, b"\0cde\0\0\0\0"),
        ("copy", &[0, 0, 2, 1, 4], true, b"\0ccde\0\0\0"),
        ("fill", &[0, 0, 0x178, 2], true, b"xxcde\0\0\0"),
        ("fill", &[0, 65_535, 1, 2], false, b"xxcde\0\0\0"),
        ("fill", &[0, 65_536, 1, 0], true, b"xxcde\0\0\0"),
        ("fill", &[0, 65_537, 1, 0], false, b"xxcde\0\0\0"),
        ("copy", &[0, 0, 0, 65_535, 2], false, b"xxcde\0\0\0"),
        ("copy", &[0, 0, high, 0, high], false, b"xxcde\0\0\0"),
        ("init", &[0, 0, 0, 5, 2], false, b"xxcde\0\0\0"),
        ("drop", &[0], true, b"xxcde\0\0\0"),
        ("init", &[0, 0, 0, 0, 1], false, b"xxcde\0\0\0"),
        ("init", &[0, 0, 0, 0, 0], true, b"xxcde\0\0\0"),
        ("fill", &[0, 3, 0, 1], true, b"xxc\0e\0\0\0"),
    ];
    for (op, args, fits, bytes) in rows {
        let result = call(s, instance, op, args);
        if fits {
            assert!(result.is_ok(), "{op} {args:?}");
        } else {
            assert_eq!(trap(result), TrapCode::MemoryOutOfBounds, "{op} {args:?}");
        }
        assert_eq!(&s.memory_data(m).unwrap()[..8], bytes, "{op} {args:?}");
    }
    for (delta, old, size) in [(1, 1, 2), (1, high, 2), (high, high, 2), (0, 2, 2)] {
        assert_eq!(call(s, instance, "grow", &[0, delta]).unwrap(), old);
        assert_eq!(s.memory_type(m).unwrap().minimum, size);
    }
}
