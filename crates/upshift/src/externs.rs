//! What instances export and import: [`Extern`] and [`Export`].

use crate::func::Func;
use crate::global::Global;
use crate::memory::Memory;
use crate::store::AsContext;
use crate::table::Table;
use crate::types::ExternType;
use upshift_runtime::ExternHandle;

/// A function, global, table or memory of a store.
#[derive(Clone, Copy, Debug)]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A global.
    Global(Global),
    /// A table.
    Table(Table),
    /// A memory.
    Memory(Memory),
}

impl Extern {
    /// The function, if it is one.
    #[must_use]
    pub fn into_func(self) -> Option<Func> {
        if let Self::Func(func) = self {
            Some(func)
        } else {
            None
        }
    }

    /// The global, if it is one.
    #[must_use]
    pub fn into_global(self) -> Option<Global> {
        if let Self::Global(global) = self {
            Some(global)
        } else {
            None
        }
    }

    /// The table, if it is one.
    #[must_use]
    pub fn into_table(self) -> Option<Table> {
        if let Self::Table(table) = self {
            Some(table)
        } else {
            None
        }
    }

    /// The memory, if it is one.
    #[must_use]
    pub fn into_memory(self) -> Option<Memory> {
        if let Self::Memory(memory) = self {
            Some(memory)
        } else {
            None
        }
    }

    /// Its type. Tables and memories have their current size as minimum.
    ///
    /// # Panics
    /// If it is of another store.
    #[must_use]
    pub fn ty(&self, store: impl AsContext) -> ExternType {
        match self {
            Self::Func(func) => ExternType::Func(func.ty(store)),
            Self::Global(global) => ExternType::Global(global.ty(store)),
            Self::Table(table) => ExternType::Table(table.ty(store)),
            Self::Memory(memory) => ExternType::Memory(memory.ty(store)),
        }
    }

    pub(crate) fn from_handle(handle: ExternHandle) -> Self {
        match handle {
            ExternHandle::Func(func) => Self::Func(Func(func)),
            ExternHandle::Global(global) => Self::Global(Global(global)),
            ExternHandle::Table(table) => Self::Table(Table(table)),
            ExternHandle::Memory(memory) => Self::Memory(Memory(memory)),
        }
    }

    pub(crate) fn handle(self) -> ExternHandle {
        match self {
            Self::Func(func) => ExternHandle::Func(func.0),
            Self::Global(global) => ExternHandle::Global(global.0),
            Self::Table(table) => ExternHandle::Table(table.0),
            Self::Memory(memory) => ExternHandle::Memory(memory.0),
        }
    }
}

macro_rules! from {
    ($($ty:ident)*) => {
        $(
            impl From<$ty> for Extern {
                fn from(item: $ty) -> Self {
                    Self::$ty(item)
                }
            }
        )*
    };
}

from!(Func Global Table Memory);

/// An export of an instance.
#[derive(Clone, Copy, Debug)]
pub struct Export<'i> {
    name: &'i str,
    item: Extern,
}

impl<'i> Export<'i> {
    pub(crate) fn new(name: &'i str, item: Extern) -> Self {
        Self { name, item }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'i str {
        self.name
    }

    /// What it is.
    #[must_use]
    pub fn into_extern(self) -> Extern {
        self.item
    }

    /// The function, if it is one.
    #[must_use]
    pub fn into_func(self) -> Option<Func> {
        self.item.into_func()
    }

    /// The memory, if it is one.
    #[must_use]
    pub fn into_memory(self) -> Option<Memory> {
        self.item.into_memory()
    }

    /// The table, if it is one.
    #[must_use]
    pub fn into_table(self) -> Option<Table> {
        self.item.into_table()
    }

    /// The global, if it is one.
    #[must_use]
    pub fn into_global(self) -> Option<Global> {
        self.item.into_global()
    }
}
