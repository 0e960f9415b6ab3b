//! `upshift-bench stream`: how long after its last byte a module is ready that arrives at a given rate.
//!
//! The source is a clock: at any moment as many bytes are there as the rate says, whether somebody reads them or
//! not, like those of a network connection with large buffers. Rounds take turns with loading the whole module at once.

use clap::Args;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use upshift::{CompileMode, Config, Engine, Module};

/// What the source hands over at a time, like a pipe.
const PIECE_BYTES: usize = 64 << 10;

/// Options of `upshift-bench stream`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Modules in the binary format.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Rate of the source, in MB (1,000,000 bytes) per second.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Rounds of each.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Threads of the engine, instead of as many as the machine has.
    #[arg(long)]
    threads: Option<usize>,
}

/// Measures, and prints a table on standard output.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if !(options.rate > 0.0 && options.rate.is_finite()) {
        return Err("expected a rate above 0".to_owned());
    }
    let mut out = std::io::stdout().lock();
    let mut line = |text: &str| writeln!(out, "{text}").map_err(|error| error.to_string());
    line("milliseconds, median (worst) of the rounds")?;
    line(
        "module                   MB   mode    arrives in   whole at once   last byte to ready   ready by then",
    )?;
    for file in &options.files {
        let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        for mode in [CompileMode::Lazy, CompileMode::Eager] {
            let row = measure(options, &bytes, mode)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            line(&row.text(file, &bytes, mode, options.rate))?;
        }
    }
    Ok(())
}

/// Times of all rounds.
#[derive(Default)]
struct Row {
    whole: Vec<Duration>,
    after_last: Vec<Duration>,
    /// Functions that were ready when the last byte came, and all of them.
    ready: (usize, u64),
}

fn measure(options: &Options, bytes: &[u8], mode: CompileMode) -> upshift::Result<Row> {
    let mut config = Config::new();
    config.compile_mode(mode);
    if let Some(threads) = options.threads {
        config.threads(threads);
    }
    let mut row = Row::default();
    for _ in 0..options.rounds.max(1) {
        // An engine for each, so that no round finds memory that another one has touched.
        let engine = Engine::new(&config)?;
        let owned = bytes.to_vec();
        let started = Instant::now();
        let module = Module::from_vec(&engine, owned)?;
        row.whole.push(started.elapsed());
        drop((module, engine));

        let engine = Engine::new(&config)?;
        let mut source = Paced::new(bytes, options.rate);
        let mut stream = upshift::ModuleStream::new(&engine);
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let read = source.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            if source.left().is_empty() {
                row.ready.0 = stream.ready_functions();
            }
            stream.push(&buffer[..read])?;
        }
        let module = stream.finish()?;
        row.after_last.push(source.since_last());
        row.ready.1 = engine.stats().functions;
        drop(module);
    }
    Ok(row)
}

impl Row {
    fn text(&self, file: &Path, bytes: &[u8], mode: CompileMode, rate: f64) -> String {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        #[expect(clippy::cast_precision_loss, reason = "sizes for people")]
        let megabytes = bytes.len() as f64 / 1e6;
        let mode = match mode {
            CompileMode::Lazy => "lazy",
            CompileMode::Eager => "eager",
        };
        format!(
            "{name:<20} {megabytes:>6.1}   {mode:<5} {:>10.0}   {:>15}   {:>18}   {:>7} of {}",
            megabytes / rate * 1e3,
            times(&self.whole),
            times(&self.after_last),
            self.ready.0,
            self.ready.1,
        )
    }
}

/// Median and worst.
fn times(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let last = times.len().saturating_sub(1);
    format!("{:.1} ({:.1})", ms(times.len() / 2), ms(last))
}

/// A source of a given rate.
pub(crate) struct Paced<'a> {
    bytes: &'a [u8],
    at: usize,
    rate: f64,
    started: Instant,
}

impl<'a> Paced<'a> {
    /// From now on, so many MB per second.
    pub(crate) fn new(bytes: &'a [u8], rate: f64) -> Self {
        Self {
            bytes,
            at: 0,
            rate,
            started: Instant::now(),
        }
    }

    /// When so many bytes are there, from the start.
    fn due(&self, bytes: usize) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "modules are small")]
        Duration::from_secs_f64(bytes as f64 / (self.rate * 1e6))
    }

    fn left(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Time since the last byte came.
    pub(crate) fn since_last(&self) -> Duration {
        let last = self.due(self.bytes.len());
        self.started.elapsed().saturating_sub(last)
    }
}

impl Read for Paced<'_> {
    /// Waits until a piece, or the end, is there.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let piece = self.left().len().min(buffer.len()).min(PIECE_BYTES);
        let due = self.due(self.at + piece);
        sleep(due.saturating_sub(self.started.elapsed()));
        buffer[..piece].copy_from_slice(&self.left()[..piece]);
        self.at += piece;
        Ok(piece)
    }
}
