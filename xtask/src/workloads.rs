//! `cargo xtask workloads`: rebuild the example programs and their expected output.
//!
//! Reads examples/workloads.toml. Each program is compiled twice from the same
//! source, to WebAssembly with wasi-libc and for this machine; the native
//! program's output is what the engine has to reproduce. The result,
//! examples/expected.json, is committed, so that tests need no C compiler.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::{Outcome, process, repo};

const CLANG: &str = "clang-19";
const NATIVE_CC: &str = "cc";
const PLAN: &str = "examples/workloads.toml";
const EXPECTED: &str = "examples/expected.json";

/// What must be there to compile to WebAssembly, and the Debian package that has it.
const TOOLS: [(Tool, &str); 5] = [
    (Tool::Program(CLANG), "clang-19"),
    (Tool::Program("wasm-ld-19"), "lld-19"),
    (Tool::File("/usr/lib/wasm32-wasi/libc.a"), "wasi-libc"),
    (
        Tool::File("/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a"),
        "libclang-rt-19-dev-wasm32",
    ),
    (Tool::Program(NATIVE_CC), "gcc libc6-dev"),
];

/// Options of both compilers. Contracting `a * b + c` to one rounding would make
/// the two programs differ.
const FLAGS: [&str; 6] = [
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffp-contract=off",
];

enum Tool {
    Program(&'static str),
    File(&'static str),
}

/// examples/workloads.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Workloads {
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

/// # Errors
/// When tools are missing, or a program does not compile or run.
pub(crate) fn run() -> Outcome<()> {
    check_tools()?;
    let plan = read_plan()?;
    let native_dir = repo::root().join("target/workloads");
    fs::create_dir_all(&native_dir)
        .map_err(|error| format!("{}: {error}", native_dir.display()))?;
    for program in &plan.program {
        compile(program, &native_dir)?;
    }
    let mut runs = Vec::new();
    for planned in plan.run {
        println!("running {}", planned.name);
        runs.push(finish(planned, &native_dir)?);
    }
    let names: BTreeSet<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    if names.len() < runs.len() {
        return Err(format!("{PLAN}: two runs have the same name"));
    }
    let expected = Expected {
        about:
            "Written by `cargo xtask workloads` from the natively compiled programs; do not edit."
                .to_owned(),
        wasm_compiler: version(CLANG)?,
        native_compiler: version(NATIVE_CC)?,
        runs,
    };
    let text = serde_json::to_string_pretty(&expected).map_err(|error| error.to_string())?;
    repo::write(EXPECTED, &(text + "\n"))?;
    println!("wrote {EXPECTED}: {} runs", expected.runs.len());
    Ok(())
}

/// Print what the run called `name` prints, for comparison in shell scripts.
///
/// # Errors
/// When there is no such run.
pub(crate) fn print_expected(name: &str) -> Outcome<()> {
    let expected = read_expected()?;
    let run = expected.runs.iter().find(|run| run.name == name);
    let run = run.ok_or_else(|| format!("{EXPECTED}: no run is called {name}"))?;
    print!("{}", run.stdout);
    Ok(())
}

fn read_plan() -> Outcome<Workloads> {
    toml::from_str(&repo::read(PLAN)?).map_err(|error| format!("{PLAN}: {error}"))
}

fn read_expected() -> Outcome<Expected> {
    serde_json::from_str(&repo::read(EXPECTED)?).map_err(|error| format!("{EXPECTED}: {error}"))
}

fn check_tools() -> Outcome<()> {
    let there = |tool: &Tool| match tool {
        Tool::Program(name) => Command::new(name).arg("--version").output().is_ok(),
        Tool::File(path) => Path::new(path).exists(),
    };
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(tool, _)| !there(tool))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "missing tools; on Debian: apt-get install {}",
            missing.join(" ")
        ))
    }
}

/// The first line of what a compiler says about itself.
fn version(compiler: &str) -> Outcome<String> {
    let text = process::read(Command::new(compiler).arg("--version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn compile(program: &Program, native_dir: &Path) -> Outcome<()> {
    println!("compiling {}", program.name);
    let examples = repo::root().join("examples");
    let output = format!("{}.wasm", program.name);
    let mut wasm = Command::new(CLANG);
    wasm.current_dir(&examples)
        .arg("--target=wasm32-wasi")
        .args(FLAGS);
    process::run(
        wasm.arg(&program.source)
            .args(["-Wl,--strip-debug", "-o", &output]),
    )?;
    make_plain(&examples.join(output))?;
    let mut native = Command::new(NATIVE_CC);
    native.current_dir(&examples).args(FLAGS);
    process::run(
        native
            .arg(&program.source)
            .arg("-o")
            .arg(native_dir.join(&program.name)),
    )
}

/// Clear the executable bits that the linker sets: a module is data here.
#[cfg(unix)]
fn make_plain(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = fs::Permissions::from_mode(0o644);
    fs::set_permissions(path, permissions).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(not(unix))]
fn make_plain(_: &Path) -> Outcome<()> {
    Ok(())
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
        let (plan, expected) = (read_plan().unwrap(), read_expected().unwrap());
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
        let plan = read_plan().unwrap();
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
