//! Why a module could not be instantiated.

use crate::error::RuntimeError;
use std::fmt;
use upshift_abi::TrapCode;
use upshift_module::SegmentIndex;

/// Why a module could not be instantiated.
#[derive(Debug)]
pub enum InstantiateError {
    /// Imports do not match; the text has a line for each.
    Link(String),
    /// An active segment did not fit. Earlier segments keep their effect (spec 4.5.4).
    Trap {
        /// Why.
        code: TrapCode,
        /// Which segment.
        segment: SegmentIndex,
    },
    /// No room, a limit, or a module of another engine.
    Runtime(RuntimeError),
}

impl From<RuntimeError> for InstantiateError {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(error)
    }
}

impl fmt::Display for InstantiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(text) => f.write_str(text),
            Self::Trap { code, segment } => match segment {
                SegmentIndex::Elem(index) => write!(f, "{code} (element segment {})", index.0),
                SegmentIndex::Data(index) => write!(f, "{code} (data segment {})", index.0),
            },
            Self::Runtime(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InstantiateError {}
