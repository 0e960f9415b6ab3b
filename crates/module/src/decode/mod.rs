//! The decoder: bytes as far as they are there, all at once or growing in pieces of any size.
//!
//! 1. [`Decoder::advance`] gives wasmparser what is there; it answers with the next section or body, or with how many
//!    bytes it needs at least. Nothing is looked at again before those are there, so the work does not depend on
//!    how the bytes are cut.
//! 2. Sections before the code become the [`ModuleEnv`], which is whole when the code section starts.
//! 3. Bodies are put by. A whole module validates them together, when the parser is through. A
//!    [stream](stream) does so in batches: the calling thread itself, or the pool while the calling thread goes on
//!    ([`flight`]).
//! 4. An error that comes later in the bytes than a body waits until that body is validated, so that the first
//!    error in byte order is the one reported, however the bytes are cut and however many threads there are.

mod const_expr;
mod flight;
mod sections;
mod stream;

pub use stream::{BodySink, ModuleDecoder};

use std::ops::Range;
use std::sync::Arc;

use wasmparser::{Chunk, Encoding, Parser, Payload, Validator, ValidatorResources};

use crate::bytes::Bytes;
use crate::env::{DataSegment, ModuleEnv};
use crate::error::{ErrorKind, ModuleError, Result};
use crate::facts::Outline;
use crate::features;
use crate::limits;
use crate::module::{Module, Parts};
use crate::types::FuncIndex;
use crate::validate::{self, Bodies, BodyContext, Parallelism, WorkerScratch};
use flight::Flight;

/// A stream validates bodies once this many bytes of them are there.
const BATCH_BYTES: usize = 64 << 10;

/// How to decode and validate.
#[derive(Clone, Debug, Default)]
pub struct DecodeOptions {
    /// Who validates bodies.
    pub parallelism: Parallelism,
}

impl Module {
    /// Decodes and validates a whole module. The bytes are kept, not copied.
    ///
    /// # Errors
    /// The first thing that is wrong, in byte order.
    pub fn new(bytes: impl Into<Bytes>, options: &DecodeOptions) -> Result<Self> {
        let bytes = bytes.into();
        check_module_bytes(bytes.len())?;
        let mut decoder = Decoder::new(options.parallelism.clone(), Manner::Whole);
        decoder.advance(&bytes, true)?;
        decoder.into_module(bytes)
    }

    /// Checks a whole module without keeping it.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn validate(bytes: &[u8], options: &DecodeOptions) -> Result<()> {
        check_module_bytes(bytes.len())?;
        let mut decoder = Decoder::new(options.parallelism.clone(), Manner::Whole);
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

/// When bodies are validated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// All of them, once the parser is through.
    Whole,
    /// In batches, as they come.
    Stream,
}

/// The decoder apart from the bytes, so that it works on bytes of any owner.
struct Decoder {
    // What it is told.
    parallelism: Parallelism,
    manner: Manner,
    sink: Option<Arc<dyn BodySink>>,
    // Where it is.
    parser: Parser,
    validator: Validator,
    position: usize,
    wanted: usize,
    ended: bool,
    scratch: WorkerScratch,
    flight: Option<Flight>,
    // Declarations: built up in `declarations`, then frozen in `env`.
    declarations: ModuleEnv,
    env: Option<Arc<ModuleEnv>>,
    resources: Option<ValidatorResources>,
    widest_type: usize,
    // Code, data and names.
    bodies: Vec<Range<u32>>,
    /// Bodies that the code section announces.
    announced: usize,
    /// Bodies that have been validated, or are on their way.
    taken: usize,
    /// Bytes of the others.
    pending_bytes: usize,
    outlines: Vec<Outline>,
    data: Vec<DataSegment>,
    names: Range<usize>,
}

impl Decoder {
    fn new(parallelism: Parallelism, manner: Manner) -> Self {
        let mut parser = Parser::new(0);
        parser.set_features(features::ENABLED);
        Self {
            parallelism,
            manner,
            sink: None,
            parser,
            validator: Validator::new_with_features(features::ENABLED),
            position: 0,
            wanted: 0,
            ended: false,
            scratch: WorkerScratch::default(),
            flight: None,
            declarations: ModuleEnv::default(),
            env: None,
            resources: None,
            widest_type: 1,
            bodies: Vec::new(),
            announced: 0,
            taken: 0,
            pending_bytes: 0,
            outlines: Vec::new(),
            data: Vec::new(),
            names: 0..0,
        }
    }

    /// Goes as far as the bytes allow. `bytes` is the module from its start, as far as it is there.
    fn advance(&mut self, bytes: &[u8], eof: bool) -> Result<()> {
        let result = if bytes.len() < self.wanted && !eof {
            Ok(())
        } else {
            self.parse(bytes, eof)
        };
        if result.is_err() || eof {
            // An error in a body comes before whatever made the parser stop.
            self.settle(bytes)?;
        } else if let Some(flight) = &mut self.flight {
            flight.collect(&mut self.outlines)?;
        }
        result
    }

    /// Has all bodies that are there validated.
    fn settle(&mut self, bytes: &[u8]) -> Result<()> {
        self.validate_pending(bytes)?;
        match &mut self.flight {
            Some(flight) => flight.land(&mut self.outlines),
            None => Ok(()),
        }
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
                    if self.manner == Manner::Stream && self.batch_is_full() {
                        self.validate_pending(bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a stream validates what it has: there is enough of it, or there are no more bodies.
    fn batch_is_full(&self) -> bool {
        self.pending_bytes >= BATCH_BYTES
            || (self.pending_bytes > 0 && self.bodies.len() >= self.announced)
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
                self.announced = count as usize;
                let bodies = self.announced.min(self.declarations_len());
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
        self.widest_type = validate::widest_type(&env.types);
        let env = Arc::new(env);
        if let Some(sink) = &self.sink {
            sink.env_ready(&env);
        }
        self.env = Some(env);
    }

    /// Validates the bodies that are there, or gives them to the pool.
    fn validate_pending(&mut self, bytes: &[u8]) -> Result<()> {
        let (Some(env), Some(resources)) = (&self.env, &self.resources) else {
            return Ok(());
        };
        if self.taken == self.bodies.len() {
            return Ok(());
        }
        let bodies = Bodies {
            bytes,
            base: 0,
            first: self.func_index(self.taken),
            ranges: &self.bodies[self.taken..],
        };
        self.pending_bytes = 0;
        self.taken = self.bodies.len();
        let context = BodyContext {
            env,
            resources,
            widest_type: self.widest_type,
        };
        match (self.manner, &self.parallelism) {
            (Manner::Stream, Parallelism::Pool(pool)) => {
                let flight = self
                    .flight
                    .get_or_insert_with(|| Flight::new(pool, env, resources, self.sink.as_ref()));
                flight.take_off(&bodies);
                flight.collect(&mut self.outlines)
            }
            (Manner::Stream, Parallelism::CallingThread) | (Manner::Whole, _) => {
                let scratch = &mut self.scratch;
                let mut outlines = validate::all(&context, bodies, &self.parallelism, scratch)?;
                if let Some(sink) = &self.sink {
                    sink.bodies(&bodies.validated(env, &outlines));
                }
                self.outlines.append(&mut outlines);
                Ok(())
            }
        }
    }

    /// Bodies that are valid, and that the sink has seen.
    fn ready_bodies(&self) -> usize {
        let flight = self.flight.as_ref();
        flight.map_or(self.outlines.len(), Flight::ready_bodies)
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
