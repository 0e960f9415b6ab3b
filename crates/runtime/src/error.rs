//! The runtime's error: one word, so that results stay small.

use std::fmt;

/// Why the runtime refused something.
#[derive(Debug)]
pub struct RuntimeError(Box<RuntimeErrorInner>);

#[derive(Debug)]
struct RuntimeErrorInner {
    kind: RuntimeErrorKind,
    message: String,
}

/// Kinds of [`RuntimeError`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuntimeErrorKind {
    /// A space that the engine reserved at its start is full, or the system has no memory left.
    Resource,
    /// A limit of this implementation.
    Limit,
    /// The operating system refused a call.
    Os,
    /// Something that this machine or this build cannot do.
    Unsupported,
    /// The host did what it must not: a handle of another store, a value of the wrong type, a wrong
    /// number of arguments.
    Misuse,
}

impl RuntimeError {
    /// Makes an error.
    #[cold]
    #[must_use]
    pub fn new(kind: RuntimeErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(RuntimeErrorInner {
            kind,
            message: message.into(),
        }))
    }

    /// An error of kind [`RuntimeErrorKind::Os`]: what was tried, and what the system said.
    #[cold]
    #[must_use]
    pub(crate) fn os(what: &str, error: impl fmt::Display) -> Self {
        Self::new(RuntimeErrorKind::Os, format!("{what}: {error}"))
    }

    /// An error of kind [`RuntimeErrorKind::Misuse`].
    #[cold]
    #[must_use]
    pub(crate) fn misuse(message: impl Into<String>) -> Self {
        Self::new(RuntimeErrorKind::Misuse, message)
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> RuntimeErrorKind {
        self.0.kind
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for RuntimeError {}

#[cfg(test)]
mod tests {
    use super::{RuntimeError, RuntimeErrorKind};

    #[test]
    fn one_word_and_readable() {
        assert_eq!(size_of::<RuntimeError>(), size_of::<usize>());
        let error = RuntimeError::os("reserving 1 GiB", "no memory");
        assert_eq!(error.kind(), RuntimeErrorKind::Os);
        assert_eq!(error.to_string(), "reserving 1 GiB: no memory");
    }
}
