//! What the bars of docs/baseline.md are measured with.

use super::parts::{Part, Size, listed, made, suite};
use crate::hostile;
use crate::manifest::Program;
use std::path::Path;

/// Loading modules while they arrive.
pub(super) static STREAM: Part = Part {
    name: "stream",
    engines: "upshift/baseline/eager",
    programs: |_| listed(|program| STREAMED.contains(&program.name.as_str())),
    load_only: true,
    stream: Some(STREAM_RATE),
    ..Part::DEFAULT
};

/// Instances of a module with much data.
pub(super) static INSTANCES: Part = Part {
    name: "instances",
    engines: "upshift/dynamic/lazy",
    programs: |scratch| Ok(vec![made(scratch, "data", data_module().as_bytes())?]),
    iterations: 2,
    ..Part::DEFAULT
};

/// Functions that are compiled when they are called.
pub(super) static LAZY: Part = Part {
    name: "lazy",
    engines: "upshift/baseline/lazy@1",
    programs: |scratch| {
        let mut programs = listed(|program| program.name == MANY_FUNCTIONS)?;
        programs.extend(hostile_programs(scratch, &|name| name == MANY_TINY)?);
        Ok(programs)
    },
    size: Size::Always("test"),
    ..Part::DEFAULT
};

/// Starting the largest corpus.
pub(super) static START: Part = Part {
    name: "start",
    engines: "upshift/dynamic/lazy,v8",
    programs: |_| listed(|program| program.name == LARGEST),
    ..Part::DEFAULT
};

/// Loading modules that are hard on a compiler.
pub(super) static HOSTILE: Part = Part {
    name: "hostile",
    engines: "upshift/baseline/eager@1",
    programs: |scratch| {
        let wanted = |name: &str| name != MANY_TINY && name != REFUSED;
        let mut programs = hostile_programs(scratch, &wanted)?;
        programs.push(made(scratch, NOTHING, "(module)".as_bytes())?);
        Ok(programs)
    },
    load_only: true,
    may_fail: true,
    ..Part::DEFAULT
};

/// Running the suite.
pub(super) static RUN: Part = Part {
    name: "run",
    engines: "upshift/baseline/eager,upshift/optimizing/eager,wasmtime/winch,v8/liftoff",
    programs: suite,
    size: Size::Largest,
    ..Part::DEFAULT
};

/// Loading the corpora and the suite.
pub(super) static LOAD: Part = Part {
    name: "load",
    engines: "upshift/baseline/eager@1,wasmtime/cranelift@1,wasmtime/winch@1,v8/liftoff@1,jsc/bbq@1",
    programs: |_| listed(|program| !NOT_LOADED.contains(&program.name.as_str())),
    size: Size::Always("test"),
    load_only: true,
    ..Part::DEFAULT
};

/// All of them, in the order of measuring.
pub(super) static PARTS: [&Part; 7] = [&STREAM, &INSTANCES, &LAZY, &START, &HOSTILE, &RUN, &LOAD];

/// Not in [`LOAD`]: `ruby-stdlib` has the code of `ruby`, and the 75 MB of the others keep an optimizing compiler
/// busy for minutes.
const NOT_LOADED: [&str; 3] = ["ruby-stdlib", "clang-version", "clang-compile"];

/// The program of [`START`].
pub(super) const LARGEST: &str = "clang-version";

/// The programs of [`LAZY`]: one of the suite, and one of the hostile modules.
pub(super) const MANY_FUNCTIONS: &str = "many-functions";
pub(super) const MANY_TINY: &str = "many-tiny";

/// The programs of [`STREAM`]: 14 to 17 MB.
const STREAMED: [&str; 3] = ["esbuild", "lightningcss", "ruby"];

/// How fast they arrive, in MB per second.
const STREAM_RATE: u32 = 50;

/// A module with this much data is the program of [`INSTANCES`].
const DATA_BYTES: usize = 10_000_000;

/// Left out of [`HOSTILE`]: it asks for more than the limit of code per body allows.
const REFUSED: &str = "chained-calls";

/// A module with nothing in it: what an engine takes for itself.
pub(super) const NOTHING: &str = "nothing";

fn hostile_programs(scratch: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Program>, String> {
    let modules = hostile::all().into_iter();
    let modules = modules.filter(|(name, _)| wanted(name));
    modules
        .map(|(name, bytes)| made(scratch, name, &bytes))
        .collect()
}

/// Text of a module with [`DATA_BYTES`] of data that are not zero.
fn data_module() -> String {
    let data = "upshift ".repeat(DATA_BYTES / 8);
    format!(
        r#"(module (memory (export "memory") 256) (func (export "_start")) (data (i32.const 1024) "{data}"))"#
    )
}
