//! The background pool: threads of its own that work the queue off.
//!
//! The pool has two lines. *Urgent* tasks have a thread waiting for them (a first compile in the
//! optimizing tier, a scheduled tier-up) and go before the *queue* of tier-up jobs by
//! priority. A thread is *active* from the moment it is meant to look for work until it finds none. Then it *rests*: it keeps
//! its scratch memory for a while, and without new work it gives memory and stack back and ends. Work wakes a thread that rests, or starts one
//! while fewer than the bound are active. All of it is counted under the one lock of the pool, and whoever adds work makes a thread
//! active before the lock is let go, so no work is left behind. An engine that never tiers up has no thread.
//!
//! Nothing waits for the pool: when it is dropped, the queue is emptied and the threads, which hold
//! only the inner part, end after what they are compiling now. Tasks hold their module weakly.

use crate::events::ModuleId;
use crate::load::Backlog;
use crate::queue::{JobKey, Queue, Taken};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::process::{getpriority_process, setpriority_process};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use upshift_abi::{Compiler, CompilerWorker};

/// A worker's scratch memory: a compiler worker that is made when first used, and dropped with the
/// thread when there was nothing to do for a while.
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

/// Starts the threads of a rayon pool, for work that the host waits for; none if the system has no room for them.
pub(crate) fn front_pool(threads: usize, stack_bytes: usize) -> Option<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .stack_size(stack_bytes)
        .thread_name(|i| format!("upshift-front-{i}"))
        .build()
        .ok()
}

/// How a pool is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolOptions {
    /// Name of the threads.
    pub(crate) name: &'static str,
    /// Number of threads at most, at least 1.
    pub(crate) threads: usize,
    /// Stack of each in bytes.
    pub(crate) stack_bytes: usize,
    /// What they add to the niceness of the process.
    pub(crate) nice: u8,
    /// How long a thread rests before it ends.
    pub(crate) idle: Duration,
}

/// The pool could not start a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoWorker;

struct State {
    urgent: VecDeque<Task>,
    queue: Queue<Task>,
    /// Predicted time of queued jobs that were taken and are not done.
    running_us: u64,
    /// Threads that work or are about to look for work.
    active: usize,
    /// Threads that rest.
    resting: usize,
    /// Of the active ones, those that rested and have not noticed yet.
    woken: usize,
    /// Threads that have not given their memory back.
    threads: usize,
    closed: bool,
}

struct Inner {
    options: PoolOptions,
    compiler: Arc<dyn Compiler>,
    state: Mutex<State>,
    /// For threads that rest.
    work: Condvar,
    /// For those who wait until nothing is active, or no thread is left.
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
            state: Mutex::new(State {
                urgent: VecDeque::new(),
                queue: Queue::default(),
                running_us: 0,
                active: 0,
                resting: 0,
                woken: 0,
                threads: 0,
                closed: false,
            }),
            work: Condvar::new(),
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
        self.0.activate(state, |state| {
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
        self.0.activate(state, |state| {
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

    /// What is queued and being compiled.
    pub(crate) fn backlog(&self) -> Backlog {
        let state = self.0.lock();
        Backlog {
            queued_us: state.queue.cost_us(),
            running_us: state.running_us,
            workers: u32::try_from(self.0.options.threads.max(1)).unwrap_or(u32::MAX),
        }
    }

    /// Waits until nothing is queued and no thread is active.
    pub(crate) fn drain(&self) {
        let mut state = self.0.lock();
        while state.active > 0 || state.queue.len() > 0 || !state.urgent.is_empty() {
            state = self.0.wait_idle(state);
        }
    }

    /// Waits until all threads have ended and given their memory back.
    #[cfg(test)]
    pub(crate) fn wait_for_end(&self) {
        let mut state = self.0.lock();
        while state.threads > 0 {
            state = self.0.wait_idle(state);
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
        self.0.work.notify_all();
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

    fn wait_idle<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.idle
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one more thread active if there may be one. If there is none and none can be started, `undo`
    /// takes the work back.
    fn activate(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        undo: impl FnOnce(&mut State),
    ) -> Result<(), NoWorker> {
        if state.active >= self.options.threads.max(1) {
            return Ok(());
        }
        state.active += 1;
        if state.resting > 0 {
            state.resting -= 1;
            state.woken += 1;
            drop(state);
            self.work.notify_one();
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        let inner = Arc::clone(self);
        let thread = thread::Builder::new()
            .name(self.options.name.into())
            .stack_size(self.options.stack_bytes);
        if thread.spawn(move || inner.run()).is_ok() {
            return Ok(());
        }
        let mut state = self.lock();
        state.active -= 1;
        state.threads -= 1;
        let others = state.active > 0;
        if !others {
            undo(&mut state);
        }
        drop(state);
        self.idle.notify_all();
        if others { Ok(()) } else { Err(NoWorker) }
    }

    /// A thread's life.
    fn run(&self) {
        if self.options.nice > 0 {
            // Of this thread alone, on Linux. A system that refuses leaves it as it is.
            let _ = getpriority_process(None).and_then(|priority| {
                setpriority_process(
                    None,
                    priority.saturating_add(self.options.nice.into()).min(19),
                )
            });
        }
        let mut scratch = Scratch::new(Arc::clone(&self.compiler));
        loop {
            while let Some((task, waited, cost_us)) = self.next() {
                // Compilers and event sinks are guarded where they are called. A panic that gets here
                // is a bug of this crate, and must not take the thread away that others count on.
                let run = catch_unwind(AssertUnwindSafe(|| task(&mut scratch, waited)));
                if run.is_err() {
                    scratch.reset();
                }
                self.lock().running_us -= u64::from(cost_us);
            }
            if !self.rest() {
                break;
            }
        }
        drop(scratch);
        self.lock().threads -= 1;
        self.idle.notify_all();
    }

    /// The next piece of work, its time in the queue and its predicted time; none makes the thread rest.
    fn next(&self) -> Option<(Task, Duration, u32)> {
        let mut state = self.lock();
        if let Some(task) = state.urgent.pop_front() {
            return Some((task, Duration::ZERO, 0));
        }
        if let Some(taken) = state.queue.pop() {
            let Taken {
                job,
                since,
                cost_us,
            } = taken;
            state.running_us += u64::from(cost_us);
            let waited = Instant::now().saturating_duration_since(since);
            return Some((job, waited, cost_us));
        }
        state.active -= 1;
        state.resting += 1;
        if state.active == 0 {
            self.idle.notify_all();
        }
        None
    }

    /// Waits for work; whether there is some. The thread counts as resting, and if there is, as active when it returns.
    fn rest(&self) -> bool {
        let state = self.lock();
        let waits = |state: &mut State| state.woken == 0 && !state.closed;
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, self.options.idle, waits)
            .unwrap_or_else(PoisonError::into_inner);
        let woken = state.woken > 0;
        if woken {
            state.woken -= 1;
        } else {
            state.resting -= 1;
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, PoolOptions, Task};
    use crate::events::ModuleId;
    use crate::queue::JobKey;
    use crate::testing::NoCompiler;
    use rustix::process::getpriority_process;
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::thread;
    use std::time::Duration;
    use upshift_abi::SiteIndex;
    use upshift_module::FuncIndex;

    fn pool(threads: usize) -> Pool {
        resting_for(threads, Duration::from_secs(3_600))
    }

    fn resting_for(threads: usize, idle: Duration) -> Pool {
        let options = PoolOptions {
            name: "test",
            threads,
            stack_bytes: 256 << 10,
            nice: 19,
            idle,
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
        let backlog = pool.backlog();
        assert_eq!(
            (pool.len(), backlog.queued_us, backlog.wait_us()),
            (4, 4, 4)
        );
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

    /// A thread that rests takes the next work, however much later; one that may not rest ends.
    #[test]
    fn threads_rest_and_end() {
        let own = getpriority_process(None).unwrap();
        for (idle, same) in [(Duration::from_secs(3_600), true), (Duration::ZERO, false)] {
            let pool = resting_for(1, idle);
            let mut threads = Vec::new();
            for _ in 0..3 {
                let (sender, name) = mpsc::channel();
                pool.submit_urgent(Box::new(move |_, _| {
                    let priority = getpriority_process(None).unwrap();
                    sender.send((thread::current().id(), priority)).unwrap();
                }))
                .unwrap();
                let (id, priority) = name.recv().unwrap();
                assert_eq!(priority, 19);
                threads.push(id);
                pool.drain();
                if !same {
                    pool.wait_for_end();
                }
            }
            threads.dedup();
            assert_eq!(threads.len(), if same { 1 } else { 3 }, "{idle:?}");
            assert_eq!(getpriority_process(None).unwrap(), own);
        }
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
