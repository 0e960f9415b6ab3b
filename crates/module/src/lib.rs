//! Decoding and validation: bytes in, [`ValidatedFunc`] and [`FuncFacts`] out.
#![forbid(unsafe_code)]

mod convert;
mod env;
mod facts;
mod features;
mod func;
pub mod limits;
mod map;
pub mod ops;
mod reader;
mod types;

pub use env::{
    ConstExpr, ConstInst, DataMode, DataSegment, ElementItems, ElementMode, ElementSegment,
    EntityType, Export, ExportItem, Import, ModuleEnv, SegmentIndex,
};
pub use facts::{FuncFacts, HOME_CANDIDATES, HomeCandidate, LoopFacts, Uses};
pub use func::ValidatedFunc;
pub use ops::Op;
pub use reader::{Locals, OpReader};
pub use types::{
    DataIndex, ElemIndex, FuncIndex, FuncType, GlobalIndex, GlobalType, HeapType, LocalIndex,
    MemoryIndex, MemoryType, RefType, TableIndex, TableType, TypeIndex, ValType,
};
