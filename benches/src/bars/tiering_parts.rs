//! What the bars of docs/tiering-figures.md are measured with.

use super::loops;
use super::parts::{Count, Part, Size, made, suite};

/// Ours as it comes.
pub(super) const DYNAMIC: &str = "upshift/dynamic/lazy";
/// What stays with one compiler; the best of these is what tier-up is measured against.
pub(super) const STATICS: [&str; 4] = [
    "upshift/baseline/lazy",
    "upshift/baseline/eager",
    "upshift/optimizing/lazy",
    OPTIMIZED,
];
/// Optimized code that is there before the program starts.
pub(super) const OPTIMIZED: &str = "upshift/optimizing/eager";
/// Baseline code that is there before the program starts, and the same with counters.
pub(super) const UNCOUNTED: &str = "upshift/baseline/eager";
pub(super) const COUNTED: &str = "upshift/counted/eager";
/// Of [`SWAP`]: code that is there before the first call, and is swapped or stays.
pub(super) const SWAPPED: &str = "upshift/dynamic/eager";
pub(super) const UNSWAPPED: &str = "upshift/baseline/eager";
/// The policy that optimizes all that runs.
pub(super) const EAGER: &str = "upshift/eager/lazy";

/// Long loops in `_start` that tell how far they are.
pub(super) static LOOP: Part = Part {
    name: "loop",
    engines: "upshift/dynamic/lazy,upshift/baseline/lazy,upshift/optimizing/eager",
    programs: |scratch| {
        let modules = loops::SIZES.into_iter();
        let modules = modules.map(|(name, bytes)| made(scratch, name, &loops::long(bytes)));
        modules.collect()
    },
    ..Part::DEFAULT
};

/// Functions that eight threads call while they are swapped.
pub(super) static SWAP: Part = Part {
    name: "swap",
    engines: "upshift/dynamic/eager,upshift/baseline/eager",
    programs: |scratch| Ok(vec![made(scratch, "swapped", &loops::called())?]),
    threads: Some(8),
    ..Part::DEFAULT
};

/// Baseline code with counters and without. The shortest runs are long enough for it, since nothing is compiled in them, and
/// more rounds of them say more.
pub(super) static COUNTERS: Part = Part {
    name: "counters",
    engines: "upshift/counted/eager,upshift/baseline/eager",
    programs: suite,
    size: Size::Always("test"),
    rounds: Count::Times(3),
    ..Part::DEFAULT
};

/// Code that is left at the end. It hardly depends on times.
pub(super) static MEMORY: Part = Part {
    name: "memory",
    engines: "upshift/dynamic/lazy,upshift/eager/lazy",
    programs: suite,
    size: Size::Largest,
    rounds: Count::One,
    ..Part::DEFAULT
};

/// The suite at its smallest size.
pub(super) static TEST: Part = Part {
    name: "total-test",
    engines: "upshift/dynamic/lazy,upshift/baseline/lazy,upshift/baseline/eager,upshift/optimizing/lazy,\
              upshift/optimizing/eager,v8,jsc,wasmtime/cranelift",
    programs: suite,
    size: Size::IfWanted("test"),
    ..Part::DEFAULT
};

/// At the size at which code is compared, too: a run takes a second, so that what the start of a native process costs
/// does not count.
pub(super) static TRAIN: Part = Part {
    name: "total-train",
    engines: "upshift/dynamic/lazy,upshift/baseline/lazy,upshift/baseline/eager,upshift/optimizing/lazy,\
              upshift/optimizing/eager,v8,jsc,wasmtime/cranelift,native,native/scalar",
    programs: suite,
    size: Size::IfWanted("train"),
    ..Part::DEFAULT
};

/// Takes hours.
pub(super) static REF: Part = Part {
    name: "total-ref",
    engines: "upshift/dynamic/lazy,upshift/baseline/lazy,upshift/baseline/eager,upshift/optimizing/lazy,\
              upshift/optimizing/eager,v8,jsc",
    programs: suite,
    size: Size::IfWanted("ref"),
    ..Part::DEFAULT
};

/// All of them, in the order of measuring.
pub(super) static PARTS: [&Part; 7] = [&LOOP, &SWAP, &COUNTERS, &TEST, &TRAIN, &MEMORY, &REF];
