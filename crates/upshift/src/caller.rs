//! [`Caller`]: a host function's view of the store, and of the instance that called.

use crate::engine::Engine;
use crate::externs::Extern;
use crate::store::StoreContextMut;
use upshift_runtime::{InstanceHandle, StoreInner};

/// A host function's access to the store.
///
/// ```
/// use upshift::{Caller, Engine, Func, Store};
///
/// # fn main() -> upshift::Result<()> {
/// let mut store = Store::new(&Engine::default(), 0_u64);
/// let add = Func::wrap(&mut store, |mut caller: Caller<'_, u64>, n: u32| *caller.data_mut() += u64::from(n));
/// add.typed::<u32, ()>(&store)?.call(&mut store, 7)?;
/// assert_eq!(*store.data(), 7);
/// # Ok(())
/// # }
/// ```
pub struct Caller<'a, T> {
    pub(crate) store: StoreContextMut<'a, T>,
    pub(crate) instance: Option<InstanceHandle>,
}

impl<T> Caller<'_, T> {
    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }

    /// The host's data.
    #[must_use]
    pub fn data(&self) -> &T {
        self.store.data()
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// An export of the instance that called; none if the host called, or there is no such export.
    pub fn get_export(&mut self, name: &str) -> Option<Extern> {
        let export = self.store.inner().export_by_name(self.instance?, name)?;
        Some(Extern::from_handle(export))
    }

    pub(crate) fn inner(&self) -> &StoreInner {
        self.store.inner()
    }

    pub(crate) fn inner_mut(&mut self) -> &mut StoreInner {
        self.store.inner_mut()
    }

    pub(crate) fn reborrow(&mut self) -> Caller<'_, T> {
        Caller {
            store: StoreContextMut(&mut *self.store.0),
            instance: self.instance,
        }
    }
}
