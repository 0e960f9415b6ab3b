//! What is measured together: engines and programs, interleaved in rounds.

use crate::engine::Engine;
use crate::manifest::{self, Program};
use crate::measure::Setup;
use crate::run::{Plan, Rounds, begin};
use crate::schema::RunFile;
use crate::{available, hostile};
use std::path::Path;
use std::time::Duration;

/// Engines and programs that are measured in one interleaved run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// Loading the corpora and the suite.
    Load,
    /// Running the suite.
    Run,
    /// Starting the largest corpus.
    Start,
    /// Functions that are compiled when they are called.
    Lazy,
    /// Loading modules that are hard on a compiler.
    Hostile,
    /// Loading modules while they arrive.
    Stream,
    /// Instances of a module with much data.
    Instances,
}

/// What a user can change.
pub(super) struct Order<'a> {
    pub(super) samples: u32,
    /// Of the programs of [`Part::Run`].
    pub(super) size: &'a str,
    pub(super) timeout: Duration,
}

/// Not in [`Part::Load`]: `ruby-stdlib` has the code of `ruby`, and the 75 MB of the others keep an optimizing compiler
/// busy for minutes.
const NOT_LOADED: [&str; 3] = ["ruby-stdlib", "clang-version", "clang-compile"];

/// The program of [`Part::Start`].
pub(super) const LARGEST: &str = "clang-version";

/// The programs of [`Part::Lazy`]: one of the suite, and one of the hostile modules.
pub(super) const MANY_FUNCTIONS: &str = "many-functions";
pub(super) const MANY_TINY: &str = "many-tiny";

/// The programs of [`Part::Stream`]: 14 to 17 MB.
const STREAMED: [&str; 3] = ["esbuild", "lightningcss", "ruby"];

/// How fast they arrive, in MB per second.
const STREAM_RATE: u32 = 50;

/// A module with this much data is the program of [`Part::Instances`].
const DATA_BYTES: usize = 10_000_000;

/// Left out of [`Part::Hostile`]: it asks for more than the limit of code per body allows.
const REFUSED: &str = "chained-calls";

/// A module with nothing in it: what an engine takes for itself.
pub(super) const NOTHING: &str = "nothing";

impl Part {
    pub(super) const ALL: [Self; 7] = [
        Self::Stream,
        Self::Instances,
        Self::Lazy,
        Self::Start,
        Self::Hostile,
        Self::Run,
        Self::Load,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Run => "run",
            Self::Start => "start",
            Self::Lazy => "lazy",
            Self::Hostile => "hostile",
            Self::Stream => "stream",
            Self::Instances => "instances",
        }
    }

    fn engines(self) -> &'static str {
        match self {
            Self::Load => {
                "upshift/baseline/eager@1,wasmtime/cranelift@1,wasmtime/winch@1,v8/liftoff@1,jsc/bbq@1"
            }
            Self::Run => {
                "upshift/baseline/eager,upshift/optimizing/eager,wasmtime/winch,v8/liftoff"
            }
            Self::Start => "upshift/dynamic/lazy,v8",
            Self::Lazy => "upshift/baseline/lazy@1",
            Self::Hostile => "upshift/baseline/eager@1",
            Self::Stream => "upshift/baseline/eager",
            Self::Instances => "upshift/dynamic/lazy",
        }
    }

    fn load_only(self) -> bool {
        match self {
            Self::Load | Self::Hostile | Self::Stream => true,
            Self::Run | Self::Start | Self::Lazy | Self::Instances => false,
        }
    }

    /// Runs in one process.
    fn iterations(self) -> u32 {
        match self {
            Self::Instances => 2,
            Self::Load | Self::Run | Self::Start | Self::Lazy | Self::Hostile | Self::Stream => 1,
        }
    }

    /// The programs; modules that no manifest has are written to `scratch`.
    fn programs(self, scratch: &Path) -> Result<Vec<Program>, String> {
        let corpora_and_suite = manifest::load(&[])?;
        let named = |wanted: &dyn Fn(&Program) -> bool| -> Vec<Program> {
            let found = corpora_and_suite.iter().filter(|program| wanted(program));
            found.cloned().collect()
        };
        Ok(match self {
            Self::Load => named(&|program| !NOT_LOADED.contains(&program.name.as_str())),
            Self::Run => named(&|program| program.kind != "corpus"),
            Self::Start => named(&|program| program.name == LARGEST),
            Self::Lazy => {
                let mut programs = named(&|program| program.name == MANY_FUNCTIONS);
                programs.extend(hostile_programs(scratch, &|name| name == MANY_TINY)?);
                programs
            }
            Self::Hostile => {
                let mut programs =
                    hostile_programs(scratch, &|name| name != MANY_TINY && name != REFUSED)?;
                programs.push(made(scratch, NOTHING, "(module)".as_bytes())?);
                programs
            }
            Self::Stream => named(&|program| STREAMED.contains(&program.name.as_str())),
            Self::Instances => vec![made(scratch, "data", data_module().as_bytes())?],
        })
    }
}

/// Takes the samples of a part.
///
/// # Errors
/// After Ctrl-C, or if nothing of it can be measured here, or the samples cannot be written.
pub(super) fn measure(
    part: Part,
    order: &Order<'_>,
    keep: &dyn Fn(&RunFile) -> Result<(), String>,
) -> Result<RunFile, String> {
    let scratch = tempfile::tempdir().map_err(|error| format!("temporary directory: {error}"))?;
    let engines = available::checked(&Engine::parse_list(part.engines())?);
    let sizes = match part {
        Part::Run => order.size,
        Part::Load | Part::Start | Part::Lazy | Part::Hostile | Part::Stream | Part::Instances => {
            "test"
        }
    };
    let programs = part.programs(scratch.path())?;
    let plan = Plan::new(engines, programs, sizes, part.load_only())?;
    for word in &plan.skipped {
        eprintln!("{}: skipped: {word}", part.name());
    }
    let mut run = begin(&plan, None)?;
    let setup = Setup {
        suites: Vec::new(),
        iterations: part.iterations(),
        load_only: part.load_only(),
        marks: false,
        events: false,
        stream: (part == Part::Stream).then_some(STREAM_RATE),
        timeout: order.timeout,
    };
    let rounds = Rounds {
        setup: &setup,
        least: order.samples,
        time: None,
        warm_up: false,
        keep,
    };
    rounds.take(plan, &mut run)?;
    Ok(run)
}

fn hostile_programs(scratch: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Program>, String> {
    let modules = hostile::all().into_iter();
    let modules = modules.filter(|(name, _)| wanted(name));
    modules
        .map(|(name, bytes)| made(scratch, name, &bytes))
        .collect()
}

/// A program of a module that no manifest has.
fn made(scratch: &Path, name: &str, bytes: &[u8]) -> Result<Program, String> {
    let text = !bytes.starts_with(b"\0");
    let path = scratch.join(format!("{name}.{}", if text { "wat" } else { "wasm" }));
    std::fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Program::of_file(&path))
}

/// Text of a module with [`DATA_BYTES`] of data that are not zero.
fn data_module() -> String {
    let data = "upshift ".repeat(DATA_BYTES / 8);
    format!(
        r#"(module (memory (export "memory") 256) (func (export "_start")) (data (i32.const 1024) "{data}"))"#
    )
}
