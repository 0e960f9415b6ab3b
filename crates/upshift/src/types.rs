//! The types of what modules import and export, and of values.

use crate::engine::Engine;
use std::fmt;
use upshift_module as m;
pub use upshift_module::{HeapType, RefType, ValType};

/// Whether a global can be assigned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mutability {
    /// It cannot.
    Const,
    /// It can.
    Var,
}

/// Type of a function.
///
/// ```
/// use upshift::{Engine, FuncType, ValType};
///
/// let ty = FuncType::new(&Engine::default(), [ValType::I32, ValType::F64], [ValType::I64]);
/// assert_eq!(ty.params().len(), 2);
/// assert_eq!(ty.results().next(), Some(ValType::I64));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FuncType(pub(crate) m::FuncType);

impl FuncType {
    /// A type with these parameters and results. Types belong to no engine here; the parameter
    /// keeps the shape that embedders know.
    #[must_use]
    pub fn new(
        _engine: &Engine,
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> Self {
        Self(m::FuncType::new(params, results))
    }

    /// Types of the parameters.
    pub fn params(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        self.0.params().iter().copied()
    }

    /// Types of the results.
    pub fn results(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        self.0.results().iter().copied()
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Type of a global.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GlobalType(pub(crate) m::GlobalType);

impl GlobalType {
    /// A global of this content.
    #[must_use]
    pub fn new(content: ValType, mutability: Mutability) -> Self {
        Self(m::GlobalType {
            content,
            mutable: mutability == Mutability::Var,
        })
    }

    /// Type of its value.
    #[must_use]
    pub fn content(&self) -> ValType {
        self.0.content
    }

    /// Whether it can be assigned.
    #[must_use]
    pub fn mutability(&self) -> Mutability {
        if self.0.mutable {
            Mutability::Var
        } else {
            Mutability::Const
        }
    }
}

impl fmt::Display for GlobalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mutability = if self.0.mutable { "mut " } else { "" };
        write!(f, "{mutability}{}", self.0.content)
    }
}

/// Type of a memory; sizes in pages of 64 KiB.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MemoryType(pub(crate) m::MemoryType);

impl MemoryType {
    /// A memory with 32-bit addresses. Sizes in pages.
    #[must_use]
    pub fn new(minimum: u32, maximum: Option<u32>) -> Self {
        Self(m::MemoryType {
            minimum: minimum.into(),
            maximum: maximum.map(u64::from),
            memory64: false,
            shared: false,
        })
    }

    /// Initial size in pages.
    #[must_use]
    pub fn minimum(&self) -> u64 {
        self.0.minimum
    }

    /// Greatest size in pages, if bounded.
    #[must_use]
    pub fn maximum(&self) -> Option<u64> {
        self.0.maximum
    }

    /// Whether addresses are 64-bit.
    #[must_use]
    pub fn is_64(&self) -> bool {
        self.0.memory64
    }

    /// Whether threads may share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.shared
    }
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = if self.0.memory64 { "i64 " } else { "" };
        write!(f, "{address}{}", self.0.minimum)?;
        if let Some(maximum) = self.0.maximum {
            write!(f, " {maximum}")?;
        }
        if self.0.shared {
            f.write_str(" shared")?;
        }
        Ok(())
    }
}

/// Type of a table; sizes in elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TableType(pub(crate) m::TableType);

impl TableType {
    /// A table of these elements. Sizes in elements.
    #[must_use]
    pub fn new(element: RefType, minimum: u32, maximum: Option<u32>) -> Self {
        Self(m::TableType {
            element,
            minimum: minimum.into(),
            maximum: maximum.map(u64::from),
        })
    }

    /// Type of the elements.
    #[must_use]
    pub fn element(&self) -> RefType {
        self.0.element
    }

    /// Initial size in elements.
    #[must_use]
    pub fn minimum(&self) -> u64 {
        self.0.minimum
    }

    /// Greatest size in elements, if bounded.
    #[must_use]
    pub fn maximum(&self) -> Option<u64> {
        self.0.maximum
    }
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.minimum)?;
        if let Some(maximum) = self.0.maximum {
            write!(f, " {maximum}")?;
        }
        write!(f, " {}", self.0.element)
    }
}

/// Type of an import or export.
///
/// ```
/// use upshift::{Engine, Module};
///
/// # fn main() -> upshift::Result<()> {
/// let module = Module::new(&Engine::default(), r#"(module (import "env" "memory" (memory 1 2)))"#)?;
/// let needs: Vec<String> = module.imports().map(|i| format!("{}.{}: {}", i.module(), i.name(), i.ty())).collect();
/// assert_eq!(needs, ["env.memory: memory 1 2"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A global.
    Global(GlobalType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
}

impl ExternType {
    /// The function type, if it is one.
    #[must_use]
    pub fn func(&self) -> Option<&FuncType> {
        match self {
            Self::Func(ty) => Some(ty),
            Self::Global(_) | Self::Table(_) | Self::Memory(_) => None,
        }
    }

    pub(crate) fn of_import(env: &m::ModuleEnv, ty: m::EntityType) -> Self {
        match ty {
            m::EntityType::Func(ty) => Self::Func(FuncType(env.ty(ty).clone())),
            m::EntityType::Table(ty) => Self::Table(TableType(ty)),
            m::EntityType::Memory(ty) => Self::Memory(MemoryType(ty)),
            m::EntityType::Global(ty) => Self::Global(GlobalType(ty)),
        }
    }

    pub(crate) fn of_export(env: &m::ModuleEnv, item: m::ExportItem) -> Self {
        match item {
            m::ExportItem::Func(i) => Self::Func(FuncType(env.func_type(i).clone())),
            m::ExportItem::Table(i) => Self::Table(TableType(env.tables[i.0 as usize])),
            m::ExportItem::Memory(i) => Self::Memory(MemoryType(env.memories[i.0 as usize])),
            m::ExportItem::Global(i) => Self::Global(GlobalType(env.globals[i.0 as usize])),
        }
    }
}

impl fmt::Display for ExternType {
    /// Shape: `func (i32) -> ()`, `memory 1 2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Func(ty) => write!(f, "func {ty}"),
            Self::Global(ty) => write!(f, "global {ty}"),
            Self::Table(ty) => write!(f, "table {ty}"),
            Self::Memory(ty) => write!(f, "memory {ty}"),
        }
    }
}

/// An import of a module.
#[derive(Clone, Copy, Debug)]
pub struct ImportType<'m> {
    pub(crate) env: &'m m::ModuleEnv,
    pub(crate) import: &'m m::Import,
}

impl<'m> ImportType<'m> {
    /// Name of the module it is imported from.
    #[must_use]
    pub fn module(&self) -> &'m str {
        &self.import.module
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &'m str {
        &self.import.name
    }

    /// What it must be.
    #[must_use]
    pub fn ty(&self) -> ExternType {
        ExternType::of_import(self.env, self.import.ty)
    }
}

/// An export of a module.
#[derive(Clone, Copy, Debug)]
pub struct ExportType<'m> {
    pub(crate) env: &'m m::ModuleEnv,
    pub(crate) export: &'m m::Export,
}

impl<'m> ExportType<'m> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'m str {
        &self.export.name
    }

    /// What it is.
    #[must_use]
    pub fn ty(&self) -> ExternType {
        ExternType::of_export(self.env, self.export.item)
    }
}
