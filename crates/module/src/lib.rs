//! Decoding and validation: bytes in, [`ValidatedFunc`] out; and [`FuncFacts`] of those that are compiled.
#![forbid(unsafe_code)]

mod bytes;
mod convert;
mod decode;
mod env;
mod error;
mod facts;
mod features;
mod func;
mod gather;
pub mod limits;
mod map;
mod module;
mod names;
mod opcodes;
pub mod ops;
mod reader;
mod types;
mod validate;

pub use bytes::Bytes;
pub use decode::{BodySink, DecodeOptions, ModuleDecoder};
pub use env::{
    ConstExpr, ConstInst, DataMode, DataSegment, ElementItems, ElementMode, ElementSegment,
    EntityType, Export, ExportItem, Import, ModuleEnv, SegmentIndex,
};
pub use error::{ErrorKind, ModuleError, Result};
pub use facts::{
    FuncFacts, HOME_CANDIDATES, HomeCandidate, LOOP_HOME_CANDIDATES, LoopFacts, LoopHome, Outline,
    Uses,
};
pub use func::ValidatedFunc;
pub use gather::FactGatherer;
pub use module::Module;
pub use ops::Op;
pub use reader::{Code, Locals, OpReader, OpSink};
pub use types::{
    DataIndex, ElemIndex, FuncIndex, FuncType, GlobalIndex, GlobalType, HeapType, LocalIndex,
    MemoryIndex, MemoryType, RefType, TableIndex, TableType, TypeIndex, ValType,
};
pub use validate::Parallelism;
