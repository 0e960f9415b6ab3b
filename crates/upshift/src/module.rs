//! [`Module`]: decoded, validated, and ready to be instantiated in its engine.

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::types::{ExportType, ImportType};
use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use upshift_module::Module as DecodedModule;
use upshift_runtime::LoadedModule;

/// A module. Cheap to clone, `Send` and `Sync`; its code is shared by all instances.
///
/// ```
/// use upshift::{Engine, Module};
///
/// # fn main() -> upshift::Result<()> {
/// let module = Module::new(&Engine::default(), r#"(module $m (import "a" "b" (func)) (memory (export "c") 1))"#)?;
/// assert_eq!(module.name(), Some("m"));
/// assert_eq!(module.imports().map(|i| i.name()).collect::<Vec<_>>(), ["b"]);
/// assert_eq!(module.exports().map(|e| e.ty().to_string()).collect::<Vec<_>>(), ["memory 1"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Module {
    engine: Engine,
    loaded: Arc<LoadedModule>,
}

impl Module {
    /// Decodes and validates a module, and compiles it if the engine's mode is
    /// [`CompileMode::Eager`](crate::CompileMode::Eager). The bytes are copied; [`Module::from_vec`] takes them over.
    /// With the feature `wat` (on by default) the text format is taken as well.
    ///
    /// # Errors
    /// Kinds [`ErrorKind::Malformed`], [`ErrorKind::Invalid`], [`ErrorKind::Unsupported`] and [`ErrorKind::Limit`] say what is
    /// wrong with the module and where; [`ErrorKind::Resource`] if there is no room for code.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self> {
        Self::from_binary(engine, binary(bytes.as_ref())?.into_owned())
    }

    /// As [`Module::new`], without a copy of a binary module.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn from_vec(engine: &Engine, bytes: Vec<u8>) -> Result<Self> {
        match binary(&bytes)? {
            Cow::Borrowed(_) => Self::from_binary(engine, bytes),
            Cow::Owned(bytes) => Self::from_binary(engine, bytes),
        }
    }

    /// As [`Module::new`], from a file.
    ///
    /// # Errors
    /// Kind [`ErrorKind::Io`] if it cannot be read, or as [`Module::new`].
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|e| Error::with_kind(ErrorKind::Io, format!("{}: {e}", path.display())))?;
        Self::from_vec(engine, bytes)
    }

    /// Checks a module without keeping or compiling it.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn validate(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = binary(bytes.as_ref())?;
        DecodedModule::validate(&bytes, &engine.decode_options()).map_err(Error::from_module)
    }

    fn from_binary(engine: &Engine, bytes: Vec<u8>) -> Result<Self> {
        let started = Instant::now();
        let module =
            DecodedModule::new(bytes, &engine.decode_options()).map_err(Error::from_module)?;
        engine.validated(started.elapsed());
        Ok(Self {
            engine: engine.clone(),
            loaded: engine.load(module, None)?,
        })
    }

    pub(crate) fn from_loaded(engine: Engine, loaded: Arc<LoadedModule>) -> Self {
        Self { engine, loaded }
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its name, from the name section.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.loaded.module().module_name()
    }

    /// What it needs, in order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> {
        let env = &**self.loaded.module().env();
        env.imports
            .iter()
            .map(move |import| ImportType { env, import })
    }

    /// What its instances give, in order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> {
        let env = &**self.loaded.module().env();
        env.exports
            .iter()
            .map(move |export| ExportType { env, export })
    }

    /// An export by name.
    #[must_use]
    pub fn get_export(&self, name: &str) -> Option<ExportType<'_>> {
        self.exports().find(|export| export.name() == name)
    }

    pub(crate) fn loaded(&self) -> &Arc<LoadedModule> {
        &self.loaded
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.loaded.fmt(f)
    }
}

/// The binary format of what may be text.
#[cfg(feature = "wat")]
fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    // Anything that begins as a binary module is one, however it goes on.
    if bytes.starts_with(b"\0") || bytes.is_empty() {
        return Ok(Cow::Borrowed(bytes));
    }
    wat::parse_bytes(bytes).map_err(|e| Error::with_kind(ErrorKind::Malformed, e.to_string()))
}

/// Bytes are taken to be binary.
#[cfg(not(feature = "wat"))]
#[expect(clippy::unnecessary_wraps, reason = "the other configuration can fail")]
fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    Ok(Cow::Borrowed(bytes))
}
