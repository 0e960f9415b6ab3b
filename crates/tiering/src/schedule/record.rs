//! Recordings of what happened, as schedules that make it happen again.

use super::{ModuleSchedule, Schedule, ScheduleStep};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use upshift_module::Module;

/// Writes down at which visits functions get optimized code, of all modules of the engines that were given a clone.
#[derive(Clone, Debug, Default)]
pub struct ScheduleRecorder(Arc<Mutex<Schedule>>);

impl ScheduleRecorder {
    /// A recorder without anything in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What happened so far.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.lock().clone()
    }

    /// A module was loaded; gives its place here.
    pub(crate) fn module(&self, module: &Module) -> usize {
        let part = ModuleSchedule::new(module.bytes(), Vec::new());
        let mut schedule = self.lock();
        schedule.modules.push(part);
        schedule.modules.len() - 1
    }

    /// Something happened in the module of this place.
    pub(crate) fn step(&self, module: usize, step: ScheduleStep) {
        if let Some(module) = self.lock().modules.get_mut(module) {
            module.steps.push(step);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
