//! Tests of decoding and validation from outside, in one program so that they link once.

mod agree;
mod common;
mod module;
mod robust;
mod suite;
