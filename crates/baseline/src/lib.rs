//! The single-pass baseline compiler: validated functions in, machine code out, in one walk over the body.
//!
//! * [`compiler`] drives the walk and hands each operator to its category.
//! * [`lower`] has one file per category of operators, and the ones that keep the machine state: `allocate`
//!   (registers), `operands` (value stack), `merge` (labels), `entry` (prologue, homes), `cold` (out-of-line code).
//! * [`state`] is what is known at a point of the body, as plain data.
//! * [`isa`] is the only place where instructions are spelled.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod compiler;
mod isa;
mod lower;
mod state;

pub use compiler::BaselineCompiler;
