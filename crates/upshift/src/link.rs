//! The checks of linking (spec 4.5.4): import matching, and errors that list everything at once.

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::externs::Extern;
use crate::func::Func;
use crate::global::Global;
use crate::memory::Memory;
use crate::table::Table;
use crate::types::{ExternType, ImportType};
use std::fmt::Write as _;
use upshift_runtime::StoreInner;

/// Checks that two things were made by one engine.
pub(crate) fn same_engine(store: &Engine, other: &Engine, what: &str) -> Result<()> {
    if Engine::same(store, other) {
        Ok(())
    } else {
        Err(Error::with_kind(
            ErrorKind::Store,
            format!("expected a {what} of the store's engine, found one of another engine"),
        ))
    }
}

/// The type of an item of this store, with current sizes.
pub(crate) fn type_of(store: &StoreInner, item: Extern) -> ExternType {
    match item {
        Extern::Func(func) => ExternType::Func(Func::type_in(func, store)),
        Extern::Global(global) => ExternType::Global(Global::type_in(global, store)),
        Extern::Table(table) => ExternType::Table(Table::type_in(table, store)),
        Extern::Memory(memory) => ExternType::Memory(Memory::type_in(memory, store)),
    }
}

/// Import matching (spec 3.2.10).
fn matches(found: &ExternType, expected: &ExternType) -> bool {
    match (found, expected) {
        (ExternType::Func(found), ExternType::Func(expected)) => found == expected,
        (ExternType::Global(found), ExternType::Global(expected)) => found == expected,
        (ExternType::Table(found), ExternType::Table(expected)) => {
            found.element() == expected.element()
                && limits_match(
                    (found.minimum(), found.maximum()),
                    (expected.minimum(), expected.maximum()),
                )
        }
        (ExternType::Memory(found), ExternType::Memory(expected)) => {
            found.is_64() == expected.is_64()
                && found.is_shared() == expected.is_shared()
                && limits_match(
                    (found.minimum(), found.maximum()),
                    (expected.minimum(), expected.maximum()),
                )
        }
        (
            ExternType::Func(_)
            | ExternType::Global(_)
            | ExternType::Table(_)
            | ExternType::Memory(_),
            _,
        ) => false,
    }
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

/// What is wrong with the imports of a module.
#[derive(Default)]
pub(crate) struct Problems {
    missing: String,
    incompatible: String,
}

impl Problems {
    /// Nobody defined the import.
    pub(crate) fn missing(&mut self, import: &ImportType<'_>) {
        line(
            &mut self.missing,
            format_args!("{}.{}: {}", import.module(), import.name(), import.ty()),
        );
    }

    /// Notes the import if what was found does not match it.
    pub(crate) fn check(&mut self, import: &ImportType<'_>, found: &ExternType) {
        let expected = import.ty();
        if !matches(found, &expected) {
            line(
                &mut self.incompatible,
                format_args!(
                    "{}.{}: expected {expected}, found {found}",
                    import.module(),
                    import.name()
                ),
            );
        }
    }

    /// The error that lists everything, if there is something.
    pub(crate) fn into_result(self) -> Result<()> {
        let mut message = String::new();
        for (title, list) in [
            ("unknown import", self.missing),
            ("incompatible import type", self.incompatible),
        ] {
            if !list.is_empty() {
                message += if message.is_empty() { "" } else { "\n" };
                message += title;
                message += &list;
            }
        }
        if message.is_empty() {
            Ok(())
        } else {
            Err(Error::with_kind(ErrorKind::Link, message))
        }
    }
}

fn line(list: &mut String, entry: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(list, "\n  {entry}");
}

#[cfg(test)]
mod tests {
    use super::limits_match;

    #[test]
    fn limits() {
        let rows = [
            ((1, None), (1, None), true),
            ((2, None), (1, None), true),
            ((0, None), (1, None), false),
            ((1, None), (1, Some(2)), false),
            ((1, Some(2)), (1, Some(2)), true),
            ((1, Some(3)), (1, Some(2)), false),
            ((1, Some(1)), (1, None), true),
        ];
        for (found, expected, outcome) in rows {
            assert_eq!(
                limits_match(found, expected),
                outcome,
                "{found:?} {expected:?}"
            );
        }
    }
}
