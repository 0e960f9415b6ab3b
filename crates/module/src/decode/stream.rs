//! The push decoder: a module whose bytes are still on their way.
//!
//! The bytes that have come are kept in one buffer, which grows by doubling: what a header says about sizes
//! to come is never believed, so nobody can make us allocate what they have not sent. Memory that
//! growth has in advance is not touched, and given back at the end.

use std::sync::Arc;

use super::{DecodeOptions, Decoder, Manner, check_module_bytes};
use crate::env::ModuleEnv;
use crate::error::{ModuleError, Result};
use crate::func::ValidatedFunc;
use crate::module::Module;

/// Told of a module's parts as soon as they are valid, while later bytes still arrive.
///
/// What it is told is provisional: a later error makes the whole module invalid, and what was made of it must be dropped
/// unused.
pub trait BodySink: Send + Sync {
    /// All declarations are there; they do not change any more. Called once, by the thread that pushes, before all bodies.
    fn env_ready(&self, env: &Arc<ModuleEnv>);

    /// Bodies that follow each other are valid. Called by the thread that pushes or by threads of the pool, in any
    /// order, several calls at a time.
    fn bodies(&self, funcs: &[ValidatedFunc<'_>]);
}

/// Decodes and validates a module as its bytes arrive.
///
/// With a [pool](crate::Parallelism::Pool), bodies are validated there while the caller waits for the next bytes.
///
/// ```
/// use upshift_module::{DecodeOptions, ModuleDecoder};
///
/// let mut decoder = ModuleDecoder::new(DecodeOptions::default());
/// for piece in [&b"\0as"[..], b"m\x01\0", b"\0\0"] {
///     decoder.push(piece)?;
/// }
/// let module = decoder.finish()?;
/// assert_eq!(module.env().funcs.len(), 0);
/// # Ok::<(), upshift_module::ModuleError>(())
/// ```
pub struct ModuleDecoder {
    bytes: Vec<u8>,
    decoder: Decoder,
    failed: Option<ModuleError>,
}

impl ModuleDecoder {
    /// A decoder that waits for its first byte.
    #[must_use]
    pub fn new(options: DecodeOptions) -> Self {
        Self {
            bytes: Vec::new(),
            decoder: Decoder::new(options.parallelism, Manner::Stream),
            failed: None,
        }
    }

    /// The same, telling `sink` of each part as soon as it is valid.
    #[must_use]
    pub fn with_sink(mut self, sink: Arc<dyn BodySink>) -> Self {
        self.decoder.sink = Some(sink);
        self
    }

    /// Takes the next bytes and does what can be done with them.
    ///
    /// # Errors
    /// If the module is wrong as far as it is known; an error that a thread of the pool finds is known some time later. The
    /// same error is given from then on, and it is the one that the whole module would have given.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = match check_module_bytes(self.bytes.len().saturating_add(bytes.len())) {
            Ok(()) => {
                self.bytes.extend_from_slice(bytes);
                self.decoder.advance(&self.bytes, false)
            }
            // Whatever is wrong with the bytes that came before comes first.
            Err(error) => self.decoder.settle(&self.bytes).and(Err(error)),
        };
        self.failed = result.as_ref().err().cloned();
        result
    }

    /// The declarations, once all of them are there.
    #[must_use]
    pub fn env(&self) -> Option<&Arc<ModuleEnv>> {
        self.decoder.env.as_ref()
    }

    /// How many bodies are validated by now, and seen by the sink.
    #[must_use]
    pub fn ready_bodies(&self) -> usize {
        self.decoder.ready_bodies()
    }

    /// All bytes have been pushed.
    ///
    /// # Errors
    /// If the module is wrong or incomplete.
    pub fn finish(mut self) -> Result<Module> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.decoder.advance(&self.bytes, true)?;
        self.bytes.shrink_to_fit();
        self.decoder.into_module(self.bytes.into())
    }
}
