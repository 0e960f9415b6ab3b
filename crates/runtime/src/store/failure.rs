//! Why a call into wasm did not return, and how a failure travels to the entry.
//!
//! A helper or host function that fails runs with wasm frames above it that must not be unwound.
//! It leaves a [`Failure`] in the store, marks the activation as failed and returns; its exit stub
//! jumps to the landing pad, and [`StoreInner::call`](crate::StoreInner::call) takes the failure out.

use crate::activation::FramePc;
use crate::error::RuntimeError;
use crate::loaded::{LoadedModule, TierError};
use crate::store::StoreInner;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use upshift_abi::{Tier, TrapCode};
use upshift_module::FuncIndex;

/// The error of a host function, or what it panicked with.
pub type Payload = Box<dyn Any + Send>;

/// A failure on its way to the entry.
pub(crate) enum Failure {
    Trap(TrapCode),
    Host(Payload),
    Panic(Payload),
    Compile(TierError),
    Runtime(RuntimeError),
}

impl From<TrapCode> for Failure {
    fn from(code: TrapCode) -> Self {
        Self::Trap(code)
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(error)
    }
}

impl Failure {
    /// The error that the caller of wasm sees.
    pub(crate) fn into_error(self, frames: Vec<WasmFrame>) -> CallError {
        match self {
            Self::Trap(code) => CallError::Trap { code, frames },
            Self::Host(payload) => CallError::Host { payload, frames },
            Self::Panic(payload) => CallError::Panic(payload),
            Self::Compile(error) => CallError::Compile { error, frames },
            Self::Runtime(error) => CallError::Runtime(error),
        }
    }
}

/// Why a call did not return results.
pub enum CallError {
    /// The guest trapped.
    Trap {
        /// Why.
        code: TrapCode,
        /// The wasm frames, innermost first, through all nested entries of the store.
        frames: Vec<WasmFrame>,
    },
    /// A host function returned this error.
    Host {
        /// The error.
        payload: Payload,
        /// The wasm frames under the host function.
        frames: Vec<WasmFrame>,
    },
    /// A host function panicked: go on with [`std::panic::resume_unwind`].
    Panic(Payload),
    /// A function that was called for the first time could not be compiled.
    Compile {
        /// Why.
        error: TierError,
        /// The wasm frames.
        frames: Vec<WasmFrame>,
    },
    /// The call was not made, or a host function returned values of the wrong kind.
    Runtime(RuntimeError),
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap { code, frames } => {
                write!(f, "Trap({code:?}, {} frames)", frames.len())
            }
            Self::Host { .. } => f.write_str("Host(..)"),
            Self::Panic(_) => f.write_str("Panic(..)"),
            Self::Compile { error, .. } => write!(f, "Compile({error})"),
            Self::Runtime(error) => write!(f, "Runtime({error})"),
        }
    }
}

impl From<RuntimeError> for CallError {
    fn from(error: RuntimeError) -> Self {
        Self::Runtime(error)
    }
}

/// A wasm frame of a backtrace.
#[derive(Clone, Debug)]
pub struct WasmFrame {
    /// The module whose function it is.
    pub loaded: Arc<LoadedModule>,
    /// Which function.
    pub func: FuncIndex,
    /// Offset of the operator in the module, in bytes, when it is known.
    pub wasm_offset: Option<u32>,
    /// Which code the frame ran.
    pub tier: Tier,
}

impl StoreInner {
    /// Turns addresses into functions. Code of a module that has no instance in this store is left
    /// out: there is none on its stack.
    pub(crate) fn resolve_frames(&self, frames: &[FramePc]) -> Vec<WasmFrame> {
        frames
            .iter()
            .filter_map(|frame| {
                let location = frame.locate()?;
                let loaded = self.modules.get(&location.owner.0)?;
                Some(WasmFrame {
                    loaded: Arc::clone(loaded),
                    func: location.func,
                    wasm_offset: location.wasm_offset,
                    tier: location.tier,
                })
            })
            .collect()
    }
}
