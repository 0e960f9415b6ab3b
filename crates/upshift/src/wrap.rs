//! Rust closures as host functions.

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::shim::{self, HostFn};
use crate::typed::{WasmResults, WasmTy};
use std::sync::Arc;
use upshift_module::{FuncType, ValType};
use upshift_runtime::{RawVal, StoreInner};

mod sealed {
    use super::{HostFn, RawVal, Result, StoreInner};
    use upshift_module::{FuncType, ValType};

    /// How a closure's return value becomes results.
    pub trait Return {
        const TYPES: &'static [ValType];
        fn finish(self, store: &mut StoreInner, values: &mut [RawVal]) -> Result<()>;
    }

    /// How a closure becomes a host function.
    pub trait Closure<T, Params, Results> {
        fn into_host(self) -> (FuncType, HostFn);
    }
}

use sealed::{Closure, Return};

/// What a host closure may return: [`WasmResults`], or a `Result` of it with an error that converts to [`Error`].
pub trait WasmRet: Return {}

/// A closure that can be a host function: `Fn(Caller<'_, T>, A, B, ...) -> R` or `Fn(A, B, ...) -> R` with up to
/// 16 parameters that are [`WasmTy`] and a result that is [`WasmRet`].
pub trait IntoFunc<T, Params, Results>: Closure<T, Params, Results> {}

impl<T, Params, Results, F: Closure<T, Params, Results>> IntoFunc<T, Params, Results> for F {}

impl<R: WasmResults> Return for R {
    const TYPES: &'static [ValType] = R::TYPES;
    fn finish(self, store: &mut StoreInner, values: &mut [RawVal]) -> Result<()> {
        self.write(store, values)
    }
}

impl<R: WasmResults> WasmRet for R {}

impl<R: WasmResults, E: Into<Error>> Return for Result<R, E> {
    const TYPES: &'static [ValType] = R::TYPES;
    fn finish(self, store: &mut StoreInner, values: &mut [RawVal]) -> Result<()> {
        match self {
            Ok(results) => results.write(store, values),
            Err(error) => Err(error.into()),
        }
    }
}

impl<R: WasmResults, E: Into<Error>> WasmRet for Result<R, E> {}

macro_rules! closures {
    ($($($name:ident $index:tt),*;)*) => {
        $(
            impl<T, Func, $($name,)* Ret> Closure<T, ($($name,)*), Ret> for Func
            where
                T: 'static,
                Func: Fn($($name),*) -> Ret + Send + Sync + 'static,
                $($name: WasmTy,)*
                Ret: WasmRet,
            {
                fn into_host(self) -> (FuncType, HostFn) {
                    let with_caller = move |_: Caller<'_, T>, $($name: $name),*| self($($name),*);
                    Closure::<T, (Caller<'_, T>, $($name,)*), Ret>::into_host(with_caller)
                }
            }

            impl<T, Func, $($name,)* Ret> Closure<T, (Caller<'_, T>, $($name,)*), Ret> for Func
            where
                T: 'static,
                Func: Fn(Caller<'_, T>, $($name),*) -> Ret + Send + Sync + 'static,
                $($name: WasmTy,)*
                Ret: WasmRet,
            {
                fn into_host(self) -> (FuncType, HostFn) {
                    let ty = FuncType::new([$($name::TYPE),*], Ret::TYPES.iter().copied());
                    let host: HostFn = Arc::new(move |call| {
                        shim::host_call::<T, _>(call, |mut caller, values| {
                            $( let $name = $name::from_raw(values[$index], caller.inner()); )*
                            let returned = self(caller.reborrow(), $($name),*);
                            returned.finish(caller.inner_mut(), values)
                        })
                    });
                    (ty, host)
                }
            }
        )*
    };
}

#[allow(non_snake_case, reason = "a parameter is named as its type")]
#[allow(unused_variables, reason = "closures without parameters")]
mod arities {
    use super::{Arc, Caller, Closure, FuncType, HostFn, WasmRet, WasmTy, shim};

    closures! {
        ;
        A 0;
        A 0, B 1;
        A 0, B 1, C 2;
        A 0, B 1, C 2, D 3;
        A 0, B 1, C 2, D 3, E 4;
        A 0, B 1, C 2, D 3, E 4, F 5;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14;
        A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15;
    }
}
