//! Traps and backtraces.

use std::fmt;
use std::sync::Arc;
pub use upshift_abi::TrapCode;

/// Why a guest stopped, and where.
///
/// ```
/// use upshift::{Engine, Instance, Module, Store, TrapCode};
///
/// # fn main() -> upshift::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module $m (func $div (export "div") (param i32) (result i32)
///     (i32.div_s (i32.const 1) (local.get 0))))"#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let div = instance.get_typed_func::<i32, i32>(&mut store, "div")?;
/// let error = div.call(&mut store, 0).unwrap_err();
/// let trap = error.trap().expect("a division by zero traps");
/// assert_eq!(trap.code(), TrapCode::IntegerDivideByZero);
/// assert_eq!(trap.backtrace().frames()[0].func_name(), Some("div"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Trap {
    code: TrapCode,
    backtrace: Backtrace,
}

impl Trap {
    /// A trap without a backtrace, for a host function that wants to end the guest with this code.
    #[must_use]
    pub fn new(code: TrapCode) -> Self {
        Self {
            code,
            backtrace: Backtrace::default(),
        }
    }

    pub(crate) fn with_backtrace(code: TrapCode, backtrace: Backtrace) -> Self {
        Self { code, backtrace }
    }

    /// The reason.
    #[must_use]
    pub fn code(&self) -> TrapCode {
        self.code
    }

    /// The guest's calls when it stopped, innermost first.
    #[must_use]
    pub fn backtrace(&self) -> &Backtrace {
        &self.backtrace
    }
}

impl fmt::Display for Trap {
    /// The reason alone, as in the specification's test suite; `{:#}` adds the backtrace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wasm trap: {}", self.code)?;
        if f.alternate() && !self.backtrace.frames.is_empty() {
            write!(f, "\n{}", self.backtrace)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl std::error::Error for Trap {}

/// The guest's calls at one moment, innermost first, over all nested entries from the host.
#[derive(Clone, Default, Debug)]
pub struct Backtrace {
    frames: Arc<[Frame]>,
}

impl Backtrace {
    pub(crate) fn new(frames: Vec<Frame>) -> Self {
        Self {
            frames: frames.into(),
        }
    }

    /// The frames, innermost first. Of very deep stacks only the innermost are kept.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }
}

impl fmt::Display for Backtrace {
    /// One line per frame.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, frame) in self.frames.iter().enumerate() {
            write!(f, "{}{i:>4}: {frame}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// One call of a guest function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub(crate) module_name: Option<Box<str>>,
    pub(crate) func_index: u32,
    pub(crate) func_name: Option<Box<str>>,
    pub(crate) func_offset: Option<u32>,
    pub(crate) module_offset: Option<u32>,
}

impl Frame {
    /// Name of the module, from its name section.
    #[must_use]
    pub fn module_name(&self) -> Option<&str> {
        self.module_name.as_deref()
    }

    /// Index of the function in its module, imports first.
    #[must_use]
    pub fn func_index(&self) -> u32 {
        self.func_index
    }

    /// Name of the function, from the name section, or else a name that it is exported by.
    #[must_use]
    pub fn func_name(&self) -> Option<&str> {
        self.func_name.as_deref()
    }

    /// Offset of the operator that trapped or called, in bytes from the start of the function's body.
    #[must_use]
    pub fn func_offset(&self) -> Option<u32> {
        self.func_offset
    }

    /// Offset of the operator that trapped or called, in bytes from the start of the module.
    #[must_use]
    pub fn module_offset(&self) -> Option<u32> {
        self.module_offset
    }
}

impl fmt::Display for Frame {
    /// Shape: `module!function @ 0x2c (function 1, +0x5)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}!", self.module_name().unwrap_or("<unnamed>"))?;
        match self.func_name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "<func {}>", self.func_index)?,
        }
        if let Some(offset) = self.module_offset {
            write!(f, " @ {offset:#x}")?;
        }
        write!(f, " (function {}", self.func_index)?;
        if let Some(offset) = self.func_offset {
            write!(f, ", +{offset:#x}")?;
        }
        f.write_str(")")
    }
}
