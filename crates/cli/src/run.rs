//! `upshift run`: instantiates a module and calls `_start`, or another export.

use crate::args::{RunOptions, TimingsFormat};
use crate::bench_clock::BenchClock;
use crate::timer::Timer;
use crate::timings::{self, Phases};
use crate::{EXIT_ERROR, EXIT_TRAP, invoke};
use std::io::Write as _;
use std::time::Instant;
use upshift::{Caller, Engine, Error, ErrorKind, Func, Instance, Linker, Module, Store, Val};
use upshift_wasi::{ExitStatus, WasiCtx, WasiCtxBuilder};

/// What host functions reach.
struct Host {
    wasi: WasiCtx,
    clock: BenchClock,
}

/// Runs a program; gives the exit code. The line of timings is the last on standard error, however the run ends.
pub(crate) fn run(options: &RunOptions) -> i32 {
    let mut phases = Phases::default();
    // The module is kept, so that its code counts as live in what is printed below.
    let mut loaded = None;
    let code = match run_phases(options, &mut phases, &mut loaded) {
        Ok(()) => 0,
        Err(error) => exit_code(options, &error),
    };
    // Results may still be buffered; a closed pipe is not the guest's failure.
    let _ = std::io::stdout().flush();
    let engine = loaded.as_ref().map(|(engine, _)| engine);
    if options.stats
        && let Some(engine) = engine
    {
        timings::print_stats(engine);
    }
    match options.timings {
        Some(TimingsFormat::Json) => timings::print_json(engine, phases, code),
        None => {}
    }
    code
}

fn run_phases(
    options: &RunOptions,
    phases: &mut Phases,
    loaded: &mut Option<(Engine, Option<Module>)>,
) -> Result<(), Error> {
    let mut config = options.engine.config();
    config.interruption(options.timeout.is_some());
    let engine = Engine::new(&config)?;
    *loaded = Some((engine.clone(), None));
    let bytes = std::fs::read(options.file()).map_err(|error| read_error(options, &error))?;
    let wasi = wasi_context(options)?;

    let started = Instant::now();
    let module = Module::from_vec(&engine, bytes)?;
    phases.compile = started.elapsed();
    *loaded = Some((engine.clone(), Some(module.clone())));

    let started = Instant::now();
    let linker = linker(&engine)?;
    let mut store = Store::new(
        &engine,
        Host {
            wasi,
            clock: BenchClock::default(),
        },
    );
    let stop_timer = options.timeout.map(|timeout| {
        let handle = store.interrupt_handle();
        let (engine, phases, format) = (engine.clone(), *phases, options.timings);
        Timer {
            handle,
            timeout,
            engine,
            phases,
            format,
        }
        .start()
    });
    let instance = linker.instantiate(&mut store, &module);
    phases.instantiate = started.elapsed();

    let started = Instant::now();
    let outcome = instance.and_then(|instance| call(options, &mut store, instance));
    phases.run = store
        .data_mut()
        .clock
        .finish()
        .unwrap_or_else(|| started.elapsed());
    drop(stop_timer);
    outcome
}

fn read_error(options: &RunOptions, error: &std::io::Error) -> Error {
    Error::with_kind(ErrorKind::Io, format!("{}: {error}", options.file()))
}

fn wasi_context(options: &RunOptions) -> Result<WasiCtx, Error> {
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio();
    builder.arg(options.file());
    if options.invoke.is_none() {
        for arg in options.args() {
            builder.arg(arg);
        }
    }
    for (key, value) in &options.env {
        builder.env(key, value);
    }
    for dir in &options.dirs {
        let (host, guest) = dir.split_once("::").unwrap_or((dir, dir));
        builder.preopened_dir(host, guest)?;
    }
    builder.build()
}

fn linker(engine: &Engine) -> Result<Linker<Host>, Error> {
    let mut linker = Linker::new(engine);
    upshift_wasi::add_to_linker(&mut linker, |host: &mut Host| &mut host.wasi)?;
    linker.func_wrap("bench", "start", |mut caller: Caller<'_, Host>| {
        caller.data_mut().clock.start();
    })?;
    linker.func_wrap("bench", "end", |mut caller: Caller<'_, Host>| {
        caller.data_mut().clock.end();
    })?;
    Ok(linker)
}

fn call(options: &RunOptions, store: &mut Store<Host>, instance: Instance) -> Result<(), Error> {
    let Some(name) = &options.invoke else {
        let start = export(store, instance, "_start")?;
        return start.call(&mut *store, &[], &mut []);
    };
    if let Some(initialize) = instance.get_func(&mut *store, "_initialize") {
        initialize.call(&mut *store, &[], &mut [])?;
    }
    let func = export(store, instance, name)?;
    let args = invoke::parse_arguments(store, name, &func, options.args())?;
    let mut results = vec![Val::I32(0); func.ty(&*store).results().len()];
    func.call(&mut *store, &args, &mut results)?;
    let text = invoke::format_results(store, &results);
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|e| Error::with_kind(ErrorKind::Io, format!("standard output: {e}")))
}

fn export(store: &mut Store<Host>, instance: Instance, name: &str) -> Result<Func, Error> {
    instance.get_func(&mut *store, name).ok_or_else(|| {
        let names: Vec<String> = instance
            .exports(&mut *store)
            .map(|e| e.name().to_owned())
            .collect();
        let message = format!("expected an exported function {name:?}, found {names:?}");
        Error::with_kind(ErrorKind::Link, message)
    })
}

fn exit_code(options: &RunOptions, error: &Error) -> i32 {
    if let Some(status) = error.downcast_ref::<ExitStatus>() {
        return status.code();
    }
    if let Some(trap) = error.trap() {
        if options.timeout.is_some() && trap.code() == upshift::TrapCode::Interrupt {
            eprintln!("upshift: the guest ran longer than --timeout allows");
        }
        eprintln!("upshift: {error:#}");
        return EXIT_TRAP;
    }
    eprintln!("upshift: {error}");
    EXIT_ERROR
}
