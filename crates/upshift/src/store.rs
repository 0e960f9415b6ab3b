//! Stores, and the traits by which functions of the API take a store in any of its forms.

use crate::caller::Caller;
use crate::engine::Engine;
use crate::interrupt::InterruptHandle;
use crate::shim::StoreBox;
use std::fmt;
use std::marker::PhantomData;
use upshift_runtime::StoreInner;

/// What a [`Store`] owns. Boxed, so that it stays where it is while host functions point to it.
pub(crate) struct StoreData<T> {
    pub(crate) inner: StoreBox,
    pub(crate) engine: Engine,
    pub(crate) data: T,
    /// Host functions take the data as exactly `T`, so a store is invariant in it (rule HOST-DATA).
    exact: PhantomData<fn(T) -> T>,
}

/// Instances with everything that they own, and the host's own data.
///
/// A store only grows: what was made in it lives until it is dropped. It belongs to one thread at a
/// time and can move between threads when `T` can.
///
/// ```
/// use upshift::{Engine, Store};
///
/// let mut store = Store::new(&Engine::default(), 41);
/// *store.data_mut() += 1;
/// assert_eq!(store.into_data(), 42);
/// ```
///
/// Host functions made for data of one lifetime must not see data of a shorter one:
///
/// ```compile_fail,E0308
/// fn shorten<'a>(store: upshift::Store<&'static str>) -> upshift::Store<&'a str> {
///     store
/// }
/// ```
pub struct Store<T>(Box<StoreData<T>>);

/// Shared access to a store, whichever form it was given in.
///
/// ```
/// use upshift::{AsContext, Engine, Store};
///
/// fn peek(store: impl AsContext<Data = u32>) -> u32 {
///     *store.as_context().data()
/// }
/// let store = Store::new(&Engine::default(), 7);
/// assert_eq!(peek(&store), 7);
/// ```
pub struct StoreContext<'a, T>(pub(crate) &'a StoreData<T>);

/// Exclusive access to a store, whichever form it was given in.
///
/// ```
/// use upshift::{AsContextMut, Engine, Store};
///
/// fn count(mut store: impl AsContextMut<Data = u32>) {
///     *store.as_context_mut().data_mut() += 1;
/// }
/// let mut store = Store::new(&Engine::default(), 7);
/// count(&mut store);
/// assert_eq!(*store.data(), 8);
/// ```
pub struct StoreContextMut<'a, T>(pub(crate) &'a mut StoreData<T>);

impl<T> Store<T> {
    /// A store of this engine with the host's data.
    pub fn new(engine: &Engine, data: T) -> Self {
        Self(Box::new(StoreData {
            inner: engine.new_store(),
            engine: engine.clone(),
            data,
            exact: PhantomData,
        }))
    }

    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The host's data.
    #[must_use]
    pub fn data(&self) -> &T {
        &self.0.data
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.data
    }

    /// The host's data; the rest is dropped.
    #[must_use]
    pub fn into_data(self) -> T {
        self.0.data
    }

    /// A handle by which any thread can stop a guest of this store.
    #[must_use]
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(&self.0.inner)
    }
}

impl<T: Default> Default for Store<T> {
    fn default() -> Self {
        Self::new(&Engine::default(), T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("data", &self.0.data)
            .finish_non_exhaustive()
    }
}

/// What gives shared access to a store: [`Store`], [`Caller`], contexts, and references to them.
pub trait AsContext {
    /// The host's data.
    type Data;

    /// Shared access.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// What gives exclusive access to a store.
pub trait AsContextMut: AsContext {
    /// Exclusive access.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<'a, T> StoreContext<'a, T> {
    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &'a Engine {
        &self.0.engine
    }

    /// The host's data.
    #[must_use]
    pub fn data(&self) -> &'a T {
        &self.0.data
    }

    pub(crate) fn inner(&self) -> &'a StoreInner {
        &self.0.inner
    }
}

impl<'a, T> StoreContextMut<'a, T> {
    /// Its engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The host's data.
    #[must_use]
    pub fn data(&self) -> &T {
        &self.0.data
    }

    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.data
    }

    pub(crate) fn inner(&self) -> &StoreInner {
        &self.0.inner
    }

    pub(crate) fn inner_mut(&mut self) -> &mut StoreInner {
        &mut self.0.inner
    }

    pub(crate) fn into_inner(self) -> &'a mut StoreInner {
        &mut self.0.inner
    }

    pub(crate) fn split(self) -> (&'a mut StoreInner, &'a mut T) {
        (&mut self.0.inner, &mut self.0.data)
    }
}

macro_rules! contexts {
    ($(($($generics:tt)*) $ty:ty, $this:ident => $shared:expr, $exclusive:expr;)*) => {
        $(
            impl<$($generics)*> AsContext for $ty {
                type Data = T;
                fn as_context(&self) -> StoreContext<'_, T> {
                    let $this = self;
                    StoreContext($shared)
                }
            }
            impl<$($generics)*> AsContextMut for $ty {
                fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
                    let $this = self;
                    StoreContextMut($exclusive)
                }
            }
        )*
    };
}

contexts! {
    (T) Store<T>, this => &this.0, &mut this.0;
    (T) StoreContextMut<'_, T>, this => &*this.0, &mut *this.0;
    (T) Caller<'_, T>, this => &*this.store.0, &mut *this.store.0;
}

impl<T> AsContext for StoreContext<'_, T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<S: AsContext> AsContext for &'_ S {
    type Data = S::Data;
    fn as_context(&self) -> StoreContext<'_, S::Data> {
        S::as_context(self)
    }
}

impl<S: AsContext> AsContext for &'_ mut S {
    type Data = S::Data;
    fn as_context(&self) -> StoreContext<'_, S::Data> {
        S::as_context(self)
    }
}

impl<S: AsContextMut> AsContextMut for &'_ mut S {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, S::Data> {
        S::as_context_mut(self)
    }
}

impl<'a, T> From<&'a Store<T>> for StoreContext<'a, T> {
    fn from(store: &'a Store<T>) -> Self {
        Self(&store.0)
    }
}

impl<'a, T> From<&'a mut Store<T>> for StoreContextMut<'a, T> {
    fn from(store: &'a mut Store<T>) -> Self {
        Self(&mut store.0)
    }
}

impl<'a, T> From<&'a Caller<'_, T>> for StoreContext<'a, T> {
    fn from(caller: &'a Caller<'_, T>) -> Self {
        Self(&*caller.store.0)
    }
}

impl<'a, T> From<&'a mut Caller<'_, T>> for StoreContextMut<'a, T> {
    fn from(caller: &'a mut Caller<'_, T>) -> Self {
        Self(&mut *caller.store.0)
    }
}

impl<'a, T> From<&'a StoreContextMut<'_, T>> for StoreContext<'a, T> {
    fn from(context: &'a StoreContextMut<'_, T>) -> Self {
        Self(&*context.0)
    }
}

impl<'a, T> From<&'a mut StoreContextMut<'_, T>> for StoreContextMut<'a, T> {
    fn from(context: &'a mut StoreContextMut<'_, T>) -> Self {
        Self(&mut *context.0)
    }
}
