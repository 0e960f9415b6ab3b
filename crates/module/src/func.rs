//! The proof token: a body that validation has accepted.

use crate::env::ModuleEnv;
use crate::facts::Outline;
use crate::types::{FuncIndex, FuncType};

/// A validated body with all that a compiler needs of its module.
///
/// Only this crate can make one, so whoever holds it need not check anything again: types match,
/// indices are in bounds, blocks nest, limits hold.
#[derive(Clone, Copy, Debug)]
pub struct ValidatedFunc<'a> {
    pub(crate) env: &'a ModuleEnv,
    pub(crate) outline: Outline,
    pub(crate) index: FuncIndex,
    pub(crate) body: &'a [u8],
    pub(crate) body_offset: u32,
}

impl<'a> ValidatedFunc<'a> {
    /// The module's declarations.
    #[must_use]
    pub fn env(&self) -> &'a ModuleEnv {
        self.env
    }

    /// What validation kept of it. A [`FactGatherer`](crate::FactGatherer) learns more.
    #[must_use]
    pub fn outline(&self) -> Outline {
        self.outline
    }

    /// Which function it is.
    #[must_use]
    pub fn index(&self) -> FuncIndex {
        self.index
    }

    /// Its type.
    #[must_use]
    pub fn ty(&self) -> &'a FuncType {
        self.env.func_type(self.index)
    }

    /// Size of the body in bytes, local declarations included.
    #[must_use]
    pub fn body_bytes(&self) -> u32 {
        u32::try_from(self.body.len()).unwrap_or(u32::MAX)
    }

    /// Offset of the body in the module, in bytes. An operator's offset in the module is this plus
    /// the offset that [`OpReader`](crate::OpReader) gives.
    #[must_use]
    pub fn body_offset(&self) -> u32 {
        self.body_offset
    }
}
