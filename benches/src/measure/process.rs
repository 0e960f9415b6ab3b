//! A process that cannot outlive its time, with everything that it starts.

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The most bytes taken from one stream of a process; none of the programs prints nearly as much.
const OUTPUT_LIMIT: usize = 64 << 20;
/// How often to look whether the user wants an end.
const POLL: Duration = Duration::from_millis(100);
/// How long the streams may stay open after the process has ended, or was killed.
const GRACE: Duration = Duration::from_secs(2);

/// Whether the user asked for an end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C ends the sample that is being taken and lets no other begin; [`interrupted`] tells. A
/// second one ends the harness. Without this the first would end the harness, but not the sample, which is in a process
/// group of its own.
fn end_on_interrupt() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let handler = || {
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        };
        if let Err(error) = ctrlc::set_handler(handler) {
            eprintln!("upshift-bench: cannot catch Ctrl-C: {error}");
        }
    });
}

/// Whether Ctrl-C came since the first sample.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// A process that has ended, and what it wrote.
#[derive(Debug)]
pub(super) struct Execution {
    /// From before its start to its end.
    pub(super) ms: f64,
    pub(super) success: bool,
    /// In words.
    pub(super) status: String,
    /// Why it was killed.
    pub(super) ended: Option<String>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// How much of `stderr` there was, and when.
    stderr_times: Vec<(usize, f64)>,
}

impl Execution {
    /// When the byte at an offset of `stderr` was read, in ms since the start.
    pub(super) fn stderr_ms(&self, offset: usize) -> f64 {
        let after = self.stderr_times.partition_point(|(end, _)| *end <= offset);
        self.stderr_times
            .get(after)
            .map_or(self.ms, |(_, time)| *time)
    }
}

/// What the threads that watch over a process tell.
enum Event {
    Stdout(Stream),
    Stderr(Stream),
    /// It went over [`OUTPUT_LIMIT`].
    TooMuch(&'static str),
    Exit(std::io::Result<ExitStatus>, Instant),
}

/// All that a stream gave.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    /// How many bytes there were, and when.
    times: Vec<(usize, Instant)>,
}

/// Runs a command in a process group of its own until it ends, or kills that group.
///
/// # Errors
/// If it does not start, or its end cannot be seen.
pub(super) fn execute(command: &mut Command, timeout: Duration) -> Result<Execution, String> {
    end_on_interrupt();
    if interrupted() {
        return Err("interrupted".to_owned());
    }
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
    let group = i32::try_from(child.id()).map_err(|error| format!("process id: {error}"))?;
    let (events, told) = channel();
    if let Some(stdout) = child.stdout.take() {
        watch(stdout, "standard output", Event::Stdout, &events);
    }
    if let Some(stderr) = child.stderr.take() {
        watch(stderr, "standard error", Event::Stderr, &events);
    }
    thread::spawn(move || {
        let status = child.wait();
        // The receiver is gone if the process outlived its kill.
        let _ = events.send(Event::Exit(status, Instant::now()));
    });
    Watch {
        start,
        group: Pid::from_raw(group),
        deadline: start + timeout,
        ended: None,
        stdout: None,
        stderr: None,
        exit: None,
    }
    .until_the_end(&told, timeout)
}

/// Reads a stream on a thread until it ends.
fn watch(
    mut stream: impl Read + Send + 'static,
    name: &'static str,
    event: fn(Stream) -> Event,
    events: &Sender<Event>,
) {
    let events = events.clone();
    thread::spawn(move || {
        let mut got = Stream::default();
        let mut buffer = vec![0; 64 << 10];
        let mut too_much = false;
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if got.bytes.len() + count <= OUTPUT_LIMIT {
                got.bytes.extend_from_slice(&buffer[..count]);
                got.times.push((got.bytes.len(), Instant::now()));
            } else if !too_much {
                too_much = true;
                let _ = events.send(Event::TooMuch(name));
            }
        }
        // The receiver is gone if the process outlived its kill.
        let _ = events.send(event(got));
    });
}

/// What is known of a running process.
struct Watch {
    start: Instant,
    group: Pid,
    /// When to kill it, or to give up if that was done.
    deadline: Instant,
    ended: Option<String>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    exit: Option<(ExitStatus, Instant)>,
}

impl Watch {
    fn until_the_end(
        mut self,
        events: &Receiver<Event>,
        timeout: Duration,
    ) -> Result<Execution, String> {
        loop {
            if let (Some(_), Some(_), Some((status, end))) = (&self.stdout, &self.stderr, self.exit)
            {
                return Ok(self.execution(status, end));
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            match events.recv_timeout(left.min(POLL)) {
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err("the process cannot be watched any more".to_owned());
                }
                Err(RecvTimeoutError::Timeout) if left <= POLL => self.late(timeout)?,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if interrupted() && self.ended.is_none() {
                self.kill("interrupted".to_owned())?;
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Stdout(stream) => self.stdout = Some(stream),
            Event::Stderr(stream) => self.stderr = Some(stream),
            Event::TooMuch(name) => {
                let limit = OUTPUT_LIMIT >> 20;
                self.kill(format!("it wrote more than {limit} MB on {name}"))?;
            }
            Event::Exit(status, end) => {
                let status = status.map_err(|error| format!("cannot wait: {error}"))?;
                self.exit = Some((status, end));
                if self.ended.is_none() {
                    self.deadline = Instant::now() + GRACE;
                }
            }
        }
        Ok(())
    }

    /// The deadline has passed.
    fn late(&mut self, timeout: Duration) -> Result<(), String> {
        match (&self.ended, self.exit) {
            (Some(reason), _) => Err(format!("{reason}, and it could not be ended")),
            (None, Some(_)) => self.kill("it left a process behind".to_owned()),
            (None, None) => self.kill(format!(
                "it took more than {} s and was ended",
                timeout.as_secs_f64()
            )),
        }
    }

    fn kill(&mut self, reason: String) -> Result<(), String> {
        self.deadline = Instant::now() + GRACE;
        self.ended.get_or_insert(reason);
        match killpg(self.group, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(format!("cannot end a process: {error}")),
        }
    }

    fn execution(self, status: ExitStatus, end: Instant) -> Execution {
        let ms = |at: Instant| at.saturating_duration_since(self.start).as_secs_f64() * 1e3;
        let stderr = self.stderr.unwrap_or_default();
        let times = stderr.times.iter();
        Execution {
            ms: ms(end),
            success: status.success(),
            status: status.to_string(),
            ended: self.ended,
            stdout: self.stdout.unwrap_or_default().bytes,
            stderr: stderr.bytes,
            stderr_times: times.map(|(count, at)| (*count, ms(*at))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Execution, execute};
    use std::process::Command;
    use std::time::Duration;

    fn shell(script: &str, timeout: Duration) -> Execution {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        execute(&mut command, timeout).expect("a shell")
    }

    #[test]
    fn both_streams_are_read() {
        let amount = 1 << 20;
        let script = format!("head -c {amount} /dev/zero >&2; head -c {amount} /dev/zero; exit 3");
        let done = shell(&script, Duration::from_secs(60));
        assert_eq!((done.stdout.len(), done.stderr.len()), (amount, amount));
        assert!(!done.success && done.ended.is_none());
        assert_eq!(done.status, "exit status: 3");
        let (first, last) = (done.stderr_ms(0), done.stderr_ms(amount - 1));
        assert!(
            0.0 < first && first <= last && last <= done.ms,
            "{first} {last}"
        );
    }

    #[test]
    fn ends() {
        let check = |script: &str, timeout: Duration, reason: &str| {
            let done = shell(script, timeout);
            let ended = done.ended.as_deref().unwrap_or("it was not");
            assert!(ended.contains(reason), "{script}: {ended}");
            assert!(done.ms < 30_000.0);
        };
        // The shell's child holds the streams open, so that this ends only if it is killed too.
        let short = Duration::from_millis(50);
        check("sleep 60; true", short, "more than 0.05 s");
        let long = Duration::from_secs(60);
        check("sleep 60 & exit 0", long, "left a process behind");
        check("cat /dev/zero", long, "more than 64 MB on standard output");
    }

    #[test]
    fn what_does_not_start() {
        let mut command = Command::new("/no such program");
        let error = execute(&mut command, Duration::from_secs(1)).expect_err("it started");
        assert!(error.contains("/no such program"), "{error}");
    }
}
