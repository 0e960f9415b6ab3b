//! Host values that guests carry around: [`ExternRef`].

use crate::error::{Error, Result};
use crate::store::AsContextMut;
use std::any::Any;
use upshift_runtime::{ExternRefHandle, RawVal, StoreInner};

/// A reference to a host value. The value lives as long as its store.
///
/// ```
/// use upshift::{Engine, ExternRef, Store};
///
/// # fn main() -> upshift::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let word = ExternRef::new(&mut store, String::from("word"))?;
/// assert_eq!(word.data(&store)?.downcast_ref::<String>().unwrap(), "word");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExternRef(pub(crate) ExternRefHandle);

impl ExternRef {
    /// Puts a value into the store.
    ///
    /// # Errors
    /// If the store has no room for more references.
    pub fn new(mut store: impl AsContextMut, value: impl Any + Send + Sync) -> Result<Self> {
        let mut context = store.as_context_mut();
        Ok(Self(context.inner_mut().new_externref(Box::new(value))))
    }

    /// The value.
    ///
    /// # Errors
    /// If it is of another store.
    pub fn data<'a, T: 'a>(
        &self,
        store: impl Into<crate::StoreContext<'a, T>>,
    ) -> Result<&'a (dyn Any + Send + Sync)> {
        store
            .into()
            .inner()
            .externref(self.0)
            .ok_or_else(|| Error::other_store("reference"))
    }

    pub(crate) fn to_raw(value: Option<Self>, store: &mut StoreInner) -> Result<RawVal> {
        let Some(value) = value else {
            return Ok(RawVal::ZERO);
        };
        store
            .externref_bits(value.0)
            .map(RawVal::from_ref)
            .ok_or_else(|| Error::other_store("reference"))
    }

    pub(crate) fn from_raw(raw: RawVal, store: &StoreInner) -> Option<Self> {
        store.externref_of_bits(raw.ref_bits()).map(Self)
    }
}
