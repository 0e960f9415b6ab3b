//! Errors of the layers below as the API's [`Error`], each with its kind.
//!
//! These are functions rather than `From`: every standard error already converts, to
//! [`ErrorKind::Host`], which is right for host functions only.

use crate::error::{Error, ErrorKind};
use upshift_abi::{CompileError, CompileErrorKind};
use upshift_module::{ErrorKind as DecodeKind, ModuleError};
use upshift_runtime::{RuntimeError, RuntimeErrorKind, TierError, TierErrorKind};

impl Error {
    #[cold]
    pub(crate) fn from_runtime(error: RuntimeError) -> Self {
        let kind = match error.kind() {
            RuntimeErrorKind::Resource | RuntimeErrorKind::Os => ErrorKind::Resource,
            RuntimeErrorKind::Limit => ErrorKind::Limit,
            RuntimeErrorKind::Unsupported => ErrorKind::Unsupported,
            RuntimeErrorKind::Misuse => ErrorKind::Store,
        };
        Self::with_kind(kind, error.message())
    }

    #[cold]
    pub(crate) fn from_tier(error: TierError) -> Self {
        let kind = match error.kind() {
            TierErrorKind::Limit => ErrorKind::Limit,
            TierErrorKind::Unsupported => ErrorKind::Unsupported,
            TierErrorKind::Resource => ErrorKind::Resource,
            TierErrorKind::Internal => ErrorKind::Compile,
        };
        Self::with_kind(kind, error.to_string())
    }

    #[cold]
    pub(crate) fn from_compile(error: CompileError) -> Self {
        let kind = match error.kind() {
            CompileErrorKind::Limit => ErrorKind::Limit,
            CompileErrorKind::Unsupported => ErrorKind::Unsupported,
            CompileErrorKind::Internal => ErrorKind::Compile,
        };
        Self::with_kind(kind, error.to_string())
    }

    #[cold]
    pub(crate) fn from_module(error: ModuleError) -> Self {
        let kind = match error.kind() {
            DecodeKind::Malformed => ErrorKind::Malformed,
            DecodeKind::Invalid => ErrorKind::Invalid,
            DecodeKind::Unsupported => ErrorKind::Unsupported,
            DecodeKind::Limit => ErrorKind::Limit,
            _ => ErrorKind::Internal,
        };
        Self::with_cause(kind, error)
    }
}
