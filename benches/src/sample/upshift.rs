//! Samples of Upshift.

use super::clock::{Clock, ms};
use super::usage::{self, Whose};
use super::{Job, hammer};
use crate::schema::{Iteration, Measured, TierCounts, TierEvent, TierEventKind, Tiers};
use crate::stream::Paced;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use upshift::{
    Caller, CompileMode, Config, Engine, Event, EventKind, EventSink, Linker, Module, Stats, Store,
    Tier, TierPolicy, TierStats, Tuning, inspect,
};
use upshift_wasi::{ExitStatus, Function, Preview1, Stop, WasiCtx, WasiCtxBuilder};

/// What the engine is told.
pub(super) fn config(policy: TierPolicy, mode: CompileMode, one_thread: bool) -> Config {
    let mut config = Config::new();
    config
        .tier_policy(policy)
        .compile_mode(mode)
        .interruption(false);
    if one_thread {
        config.threads(1);
    }
    config
}

/// Code that counts as under the policy Dynamic, by the same budgets, while every request is refused, as those for bodies
/// that are too large are.
pub(super) fn counted(mode: CompileMode, one_thread: bool) -> Config {
    let mut config = config(TierPolicy::Dynamic, mode, one_thread);
    config.tuning(Tuning {
        max_body_bytes: 0,
        osr: false,
        ..Tuning::default()
    });
    config
}

/// Loads and runs the program.
pub(super) fn run(job: &Job<'_>, mut config: Config) -> Result<Measured, String> {
    let text = |error: upshift::Error| format!("{error:#}");
    let recorder = Arc::new(Recorder::default());
    if job.events {
        config.events(Arc::<Recorder>::clone(&recorder));
    }
    let engine = Engine::new(&config).map_err(text)?;
    let bytes = job.module()?;
    job.mark_load()?;

    let started = Instant::now();
    let (module, ready) = load(&engine, bytes, job.stream).map_err(text)?;
    let load = started.elapsed();
    let validate = engine.stats().validate_time;

    let mut measured = Measured::default();
    if let Some(threads) = job.threads {
        measured.stalls = Some(hammer::run(&engine, &module, threads).map_err(text)?);
    } else {
        for _ in 0..job.iterations {
            let (iteration, clock) = iteration(job, &engine, &module).map_err(text)?;
            if measured.iterations.is_empty() {
                measured.steps_ms = clock.steps_ms(started);
            }
            measured.iterations.push(iteration);
        }
    }
    let stats = engine.stats();
    Ok(Measured {
        load_ms: ms(load),
        validate_ms: Some(ms(validate)),
        compile_ms: Some(ms(load.saturating_sub(validate))),
        tiers: Some(tiers(&stats)),
        code_bytes: Some(stats.baseline.code_bytes + stats.optimizing.code_bytes),
        ready_ms: ready.map(ms),
        body_bytes: Some(body_bytes(&module)),
        peak_rss_kb: usage::peak_rss_kb(Whose::Own),
        cpu_ms: ms(usage::cpu(Whose::Own)),
        events: recorder.events(&module),
        ..measured
    })
}

/// Loads the module; if it comes from a stream, with the time from its last byte.
fn load(
    engine: &Engine,
    bytes: Vec<u8>,
    stream: Option<u32>,
) -> Result<(Module, Option<Duration>), upshift::Error> {
    match stream {
        None => Ok((Module::from_vec(engine, bytes)?, None)),
        Some(rate) => {
            let mut source = Paced::new(&bytes, f64::from(rate));
            let module = Module::from_stream(engine, &mut source)?;
            Ok((module, Some(source.since_last())))
        }
    }
}

fn body_bytes(module: &Module) -> u64 {
    let bodies = inspect::defined_functions(module);
    let bytes = bodies.map(|func| inspect::body_range(module, func).len());
    u64::try_from(bytes.sum::<usize>()).unwrap_or(u64::MAX)
}

/// The data of the store: WASI, with a clock before it.
struct Host {
    wasi: WasiCtx,
    clock: Clock,
}

impl Preview1 for Host {
    fn call(&mut self, function: Function, args: &[u64], memory: &mut [u8]) -> Result<u32, Stop> {
        self.clock.import();
        self.wasi.call(function, args, memory)
    }
}

fn iteration(
    job: &Job<'_>,
    engine: &Engine,
    module: &Module,
) -> Result<(Iteration, Clock), upshift::Error> {
    job.redirect_stdin().map_err(upshift::Error::msg)?;
    let started = Instant::now();
    let host = Host {
        wasi: wasi(job)?,
        clock: Clock::default(),
    };
    let mut linker: Linker<Host> = Linker::new(engine);
    upshift_wasi::add_to_linker(&mut linker, |host| host)?;
    linker.func_wrap("bench", "start", |mut caller: Caller<'_, Host>| {
        caller.data_mut().clock.start();
    })?;
    linker.func_wrap("bench", "end", |mut caller: Caller<'_, Host>| {
        caller.data_mut().clock.end();
    })?;
    linker.func_wrap("bench", "step", |mut caller: Caller<'_, Host>| {
        caller.data_mut().clock.step();
    })?;
    let mut store = Store::new(engine, host);
    let instance = linker.instantiate(&mut store, module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let instantiate = started.elapsed();

    let called = store.data_mut().clock.called();
    let outcome = start.call(&mut store, ());
    let mut iteration = store.data_mut().clock.finish(instantiate, called, 0);
    if let Err(error) = outcome {
        match error.downcast_ref::<ExitStatus>() {
            Some(status) => iteration.exit = status.code(),
            None => return Err(error),
        }
    }
    Ok((iteration, std::mem::take(&mut store.data_mut().clock)))
}

fn wasi(job: &Job<'_>) -> Result<WasiCtx, upshift::Error> {
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio().arg(&job.argv0()).args(&job.args);
    for (key, value) in &job.program.env {
        builder.env(key, value);
    }
    for (host, guest) in &job.program.dirs {
        builder.preopened_dir(host, guest)?;
    }
    builder.build()
}

fn tiers(stats: &Stats) -> Tiers {
    let counts = |tier: &TierStats| TierCounts {
        functions: tier.functions,
        code_bytes: tier.code_bytes,
        compile_ms: ms(tier.compile_time),
    };
    Tiers {
        baseline: counts(&stats.baseline),
        optimizing: counts(&stats.optimizing),
        functions: stats.functions,
        code_bytes_live: stats.code_bytes_live,
        lazy_compile_ms: ms(stats.lazy_compile_time),
        osr_entries: stats.osr_entries,
    }
}

/// Keeps events as they are, so that telling of them costs little while the guest runs.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Event>>);

impl EventSink for Recorder {
    fn event(&self, event: &Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(*event);
    }
}

impl Recorder {
    fn events(&self, module: &Module) -> Vec<TierEvent> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let convert = |event: &Event| {
            Some(TierEvent {
                at_ms: ms(event.at),
                func: event.func.0,
                name: inspect::func_name(module, event.func.0).map(str::to_owned),
                kind: kind(&event.kind)?,
            })
        };
        events.iter().filter_map(convert).collect()
    }
}

/// None for steps that the schema does not tell of.
fn kind(kind: &EventKind) -> Option<TierEventKind> {
    let optimizing = |tier: Tier| tier == Tier::Optimizing;
    Some(match *kind {
        EventKind::FirstCompiled {
            tier,
            code_bytes,
            compile,
        } => TierEventKind::FirstCompiled {
            optimizing: optimizing(tier),
            compile_ms: ms(compile),
            code_bytes,
        },
        EventKind::TierRequested { .. } => TierEventKind::Requested,
        EventKind::JobStarted { .. } => TierEventKind::JobStarted,
        EventKind::JobFinished {
            code_bytes,
            compile,
        } => TierEventKind::JobFinished {
            compile_ms: ms(compile),
            code_bytes,
        },
        EventKind::Installed { tier } => TierEventKind::Installed {
            optimizing: optimizing(tier),
        },
        EventKind::CodeRetired { .. } => TierEventKind::Retired,
        EventKind::OsrRequested { site, .. } => TierEventKind::OsrRequested { site: site.0 },
        EventKind::OsrStarted { site, .. } => TierEventKind::OsrStarted { site: site.0 },
        EventKind::OsrCompiled {
            site,
            code_bytes,
            compile,
        } => TierEventKind::OsrCompiled {
            site: site.0,
            compile_ms: ms(compile),
            code_bytes,
        },
        EventKind::OsrEntered { site } => TierEventKind::OsrEntered { site: site.0 },
        EventKind::JobSkipped { .. } | EventKind::Failed { .. } | EventKind::OsrRefused { .. } => {
            TierEventKind::Dropped
        }
        EventKind::FunctionValidated { .. }
        | EventKind::PriorityRaised { .. }
        | EventKind::Inlined { .. }
        | EventKind::Published { .. }
        | EventKind::CodeFreed { .. } => return None,
    })
}
