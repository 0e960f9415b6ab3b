//! The one error type of the API: one word, with a kind, a text, and the chain of what caused it.
//!
//! Like the error types that applications use, [`Error`] does not implement [`std::error::Error`], so
//! that `?` can turn any such error into one. It turns into a boxed standard error by `From`.

use crate::trap::{Backtrace, Trap};
use std::error::Error as StdError;
use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and why. One word wide.
///
/// ```
/// use upshift::{Engine, ErrorKind, Module};
///
/// let error = Module::new(&Engine::default(), b"\0asm").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Malformed);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    /// What the caller was doing, or the error's own text when there is no cause.
    message: Option<Box<str>>,
    cause: Cause,
}

enum Cause {
    None,
    Trap(Trap),
    Std(Box<dyn StdError + Send + Sync>),
    Error(Error),
}

/// Kinds of [`Error`], to decide what to do about one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not a WebAssembly module (spec chapter 5), or the text not one (chapter 6).
    Malformed,
    /// The module breaks a validation rule (spec chapter 3).
    Invalid,
    /// The module uses a feature that the engine does not have.
    Unsupported,
    /// The module exceeds a limit of the engine.
    Limit,
    /// The system or the engine's code space has no room left.
    Resource,
    /// Imports are missing or have other types (spec 4.5.4).
    Link,
    /// Arguments, results or values of the wrong type, count or range were passed to the API.
    Type,
    /// A value of one store or engine was used with another.
    Store,
    /// The guest trapped; [`Error::trap`] has the details.
    Trap,
    /// A host function failed with an error of its own.
    Host,
    /// A file could not be read.
    Io,
    /// A valid function could not be compiled.
    Compile,
    /// A bug in the engine.
    Internal,
}

impl ErrorKind {
    /// What such an error is called in front of its text; empty where the text says it all.
    fn title(self) -> &'static str {
        match self {
            Self::Malformed => "malformed module: ",
            Self::Invalid => "invalid module: ",
            Self::Unsupported => "unsupported: ",
            Self::Limit => "limit exceeded: ",
            Self::Resource => "out of resources: ",
            Self::Link => "link error: ",
            Self::Type => "type error: ",
            Self::Store => "store error: ",
            Self::Compile => "compile error: ",
            Self::Internal => "internal error: ",
            Self::Trap | Self::Host | Self::Io => "",
        }
    }
}

impl Error {
    /// An error of a host function, from any standard error.
    ///
    /// A [`Trap`] becomes an error of kind [`ErrorKind::Trap`], an [`std::io::Error`] one of kind
    /// [`ErrorKind::Io`], everything else is [`ErrorKind::Host`].
    #[cold]
    #[must_use]
    pub fn new(error: impl StdError + Send + Sync + 'static) -> Self {
        let boxed: Box<dyn StdError + Send + Sync> = Box::new(error);
        match boxed.downcast::<Trap>() {
            Ok(trap) => Self::from_trap(*trap),
            Err(error) => {
                let kind = if error.is::<std::io::Error>() {
                    ErrorKind::Io
                } else {
                    ErrorKind::Host
                };
                Self(Box::new(Inner {
                    kind,
                    message: None,
                    cause: Cause::Std(error),
                }))
            }
        }
    }

    /// An error of a host function, from a text.
    #[cold]
    #[must_use]
    pub fn msg(message: impl fmt::Display) -> Self {
        Self::with_kind(ErrorKind::Host, message.to_string())
    }

    /// An error of a kind, from a text.
    #[cold]
    #[must_use]
    pub fn with_kind(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: Some(message.into().into()),
            cause: Cause::None,
        }))
    }

    /// An error of a kind whose text is that of its cause.
    #[cold]
    pub(crate) fn with_cause(
        kind: ErrorKind,
        cause: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            message: None,
            cause: Cause::Std(Box::new(cause)),
        }))
    }

    #[cold]
    pub(crate) fn from_trap(trap: Trap) -> Self {
        Self(Box::new(Inner {
            kind: ErrorKind::Trap,
            message: None,
            cause: Cause::Trap(trap),
        }))
    }

    /// A mix of stores: the value named `what` belongs to another one.
    #[cold]
    pub(crate) fn other_store(what: &str) -> Self {
        Self::with_kind(
            ErrorKind::Store,
            format!("expected a {what} of this store, found one of another store"),
        )
    }

    /// The same error, with what the caller was doing in front of its text. The kind stays.
    #[cold]
    #[must_use]
    pub fn context(self, message: impl fmt::Display) -> Self {
        Self(Box::new(Inner {
            kind: self.kind(),
            message: Some(message.to_string().into()),
            cause: Cause::Error(self),
        }))
    }

    /// A trap that a host function raised gets the guest's backtrace; other errors, and what the host
    /// function said around the trap, stay as they are.
    #[cold]
    pub(crate) fn with_backtrace(mut self, backtrace: impl FnOnce() -> Backtrace) -> Self {
        let mut next = &mut self;
        loop {
            match &mut next.0.cause {
                Cause::Error(inner) => next = inner,
                Cause::Trap(trap) => {
                    if trap.backtrace().frames().is_empty() {
                        *trap = Trap::with_backtrace(trap.code(), backtrace());
                    }
                    return self;
                }
                Cause::None | Cause::Std(_) => return self,
            }
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The trap, if a guest trapped.
    #[must_use]
    pub fn trap(&self) -> Option<&Trap> {
        self.downcast_ref()
    }

    /// The innermost cause, if it is a `T`: a host function's own error comes back by this.
    ///
    /// ```
    /// # #[derive(Debug, PartialEq)] struct Quota(u32);
    /// # impl std::fmt::Display for Quota { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("quota") } }
    /// # impl std::error::Error for Quota {}
    /// let error = upshift::Error::new(Quota(3)).context("while writing");
    /// assert_eq!(error.downcast_ref::<Quota>(), Some(&Quota(3)));
    /// assert_eq!(error.to_string(), "while writing: quota");
    /// ```
    #[must_use]
    pub fn downcast_ref<T: StdError + Send + Sync + 'static>(&self) -> Option<&T> {
        let mut next = self.source();
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// Whether [`downcast_ref`](Self::downcast_ref) finds a `T`.
    #[must_use]
    pub fn is<T: StdError + Send + Sync + 'static>(&self) -> bool {
        self.downcast_ref::<T>().is_some()
    }

    /// The standard error that caused this one, if there is one.
    #[must_use]
    pub fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.cause {
            Cause::None => None,
            Cause::Trap(trap) => Some(trap),
            Cause::Error(error) => error.source(),
            Cause::Std(error) => Some(error.as_ref()),
        }
    }
}

impl fmt::Display for Error {
    /// The whole chain on one line, outermost first, but for a trap's backtrace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(message) = &inner.message {
            if !matches!(inner.cause, Cause::Error(_)) {
                f.write_str(inner.kind.title())?;
            }
            f.write_str(message)?;
            if !matches!(inner.cause, Cause::None) {
                f.write_str(": ")?;
            }
        }
        match &inner.cause {
            Cause::None => Ok(()),
            Cause::Trap(trap) => trap.fmt(f),
            Cause::Error(error) => error.fmt(f),
            Cause::Std(error) => {
                error.fmt(f)?;
                let mut next = error.source();
                while let Some(error) = next {
                    write!(f, ": {error}")?;
                    next = error.source();
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Error {
    /// As [`Display`](fmt::Display), so that `main` and `unwrap` print something readable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.kind())
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// An [`Error`] in the clothes of a standard error.
#[derive(Debug)]
struct Standard(Error);

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Standard {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        Box::new(Standard(error))
    }
}

impl From<Error> for Box<dyn StdError> {
    fn from(error: Error) -> Self {
        Box::new(Standard(error))
    }
}

/// Adds context to the error of a result.
pub trait Context<T> {
    /// Puts what the caller was doing in front of the error's text.
    ///
    /// # Errors
    /// The error of `self`, with the text.
    fn context(self, message: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(message))
    }
}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());
