//! Functions of guests and hosts: [`Func`].

use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::shim::{self, HostFn};
use crate::store::{AsContext, AsContextMut};
use crate::typed::{TypedFunc, WasmParams, WasmResults};
use crate::types::FuncType;
use crate::value::Val;
use crate::wrap::IntoFunc;
use std::sync::Arc;
use upshift_runtime::{FuncHandle, RawVal, StoreInner};

/// A function of a store: a guest's or a host's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Func(pub(crate) FuncHandle);

impl Func {
    /// A host function from a closure with Rust types; see [`IntoFunc`].
    ///
    /// ```
    /// use upshift::{Engine, Error, Func, Store};
    ///
    /// # fn main() -> upshift::Result<()> {
    /// let mut store = Store::new(&Engine::default(), ());
    /// let divide = Func::wrap(&mut store, |a: i32, b: i32| {
    ///     a.checked_div(b).ok_or_else(|| Error::msg("no quotient"))
    /// });
    /// let divide = divide.typed::<(i32, i32), i32>(&store)?;
    /// assert_eq!(divide.call(&mut store, (7, 2))?, 3);
    /// assert!(divide.call(&mut store, (7, 0)).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the engine's code space has no room for the function's stub.
    pub fn wrap<T: 'static, Params, Results>(
        mut store: impl AsContextMut<Data = T>,
        func: impl IntoFunc<T, Params, Results>,
    ) -> Self {
        let (ty, host) = func.into_host();
        Self::from_host(store.as_context_mut().inner_mut(), &ty, &host)
            .expect("the code space has room for a stub")
    }

    /// A host function whose type is known at run time only. The closure is given the arguments, and results
    /// that are zero or null, to be assigned.
    ///
    /// # Panics
    /// If the engine's code space has no room for the function's stub.
    pub fn new<T: 'static>(
        mut store: impl AsContextMut<Data = T>,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let host = dynamic_host(&ty, func);
        Self::from_host(store.as_context_mut().inner_mut(), &ty.0, &host)
            .expect("the code space has room for a stub")
    }

    /// Its type.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn ty(&self, store: impl AsContext) -> FuncType {
        self.type_in(store.as_context().inner())
    }

    /// Calls it with values.
    ///
    /// # Errors
    /// Kind [`ErrorKind::Type`] if the number or types of `params`, or the number of `results`, do not fit; a
    /// trap; an error of a host function; kind [`ErrorKind::Store`] if a function or value is of another store.
    ///
    /// # Panics
    /// If a host function that the guest calls panics: with the same payload.
    pub fn call(
        &self,
        mut store: impl AsContextMut,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let mut context = store.as_context_mut();
        let inner = context.inner_mut();
        let ty = self.checked_type(inner)?;
        check_count("arguments", ty.params().len(), params.len(), &ty)?;
        check_count("results", ty.results().len(), results.len(), &ty)?;
        let mut raw = vec![RawVal::ZERO; params.len() + results.len()];
        for ((i, param), ty) in params.iter().enumerate().zip(ty.params()) {
            raw[i] = param.to_raw(inner, ty, &format!("argument {i}"))?;
        }
        let (args, raw_results) = raw.split_at_mut(params.len());
        shim::call(&mut context, *self, args, raw_results)?;
        for ((result, raw), ty) in results.iter_mut().zip(raw_results).zip(ty.results()) {
            *result = Val::from_raw(*raw, context.inner(), ty);
        }
        Ok(())
    }

    /// Checks its type once, for calls with Rust types.
    ///
    /// # Errors
    /// If the type is another one, or the function is of another store.
    pub fn typed<P: WasmParams, R: WasmResults>(
        &self,
        store: impl AsContext,
    ) -> Result<TypedFunc<P, R>> {
        let ty = self.checked_type(store.as_context().inner())?;
        TypedFunc::new(*self, &ty)
    }

    pub(crate) fn checked_type(self, store: &StoreInner) -> Result<FuncType> {
        store
            .func_type(self.0)
            .map(|ty| FuncType(ty.clone()))
            .ok_or_else(|| Error::other_store("function"))
    }

    pub(crate) fn type_in(self, store: &StoreInner) -> FuncType {
        self.checked_type(store)
            .expect("the function is of this store")
    }

    pub(crate) fn from_host(
        store: &mut StoreInner,
        ty: &upshift_module::FuncType,
        host: &HostFn,
    ) -> Result<Self> {
        shim::new_host_func(store, ty, host).map(Self)
    }

    pub(crate) fn to_raw(func: Option<Self>, store: &mut StoreInner) -> Result<RawVal> {
        let Some(func) = func else {
            return Ok(RawVal::ZERO);
        };
        store
            .func_bits(func.0)
            .map(RawVal::from_ref)
            .ok_or_else(|| Error::other_store("function"))
    }

    pub(crate) fn from_raw(raw: RawVal, store: &StoreInner) -> Option<Self> {
        store.func_of_bits(raw.ref_bits()).map(Self)
    }
}

fn check_count(what: &str, expected: usize, found: usize, ty: &FuncType) -> Result<()> {
    if expected == found {
        Ok(())
    } else {
        Err(Error::with_kind(
            ErrorKind::Type,
            format!("expected {expected} {what} for a function of type {ty}, found {found}"),
        ))
    }
}

/// A host function from a closure over values.
pub(crate) fn dynamic_host<T: 'static>(
    ty: &FuncType,
    func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
) -> HostFn {
    let ty = ty.clone();
    Arc::new(move |call| {
        shim::host_call::<T, _>(call, |mut caller, raw| {
            let store = caller.inner();
            let params: Vec<Val> = ty
                .params()
                .zip(raw.iter())
                .map(|(ty, raw)| Val::from_raw(*raw, store, ty))
                .collect();
            // A result type without a default must be assigned: the check below sees the wrong type.
            let mut results: Vec<Val> = ty
                .results()
                .map(|ty| Val::default_for_ty(ty).unwrap_or(Val::I32(0)))
                .collect();
            func(caller.reborrow(), &params, &mut results)?;
            for ((i, result), ty) in results.iter().enumerate().zip(ty.results()) {
                raw[i] = result.to_raw(caller.inner_mut(), ty, &format!("host result {i}"))?;
            }
            Ok(())
        })
    })
}
