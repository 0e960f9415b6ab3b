//! The engine's limits, in one place.
//!
//! Most are those that the browsers agreed on (WebAssembly JavaScript Interface, section "Implementation-defined
//! limits"), so that a module that runs in a browser runs here. wasmparser enforces many of them as well; they
//! are checked here first, so that an excess is an error of kind [`Limit`](crate::ErrorKind::Limit).
//! The limits of operands and nesting are our own: with them every later stage has bounded scratch memory
//! and bounded frames.

/// Size of a module, in bytes (web limit).
pub const MODULE_BYTES_MAX: usize = 1 << 30;
/// Types of a module (web limit).
pub const TYPES_MAX: u32 = 1_000_000;
/// Functions of a module, imports included (web limit).
pub const FUNCTIONS_MAX: u32 = 1_000_000;
/// Imports of a module (web limit).
pub const IMPORTS_MAX: u32 = 1_000_000;
/// Exports of a module (web limit).
pub const EXPORTS_MAX: u32 = 1_000_000;
/// Globals of a module, imports included (web limit).
pub const GLOBALS_MAX: u32 = 1_000_000;
/// Memories of a module, imports included (web limit; one as long as multiple memories are not supported).
pub const MEMORIES_MAX: u32 = 100;
/// Tables of a module, imports included (web limit).
pub const TABLES_MAX: u32 = 100_000;
/// Data segments of a module (web limit).
pub const DATA_SEGMENTS_MAX: u32 = 100_000;
/// Element segments of a module (not in the web's list; the limit that its engines share).
pub const ELEMENT_SEGMENTS_MAX: u32 = 100_000;
/// Elements of one table or segment (web limit).
pub const TABLE_ELEMENTS_MAX: u32 = 10_000_000;
/// Pages of one memory, of 64 KiB each (web limit, and all that 32 bits can address; a larger one is invalid).
pub const MEMORY_PAGES_MAX: u64 = 65_536;
/// Size of one function body with its local declarations, in bytes (web limit).
pub const BODY_BYTES_MAX: usize = 7_654_321;
/// Locals of one function, parameters included (web limit).
pub const LOCALS_MAX: u32 = 50_000;
/// Parameters of a function or block (web limit).
pub const PARAMS_MAX: usize = 1_000;
/// Results of a function or block (web limit).
pub const RESULTS_MAX: usize = 1_000;
/// Operands on the operand stack of one function at once (own limit: a frame of at most 1 MiB of 8-byte slots).
pub const OPERANDS_MAX: u32 = 128 << 10;
/// Operand types that calls, blocks and branches of one body compare (own limit: types of 1,000 values, used by
/// every operator of a large body, would keep validation busy for minutes; ordinary code needs less than one per byte).
pub const TYPE_CHECKS_MAX: u32 = 1 << 27;
/// Blocks open at once in one function (own limit; generated switch statements reach some thousands).
pub const NESTING_MAX: u32 = 64 << 10;
