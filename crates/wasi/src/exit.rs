//! The error that carries a guest's exit code to the host.

use std::fmt;

/// The guest called `proc_exit`. Found by `upshift::Error::downcast_ref`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitStatus(u32);

impl ExitStatus {
    /// A status with the code that the guest passed.
    #[must_use]
    pub fn new(code: u32) -> Self {
        Self(code)
    }

    /// The code that the guest passed, all 32 bits. 0 is success; an operating system keeps the low 8 bits.
    #[must_use]
    pub fn code(self) -> i32 {
        self.0.cast_signed()
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest exited with code {}", self.0)
    }
}

impl std::error::Error for ExitStatus {}
