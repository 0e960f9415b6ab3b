//! What profilers are told, read back: each piece of code under its name, where the pc map has it. Each case has a process of its
//! own, since the files are the process's.

use std::collections::BTreeSet;
use std::path::Path;
use std::process;
use upshift::{
    CompileMode, Config, Engine, Instance, Module, ProfilingStrategy, Store, Tier, TierPolicy,
};
use upshift_runtime::lookup_pc;

/// Function 1 has no name, and the name of function 2 would end a line.
const MODULE: &str = r#"(module
    (func $hot (export "hot") (param i32) (result i32)
        (loop $l
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $l (i32.gt_s (local.get 0) (i32.const 0))))
        (call 1))
    (func (result i32) (call 2))
    (func $"two\nlines" (result i32) (i32.const 7)))"#;

/// Address, size, name, and the code if it is there.
type Entry = (usize, usize, String, Option<Vec<u8>>);

pub(crate) fn perf_map() {
    let path = format!("/tmp/perf-{}.map", process::id());
    check(ProfilingStrategy::PerfMap, Path::new(&path), |bytes| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.ends_with('\n'));
        let number = |digits: &str| usize::from_str_radix(digits, 16).unwrap();
        text.lines()
            .map(|line| {
                let mut parts = line.splitn(3, ' ');
                let mut next = || parts.next().unwrap();
                (number(next()), number(next()), next().to_owned(), None)
            })
            .collect()
    });
}

pub(crate) fn jit_dump() {
    let folder = std::env::temp_dir().join(format!("upshift-profiles-{}", process::id()));
    std::fs::create_dir(&folder).unwrap();
    std::env::set_current_dir(&folder).unwrap();
    let path = folder.join(format!("jit-{}.dump", process::id()));
    check(ProfilingStrategy::JitDump, &path, read_jit_dump);
    // perf takes note of the file because it is mapped so.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut mapped = maps.lines().filter(|line| line.contains("/jit-"));
    assert!(mapped.any(|line| line.contains(" r-xp ")), "{maps}");
    std::fs::remove_dir_all(&folder).unwrap();
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn double(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

fn read_jit_dump(bytes: &[u8]) -> Vec<Entry> {
    let pid = process::id() as usize;
    let header: Vec<usize> = (0..6).map(|index| word(bytes, index * 4)).collect();
    assert_eq!(header, [0x4a69_5444, 1, 40, 62, 0, pid]);
    let mut entries = Vec::new();
    let (mut rest, mut last) = (&bytes[40..], double(bytes, 24));
    while !rest.is_empty() {
        let (kind, size, time) = (word(rest, 0), word(rest, 4), double(rest, 8));
        assert!(kind == 0 && last <= time);
        let (record, next) = rest.split_at(size);
        let [vma, address, code_bytes, index] = [24, 32, 40, 48].map(|at| double(record, at));
        assert_eq!(
            (word(record, 16), vma, index),
            (pid, address, entries.len())
        );
        let name = record[56..].split(|byte| *byte == 0).next().unwrap();
        let code = &record[56 + name.len() + 1..];
        assert_eq!(code.len(), code_bytes);
        let name = String::from_utf8(name.to_vec()).unwrap();
        entries.push((address, code_bytes, name, Some(code.to_vec())));
        (rest, last) = (next, time);
    }
    entries
}

/// Runs guests of two engines, and looks for all their code in the file.
fn check(profile: ProfilingStrategy, path: &Path, read: impl Fn(&[u8]) -> Vec<Entry>) {
    let bytes = wat::parse_str(MODULE).unwrap();
    let engine = |config: &mut Config| Engine::new(config.profiler(profile)).unwrap();
    let dynamic = engine(Config::new().tier_up_after(1).osr_after(3));
    let eager = engine(
        Config::new()
            .tier_policy(TierPolicy::Baseline)
            .compile_mode(CompileMode::Eager),
    );
    let modules = [
        Module::from_vec(&dynamic, bytes.clone()).unwrap(),
        // Its names arrive after its code was made.
        Module::from_stream(&eager, &bytes[..]).unwrap(),
    ];
    for module in &modules {
        let mut store = Store::new(module.engine(), ());
        let instance = Instance::new(&mut store, module, &[]).unwrap();
        let hot = instance
            .get_typed_func::<i32, i32>(&mut store, "hot")
            .unwrap();
        for _ in 0..2 {
            assert_eq!(hot.call(&mut store, 10).unwrap(), 7);
        }
    }
    let entries = read(&std::fs::read(path).unwrap());
    std::fs::remove_file(path).unwrap();
    let mut names = BTreeSet::new();
    for (address, code_bytes, name, code) in &entries {
        if let Some(code) = code {
            assert!(!code.is_empty() && code[0] != 0xcc, "{name}");
        }
        let Some(location) = lookup_pc(*address) else {
            // Code that was replaced may be freed by now; stubs are never in the map.
            if name.ends_with(" [baseline]") && dynamic.stats().freed_bytes > 0 {
                names.insert(name.as_str());
            } else {
                assert!(name.ends_with(" [stub]"), "{name}");
            }
            continue;
        };
        names.insert(name.as_str());
        assert_eq!(location.code_bytes as usize, *code_bytes, "{name}");
        let func = ["hot", "func 1", "two lines"][location.func.0 as usize];
        let tiers: &[&str] = match location.tier {
            Tier::Baseline => &["baseline"],
            Tier::Optimizing => &["optimizing", "osr"],
        };
        let fits = |tier: &&str| format!("{func} [{tier}]") == *name;
        assert!(tiers.iter().any(fits), "{name} {location:?}");
    }
    for name in [
        "hot [baseline]",
        "hot [osr]",
        "hot [optimizing]",
        "func 1 [optimizing]",
        "two lines [baseline]",
    ] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
    let made: u64 = [&dynamic, &eager]
        .map(|engine| engine.stats().baseline.functions + engine.stats().optimizing.functions)
        .iter()
        .sum();
    let stubs = entries.iter().filter(|entry| entry.2.ends_with(" [stub]"));
    let stubs = u64::try_from(stubs.count()).unwrap();
    assert!(stubs > 2);
    assert_eq!(u64::try_from(entries.len()).unwrap(), made + stubs);
}
