//! `upshift run`: instantiates a module and calls `_start`, or another export.

use crate::args::{RunOptions, TimingsFormat};
use crate::observe::{self, ViewOptions, Watch};
use crate::out::{err, out};
use crate::progress::{Progress, Shared};
use crate::schedule::Recording;
use crate::{EXIT_ERROR, EXIT_TRAP, input, invoke, timer, timings};
use std::io::Write as _;
use std::time::Instant;
use upshift::{Caller, Engine, Error, ErrorKind, Func, Instance, Linker, Module, Store, Val};
use upshift_wasi::{ExitStatus, WasiCtx, WasiCtxBuilder};

/// What host functions reach.
struct Host {
    wasi: WasiCtx,
    progress: Shared,
}

/// What is printed at the end of a run.
#[derive(Clone, Copy)]
pub(crate) struct Reporting {
    stats: bool,
    timings: Option<TimingsFormat>,
}

impl Reporting {
    pub(crate) fn new(options: &RunOptions) -> Self {
        Self {
            stats: options.stats,
            timings: options.timings,
        }
    }
}

/// Runs a program, and shows the history of its functions if `view` says how; gives the exit code. The line of timings is the
/// last on standard error, however the run ends.
pub(crate) fn run(options: &RunOptions, view: Option<&ViewOptions>) -> i32 {
    let progress = Shared::default();
    let code = match run_phases(options, view, &progress) {
        Ok(()) => 0,
        Err(error) => exit_code(options, &error),
    };
    // Results may still be buffered; a closed pipe is not the guest's failure.
    let _ = std::io::stdout().flush();
    let progress = progress.lock();
    report(Reporting::new(options), &progress, code);
    // Never given back: the process ends now, and a timer that gives up meanwhile must print nothing.
    std::mem::forget(progress);
    code
}

/// Prints what the options ask for.
pub(crate) fn report(reporting: Reporting, progress: &Progress, code: i32) {
    progress.recording.finish();
    let engine = progress.engine.as_ref();
    if let Some(watch) = &progress.watch {
        watch.finish(progress);
    }
    if reporting.stats
        && let Some(engine) = engine
    {
        observe::print_stats(&engine.stats());
    }
    match reporting.timings {
        Some(TimingsFormat::Json) => timings::print_json(engine, progress.phases, code),
        None => {}
    }
}

fn run_phases(
    options: &RunOptions,
    view: Option<&ViewOptions>,
    progress: &Shared,
) -> Result<(), Error> {
    let mut config = options.engine.config();
    config.interruption(options.timeout.is_some());
    progress.lock().recording = Recording::new(options, &mut config)?;
    let bytes = match &options.tier_mask {
        Some(mask) => mask.apply(&mut config, options.file())?,
        None => None,
    };
    options.observe.profile(&mut config);
    progress.lock().watch = Watch::new(options, view, &mut config)?;
    let engine = Engine::new(&config)?;
    progress.lock().engine = Some(engine.clone());
    let wasi = wasi_context(options)?;
    let module = load(options, bytes, &engine, progress)?;
    progress.lock().module = Some(module.clone());

    let started = Instant::now();
    progress.lock().phase("instantiate");
    let linker = linker(&engine)?;
    let progress = progress.clone();
    let mut store = Store::new(
        &engine,
        Host {
            wasi,
            progress: progress.clone(),
        },
    );
    let stop_timer = options
        .timeout
        .map(|timeout| timer::start(options, timeout, store.interrupt_handle(), progress.clone()));
    let instance = linker.instantiate(&mut store, &module);
    progress.lock().phases.instantiate = started.elapsed();

    let outcome = instance.and_then(|instance| call(options, &mut store, instance));
    progress.lock().end_call();
    progress.lock().phase(observe::END);
    drop(stop_timer);
    outcome
}

/// The module, of bytes that were `read` already or not. Its time is that of loading; from standard input, that of waiting for the bytes as well.
fn load(
    options: &RunOptions,
    read: Option<Vec<u8>>,
    engine: &Engine,
    progress: &Shared,
) -> Result<Module, Error> {
    let file = options.file();
    let bytes = match read {
        None if !input::is_stdin(file) => Some(input::read(file)?),
        read => read,
    };
    let started = Instant::now();
    progress.lock().phase("load");
    let module = match bytes {
        Some(bytes) => Module::from_vec(engine, bytes)?,
        None => input::stream(engine)?,
    };
    progress.lock().phases.compile = started.elapsed();
    Ok(module)
}

fn wasi_context(options: &RunOptions) -> Result<WasiCtx, Error> {
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio();
    builder.arg(&options.file().to_string_lossy());
    if options.invoke.is_none() {
        for arg in options.guest_args()? {
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
        caller.data_mut().progress.lock().clock.start();
    })?;
    linker.func_wrap("bench", "end", |mut caller: Caller<'_, Host>| {
        caller.data_mut().progress.lock().clock.end();
    })?;
    Ok(linker)
}

fn call(options: &RunOptions, store: &mut Store<Host>, instance: Instance) -> Result<(), Error> {
    let Some(name) = &options.invoke else {
        let start = export(store, instance, "_start")?;
        return timed_call(store, start, &[], &mut []);
    };
    if let Some(initialize) = instance.get_func(&mut *store, "_initialize") {
        initialize.call(&mut *store, &[], &mut [])?;
    }
    let func = export(store, instance, name)?;
    let args = invoke::parse_arguments(store, name, &func, &options.guest_args()?)?;
    let mut results = vec![Val::I32(0); func.ty(&*store).results().len()];
    timed_call(store, func, &args, &mut results)?;
    out(&invoke::format_results(store, &results))
}

/// The exported call, whose time is that of the run.
fn timed_call(
    store: &mut Store<Host>,
    func: Func,
    args: &[Val],
    results: &mut [Val],
) -> Result<(), Error> {
    store.data().progress.lock().phase("run");
    store.data().progress.lock().begin_call();
    let outcome = func.call(&mut *store, args, results);
    store.data().progress.lock().end_call();
    outcome
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
        // What a parent process sees of it.
        return status.code() & 0xff;
    }
    if let Some(trap) = error.trap() {
        if options.timeout.is_some() && trap.code() == upshift::TrapCode::Interrupt {
            err("upshift: the guest ran longer than --timeout allows");
        }
        err(format_args!("upshift: {error:#}"));
        return EXIT_TRAP;
    }
    err(format_args!("upshift: {error}"));
    EXIT_ERROR
}
