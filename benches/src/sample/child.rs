//! Samples of engines that are programs of their own: native code, and JavaScript engines.

use super::Job;
use super::clock::ms;
use super::js::{Runtime, Shell};
use super::usage::{self, Whose};
use crate::engine::Native;
use crate::native;
use crate::schema::{Iteration, Measured};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The script that the JavaScript engines run, after a line with the options.
const DRIVER: &str = include_str!("driver.js");

/// Runs the native binary of the program, in a process per iteration. Of a small program the peak memory is the
/// harness's own, some 6 MB: see [`usage::peak_rss_kb`].
pub(super) fn run_native(job: &Job<'_>, native: Native) -> Result<Measured, String> {
    let binary = native::binary(job.program, native)?;
    job.mark_load()?;
    let mut iterations = Vec::new();
    for _ in 0..job.iterations {
        let mut command = Command::new(&binary);
        command.args(&job.args).env_clear().envs(&job.program.env);
        give_stdin(job, &mut command)?;
        let started = Instant::now();
        let status = command.status();
        let run = started.elapsed();
        let status = status.map_err(|e| format!("{}: {e}", binary.display()))?;
        iterations.push(Iteration {
            run_ms: ms(run),
            exit: exit_code(&binary, status)?,
            ..Iteration::default()
        });
    }
    Ok(Measured {
        iterations,
        peak_rss_kb: usage::peak_rss_kb(Whose::Children),
        cpu_ms: ms(usage::cpu(Whose::Children)),
        ..Measured::default()
    })
}

/// What the script is told; it describes the fields.
#[derive(Serialize, Debug)]
struct DriverOptions<'a> {
    module: &'a str,
    result: &'a str,
    iterations: u32,
    marks: bool,
    name: String,
    args: &'a [String],
    env: Vec<String>,
    dirs: Vec<(&'a str, &'a str)>,
    stdin: Option<&'a str>,
}

/// What the script answers.
#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum DriverOutcome {
    Done {
        load_ms: f64,
        iterations: Vec<Iteration>,
    },
    Failed {
        error: String,
    },
}

/// Runs the program in a JavaScript engine.
pub(super) fn run_js(job: &Job<'_>, runtime: &Runtime) -> Result<Measured, String> {
    let program = job.program;
    match runtime.shell {
        Shell::Bun | Shell::Jsc if !program.dirs.is_empty() => {
            return Err(format!(
                "{}: programs that open directories run in node only, as far as JavaScript engines go",
                program.name
            ));
        }
        Shell::Node | Shell::Bun | Shell::Jsc => {}
    }
    let dir = tempfile::tempdir().map_err(|e| format!("temporary directory: {e}"))?;
    let script = dir.path().join("driver.js");
    let result = dir.path().join("result.json");
    let mut module = program.module.clone();
    if !is_binary(&module)? {
        module = dir.path().join("module.wasm");
        std::fs::write(&module, job.module()?).map_err(|e| at(&module, &e))?;
    }
    let mut dirs = Vec::new();
    for (here, there) in &program.dirs {
        dirs.push((text(here)?, there.as_str()));
    }
    let options = DriverOptions {
        module: text(&module)?,
        result: text(&result)?,
        iterations: job.iterations,
        marks: job.marks,
        name: job.argv0(),
        args: &job.args,
        env: pairs(program.env.iter()),
        dirs,
        stdin: program.stdin.as_deref().map(text).transpose()?,
    };
    let json = serde_json::to_string(&options).map_err(|e| format!("options: {e}"))?;
    let source = format!("const options = {json};\n{DRIVER}");
    std::fs::write(&script, source).map_err(|e| at(&script, &e))?;

    let cpu_before = usage::cpu(Whose::Children);
    let status = run_script(runtime.command(&script), runtime.shell)?;
    // No outcome is written when the engine itself ends badly.
    let Ok(outcome) = std::fs::read_to_string(&result) else {
        return Err(format!(
            "{}: the JavaScript engine ended without a result: {status}",
            program.name
        ));
    };
    match serde_json::from_str(&outcome).map_err(|e| format!("result of the engine: {e}"))? {
        DriverOutcome::Done {
            load_ms,
            iterations,
        } => Ok(measured(load_ms, iterations, cpu_before)),
        DriverOutcome::Failed { error } => Err(format!("{}: {error}", program.name)),
    }
}

fn measured(load_ms: f64, iterations: Vec<Iteration>, cpu_before: Duration) -> Measured {
    let cpu = usage::cpu(Whose::Children).saturating_sub(cpu_before);
    Measured {
        load_ms,
        iterations,
        peak_rss_kb: usage::peak_rss_kb(Whose::Children),
        cpu_ms: ms(cpu),
        ..Measured::default()
    }
}

/// Runs the engine until it ends.
fn run_script(mut command: Command, shell: Shell) -> Result<ExitStatus, String> {
    let failed = |e: io::Error| format!("JavaScript engine: {e}");
    match shell {
        Shell::Node | Shell::Bun => command.status().map_err(failed),
        // The script opens its streams by name, which would truncate files: it gets pipes.
        Shell::Jsc => {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().map_err(failed)?;
            relay(&mut child).map_err(failed)?;
            child.wait().map_err(failed)
        }
    }
}

/// Passes on what a child writes, until it closes its streams.
fn relay(child: &mut Child) -> io::Result<()> {
    let own = |stream: &dyn AsFd| stream.as_fd().try_clone_to_owned().map(File::from);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut to_stdout, mut to_stderr) = (own(&io::stdout())?, own(&io::stderr())?);
    thread::scope(|scope| {
        let copying = scope.spawn(move || match stderr {
            Some(mut stderr) => io::copy(&mut stderr, &mut to_stderr),
            None => Ok(0),
        });
        if let Some(mut stdout) = stdout {
            io::copy(&mut stdout, &mut to_stdout)?;
        }
        match copying.join() {
            Ok(copied) => copied.map(|_| ()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn give_stdin(job: &Job<'_>, command: &mut Command) -> Result<(), String> {
    if let Some(path) = &job.program.stdin {
        command.stdin(File::open(path).map_err(|e| at(path, &e))?);
    }
    Ok(())
}

/// The exit code; a signal is what a trap is in WebAssembly.
fn exit_code(binary: &Path, status: ExitStatus) -> Result<i32, String> {
    status
        .code()
        .ok_or_else(|| format!("{}: {status}", binary.display()))
}

fn is_binary(path: &Path) -> Result<bool, String> {
    let mut first = [0];
    let read = File::open(path).and_then(|mut file| io::Read::read(&mut file, &mut first));
    Ok(read.map_err(|e| at(path, &e))? == 1 && first == [0])
}

fn pairs<'a>(env: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<String> {
    env.map(|(key, value)| format!("{key}={value}")).collect()
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("expected a path in UTF-8, found {}", path.display()))
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
