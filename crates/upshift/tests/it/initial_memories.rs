//! Active data segments, of which instances map the large ones: what a memory then holds is compared with a plain copy of each
//! segment in order, with memories that are reserved and that are checked.

use crate::support::{assert_kind, assert_trap};
use std::fmt::Write as _;
use std::fs;
use std::sync::OnceLock;
use upshift::{
    Config, Engine, ErrorKind, Extern, Global, GlobalType, Instance, Memory, MemoryType, Module,
    Mutability, Store, TrapCode, Val, ValType,
};

const WASM_PAGE: usize = 1 << 16;
const PAGE: usize = 4096;
/// Bytes of a segment that is worth a mapping.
const LARGE: usize = 600_000;
/// What the imported global holds.
const GLOBAL: usize = 70_001;

/// Memories that are reserved, and that are checked.
fn engines() -> &'static [Engine] {
    static ENGINES: OnceLock<Vec<Engine>> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let engine = |reserve| Engine::new(Config::new().memory_reservation(reserve)).unwrap();
        [true, false].map(engine).into()
    })
}

/// Where a segment goes.
#[derive(Clone, Copy, Debug)]
enum At {
    Const(usize),
    Global,
    Sum(usize, usize),
}
use At::{Const, Sum};

impl At {
    fn text(self) -> String {
        match self {
            Self::Const(at) => format!("(i32.const {at})"),
            Self::Global => "(global.get $g)".to_owned(),
            Self::Sum(a, b) => format!("(i32.add (i32.const {a}) (i32.const {b}))"),
        }
    }

    fn value(self) -> usize {
        match self {
            Self::Const(at) => at,
            Self::Global => GLOBAL,
            Self::Sum(a, b) => a + b,
        }
    }
}

/// Offset and length.
type Segment = (At, usize);

/// Letters that differ by segment and position.
fn content(segment: usize, len: usize) -> String {
    let letter = |at: usize| char::from(b"abcdefghijklmnopqrstuvw"[(segment * 7 + at) % 23]);
    (0..len).map(letter).collect()
}

/// What copying leaves in a memory; an error if a segment does not fit.
fn copied(mut memory: Vec<u8>, segments: &[Segment]) -> (Vec<u8>, Result<(), ()>) {
    for (i, (at, len)) in segments.iter().enumerate() {
        let Some(target) = memory.get_mut(at.value()..at.value() + len) else {
            return (memory, Err(()));
        };
        target.copy_from_slice(content(i, *len).as_bytes());
    }
    (memory, Ok(()))
}

/// A module with these segments. `head` comes first.
fn module(engine: &Engine, head: &str, segments: &[Segment]) -> Module {
    let mut text = format!(r#"(module (import "" "g" (global $g i32)) {head}"#);
    for (i, (at, len)) in segments.iter().enumerate() {
        let _ = write!(
            text,
            r#"(data (offset {}) "{}")"#,
            at.text(),
            content(i, *len)
        );
    }
    text += r#"
        (func $peek (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "init") (param i32)
            (memory.init 0 (i32.const 0) (i32.const 0) (local.get 0))))"#;
    Module::new(engine, text).unwrap()
}

/// The global that all modules import.
fn global(store: &mut Store<()>) -> Extern {
    let ty = GlobalType::new(ValType::I32, Mutability::Const);
    let value = i32::try_from(GLOBAL).unwrap();
    Global::new(store, ty, Val::I32(value)).unwrap().into()
}

fn instance(store: &mut Store<()>, module: &Module) -> (Instance, Memory) {
    let global = global(store);
    let instance = Instance::new(&mut *store, module, &[global]).unwrap();
    let memory = instance.get_memory(&mut *store, "m").unwrap();
    (instance, memory)
}

fn poke(store: &mut Store<()>, instance: Instance, at: usize, value: u8) {
    let poke = instance.get_typed_func::<(i32, i32), ()>(&mut *store, "poke");
    let at = i32::try_from(at).unwrap();
    poke.unwrap().call(store, (at, i32::from(value))).unwrap();
}

/// Where a mapping is of a file of data: its size, and how much of it is there, and is a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mapping {
    bytes: usize,
    resident: usize,
    copied: usize,
}

/// The mapping of a file of data at an address.
fn mapping(address: *const u8) -> Option<Mapping> {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = maps.lines();
    let (start, end) = lines.by_ref().find_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let found = (start..end).contains(&address.addr()) && rest.contains("/memfd:upshift-data");
        found.then_some((start, end))
    })?;
    let mut field = |name: &str| {
        let kib = lines
            .by_ref()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        kib.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    };
    Some(Mapping {
        bytes: end - start,
        resident: field("Rss:"),
        copied: field("Anonymous:"),
    })
}

/// All instances begin with what copying leaves, whatever others have done; and a grown memory keeps its content.
fn check(engine: &Engine, pages: usize, segments: &[Segment]) {
    let module = module(
        engine,
        &format!(r#"(memory (export "m") {pages})"#),
        segments,
    );
    let (expected, outcome) = copied(vec![0; pages * WASM_PAGE], segments);
    assert_eq!(outcome, Ok(()), "{segments:?}");
    let (mut store, mut other) = (Store::new(engine, ()), Store::new(engine, ()));
    let (first, memory) = instance(&mut store, &module);
    let (_, untouched) = instance(&mut store, &module);
    assert!(memory.data(&store) == expected, "the first of {segments:?}");
    // Each end of each segment, by the guest, and one of them by the host.
    let mut changed = expected.clone();
    for (at, len) in segments.iter().filter(|(_, len)| *len > 0) {
        for at in [at.value(), at.value() + len - 1] {
            poke(&mut store, first, at, 1);
            memory.data_mut(&mut store)[at] += 1;
            changed[at] = 2;
        }
    }
    assert!(memory.data(&store) == changed, "written {segments:?}");
    let (_, later) = instance(&mut store, &module);
    let (_, elsewhere) = instance(&mut other, &module);
    for (memory, store) in [(untouched, &store), (later, &store), (elsewhere, &other)] {
        assert!(memory.data(store) == expected, "another of {segments:?}");
    }
    let grow = first
        .get_typed_func::<i32, i32>(&mut store, "grow")
        .unwrap();
    for delta in [0_u8, 1, 9] {
        grow.call(&mut store, i32::from(delta)).unwrap();
        let old = changed.len();
        changed.resize(old + usize::from(delta) * WASM_PAGE, 0);
        assert!(memory.data(&store) == changed, "grown {segments:?}");
        for at in [old - 1, changed.len() - 1] {
            poke(&mut store, first, at, 3);
            changed[at] = 3;
        }
        assert!(
            memory.data(&store) == changed,
            "written behind {segments:?}"
        );
    }
    untouched.grow(&mut store, 5).unwrap();
    let data = untouched.data(&store);
    assert!(
        data[..expected.len()] == expected,
        "grown by the host {segments:?}"
    );
    assert!(data[expected.len()..] == [0; 5 * WASM_PAGE]);
    // Active segments are dropped (spec 4.5.4).
    let init = first.get_typed_func::<i32, ()>(&mut store, "init").unwrap();
    init.call(&mut store, 0).unwrap();
    assert_trap(init.call(&mut store, 1), TrapCode::MemoryOutOfBounds);
    assert!(memory.data(&store) == changed);
}

const CASES: &[(usize, &[Segment])] = &[
    (1, &[(Const(5), 3)]),
    (10, &[(Const(0), 10 * WASM_PAGE)]),
    (
        10,
        &[(Const(0), LARGE), (Const(7), 100), (Const(WASM_PAGE), 0)],
    ),
    (10, &[(Const(7), 100), (Const(0), LARGE)]),
    (
        20,
        &[
            (Const(1000), LARGE),
            (Const(500_000), LARGE),
            (Const(2), LARGE),
        ],
    ),
    // Ends at the end of a page, and of the memory.
    (10, &[(Const(PAGE - 1), LARGE / PAGE * PAGE + 1)]),
    (
        11,
        &[
            (Const(11 * WASM_PAGE - LARGE), LARGE),
            (Const(11 * WASM_PAGE), 0),
        ],
    ),
    (11, &[(Const(11 * WASM_PAGE - 1), 1), (Const(3), LARGE)]),
    // Far from each other, and too many for a mapping each.
    (
        300,
        &[
            (Const(299 * WASM_PAGE), WASM_PAGE),
            (Const(100), LARGE),
            (Const(9_000_000), LARGE),
        ],
    ),
    (
        300,
        &[
            (Const(17_000_000), LARGE),
            (Const(2_000_000), LARGE),
            (Const(4_000_000), LARGE),
            (Const(6_000_000), LARGE),
            (Const(8_000_000), LARGE + 1),
            (Const(10_000_000), LARGE),
            (Const(12_000_000), 1),
        ],
    ),
    // Not constants: they and what follows are copied.
    (
        20,
        &[
            (Const(0), LARGE),
            (At::Global, 9),
            (Const(GLOBAL + 4), LARGE),
        ],
    ),
    (
        20,
        &[
            (Const(0), LARGE),
            (Sum(500, 600_000), LARGE),
            (Const(600_000), 1),
        ],
    ),
    (20, &[(At::Global, LARGE), (Const(GLOBAL + 5), LARGE)]),
];

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Segments of all sizes all over a memory of this size.
fn random_segments(random: &mut Random, pages: usize) -> Vec<Segment> {
    let lens = [0, 1, PAGE - 1, PAGE, PAGE + 1, 60_000, 200_000, LARGE];
    let mut segments = Vec::new();
    for _ in 0..1 + random.below(9) {
        let len = lens[random.below(lens.len())];
        let room = pages * WASM_PAGE - len;
        let at = [random.below(room), random.below(room) / PAGE * PAGE, room][random.below(3)];
        segments.push((Const(at), len));
    }
    segments
}

/// All cases; whether the system is expected to map the data of a large one.
pub(crate) fn check_all(mapped: bool) {
    for engine in engines() {
        for (pages, segments) in CASES {
            check(engine, *pages, segments);
        }
        let mut store = Store::new(engine, ());
        let module = module(engine, r#"(memory (export "m") 10)"#, &[(Const(0), LARGE)]);
        let (_, memory) = instance(&mut store, &module);
        assert_eq!(mapping(memory.data_ptr(&store)).is_some(), mapped);
    }
}

#[test]
fn memories_begin_with_what_copying_leaves() {
    check_all(true);
}

#[test]
fn generated_segments() {
    let mut random = Random(1);
    for _ in 0..12 {
        let segments = random_segments(&mut random, 30);
        for engine in engines() {
            check(engine, 30, &segments);
        }
    }
}

/// A new instance touches none of 10 MB of data, and a write copies one page.
#[test]
fn instances_share_their_data() {
    let segments = [(Const(1 << 16), 10_000_000)];
    let bytes = 10_000_000_usize.next_multiple_of(PAGE);
    let of_page = |pages: usize| Mapping {
        bytes,
        resident: pages * PAGE,
        copied: pages * PAGE,
    };
    for engine in engines() {
        let module = module(engine, r#"(memory (export "m") 160)"#, &segments);
        let mut store = Store::new(engine, ());
        let instances = [(); 3].map(|()| instance(&mut store, &module));
        let data = |store: &Store<()>, i: usize| {
            mapping(instances[i].1.data_ptr(store).wrapping_add(1 << 16))
        };
        for i in 0..3 {
            assert_eq!(data(&store, i), Some(of_page(0)), "instance {i}");
        }
        for (at, pages) in [(70_000, 1), (70_001, 1), (9_000_000, 2)] {
            poke(&mut store, instances[1].0, at, 0);
            assert_eq!(data(&store, 1), Some(of_page(pages)), "{at}");
        }
        assert_eq!(data(&store, 2), Some(of_page(0)));
    }
}

#[test]
fn many_instances() {
    for engine in engines() {
        let segments = [(Const(10), LARGE)];
        let module = module(engine, r#"(memory (export "m") 10 12)"#, &segments);
        let (expected, _) = copied(vec![0; 10 * WASM_PAGE], &segments);
        let mut store = Store::new(engine, ());
        let instances: Vec<_> = (0..200_u8)
            .map(|i| {
                let (instance, memory) = instance(&mut store, &module);
                assert!(memory.data(&store) == expected);
                poke(&mut store, instance, usize::from(i) * 3000, i);
                (memory, i)
            })
            .collect();
        // The instances keep the module.
        drop(module);
        for (memory, i) in instances {
            let mut expected = expected.clone();
            expected[usize::from(i) * 3000] = i;
            assert!(memory.data(&store) == expected, "instance {i}");
        }
    }
}

/// The first instances of a module, at the same time.
#[test]
fn on_many_threads() {
    let segments = [
        (Const(3), LARGE),
        (Const(100), 10),
        (Const(1_000_000), LARGE),
    ];
    let (expected, _) = copied(vec![0; 30 * WASM_PAGE], &segments);
    for engine in engines() {
        let module = module(engine, r#"(memory (export "m") 30)"#, &segments);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for i in 0..10 {
                        let mut store = Store::new(engine, ());
                        let (instance, memory) = instance(&mut store, &module);
                        assert!(memory.data(&store) == expected);
                        poke(&mut store, instance, 1000 * i, 1);
                    }
                });
            }
        });
    }
}

#[test]
fn an_imported_memory_is_written() {
    let segments = [(Const(3), LARGE), (Const(1_000_000), 10)];
    for engine in engines() {
        let module = module(engine, r#"(import "" "m" (memory 10))"#, &segments);
        let mut store = Store::new(engine, ());
        let memory = Memory::new(&mut store, MemoryType::new(20, None)).unwrap();
        memory.data_mut(&mut store).fill(0x55);
        let base = memory.data_ptr(&store);
        let (expected, _) = copied(vec![0x55; 20 * WASM_PAGE], &segments);
        for _ in 0..2 {
            let imports = [global(&mut store), memory.into()];
            Instance::new(&mut store, &module, &imports).unwrap();
            assert!(memory.data(&store) == expected);
            assert_eq!((memory.data_ptr(&store), mapping(base)), (base, None));
            memory.data_mut(&mut store)[3..LARGE].fill(0x66);
        }
    }
}

/// A function that a failed instantiation left in a table shows what the segments before the failing one left.
#[test]
fn what_is_seen_of_a_failed_instantiation() {
    let end = 10 * WASM_PAGE;
    let elem = "(elem (i32.const 0) $peek)";
    let bad_elem = "(elem (i32.const 0) $peek) (elem (i32.const 2) $peek)";
    let cases: &[(&str, &[Segment])] = &[
        (
            elem,
            &[(Const(8), LARGE), (Const(end - 5), 6), (Const(100), 9)],
        ),
        (elem, &[(Const(end - 5), 6), (Const(100), LARGE)]),
        (elem, &[(Const(9), 70), (Const(end), 1), (Const(0), LARGE)]),
        (elem, &[(Const(9), LARGE), (Const(end + 1), 0)]),
        (
            elem,
            &[
                (At::Global, 9),
                (Const(0), LARGE),
                (Const(end - LARGE), LARGE + 1),
            ],
        ),
        (bad_elem, &[(Const(0), LARGE), (Const(100), 9)]),
    ];
    for engine in engines() {
        for (elem, segments) in cases {
            let mut store = Store::new(engine, ());
            let owner = crate::support::instance(
                &mut store,
                r#"(module (table (export "t") 2 funcref) (type $t (func (param i32) (result i32)))
                    (func (export "peek") (param i32) (result i32)
                        (call_indirect (type $t) (local.get 0) (i32.const 0))))"#,
                &[],
            );
            let table = owner.get_table(&mut store, "t").unwrap();
            let head = format!(r#"(import "" "t" (table 2 funcref)) (memory 10) {elem}"#);
            let failing = module(engine, &head, segments);
            let (expected, code) = if *elem == bad_elem {
                (vec![0; end], TrapCode::TableOutOfBounds)
            } else {
                let (expected, outcome) = copied(vec![0; end], segments);
                assert_eq!(outcome, Err(()));
                (expected, TrapCode::MemoryOutOfBounds)
            };
            let imports = [global(&mut store), table.into()];
            assert_trap(Instance::new(&mut store, &failing, &imports), code);
            let peek = owner
                .get_typed_func::<i32, i32>(&mut store, "peek")
                .unwrap();
            for (at, expected) in expected.iter().enumerate().step_by(61) {
                let found = peek.call(&mut store, i32::try_from(at).unwrap()).unwrap();
                assert_eq!(found, i32::from(*expected), "byte {at} after {segments:?}");
            }
        }
    }
}

/// A process has one file for a module, until the module goes.
pub(crate) fn files_are_closed() {
    let files = || {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        let links = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
        links
            .filter(|link| link.to_string_lossy().contains("memfd:upshift-data"))
            .count()
    };
    for engine in engines() {
        let modules: Vec<_> = (0..5)
            .map(|i| module(engine, r#"(memory (export "m") 20)"#, &[(Const(i), LARGE)]))
            .collect();
        assert_eq!(files(), 0, "nobody has needed one");
        let mut store = Store::new(engine, ());
        for module in modules.iter().chain(&modules) {
            instance(&mut store, module);
        }
        assert_eq!(files(), 5);
        drop(modules);
        assert_eq!(files(), 5, "the instances keep the modules");
        drop(store);
        assert_eq!(files(), 0);
    }
}

/// A module with much data, for trouble.
pub(crate) struct Subject {
    module: Module,
    expected: Vec<u8>,
}

impl Subject {
    pub(crate) fn new(engine: &Engine) -> Self {
        let segments = [(Const(PAGE), LARGE), (Const(2_000_000), LARGE)];
        let subject = Self {
            module: module(engine, r#"(memory (export "m") 40)"#, &segments),
            expected: copied(vec![0; 40 * WASM_PAGE], &segments).0,
        };
        assert!(subject.instance_is_right_or_refused());
        subject
    }

    /// Whether there is an instance. It has its data; if there is none, the system lacks something.
    pub(crate) fn instance_is_right_or_refused(&self) -> bool {
        let mut store = Store::new(self.module.engine(), ());
        let global = global(&mut store);
        match Instance::new(&mut store, &self.module, &[global]) {
            Ok(instance) => {
                let memory = instance.get_memory(&mut store, "m").unwrap();
                assert!(memory.data(&store) == self.expected);
                memory.data_mut(&mut store).fill(1);
                true
            }
            outcome => {
                assert_kind(outcome, ErrorKind::Resource);
                false
            }
        }
    }
}
