//! Import matching (spec 3.2.10): all mismatches at once, each with both types.

use super::InstantiateError;
use crate::error::RuntimeError;
use crate::loaded::LoadedModule;
use crate::store::StoreInner;
use crate::store::handles::ExternHandle;
use std::fmt::Write as _;
use upshift_module::{
    EntityType, FuncType, GlobalType, Import, MemoryType, ModuleEnv, RefType, TableType, ValType,
};

/// The type of an import or of what is given for it.
enum Extern<'a> {
    Func(&'a FuncType),
    Table(TableType),
    Memory(MemoryType),
    Global(GlobalType),
}

impl std::fmt::Display for Extern<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Func(ty) => write!(f, "func {ty}"),
            Self::Table(ty) => {
                write!(f, "table {}..", ty.minimum)?;
                ty.maximum.map_or(Ok(()), |max| write!(f, "{max}"))?;
                write!(f, " {}", ty.element)
            }
            Self::Memory(ty) => {
                let width = if ty.memory64 { "i64 " } else { "" };
                write!(f, "memory {width}{}..", ty.minimum)?;
                ty.maximum.map_or(Ok(()), |max| write!(f, "{max}"))?;
                f.write_str(if ty.shared { " shared" } else { "" })
            }
            Self::Global(ty) => {
                let mutable = if ty.mutable { "mut " } else { "" };
                write!(f, "global {mutable}{}", ty.content)
            }
        }
    }
}

fn expected<'a>(env: &'a ModuleEnv, ty: &EntityType) -> Extern<'a> {
    match ty {
        EntityType::Func(ty) => Extern::Func(env.ty(*ty)),
        EntityType::Table(ty) => Extern::Table(*ty),
        EntityType::Memory(ty) => Extern::Memory(*ty),
        EntityType::Global(ty) => Extern::Global(*ty),
    }
}

/// The type of an import as errors print it: `func (i32) -> ()`, `memory 1..`, `global mut i64`.
#[must_use]
pub fn entity_text(env: &ModuleEnv, ty: &EntityType) -> String {
    expected(env, ty).to_string()
}

/// Whether limits (minimum, maximum) are within the expected ones.
fn limits_match(found: (u64, Option<u64>), expected: (u64, Option<u64>)) -> bool {
    let maximum = match (found.1, expected.1) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(found), Some(expected)) => found <= expected,
    };
    found.0 >= expected.0 && maximum
}

/// Whether every value of one type is one of the other.
fn is_subtype(found: ValType, expected: ValType) -> bool {
    let reference = |found: RefType, expected: RefType| {
        found.heap == expected.heap && (expected.nullable || !found.nullable)
    };
    match (found, expected) {
        (ValType::Ref(found), ValType::Ref(expected)) => reference(found, expected),
        (found, expected) => found == expected,
    }
}

fn matches(found: &Extern<'_>, expected: &Extern<'_>) -> bool {
    match (found, expected) {
        (Extern::Func(found), Extern::Func(expected)) => found == expected,
        (Extern::Table(found), Extern::Table(expected)) => {
            found.element == expected.element
                && limits_match(
                    (found.minimum, found.maximum),
                    (expected.minimum, expected.maximum),
                )
        }
        (Extern::Memory(found), Extern::Memory(expected)) => {
            (found.memory64, found.shared) == (expected.memory64, expected.shared)
                && limits_match(
                    (found.minimum, found.maximum),
                    (expected.minimum, expected.maximum),
                )
        }
        (Extern::Global(found), Extern::Global(expected)) => {
            found.mutable == expected.mutable
                && if found.mutable {
                    found.content == expected.content
                } else {
                    is_subtype(found.content, expected.content)
                }
        }
        (
            Extern::Func(_) | Extern::Table(_) | Extern::Memory(_) | Extern::Global(_),
            Extern::Func(_) | Extern::Table(_) | Extern::Memory(_) | Extern::Global(_),
        ) => false,
    }
}

fn found(store: &StoreInner, item: ExternHandle) -> Option<Extern<'_>> {
    Some(match item {
        ExternHandle::Func(func) => Extern::Func(store.func_type(func)?),
        ExternHandle::Table(table) => Extern::Table(store.table_type(table)?),
        ExternHandle::Memory(memory) => Extern::Memory(store.memory_type(memory)?),
        ExternHandle::Global(global) => Extern::Global(store.global_type(global)?),
    })
}

/// Compares what is given with what the module asks for.
pub(super) fn check(
    store: &StoreInner,
    loaded: &LoadedModule,
    items: &[ExternHandle],
) -> Result<(), InstantiateError> {
    let env = loaded.module().env();
    let mut problems = String::new();
    if items.len() != env.imports.len() {
        problems = format!(
            "\n  expected {} imports, found {}",
            env.imports.len(),
            items.len()
        );
    }
    for (import, item) in env.imports.iter().zip(items) {
        let found = found(store, *item).ok_or_else(|| {
            RuntimeError::misuse(format!("{} is of another store", import_name(import)))
        })?;
        let expected = expected(env, &import.ty);
        if !matches(&found, &expected) {
            // Writing to a string cannot fail.
            let _ = write!(
                problems,
                "\n  {}: expected {expected}, found {found}",
                import_name(import)
            );
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(InstantiateError::Link(format!(
            "incompatible import type{problems}"
        )))
    }
}

fn import_name(import: &Import) -> String {
    format!("{}.{}", import.module, import.name)
}

#[cfg(test)]
mod tests {
    use super::{Extern, matches};
    use upshift_module::{FuncType, GlobalType, MemoryType, RefType, TableType, ValType};

    fn memory(minimum: u64, maximum: Option<u64>) -> Extern<'static> {
        Extern::Memory(MemoryType {
            minimum,
            maximum,
            memory64: false,
            shared: false,
        })
    }

    fn table(element: RefType, minimum: u64) -> Extern<'static> {
        Extern::Table(TableType {
            element,
            minimum,
            maximum: None,
        })
    }

    fn global(content: ValType, mutable: bool) -> Extern<'static> {
        Extern::Global(GlobalType { content, mutable })
    }

    #[test]
    fn matching_and_texts() {
        let (unary, binary) = (
            FuncType::new([ValType::I32], []),
            FuncType::new([ValType::I32, ValType::I64], [ValType::F32]),
        );
        let rows = [
            (Extern::Func(&unary), Extern::Func(&unary), true),
            (Extern::Func(&unary), Extern::Func(&binary), false),
            (memory(2, None), memory(1, None), true),
            (memory(0, None), memory(1, None), false),
            (memory(1, None), memory(1, Some(2)), false),
            (memory(1, Some(2)), memory(1, Some(2)), true),
            (memory(1, Some(3)), memory(1, Some(2)), false),
            (table(RefType::FUNCREF, 3), table(RefType::FUNCREF, 2), true),
            (
                table(RefType::EXTERNREF, 3),
                table(RefType::FUNCREF, 2),
                false,
            ),
            (global(ValType::I32, true), global(ValType::I32, true), true),
            (
                global(ValType::I32, true),
                global(ValType::I32, false),
                false,
            ),
            (
                global(ValType::I32, false),
                global(ValType::I64, false),
                false,
            ),
            (memory(1, None), Extern::Func(&unary), false),
        ];
        for (found, expected, outcome) in rows {
            assert_eq!(
                matches(&found, &expected),
                outcome,
                "{found} for {expected}"
            );
        }
        let texts = [
            (Extern::Func(&binary), "func (i32, i64) -> (f32)"),
            (memory(1, Some(2)), "memory 1..2"),
            (memory(1, None), "memory 1.."),
            (table(RefType::FUNCREF, 5), "table 5.. funcref"),
            (global(ValType::F64, true), "global mut f64"),
        ];
        for (ty, text) in texts {
            assert_eq!(ty.to_string(), text);
        }
    }
}
