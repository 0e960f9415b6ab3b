//! Stack overflow on the main thread, whose stack, unlike those of others, grows on demand. The harness runs no test
//! there, so this is a program of its own.

use upshift::{CompileMode, Config, Engine, Instance, Module, Result, Store, TierPolicy, TrapCode};

const TEXT: &str = r#"(module
    (func $down (export "down") (param i32) (result i32)
        (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func (export "six") (param i32) (result i32) (i32.const 6)))"#;

fn main() -> Result<()> {
    for policy in [
        TierPolicy::Dynamic,
        TierPolicy::Eager,
        TierPolicy::Baseline,
        TierPolicy::Optimizing,
    ] {
        for mode in [CompileMode::Lazy, CompileMode::Eager] {
            let mut config = Config::new();
            // More than the default, so that much of the stack was never touched.
            config
                .tier_policy(policy)
                .compile_mode(mode)
                .max_wasm_stack(4 << 20);
            let engine = Engine::new(&config)?;
            let module = Module::new(&engine, TEXT)?;
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[])?;
            let down = instance.get_typed_func::<i32, i32>(&mut store, "down")?;
            let six = instance.get_typed_func::<i32, i32>(&mut store, "six")?;
            for _ in 0..3 {
                let error = down.call(&mut store, 0).expect_err("a stack is finite");
                let code = error.trap().map(|trap| trap.code());
                assert_eq!(code, Some(TrapCode::StackOverflow), "{policy:?} {mode:?}");
                assert_eq!(six.call(&mut store, 0)?, 6);
            }
        }
    }
    Ok(())
}
