//! How far a run has come: shared with the timer, which may have to end it.

use crate::bench_clock::BenchClock;
use crate::observe::Watch;
use crate::schedule::Recording;
use crate::timings::Phases;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use upshift::{Engine, Module};

/// What is known of a run, whoever ends it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) phases: Phases,
    pub(crate) engine: Option<Engine>,
    /// Kept, so that its code counts as live in what is printed at the end.
    pub(crate) module: Option<Module>,
    pub(crate) clock: BenchClock,
    pub(crate) recording: Recording,
    call_started: Option<Instant>,
    /// Who watches tier-up.
    pub(crate) watch: Option<Watch>,
    /// Phases of the run, and when each began; one ends where the next begins.
    pub(crate) marks: Vec<(&'static str, Instant)>,
}

impl Progress {
    /// A phase begins.
    pub(crate) fn phase(&mut self, name: &'static str) {
        self.marks.push((name, Instant::now()));
    }

    /// The exported call begins.
    pub(crate) fn begin_call(&mut self) {
        self.call_started = Some(Instant::now());
    }

    /// The exported call is over, or is given up: `run` is its time, or that between the guest's marks.
    pub(crate) fn end_call(&mut self) {
        let whole = self.call_started.take().map(|started| started.elapsed());
        if let Some(run) = self.clock.finish().or(whole) {
            self.phases.run = run;
        }
    }
}

/// A [`Progress`] of two threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Progress>>);

impl Shared {
    /// Exclusive access; nobody panics while having it, and if somebody did the numbers would still be numbers.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
