//! Rust types as guest types: which types and tuples can be passed, and [`TypedFunc`].

use crate::error::{Error, ErrorKind, Result};
use crate::externref::ExternRef;
use crate::func::Func;
use crate::shim;
use crate::store::AsContextMut;
use crate::types::{FuncType, ValType};
use std::fmt;
use std::marker::PhantomData;
use upshift_runtime::{RawVal, StoreInner};

pub(crate) mod sealed {
    use super::{RawVal, Result, StoreInner, ValType};

    /// How a Rust value becomes a guest value.
    pub trait Convert: Sized {
        const TYPE: ValType;
        fn into_raw(self, store: &mut StoreInner) -> Result<RawVal>;
        fn from_raw(raw: RawVal, store: &StoreInner) -> Self;
    }

    /// How a tuple becomes a list of guest values.
    pub trait ConvertList: Sized {
        /// An array of as many values.
        type Raw: Default + AsRef<[RawVal]> + AsMut<[RawVal]>;
        const TYPES: &'static [ValType];
        fn write(self, store: &mut StoreInner, raw: &mut [RawVal]) -> Result<()>;
        fn read(raw: &[RawVal], store: &StoreInner) -> Self;
    }
}

use sealed::{Convert, ConvertList};

/// A Rust type that stands for a value type: `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, `u128` (v128),
/// `Option<Func>`, `Option<ExternRef>`.
pub trait WasmTy: Convert + Send + 'static {}

/// Parameters of a [`TypedFunc`]: one [`WasmTy`], or a tuple of up to 16.
pub trait WasmParams: ConvertList + Send + 'static {}

/// Results of a [`TypedFunc`]: `()`, one [`WasmTy`], or a tuple of up to 16.
pub trait WasmResults: ConvertList + Send + 'static {}

macro_rules! wasm_ty {
    ($($ty:ty: $val:expr, $v:ident => $into:expr, $raw:ident => $from:expr;)*) => {
        $(
            impl Convert for $ty {
                const TYPE: ValType = $val;
                fn into_raw(self, _store: &mut StoreInner) -> Result<RawVal> {
                    let $v = self;
                    Ok($into)
                }
                fn from_raw($raw: RawVal, _store: &StoreInner) -> Self {
                    $from
                }
            }
            impl WasmTy for $ty {}
        )*
    };
}

wasm_ty! {
    i32: ValType::I32, v => RawVal::from_u32(v.cast_unsigned()), raw => raw.u32().cast_signed();
    u32: ValType::I32, v => RawVal::from_u32(v), raw => raw.u32();
    i64: ValType::I64, v => RawVal::from_u64(v.cast_unsigned()), raw => raw.u64().cast_signed();
    u64: ValType::I64, v => RawVal::from_u64(v), raw => raw.u64();
    f32: ValType::F32, v => RawVal::from_u32(v.to_bits()), raw => f32::from_bits(raw.u32());
    f64: ValType::F64, v => RawVal::from_u64(v.to_bits()), raw => f64::from_bits(raw.u64());
    u128: ValType::V128, v => RawVal::from_v128(v), raw => raw.v128();
}

impl Convert for Option<Func> {
    const TYPE: ValType = ValType::FUNCREF;
    fn into_raw(self, store: &mut StoreInner) -> Result<RawVal> {
        Func::to_raw(self, store)
    }
    fn from_raw(raw: RawVal, store: &StoreInner) -> Self {
        Func::from_raw(raw, store)
    }
}

impl WasmTy for Option<Func> {}

impl Convert for Option<ExternRef> {
    const TYPE: ValType = ValType::EXTERNREF;
    fn into_raw(self, store: &mut StoreInner) -> Result<RawVal> {
        ExternRef::to_raw(self, store)
    }
    fn from_raw(raw: RawVal, store: &StoreInner) -> Self {
        ExternRef::from_raw(raw, store)
    }
}

impl WasmTy for Option<ExternRef> {}

impl<A: WasmTy> ConvertList for A {
    type Raw = [RawVal; 1];
    const TYPES: &'static [ValType] = &[A::TYPE];
    fn write(self, store: &mut StoreInner, raw: &mut [RawVal]) -> Result<()> {
        raw[0] = self.into_raw(store)?;
        Ok(())
    }
    fn read(raw: &[RawVal], store: &StoreInner) -> Self {
        A::from_raw(raw[0], store)
    }
}

impl<A: WasmTy> WasmParams for A {}
impl<A: WasmTy> WasmResults for A {}

macro_rules! tuples {
    ($($count:literal: $($name:ident $index:tt),*;)*) => {
        $(
            impl<$($name: WasmTy),*> ConvertList for ($($name,)*) {
                type Raw = [RawVal; $count];
                const TYPES: &'static [ValType] = &[$($name::TYPE),*];
                #[allow(unused_variables, reason = "the empty tuple converts nothing")]
                fn write(self, store: &mut StoreInner, raw: &mut [RawVal]) -> Result<()> {
                    $( raw[$index] = self.$index.into_raw(store)?; )*
                    Ok(())
                }
                #[allow(unused_variables, clippy::unused_unit, reason = "the empty tuple converts nothing")]
                fn read(raw: &[RawVal], store: &StoreInner) -> Self {
                    ($( $name::from_raw(raw[$index], store), )*)
                }
            }
            impl<$($name: WasmTy),*> WasmParams for ($($name,)*) {}
            impl<$($name: WasmTy),*> WasmResults for ($($name,)*) {}
        )*
    };
}

tuples! {
    0: ;
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    9: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
    10: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9;
    11: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10;
    12: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11;
    13: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12;
    14: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13;
    15: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14;
    16: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15;
}

/// A function whose type was checked once, so that calls need no checks and no allocation.
///
/// Made by [`Func::typed`] and [`Instance::get_typed_func`](crate::Instance::get_typed_func).
///
/// ```
/// use upshift::{Engine, Func, Store, TypedFunc};
///
/// # fn main() -> upshift::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let swap = Func::wrap(&mut store, |a: i32, b: f64| (b, a));
/// let swap: TypedFunc<(i32, f64), (f64, i32)> = swap.typed(&store)?;
/// assert_eq!(swap.call(&mut store, (1, 2.5))?, (2.5, 1));
/// # Ok(())
/// # }
/// ```
pub struct TypedFunc<P, R> {
    func: Func,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedFunc<P, R> {}

impl<P, R> fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedFunc").field(&self.func).finish()
    }
}

impl<P: WasmParams, R: WasmResults> TypedFunc<P, R> {
    /// Checks the type.
    pub(crate) fn new(func: Func, ty: &FuncType) -> Result<Self> {
        if ty.0.params() != P::TYPES || ty.0.results() != R::TYPES {
            let expected =
                upshift_module::FuncType::new(P::TYPES.iter().copied(), R::TYPES.iter().copied());
            return Err(Error::with_kind(
                ErrorKind::Type,
                format!("expected a function of type {expected}, found one of type {ty}"),
            ));
        }
        Ok(Self {
            func,
            types: PhantomData,
        })
    }

    /// The function.
    #[must_use]
    pub fn func(&self) -> &Func {
        &self.func
    }

    /// Calls the function.
    ///
    /// # Errors
    /// A trap, an error of a host function, or a function or parameter of another store.
    ///
    /// # Panics
    /// If a host function that the guest calls panics: with the same payload.
    pub fn call(&self, mut store: impl AsContextMut, params: P) -> Result<R> {
        let mut context = store.as_context_mut();
        let mut args = P::Raw::default();
        let mut results = R::Raw::default();
        params.write(context.inner_mut(), args.as_mut())?;
        shim::call(&mut context, self.func, args.as_ref(), results.as_mut())?;
        Ok(R::read(results.as_ref(), context.inner()))
    }
}
