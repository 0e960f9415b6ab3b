//! The push decoder: bytes as they arrive, in pieces of any size.
//!
//! 1. [`Decoder::advance`] gives wasmparser what is there; it answers with the next section or body, or with how many
//!    bytes it needs at least. Nothing is looked at again before those are there, so the work does not depend on
//!    how the bytes are cut.
//! 2. Sections before the code become the [`ModuleEnv`], which is whole when the code section starts.
//! 3. Bodies are put by, and validated together once there are enough of them to share out, or when the bytes run out.
//! 4. An error that comes later in the bytes than a body waits until that body is validated, so that the first
//!    error in byte order is the one reported, however the bytes are cut and however many threads there are.

mod const_expr;
mod sections;

use std::ops::Range;
use std::sync::Arc;

use wasmparser::{Chunk, Encoding, Parser, Payload, Validator, ValidatorResources};

use crate::bytes::Bytes;
use crate::env::{DataSegment, ModuleEnv};
use crate::error::{ErrorKind, ModuleError, Result};
use crate::facts::Outline;
use crate::features;
use crate::func::ValidatedFunc;
use crate::limits;
use crate::module::{Module, Parts};
use crate::types::FuncIndex;
use crate::validate::{self, BodyContext, Parallelism, WorkerScratch};

/// Bodies are validated once this many bytes of them are there.
const BATCH_BYTES: usize = 64 << 10;

/// How to decode and validate.
#[derive(Clone, Debug, Default)]
pub struct DecodeOptions {
    /// Who validates bodies.
    pub parallelism: Parallelism,
}

/// Told of a module's parts as soon as they are valid, while later bytes still arrive.
///
/// What it is told is provisional: a later error makes the whole module invalid, and what was made of it must be dropped
/// unused. Called on the thread that pushes.
pub trait BodySink: Send {
    /// All declarations are there; they do not change any more.
    fn env_ready(&mut self, env: &Arc<ModuleEnv>);

    /// A body is valid. Bodies come in order.
    fn body(&mut self, func: ValidatedFunc<'_>);
}

/// Decodes and validates a module as its bytes arrive.
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
            decoder: Decoder::new(options.parallelism),
            failed: None,
        }
    }

    /// The same, telling `sink` of each part as soon as it is valid.
    #[must_use]
    pub fn with_sink(mut self, sink: Box<dyn BodySink>) -> Self {
        self.decoder.sink = Some(sink);
        self
    }

    /// Takes the next bytes and does what can be done with them.
    ///
    /// # Errors
    /// If the module is wrong as far as it is known. The same error is given from then on.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = check_module_bytes(self.bytes.len() + bytes.len()).and_then(|()| {
            self.bytes.extend_from_slice(bytes);
            self.decoder.advance(&self.bytes, false)
        });
        self.failed = result.as_ref().err().cloned();
        result
    }

    /// The declarations, once all of them are there.
    #[must_use]
    pub fn env(&self) -> Option<&Arc<ModuleEnv>> {
        self.decoder.env.as_ref()
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

impl Module {
    /// Decodes and validates a whole module. The bytes are kept, not copied.
    ///
    /// # Errors
    /// The first thing that is wrong, in byte order.
    pub fn new(bytes: impl Into<Bytes>, options: &DecodeOptions) -> Result<Self> {
        let bytes = bytes.into();
        check_module_bytes(bytes.len())?;
        let mut decoder = Decoder::new(options.parallelism.clone());
        decoder.advance(&bytes, true)?;
        decoder.into_module(bytes)
    }

    /// Checks a whole module without keeping it.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn validate(bytes: &[u8], options: &DecodeOptions) -> Result<()> {
        check_module_bytes(bytes.len())?;
        let mut decoder = Decoder::new(options.parallelism.clone());
        decoder.advance(bytes, true)?;
        decoder.complete(bytes.len()).map(|_| ())
    }
}

fn check_module_bytes(len: usize) -> Result<()> {
    let max = limits::MODULE_BYTES_MAX;
    if len > max {
        return Err(ModuleError::limit(
            max,
            "bytes of module",
            len as u64,
            max as u64,
        ));
    }
    Ok(())
}

/// The decoder apart from the bytes, so that it works on bytes of any owner.
struct Decoder {
    // What it is told.
    parallelism: Parallelism,
    sink: Option<Box<dyn BodySink>>,
    // Where it is.
    parser: Parser,
    validator: Validator,
    position: usize,
    wanted: usize,
    ended: bool,
    scratch: WorkerScratch,
    // Declarations: built up in `declarations`, then frozen in `env`.
    declarations: ModuleEnv,
    env: Option<Arc<ModuleEnv>>,
    resources: Option<ValidatorResources>,
    // Code, data and names.
    bodies: Vec<Range<u32>>,
    pending_bytes: usize,
    outlines: Vec<Outline>,
    data: Vec<DataSegment>,
    names: Range<usize>,
}

impl Decoder {
    fn new(parallelism: Parallelism) -> Self {
        let mut parser = Parser::new(0);
        parser.set_features(features::ENABLED);
        Self {
            parallelism,
            sink: None,
            parser,
            validator: Validator::new_with_features(features::ENABLED),
            position: 0,
            wanted: 0,
            ended: false,
            scratch: WorkerScratch::default(),
            declarations: ModuleEnv::default(),
            env: None,
            resources: None,
            bodies: Vec::new(),
            pending_bytes: 0,
            outlines: Vec::new(),
            data: Vec::new(),
            names: 0..0,
        }
    }

    /// Goes as far as the bytes allow. `bytes` is the module from its start, as far as it is there.
    fn advance(&mut self, bytes: &[u8], eof: bool) -> Result<()> {
        if bytes.len() < self.wanted && !eof {
            return Ok(());
        }
        let result = self.parse(bytes, eof);
        if result.is_err() || eof || self.pending_bytes >= BATCH_BYTES {
            // An error in a pending body comes before whatever made the parser stop.
            self.validate_pending(bytes)?;
        }
        result
    }

    fn parse(&mut self, bytes: &[u8], eof: bool) -> Result<()> {
        while !self.ended {
            let chunk = self.parser.parse(&bytes[self.position..], eof);
            match chunk.map_err(|error| ModuleError::malformed(&error))? {
                Chunk::NeedMoreData(more) => {
                    self.wanted = bytes.len().saturating_add(more);
                    break;
                }
                Chunk::Parsed { consumed, payload } => {
                    self.position += consumed;
                    self.payload(payload)?;
                }
            }
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest goes to the next function, and the last one to the validator, which knows all"
    )]
    fn payload(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::CodeSectionStart {
                count,
                unchecked_range,
                ..
            } => {
                self.validator
                    .code_section_start(&unchecked_range)
                    .map_err(|error| ModuleError::invalid(&error))?;
                self.freeze();
                let bodies = (count as usize).min(self.declarations_len());
                self.bodies.reserve_exact(bodies);
                Ok(())
            }
            Payload::CodeSectionEntry(body) => self.body(&body),
            Payload::DataSection(section) => {
                self.freeze();
                let max = ("data segments", limits::DATA_SEGMENTS_MAX);
                sections::accept(&section, max, |s| self.validator.data_section(s))?;
                sections::data(&mut self.data, section)
            }
            Payload::CustomSection(section) => {
                if section.name() == "name" {
                    self.names = range(section.data_range());
                }
                Ok(())
            }
            Payload::End(offset) => {
                self.ended = true;
                self.validator
                    .end(offset)
                    .map_err(|error| ModuleError::invalid(&error))?;
                self.freeze();
                Ok(())
            }
            other => self.declaration(other),
        }
    }

    fn declarations_len(&self) -> usize {
        let env = self.env.as_deref();
        env.map_or(0, |env| env.defined_func_count() as usize)
    }

    fn body(&mut self, body: &wasmparser::FunctionBody<'_>) -> Result<()> {
        let range = body.range();
        let size = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let span = short(range.start)..short(range.end);
        let max = limits::BODY_BYTES_MAX;
        if size > max {
            let index = self.bodies.len();
            let func = self.func_index(index);
            let error = ModuleError::limit(
                span.start as usize,
                "bytes of body",
                size as u64,
                max as u64,
            );
            return Err(error.in_func(func, None));
        }
        let to_validate = self
            .validator
            .code_section_entry(body)
            .map_err(|error| ModuleError::invalid(&error))?;
        self.resources.get_or_insert(to_validate.resources);
        self.bodies.push(span);
        self.pending_bytes += size;
        Ok(())
    }

    fn func_index(&self, defined: usize) -> FuncIndex {
        let imported = self.env.as_deref().map_or(0, |env| env.imported_funcs);
        FuncIndex(imported + u32::try_from(defined).unwrap_or(u32::MAX - imported))
    }

    /// The declarations are complete.
    fn freeze(&mut self) {
        if self.env.is_some() {
            return;
        }
        let mut env = std::mem::take(&mut self.declarations);
        env.declared_funcs.sort_unstable();
        env.declared_funcs.dedup();
        env.type_uses = validate::type_uses(&env.types);
        let env = Arc::new(env);
        if let Some(sink) = &mut self.sink {
            sink.env_ready(&env);
        }
        self.env = Some(env);
    }

    /// Validates the bodies that are there.
    fn validate_pending(&mut self, bytes: &[u8]) -> Result<()> {
        self.pending_bytes = 0;
        let done = self.outlines.len();
        let (Some(env), Some(resources)) = (&self.env, &self.resources) else {
            return Ok(());
        };
        if done == self.bodies.len() {
            return Ok(());
        }
        let first = self.func_index(done);
        let context = BodyContext::new(env, resources);
        let pending = (first, &self.bodies[done..]);
        let scratch = &mut self.scratch;
        let mut outlines = validate::bodies(&context, bytes, pending, &self.parallelism, scratch)?;
        self.outlines.append(&mut outlines);
        self.tell(bytes, done);
        Ok(())
    }

    /// Tells the sink of the bodies from `start` on.
    fn tell(&mut self, bytes: &[u8], start: usize) {
        let first = self.func_index(0).0;
        let (Some(sink), Some(env)) = (&mut self.sink, &self.env) else {
            return;
        };
        let bodies = self.bodies.iter().zip(&self.outlines).zip(first..);
        for ((range, outline), index) in bodies.skip(start) {
            sink.body(ValidatedFunc {
                env,
                outline: *outline,
                index: FuncIndex(index),
                body: &bytes[range.start as usize..range.end as usize],
                body_offset: range.start,
            });
        }
    }

    /// The declarations, if the module is all there.
    fn complete(&self, bytes: usize) -> Result<&Arc<ModuleEnv>> {
        self.env.as_ref().filter(|_| self.ended).ok_or_else(|| {
            let message = "expected more bytes, found the end of the module";
            ModuleError::new(ErrorKind::Malformed, bytes, message)
        })
    }

    fn into_module(self, bytes: Bytes) -> Result<Module> {
        let env = Arc::clone(self.complete(bytes.len())?);
        Ok(Module::from_parts(Parts {
            env,
            bytes,
            bodies: self.bodies,
            outlines: self.outlines,
            data: self.data,
            names: self.names,
        }))
    }
}

/// Declarations: every section that comes before the code.
impl Decoder {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest goes to the next function, and the last one to the validator, which knows all"
    )]
    fn declaration(&mut self, payload: Payload<'_>) -> Result<()> {
        use sections::accept;
        let env = &mut self.declarations;
        let validator = &mut self.validator;
        match payload {
            Payload::TypeSection(section) => {
                let max = ("types", limits::TYPES_MAX);
                accept(&section, max, |s| validator.type_section(s))?;
                sections::types(env, section)
            }
            Payload::ImportSection(section) => {
                let max = ("imports", limits::IMPORTS_MAX);
                accept(&section, max, |s| validator.import_section(s))?;
                sections::imports(env, section)
            }
            Payload::FunctionSection(section) => {
                let max = ("functions", limits::FUNCTIONS_MAX);
                accept(&section, max, |s| validator.function_section(s))?;
                sections::functions(env, section)
            }
            Payload::TableSection(section) => {
                let max = ("tables", limits::TABLES_MAX);
                accept(&section, max, |s| validator.table_section(s))?;
                sections::tables(env, section)
            }
            Payload::MemorySection(section) => {
                let max = ("memories", limits::MEMORIES_MAX);
                accept(&section, max, |s| validator.memory_section(s))?;
                sections::memories(env, section)
            }
            Payload::GlobalSection(section) => {
                let max = ("globals", limits::GLOBALS_MAX);
                accept(&section, max, |s| validator.global_section(s))?;
                sections::globals(env, section)
            }
            Payload::ExportSection(section) => {
                let max = ("exports", limits::EXPORTS_MAX);
                accept(&section, max, |s| validator.export_section(s))?;
                sections::exports(env, section)
            }
            Payload::ElementSection(section) => {
                let max = ("element segments", limits::ELEMENT_SEGMENTS_MAX);
                accept(&section, max, |s| validator.element_section(s))?;
                sections::elements(env, section)
            }
            other => self.small_section(&other),
        }
    }

    /// Sections of one entry, and what is no section of a module.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "non-exhaustive, and the validator decides about all of them"
    )]
    fn small_section(&mut self, payload: &Payload<'_>) -> Result<()> {
        let offset = payload
            .as_section()
            .map_or(self.position, |(_, range)| short(range.start) as usize);
        match payload {
            Payload::Version {
                encoding: Encoding::Component,
                ..
            } => return Err(ModuleError::unsupported(offset, "the component model is")),
            Payload::TagSection(_) => {
                return Err(ModuleError::unsupported(offset, "exception handling is"));
            }
            Payload::StartSection { func, .. } => {
                self.declarations.start = Some(FuncIndex(*func));
            }
            Payload::DataCountSection { count, .. } => {
                self.declarations.data_count = Some(*count);
            }
            _ => {}
        }
        match self.validator.payload(payload) {
            Ok(_) => Ok(()),
            Err(error) if matches!(payload, Payload::UnknownSection { .. }) => {
                Err(ModuleError::malformed(&error))
            }
            Err(error) => Err(ModuleError::invalid(&error)),
        }
    }
}

/// Offsets fit, since a module is at most [`limits::MODULE_BYTES_MAX`] bytes.
fn short(offset: u64) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn range(range: Range<u64>) -> Range<usize> {
    short(range.start) as usize..short(range.end) as usize
}
