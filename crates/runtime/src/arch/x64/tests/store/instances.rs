//! Instantiation, and calls there and back.

use super::{TestEngine, body, call, call_import, func, host_func};
use crate::{
    CallError, ExternHandle, FuncHandle, InstanceHandle, InstantiateError, RawVal,
    RuntimeErrorKind, StoreInner,
};
use dynasmrt::dynasm;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use upshift_abi::TrapCode;
use upshift_module::{FuncType, GlobalType, MemoryType, SegmentIndex, ValType};

const I32: ValType = ValType::I32;

fn add() -> super::Body {
    body(|_, asm, _| {
        dynasm!(asm ; .arch x64 ; lea eax, [rsi + rdx] ; ret);
    })
}

#[test]
fn a_function_is_compiled_at_its_first_call() {
    let engine = TestEngine::new();
    let text = r#"(module (func (export "add") (param i32 i32) (result i32) unreachable))"#;
    let (loaded, sink) = engine.load(text, vec![(0, add())]);
    let mut store = engine.store();
    let (a, start) = store.instantiate(&loaded, &[]).unwrap();
    let (b, _) = store.instantiate(&loaded, &[]).unwrap();
    assert!(start.is_none());
    for instance in [a, b, a] {
        assert_eq!(call(&mut store, instance, "add", &[2, 40]).unwrap(), 42);
    }
    assert_eq!(sink.first_compiles.load(Ordering::Relaxed), 1);
    assert_ne!(func(&store, a, "add"), func(&store, b, "add"));
    assert!(store.export_by_name(a, "sub").is_none());
    let names: Vec<_> = store.exports(a).unwrap().map(|(name, _)| name).collect();
    assert_eq!(names, ["add"]);
}

#[test]
fn a_function_without_code_stops_with_the_compilers_error() {
    let engine = TestEngine::new();
    let (mut store, instance) = engine.instance(r#"(module (func (export "f")))"#, vec![]);
    for _ in 0..2 {
        let error = call(&mut store, instance, "f", &[]).unwrap_err();
        assert!(matches!(error, CallError::Compile { ref error, .. }
            if error.to_string() == "no body for function 0"));
    }
}

#[test]
fn calls_are_checked() {
    let engine = TestEngine::new();
    let text = r#"(module (func (export "f") (param funcref) (result i32) unreachable))"#;
    let (mut store, instance) = engine.instance(text, vec![]);
    let f = func(&store, instance, "f");
    let mut other = engine.store();
    let mut results = [RawVal::ZERO];
    let bogus = RawVal::from_ref(0x1234);
    let rows: [(&mut StoreInner, &[RawVal], &str); 3] = [
        (&mut other, &[RawVal::ZERO], "another store"),
        (
            &mut store,
            &[],
            "expected 1 arguments and 1 results for (funcref) -> (i32), found 0 and 1",
        ),
        (&mut store_of(&engine, text), &[bogus], "another store"),
    ];
    for (store, args, text) in rows {
        let error = store.call(f, args, &mut results).unwrap_err();
        let CallError::Runtime(error) = error else {
            panic!("expected misuse, found {error:?}");
        };
        assert_eq!(error.kind(), RuntimeErrorKind::Misuse);
        assert!(error.to_string().contains(text), "{error}");
    }
    let error = store.call(f, &[bogus], &mut results).unwrap_err();
    assert!(
        matches!(error, CallError::Runtime(error) if error.to_string().contains("function reference"))
    );
}

fn store_of(engine: &TestEngine, text: &str) -> StoreInner {
    engine.instance(text, vec![]).0
}

#[test]
fn imports_are_shared_and_hosts_know_their_caller() {
    let engine = TestEngine::new();
    let (loaded, _) = engine.load(
        r#"(module
            (import "h" "f" (func $f (param i32) (result i32)))
            (import "h" "m" (memory 1))
            (import "h" "g" (global $g i32))
            (func (export "call") (param i32) (result i32) unreachable)
            (export "f" (func $f)) (export "m" (memory 0)) (export "g" (global $g)))"#,
        vec![(1, call_import(0))],
    );
    let mut store = engine.store();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let list = Arc::clone(&seen);
    let f = host_func(&mut store, FuncType::new([I32], [I32]), move |call| {
        let memory = call
            .caller_instance
            .and_then(|i| call.store.export_by_name(i, "m"));
        list.lock().unwrap().push((call.caller_instance, memory));
        call.values[0] = RawVal::from_u32(call.values[0].u32() * 3);
        Ok(())
    });
    let ty = MemoryType {
        minimum: 2,
        maximum: Some(4),
        memory64: false,
        shared: false,
    };
    let m = ExternHandle::Memory(store.new_memory(ty).unwrap());
    let ty = GlobalType {
        content: I32,
        mutable: false,
    };
    let g = ExternHandle::Global(store.new_global(ty, RawVal::from_u32(7)).unwrap());
    let (a, _) = store.instantiate(&loaded, &[f, m, g]).unwrap();
    let (b, _) = store.instantiate(&loaded, &[f, m, g]).unwrap();
    for (instance, arg) in [(a, 5), (b, 6)] {
        assert_eq!(call(&mut store, instance, "call", &[arg]).unwrap(), arg * 3);
        assert_eq!(
            store.export_by_name(instance, "f"),
            Some(f),
            "identity is kept"
        );
    }
    assert_eq!(
        call(&mut store, a, "f", &[1]).unwrap(),
        3,
        "called from the host"
    );
    let seen = seen.lock().unwrap();
    assert_eq!(
        *seen,
        [(Some(a), Some(m)), (Some(b), Some(m)), (None, None)]
    );
}

#[test]
fn linking_lists_all_problems() {
    let engine = TestEngine::new();
    let (loaded, _) = engine.load(
        r#"(module (import "a" "f" (func (param i64))) (import "a" "m" (memory 3))
            (import "a" "g" (global (mut f32))))"#,
        vec![],
    );
    let mut store = engine.store();
    let f = host_func(&mut store, FuncType::new([I32], []), |_| Ok(()));
    let ty = MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
    };
    let m = ExternHandle::Memory(store.new_memory(ty).unwrap());
    let error = store.instantiate(&loaded, &[f, m, f]).unwrap_err();
    let InstantiateError::Link(text) = &error else {
        panic!("expected a link error, found {error}");
    };
    let lines = [
        "incompatible import type",
        "  a.f: expected func (i64) -> (), found func (i32) -> ()",
        "  a.m: expected memory 3.., found memory 1..",
        "  a.g: expected global mut f32, found func (i32) -> ()",
    ];
    assert_eq!(*text, lines.join("\n"));
    let error = store.instantiate(&loaded, &[]).unwrap_err();
    assert!(error.to_string().contains("expected 3 imports, found 0"));
    let error = engine.store().instantiate(&loaded, &[f, m, f]).unwrap_err();
    assert!(matches!(error, InstantiateError::Runtime(e) if e.kind() == RuntimeErrorKind::Misuse));
    let error = TestEngine::new()
        .store()
        .instantiate(&loaded, &[f, m, f])
        .unwrap_err();
    assert!(error.to_string().contains("another engine"));
}

#[test]
fn globals_tables_and_memories_are_initialised() {
    let engine = TestEngine::new();
    let (loaded, _) = engine.load(
        r#"(module
            (import "m" "a" (global $a i32))
            (global (export "b") (mut i32) (i32.add (global.get $a) (i32.const 4)))
            (global (export "c") i64 (i64.const -1))
            (global (export "f") funcref (ref.func 0))
            (memory (export "m") 1 3)
            (data (i32.const 2) "abc")
            (data (offset (global.get $a)) "x")
            (table (export "t") 2 5 funcref)
            (elem (i32.const 0) func 0 0)
            (func (export "run")))"#,
        vec![],
    );
    let mut store = engine.store();
    let ty = GlobalType {
        content: I32,
        mutable: false,
    };
    let a = ExternHandle::Global(store.new_global(ty, RawVal::from_u32(3)).unwrap());
    let (instance, _) = store.instantiate(&loaded, &[a]).unwrap();
    let global = |store: &StoreInner, name: &str| match store.export_by_name(instance, name) {
        Some(ExternHandle::Global(global)) => global,
        other => panic!("expected a global, found {other:?}"),
    };
    let (b, c, f) = (
        global(&store, "b"),
        global(&store, "c"),
        global(&store, "f"),
    );
    assert_eq!(store.global_get(b).unwrap().u32(), 7);
    assert_eq!(store.global_get(c).unwrap().u64(), u64::MAX);
    assert_eq!(store.global_set(b, RawVal::from_u32(9)), Some(()));
    assert_eq!(store.global_get(b).unwrap().u32(), 9);
    assert_eq!(store.global_set(c, RawVal::ZERO), None, "immutable");
    let run = func(&store, instance, "run");
    assert_eq!(
        store.func_of_bits(store.global_get(f).unwrap().ref_bits()),
        Some(run)
    );
    let Some(ExternHandle::Memory(m)) = store.export_by_name(instance, "m") else {
        panic!("expected a memory");
    };
    assert_eq!(&store.memory_data(m).unwrap()[..6], b"\0\0axc\0");
    store.memory_data_mut(m).unwrap()[65_535] = 1;
    assert_eq!(store.memory_grow(m, 2), Some(1));
    assert_eq!(store.memory_grow(m, 1), None, "over the maximum");
    assert_eq!(store.memory_type(m).unwrap().minimum, 3);
    assert_eq!(store.memory_data(m).unwrap()[65_535..65_537], [1, 0]);
    check_table(&mut store, instance, run);
}

/// Two elements `run` and room for three.
fn check_table(store: &mut StoreInner, instance: InstanceHandle, run: FuncHandle) {
    let Some(ExternHandle::Table(t)) = store.export_by_name(instance, "t") else {
        panic!("expected a table");
    };
    for (index, expected) in [(0, Some(Some(run))), (1, Some(Some(run))), (2, None)] {
        let element = store.table_get(t, index);
        assert_eq!(
            element.map(|raw| store.func_of_bits(raw.ref_bits())),
            expected
        );
    }
    assert_eq!(store.table_grow(t, 3, RawVal::ZERO), Some(2));
    assert_eq!(store.table_get(t, 4).unwrap().ref_bits(), 0);
    assert_eq!(
        store.table_grow(t, 1, RawVal::ZERO),
        None,
        "over the maximum"
    );
    assert_eq!(
        store.table_set(t, 4, RawVal::from_ref(0x77)),
        None,
        "no function"
    );
}

#[test]
fn segments_that_do_not_fit_trap_and_earlier_ones_stay() {
    let engine = TestEngine::new();
    let ty = MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
    };
    let rows = [
        (
            r#"(data (i32.const 0) "ab") (data (i32.const 65535) "cd")"#,
            TrapCode::MemoryOutOfBounds,
            1,
        ),
        (
            r#"(data (i32.const -1) "")"#,
            TrapCode::MemoryOutOfBounds,
            0,
        ),
        (
            r#"(table 1 funcref) (elem (i32.const 2)) (data (i32.const 0) "zz")"#,
            TrapCode::TableOutOfBounds,
            0,
        ),
    ];
    for (row, expected, at) in rows {
        let text = format!(r#"(module (import "m" "m" (memory 1)) {row})"#);
        let (loaded, _) = engine.load(&text, vec![]);
        let mut store = engine.store();
        let m = store.new_memory(ty).unwrap();
        let error = store
            .instantiate(&loaded, &[ExternHandle::Memory(m)])
            .unwrap_err();
        let InstantiateError::Trap { code, segment } = error else {
            panic!("expected a trap, found {error}");
        };
        assert_eq!(code, expected, "{row}");
        let (SegmentIndex::Data(upshift_module::DataIndex(index))
        | SegmentIndex::Elem(upshift_module::ElemIndex(index))) = segment;
        assert_eq!(index, at, "{row}");
        let written = if at == 1 { b"ab" } else { b"\0\0" };
        assert_eq!(&store.memory_data(m).unwrap()[..2], written, "{row}");
    }
}

#[test]
fn limits_of_a_store() {
    let engine = TestEngine::new();
    let mut store = engine.store();
    store.options_mut().instances_max = 1;
    store.options_mut().memory_bytes_max = 2 << 16;
    store.options_mut().table_elements_max = 10;
    let (loaded, _) = engine.load(
        r#"(module (memory (export "m") 1) (table (export "t") 9 externref))"#,
        vec![],
    );
    let (instance, _) = store.instantiate(&loaded, &[]).unwrap();
    let (Some(ExternHandle::Memory(m)), Some(ExternHandle::Table(t))) = (
        store.export_by_name(instance, "m"),
        store.export_by_name(instance, "t"),
    ) else {
        panic!("expected a memory and a table");
    };
    assert_eq!(store.memory_grow(m, 2), None);
    assert_eq!(store.memory_grow(m, u64::MAX), None);
    assert_eq!(store.memory_grow(m, 1), Some(1));
    assert_eq!(store.table_grow(t, 2, RawVal::ZERO), None);
    assert_eq!(store.table_grow(t, 1, RawVal::ZERO), Some(9));
    for text in [
        "(module)",
        "(module (memory 3))",
        "(module (table 11 funcref))",
    ] {
        let (loaded, _) = engine.load(text, vec![]);
        store.options_mut().instances_max = if text == "(module)" { 1 } else { 2 };
        let error = store.instantiate(&loaded, &[]).unwrap_err();
        assert!(
            matches!(error, InstantiateError::Runtime(ref e) if e.kind() == RuntimeErrorKind::Limit),
            "{error}"
        );
    }
}
