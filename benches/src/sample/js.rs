//! How the JavaScript engines are found and started: node for V8; the jsc shell or bun for JavaScriptCore.

use crate::engine::JsTiers;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the `node` to use.
const NODE_VARIABLE: &str = "UPSHIFT_BENCH_NODE";
/// Names the `jsc` or `bun` to use.
const JSC_VARIABLE: &str = "UPSHIFT_BENCH_JSC";

/// Which program runs the script; they differ in how they are told options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shell {
    Node,
    Bun,
    /// The shell that comes with JavaScriptCore.
    Jsc,
}

/// A program that runs scripts, with the options of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    pub(crate) shell: Shell,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Runtime {
    fn new(shell: Shell, program: PathBuf) -> Self {
        Self {
            shell,
            program,
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// A command that runs the script in a file.
    pub(crate) fn command(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).arg(script);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The version of the engine. Running the engine also shows whether it has the options.
    ///
    /// # Errors
    /// What the engine says when it does not start with the options.
    pub(crate) fn version(&self) -> Result<String, String> {
        let script = match self.shell {
            Shell::Node => {
                "console.log(`node ${process.versions.node}, V8 ${process.versions.v8}`)"
            }
            Shell::Bun => {
                "console.log(`bun ${process.versions.bun}, WebKit ${process.versions.webkit}`)"
            }
            // It does not tell; see `library`. It waits for the end of its input, so that one can look.
            Shell::Jsc => "print('jsc'); readline()",
        };
        let mut command = Command::new(&self.program);
        command.args(&self.args).args(["-e", script]);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |e: std::io::Error| format!("{}: {e}", self.program.display());
        let mut child = command.spawn().map_err(failed)?;
        let mut version = String::new();
        if let Some(stdout) = &mut child.stdout {
            BufReader::new(stdout)
                .read_line(&mut version)
                .map_err(failed)?;
        }
        let library = library(child.id());
        let output = child.wait_with_output().map_err(failed)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        // The shell says which options it does not know, and goes on.
        let refused = stderr.contains("invalid option");
        let version = version.trim();
        if !output.status.success() || version.is_empty() || refused {
            let line = stderr.lines().find(|line| !line.trim().is_empty());
            let line = line.unwrap_or("no version").trim();
            return Err(format!("{}: {line}", self.program.display()));
        }
        Ok(match (self.shell, library) {
            (Shell::Jsc, Some(library)) => format!("{version}, {library}"),
            (Shell::Jsc | Shell::Node | Shell::Bun, _) => version.to_owned(),
        })
    }
}

/// The file name of the shared library with JavaScriptCore in a process: it has a version in its name.
fn library(process: u32) -> Option<String> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let names = maps.lines().filter_map(|line| line.rsplit('/').next());
    let mut names = names.filter(|name| name.starts_with("libjavascriptcore"));
    names.next().map(str::to_owned)
}

/// V8 in a configuration.
///
/// # Errors
/// If there is no `node`.
pub(crate) fn v8(tiers: JsTiers, one_thread: bool) -> Result<Runtime, String> {
    let program = find(NODE_VARIABLE, &["node"])?;
    let mut runtime = Runtime::new(Shell::Node, program);
    let flags: &[&str] = match tiers {
        JsTiers::Default => &[],
        JsTiers::Baseline => &["--liftoff-only", "--no-wasm-lazy-compilation"],
        JsTiers::Optimizing => &[
            "--no-liftoff",
            "--no-wasm-tier-up",
            "--no-wasm-lazy-compilation",
        ],
    };
    // node:wasi says that it is experimental.
    let flags = ["--no-warnings"].iter().chain(flags);
    runtime.args = flags.map(|&flag| flag.to_owned()).collect();
    if one_thread {
        runtime
            .args
            .push("--wasm-num-compilation-tasks=1".to_owned());
    }
    Ok(runtime)
}

/// JavaScriptCore in a configuration.
///
/// # Errors
/// If there is neither `jsc` nor `bun`.
pub(crate) fn jsc(tiers: JsTiers, one_thread: bool) -> Result<Runtime, String> {
    let program = find(JSC_VARIABLE, &["jsc", "bun"])?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let shell = if name.starts_with("bun") {
        Shell::Bun
    } else {
        Shell::Jsc
    };
    let mut options: Vec<(&str, &str)> = Vec::new();
    if tiers != JsTiers::Default {
        // Without an interpreter all functions are compiled by BBQ before the first call. Shells of some years
        // have two interpreters; of the others, one is unknown.
        options.push(("useWasmIPInt", "0"));
        if shell == Shell::Jsc && knows(&program, "useWasmLLInt") {
            options.push(("useWasmLLInt", "0"));
        }
    }
    match tiers {
        JsTiers::Default => {}
        JsTiers::Baseline => options.push(("useOMGJIT", "0")),
        // Nothing can begin in OMG. BBQ code asks for it when it is first entered.
        JsTiers::Optimizing => {
            options.push(("thresholdForOMGOptimizeAfterWarmUp", "0"));
            options.push(("thresholdForOMGOptimizeSoon", "0"));
        }
    }
    if one_thread {
        options.push(("numberOfWasmCompilerThreads", "1"));
    }
    let mut runtime = Runtime::new(shell, program);
    for (option, value) in options {
        match shell {
            Shell::Jsc => runtime.args.push(format!("--{option}={value}")),
            Shell::Bun | Shell::Node => {
                let variable = format!("BUN_JSC_{option}");
                runtime.env.push((variable, value.to_owned()));
            }
        }
    }
    Ok(runtime)
}

/// Whether a jsc shell has an option.
fn knows(program: &Path, option: &str) -> bool {
    let mut command = Command::new(program);
    let output = command.arg("--options").stdin(Stdio::null()).output();
    output.is_ok_and(|output| {
        // It lists them on standard error.
        let all = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&all).contains(&format!(" {option}="))
    })
}

/// The program that a variable names, or the first of these names that is on the path.
fn find(variable: &str, names: &[&str]) -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(variable) {
        let named = PathBuf::from(named);
        if named.is_file() {
            return Ok(named);
        }
        return Err(format!(
            "{variable}: expected a program, found {}",
            named.display()
        ));
    }
    crate::native::on_path(names)
        .ok_or_else(|| format!("no {} here; {variable} can name one", names.join(" or ")))
}
