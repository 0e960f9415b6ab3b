//! Damaged modules: 10,000 byte flips over the examples give an error, a trap or a run, and never
//! a panic, an abort or a hang.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use upshift::{CompileMode, Config, Engine, InterruptHandle, Linker, Module, Store, TierPolicy};
use upshift_wasi::{WasiCtx, WasiCtxBuilder};

/// Byte flips over all examples together.
const FLIPS: u64 = 10_000;
/// A damaged guest that runs longer is interrupted. With compile time in it, since the optimizing
/// compiler takes longer than the programs run.
fn run_limit(policy: TierPolicy) -> Duration {
    Duration::from_millis(if policy == TierPolicy::Optimizing {
        200
    } else {
        20
    })
}

/// A small deterministic generator (SplitMix64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a length fits");
        usize::try_from(self.next() % limit).expect("below a length")
    }
}

/// Interrupts what runs longer than the limit: gets a handle when a run starts, and `None` when it ended.
fn watchdog(runs: &Receiver<Option<InterruptHandle>>, limit: Duration) {
    let mut current: Option<InterruptHandle> = None;
    loop {
        match runs.recv_timeout(limit) {
            Ok(next) => current = next,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(handle) = &current {
                    handle.interrupt();
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What became of the damaged modules.
#[derive(Debug, Default)]
struct Outcomes {
    rejected: u64,
    not_linked: u64,
    failed: u64,
    ran: u64,
}

fn try_module(
    engine: &Engine,
    linker: &Linker<WasiCtx>,
    bytes: Vec<u8>,
    runs: &Sender<Option<InterruptHandle>>,
    outcomes: &mut Outcomes,
) {
    let Ok(module) = Module::from_vec(engine, bytes) else {
        outcomes.rejected += 1;
        return;
    };
    let mut builder = WasiCtxBuilder::new();
    builder.arg("damaged").arg("1");
    let wasi = builder
        .build()
        .expect("a context without directories can be made");
    let mut store = Store::new(engine, wasi);
    runs.send(Some(store.interrupt_handle()))
        .expect("the watchdog lives");
    match linker.instantiate(&mut store, &module) {
        Err(_) => outcomes.not_linked += 1,
        Ok(instance) => {
            let start = instance.get_func(&mut store, "_start");
            match start.map(|start| start.call(&mut store, &[], &mut [])) {
                Some(Ok(())) => outcomes.ran += 1,
                Some(Err(_)) | None => outcomes.failed += 1,
            }
        }
    }
    runs.send(None).expect("the watchdog lives");
}

fn flip(policy: TierPolicy, flips: u64, seed: u64) -> Outcomes {
    let mut config = Config::new();
    config
        .tier_policy(policy)
        .compile_mode(CompileMode::Lazy)
        .interruption(true);
    let engine = Engine::new(&config).expect("the engine can be made");
    let mut linker = Linker::new(&engine);
    upshift_wasi::add_to_linker(&mut linker, |wasi: &mut WasiCtx| wasi).expect("WASI links");
    let (runs, receiver) = channel();
    let dog = thread::spawn(move || watchdog(&receiver, run_limit(policy)));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let modules: Vec<Vec<u8>> = ["compress", "fft", "interp", "json", "sudoku", "wordcount"]
        .iter()
        .map(|name| std::fs::read(folder.join(format!("{name}.wasm"))).expect("an example"))
        .collect();
    let mut random = Random(seed);
    let mut outcomes = Outcomes::default();
    for _ in 0..flips {
        let mut bytes = modules[random.below(modules.len())].clone();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        try_module(&engine, &linker, bytes, &runs, &mut outcomes);
    }
    drop(runs);
    dog.join().expect("the watchdog does not panic");
    outcomes
}

fn check(policy: TierPolicy, flips: u64, seed: u64) {
    let outcomes = flip(policy, flips, seed);
    let Outcomes {
        rejected,
        not_linked,
        failed,
        ran,
    } = outcomes;
    assert_eq!(rejected + not_linked + failed + ran, flips, "{outcomes:?}");
    assert!(
        rejected > 0 && ran > 0,
        "expected both rejections and runs, found {outcomes:?}"
    );
    println!("{policy:?}: {outcomes:?}");
}

#[test]
fn byte_flips_under_the_dynamic_policy() {
    check(TierPolicy::Dynamic, FLIPS * 6 / 10, 1);
}

#[test]
fn byte_flips_under_the_baseline_policy() {
    check(TierPolicy::Baseline, FLIPS * 37 / 100, 2);
}

#[test]
fn byte_flips_under_the_optimizing_policy() {
    check(TierPolicy::Optimizing, FLIPS * 3 / 100, 3);
}

#[test]
fn truncated_examples_are_rejected() {
    let engine = Engine::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let bytes = std::fs::read(folder.join("sudoku.wasm")).expect("an example");
    // Every length near the start, where sections begin, then a spread.
    let lengths = (0..2000.min(bytes.len())).chain((2000..bytes.len()).step_by(97));
    for length in lengths {
        // A cut between sections leaves a module that may be valid; it must not do more than that.
        let _ = Module::new(&engine, &bytes[..length]);
    }
    let cut = Module::new(&engine, &bytes[..bytes.len() / 2]);
    assert!(cut.is_err(), "expected half a module to be rejected");
}
