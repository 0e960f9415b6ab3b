//! What a module declares outside its code: whole when the code section starts.
//!
//! [`ModuleEnv`] is immutable once made and is what both compilers see of a module; bodies compile
//! against it while later bytes still arrive. Index spaces list imports first (spec 2.5.1).

use crate::facts::Uses;
use crate::types::{
    DataIndex, ElemIndex, FuncIndex, FuncType, GlobalIndex, GlobalType, MemoryIndex, MemoryType,
    RefType, TableIndex, TableType, TypeIndex,
};

/// Everything a module declares before its code section.
#[derive(Debug, Default)]
pub struct ModuleEnv {
    /// The type section.
    pub types: Vec<FuncType>,
    /// Imports in order.
    pub imports: Vec<Import>,
    /// Type of every function, imports first.
    pub funcs: Vec<TypeIndex>,
    /// How many of `funcs` are imported.
    pub imported_funcs: u32,
    /// Every table, imports first.
    pub tables: Vec<TableType>,
    /// How many of `tables` are imported.
    pub imported_tables: u32,
    /// Initial value of each defined table's elements (null unless written).
    pub table_inits: Vec<ConstExpr>,
    /// Every memory, imports first.
    pub memories: Vec<MemoryType>,
    /// How many of `memories` are imported.
    pub imported_memories: u32,
    /// Every global, imports first.
    pub globals: Vec<GlobalType>,
    /// How many of `globals` are imported.
    pub imported_globals: u32,
    /// Initial value of each defined global.
    pub global_inits: Vec<ConstExpr>,
    /// Exports in order; names are unique.
    pub exports: Vec<Export>,
    /// The start function.
    pub start: Option<FuncIndex>,
    /// Element segments.
    pub elements: Vec<ElementSegment>,
    /// `DataCount`, if present: the number of data segments that code may name.
    pub data_count: Option<u32>,
    /// Functions that occur in `ref.func` outside bodies, in elements or exports, sorted (spec: `refs`).
    pub declared_funcs: Vec<FuncIndex>,
    /// What the values of each type are, so that the gatherer of facts notes a call in constant time.
    pub(crate) type_uses: Vec<Uses>,
}

impl ModuleEnv {
    /// The type of a function.
    ///
    /// # Panics
    /// If the index is out of the function index space.
    #[must_use]
    pub fn func_type(&self, func: FuncIndex) -> &FuncType {
        self.ty(self.funcs[func.0 as usize])
    }

    /// A type of the type section.
    ///
    /// # Panics
    /// If the index is out of bounds.
    #[must_use]
    pub fn ty(&self, ty: TypeIndex) -> &FuncType {
        &self.types[ty.0 as usize]
    }

    /// Whether the function is imported.
    #[must_use]
    pub fn is_imported_func(&self, func: FuncIndex) -> bool {
        func.0 < self.imported_funcs
    }

    /// Index among defined functions, or none for an import.
    #[must_use]
    pub fn defined_func(&self, func: FuncIndex) -> Option<u32> {
        func.0.checked_sub(self.imported_funcs)
    }

    /// Number of functions with a body.
    #[must_use]
    pub fn defined_func_count(&self) -> u32 {
        u32::try_from(self.funcs.len()).unwrap_or(u32::MAX) - self.imported_funcs
    }

    /// Index among defined tables, or none for an import.
    #[must_use]
    pub fn defined_table(&self, table: TableIndex) -> Option<u32> {
        table.0.checked_sub(self.imported_tables)
    }

    /// Index among defined memories, or none for an import.
    #[must_use]
    pub fn defined_memory(&self, memory: MemoryIndex) -> Option<u32> {
        memory.0.checked_sub(self.imported_memories)
    }

    /// Index among defined globals, or none for an import.
    #[must_use]
    pub fn defined_global(&self, global: GlobalIndex) -> Option<u32> {
        global.0.checked_sub(self.imported_globals)
    }
}

/// One import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Module name.
    pub module: Box<str>,
    /// Field name.
    pub name: Box<str>,
    /// What is asked for.
    pub ty: EntityType,
}

/// The type of an import.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntityType {
    /// A function of this type.
    Func(TypeIndex),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
}

/// One export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// Name, unique in the module.
    pub name: Box<str>,
    /// What is exported.
    pub item: ExportItem,
}

/// What an export names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportItem {
    /// A function.
    Func(FuncIndex),
    /// A table.
    Table(TableIndex),
    /// A memory.
    Memory(MemoryIndex),
    /// A global.
    Global(GlobalIndex),
}

/// One instruction of a constant expression (spec 3.3.10, with extended constants).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConstInst {
    /// Push an i32.
    I32(i32),
    /// Push an i64.
    I64(i64),
    /// Push an f32 by its bits.
    F32(u32),
    /// Push an f64 by its bits.
    F64(u64),
    /// Push a null reference.
    RefNull(RefType),
    /// Push a reference to a function.
    RefFunc(FuncIndex),
    /// Push an immutable global that is initialised earlier.
    GlobalGet(GlobalIndex),
    /// Wrapping i32 addition.
    I32Add,
    /// Wrapping i32 subtraction.
    I32Sub,
    /// Wrapping i32 multiplication.
    I32Mul,
    /// Wrapping i64 addition.
    I64Add,
    /// Wrapping i64 subtraction.
    I64Sub,
    /// Wrapping i64 multiplication.
    I64Mul,
}

/// A validated constant expression in postfix order; empty stands for null.
pub type ConstExpr = smallvec::SmallVec<[ConstInst; 1]>;

/// One element segment (spec 2.5.7).
#[derive(Clone, Debug)]
pub struct ElementSegment {
    /// Type of the elements.
    pub element: RefType,
    /// When and where it is copied.
    pub mode: ElementMode,
    /// The elements.
    pub items: ElementItems,
}

/// When and where an element segment is copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ElementMode {
    /// By `table.init`.
    Passive,
    /// At instantiation.
    Active {
        /// Destination.
        table: TableIndex,
        /// First index.
        offset: ConstExpr,
    },
    /// Never; only declares functions.
    Declared,
}

/// The elements of a segment.
#[derive(Clone, Debug)]
pub enum ElementItems {
    /// Function indices.
    Funcs(Box<[FuncIndex]>),
    /// Constant expressions.
    Exprs(Box<[ConstExpr]>),
}

impl ElementItems {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Funcs(items) => items.len(),
            Self::Exprs(items) => items.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One data segment (spec 2.5.8): a range of the module's bytes.
#[derive(Clone, Debug)]
pub struct DataSegment {
    /// When and where it is copied.
    pub mode: DataMode,
    /// Where its bytes are in the module, as byte offsets.
    pub bytes: std::ops::Range<usize>,
}

/// When and where a data segment is copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataMode {
    /// By `memory.init`.
    Passive,
    /// At instantiation.
    Active {
        /// Destination.
        memory: MemoryIndex,
        /// First address.
        offset: ConstExpr,
    },
}

/// Names a segment in an error message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentIndex {
    /// An element segment.
    Elem(ElemIndex),
    /// A data segment.
    Data(DataIndex),
}
