//! Why a module was refused.

use std::fmt;

use crate::features;
use crate::types::FuncIndex;

/// Result of decoding and validating.
pub type Result<T, E = ModuleError> = std::result::Result<T, E>;

/// What is wrong with a module. One word; made only on the way out.
#[derive(Clone, PartialEq, Eq)]
pub struct ModuleError {
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    offset: usize,
    func: Option<FuncIndex>,
    func_name: Option<Box<str>>,
    message: Box<str>,
}

/// Sorts of [`ModuleError`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not in the binary format (spec chapter 5).
    Malformed,
    /// The module does not validate (spec chapter 3).
    Invalid,
    /// The module uses a proposal that this engine does not support.
    Unsupported,
    /// The module exceeds one of the engine's [limits](crate::limits).
    Limit,
}

impl ModuleError {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, offset: usize, message: impl Into<Box<str>>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                offset,
                func: None,
                func_name: None,
                message: message.into(),
            }),
        }
    }

    #[cold]
    pub(crate) fn limit(offset: usize, what: &str, found: u64, max: u64) -> Self {
        Self::new(
            ErrorKind::Limit,
            offset,
            format!("expected at most {max} {what}, found {found}"),
        )
    }

    #[cold]
    pub(crate) fn unsupported(offset: usize, what: &str) -> Self {
        Self::new(
            ErrorKind::Unsupported,
            offset,
            format!("{what} not supported"),
        )
    }

    /// An error of the reader: the bytes do not decode.
    #[cold]
    pub(crate) fn malformed(error: &wasmparser::Error) -> Self {
        Self::from_wasmparser(ErrorKind::Malformed, error)
    }

    /// An error of the validator: the bytes decode, but break a rule.
    #[cold]
    pub(crate) fn invalid(error: &wasmparser::Error) -> Self {
        Self::from_wasmparser(ErrorKind::Invalid, error)
    }

    fn from_wasmparser(kind: ErrorKind, error: &wasmparser::Error) -> Self {
        let offset = usize::try_from(error.offset()).unwrap_or(usize::MAX);
        match error.missing_wasm_feature() {
            Some(feature) => Self::new(
                ErrorKind::Unsupported,
                offset,
                format!(
                    "{} not supported: {}",
                    features::proposal(feature),
                    error.message()
                ),
            ),
            None if SECOND_MEMORY == error.message() => Self::new(
                ErrorKind::Unsupported,
                offset,
                "multiple memories not supported",
            ),
            None => Self::new(reclassify(kind, error.message()), offset, error.message()),
        }
    }

    /// The same error with the function that it is in.
    #[must_use]
    pub(crate) fn in_func(mut self, func: FuncIndex, name: Option<&str>) -> Self {
        self.inner.func = Some(func);
        self.inner.func_name = name.map(Into::into);
        self
    }

    /// What sort of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Offset in the module, in bytes.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.inner.offset
    }

    /// The function whose body is wrong.
    #[must_use]
    pub fn func(&self) -> Option<FuncIndex> {
        self.inner.func
    }

    /// The name under which that function is exported. (Names of the names section come after the bodies.)
    #[must_use]
    pub fn func_name(&self) -> Option<&str> {
        self.inner.func_name.as_deref()
    }

    /// What was expected and what was found.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }
}

/// wasmparser has one sort of error for all of these; its messages tell limits apart. A message that is not
/// recognised leaves the kind as it is, which is never wrong, only less precise.
fn reclassify(kind: ErrorKind, message: &str) -> ErrorKind {
    if LIMIT_MESSAGES.iter().any(|part| message.contains(part)) {
        ErrorKind::Limit
    } else {
        kind
    }
}

/// Messages about a limit that wasmparser checks before we can.
const LIMIT_MESSAGES: &[&str] = &[
    "exceeds limit",
    "exceeds the limit",
    "size is out of bounds",
    "number of elements is out of bounds",
];

/// The message about a proposal that does not name it.
const SECOND_MEMORY: &str = "multiple memories";

impl fmt::Display for ModuleError {
    /// Shape: `invalid module at offset 0x1f (function 3 "foo"): expected i32, found i64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        f.write_str(match inner.kind {
            ErrorKind::Malformed => "malformed module",
            ErrorKind::Invalid => "invalid module",
            ErrorKind::Unsupported => "unsupported module",
            ErrorKind::Limit => "module over a limit",
        })?;
        write!(f, " at offset {:#x}", inner.offset)?;
        match (inner.func, &inner.func_name) {
            (Some(func), Some(name)) => write!(f, " (function {} {name:?})", func.0)?,
            (Some(func), None) => write!(f, " (function {})", func.0)?,
            (None, _) => {}
        }
        write!(f, ": {}", inner.message)
    }
}

impl fmt::Debug for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ModuleError {}
