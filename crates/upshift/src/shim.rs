//! The call shim: the one place of the host API with unsafe code (docs/unsafe.md, rule HOST-DATA).
//!
//! A [`Store`](crate::Store) is host data `T` beside a runtime store. While wasm runs, a host function must get
//! both back, although the runtime knows no `T`. So a call leaves a pointer to the [`StoreData`] in the
//! runtime store, and a host function turns it into a `&mut StoreData<T>` again.
//!
//! Why that is sound (rule HOST-DATA):
//! * The pointer is set at each entry from an exclusive borrow of the data, which lasts until the call
//!   returns and is not used meanwhile; nested entries set it to the same data and put the outer one back.
//! * `T` is right: functions are only put into stores of their own `T`, by the types of `Func::wrap`, `Func::new`
//!   and `Linker<T>`, and a function never leaves its store. Both types are invariant in `T`: a store whose data
//!   could be taken for data of another lifetime would hand a host function what it did not ask for.
//! * The runtime store lies in a box of its own behind a raw pointer, [`StoreBox`], so a reference to the data does not cover
//!   it. For the time of a host function that pointer is the one derived from the runtime's own `&mut`, so that all
//!   references to the runtime store form one chain of reborrows.

use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::func::Func;
use crate::store::{StoreContextMut, StoreData};
use crate::trap::{Backtrace, Frame, Trap};
use std::ffi::c_void;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::resume_unwind;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use upshift_module::{ExportItem, FuncIndex};
use upshift_runtime::{
    CallError, ExternHandle, HostCall, InstanceHandle, InstantiateError, LoadedModule, Payload,
    RawVal, StoreInner, WasmFrame,
};

pub(crate) use upshift_runtime::HostFn;

/// A boxed [`StoreInner`] that a reference to the owner does not cover.
pub(crate) struct StoreBox(NonNull<StoreInner>);

// SAFETY: rule HOST-DATA: it owns the store as a box would, and the store is `Send`.
unsafe impl Send for StoreBox {}
// SAFETY: rule HOST-DATA: shared access gives only `&StoreInner`, whose methods read.
unsafe impl Sync for StoreBox {}

impl StoreBox {
    pub(crate) fn new(store: StoreInner) -> Self {
        Self(NonNull::from(Box::leak(Box::new(store))))
    }
}

impl Deref for StoreBox {
    type Target = StoreInner;

    fn deref(&self) -> &StoreInner {
        // SAFETY: rule HOST-DATA: the pointer is valid and borrowed as long as the box is.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for StoreBox {
    fn deref_mut(&mut self) -> &mut StoreInner {
        // SAFETY: rule HOST-DATA: as above, and the borrow of the box is exclusive.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for StoreBox {
    fn drop(&mut self) {
        // SAFETY: rule HOST-DATA: the pointer came from a box; a host function's replacement is put
        // back before its call returns, so nobody else drops it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Runs something that may enter wasm, with the store's data reachable for host functions.
fn with_data<T, R>(
    context: &mut StoreContextMut<'_, T>,
    enter: impl FnOnce(&mut StoreInner) -> R,
) -> R {
    let data: *mut StoreData<T> = ptr::from_mut(&mut *context.0);
    // SAFETY: rule HOST-DATA: `data` comes from an exclusive borrow that is not used until the end;
    // the runtime store is elsewhere, and this is the only reference to it.
    let mut inner = unsafe { (*data).inner.0 };
    // SAFETY: as above.
    let store = unsafe { inner.as_mut() };
    let outer = store.user();
    store.set_user(data.cast());
    let _guard = UserGuard { inner, outer };
    // SAFETY: as above; the guard uses its pointer when this reference is gone.
    enter(unsafe { inner.as_mut() })
}

/// Puts the outer entry's pointer to the data back, also when a host function that was called without
/// any wasm in between panics.
struct UserGuard {
    inner: NonNull<StoreInner>,
    outer: *mut c_void,
}

impl Drop for UserGuard {
    fn drop(&mut self) {
        // SAFETY: rule HOST-DATA: the guard lives within the borrow of the store that `with_data` got, and
        // what was reborrowed from it is no longer used.
        unsafe { self.inner.as_mut() }.set_user(self.outer);
    }
}

/// Calls a function with arguments and results that were checked.
///
/// A panic of a host function further in goes on here.
pub(crate) fn call<T>(
    context: &mut StoreContextMut<'_, T>,
    func: Func,
    args: &[RawVal],
    results: &mut [RawVal],
) -> Result<()> {
    with_data(context, |store| store.call(func.0, args, results)).map_err(call_error)
}

/// Instantiates with imports that were checked; gives the start function to be called.
pub(crate) fn instantiate<T>(
    context: &mut StoreContextMut<'_, T>,
    loaded: &Arc<LoadedModule>,
    imports: &[ExternHandle],
) -> Result<(InstanceHandle, Option<Func>)> {
    let made = context.inner_mut().instantiate(loaded, imports);
    let (instance, start) = made.map_err(instantiate_error)?;
    Ok((instance, start.map(Func)))
}

/// Makes a host function.
pub(crate) fn new_host_func(
    store: &mut StoreInner,
    ty: &upshift_module::FuncType,
    host: &HostFn,
) -> Result<upshift_runtime::FuncHandle> {
    store
        .new_host_func(ty, Arc::clone(host))
        .map_err(Error::from_runtime)
}

/// What the runtime calls for a host function of a `Store<T>`: finds the data again.
pub(crate) fn host_call<T, F>(call: HostCall<'_>, func: F) -> Result<(), Payload>
where
    T: 'static,
    F: FnOnce(Caller<'_, T>, &mut [RawVal]) -> Result<()>,
{
    let HostCall {
        store,
        caller_instance,
        values,
    } = call;
    let data: *mut StoreData<T> = store.user().cast();
    let inner = NonNull::from(store);
    // SAFETY: rule HOST-DATA: an entry of this store set the pointer to data of this `T` and waits; the guard
    // puts the outer pointer to the runtime store back before anyone else uses it.
    let data = unsafe { &mut *data };
    let guard = InnerGuard {
        outer: mem::replace(&mut data.inner.0, inner),
        data,
    };
    let caller = Caller {
        store: StoreContextMut(&mut *guard.data),
        instance: caller_instance,
    };
    func(caller, values).map_err(|error| Box::new(error) as Payload)
}

/// Puts the pointer to the runtime store back, also when the host function panics.
struct InnerGuard<'a, T> {
    data: &'a mut StoreData<T>,
    outer: NonNull<StoreInner>,
}

impl<T> Drop for InnerGuard<'_, T> {
    fn drop(&mut self) {
        self.data.inner.0 = self.outer;
    }
}

#[cold]
fn call_error(error: CallError) -> Error {
    match error {
        CallError::Trap { code, frames } => {
            Error::from_trap(Trap::with_backtrace(code, backtrace(&frames)))
        }
        CallError::Host { payload, frames } => match payload.downcast::<Error>() {
            Ok(error) => error.with_backtrace(|| backtrace(&frames)),
            Err(_) => Error::msg("a host function failed"),
        },
        CallError::Panic(payload) => resume_unwind(payload),
        CallError::Compile { error, .. } => Error::from_tier(error),
        CallError::Runtime(error) => Error::from_runtime(error),
    }
}

#[cold]
fn instantiate_error(error: InstantiateError) -> Error {
    match error {
        InstantiateError::Link(text) => Error::with_kind(ErrorKind::Link, text),
        InstantiateError::Trap { code, segment } => {
            let text = InstantiateError::Trap { code, segment }.to_string();
            Error::from_trap(Trap::new(code)).context(format_args!("instantiation: {text}"))
        }
        InstantiateError::Runtime(error) => Error::from_runtime(error),
    }
}

fn backtrace(frames: &[WasmFrame]) -> Backtrace {
    Backtrace::new(frames.iter().map(frame).collect())
}

/// A function's name, or else a name that it is exported by.
fn name_of(module: &upshift_module::Module, func: FuncIndex) -> Option<&str> {
    module.func_name(func).or_else(|| {
        let exports = module.env().exports.iter();
        let mut named = exports.filter(|export| export.item == ExportItem::Func(func));
        named.next().map(|export| &*export.name)
    })
}

fn frame(frame: &WasmFrame) -> Frame {
    let module = frame.loaded.module();
    let body = module.func(frame.func).map(|func| func.body_offset());
    Frame {
        module_name: module.module_name().map(Into::into),
        func_index: frame.func.0,
        func_name: name_of(module, frame.func).map(Into::into),
        func_offset: frame
            .wasm_offset
            .zip(body)
            .map(|(offset, body)| offset.saturating_sub(body)),
        module_offset: frame.wasm_offset,
    }
}
