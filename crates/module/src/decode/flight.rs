//! Bodies of a stream on their way through the pool.
//!
//! The thread that pushes cuts bodies into batches, each with a copy of its bytes, since the buffer that they came
//! in may move when it grows. Threads of the pool take batches from the front of one queue. What bounds memory and time:
//!
//! * At most [`FLIGHT_BYTES_MAX`] and a batch are copied and not done. Then the thread that pushes works on
//!   batches itself instead of reading on, so it never waits for a pool that is busy with something else.
//! * Results are taken in order, up to the first error. A batch behind a failed one is skipped, one before it
//!   never is, so the error that is reported is the first in byte order.
//!
//! Dropping a flight empties the queue and waits for nothing.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use wasmparser::ValidatorResources;

use super::stream::BodySink;
use crate::env::ModuleEnv;
use crate::error::Result;
use crate::facts::Outline;
use crate::types::FuncIndex;
use crate::validate::{self, Bodies, BodyContext, WorkerScratch};

/// Bytes of batches that are not done, before the thread that pushes helps.
const FLIGHT_BYTES_MAX: usize = 4 << 20;

/// Bodies that follow each other.
struct Batch {
    number: usize,
    bytes: Vec<u8>,
    base: u32,
    first: FuncIndex,
    ranges: Vec<Range<u32>>,
}

/// All batches of a module. The methods are for the thread that pushes.
pub(super) struct Flight {
    pool: Arc<ThreadPool>,
    shared: Arc<Shared>,
    /// Number of the next batch.
    next: usize,
    /// How many batches' outlines were collected.
    collected: usize,
}

struct Shared {
    env: Arc<ModuleEnv>,
    resources: ValidatorResources,
    widest_type: usize,
    sink: Option<Arc<dyn BodySink>>,
    /// Bodies done. Relaxed: only a number.
    ready: AtomicUsize,
    state: Mutex<State>,
    /// A batch is done.
    done: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Batch>,
    running: usize,
    /// Bytes in the queue and running.
    bytes: usize,
    /// Of batches that are done and not collected, by number.
    results: BTreeMap<usize, Result<Vec<Outline>>>,
    /// A batch failed: those behind it, which are all that are still in the queue, are not looked at.
    failed: bool,
    panic: Option<Box<dyn Any + Send>>,
    scratch: Vec<WorkerScratch>,
}

impl Flight {
    pub(super) fn new(
        pool: &Arc<ThreadPool>,
        env: &Arc<ModuleEnv>,
        resources: &ValidatorResources,
        sink: Option<&Arc<dyn BodySink>>,
    ) -> Self {
        Self {
            pool: Arc::clone(pool),
            shared: Arc::new(Shared {
                widest_type: validate::widest_type(&env.types),
                env: Arc::clone(env),
                resources: resources.clone(),
                sink: sink.cloned(),
                ready: AtomicUsize::new(0),
                state: Mutex::default(),
                done: Condvar::new(),
            }),
            next: 0,
            collected: 0,
        }
    }

    /// Sends bodies, at least one, to the pool.
    pub(super) fn take_off(&mut self, bodies: &Bodies<'_>) {
        let (Some(start), Some(end)) = (bodies.ranges.first(), bodies.ranges.last()) else {
            return;
        };
        let base = start.start;
        let at = |offset: u32| (offset - bodies.base) as usize;
        let batch = Batch {
            number: self.next,
            bytes: bodies.bytes[at(base)..at(end.end)].to_vec(),
            base,
            first: bodies.first,
            ranges: bodies.ranges.to_vec(),
        };
        self.next += 1;
        while self.shared.state().bytes >= FLIGHT_BYTES_MAX && self.shared.work() {}
        let mut state = self.shared.state();
        state.bytes += batch.bytes.len();
        state.queue.push_back(batch);
        drop(state);
        let shared = Arc::clone(&self.shared);
        self.pool.spawn(move || {
            // Or somebody else has taken it.
            shared.work();
        });
    }

    /// Appends the outlines of batches that are done, as far as all before them are done as well.
    ///
    /// # Errors
    /// That of the first body which is not valid.
    pub(super) fn collect(&mut self, outlines: &mut Vec<Outline>) -> Result<()> {
        let mut state = self.shared.state();
        if let Some(panic) = state.panic.take() {
            drop(state);
            resume_unwind(panic);
        }
        while let Some(result) = state.results.remove(&self.collected) {
            outlines.append(&mut result?);
            self.collected += 1;
        }
        Ok(())
    }

    /// Works until no batch is left, waits for those that others work on, and collects all.
    ///
    /// # Errors
    /// That of the first body which is not valid.
    pub(super) fn land(&mut self, outlines: &mut Vec<Outline>) -> Result<()> {
        while self.shared.work() {}
        let mut state = self.shared.state();
        while state.running > 0 {
            let done = self.shared.done.wait(state);
            state = done.unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.collect(outlines)
    }

    /// Bodies that are valid, and that the sink has seen.
    pub(super) fn ready_bodies(&self) -> usize {
        self.shared.ready.load(Ordering::Relaxed)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let queue = std::mem::take(&mut self.shared.state().queue);
        drop(queue);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the batch at the front of the queue; false if there is none.
    fn work(&self) -> bool {
        let mut state = self.state();
        let Some(batch) = state.queue.pop_front() else {
            return false;
        };
        state.running += 1;
        // Batches are taken in order, so the first that fails has all before it taken by somebody.
        let skipped = state.failed;
        let mut scratch = state.scratch.pop().unwrap_or_default();
        drop(state);
        let done = if skipped {
            Ok(None)
        } else {
            catch_unwind(AssertUnwindSafe(|| Some(self.run(&batch, &mut scratch))))
        };
        let mut state = self.state();
        state.running -= 1;
        state.bytes -= batch.bytes.len();
        state.scratch.push(scratch);
        match done {
            Ok(None) => {}
            Ok(Some(result)) => {
                state.failed |= result.is_err();
                state.results.insert(batch.number, result);
            }
            Err(panic) => {
                state.failed = true;
                state.panic = Some(panic);
            }
        }
        drop(state);
        self.done.notify_all();
        true
    }

    /// Validates a batch, and tells the sink.
    fn run(&self, batch: &Batch, scratch: &mut WorkerScratch) -> Result<Vec<Outline>> {
        let context = BodyContext {
            env: &self.env,
            resources: &self.resources,
            widest_type: self.widest_type,
        };
        let bodies = Bodies {
            bytes: &batch.bytes,
            base: batch.base,
            first: batch.first,
            ranges: &batch.ranges,
        };
        let count = batch.ranges.len();
        let outlines = validate::run(&context, bodies, 0..count, scratch)?;
        if let Some(sink) = &self.sink {
            sink.bodies(&bodies.validated(&self.env, &outlines));
        }
        self.ready.fetch_add(count, Ordering::Relaxed);
        Ok(outlines)
    }
}
