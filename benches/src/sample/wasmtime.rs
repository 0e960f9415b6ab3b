//! Samples of Wasmtime: its default configuration but for the compiler, as an embedder gets it.

use super::Job;
use super::clock::{Clock, ms};
use super::usage::{self, Whose};
use crate::engine::Strategy;
use crate::schema::{Iteration, Measured};
use std::os::fd::AsFd as _;
use std::time::Instant;
use wasmtime::{CallHook, Caller, Config, Engine, Linker, Module, Store};
use wasmtime_wasi::cli::InputFile;
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// Loads and runs the program.
pub(super) fn run(job: &Job<'_>, strategy: Strategy, one_thread: bool) -> Result<Measured, String> {
    let text = |error: wasmtime::Error| format!("{error:#}");
    let mut config = Config::new();
    config.strategy(match strategy {
        Strategy::Cranelift => wasmtime::Strategy::Cranelift,
        Strategy::Winch => wasmtime::Strategy::Winch,
    });
    config.parallel_compilation(!one_thread);
    let engine = Engine::new(&config).map_err(text)?;
    let bytes = job.module()?;
    job.mark_load()?;

    let started = Instant::now();
    let module = Module::new(&engine, &bytes).map_err(text)?;
    let load = started.elapsed();
    drop(bytes);

    let mut iterations = Vec::new();
    for _ in 0..job.iterations {
        iterations.push(iteration(job, &engine, &module).map_err(text)?);
    }
    Ok(Measured {
        load_ms: ms(load),
        iterations,
        code_bytes: u64::try_from(module.text().len()).ok(),
        peak_rss_kb: usage::peak_rss_kb(Whose::Own),
        cpu_ms: ms(usage::cpu(Whose::Own)),
        ..Measured::default()
    })
}

struct Host {
    wasi: WasiP1Ctx,
    clock: Clock,
}

fn iteration(job: &Job<'_>, engine: &Engine, module: &Module) -> wasmtime::Result<Iteration> {
    job.redirect_stdin().map_err(wasmtime::Error::msg)?;
    let started = Instant::now();
    let host = Host {
        wasi: wasi(job)?,
        clock: Clock::default(),
    };
    let mut linker: Linker<Host> = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |host| &mut host.wasi)?;
    linker.func_wrap("bench", "start", |mut caller: Caller<'_, Host>| {
        caller.data_mut().clock.start();
    })?;
    linker.func_wrap("bench", "end", |mut caller: Caller<'_, Host>| {
        caller.data_mut().clock.end();
    })?;
    let mut store = Store::new(engine, host);
    // The hook costs a few nanoseconds per call of an import.
    store.call_hook(|mut store, hook| {
        match hook {
            CallHook::CallingHost => store.data_mut().clock.import(),
            CallHook::CallingWasm | CallHook::ReturningFromWasm | CallHook::ReturningFromHost => {}
        }
        Ok(())
    });
    let instance = linker.instantiate(&mut store, module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let instantiate = started.elapsed();

    let called = store.data_mut().clock.called();
    let outcome = start.call(&mut store, ());
    let mut iteration = store.data_mut().clock.finish(instantiate, called, 0);
    if let Err(error) = outcome {
        match error.downcast_ref::<I32Exit>() {
            Some(exit) => iteration.exit = exit.0,
            None => return Err(error),
        }
    }
    Ok(iteration)
}

fn wasi(job: &Job<'_>) -> wasmtime::Result<WasiP1Ctx> {
    let mut builder = WasiCtxBuilder::new();
    // As the command line of Wasmtime does: without it each access to a file changes threads.
    builder.allow_blocking_current_thread(true);
    builder.inherit_stdio();
    if job.program.stdin.is_some() {
        // The inherited one is read by a thread that keeps what it has read for the next iteration.
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        builder.stdin(InputFile::new(stdin.into()));
    }
    builder.arg(job.argv0()).args(&job.args);
    for (key, value) in &job.program.env {
        builder.env(key, value);
    }
    for (host, guest) in &job.program.dirs {
        builder.preopened_dir(host, guest, FsPerms::ReadWrite)?;
    }
    Ok(builder.build_p1())
}
