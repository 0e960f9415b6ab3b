//! [`ModuleStream`]: a module whose bytes are still on their way.

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::module::Module;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use upshift_module::{BodySink, ModuleDecoder, ModuleEnv, ValidatedFunc};
use upshift_tiering::Arriving;

/// Bytes asked of a reader at a time.
const READ_BYTES: usize = 64 << 10;

/// A module in the making: takes its bytes as they arrive, and works while the rest is under way.
///
/// Bodies are validated as soon as they are there, on the threads that [`Config::threads`](crate::Config::threads) allows; in the
/// mode [`CompileMode::Eager`](crate::CompileMode::Eager) they get their code as well. After the last byte
/// only the end of the module is left to do. The outcome is that of [`Module::new`] with all bytes at once, error
/// texts included; only the limit of a module's size comes up when that many bytes have arrived.
///
/// For hosts that are told of bytes; with a reader, call [`Module::from_stream`]. A `ModuleStream` is `Send`, so it may live in an
/// asynchronous task. [`push`](Self::push) takes the time of a copy as long as the other threads keep up; then, and with
/// one thread, it works itself. Dropping one gives up on the module.
///
/// ```
/// use upshift::{Engine, ModuleStream};
///
/// # fn main() -> upshift::Result<()> {
/// let engine = Engine::default();
/// let mut stream = ModuleStream::new(&engine);
/// for piece in [&b"\0as"[..], b"m\x01\0", b"\0\0"] {
///     stream.push(piece)?;
/// }
/// let module = stream.finish()?;
/// assert_eq!(module.exports().len(), 0);
/// # Ok(())
/// # }
/// ```
pub struct ModuleStream {
    engine: Engine,
    format: Format,
    /// Time spent in here.
    busy: Duration,
}

/// What the first byte says.
enum Format {
    /// There was none yet.
    Unknown,
    /// The binary format, being decoded.
    Binary(Box<ModuleDecoder>, Option<Arc<EarlyCode>>),
    /// The text format, which is parsed when all of it is there.
    #[cfg(feature = "wat")]
    Text(Vec<u8>),
}

impl ModuleStream {
    /// A stream that waits for its first byte.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            format: Format::Unknown,
            busy: Duration::ZERO,
        }
    }

    /// Takes the next bytes, a copy of them, and does what can be done.
    ///
    /// # Errors
    /// What [`Module::new`] says of the module, if it is known to be wrong by now. The same is said from then on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let started = Instant::now();
        let result = self.take(bytes);
        self.busy += started.elapsed();
        result
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if let (Format::Unknown, Some(first)) = (&self.format, bytes.first()) {
            self.format = self.format_of(*first);
        }
        match &mut self.format {
            Format::Unknown => Ok(()),
            Format::Binary(decoder, _) => decoder.push(bytes).map_err(Error::from_module),
            #[cfg(feature = "wat")]
            Format::Text(text) => {
                let max = upshift_module::limits::MODULE_BYTES_MAX;
                if text.len().saturating_add(bytes.len()) > max {
                    let message = format!("expected at most {max} bytes of text, found more");
                    return Err(Error::with_kind(ErrorKind::Limit, message));
                }
                text.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    #[cfg(feature = "wat")]
    fn format_of(&self, first: u8) -> Format {
        // As for bytes that are all there.
        if first == 0 {
            self.binary()
        } else {
            Format::Text(Vec::new())
        }
    }

    #[cfg(not(feature = "wat"))]
    fn format_of(&self, _first: u8) -> Format {
        self.binary()
    }

    fn binary(&self) -> Format {
        let decoder = ModuleDecoder::new(self.engine.decode_options());
        if !self.engine.compiles_ahead() {
            return Format::Binary(Box::new(decoder), None);
        }
        let early = Arc::new(EarlyCode {
            engine: self.engine.clone(),
            arriving: OnceLock::new(),
        });
        let sink = Arc::<EarlyCode>::clone(&early);
        Format::Binary(Box::new(decoder.with_sink(sink)), Some(early))
    }

    /// How many function bodies are ready by now: validated, and compiled in the mode
    /// [`CompileMode::Eager`](crate::CompileMode::Eager). Zero for the text format until the end.
    #[must_use]
    pub fn ready_functions(&self) -> usize {
        match &self.format {
            Format::Binary(decoder, _) => decoder.ready_bodies(),
            Format::Unknown => 0,
            #[cfg(feature = "wat")]
            Format::Text(_) => 0,
        }
    }

    /// All bytes have been pushed.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn finish(self) -> Result<Module> {
        match self.format {
            Format::Unknown => Module::from_vec(&self.engine, Vec::new()),
            Format::Binary(decoder, early) => {
                let started = Instant::now();
                let module = decoder.finish().map_err(Error::from_module)?;
                self.engine.validated(self.busy + started.elapsed());
                let arriving = early.as_ref().and_then(|early| early.arriving.get());
                let loaded = self.engine.load(module, arriving)?;
                Ok(Module::from_loaded(self.engine, loaded))
            }
            #[cfg(feature = "wat")]
            Format::Text(text) => Module::from_vec(&self.engine, text),
        }
    }
}

impl Module {
    /// As [`Module::new`], from a reader, working while the bytes arrive: see [`ModuleStream`]. The calling thread reads.
    ///
    /// ```
    /// use upshift::{Engine, Module};
    ///
    /// # fn main() -> upshift::Result<()> {
    /// let bytes: &[u8] = b"\0asm\x01\0\0\0";
    /// let module = Module::from_stream(&Engine::default(), bytes)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Kind [`ErrorKind::Io`] with the reader's error as its source, or as [`Module::new`]. A module that is wrong is not
    /// read to its end. To give up waiting, have the reader fail.
    pub fn from_stream(engine: &Engine, mut reader: impl Read) -> Result<Self> {
        let mut stream = ModuleStream::new(engine);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return stream.finish(),
                Ok(read) => stream.push(&buffer[..read])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let error = Error::with_cause(ErrorKind::Io, error);
                    return Err(error.context("cannot read the module"));
                }
            }
        }
    }
}

impl fmt::Debug for ModuleStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleStream")
            .field("ready_functions", &self.ready_functions())
            .finish_non_exhaustive()
    }
}

/// Compiles bodies as they become valid.
struct EarlyCode {
    engine: Engine,
    arriving: OnceLock<Arriving>,
}

impl BodySink for EarlyCode {
    fn env_ready(&self, env: &Arc<ModuleEnv>) {
        // Without room for the entry table nothing is compiled here. The error comes when the module is loaded.
        if let Ok(arriving) = self.engine.arriving(env) {
            // Called once.
            let _ = self.arriving.set(arriving);
        }
    }

    fn bodies(&self, funcs: &[ValidatedFunc<'_>]) {
        if let Some(arriving) = self.arriving.get() {
            arriving.compile(funcs);
        }
    }
}
