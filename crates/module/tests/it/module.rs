//! What decoding finds, as data: text in, facts, operators, names or error out.

use std::sync::{Arc, Mutex};

use crate::common::{decode, encode, facts, gather, listing};
use upshift_module::{
    BodySink, DataIndex, DecodeOptions, ErrorKind, FuncIndex, LocalIndex, Module, ModuleDecoder,
    ModuleEnv, ModuleError, ValidatedFunc,
};

#[test]
fn public_types_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Module>();
    check::<ModuleEnv>();
    check::<ModuleError>();
    check::<ValidatedFunc<'_>>();
    assert_eq!(size_of::<ModuleError>(), size_of::<usize>());
}

/// Fields of a function, and its facts.
const FACTS: &[(&str, &str)] = &[
    ("", "operands 0 locals 0 calls 0 in 0 uses [] homes []"),
    (
        "(param i32 f64) (result i32) (local externref) local.get 0 local.get 0 i32.add",
        "operands 2 locals 3 calls 0 in 0 uses [refs] homes []",
    ),
    (
        "(local i32 f32) local.get 0 local.set 0 local.get 0 drop local.get 1 local.get 1 drop drop local.get 1 drop",
        "operands 2 locals 2 calls 0 in 0 uses [] homes [0:3 1:3]",
    ),
    (
        "(local i32 i32) (loop (local.set 0 (i32.load (local.get 1))) (local.set 0 (i32.const 0)))",
        "operands 1 locals 2 calls 0 in 0 uses [memory0 loop] homes [0:16 1:8]\n\
         loop homes [1:1]",
    ),
    // The inner loop repeats a write of the outer one: each has it once.
    (
        "(local i32) (loop (local.set 0 (i32.const 1)) (loop (local.set 0 (i32.const 2))) (local.set 0 (i32.const 3)))",
        "operands 1 locals 1 calls 0 in 0 uses [loop] homes [0:80]\n\
         loop homes []\n\
         loop homes []",
    ),
    // A write after an inner loop that has it already is left out.
    (
        "(local i32) (loop (loop (local.set 0 (i32.const 2))) (local.set 0 (i32.const 3)))",
        "operands 1 locals 1 calls 0 in 0 uses [loop] homes [0:72]\n\
         loop homes []\n\
         loop homes []",
    ),
    // Two nests, each with its own candidates.
    (
        "(local i32 i64) (loop (drop (local.get 0))) (loop (call 0) (drop (local.get 1)))",
        "operands 1 locals 2 calls 1 in 1 uses [call loop] homes [0:8 1:8]\n\
         loop homes [0:1]\n\
         loop calls homes [1:1]",
    ),
    // Calls of functions and helpers count for the loops around them only, not for those before or after.
    (
        "(loop (loop (call 0)) (loop)) (loop (loop (global.set 0 (memory.grow (i32.const 0)))))",
        "operands 1 locals 0 calls 1 in 2 uses [call grow libcall global loop] homes []\n\
         loop calls homes []\nloop calls homes []\nloop homes []\nloop calls homes []\nloop calls homes []",
    ),
    // What inner loops use counts eight times; what is written in them is marked in the outer ones.
    (
        "(param i32) (local f64 i32) (loop (loop (drop (local.get 1)) (local.set 1 (f64.const 1))) \
           (drop (local.get 0)) (drop (local.get 0)))",
        "operands 1 locals 3 calls 0 in 0 uses [loop] homes [1:128 0:16]\n\
         loop homes [0:2 1:16w]\n\
         loop homes [1:2w]",
    ),
    (
        "(drop (memory.grow (i32.const 0))) (global.set 0 (i32.const 0)) (drop (ref.func 0)) \
         (drop (table.size 0)) (call_indirect (type 0) (i32.const 0))",
        "operands 1 locals 0 calls 1 in 0 uses [call grow refs libcall global] homes []",
    ),
    (
        "(block (result i32) (if (result i32) (i32.const 0) (then (i32.const 1)) (else (i32.const 2)))) drop",
        "operands 1 locals 0 calls 0 in 0 uses [] homes []",
    ),
    // Dead code counts: what it holds has to be skipped as well.
    (
        "unreachable (drop (i32.load8_u (i32.const 0)))",
        "operands 1 locals 0 calls 0 in 0 uses [memory0] homes []",
    ),
];

/// Fields of a function, and its locals that are carried over labels and calls.
const CARRIED: &[(&str, &[u32])] = &[
    // A parameter is written where the body begins.
    (
        "(param i32 i32) (drop (local.get 0)) (call 1) (drop (local.get 1))",
        &[1],
    ),
    // A declared local is zero until it is written.
    (
        "(local i32 i32) (drop (local.get 0)) (local.set 1 (i32.const 1)) (drop (local.get 1))",
        &[0],
    ),
    (
        "(param i32) (local i32) (local.set 1 (local.get 0)) (call 1) (local.set 1 (i32.const 1)) (drop (local.get 1))",
        &[],
    ),
    (
        "(local i32) (local.set 0 (i32.const 1)) (block (drop (local.get 0)))",
        &[],
    ),
    (
        "(local i32) (block (local.set 0 (i32.const 1))) (drop (local.get 0))",
        &[0],
    ),
    (
        "(local i32) (local.set 0 (i32.const 1)) (loop (drop (local.get 0)))",
        &[0],
    ),
    (
        "(local i32) (loop (local.set 0 (i32.const 1)) (br_if 0 (i32.const 0)) (drop (local.get 0)))",
        &[],
    ),
    (
        "(local i32) (loop (drop (local.tee 0 (i32.const 1)))) (drop (local.get 0))",
        &[],
    ),
    (
        "(local i32 i32) (local.set 0 (i32.const 1)) (local.set 1 (i32.const 1)) \
         (if (i32.const 0) (then (drop (local.get 0))) (else (drop (local.get 1))))",
        &[1],
    ),
    (
        "(local i32) (local.set 0 (i32.const 1)) (drop (memory.grow (i32.const 0))) (drop (local.get 0))",
        &[0],
    ),
    (
        "(local i32) (local.set 0 (i32.const 1)) (drop (ref.func 0)) (drop (local.get 0))",
        &[0],
    ),
    (
        "(local i32) (local.set 0 (i32.const 1)) (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) (drop (local.get 0))",
        &[0],
    ),
    (
        "(local i32) (local.set 0 (i32.const 1)) (drop (table.get 0 (i32.const 0))) (drop (local.get 0))",
        &[0],
    ),
    (
        "(local i32) (local.set 0 (i32.const 1)) (call_indirect (type 0) (i32.const 0)) (drop (local.get 0))",
        &[0],
    ),
    // Code that is never reached does not hide what follows it.
    (
        "(local i32) (block (local.set 0 (i32.const 1)) (br 0) (local.set 0 (i32.const 2))) (drop (local.get 0))",
        &[0],
    ),
];

#[test]
fn carried_locals() {
    for (fields, expected) in CARRIED {
        let module = format!(
            r#"(module (type (func)) (func (export "f") {fields}) (func) (memory 1) (table 1 funcref))"#
        );
        let module = decode(&encode(&module)).expect(fields);
        let facts = gather(module.func(FuncIndex(0)).expect(fields));
        let carried: Vec<u32> = (0..facts.local_count)
            .filter(|&local| facts.is_carried(LocalIndex(local)))
            .collect();
        assert_eq!(carried, *expected, "{fields}");
    }
}

#[test]
fn facts_of_bodies() {
    for (fields, expected) in FACTS {
        let module = format!(
            r#"(module (type (func)) (func $f (export "f") {fields}) (memory 1) (table 1 funcref) (global (mut i32) (i32.const 0)))"#
        );
        let module = decode(&encode(&module)).expect("valid");
        let func = module.func(FuncIndex(0)).expect("defined");
        assert_eq!(facts(&gather(func)), *expected, "{fields}");
    }
}

/// Bodies and their operators.
const LISTINGS: &[(&str, &str)] = &[
    (
        "(param i32) (local i64 f32) (br_table 0 0 (local.get 0))",
        "5: Variable(LocalGet(LocalIndex(0)))\n\
         7: Control(BrTable(BrTable { inner: BrTable { count: 1, default: 0, targets: [0] } }))\n\
         11: Control(End)\n",
    ),
    (
        "(i64.store16 offset=9 (i32.const -1) (i64.extend8_s (i64.const 1)))",
        "1: Const(I32(-1))\n\
         3: Const(I64(1))\n\
         5: Int(W64, Unary(Extend8S))\n\
         6: Memory(Store(I64As16, MemArg { offset: 9, memory: MemoryIndex(0) }))\n\
         9: Control(End)\n",
    ),
    (
        "(drop (select (result f64) (f64.const 1) (f64.neg (f64.const 2)) (f32.le (f32.const 0) (f32.const 1))))",
        "1: Const(F64(4607182418800017408))\n\
         10: Const(F64(4611686018427387904))\n\
         19: Float(F64, Unary(Neg))\n\
         20: Const(F32(0))\n\
         25: Const(F32(1065353216))\n\
         30: Float(F32, Compare(Le))\n\
         31: Parametric(TypedSelect(F64))\n\
         34: Parametric(Drop)\n\
         35: Control(End)\n",
    ),
    (
        "(memory.copy (i32.const 1) (i32.const 2) (i32.trunc_sat_f64_u (f64.const 3)))",
        "1: Const(I32(1))\n\
         3: Const(I32(2))\n\
         5: Const(F64(4613937818241073152))\n\
         14: Convert(TruncSat { to: W32, from: F64, signed: false })\n\
         16: Bulk(MemoryCopy { dst: MemoryIndex(0), src: MemoryIndex(0) })\n\
         20: Control(End)\n",
    ),
];

#[test]
fn operators_of_bodies() {
    for (fields, expected) in LISTINGS {
        let module = encode(&format!("(module (memory 1) (func {fields}))"));
        let module = decode(&module).expect("valid");
        let func = module.func(FuncIndex(0)).expect("defined");
        assert_eq!(listing(func), *expected, "{fields}");
    }
}

#[test]
fn declared_locals() {
    let module = encode("(module (func (param i32) (local i64 i64 f32 externref externref)))");
    let module = decode(&module).expect("valid");
    let func = module.func(FuncIndex(0)).expect("defined");
    let locals: Vec<String> = func
        .locals()
        .map(|(count, ty)| format!("{count} {ty}"))
        .collect();
    assert_eq!(locals, ["2 i64", "1 f32", "2 externref"]);
}

/// Wrong modules: kind and message.
const ERRORS: &[(&str, ErrorKind, &str)] = &[
    (
        r#"(module (func (export "foo") (result i32) i64.const 1))"#,
        ErrorKind::Invalid,
        "invalid module at offset 0x23 (function 0 \"foo\"): type mismatch: expected i32, found i64",
    ),
    (
        "(module (func local.get 3))",
        ErrorKind::Invalid,
        "invalid module at offset 0x17 (function 0): unknown local 3: local index out of bounds",
    ),
    (
        r#"(module (memory 1) (data (i64.const 0) ""))"#,
        ErrorKind::Invalid,
        "invalid module at offset 0x13: type mismatch: expected i32, found i64",
    ),
    (
        "(module (func (param v128)))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0xb: SIMD not supported: SIMD support is not enabled",
    ),
    (
        "(module (func (drop (v128.const i64x2 0 0))))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0x17 (function 0): SIMD not supported: SIMD support is not enabled",
    ),
    (
        "(module (func return_call 0))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0x17 (function 0): tail calls not supported: tail calls support is not enabled",
    ),
    (
        "(module (memory i64 1))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0xb: 64-bit memories not supported: memory64 must be enabled for 64-bit memories",
    ),
    (
        "(module (memory 1 1 shared))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0xb: threads not supported: threads must be enabled for shared memories",
    ),
    (
        "(module (memory 1) (memory 1))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0xa: multiple memories not supported",
    ),
    (
        "(module (tag))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0x10: exception handling is not supported",
    ),
    (
        "(module (type (struct)))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0xb: garbage collection not supported: struct indexed types not supported without the gc feature",
    ),
    (
        "(module (func (param (ref func))))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0xb: typed function references not supported: function references required for non-nullable types",
    ),
    (
        "(module (func (param anyref)))",
        ErrorKind::Unsupported,
        "unsupported module at offset 0xb: garbage collection not supported: heap types not supported without the gc feature",
    ),
    (
        "(component)",
        ErrorKind::Unsupported,
        "unsupported module at offset 0x8: the component model is not supported",
    ),
    (
        "(module (table 10000001 funcref))",
        ErrorKind::Limit,
        "module over a limit at offset 0xb: expected at most 10000000 elements of a table, found 10000001",
    ),
];

#[test]
fn errors() {
    for (wat, kind, message) in ERRORS {
        let error = decode(&encode(wat)).expect_err(wat);
        let found = (error.kind(), error.to_string());
        assert_eq!(found, (*kind, (*message).to_owned()), "{wat}");
    }
}

/// Fields of a module that exceeds a limit inside a body, and what the message says of it.
fn too_much() -> Vec<(String, &'static str)> {
    let repeat = |text: &str, times: usize| text.repeat(times);
    vec![
        (
            format!("(func (local {}))", repeat("i32 ", 50_001)),
            "(function 0): expected at most 50000 locals, found 50001",
        ),
        (
            format!(
                "(func {} {})",
                repeat("block ", 65_536),
                repeat("end ", 65_536)
            ),
            "(function 0): expected at most 65536 nested blocks, found 65537",
        ),
        (
            format!("(func {} unreachable)", repeat("(i32.const 0) ", 131_073)),
            "(function 0): expected at most 131072 operands, found 131073",
        ),
        (
            format!(
                "(func {})",
                repeat("(drop (i64.const 0x7fffffffffffffff)) ", 700_000)
            ),
            "(function 0): expected at most 7654321 bytes of body, found 8400002",
        ),
        (
            format!(
                "(func (result {}) unreachable {})",
                repeat("i32 ", 1000),
                repeat("br 0 ", 134_300)
            ),
            "expected at most 134217728 comparisons of operand types, found 134218000",
        ),
        (
            format!("(type (func (param {})))", repeat("i32 ", 1001)),
            "function params size is out of bounds",
        ),
        (
            format!("(type (func (result {})))", repeat("i32 ", 1001)),
            "function returns size is out of bounds",
        ),
    ]
}

#[test]
fn limits() {
    for (fields, message) in too_much() {
        let error = decode(&encode(&format!("(module {fields})"))).expect_err(message);
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert!(error.to_string().ends_with(message), "{error}");
    }
}

#[test]
fn names_and_data() {
    let module = decode(&encode(crate::common::EVERYTHING)).expect("valid");
    assert_eq!(module.module_name(), Some("whole"));
    let names: Vec<_> = (0..4).map(|i| module.func_name(FuncIndex(i))).collect();
    let expected = [Some("imported"), Some("twice"), Some("start"), None];
    assert_eq!(names, expected);
    assert!(module.func(FuncIndex(0)).is_none(), "imported");
    assert!(module.func(FuncIndex(3)).is_none(), "out of bounds");
    assert_eq!(module.data(DataIndex(0)), b"hello");
    assert_eq!(module.data(DataIndex(1)), b"passive");
    assert_eq!(module.data(DataIndex(2)), b"");
    let env = module.env();
    let declared: Vec<u32> = env.declared_funcs.iter().map(|func| func.0).collect();
    assert_eq!((declared, env.data_count), (vec![0, 1, 2], Some(2)));
}

/// Names sections, broken in ways that are no error, and the names of functions 0 and 1.
const NAMES: &[(&[u8], [Option<&str>; 2])] = &[
    (b"", [None, None]),
    (b"\x01\x07\x02\x00\x01a\x01\x01b", [Some("a"), Some("b")]),
    // A count that is too high; a length past the end; a name that is not UTF-8; indices out of order.
    (b"\x01\x04\x05\x00\x01a", [Some("a"), None]),
    (b"\x01\x07\x02\x00\x01a\x01\x7fb", [Some("a"), None]),
    (b"\x01\x07\x02\x00\x01\xff\x01\x01b", [None, None]),
    (b"\x01\x07\x02\x01\x01b\x00\x01a", [None, Some("b")]),
    // An index of no function.
    (b"\x01\x08\x01\xff\xff\xff\xff\x0f\x01a", [None, None]),
    // A subsection that is longer than the section.
    (b"\x01\xff\xff\x03\x01\x00\x01a", [None, None]),
];

#[test]
fn broken_names_are_no_error() {
    for (section, expected) in NAMES {
        let mut bytes = encode("(module (func) (func))");
        bytes.push(0);
        bytes.push(u8::try_from(section.len() + 5).expect("short"));
        bytes.extend_from_slice(b"\x04name");
        bytes.extend_from_slice(section);
        let module = decode(&bytes).expect("names are not validated");
        let names = [0, 1].map(|index| module.func_name(FuncIndex(index)));
        assert_eq!(names, *expected, "{section:?}");
    }
}

/// Keeps what a sink is told.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

fn body_line(func: ValidatedFunc<'_>) -> String {
    format!("body {} of {}", func.index().0, func.ops().count())
}

impl BodySink for Log {
    fn env_ready(&self, env: &Arc<ModuleEnv>) {
        let line = format!("env of {} functions", env.funcs.len());
        self.0.lock().expect("not poisoned").push(line);
    }

    fn bodies(&self, funcs: &[ValidatedFunc<'_>]) {
        let lines = funcs.iter().map(|func| body_line(*func));
        self.0.lock().expect("not poisoned").extend(lines);
    }
}

#[test]
fn a_sink_is_told_of_everything() {
    let bytes = encode(crate::common::EVERYTHING);
    for options in [DecodeOptions::default(), crate::common::pool()] {
        let log = Log::default();
        let mut decoder = ModuleDecoder::new(options).with_sink(Arc::new(log.clone()));
        for byte in &bytes {
            assert!(log.0.lock().expect("not poisoned").is_empty() == decoder.env().is_none());
            decoder.push(&[*byte]).expect("valid");
        }
        let module = decoder.finish().expect("valid");
        let mut expected = vec!["env of 3 functions".to_owned()];
        expected.extend(module.funcs().map(body_line));
        assert_eq!(*log.0.lock().expect("not poisoned"), expected);
    }
}

/// A module of so many functions of about 40 bytes, whose bodies take several batches.
fn many(funcs: usize) -> Vec<u8> {
    let work = "(i32.add (i32.const 1))".repeat(12);
    encode(&format!(
        "(module {} (memory 1) (data (i32.const 0) \"x\"))",
        format!("(func (result i32) (i32.const 0) {work})").repeat(funcs)
    ))
}

#[test]
fn bodies_are_ready_before_the_last_byte() {
    let bytes = many(20_000);
    let (last, first) = bytes.split_last().expect("not empty");
    for options in [DecodeOptions::default(), crate::common::pool()] {
        let log = Log::default();
        let mut decoder = ModuleDecoder::new(options).with_sink(Arc::new(log.clone()));
        decoder.push(first).expect("valid");
        let started = std::time::Instant::now();
        while decoder.ready_bodies() < 20_000 {
            assert!(started.elapsed().as_secs() < 60, "nothing goes on");
            std::thread::yield_now();
        }
        assert_eq!(log.0.lock().expect("not poisoned").len(), 20_001);
        decoder.push(&[*last]).expect("valid");
        let module = decoder.finish().expect("valid");
        assert_eq!(module.funcs().len(), 20_000);
        assert_eq!(log.0.lock().expect("not poisoned").len(), 20_001);
    }
}

#[test]
fn a_dropped_decoder_leaves_its_bodies() {
    let bytes = many(20_000);
    let mut decoder = ModuleDecoder::new(crate::common::pool());
    decoder.push(&bytes[..bytes.len() / 2]).expect("valid");
    drop(decoder);
}

/// A sink that panics.
struct Bad;

impl BodySink for Bad {
    fn env_ready(&self, _env: &Arc<ModuleEnv>) {}

    fn bodies(&self, _funcs: &[ValidatedFunc<'_>]) {
        panic!("as the test wants");
    }
}

#[test]
fn a_panic_of_the_sink_reaches_the_caller() {
    let bytes = many(100);
    for options in [DecodeOptions::default(), crate::common::pool()] {
        let decode = || {
            let mut decoder = ModuleDecoder::new(options).with_sink(Arc::new(Bad));
            decoder.push(&bytes)?;
            decoder.finish().map(|_| ())
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode));
        let panic = outcome.expect_err("it panics");
        assert_eq!(panic.downcast_ref(), Some(&"as the test wants"));
    }
}

#[test]
fn a_failed_decoder_stays_failed() {
    let mut decoder = ModuleDecoder::new(DecodeOptions::default());
    let error = decoder.push(b"not wasm").expect_err("no magic");
    assert_eq!(decoder.push(b"\0asm"), Err(error.clone()));
    assert_eq!(decoder.finish().map(|_| ()), Err(error));
}
