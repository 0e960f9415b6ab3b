//! The benchmark harness. It has nothing to measure yet.

#![forbid(unsafe_code)]

fn main() {}
