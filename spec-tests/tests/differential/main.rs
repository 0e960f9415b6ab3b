//! Generated modules give the same in every tier mode as in an interpreter: results, traps, and what they leave in
//! globals, memories, tables and the host.
//!
//! The seeds are fixed. A failure names the generator, the seed and the mode; the module is written to the folder that
//! `UPSHIFT_DIFFERENTIAL_DUMP` names.
#![forbid(unsafe_code)]

mod generate;
mod oracle;
mod ours;
mod outcome;
mod random;
mod smith;

use outcome::{Call, End, Run};
use random::Random;
use std::path::Path;
use upshift::{Config, Engine, Tier, TierPolicy};
use upshift_spec_tests::Mode;

/// Modules per generator and test.
const SMITH_SEEDS: u64 = 300;
const GENERATED_SEEDS: u64 = 100;
/// Exported functions of a module that are called.
const FUNCTIONS: usize = 10;

/// An engine with its name.
struct Gear {
    name: String,
    engine: Engine,
}

impl Gear {
    fn of_mode(mode: Mode) -> Self {
        Self {
            name: format!("{mode:?}"),
            engine: mode.engine().expect("the engine of every mode can be made"),
        }
    }

    fn new(name: String, config: &Config) -> Self {
        let engine = Engine::new(config).expect("the engine can be made");
        Self { name, engine }
    }

    /// Tier-up in the given call.
    fn tier_up(calls: u32) -> Self {
        let mut config = Config::new();
        config.tier_policy(TierPolicy::Dynamic).tier_up_after(calls);
        Self::new(format!("tier-up after {calls} calls"), &config)
    }

    /// Function `n` is optimized if bit `n` is set.
    fn mask(bits: u64) -> Self {
        let mut config = Config::new();
        config
            .tier_policy(TierPolicy::Baseline)
            .tier_mask(move |func| {
                let optimize = (bits >> (func % 64)) & 1 == 1;
                Some(if optimize {
                    Tier::Optimizing
                } else {
                    Tier::Baseline
                })
            });
        Self::new(format!("tier mask {bits:#x}"), &config)
    }
}

fn gears() -> Vec<Gear> {
    let modes = [
        Mode::Baseline,
        Mode::Optimizing,
        Mode::Eager,
        Mode::BaselineChecked,
        Mode::OptimizingChecked,
        Mode::BaselineFewRegisters,
    ];
    let mut gears: Vec<Gear> = modes.into_iter().map(Gear::of_mode).collect();
    gears.extend((0..3).map(Gear::tier_up));
    gears.push(Gear::mask(0x5555_5555_5555_5555));
    gears.push(Gear::mask(Random::new(7).next()));
    gears
}

/// The calls made in a module: each function with different arguments, sometimes in the instance of the call before.
fn calls(seed: u64, exports: &[(String, Vec<outcome::Kind>)]) -> Vec<Call> {
    let mut random = Random::new(seed);
    let mut calls = Vec::new();
    for (name, params) in exports.iter().take(FUNCTIONS) {
        for round in 0..3 {
            calls.push(Call {
                name: name.clone(),
                args: params.iter().map(|kind| random.value(*kind)).collect(),
                fresh: round == 0 || random.chance(50),
            });
        }
    }
    calls
}

/// The first call whose outcome differs. How deep a recursion may go is nobody's promise, so a call that overflows a
/// stack, and the ones after it in the same instance, are not compared.
fn difference(calls: &[Call], expected: &[Run], found: &[Run]) -> Option<String> {
    if expected.len() != found.len() {
        let ends = (
            expected.last().map(|r| &r.end),
            found.last().map(|r| &r.end),
        );
        return Some(format!(
            "expected {} runs, found {}; last {ends:?}",
            expected.len(),
            found.len()
        ));
    }
    let mut overflowed = false;
    for ((call, expected), found) in calls.iter().zip(expected).zip(found) {
        overflowed &= !call.fresh;
        overflowed |= expected.end == End::StackOverflow || found.end == End::StackOverflow;
        // The interpreter has no trap for a segment that does not fit.
        let start = matches!(
            (&expected.end, &found.end),
            (End::Other(_), End::Memory | End::Table)
        );
        if !overflowed && !start && expected != found {
            return Some(format!(
                "{call:?}\nexpected {expected:?}\nfound    {found:?}"
            ));
        }
    }
    None
}

fn check(generator: &str, seeds: std::ops::Range<u64>, module: fn(u64) -> Vec<u8>) {
    let interpreter = oracle::engine();
    let gears = gears();
    let mut returned = 0;
    for seed in seeds {
        let bytes = module(seed);
        if let Some(folder) = std::env::var_os("UPSHIFT_DIFFERENTIAL_DUMP") {
            let file = Path::new(&folder).join(format!("{generator}-{seed}.wasm"));
            std::fs::write(file, &bytes).expect("the module can be written");
        }
        let calls = calls(seed, &oracle::exports(&interpreter, &bytes));
        let expected = oracle::run(&interpreter, &bytes, &calls);
        returned += expected
            .iter()
            .filter(|run| run.end == End::Returned)
            .count();
        for gear in &gears {
            let found = ours::run(&gear.engine, &bytes, &calls);
            if let Some(difference) = difference(&calls, &expected, &found) {
                panic!("{generator}, seed {seed}, {}: {difference}", gear.name);
            }
        }
    }
    println!("{generator}: {returned} calls returned");
    assert!(
        returned > 100,
        "expected most calls to return, found {returned}"
    );
}

#[test]
fn generated_modules_agree() {
    check("generate", 0..GENERATED_SEEDS, generate::module);
}

#[test]
fn more_generated_modules_agree() {
    let seeds = GENERATED_SEEDS..GENERATED_SEEDS * 2;
    check("generate", seeds, generate::module);
}

#[test]
fn smithed_modules_agree() {
    check("smith", 0..SMITH_SEEDS, smith::module);
}
