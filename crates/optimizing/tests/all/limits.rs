//! Bodies at the engine's limits: they compile, or fail with an error of kind Limit, in time that is linear enough, and
//! the worker is fit for the next function afterwards.

use crate::support::{Settings, TestModule};
use std::fmt::Write as _;
use upshift_abi::{CompileErrorKind, InlineLimits};

/// Compiles all functions, by themselves and with whatever can be inlined; an error may only be a limit.
fn check(name: &str, source: &str) {
    let module = TestModule::new(source);
    let inlining = InlineLimits {
        tiny_bytes: 1_000,
        small_bytes: 100_000,
        hot_bytes: 100_000,
        hot_entries: 0,
        depth: 10,
        budget_bytes: 20_000,
        growth_percent: 1_000,
        growth_bytes_min: 10_000,
    };
    for func in module.funcs() {
        let mut compiled = false;
        for inlining in [Some(inlining), None] {
            let settings = Settings {
                inlining,
                ..Settings::default()
            };
            match module.compile(func, settings) {
                Ok(code) => {
                    crate::support::check_artefact(&code);
                    compiled = true;
                }
                Err(error) => {
                    assert_eq!(error.kind(), CompileErrorKind::Limit, "{name}: {error}");
                    assert!(!compiled, "{name}: only without inlining: {error}");
                }
            }
        }
    }
}

/// `repeat(3, "x")` is "xxx"; the argument numbers the repetitions.
fn repeat(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, at| {
        write!(text, "{}", piece(at)).expect("a String grows");
        text
    })
}

/// What is tried, and the text of the module.
type Case = (&'static str, String);

#[test]
fn bodies_at_the_limits() {
    for (name, source) in nests().iter().chain(&lists()).chain(&inlined()) {
        check(name, source);
    }
}

/// Blocks in blocks.
fn nests() -> Vec<Case> {
    let nested = |open: &str, close: &str, depth: usize| {
        let (open, close) = (
            repeat(depth, |_| open.into()),
            repeat(depth, |_| close.into()),
        );
        format!("(module (func (param i32) {open} nop {close}))")
    };
    vec![
        ("nested blocks", nested("block\n", "end\n", 20_000)),
        ("nested loops", nested("loop\n", "end\n", 1_000)),
        (
            "loops nested beyond the limit",
            nested("loop\n", "end\n", 3_000),
        ),
        (
            "nested ifs",
            nested("local.get 0 if\n", "else nop end\n", 5_000),
        ),
        (
            "branches out of nested blocks",
            nested("block\n", "local.get 0 br_if 0 end\n", 5_000),
        ),
        (
            "wide blocks, nested",
            format!(
                "(module (type $t (func (param {0}) (result {0}))) (func (param i32) {1} {2} {3} {4}))",
                "i32 ".repeat(500),
                "i32.const 1 ".repeat(500),
                "local.get 0 if (type $t) ".repeat(200),
                "end ".repeat(200),
                "drop ".repeat(500)
            ),
        ),
    ]
}

/// Much of one thing.
fn lists() -> Vec<Case> {
    vec![
        (
            "many locals",
            format!(
                "(module (func (param i32) (local {}) loop local.get 0 br_if 0 end local.get 40000 drop))",
                "i64 ".repeat(49_000)
            ),
        ),
        (
            "many locals across many loops",
            format!(
                "(module (func (param i32) (local {}) {} {}))",
                "i64 ".repeat(20_000),
                "loop local.get 0 br_if 0 end\n".repeat(1_000),
                repeat(20_000, |at| format!("local.get {} drop\n", at + 1))
            ),
        ),
        (
            "a long sum",
            format!(
                "(module (func (param i32) (result i32) local.get 0 {}))",
                repeat(20_000, |at| format!(
                    "local.get 0 i32.const {at} i32.xor i32.add\n"
                ))
            ),
        ),
        (
            "a large jump table",
            format!(
                "(module (func (param i32) {} local.get 0 br_table {} {}))",
                "block ".repeat(500),
                repeat(5_000, |at| format!("{} ", at % 500)),
                "end ".repeat(500)
            ),
        ),
        (
            "many parameters and results",
            format!(
                "(module (type $t (func (param {0}) (result {0}))) (func $f (type $t) {1} call $f))",
                "i64 ".repeat(900),
                repeat(900, |at| format!("local.get {at} "))
            ),
        ),
        (
            "many globals",
            format!(
                "(module {} (func {}))",
                "(global (mut i32) (i32.const 0))".repeat(1_000),
                repeat(1_000, |at| format!("i32.const {at} global.set {at}\n"))
            ),
        ),
    ]
}

/// Bodies that want to be inlined.
fn inlined() -> Vec<Case> {
    vec![
        (
            "calls of a tiny function",
            format!(
                "(module (func $f (result i32) i32.const 1) (func {}))",
                "call $f drop ".repeat(10_000)
            ),
        ),
        (
            "a tiny body with many locals",
            format!(
                "(module (func $f (local {})) (func {}))",
                "i64 ".repeat(49_000),
                "call $f ".repeat(1_000)
            ),
        ),
        (
            "a tiny body with many parameters",
            format!(
                "(module (type $t (func (param {0}) (result {0}))) (func $f (type $t) unreachable) (func {1} {2} {3}))",
                "i32 ".repeat(900),
                "i32.const 1 ".repeat(900),
                "call $f ".repeat(10),
                "drop ".repeat(900)
            ),
        ),
        (
            "functions that call two of the next",
            format!(
                "(module {} (func $f30))",
                repeat(30, |at| format!(
                    "(func $f{at} loop call $f{0} call $f{0} end)",
                    at + 1
                ))
            ),
        ),
        (
            "functions that call each other",
            format!(
                "(module {})",
                repeat(12, |at| format!(
                    "(func $f{at} (param i32) loop {} local.get 0 br_if 0 end)",
                    repeat(12, |to| format!("local.get 0 call $f{to} "))
                ))
            ),
        ),
        (
            "tiny bodies of nested loops, in nested loops",
            format!(
                "(module (func $f (param i32) {0} nop {1}) (func (param i32) {2} local.get 0 call $f {3}))",
                "loop ".repeat(200),
                "end ".repeat(200),
                "loop ".repeat(900),
                "end ".repeat(900)
            ),
        ),
        (
            "calls through a table",
            format!(
                "(module (table 1 funcref) (func $f) (elem (i32.const 0) $f) (func {}))",
                "i32.const 0 call_indirect ".repeat(3_000)
            ),
        ),
    ]
}

#[test]
fn an_error_leaves_the_worker_usable() {
    use upshift_abi::{CompileOptions, LoopState, SiteIndex};
    let module = TestModule::new("(module (func loop br 0 end))");
    let func = module.funcs().next().expect("one function");
    // No loop has this number.
    let state = LoopState {
        site: SiteIndex(2),
        code_bytes: 0,
        result_pointer: None,
        locals: Vec::new(),
        operands: Vec::new(),
        heights: vec![0],
        saved: Vec::new(),
    };
    let mut worker = module.worker();
    let env = module.env(Settings::default());
    let error = worker.compile_osr(func, &env, &state).expect_err("no loop");
    assert_eq!(error.kind(), CompileErrorKind::Internal);
    let options = CompileOptions::default();
    let first = worker.compile(func, &env, &options).expect("it compiles");
    let second = worker.compile(func, &env, &options).expect("it compiles");
    assert_eq!(first.code, second.code, "the same code from a used worker");
}
