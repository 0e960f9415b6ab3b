//! The background pool: an own rayon thread pool that works the queue off.
//!
//! The pool has two lines. *Urgent* tasks have a thread waiting for them (a first compile in the
//! optimizing tier, a scheduled tier-up) and go before the *queue* of tier-up jobs by
//! priority. A worker is one rayon task that takes work until there is none and ends; a push starts
//! a worker when fewer than the bound are active. Both happen under the one lock of the pool, so no
//! work is left behind. Threads are made at the first push: an engine that never tiers up has none.
//!
//! Nothing waits for the pool: when it is dropped, the queue is emptied and the workers, which hold
//! only the inner part, end after what they are compiling now. Tasks hold their module weakly.

use crate::events::ModuleId;
use crate::queue::{JobKey, Queue, Taken};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use upshift_abi::{Compiler, CompilerWorker};

/// A worker's scratch memory: a compiler worker that is made when first used, and dropped with the
/// pool's worker when the queue goes idle.
pub(crate) struct Scratch {
    compiler: Arc<dyn Compiler>,
    worker: Option<Box<dyn CompilerWorker>>,
}

impl Scratch {
    /// No memory yet.
    pub(crate) fn new(compiler: Arc<dyn Compiler>) -> Self {
        Self {
            compiler,
            worker: None,
        }
    }

    /// Memory of an earlier scratch of the same compiler.
    pub(crate) fn with_worker(
        compiler: Arc<dyn Compiler>,
        worker: Option<Box<dyn CompilerWorker>>,
    ) -> Self {
        Self { compiler, worker }
    }

    /// The memory, for a later scratch.
    pub(crate) fn into_worker(self) -> Option<Box<dyn CompilerWorker>> {
        self.worker
    }

    /// The compiler's worker.
    pub(crate) fn worker(&mut self) -> &mut dyn CompilerWorker {
        self.worker
            .get_or_insert_with(|| self.compiler.worker())
            .as_mut()
    }

    /// Throws the memory away, for example after a panic inside the compiler.
    pub(crate) fn reset(&mut self) {
        self.worker = None;
    }
}

/// What the pool runs. The duration is the time in the queue.
pub(crate) type Task = Box<dyn FnOnce(&mut Scratch, Duration) + Send>;

/// How a pool is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolOptions {
    /// Prefix of the threads' names.
    pub(crate) name: &'static str,
    /// Number of threads, at least 1.
    pub(crate) threads: usize,
    /// Stack of each in bytes.
    pub(crate) stack_bytes: usize,
}

impl PoolOptions {
    /// Starts the threads; none if the system has no room for them.
    pub(crate) fn build(self) -> Option<ThreadPool> {
        ThreadPoolBuilder::new()
            .num_threads(self.threads.max(1))
            .stack_size(self.stack_bytes)
            .thread_name(move |i| format!("{}-{i}", self.name))
            .build()
            .ok()
    }
}

/// The pool could not start a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoWorker;

struct State {
    urgent: VecDeque<Task>,
    queue: Queue<Task>,
    active: usize,
    closed: bool,
}

struct Inner {
    options: PoolOptions,
    compiler: Arc<dyn Compiler>,
    threads: OnceLock<Option<ThreadPool>>,
    state: Mutex<State>,
    idle: Condvar,
}

/// The background pool of an engine.
pub(crate) struct Pool(Arc<Inner>);

impl Pool {
    /// A pool without threads as yet.
    pub(crate) fn new(options: PoolOptions, compiler: Arc<dyn Compiler>) -> Self {
        Self(Arc::new(Inner {
            options,
            compiler,
            threads: OnceLock::new(),
            state: Mutex::new(State {
                urgent: VecDeque::new(),
                queue: Queue::default(),
                active: 0,
                closed: false,
            }),
            idle: Condvar::new(),
        }))
    }

    /// Queues a job. The caller has made sure that there is none of this key: it moved the function
    /// to `Queued`.
    ///
    /// # Errors
    /// No thread could be started; the job is dropped.
    pub(crate) fn submit(
        &self,
        key: JobKey,
        priority: u64,
        cost_us: u32,
        task: Task,
    ) -> Result<(), NoWorker> {
        let mut state = self.0.lock();
        let pushed = state.queue.push(key, priority, cost_us, task);
        debug_assert!(pushed, "one live job per function");
        self.0.start_worker(state, |state| {
            state.queue.remove(key);
        })
    }

    /// Moves a queued job forward.
    pub(crate) fn raise(&self, key: JobKey, priority: u64) -> bool {
        self.0.lock().queue.raise(key, priority)
    }

    /// Runs a task before all queued jobs. It is dropped unrun if the pool closes first.
    ///
    /// # Errors
    /// No thread could be started; the task is dropped.
    pub(crate) fn submit_urgent(&self, task: Task) -> Result<(), NoWorker> {
        let mut state = self.0.lock();
        state.urgent.push_back(task);
        self.0.start_worker(state, |state| {
            state.urgent.pop_back();
        })
    }

    /// Drops the jobs of a module.
    pub(crate) fn remove_module(&self, module: ModuleId) {
        let jobs = self.0.lock().queue.remove_module(module);
        drop(jobs);
    }

    /// Number of queued jobs.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// Predicted time of all queued jobs in microseconds.
    pub(crate) fn backlog_us(&self) -> u64 {
        self.0.lock().queue.cost_us()
    }

    /// Number of workers at most.
    pub(crate) fn workers(&self) -> usize {
        self.0.options.threads.max(1)
    }

    /// Waits until nothing is queued and no worker is active.
    pub(crate) fn drain(&self) {
        let mut state = self.0.lock();
        while state.active > 0 || state.queue.len() > 0 || !state.urgent.is_empty() {
            state = self
                .0
                .idle
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let work = (
            std::mem::take(&mut state.queue),
            std::mem::take(&mut state.urgent),
        );
        drop(state);
        // Outside the lock: a task may own the last handle of something that locks.
        drop(work);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Tasks run outside the lock, so a poisoned state is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a worker if there may be one more. If there is none and none can be started, `undo`
    /// takes the work back.
    fn start_worker(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        undo: impl FnOnce(&mut State),
    ) -> Result<(), NoWorker> {
        if state.active >= self.options.threads.max(1) {
            return Ok(());
        }
        state.active += 1;
        drop(state);
        let threads = self.threads.get_or_init(|| self.options.build());
        if let Some(threads) = threads {
            let inner = Arc::clone(self);
            threads.spawn(move || inner.work());
            return Ok(());
        }
        let mut state = self.lock();
        state.active -= 1;
        undo(&mut state);
        self.idle.notify_all();
        Err(NoWorker)
    }

    /// A worker's life.
    fn work(&self) {
        let mut scratch = Scratch::new(Arc::clone(&self.compiler));
        while let Some((task, waited)) = self.next() {
            // Compilers and event sinks are guarded where they are called. A panic that gets here
            // is a bug of this crate, and rayon would abort the process for it.
            let run = catch_unwind(AssertUnwindSafe(|| task(&mut scratch, waited)));
            if run.is_err() {
                scratch.reset();
            }
        }
    }

    /// The next piece of work; none ends the worker.
    fn next(&self) -> Option<(Task, Duration)> {
        let mut state = self.lock();
        if let Some(task) = state.urgent.pop_front() {
            return Some((task, Duration::ZERO));
        }
        if let Some(Taken { job, since }) = state.queue.pop() {
            return Some((job, Instant::now().saturating_duration_since(since)));
        }
        state.active -= 1;
        if state.active == 0 {
            self.idle.notify_all();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, PoolOptions, Task};
    use crate::events::ModuleId;
    use crate::queue::JobKey;
    use crate::testing::NoCompiler;
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use upshift_abi::SiteIndex;
    use upshift_module::FuncIndex;

    fn pool(threads: usize) -> Pool {
        let options = PoolOptions {
            name: "test",
            threads,
            stack_bytes: 256 << 10,
        };
        Pool::new(options, Arc::new(NoCompiler))
    }

    fn key(func: u32) -> JobKey {
        JobKey {
            module: ModuleId(0),
            func: FuncIndex(func),
            site: SiteIndex::ENTRY,
        }
    }

    /// Holds the pool's one worker until the sender is dropped.
    fn block(pool: &Pool) -> mpsc::Sender<()> {
        let (release, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel::<()>();
        pool.submit_urgent(Box::new(move |_, _| {
            drop(started);
            let _ = gate.recv();
        }))
        .unwrap();
        let _ = running.recv();
        release
    }

    #[test]
    fn one_worker_runs_urgent_then_by_priority() {
        let pool = pool(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| -> Task {
            let order = Arc::clone(&order);
            Box::new(move |_, _| order.lock().unwrap().push(name))
        };
        let gate = block(&pool);
        pool.submit(key(1), 10, 1, note("low")).unwrap();
        pool.submit(key(2), 30, 1, note("high")).unwrap();
        pool.submit(key(3), 5, 1, note("raised")).unwrap();
        pool.submit(key(4), 5, 1, Box::new(|_, _| panic!("a task's")))
            .unwrap();
        pool.submit_urgent(note("urgent")).unwrap();
        assert!(pool.raise(key(3), 99));
        assert_eq!((pool.len(), pool.backlog_us()), (4, 4));
        drop(gate);
        pool.drain();
        assert_eq!(*order.lock().unwrap(), ["urgent", "raised", "high", "low"]);
    }

    #[test]
    fn dropping_does_not_wait_and_drops_tasks() {
        let pool = pool(1);
        let gate = block(&pool);
        let (dropped, wait) = mpsc::channel::<()>();
        pool.submit(
            key(1),
            1,
            1,
            Box::new(move |_, _| dropped.send(()).unwrap()),
        )
        .unwrap();
        drop(pool);
        // The task was dropped unrun while the worker was still held.
        assert_eq!(wait.recv(), Err(mpsc::RecvError));
        drop(gate);
    }

    #[test]
    fn work_is_never_left_behind() {
        let pool = pool(3);
        let ran = Arc::new(Mutex::new(0));
        for round in 0..200 {
            for i in 0..5 {
                let ran = Arc::clone(&ran);
                pool.submit(
                    key(i),
                    u64::from(i),
                    1,
                    Box::new(move |_, _| *ran.lock().unwrap() += 1),
                )
                .unwrap();
            }
            pool.drain();
            assert_eq!(*ran.lock().unwrap(), (round + 1) * 5);
        }
    }
}
