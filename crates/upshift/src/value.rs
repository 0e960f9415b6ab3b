//! Values: [`Val`] and [`Ref`].

use crate::error::{Error, ErrorKind, Result};
use crate::externref::ExternRef;
use crate::func::Func;
use crate::types::{HeapType, RefType, ValType};
use upshift_runtime::{RawVal, StoreInner};

/// A value of the guest. Floats are carried by their bits, so that no NaN changes on the way.
///
/// ```
/// use upshift::{Val, ValType};
///
/// let val = Val::from(1.5_f32);
/// assert_eq!(val.ty(), ValType::F32);
/// assert_eq!(val.f32(), Some(1.5));
/// assert_eq!(val.i32(), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Val {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Bits of a single.
    F32(u32),
    /// Bits of a double.
    F64(u64),
    /// 128-bit vector; byte 0 of the little-endian representation is lane 0.
    V128(u128),
    /// A function or null.
    FuncRef(Option<Func>),
    /// A host value or null.
    ExternRef(Option<ExternRef>),
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident, $variant:ident($binding:ident) -> $ty:ty, $value:expr;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> Option<$ty> {
                if let Self::$variant($binding) = *self { Some($value) } else { None }
            }
        )*
    };
}

impl Val {
    /// Its type.
    #[must_use]
    pub fn ty(&self) -> ValType {
        match self {
            Self::I32(_) => ValType::I32,
            Self::I64(_) => ValType::I64,
            Self::F32(_) => ValType::F32,
            Self::F64(_) => ValType::F64,
            Self::V128(_) => ValType::V128,
            Self::FuncRef(_) => ValType::FUNCREF,
            Self::ExternRef(_) => ValType::EXTERNREF,
        }
    }

    /// Zero or null of a type; none for a reference type without null.
    #[must_use]
    pub fn default_for_ty(ty: ValType) -> Option<Self> {
        match ty {
            ValType::I32 => Some(Self::I32(0)),
            ValType::I64 => Some(Self::I64(0)),
            ValType::F32 => Some(Self::F32(0)),
            ValType::F64 => Some(Self::F64(0)),
            ValType::V128 => Some(Self::V128(0)),
            ValType::Ref(ty) => ty.nullable.then(|| Ref::null(ty.heap).into()),
        }
    }

    accessors! {
        /// The number, if it is an i32.
        i32, I32(v) -> i32, v;
        /// The number, if it is an i64.
        i64, I64(v) -> i64, v;
        /// The number, if it is an f32.
        f32, F32(v) -> f32, f32::from_bits(v);
        /// The number, if it is an f64.
        f64, F64(v) -> f64, f64::from_bits(v);
        /// The vector, if it is a v128.
        v128, V128(v) -> u128, v;
        /// The function or null, if it is a funcref.
        func_ref, FuncRef(v) -> Option<Func>, v;
        /// The host value or null, if it is an externref.
        extern_ref, ExternRef(v) -> Option<ExternRef>, v;
    }

    /// The number.
    ///
    /// # Panics
    /// If it is not an i32.
    #[must_use]
    pub fn unwrap_i32(&self) -> i32 {
        self.i32().expect("an i32")
    }

    /// The number.
    ///
    /// # Panics
    /// If it is not an i64.
    #[must_use]
    pub fn unwrap_i64(&self) -> i64 {
        self.i64().expect("an i64")
    }

    /// The number.
    ///
    /// # Panics
    /// If it is not an f32.
    #[must_use]
    pub fn unwrap_f32(&self) -> f32 {
        self.f32().expect("an f32")
    }

    /// The number.
    ///
    /// # Panics
    /// If it is not an f64.
    #[must_use]
    pub fn unwrap_f64(&self) -> f64 {
        self.f64().expect("an f64")
    }

    /// Whether the value is one of the type.
    fn belongs_to(&self, ty: ValType) -> bool {
        match (self, ty) {
            (Self::FuncRef(v), ValType::Ref(ty)) => {
                ty.heap == HeapType::Func && (ty.nullable || v.is_some())
            }
            (Self::ExternRef(v), ValType::Ref(ty)) => {
                ty.heap == HeapType::Extern && (ty.nullable || v.is_some())
            }
            _ => self.ty() == ty,
        }
    }

    /// The value for generated code, if it is of the type and of the store; `what` names it in the error.
    pub(crate) fn to_raw(self, store: &mut StoreInner, ty: ValType, what: &str) -> Result<RawVal> {
        if !self.belongs_to(ty) {
            return Err(Error::with_kind(
                ErrorKind::Type,
                format!(
                    "expected {what} of type {ty}, found one of type {}",
                    self.ty()
                ),
            ));
        }
        Ok(match self {
            Self::I32(v) => RawVal::from_u32(v.cast_unsigned()),
            Self::I64(v) => RawVal::from_u64(v.cast_unsigned()),
            Self::F32(bits) => RawVal::from_u32(bits),
            Self::F64(bits) => RawVal::from_u64(bits),
            Self::V128(bits) => RawVal::from_v128(bits),
            Self::FuncRef(func) => Func::to_raw(func, store)?,
            Self::ExternRef(value) => ExternRef::to_raw(value, store)?,
        })
    }

    /// The value that generated code left.
    pub(crate) fn from_raw(raw: RawVal, store: &StoreInner, ty: ValType) -> Self {
        match ty {
            ValType::I32 => Self::I32(raw.u32().cast_signed()),
            ValType::I64 => Self::I64(raw.u64().cast_signed()),
            ValType::F32 => Self::F32(raw.u32()),
            ValType::F64 => Self::F64(raw.u64()),
            ValType::V128 => Self::V128(raw.v128()),
            ValType::Ref(RefType {
                heap: HeapType::Func,
                ..
            }) => Self::FuncRef(Func::from_raw(raw, store)),
            ValType::Ref(RefType {
                heap: HeapType::Extern,
                ..
            }) => Self::ExternRef(ExternRef::from_raw(raw, store)),
        }
    }
}

macro_rules! from {
    ($($ty:ty, $v:ident => $value:expr;)*) => {
        $(
            impl From<$ty> for Val {
                fn from($v: $ty) -> Self {
                    $value
                }
            }
        )*
    };
}

from! {
    i32, v => Self::I32(v);
    u32, v => Self::I32(v.cast_signed());
    i64, v => Self::I64(v);
    u64, v => Self::I64(v.cast_signed());
    f32, v => Self::F32(v.to_bits());
    f64, v => Self::F64(v.to_bits());
    u128, v => Self::V128(v);
    Func, v => Self::FuncRef(Some(v));
    Option<Func>, v => Self::FuncRef(v);
    ExternRef, v => Self::ExternRef(Some(v));
    Option<ExternRef>, v => Self::ExternRef(v);
    Ref, v => match v {
        Ref::Func(v) => Self::FuncRef(v),
        Ref::Extern(v) => Self::ExternRef(v),
    };
}

/// A reference, as tables hold them.
#[derive(Clone, Copy, Debug)]
pub enum Ref {
    /// A function or null.
    Func(Option<Func>),
    /// A host value or null.
    Extern(Option<ExternRef>),
}

impl Ref {
    /// Null of a type.
    #[must_use]
    pub fn null(heap: HeapType) -> Self {
        match heap {
            HeapType::Func => Self::Func(None),
            HeapType::Extern => Self::Extern(None),
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Func(None) | Self::Extern(None))
    }

    /// The function or null, if it is a funcref.
    #[must_use]
    pub fn as_func(&self) -> Option<Option<Func>> {
        match self {
            Self::Func(func) => Some(*func),
            Self::Extern(_) => None,
        }
    }

    /// The host value or null, if it is an externref.
    #[must_use]
    pub fn as_extern(&self) -> Option<Option<ExternRef>> {
        match self {
            Self::Func(_) => None,
            Self::Extern(value) => Some(*value),
        }
    }

    pub(crate) fn of_val(val: Val) -> Option<Self> {
        match val {
            Val::FuncRef(func) => Some(Self::Func(func)),
            Val::ExternRef(value) => Some(Self::Extern(value)),
            Val::I32(_) | Val::I64(_) | Val::F32(_) | Val::F64(_) | Val::V128(_) => None,
        }
    }
}

impl From<Func> for Ref {
    fn from(func: Func) -> Self {
        Self::Func(Some(func))
    }
}

impl From<ExternRef> for Ref {
    fn from(value: ExternRef) -> Self {
        Self::Extern(Some(value))
    }
}
