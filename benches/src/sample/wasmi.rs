//! Samples of wasmi, in its default configuration.

use super::Job;
use super::clock::{Clock, ms};
use super::usage::{self, Whose};
use crate::schema::{Iteration, Measured};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Instant;
use wasmi_wasi::wasi_common::pipe::{ReadPipe, WritePipe};
use wasmi_wasi::{WasiCtx, WasiCtxBuilder};
use wasmi2::{CallHook, Caller, Engine, Linker, Module, Store};

/// Loads and runs the program.
pub(super) fn run(job: &Job<'_>) -> Result<Measured, String> {
    let engine = Engine::default();
    let bytes = job.module()?;
    job.mark_load()?;

    let started = Instant::now();
    let module = Module::new(&engine, &bytes).map_err(|e| e.to_string())?;
    let load = started.elapsed();
    drop(bytes);

    let mut iterations = Vec::new();
    for _ in 0..job.iterations {
        iterations.push(iteration(job, &engine, &module)?);
    }
    Ok(Measured {
        load_ms: ms(load),
        iterations,
        peak_rss_kb: usage::peak_rss_kb(Whose::Own),
        cpu_ms: ms(usage::cpu(Whose::Own)),
        ..Measured::default()
    })
}

struct Host {
    wasi: WasiCtx,
    clock: Clock,
}

fn iteration(job: &Job<'_>, engine: &Engine, module: &Module) -> Result<Iteration, String> {
    job.redirect_stdin()?;
    let text = |error: wasmi2::Error| error.to_string();
    let started = Instant::now();
    let host = Host {
        wasi: wasi(job)?,
        clock: Clock::default(),
    };
    let mut store = Store::new(engine, host);
    let mut linker: Linker<Host> = Linker::new(engine);
    wasmi_wasi::add_to_linker(&mut linker, |host: &mut Host| &mut host.wasi)
        .map_err(|e| e.to_string())?;
    define_bench(&mut linker)?;
    // The hook costs a few nanoseconds per call of an import.
    store.call_hook(|host, hook| {
        match hook {
            CallHook::CallingHost => host.clock.import(),
            CallHook::CallingWasm | CallHook::ReturningFromWasm | CallHook::ReturningFromHost => {}
        }
        Ok(())
    });
    let instance = linker
        .instantiate_and_start(&mut store, module)
        .map_err(text)?;
    let start = instance
        .get_typed_func::<(), ()>(&store, "_start")
        .map_err(|e| format!("_start: {e}"))?;
    let instantiate = started.elapsed();

    let called = store.data_mut().clock.called();
    let outcome = start.call(&mut store, ());
    let mut iteration = store.data_mut().clock.finish(instantiate, called, 0);
    if let Err(error) = outcome {
        iteration.exit = error.i32_exit_status().ok_or_else(|| error.to_string())?;
    }
    Ok(iteration)
}

fn define_bench(linker: &mut Linker<Host>) -> Result<(), String> {
    let start = |mut caller: Caller<'_, Host>| caller.data_mut().clock.start();
    let end = |mut caller: Caller<'_, Host>| caller.data_mut().clock.end();
    let defined = linker.func_wrap("bench", "start", start);
    defined
        .and_then(|linker| linker.func_wrap("bench", "end", end))
        .map(|_| ())
        .map_err(|e| e.to_string())
}

/// The standard streams are used directly: those of the library have buffers, which save system calls that
/// the other engines make, and keep what they have read for the next iteration.
fn wasi(job: &Job<'_>) -> Result<WasiCtx, String> {
    let text = |error: &dyn std::fmt::Display| format!("WASI: {error}");
    let mut builder = WasiCtxBuilder::new();
    let stdin = ReadPipe::new(own(std::io::stdin())?);
    let stdout = WritePipe::new(own(std::io::stdout())?);
    let stderr = WritePipe::new(own(std::io::stderr())?);
    builder
        .stdin(Box::new(stdin))
        .stdout(Box::new(stdout))
        .stderr(Box::new(stderr));
    builder.arg(&job.argv0()).map_err(|e| text(&e))?;
    builder.args(&job.args).map_err(|e| text(&e))?;
    for (key, value) in &job.program.env {
        builder.env(key, value).map_err(|e| text(&e))?;
    }
    for (host, guest) in &job.program.dirs {
        let ambient = wasmi_wasi::ambient_authority();
        let dir = wasmi_wasi::Dir::open_ambient_dir(host, ambient)
            .map_err(|e| format!("{}: {e}", host.display()))?;
        builder.preopened_dir(dir, guest).map_err(|e| text(&e))?;
    }
    Ok(builder.build())
}

fn own(stream: impl AsFd) -> Result<File, String> {
    let fd = stream.as_fd().try_clone_to_owned();
    fd.map(File::from)
        .map_err(|e| format!("standard stream: {e}"))
}
