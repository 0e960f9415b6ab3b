//! Tests of the manager with stub compilers.
