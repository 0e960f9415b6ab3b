//! Schedules: which function gets optimized code at which visit of which site.
//!
//! A visit is one passing of a site (a function's entry, a loop's header) in baseline code, counted over all instances and
//! threads. A [`Schedule`] names visits and what happens at them, module by module; `record.rs` writes one down while
//! programs run, [`crate::TieringOptions::replay`] has them run by one, `file.rs` is its text.

mod file;
mod record;

pub use file::ScheduleError;
pub use record::ScheduleRecorder;

use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use upshift_abi::SiteIndex;
use upshift_module::{FuncIndex, Module};

/// What happens at a visit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ScheduleAction {
    /// The function gets optimized code before the visit goes on; the visit itself goes on in baseline code.
    Install,
    /// The visit leaves baseline code for optimized code that starts at this loop.
    Enter,
}

/// One line of a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ScheduleStep {
    /// The function.
    pub func: FuncIndex,
    /// Its entry, or one of its loops.
    pub site: SiteIndex,
    /// Which visit of the site, from 1 on; 0 at the entry is before the first call.
    pub count: u64,
    /// What happens then.
    pub action: ScheduleAction,
}

/// The schedule of one module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModuleSchedule {
    /// SHA-256 of the module in the binary format, in hexadecimal.
    pub module: String,
    /// What happens, in the order in which it was recorded; the order means nothing when it is replayed.
    pub steps: Vec<ScheduleStep>,
}

impl ModuleSchedule {
    /// The schedule of a module in the binary format.
    #[must_use]
    pub fn new(module: &[u8], steps: Vec<ScheduleStep>) -> Self {
        let mut name = String::with_capacity(64);
        for byte in Sha256::digest(module) {
            // Writing to a string does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        Self {
            module: name,
            steps,
        }
    }
}

/// Schedules of the modules of an engine. Its text ([`Display`](std::fmt::Display), [`FromStr`](std::str::FromStr)) is
/// described in `docs/tiering.md`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Schedule {
    /// One per module, in the order of loading. A module that is loaded several times takes the next one each time, and when
    /// there is none left the last one.
    pub modules: Vec<ModuleSchedule>,
}

impl Schedule {
    /// Number of steps of all modules.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.modules.iter().map(|module| module.steps.len()).sum()
    }

    /// Steps that are not in `done`, the recording of a replay of this schedule.
    #[must_use]
    pub fn missing_in(&self, done: &Self) -> Vec<ScheduleStep> {
        let mut found: BTreeMap<(&str, ScheduleStep), usize> = BTreeMap::new();
        for module in &done.modules {
            for &step in &module.steps {
                *found.entry((module.module.as_str(), step)).or_default() += 1;
            }
        }
        let mut missing = Vec::new();
        for module in &self.modules {
            for &step in &module.steps {
                match found.get_mut(&(module.module.as_str(), step)) {
                    Some(count) if *count > 0 => *count -= 1,
                    Some(_) | None => missing.push(step),
                }
            }
        }
        missing
    }
}

/// What is due at a visit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Due {
    pub(crate) install: bool,
    pub(crate) enter: bool,
}

/// The schedule of one module, for looking up.
#[derive(Debug, Default)]
pub(crate) struct Timetable {
    steps: BTreeSet<ScheduleStep>,
}

impl Timetable {
    /// Checks a schedule against its module.
    ///
    /// # Errors
    /// If it names a function that has no body.
    fn new(schedule: &ModuleSchedule, funcs: &Range<u32>) -> Result<Self, ScheduleError> {
        match schedule
            .steps
            .iter()
            .find(|step| !funcs.contains(&step.func.0))
        {
            Some(step) => Err(ScheduleError::new(format!(
                "expected a function from {} to {} (those that the module defines), found {}",
                funcs.start,
                funcs.end.saturating_sub(1),
                step.func.0
            ))),
            None => Ok(Self {
                steps: schedule.steps.iter().copied().collect(),
            }),
        }
    }

    pub(crate) fn due(&self, func: FuncIndex, site: SiteIndex, count: u64) -> Due {
        let has = |action| {
            self.steps.contains(&ScheduleStep {
                func,
                site,
                count,
                action,
            })
        };
        Due {
            install: has(ScheduleAction::Install),
            enter: has(ScheduleAction::Enter),
        }
    }

    /// Whether anything is to happen to the function.
    pub(crate) fn names(&self, func: FuncIndex) -> bool {
        let first = ScheduleStep {
            func,
            site: SiteIndex::ENTRY,
            count: 0,
            action: ScheduleAction::Install,
        };
        self.steps
            .range(first..)
            .next()
            .is_some_and(|step| step.func == func)
    }
}

/// A schedule that an engine replays: hands out each module's part.
#[derive(Debug)]
pub(crate) struct Replay {
    schedule: Schedule,
    /// Which parts modules have taken.
    taken: Mutex<Vec<bool>>,
}

impl Replay {
    pub(crate) fn new(schedule: Schedule) -> Self {
        Self {
            taken: Mutex::new(vec![false; schedule.modules.len()]),
            schedule,
        }
    }

    /// The part of a module that was loaded.
    ///
    /// # Errors
    /// If there is none, or it does not fit.
    pub(crate) fn take(&self, module: &Module) -> Result<Timetable, ScheduleError> {
        let name = ModuleSchedule::new(module.bytes(), Vec::new()).module;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = self.schedule.modules.iter().enumerate();
        let of_module = || parts.clone().filter(|(_, part)| part.module == name);
        let next = of_module()
            .find(|(i, _)| !taken[*i])
            .or_else(|| of_module().next_back());
        let Some((i, part)) = next else {
            let known: Vec<&str> = self.schedule.modules.iter().map(|m| &*m.module).collect();
            return Err(ScheduleError::new(format!(
                "expected a module of the schedule, {known:?}, found {name:?} (SHA-256 of its bytes)"
            )));
        };
        taken[i] = true;
        let env = module.env();
        let first = env.imported_funcs;
        Timetable::new(part, &(first..first + env.defined_func_count()))
    }
}
