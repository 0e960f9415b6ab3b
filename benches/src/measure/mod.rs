//! Takes one sample in a process of its own, and judges what it printed.

mod judge;
mod process;

pub(crate) use judge::checksum;
pub(crate) use process::interrupted;

use crate::engine::Engine;
use crate::manifest::Program;
use crate::schema::{MARK_LOAD, MARK_STEP, Measured, Outcome, RESULT_PREFIX, Sample};
use process::Execution;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How samples are taken.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The manifests that the child process has to read.
    pub(crate) suites: Vec<PathBuf>,
    /// Runs of the module in one process.
    pub(crate) iterations: u32,
    /// Only load the module.
    pub(crate) load_only: bool,
    /// Whether to ask for marks.
    pub(crate) marks: bool,
    /// Whether to ask for the events of tier-up.
    pub(crate) events: bool,
    /// Load the module from a stream of so many MB per second.
    pub(crate) stream: Option<u32>,
    /// Call the exports of the module from so many threads.
    pub(crate) threads: Option<u32>,
    /// When a process is ended.
    pub(crate) timeout: Duration,
}

impl Default for Setup {
    /// One run of a program of the default manifests, of at most ten minutes.
    fn default() -> Self {
        Self {
            suites: Vec::new(),
            iterations: 1,
            load_only: false,
            marks: false,
            events: false,
            stream: None,
            threads: None,
            timeout: Duration::from_secs(600),
        }
    }
}

/// Takes a sample of `program` at `size`. Whatever goes wrong is told in the sample.
pub(crate) fn sample(
    setup: &Setup,
    engine: Engine,
    program: &Program,
    size: &str,
    round: u32,
) -> Sample {
    let mut sample = Sample {
        engine: engine.to_string(),
        program: program.name.clone(),
        size: size.to_owned(),
        round,
        process_ms: 0.0,
        outcome: Outcome::Unchecked,
        checksum: None,
        measured: None,
    };
    let execution = command(setup, engine, program, size)
        .and_then(|mut command| process::execute(&mut command, setup.timeout));
    match execution {
        Ok(execution) => fill(&mut sample, setup, program, &execution),
        Err(message) => sample.outcome = Outcome::Failed(message),
    }
    sample
}

/// The arguments of the process that takes a sample.
pub(crate) fn arguments(
    setup: &Setup,
    engine: Engine,
    program: &Program,
    size: &str,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["sample".into(), engine.to_string().into()];
    if program.lone {
        arguments.push(program.module.clone().into());
    } else {
        arguments.push(program.name.clone().into());
        for suite in &setup.suites {
            arguments.extend(["--suite".into(), suite.clone().into()]);
        }
    }
    arguments.extend(["--size".into(), size.into()]);
    if setup.iterations > 1 {
        arguments.extend(["--iterations".into(), setup.iterations.to_string().into()]);
    }
    if only_loads(setup, program) {
        arguments.push("--load-only".into());
    }
    if setup.marks {
        arguments.push("--marks".into());
    }
    if setup.events {
        arguments.push("--events".into());
    }
    if let Some(rate) = setup.stream {
        arguments.extend(["--stream".into(), rate.to_string().into()]);
    }
    if let Some(threads) = setup.threads {
        arguments.extend(["--threads".into(), threads.to_string().into()]);
    }
    arguments
}

fn only_loads(setup: &Setup, program: &Program) -> bool {
    setup.load_only || program.compile_only
}

fn command(
    setup: &Setup,
    engine: Engine,
    program: &Program,
    size: &str,
) -> Result<Command, String> {
    let mut command = Command::new(this_program()?);
    command
        .args(arguments(setup, engine, program, size))
        .stdin(stdin(program.stdin.as_deref())?);
    Ok(command)
}

/// The path of the harness itself.
///
/// # Errors
/// If the system does not tell.
pub(crate) fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))
}

fn stdin(file: Option<&Path>) -> Result<Stdio, String> {
    let Some(path) = file else {
        return Ok(Stdio::null());
    };
    let file = File::open(path)
        .map_err(|error| format!("standard input: cannot open {}: {error}", path.display()))?;
    Ok(file.into())
}

/// Puts into `sample` what a process showed.
fn fill(sample: &mut Sample, setup: &Setup, program: &Program, execution: &Execution) {
    sample.process_ms = execution.ms;
    let (told, result) = split_result(&execution.stderr);
    if let Some(message) = &execution.ended {
        sample.outcome = Outcome::Failed(message.clone());
        return;
    }
    if !execution.success {
        sample.outcome = Outcome::Failed(judge::failure(&execution.status, told));
        return;
    }
    let measured = match result {
        None => Err(format!(
            "expected a line {RESULT_PREFIX:?} of the process, found none{}",
            judge::last_lines(told)
        )),
        Some(text) => serde_json::from_slice::<Measured>(text)
            .map_err(|error| format!("the result of the process: {error}")),
    };
    let mut measured = match measured {
        Ok(measured) => measured,
        Err(message) => {
            sample.outcome = Outcome::Failed(message);
            return;
        }
    };
    if setup.marks {
        measured.steps_ms = steps(told, |offset| execution.stderr_ms(offset));
    }
    let only_loads = only_loads(setup, program);
    if !only_loads {
        sample.checksum = Some(checksum(&execution.stdout, setup.iterations));
    }
    sample.outcome = if only_loads {
        Outcome::Verified
    } else if let Some(bad) = measured.iterations.iter().find(|i| i.exit != 0) {
        let code = bad.exit;
        Outcome::Failed(format!(
            "the program exited with code {code}{}",
            judge::last_lines(told)
        ))
    } else {
        let expected = program.expected.get(&sample.size);
        judge::output(
            expected.map(Vec::as_slice),
            &execution.stdout,
            setup.iterations,
        )
    };
    sample.measured = Some(measured);
}

/// What a process wrote on standard error before its result, and the JSON of the result.
fn split_result(stderr: &[u8]) -> (&[u8], Option<&[u8]>) {
    let prefix = RESULT_PREFIX.as_bytes();
    let found = stderr
        .windows(prefix.len())
        .rposition(|window| window == prefix);
    match found {
        Some(at) => (&stderr[..at], Some(&stderr[at + prefix.len()..])),
        None => (stderr, None),
    }
}

/// When the steps were done, counted from the mark of loading or, if the process did not write it, from its start.
fn steps(told: &[u8], time: impl Fn(usize) -> f64) -> Vec<f64> {
    let load = told.iter().position(|byte| *byte == MARK_LOAD);
    let (from, start) = match load {
        Some(at) => (at, time(at)),
        None => (0, 0.0),
    };
    let marks = told[from..].iter().enumerate();
    let marks = marks.filter(|(_, byte)| **byte == MARK_STEP);
    marks.map(|(at, _)| time(from + at) - start).collect()
}

#[cfg(test)]
mod tests {
    use super::{Setup, arguments, process, split_result, steps};
    use crate::manifest::Program;
    use crate::schema::{Outcome, Sample};
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    fn setup(load_only: bool) -> Setup {
        Setup {
            suites: vec!["a.toml".into()],
            iterations: 2,
            load_only,
            marks: true,
            timeout: Duration::from_secs(20),
            ..Setup::default()
        }
    }

    #[test]
    fn the_command_line_of_a_sample() {
        let engine = "native".parse().expect("an engine");
        let check = |lone: bool, load_only: bool, expected: &str| {
            let program = Program {
                lone,
                ..Program::of_file(Path::new("d/p.wasm"))
            };
            let found = arguments(&setup(load_only), engine, &program, "s");
            let found: Vec<String> = found
                .iter()
                .map(|a| a.to_string_lossy().into_owned())
                .collect();
            assert_eq!(found.join(" "), expected);
        };
        let end = "--size s --iterations 2";
        check(
            true,
            false,
            &format!("sample native d/p.wasm {end} --marks"),
        );
        check(
            false,
            true,
            &format!("sample native p --suite a.toml {end} --load-only --marks"),
        );
    }

    /// What is made of a process that a shell stands for.
    fn taken(script: &str, expected: Option<&str>, load_only: bool) -> Sample {
        let mut program = Program::of_file(Path::new("p.wasm"));
        if let Some(expected) = expected {
            program.expected.insert("only".to_owned(), expected.into());
        }
        let setup = setup(load_only);
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let execution = process::execute(&mut command, setup.timeout).expect("a shell");
        let mut sample = Sample {
            engine: "native".to_owned(),
            program: program.name.clone(),
            size: "only".to_owned(),
            round: 0,
            process_ms: 0.0,
            outcome: Outcome::Unchecked,
            checksum: None,
            measured: None,
        };
        super::fill(&mut sample, &setup, &program, &execution);
        sample
    }

    #[test]
    fn verdicts() {
        let result = |exit: i32| {
            format!(
                r#"echo 'upshift-bench-result {{"load_ms": 1, "iterations": [{{"instantiate_ms": 0, "first_call_ms": 0,
                "run_ms": 2.5, "exit": {exit}}}], "peak_rss_kb": 7, "cpu_ms": 3}}' >&2"#
            )
        };
        let check = |script: String, expected: Option<&str>, load_only: bool, outcome: Outcome| {
            let sample = taken(&script, expected, load_only);
            assert_eq!(sample.outcome, outcome, "{script}");
            assert!(sample.process_ms > 0.0);
            sample
        };
        let good = format!("echo checksum 1f; echo checksum 1f; {}", result(0));
        let sample = check(
            good.clone(),
            Some("checksum 1f\n"),
            false,
            Outcome::Verified,
        );
        assert_eq!(sample.checksum.as_deref(), Some("1f"));
        let measured = sample.measured.expect("it told");
        assert!((measured.iterations[0].run_ms - 2.5).abs() < 1e-9);
        check(good.clone(), None, false, Outcome::Unchecked);
        check(good, Some("nothing"), true, Outcome::Verified);
        let wrong = "line 1: expected \"b\", found \"a\"".to_owned();
        check(
            format!("echo a; {}", result(0)),
            Some("b\n"),
            false,
            Outcome::Wrong(wrong),
        );
        let failed = |message: &str| Outcome::Failed(message.to_owned());
        check(
            result(3),
            None,
            false,
            failed("the program exited with code 3"),
        );
        check(
            "echo '<..why' >&2; exit 2".to_owned(),
            None,
            false,
            failed("exit status: 2: <..why"),
        );
        check(
            "kill -SEGV $$".to_owned(),
            None,
            false,
            failed("signal: 11 (SIGSEGV)"),
        );
        check(
            "echo hm >&2".to_owned(),
            None,
            false,
            failed("expected a line \"upshift-bench-result \" of the process, found none: hm"),
        );
    }

    #[test]
    fn marks() {
        let script = r#"printf '<.' >&2; printf '..\nupshift-bench-result {"load_ms": 1, "iterations": [],
            "peak_rss_kb": 7, "cpu_ms": 3}' >&2"#;
        let sample = taken(&script.replace('\n', " "), None, false);
        assert_eq!(
            sample.measured.map(|measured| measured.steps_ms.len()),
            Some(3)
        );
        let check = |told: &[u8], expected: &[f64]| {
            // Every byte came one millisecond after the last.
            let found = steps(told, |offset| {
                f64::from(u32::try_from(offset).expect("short"))
            });
            assert_eq!(found, expected);
        };
        check(b"x.<..", &[1.0, 2.0]);
        check(b"x..", &[1.0, 2.0]);
        check(b"<", &[]);
        let (told, result) = split_result(b"<..\nupshift-bench-result {\"a\": 1.5}\n");
        assert_eq!(told, b"<..\n");
        assert_eq!(result, Some(&b"{\"a\": 1.5}\n"[..]));
    }
}
