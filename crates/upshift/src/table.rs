//! Tables: [`Table`].

use crate::error::{Error, ErrorKind, Result};
use crate::memory::valid_limits;
use crate::store::{AsContext, AsContextMut};
use crate::types::{TableType, ValType};
use crate::value::{Ref, Val};
use upshift_runtime::{RawVal, StoreInner, TableHandle};

/// A table of a store.
///
/// ```
/// use upshift::{Engine, Func, Ref, RefType, Store, Table, TableType};
///
/// # fn main() -> upshift::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let table = Table::new(&mut store, TableType::new(RefType::FUNCREF, 2, None), Ref::Func(None))?;
/// let seven = Func::wrap(&mut store, || 7_i32);
/// table.set(&mut store, 1, seven.into())?;
/// assert_eq!(table.get(&mut store, 1).and_then(|r| r.as_func()), Some(Some(seven)));
/// assert!(table.get(&mut store, 2).is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table(pub(crate) TableHandle);

impl Table {
    /// Makes a table with `init` in every element.
    ///
    /// # Errors
    /// If the type is not valid, `init` is not of it or is of another store, or there is no room.
    pub fn new(mut store: impl AsContextMut, ty: TableType, init: Ref) -> Result<Self> {
        let mut context = store.as_context_mut();
        let store = context.inner_mut();
        valid_limits("table", ty.minimum(), ty.maximum(), u32::MAX.into())?;
        let init = element(store, &ty, init)?;
        let table = store.new_table(ty.0, init);
        table.map(Self).map_err(Error::from_runtime)
    }

    /// Its type, with the current size as minimum.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn ty(&self, store: impl AsContext) -> TableType {
        self.type_in(store.as_context().inner())
    }

    /// The element at an index; none if there is no such element.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn get(&self, mut store: impl AsContextMut, index: u64) -> Option<Ref> {
        let mut context = store.as_context_mut();
        let store = context.inner_mut();
        let ty = self.type_in(store);
        let raw = store.table_get(self.0, index)?;
        Ref::of_val(Val::from_raw(raw, store, ValType::Ref(ty.element())))
    }

    /// Assigns an element.
    ///
    /// # Errors
    /// If there is no such element, or `value` is not of the element type, or something is of another store.
    pub fn set(&self, mut store: impl AsContextMut, index: u64, value: Ref) -> Result<()> {
        let mut context = store.as_context_mut();
        let store = context.inner_mut();
        let value = element(store, &self.checked_type(store)?, value)?;
        store
            .table_set(self.0, index, value)
            .ok_or_else(|| bounds(index, 1))
    }

    /// Its number of elements.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn size(&self, store: impl AsContext) -> u64 {
        self.ty(store).minimum()
    }

    /// Adds `delta` elements; gives the old size.
    ///
    /// # Errors
    /// Kind [`ErrorKind::Limit`] if the maximum or the engine's limit forbids it; `init` of another type or store.
    pub fn grow(&self, mut store: impl AsContextMut, delta: u64, init: Ref) -> Result<u64> {
        let mut context = store.as_context_mut();
        let store = context.inner_mut();
        let init = element(store, &self.checked_type(store)?, init)?;
        store.table_grow(self.0, delta, init).ok_or_else(|| {
            Error::with_kind(
                ErrorKind::Limit,
                format!("the table cannot grow by {delta} elements"),
            )
        })
    }

    /// Assigns `count` elements from `start` on.
    ///
    /// # Errors
    /// If the range is not within the table, or `value` is not of the element type, or something is of another store.
    pub fn fill(
        &self,
        mut store: impl AsContextMut,
        start: u64,
        value: Ref,
        count: u64,
    ) -> Result<()> {
        let mut context = store.as_context_mut();
        let store = context.inner_mut();
        let value = element(store, &self.checked_type(store)?, value)?;
        store
            .table_fill(self.0, start, value, count)
            .ok_or_else(|| bounds(start, count))
    }

    fn checked_type(self, store: &StoreInner) -> Result<TableType> {
        let ty = store.table_type(self.0);
        ty.map(TableType).ok_or_else(|| Error::other_store("table"))
    }

    pub(crate) fn type_in(self, store: &StoreInner) -> TableType {
        self.checked_type(store)
            .expect("the table is of this store")
    }
}

fn element(store: &mut StoreInner, ty: &TableType, value: Ref) -> Result<RawVal> {
    Val::from(value).to_raw(store, ValType::Ref(ty.element()), "an element")
}

fn bounds(start: u64, count: u64) -> Error {
    Error::with_kind(
        ErrorKind::Type,
        format!("out of bounds table access: {count} elements from {start} on"),
    )
}
