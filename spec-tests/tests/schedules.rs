//! Tier-up at every small call number and on-stack replacement at every small back-edge number; programs whose trace is the same
//! under every schedule; recordings that are replayed.
//!
//! Scripts run at every point of the grid, generated modules at one each, by their numbers; all points over more modules take
//! longer: `cargo xtask schedules`.
#![forbid(unsafe_code)]

#[path = "common/cases.rs"]
mod cases_scripts;
#[path = "common/official.rs"]
mod official_scripts;

use cases_scripts::cases;
use official_scripts::official_scripts;
use rayon::prelude::*;
use std::num::Wrapping;
use std::path::Path;
use upshift::{Config, Engine, Linker, Module, ScheduleRecorder, Store, TierPolicy, Tuning};
use upshift_spec_tests::differential::{Mismatch, Oracle, Source, Subject};
use upshift_spec_tests::{GRID, Mode, check, parse_expected};
use upshift_wasi::{Function, Output, Preview1, Stop, WasiCtx, WasiCtxBuilder};
use upshift_wast::{Report, run_script};

fn report(point: (u32, u32), name: &str, source: &str) -> Report {
    let mode = Mode::Forced(point.0, point.1);
    let engine = mode.engine().expect("the engine of every mode can be made");
    run_script(&engine, name, source)
}

#[test]
fn cases_hold_at_every_point() {
    let sources = cases();
    for point in GRID {
        let reports: Vec<Report> = sources
            .iter()
            .map(|(name, source)| report(point, name, source))
            .collect();
        check(point, &reports, &parse_expected(""));
    }
}

#[test]
fn official_scripts_hold_at_every_point() {
    let expected = parse_expected(include_str!("../expected-failures.txt"));
    let scripts = official_scripts();
    for point in GRID {
        let reports: Vec<Report> = scripts
            .par_iter()
            .map(|script| {
                let name = format!("{}/{}", script.parent(), script.name());
                report(point, &name, script.raw())
            })
            .collect();
        check(point, &reports, &expected);
    }
}

/// Checks modules of seeds from `first` on, in parallel; gives the sum of what the check counts.
fn modules(
    source: Source,
    seeds: std::ops::Range<u64>,
    check: impl Fn(&Oracle, &Subject, u64) -> Result<usize, Mismatch> + Sync,
) -> usize {
    let oracle = Oracle::default();
    let outcomes: Result<Vec<usize>, Mismatch> = seeds
        .into_par_iter()
        .map(|seed| check(&oracle, &Subject::new(source, seed), seed))
        .collect();
    match outcomes {
        Ok(counts) => counts.into_iter().sum(),
        Err(mismatch) => panic!("{mismatch}"),
    }
}

fn point(seed: u64) -> (u32, u32) {
    GRID[usize::try_from(seed).unwrap_or_default() % GRID.len()]
}

/// Other seeds than those of `tests/differential.rs`.
const FIRST: u64 = 500_000;

#[test]
fn random_modules_agree_at_a_point_each() {
    for (source, seeds) in [(Source::Generate, 130), (Source::Smith, 520)] {
        let seeds = FIRST..FIRST + seeds;
        let returned = modules(source, seeds, |oracle, subject, seed| {
            oracle.compare_forced(subject, point(seed))
        });
        assert!(returned > 100, "{source:?}: {returned} calls returned");
    }
}

#[test]
#[ignore = "takes minutes: cargo xtask schedules"]
fn random_modules_agree_at_every_point() {
    for (source, seeds) in [(Source::Generate, 400), (Source::Smith, 2_000)] {
        for at in GRID {
            modules(source, FIRST..FIRST + seeds, |oracle, subject, _| {
                oracle.compare_forced(subject, at)
            });
        }
    }
}

#[test]
fn recordings_of_random_modules_are_replayed() {
    for (source, seeds) in [(Source::Generate, 60), (Source::Smith, 60)] {
        let seeds = FIRST..FIRST + seeds;
        let steps = modules(source, seeds, |oracle, subject, _| oracle.replay(subject));
        println!("{source:?}: {steps} steps");
    }
}

#[test]
#[ignore = "takes minutes: cargo xtask schedules"]
fn recordings_of_many_random_modules_are_replayed() {
    for source in Source::ALL {
        let seeds = FIRST..FIRST + 2_000;
        modules(source, seeds, |oracle, subject, _| oracle.replay(subject));
    }
}

/// A call of the guest: which, its arguments, and the guest's memory before it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct ImportCall {
    function: Function,
    args: Vec<u64>,
    memory: u64,
}

/// The system interface, with a list of all calls. What would differ from run to run, time and random numbers, does not.
struct Traced {
    wasi: WasiCtx,
    calls: Vec<ImportCall>,
}

impl Preview1 for Traced {
    fn call(&mut self, function: Function, args: &[u64], memory: &mut [u8]) -> Result<u32, Stop> {
        self.calls.push(ImportCall {
            function,
            args: args.to_vec(),
            memory: hash(memory),
        });
        let errno = self.wasi.call(function, args, memory)?;
        let written = if function == Function::RandomGet {
            Some((args[0], args[1]))
        } else if [Function::ClockTimeGet, Function::ClockResGet].contains(&function) {
            args.last().map(|&at| (at, 8))
        } else {
            None
        };
        if let Some((at, len)) = written
            && errno == 0
        {
            let at = usize::try_from(at).expect("an address");
            let len = usize::try_from(len).expect("a length");
            memory[at..at + len].fill(u8::try_from(self.calls.len() % 100).expect("small"));
        }
        Ok(errno)
    }
}

/// FNV over words: memories are large, and collisions are nobody's aim.
fn hash(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        Wrapping(u64::from_le_bytes(word))
    });
    let mix = |hash: Wrapping<u64>, word| {
        let mixed = (hash ^ word) * Wrapping(0x0100_0000_01b3);
        mixed ^ (mixed >> 31)
    };
    words.fold(Wrapping(0xcbf2_9ce4_8422_2325), mix).0
}

/// Everything that a program's run shows.
#[derive(PartialEq, Eq)]
struct Trace {
    calls: Vec<ImportCall>,
    output: Vec<u8>,
    end: String,
}

fn trace(config: &Config, program: &str, args: &[&str]) -> Trace {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let engine = Engine::new(config).expect("the engine can be made");
    let file = examples.join(format!("{program}.wasm"));
    let module = Module::from_file(&engine, file).expect("an example");
    let output = Output::new(1 << 20);
    let mut builder = WasiCtxBuilder::new();
    builder.arg(program).args(args).stdout(&output);
    builder
        .preopened_dir(examples.join("data"), "/data")
        .expect("the folder of data is there");
    let mut linker = Linker::new(&engine);
    upshift_wasi::add_to_linker(&mut linker, |host: &mut Traced| host).expect("WASI links");
    let host = Traced {
        wasi: builder.build().expect("a context can be made"),
        calls: Vec::new(),
    };
    let mut store = Store::new(&engine, host);
    let instance = linker.instantiate(&mut store, &module).expect("it links");
    let start = instance.get_func(&mut store, "_start").expect("a program");
    let outcome = start.call(&mut store, &[], &mut []);
    let memory = instance.get_memory(&mut store, "memory").expect("a memory");
    let memory = hash(memory.data(&store));
    Trace {
        end: format!("{outcome:?}, memory {memory:x}"),
        calls: std::mem::take(&mut store.data_mut().calls),
        output: output.contents(),
    }
}

/// Programs and their arguments.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("compress", &["data/story.txt"]),
    ("fft", &[]),
    ("interp", &[]),
    ("json", &["data/inventory.json"]),
    ("sudoku", &[]),
    ("wordcount", &["data/story.txt"]),
];

/// Five ways to run a program, and a sixth that repeats the last: every import call has the same arguments and finds the same memory.
#[test]
fn every_schedule_gives_the_same_trace() {
    let recorder = ScheduleRecorder::new();
    for &(program, args) in PROGRAMS {
        let baseline = trace(
            Config::new().tier_policy(TierPolicy::Baseline),
            program,
            args,
        );
        assert!(baseline.calls.len() > 1, "{program}: no calls");
        let same = |config: &Config| {
            let found = trace(config, program, args);
            let calls = found.calls.iter().zip(&baseline.calls);
            if let Some((i, (found, expected))) = calls.enumerate().find(|(_, (a, b))| a != b) {
                panic!("{program}, call {i}: expected {expected:?}, found {found:?}, {config:?}");
            }
            assert_eq!(
                found.calls.len(),
                baseline.calls.len(),
                "{program} {config:?}"
            );
            assert_eq!(found.end, baseline.end, "{program} {config:?}");
            assert!(found.output == baseline.output, "{program} {config:?}");
        };
        same(Config::new().tier_policy(TierPolicy::Optimizing));
        same(Config::new().tier_up_after(2).osr_after(2));
        same(Config::new().tier_up_after(3).osr_after(500));
        let hurry = Tuning {
            budget_percent: 10,
            busy_factor: 1,
            compile_burst_us: u32::MAX,
            compile_fixed_us: 20,
            compile_ns_per_byte: 20,
            ..Tuning::default()
        };
        same(Config::new().tuning(hurry).record_tiering(&recorder));
    }
    let recorded = recorder.schedule();
    assert!(recorded.steps() > 10, "{recorded}");
    for (part, &(program, args)) in recorded.modules.iter().zip(PROGRAMS) {
        let replayed = ScheduleRecorder::new();
        let mut schedule = recorded.clone();
        schedule.modules = vec![part.clone()];
        let mut config = Config::new();
        config
            .replay_tiering(schedule.clone())
            .record_tiering(&replayed);
        let baseline = trace(
            Config::new().tier_policy(TierPolicy::Baseline),
            program,
            args,
        );
        assert!(trace(&config, program, args) == baseline, "{program}");
        assert_eq!(replayed.schedule(), schedule, "{program}");
    }
}
