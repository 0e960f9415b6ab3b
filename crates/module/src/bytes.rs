//! The bytes of a module, held once and never copied.

use std::sync::Arc;

/// Bytes of a module, taken over from whoever had them.
#[derive(Clone, Debug)]
pub struct Bytes(Repr);

#[derive(Clone, Debug)]
enum Repr {
    Vec(Arc<Vec<u8>>),
    Shared(Arc<[u8]>),
    Static(&'static [u8]),
}

impl Bytes {
    /// A copy of a slice, for callers that cannot give their bytes away.
    #[must_use]
    pub fn copied(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Vec(bytes) => bytes,
            Repr::Shared(bytes) => bytes,
            Repr::Static(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Repr::Vec(Arc::new(bytes)))
    }
}

impl From<Arc<Vec<u8>>> for Bytes {
    fn from(bytes: Arc<Vec<u8>>) -> Self {
        Self(Repr::Vec(bytes))
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Repr::Shared(bytes))
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Repr::Static(bytes))
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}
