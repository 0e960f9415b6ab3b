//! Profiles of real runs: baseline code calls through tables, its counters flip, and the profile is asked. Nothing is
//! optimized, since every body is too large for the options here.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use upshift_abi::{CpuFeatures, Profile};
use upshift_baseline::BaselineCompiler;
use upshift_module::{DecodeOptions, FuncIndex, Module};
use upshift_optimizing::OptimizingCompiler;
use upshift_runtime::{
    CodeSpace, CodeSpaceOptions, ExternHandle, InstanceHandle, LoadedModule, LoadedModuleParts,
    RawVal, StoreInner, StoreOptions, StoreParts, TypeRegistry, libcall_table, probe_memory_style,
};
use upshift_tiering::{ModuleTiers, TierManager, TieringOptions, Tuning};

/// `hot` calls entry `first` of the table, and by chance, once in `mask + 1` times, the one behind it. The site that it has
/// first is never reached.
const CALLER: &str = r#"(module
    (type $unary (func (param i32) (result i32)))
    (import "other" "f" (func $foreign (type $unary)))
    (table funcref (elem $a $b $foreign $a $b))
    (func $a (export "a") (type $unary) (i32.add (local.get 0) (i32.const 1)))
    (func $b (type $unary) (i32.add (local.get 0) (i32.const 2)))
    (func (export "set") (param i32 i32)
        (table.set (local.get 0) (table.get (local.get 1))))
    (func (export "clear") (param i32)
        (table.set (local.get 0) (ref.null func)))
    (func (export "hot") (param $n i32) (param $first i32) (param $mask i32)
        (local $x i32)
        (loop $l
            (if (i32.eqz (local.get $n))
                (then return (drop (call_indirect (type $unary) (i32.const 0) (i32.const 0)))))
            (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
            (drop (call_indirect (type $unary) (local.get $x)
                (i32.add (local.get $first)
                    (i32.eqz (i32.and (i32.shr_u (local.get $x) (i32.const 16)) (local.get $mask))))))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l))))"#;
const OTHER: &str = r#"(module (func (export "f") (param i32) (result i32) (local.get 0)))"#;
const A: FuncIndex = FuncIndex(1);
const B: FuncIndex = FuncIndex(2);
const HOT: FuncIndex = FuncIndex(5);
/// A mask with which the second entry is called once in 32,768 times.
const RARELY: u64 = 0x7fff;
/// Rounds of many flips, and of none.
const LONG: u64 = 200_000;
const SHORT: u64 = 100;

/// An engine that optimizes nothing.
struct Engine {
    manager: TierManager,
    space: Arc<CodeSpace>,
    types: Arc<TypeRegistry>,
}

impl Engine {
    fn new() -> Self {
        let options = TieringOptions {
            tuning: Tuning {
                max_body_bytes: 0,
                ..Tuning::default()
            },
            threads: NonZeroUsize::MIN,
            ..TieringOptions::default()
        };
        let never = Arc::new(OptimizingCompiler::new());
        Self {
            manager: TierManager::new(options, Arc::new(BaselineCompiler::new()), never),
            space: CodeSpace::new(&CodeSpaceOptions::default(), &libcall_table()).unwrap(),
            types: TypeRegistry::new(),
        }
    }

    fn load(&self, text: &str) -> (Arc<LoadedModule>, Arc<ModuleTiers>) {
        let module = Module::new(wat::parse_str(text).unwrap(), &DecodeOptions::default());
        let module = Arc::new(module.unwrap());
        let tiers = self.manager.module(&module);
        let loaded = LoadedModule::new(LoadedModuleParts {
            module,
            code_space: Arc::clone(&self.space),
            types: Arc::clone(&self.types),
            sink: tiers.clone(),
            memory_style: probe_memory_style(),
            cpu: CpuFeatures::detect(),
            interruption: false,
        });
        (loaded.unwrap(), tiers)
    }

    fn store(&self) -> StoreInner {
        StoreInner::new(StoreParts {
            code_space: Arc::clone(&self.space),
            types: Arc::clone(&self.types),
            memory_style: probe_memory_style(),
            options: StoreOptions::default(),
        })
    }

    /// A store with an instance of a module, whose import is the export of an instance of another one.
    fn instance(
        &self,
        loaded: &Arc<LoadedModule>,
        (other, name): (&Arc<LoadedModule>, &str),
    ) -> (StoreInner, InstanceHandle) {
        let mut store = self.store();
        let mut import = None;
        // The innermost one of a module that imports itself gets a function of the plain one.
        let (plain, _) = self.load(OTHER);
        let chain = [(&plain, "f"), (other, name)];
        for (module, name) in chain {
            let items: Vec<_> = match module.module().env().imported_funcs {
                0 => Vec::new(),
                _ => import.into_iter().collect(),
            };
            let (instance, _) = store.instantiate(module, &items).unwrap();
            import = store.export_by_name(instance, name);
        }
        let items = [import.unwrap()];
        let (instance, _) = store.instantiate(loaded, &items).unwrap();
        (store, instance)
    }
}

/// Calls an export; whether it returned.
fn call(store: &mut StoreInner, instance: InstanceHandle, name: &str, args: &[u64]) -> bool {
    let Some(ExternHandle::Func(func)) = store.export_by_name(instance, name) else {
        panic!("no function {name}");
    };
    let args: Vec<_> = args.iter().map(|arg| RawVal::from_u64(*arg)).collect();
    store.call(func, &args, &mut []).is_ok()
}

/// What an instance does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// `hot(rounds, first, mask)` returns.
    Hot(u64, u64, u64),
    /// It traps.
    Trap(u64, u64, u64),
    /// Copies the second entry to the first.
    Set(u64, u64),
    /// Makes an entry null.
    Clear(u64),
    /// The instance goes, and another one comes.
    Renew,
}
use Step::{Clear, Hot, Renew, Set, Trap};

/// The steps, and the target of the site in the loop.
type Row = (&'static str, &'static [Step], Option<FuncIndex>);

const ROWS: &[Row] = &[
    ("nothing", &[], None),
    ("too short to flip", &[Hot(SHORT, 0, RARELY)], None),
    ("one target", &[Hot(LONG, 0, RARELY)], Some(A)),
    ("another one", &[Hot(LONG, 1, RARELY)], Some(B)),
    ("two targets", &[Hot(LONG, 0, 1)], None),
    ("of another module", &[Hot(LONG, 2, RARELY)], None),
    (
        "the table changes",
        &[Hot(LONG, 0, RARELY), Set(0, 1), Hot(4 * LONG, 0, RARELY)],
        Some(B),
    ),
    (
        "the entry was null",
        &[
            Clear(0),
            Trap(LONG, 0, RARELY),
            Set(0, 3),
            Hot(LONG, 0, RARELY),
        ],
        Some(A),
    ),
    (
        "out of bounds",
        &[Trap(LONG, 9, RARELY), Hot(LONG, 3, RARELY)],
        Some(A),
    ),
    (
        "two short lives",
        &[Hot(SHORT, 1, RARELY), Renew, Hot(SHORT, 1, RARELY), Renew],
        None,
    ),
    (
        "three short lives",
        &[
            Hot(SHORT, 1, RARELY),
            Renew,
            Hot(SHORT, 1, RARELY),
            Renew,
            Hot(SHORT, 1, RARELY),
            Renew,
        ],
        Some(B),
    ),
];

#[test]
fn targets_of_real_calls() {
    for &(name, steps, expected) in ROWS {
        let engine = Engine::new();
        let (loaded, tiers) = engine.load(CALLER);
        let (other, _) = engine.load(OTHER);
        let (mut store, mut instance) = engine.instance(&loaded, (&other, "f"));
        let mut calls = 0;
        for &step in steps {
            let mut run = |name, args: &[u64]| call(&mut store, instance, name, args);
            match step {
                Hot(rounds, first, mask) => {
                    calls += 1;
                    assert!(run("hot", &[rounds, first, mask]), "{name}");
                }
                Trap(rounds, first, mask) => {
                    calls += 1;
                    assert!(!run("hot", &[rounds, first, mask]), "{name}");
                }
                Set(to, from) => assert!(run("set", &[to, from]), "{name}"),
                Clear(at) => assert!(run("clear", &[at]), "{name}"),
                Renew => (store, instance) = engine.instance(&loaded, (&other, "f")),
            }
        }
        let profile = tiers.profile();
        let targets = [0, 1, 2].map(|site| profile.indirect_target(HOT, site));
        assert_eq!(targets, [None, expected, None], "{name}");
        assert_eq!(profile.entries(HOT), calls, "{name}");
    }
}

/// A function of another instance of the same module has the same slot; the guard in optimized code compares the context, too.
#[test]
fn functions_of_other_instances_have_the_same_slot() {
    let engine = Engine::new();
    let (loaded, tiers) = engine.load(CALLER);
    let (mut store, instance) = engine.instance(&loaded, (&loaded, "a"));
    assert!(call(&mut store, instance, "hot", &[LONG, 2, RARELY]));
    assert_eq!(tiers.profile().indirect_target(HOT, 1), Some(A));
}

/// Counters say how often functions were entered, while other threads run them and after their stores are gone.
#[test]
fn entries_over_threads() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 50;
    let engine = Engine::new();
    let (loaded, tiers) = engine.load(CALLER);
    let (other, _) = engine.load(OTHER);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let (mut store, instance) = engine.instance(&loaded, (&other, "f"));
                    for _ in 0..CALLS {
                        assert!(call(&mut store, instance, "hot", &[5_000, 0, RARELY]));
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let profile = tiers.profile();
                assert!(profile.entries(HOT) <= THREADS * CALLS);
                thread::yield_now();
            }
        });
        for thread in threads {
            thread.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    // Threads that add to a sum at the same time may lose what one of them adds.
    let profile = tiers.profile();
    let entries = profile.entries(HOT);
    assert!((1..=THREADS * CALLS).contains(&entries), "{entries}");
    assert_eq!(profile.indirect_target(HOT, 1), Some(A));
}
