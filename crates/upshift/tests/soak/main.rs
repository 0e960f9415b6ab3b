//! Compiling and freeing for minutes, in a process of its own, since it looks at the memory of the process.
//!
//! `cfg(test)` is always on here; it tells clippy that the module is a test.

#[cfg(test)]
mod levels;
