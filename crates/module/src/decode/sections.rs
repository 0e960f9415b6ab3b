//! Sections to declarations: each function adds one section to the [`ModuleEnv`].
//!
//! Each section goes through the same steps in [`accept`]: limit, decoding, validation; the functions here then
//! only translate what is known to be valid.

use wasmparser::{
    CompositeInnerType, DataKind, ElementItems as WpItems, ElementKind, ExternalKind, FromReader,
    Imports, SectionLimited, TableInit, TypeRef,
};

use super::const_expr;
use crate::convert;
use crate::env::{
    ConstExpr, ConstInst, DataMode, DataSegment, ElementItems, ElementMode, ElementSegment,
    EntityType, Export, ExportItem, Import, ModuleEnv,
};
use crate::error::{ModuleError, Result};
use crate::limits;
use crate::types::{FuncIndex, GlobalIndex, MemoryIndex, TableIndex, TableType, TypeIndex};

/// Steps that all sections share: limit on the number of entries, decoding of all of them, validation.
///
/// The validator decodes as it goes. Only if it refuses the section do we look whether an entry after the one that
/// it refused does not even decode: malformed comes before invalid.
pub(super) fn accept<'a, T: FromReader<'a>>(
    section: &SectionLimited<'a, T>,
    (what, max): (&str, u32),
    validate: impl FnOnce(&SectionLimited<'a, T>) -> wasmparser::Result<()>,
) -> Result<()> {
    if section.count() > max {
        return Err(ModuleError::limit(
            usize::try_from(section.range().start).unwrap_or(usize::MAX),
            what,
            section.count().into(),
            max.into(),
        ));
    }
    let Err(invalid) = validate(section) else {
        return Ok(());
    };
    for entry in section.clone() {
        entry.map_err(|error| ModuleError::malformed(&error))?;
    }
    Err(ModuleError::invalid(&invalid))
}

/// Entries of an accepted section with their offsets in bytes.
fn entries<'a, T: FromReader<'a>>(
    section: SectionLimited<'a, T>,
) -> impl Iterator<Item = Result<(usize, T)>> {
    section.into_iter_with_offsets().map(|entry| {
        let (offset, value) = entry.map_err(|error| ModuleError::malformed(&error))?;
        Ok((usize::try_from(offset).unwrap_or(usize::MAX), value))
    })
}

fn later_type(offset: usize) -> ModuleError {
    ModuleError::unsupported(offset, "a type of a later proposal is")
}

pub(super) fn types(env: &mut ModuleEnv, section: wasmparser::TypeSectionReader<'_>) -> Result<()> {
    for entry in entries(section) {
        let (offset, group) = entry?;
        for ty in group.into_types() {
            let CompositeInnerType::Func(ty) = &ty.composite_type.inner else {
                return Err(later_type(offset));
            };
            check_arity(offset, ty)?;
            env.types
                .push(convert::func_type(ty).ok_or_else(|| later_type(offset))?);
        }
    }
    Ok(())
}

fn check_arity(offset: usize, ty: &wasmparser::FuncType) -> Result<()> {
    for (what, found, max) in [
        ("parameters", ty.params().len(), limits::PARAMS_MAX),
        ("results", ty.results().len(), limits::RESULTS_MAX),
    ] {
        if found > max {
            return Err(ModuleError::limit(offset, what, found as u64, max as u64));
        }
    }
    Ok(())
}

pub(super) fn imports(
    env: &mut ModuleEnv,
    section: wasmparser::ImportSectionReader<'_>,
) -> Result<()> {
    for entry in entries(section) {
        let (offset, Imports::Single(_, import)) = entry? else {
            return Err(ModuleError::unsupported(0, "compact imports are"));
        };
        let ty = import_type(offset, import.ty)?;
        match ty {
            EntityType::Func(ty) => env.funcs.push(ty),
            EntityType::Table(ty) => env.tables.push(ty),
            EntityType::Memory(ty) => env.memories.push(ty),
            EntityType::Global(ty) => env.globals.push(ty),
        }
        env.imports.push(Import {
            module: import.module.into(),
            name: import.name.into(),
            ty,
        });
    }
    env.imported_funcs = count(env.funcs.len());
    env.imported_tables = count(env.tables.len());
    env.imported_memories = count(env.memories.len());
    env.imported_globals = count(env.globals.len());
    Ok(())
}

fn import_type(offset: usize, ty: TypeRef) -> Result<EntityType> {
    let later = || later_type(offset);
    Ok(match ty {
        TypeRef::Func(ty) => EntityType::Func(TypeIndex(ty)),
        TypeRef::Table(ty) => EntityType::Table(table_type(offset, ty)?),
        TypeRef::Memory(ty) => EntityType::Memory(convert::memory_type(ty)),
        TypeRef::Global(ty) => EntityType::Global(convert::global_type(ty).ok_or_else(later)?),
        TypeRef::Tag(_) => return Err(ModuleError::unsupported(offset, "exception handling is")),
        TypeRef::FuncExact(_) => return Err(later()),
    })
}

fn table_type(offset: usize, ty: wasmparser::TableType) -> Result<TableType> {
    let max = limits::TABLE_ELEMENTS_MAX.into();
    if ty.initial > max {
        return Err(ModuleError::limit(
            offset,
            "elements of a table",
            ty.initial,
            max,
        ));
    }
    convert::table_type(ty).ok_or_else(|| later_type(offset))
}

/// Lengths of index spaces are at most a million.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

pub(super) fn functions(
    env: &mut ModuleEnv,
    section: wasmparser::FunctionSectionReader<'_>,
) -> Result<()> {
    for entry in entries(section) {
        env.funcs.push(TypeIndex(entry?.1));
    }
    Ok(())
}

pub(super) fn tables(
    env: &mut ModuleEnv,
    section: wasmparser::TableSectionReader<'_>,
) -> Result<()> {
    for entry in entries(section) {
        let (offset, table) = entry?;
        env.tables.push(table_type(offset, table.ty)?);
        env.table_inits.push(match table.init {
            TableInit::RefNull => ConstExpr::new(),
            TableInit::Expr(expr) => const_expr::decode(&expr)?,
        });
    }
    Ok(())
}

pub(super) fn memories(
    env: &mut ModuleEnv,
    section: wasmparser::MemorySectionReader<'_>,
) -> Result<()> {
    for entry in entries(section) {
        env.memories.push(convert::memory_type(entry?.1));
    }
    Ok(())
}

pub(super) fn globals(
    env: &mut ModuleEnv,
    section: wasmparser::GlobalSectionReader<'_>,
) -> Result<()> {
    for entry in entries(section) {
        let (offset, global) = entry?;
        let ty = convert::global_type(global.ty).ok_or_else(|| later_type(offset))?;
        let init = const_expr::decode(&global.init_expr)?;
        declare(&mut env.declared_funcs, &init);
        env.globals.push(ty);
        env.global_inits.push(init);
    }
    Ok(())
}

pub(super) fn exports(
    env: &mut ModuleEnv,
    section: wasmparser::ExportSectionReader<'_>,
) -> Result<()> {
    for entry in entries(section) {
        let (offset, export) = entry?;
        let item = match export.kind {
            ExternalKind::Func => {
                env.declared_funcs.push(FuncIndex(export.index));
                ExportItem::Func(FuncIndex(export.index))
            }
            ExternalKind::Table => ExportItem::Table(TableIndex(export.index)),
            ExternalKind::Memory => ExportItem::Memory(MemoryIndex(export.index)),
            ExternalKind::Global => ExportItem::Global(GlobalIndex(export.index)),
            ExternalKind::Tag | ExternalKind::FuncExact => return Err(later_type(offset)),
        };
        env.exports.push(Export {
            name: export.name.into(),
            item,
        });
    }
    Ok(())
}

pub(super) fn elements(
    env: &mut ModuleEnv,
    section: wasmparser::ElementSectionReader<'_>,
) -> Result<()> {
    for entry in entries(section) {
        let (offset, segment) = entry?;
        let mode = match segment.kind {
            ElementKind::Passive => ElementMode::Passive,
            ElementKind::Declared => ElementMode::Declared,
            ElementKind::Active {
                table_index,
                offset_expr,
            } => ElementMode::Active {
                table: TableIndex(table_index.unwrap_or(0)),
                offset: const_expr::decode(&offset_expr)?,
            },
        };
        let (element, items) = match segment.items {
            WpItems::Functions(section) => {
                (crate::RefType::FUNCREF, func_items(env, offset, section)?)
            }
            WpItems::Expressions(ty, section) => (
                convert::ref_type(ty).ok_or_else(|| later_type(offset))?,
                expr_items(env, offset, section)?,
            ),
        };
        env.elements.push(ElementSegment {
            element,
            mode,
            items,
        });
    }
    Ok(())
}

fn check_items(offset: usize, count: u32) -> Result<()> {
    let max = limits::TABLE_ELEMENTS_MAX;
    if count > max {
        return Err(ModuleError::limit(
            offset,
            "elements of a segment",
            count.into(),
            max.into(),
        ));
    }
    Ok(())
}

fn func_items(
    env: &mut ModuleEnv,
    offset: usize,
    section: SectionLimited<'_, u32>,
) -> Result<ElementItems> {
    check_items(offset, section.count())?;
    let funcs = entries(section)
        .map(|entry| Ok(FuncIndex(entry?.1)))
        .collect::<Result<Box<[_]>>>()?;
    env.declared_funcs.extend_from_slice(&funcs);
    Ok(ElementItems::Funcs(funcs))
}

fn expr_items(
    env: &mut ModuleEnv,
    offset: usize,
    section: SectionLimited<'_, wasmparser::ConstExpr<'_>>,
) -> Result<ElementItems> {
    check_items(offset, section.count())?;
    let mut exprs = Vec::new();
    for entry in entries(section) {
        let expr = const_expr::decode(&entry?.1)?;
        declare(&mut env.declared_funcs, &expr);
        exprs.push(expr);
    }
    Ok(ElementItems::Exprs(exprs.into()))
}

/// Notes the functions that an expression refers to.
fn declare(declared: &mut Vec<FuncIndex>, expr: &ConstExpr) {
    declared.extend(expr.iter().filter_map(|inst| match inst {
        ConstInst::RefFunc(func) => Some(*func),
        ConstInst::I32(_)
        | ConstInst::I64(_)
        | ConstInst::F32(_)
        | ConstInst::F64(_)
        | ConstInst::RefNull(_)
        | ConstInst::GlobalGet(_)
        | ConstInst::I32Add
        | ConstInst::I32Sub
        | ConstInst::I32Mul
        | ConstInst::I64Add
        | ConstInst::I64Sub
        | ConstInst::I64Mul => None,
    }));
}

pub(super) fn data(
    segments: &mut Vec<DataSegment>,
    section: wasmparser::DataSectionReader<'_>,
) -> Result<()> {
    for entry in entries(section) {
        let (_, segment) = entry?;
        let mode = match segment.kind {
            DataKind::Passive => DataMode::Passive,
            DataKind::Active {
                memory_index,
                offset_expr,
            } => DataMode::Active {
                memory: MemoryIndex(memory_index),
                offset: const_expr::decode(&offset_expr)?,
            },
        };
        let end = usize::try_from(segment.range.end).unwrap_or(usize::MAX);
        segments.push(DataSegment {
            mode,
            bytes: end.saturating_sub(segment.data.len())..end,
        });
    }
    Ok(())
}
