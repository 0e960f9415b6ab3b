//! Runs WebAssembly test scripts (`.wast`, the format of the official test suite) on the Upshift engine.
//!
//! ```
//! let engine = upshift::Engine::default();
//! let script = r#"
//!     (module (func (export "two") (result i32) (i32.const 2)))
//!     (assert_return (invoke "two") (i32.const 2))
//! "#;
//! let report = upshift_wast::run_script(&engine, "two.wast", script);
//! assert!(report.failures.is_empty());
//! assert_eq!(report.passed(), 2);
//! ```
#![forbid(unsafe_code)]

mod report;
mod runner;
mod spectest;
mod values;

pub use report::{DirectiveKind, Failure, Report};
pub use runner::run_script;
