//! Compiling ahead: all functions of a module get their first code before the module is handed out.
//!
//! The bodies are cut into chunks of about the same number of bytes. Pool threads, and the calling
//! thread if it may (it never runs the optimizing compiler, whose need of stack nobody bounds), take
//! chunk after chunk from one cursor. The caller waits on a condvar until no chunk is left or running;
//! helpers that come late find the cursor at its end. The first error stops the rest.

use crate::compile::body;
use crate::first::Place;
use crate::module_tiers::ModuleTiers;
use crate::pool::Scratch;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use upshift_abi::Tier;
use upshift_module::FuncIndex;
use upshift_runtime::{LoadedModule, TierError, TierErrorKind};

/// The work of one module.
struct Batch {
    chunks: Vec<Range<u32>>,
    progress: Mutex<Progress>,
    done: Condvar,
}

#[derive(Default)]
struct Progress {
    next: usize,
    running: usize,
    /// Of the lowest function that failed.
    error: Option<(FuncIndex, TierError)>,
}

/// What a chunk gives back.
type ChunkResult = Result<(), (FuncIndex, TierError)>;

impl Batch {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes chunks until there are none.
    fn work(&self, mut compile: impl FnMut(Range<u32>) -> ChunkResult) {
        while let Some(chunk) = self.take() {
            let first = FuncIndex(chunk.start);
            // Nothing in a chunk should panic; if something does, the caller must not wait forever.
            let result = catch_unwind(AssertUnwindSafe(|| compile(chunk))).unwrap_or_else(|_| {
                let message = "a thread that compiled ahead panicked";
                Err((first, TierError::new(TierErrorKind::Internal, message)))
            });
            self.finish(result);
        }
    }

    fn take(&self) -> Option<Range<u32>> {
        let mut progress = self.progress();
        if progress.error.is_some() {
            return None;
        }
        let chunk = self.chunks.get(progress.next)?.clone();
        progress.next += 1;
        progress.running += 1;
        Some(chunk)
    }

    fn finish(&self, result: ChunkResult) {
        let mut progress = self.progress();
        progress.running -= 1;
        if let Err((func, error)) = result
            && progress.error.as_ref().is_none_or(|(old, _)| func < *old)
        {
            progress.error = Some((func, error));
        }
        self.done.notify_all();
    }

    fn wait(&self) -> Result<(), TierError> {
        let mut progress = self.progress();
        while progress.running > 0
            || (progress.error.is_none() && progress.next < self.chunks.len())
        {
            progress = self
                .done
                .wait(progress)
                .unwrap_or_else(PoisonError::into_inner);
        }
        progress
            .error
            .take()
            .map_or(Ok(()), |(_, error)| Err(error))
    }
}

impl ModuleTiers {
    /// Gives every function its first code, on as many threads as the options allow; then, under
    /// the policy `Eager`, queues them all for the optimizing tier.
    ///
    /// # Errors
    /// That of the lowest function which failed before the rest was stopped. Functions compiled
    /// until then keep their code.
    pub fn compile_all_first(&self, loaded: &Arc<LoadedModule>) -> Result<(), TierError> {
        self.remember(loaded);
        let funcs = self.funcs();
        let batch = Arc::new(Batch {
            chunks: self.chunks(loaded),
            progress: Mutex::default(),
            done: Condvar::new(),
        });
        let on_caller = funcs
            .clone()
            .all(|func| self.first_tier(FuncIndex(func)) == Tier::Baseline);
        self.start_helpers(loaded, &batch, on_caller)?;
        if on_caller {
            self.shared.with_baseline(|scratch| {
                batch.work(|chunk| {
                    self.compile_chunk(loaded, chunk, &mut Place::Host(loaded, scratch))
                });
            });
        }
        batch.wait()?;
        for func in funcs {
            self.queue_at_once(loaded, FuncIndex(func));
        }
        Ok(())
    }

    /// Has pool threads take part: all that the options allow, one less if the caller works too.
    fn start_helpers(
        &self,
        loaded: &Arc<LoadedModule>,
        batch: &Arc<Batch>,
        on_caller: bool,
    ) -> Result<(), TierError> {
        let threads = self.shared.options.threads.get() - usize::from(on_caller);
        let threads = threads.min(batch.chunks.len());
        let helper = || {
            let (batch, loaded) = (Arc::clone(batch), Arc::clone(loaded));
            let tiers = self.this.upgrade();
            move || {
                if let Some(tiers) = tiers {
                    tiers.help(&loaded, &batch);
                }
            }
        };
        if let Some(pool) = self.shared.front_pool() {
            for _ in 0..threads {
                pool.spawn(helper());
            }
            Ok(())
        } else if on_caller || threads == 0 {
            Ok(())
        } else {
            let help = helper();
            let task = Box::new(move |_: &mut Scratch, _| help());
            self.shared
                .pool
                .submit_urgent(task)
                .map_err(|_| TierError::new(TierErrorKind::Resource, "no thread to compile on"))
        }
    }

    fn help(&self, loaded: &Arc<LoadedModule>, batch: &Batch) {
        self.shared.with_bench(|bench| {
            batch.work(|chunk| self.compile_chunk(loaded, chunk, &mut Place::Pool(bench)));
        });
    }

    fn compile_chunk(
        &self,
        loaded: &Arc<LoadedModule>,
        chunk: Range<u32>,
        place: &mut Place<'_>,
    ) -> ChunkResult {
        for func in chunk.map(FuncIndex) {
            body(loaded, func)
                .and_then(|body| self.first_code(loaded.code(), body, place))
                .map_err(|error| (func, error))?;
        }
        Ok(())
    }

    /// The functions in ranges of about [`Tuning::chunk_bytes`](crate::Tuning::chunk_bytes).
    fn chunks(&self, loaded: &LoadedModule) -> Vec<Range<u32>> {
        let limit = self.shared.options.tuning.chunk_bytes;
        let funcs = self.funcs();
        let mut chunks = Vec::new();
        let mut start = funcs.start;
        let mut bytes = 0_u32;
        for func in funcs.clone() {
            let body = loaded.module().func(FuncIndex(func));
            bytes = bytes.saturating_add(body.map_or(0, |body| body.body_bytes()));
            if bytes >= limit {
                chunks.push(start..func + 1);
                start = func + 1;
                bytes = 0;
            }
        }
        if start < funcs.end {
            chunks.push(start..funcs.end);
        }
        chunks
    }
}
