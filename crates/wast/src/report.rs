//! What a run of a script counted.

use std::collections::BTreeMap;
use std::fmt;

/// The kinds of directives, by which results are counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DirectiveKind {
    /// The script itself could not be parsed.
    Script,
    /// `(module ...)`, its definitions and instances.
    Module,
    /// `(register ...)`
    Register,
    /// `(invoke ...)`
    Invoke,
    /// `(assert_return ...)`
    AssertReturn,
    /// `(assert_trap ...)`
    AssertTrap,
    /// `(assert_exhaustion ...)`
    AssertExhaustion,
    /// `(assert_invalid ...)` and the like for custom sections.
    AssertInvalid,
    /// `(assert_malformed ...)` and the like for custom sections.
    AssertMalformed,
    /// `(assert_unlinkable ...)`
    AssertUnlinkable,
    /// A directive of a proposal that the engine does not have.
    Unsupported,
}

impl DirectiveKind {
    /// Its name in a script.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Module => "module",
            Self::Register => "register",
            Self::Invoke => "invoke",
            Self::AssertReturn => "assert_return",
            Self::AssertTrap => "assert_trap",
            Self::AssertExhaustion => "assert_exhaustion",
            Self::AssertInvalid => "assert_invalid",
            Self::AssertMalformed => "assert_malformed",
            Self::AssertUnlinkable => "assert_unlinkable",
            Self::Unsupported => "unsupported",
        }
    }
}

/// A directive that did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Line in the script, from 1.
    pub line: usize,
    /// Column in the script, from 1.
    pub column: usize,
    /// What kind of directive.
    pub kind: DirectiveKind,
    /// What was expected and what was found.
    pub message: String,
}

/// What a run of one script counted.
#[derive(Clone, Debug)]
pub struct Report {
    /// Name of the script.
    pub name: String,
    /// Directives that held, by kind.
    pub held: BTreeMap<DirectiveKind, usize>,
    /// Directives that did not hold, in order.
    pub failures: Vec<Failure>,
}

impl Report {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            held: BTreeMap::new(),
            failures: Vec::new(),
        }
    }

    /// Number of directives that held.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.held.values().sum()
    }

    /// Number of directives.
    #[must_use]
    pub fn total(&self) -> usize {
        self.passed() + self.failures.len()
    }
}

impl fmt::Display for Report {
    /// One line of counts, then one line per failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} of {} directives held",
            self.name,
            self.passed(),
            self.total()
        )?;
        for (i, (kind, count)) in self.held.iter().enumerate() {
            write!(
                f,
                "{}{} {count}",
                if i == 0 { " (" } else { ", " },
                kind.name()
            )?;
        }
        if !self.held.is_empty() {
            f.write_str(")")?;
        }
        for failure in &self.failures {
            write!(
                f,
                "\n{}:{}:{}: {}: {}",
                self.name,
                failure.line,
                failure.column,
                failure.kind.name(),
                failure.message
            )?;
        }
        Ok(())
    }
}
