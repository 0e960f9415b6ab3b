//! Guests in text form that call the interface through the engine.

use upshift::{Engine, Error, Linker, Module, Store};
use upshift_wasi::{ExitStatus, Output, WasiCtx, WasiCtxBuilder, add_to_linker};

/// Runs `_start` of a module; gives how it ended.
fn run(text: &str, builder: &mut WasiCtxBuilder) -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::new(&engine, text)?;
    let mut linker: Linker<WasiCtx> = Linker::new(&engine);
    add_to_linker(&mut linker, |context| context)?;
    let mut store = Store::new(&engine, builder.build()?);
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_func(&mut store, "_start");
    let start = start.ok_or_else(|| Error::msg("expected an exported _start"))?;
    start.call(&mut store, &[], &mut [])
}

#[test]
fn a_guest_copies_its_input_and_exits() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_read"
            (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        ;; One buffer of 64 bytes at 16.
        (data (i32.const 0) "\10\00\00\00\40\00\00\00")
        (func (export "_start")
            (call $exit (i32.add
                (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4))
                (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
            unreachable))"#;
    let output = Output::new(1024);
    let error = run(
        text,
        WasiCtxBuilder::new().stdin("some text").stdout(&output),
    )
    .unwrap_err();
    assert_eq!(
        error
            .downcast_ref::<ExitStatus>()
            .map(|status| status.code()),
        Some(0)
    );
    assert_eq!(output.contents(), b"some text");
}

#[test]
fn every_exit_code_passes() {
    for code in [0, 1, 125, 126, 134, 255] {
        let text = format!(
            r#"(module
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (func (export "_start") (call $exit (i32.const {code}))))"#
        );
        let error = run(&text, &mut WasiCtxBuilder::new()).unwrap_err();
        assert_eq!(
            error
                .downcast_ref::<ExitStatus>()
                .map(|status| status.code()),
            Some(code)
        );
    }
}

#[test]
fn a_guest_without_memory_is_told() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func (export "_start") (drop (call $yield))))"#;
    let error = run(text, &mut WasiCtxBuilder::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("export a memory named \"memory\""),
        "{error}"
    );
}

#[test]
fn all_functions_have_their_types() {
    let mut text =
        String::from("(module (memory (export \"memory\") 1) (func (export \"_start\"))");
    let imports = upshift_wasi::Function::ALL.iter().map(|function| {
        let params: Vec<&str> = function
            .params()
            .iter()
            .map(|param| match param {
                upshift_wasi::Param::I32 => "i32",
                upshift_wasi::Param::I64 => "i64",
            })
            .collect();
        let result = if function.returns_errno() {
            "(result i32)"
        } else {
            ""
        };
        let (name, params) = (function.name(), params.join(" "));
        format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func (param {params}) {result}))")
    });
    let imports: String = imports.collect();
    text.insert_str("(module ".len(), &imports);
    text.push(')');
    run(&text, &mut WasiCtxBuilder::new()).unwrap();
}
