//! wasmparser's types to ours. `None` stands for a type of a proposal that is not enabled.

use wasmparser::{AbstractHeapType, HeapType as WpHeapType, MemArgTarget, RefType as WpRefType};

use crate::ops::{BlockType, BrTable, MemArg};
use crate::types::{
    FuncType, GlobalType, HeapType, MemoryIndex, MemoryType, RefType, TableType, TypeIndex, ValType,
};

/// A value type.
#[inline]
pub(crate) fn val_type(ty: wasmparser::ValType) -> Option<ValType> {
    Some(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(ty) => ValType::Ref(ref_type(ty)?),
    })
}

/// A reference type.
pub(crate) fn ref_type(ty: WpRefType) -> Option<RefType> {
    Some(RefType {
        nullable: ty.is_nullable(),
        heap: heap_type(ty.heap_type())?,
    })
}

/// A heap type.
pub(crate) fn heap_type(ty: WpHeapType) -> Option<HeapType> {
    if ty == FUNC {
        Some(HeapType::Func)
    } else if ty == EXTERN {
        Some(HeapType::Extern)
    } else {
        None
    }
}

const FUNC: WpHeapType = WpHeapType::Abstract {
    shared: false,
    ty: AbstractHeapType::Func,
};
const EXTERN: WpHeapType = WpHeapType::Abstract {
    shared: false,
    ty: AbstractHeapType::Extern,
};

/// A block type.
#[inline]
pub(crate) fn block_type(ty: wasmparser::BlockType) -> Option<BlockType> {
    Some(match ty {
        wasmparser::BlockType::Empty => BlockType::Empty,
        wasmparser::BlockType::Type(ty) => BlockType::Value(val_type(ty)?),
        wasmparser::BlockType::FuncType(index) => BlockType::Func(TypeIndex(index)),
    })
}

/// The immediate of a load or store.
#[inline]
pub(crate) fn mem_arg(arg: wasmparser::MemArg) -> Option<MemArg> {
    match arg.target {
        MemArgTarget::Memory(memory) => Some(MemArg {
            offset: arg.offset,
            memory: MemoryIndex(memory),
        }),
        MemArgTarget::Array(_) => None,
    }
}

/// A function type.
pub(crate) fn func_type(ty: &wasmparser::FuncType) -> Option<FuncType> {
    let list = |types: &[wasmparser::ValType]| -> Option<Vec<ValType>> {
        types.iter().map(|ty| val_type(*ty)).collect()
    };
    Some(FuncType::new(list(ty.params())?, list(ty.results())?))
}

/// A table type.
pub(crate) fn table_type(ty: wasmparser::TableType) -> Option<TableType> {
    Some(TableType {
        element: ref_type(ty.element_type)?,
        minimum: ty.initial,
        maximum: ty.maximum,
    })
}

/// A memory type.
pub(crate) fn memory_type(ty: wasmparser::MemoryType) -> MemoryType {
    MemoryType {
        minimum: ty.initial,
        maximum: ty.maximum,
        memory64: ty.memory64,
        shared: ty.shared,
    }
}

/// A global type.
pub(crate) fn global_type(ty: wasmparser::GlobalType) -> Option<GlobalType> {
    Some(GlobalType {
        content: val_type(ty.content_type)?,
        mutable: ty.mutable,
    })
}

/// An immediate of an operator as wasmparser decodes it.
pub(crate) trait Immediate {
    /// Ours.
    type Ours;

    fn ours(self) -> Option<Self::Ours>;
}

macro_rules! immediates {
    ($($from:ty => $to:ty: |$value:ident| $ours:expr,)*) => {
        $(impl<'a> Immediate for $from {
            type Ours = $to;

            #[inline(always)]
            fn ours(self) -> Option<$to> {
                let $value = self;
                $ours
            }
        })*
    };
}

immediates! {
    u32 => u32: |value| Some(value),
    i32 => i32: |value| Some(value),
    i64 => i64: |value| Some(value),
    wasmparser::Ieee32 => u32: |value| Some(value.bits()),
    wasmparser::Ieee64 => u64: |value| Some(value.bits()),
    wasmparser::BlockType => BlockType: |ty| block_type(ty),
    wasmparser::MemArg => MemArg: |arg| mem_arg(arg),
    wasmparser::ValType => ValType: |ty| val_type(ty),
    WpHeapType => HeapType: |heap| heap_type(heap),
    wasmparser::BrTable<'a> => BrTable<'a>: |table| Some(BrTable { inner: table }),
}
