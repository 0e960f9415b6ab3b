//! The example programs: examples/workloads.toml says what to compile and run,
//! examples/expected.json what must come out.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::compile::{self, CLANG, NATIVE_CC};
use super::{Options, native_dir};
use crate::{Outcome, process, repo};

pub(super) const PLAN: &str = "examples/workloads.toml";
const EXPECTED: &str = "examples/expected.json";

/// examples/workloads.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    program: Vec<Program>,
    run: Vec<PlannedRun>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    name: String,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlannedRun {
    name: String,
    file: String,
    invoke: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    dirs: Vec<Preopen>,
    #[serde(default)]
    stdin: String,
    /// Given for files without a native program.
    stdout: Option<String>,
}

/// examples/expected.json.
#[derive(Serialize, Deserialize)]
struct Expected {
    about: String,
    wasm_compiler: String,
    native_compiler: String,
    runs: Vec<Run>,
}

/// One way to run an example, and what must come out.
#[derive(Serialize, Deserialize)]
struct Run {
    name: String,
    /// Relative to examples/.
    file: String,
    /// The export to call with `args`; none runs the program as a WASI command.
    invoke: Option<String>,
    args: Vec<String>,
    dirs: Vec<Preopen>,
    stdin: String,
    stdout: String,
    exit: i32,
}

/// A directory that the program may open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Preopen {
    /// Relative to examples/.
    host: String,
    guest: String,
}

impl Plan {
    /// # Errors
    /// When the file cannot be read or says something else.
    pub(super) fn read() -> Outcome<Self> {
        toml::from_str(&repo::read(PLAN)?).map_err(|error| format!("{PLAN}: {error}"))
    }

    /// Whether there is a program of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.program.iter().any(|program| program.name == name)
    }
}

/// Compile the wanted programs, do their runs natively and record the outputs.
///
/// # Errors
/// When a program does not compile or run.
pub(super) fn build(plan: Plan, options: &Options) -> Outcome<()> {
    if !plan.program.iter().any(|p| options.wants(&p.name)) {
        return Ok(());
    }
    let native_dir = native_dir("examples")?;
    for program in plan.program.iter().filter(|p| options.wants(&p.name)) {
        program.compile(&native_dir)?;
    }
    let mut runs = Vec::new();
    for planned in plan.run {
        let program = planned.file.strip_suffix(".wasm").unwrap_or_default();
        if planned.stdout.is_some() || options.wants(program) {
            println!("running {}", planned.name);
            runs.push(finish(planned, &native_dir)?);
        } else {
            runs.push(recorded(&planned.name)?);
        }
    }
    let names: BTreeSet<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    if names.len() < runs.len() {
        return Err(format!("{PLAN}: two runs have the same name"));
    }
    let expected = Expected {
        about:
            "Written by `cargo xtask workloads` from the natively compiled programs; do not edit."
                .to_owned(),
        wasm_compiler: compile::version(CLANG)?,
        native_compiler: compile::version(NATIVE_CC)?,
        runs,
    };
    let text = serde_json::to_string_pretty(&expected).map_err(|error| error.to_string())?;
    repo::write(EXPECTED, &(text + "\n"))?;
    println!("wrote {EXPECTED}: {} runs", expected.runs.len());
    Ok(())
}

impl Program {
    fn compile(&self, native_dir: &Path) -> Outcome<()> {
        let program = compile::Program {
            name: &self.name,
            directory: &repo::root().join("examples"),
            source: std::slice::from_ref(&self.source),
            flags: &[],
        };
        program.to_wasm(Path::new(&format!("{}.wasm", self.name)), &[])?;
        program.to_native(NATIVE_CC, &native_dir.join(&self.name))
    }
}

/// Print what the run called `name` prints, for comparison in shell scripts.
///
/// # Errors
/// When there is no such run.
pub(crate) fn print_expected(name: &str) -> Outcome<()> {
    print!("{}", recorded(name)?.stdout);
    Ok(())
}

fn recorded(name: &str) -> Outcome<Run> {
    let mut runs = read_expected()?.runs.into_iter();
    let run = runs.find(|run| run.name == name);
    run.ok_or_else(|| format!("{EXPECTED}: no run is called {name}"))
}

fn read_expected() -> Outcome<Expected> {
    serde_json::from_str(&repo::read(EXPECTED)?).map_err(|error| format!("{EXPECTED}: {error}"))
}

/// Do the run natively, unless its output is given.
fn finish(planned: PlannedRun, native_dir: &Path) -> Outcome<Run> {
    let (stdout, exit) = match planned.stdout {
        Some(stdout) => (stdout, 0),
        None => {
            let program = planned.file.strip_suffix(".wasm");
            let program = program
                .ok_or_else(|| format!("{}: give its stdout, it is no program", planned.name))?;
            let mut native = Command::new(native_dir.join(program));
            native
                .current_dir(repo::root().join("examples"))
                .args(&planned.args);
            let finished = process::feed(&mut native, &planned.stdin)?;
            (finished.stdout, finished.exit)
        }
    };
    Ok(Run {
        name: planned.name,
        file: planned.file,
        invoke: planned.invoke,
        args: planned.args,
        dirs: planned.dirs,
        stdin: planned.stdin,
        stdout,
        exit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a run is asked to do, without what must come out.
    type Asked<'r> = (
        &'r str,
        &'r str,
        Option<&'r str>,
        &'r [String],
        &'r [Preopen],
        &'r str,
    );

    #[test]
    fn the_recorded_runs_are_the_planned_ones() {
        let (plan, expected) = (Plan::read().unwrap(), read_expected().unwrap());
        let planned: Vec<Asked<'_>> = plan
            .run
            .iter()
            .map(|r| {
                (
                    &*r.name,
                    &*r.file,
                    r.invoke.as_deref(),
                    &*r.args,
                    &*r.dirs,
                    &*r.stdin,
                )
            })
            .collect();
        let recorded: Vec<Asked<'_>> = expected
            .runs
            .iter()
            .map(|r| {
                (
                    &*r.name,
                    &*r.file,
                    r.invoke.as_deref(),
                    &*r.args,
                    &*r.dirs,
                    &*r.stdin,
                )
            })
            .collect();
        assert_eq!(planned, recorded, "call `cargo xtask workloads`");
    }

    #[test]
    fn every_program_has_source_module_and_run() {
        let plan = Plan::read().unwrap();
        for program in &plan.program {
            let module = format!("{}.wasm", program.name);
            for path in [&program.source, &module] {
                assert!(repo::root().join("examples").join(path).is_file(), "{path}");
            }
            assert!(
                plan.run.iter().any(|run| run.file == module),
                "{module} is never run"
            );
        }
    }
}
