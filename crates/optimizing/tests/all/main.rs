//! Tests of the compiler from the outside: listings, and bodies at the limits. Cranelift's verifier is on in all of them.

mod disas;
mod limits;
mod support;
