//! Validation of bodies, each on its own, on one thread or a pool.
//!
//! Bodies are cut into runs of about equal bytes, so that neither a huge function nor a hundred thousand
//! tiny ones upset the balance, and each worker takes the next run when it is done with one. The error that is
//! reported is always the first in byte order: runs after a failed run are skipped, runs before it never are.

mod body;
mod counter;
mod straight;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use wasmparser::ValidatorResources;

pub(crate) use body::WorkerScratch;

use crate::env::{ExportItem, ModuleEnv};
use crate::error::Result;
use crate::facts::{Outline, Uses};
use crate::func::ValidatedFunc;
use crate::types::{FuncIndex, FuncType};

/// Who validates bodies.
#[derive(Clone, Debug, Default)]
pub enum Parallelism {
    /// The calling thread alone.
    #[default]
    CallingThread,
    /// As many threads as this pool has: the calling thread, and workers of the pool. Give it a pool of its own: the
    /// global one of rayon may be busy with work that waits for this.
    Pool(Arc<rayon::ThreadPool>),
}

impl Parallelism {
    fn threads(&self) -> usize {
        match self {
            Self::CallingThread => 1,
            Self::Pool(pool) => pool.current_num_threads(),
        }
    }
}

/// Runs per worker. The workers take them one by one, so what one of them may have left to do while the others have
/// nothing is one run.
const RUNS_PER_THREAD: usize = 64;
/// No run is shorter than this, in bytes.
const RUN_BYTES_MIN: usize = 16 << 10;

/// One body.
#[derive(Clone, Copy)]
struct Body<'a> {
    index: FuncIndex,
    bytes: &'a [u8],
    offset: u32,
}

/// Bodies that follow each other, and the bytes that they are in.
#[derive(Clone, Copy)]
pub(crate) struct Bodies<'a> {
    /// The module from `base` on, with all of these bodies.
    pub(crate) bytes: &'a [u8],
    /// Where the bytes start in the module.
    pub(crate) base: u32,
    /// The function of the first body.
    pub(crate) first: FuncIndex,
    /// Where each is in the module.
    pub(crate) ranges: &'a [Range<u32>],
}

impl<'a> Bodies<'a> {
    fn body(&self, at: usize) -> Body<'a> {
        let range = &self.ranges[at];
        let start = (range.start - self.base) as usize;
        Body {
            // Functions are at most a million, so the sum fits.
            index: FuncIndex(self.first.0 + u32::try_from(at).unwrap_or(u32::MAX)),
            bytes: &self.bytes[start..start + range.len()],
            offset: range.start,
        }
    }

    /// The proof tokens of all of them, whose outlines validation gave.
    pub(crate) fn validated(
        &self,
        env: &'a ModuleEnv,
        outlines: &[Outline],
    ) -> Vec<ValidatedFunc<'a>> {
        let funcs = outlines.iter().enumerate().map(|(at, outline)| {
            let body = self.body(at);
            ValidatedFunc {
                env,
                outline: *outline,
                index: body.index,
                body: body.bytes,
                body_offset: body.offset,
            }
        });
        funcs.collect()
    }
}

/// What the bodies of a module are validated against.
#[derive(Clone, Copy)]
pub(crate) struct BodyContext<'a> {
    pub(crate) env: &'a ModuleEnv,
    pub(crate) resources: &'a ValidatorResources,
    /// What [`widest_type`] gives.
    pub(crate) widest_type: usize,
}

/// Most values of a type of the module, parameters and results together; at least 1.
pub(crate) fn widest_type(types: &[FuncType]) -> usize {
    let widths = types
        .iter()
        .map(|ty| ty.params().len() + ty.results().len());
    widths.max().unwrap_or(0).max(1)
}

impl<'a> BodyContext<'a> {
    /// The first name under which a function is exported.
    fn export_name(&self, func: FuncIndex) -> Option<&'a str> {
        let export = self.env.exports.iter();
        let mut named = export.filter(|export| export.item == ExportItem::Func(func));
        named.next().map(|export| &*export.name)
    }
}

/// What the values of each type are, so that a call is noted in constant time.
pub(crate) fn type_uses(types: &[FuncType]) -> Vec<Uses> {
    types
        .iter()
        .map(|ty| {
            let mut uses = Uses::default();
            for ty in ty.params().iter().chain(ty.results()) {
                uses.insert(Uses::of_type(*ty));
            }
            uses
        })
        .collect()
}

/// Validates a run of bodies, one after the other.
///
/// # Errors
/// The first error in byte order.
pub(crate) fn run(
    context: &BodyContext<'_>,
    bodies: Bodies<'_>,
    run: Range<usize>,
    scratch: &mut WorkerScratch,
) -> Result<Vec<Outline>> {
    let mut outlines = Vec::with_capacity(run.len());
    for at in run {
        outlines.push(body::validate(context, bodies.body(at), scratch)?);
    }
    Ok(outlines)
}

/// Validates bodies, on as many threads as there may be.
///
/// # Errors
/// The first error in byte order.
pub(crate) fn all(
    context: &BodyContext<'_>,
    bodies: Bodies<'_>,
    parallelism: &Parallelism,
    scratch: &mut WorkerScratch,
) -> Result<Vec<Outline>> {
    let ranges = bodies.ranges;
    let validate_run =
        |range: Range<usize>, scratch: &mut WorkerScratch| run(context, bodies, range, scratch);
    let pool = match parallelism {
        Parallelism::CallingThread => return validate_run(0..ranges.len(), scratch),
        Parallelism::Pool(pool) => pool,
    };
    let runs = cut(ranges, parallelism.threads());
    if runs.len() == 1 {
        return validate_run(0..ranges.len(), scratch);
    }
    let results = share_out(pool, &runs, scratch, validate_run);
    let mut outlines = Vec::with_capacity(ranges.len());
    for result in results {
        outlines.append(&mut result?);
    }
    Ok(outlines)
}

/// Has the calling thread and the pool take runs, each the next one, until there are none. The results are in the
/// order of the runs, and complete up to the first error.
fn share_out(
    pool: &rayon::ThreadPool,
    runs: &[Range<usize>],
    scratch: &mut WorkerScratch,
    validate_run: impl Fn(Range<usize>, &mut WorkerScratch) -> Result<Vec<Outline>> + Sync,
) -> Vec<Result<Vec<Outline>>> {
    // Relaxed: they only share out the work; results come back by the locks, and the scope ends after all.
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(usize::MAX);
    let results: Vec<OnceLock<_>> = runs.iter().map(|_| OnceLock::new()).collect();
    let work = |scratch: &mut WorkerScratch| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            // Runs are taken in order, so whatever comes before a failed run has been taken by somebody.
            if number >= runs.len() || number > failed.load(Ordering::Relaxed) {
                return;
            }
            let result = validate_run(runs[number].clone(), scratch);
            if result.is_err() {
                failed.fetch_min(number, Ordering::Relaxed);
            }
            // Nobody else has this number.
            drop(results[number].set(result));
        }
    };
    pool.in_place_scope(|scope| {
        for _ in 1..pool.current_num_threads().min(runs.len()) {
            scope.spawn(|_| work(&mut WorkerScratch::default()));
        }
        work(scratch);
    });
    results
        .into_iter()
        .map_while(OnceLock::into_inner)
        .collect()
}

/// Cuts bodies into runs of about equal bytes.
fn cut(ranges: &[Range<u32>], threads: usize) -> Vec<Range<usize>> {
    let bytes: usize = ranges.iter().map(Range::len).sum();
    let target = (bytes / (threads * RUNS_PER_THREAD)).max(RUN_BYTES_MIN);
    let mut runs = Vec::new();
    let (mut start, mut filled) = (0, 0);
    for (at, range) in ranges.iter().enumerate() {
        filled += range.len();
        if filled >= target {
            runs.push(start..at + 1);
            (start, filled) = (at + 1, 0);
        }
    }
    if start < ranges.len() || runs.is_empty() {
        runs.push(start..ranges.len());
    }
    runs
}
