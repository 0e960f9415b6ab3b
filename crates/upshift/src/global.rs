//! Globals: [`Global`].

use crate::error::{Error, ErrorKind, Result};
use crate::store::{AsContext, AsContextMut};
use crate::types::{GlobalType, Mutability};
use crate::value::Val;
use upshift_runtime::{GlobalHandle, StoreInner};

/// A global of a store.
///
/// ```
/// use upshift::{Engine, Global, GlobalType, Mutability, Store, Val, ValType};
///
/// # fn main() -> upshift::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let ty = GlobalType::new(ValType::I32, Mutability::Var);
/// let global = Global::new(&mut store, ty, Val::I32(1))?;
/// global.set(&mut store, Val::I32(2))?;
/// assert_eq!(global.get(&mut store).i32(), Some(2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Global(pub(crate) GlobalHandle);

impl Global {
    /// Makes a global.
    ///
    /// # Errors
    /// If the value is not of the type, or of another store.
    pub fn new(mut store: impl AsContextMut, ty: GlobalType, value: Val) -> Result<Self> {
        let mut context = store.as_context_mut();
        let store = context.inner_mut();
        let raw = value.to_raw(store, ty.content(), "a value")?;
        let global = store.new_global(ty.0, raw);
        global.map(Self).map_err(Error::from_runtime)
    }

    /// Its type.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn ty(&self, store: impl AsContext) -> GlobalType {
        self.type_in(store.as_context().inner())
    }

    /// Its value.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn get(&self, mut store: impl AsContextMut) -> Val {
        let mut context = store.as_context_mut();
        let store = context.inner_mut();
        let ty = self.type_in(store);
        let raw = store.global_get(self.0);
        Val::from_raw(
            raw.expect("the global is of this store"),
            store,
            ty.content(),
        )
    }

    /// Assigns it.
    ///
    /// # Errors
    /// If it cannot be assigned, `value` is not of its type, or something is of another store.
    pub fn set(&self, mut store: impl AsContextMut, value: Val) -> Result<()> {
        let mut context = store.as_context_mut();
        let store = context.inner_mut();
        let ty = self.checked_type(store)?;
        if ty.mutability() == Mutability::Const {
            return Err(Error::with_kind(
                ErrorKind::Type,
                "expected a mutable global, found an immutable one",
            ));
        }
        let raw = value.to_raw(store, ty.content(), "a value")?;
        store
            .global_set(self.0, raw)
            .ok_or_else(|| Error::other_store("global"))
    }

    fn checked_type(self, store: &StoreInner) -> Result<GlobalType> {
        let ty = store.global_type(self.0);
        ty.map(GlobalType)
            .ok_or_else(|| Error::other_store("global"))
    }

    pub(crate) fn type_in(self, store: &StoreInner) -> GlobalType {
        self.checked_type(store)
            .expect("the global is of this store")
    }
}
