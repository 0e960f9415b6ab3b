//! Validation of bodies, each on its own, on one thread or a pool.
//!
//! Bodies are cut into runs of about equal bytes, so that neither a huge function nor a hundred thousand
//! tiny ones upset the balance. The error that is reported is always the first in byte order: runs after a
//! failed run are skipped, runs before it never are.

mod body;
mod facts;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use wasmparser::ValidatorResources;

pub(crate) use body::WorkerScratch;

use crate::env::{ExportItem, ModuleEnv};
use crate::error::Result;
use crate::facts::{FuncFacts, Uses};
use crate::types::{FuncIndex, FuncType, ValType};

/// Who validates bodies.
#[derive(Clone, Debug, Default)]
pub enum Parallelism {
    /// The calling thread alone.
    #[default]
    CallingThread,
    /// The workers of this pool, while the calling thread waits. Give it a pool of its own: the global one of
    /// rayon may be busy with work that waits for this.
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

/// Runs per worker: enough to balance, few enough to cost nothing.
const RUNS_PER_THREAD: usize = 8;
/// No run is shorter than this, in bytes.
const RUN_BYTES_MIN: usize = 16 << 10;

/// One body.
#[derive(Clone, Copy)]
struct Body<'a> {
    index: FuncIndex,
    bytes: &'a [u8],
    offset: u32,
}

/// What the bodies of a module are validated against.
pub(crate) struct BodyContext<'a> {
    env: &'a ModuleEnv,
    resources: &'a ValidatorResources,
    type_uses: &'a [Uses],
}

impl<'a> BodyContext<'a> {
    pub(crate) fn new(
        env: &'a ModuleEnv,
        resources: &'a ValidatorResources,
        type_uses: &'a [Uses],
    ) -> Self {
        Self {
            env,
            resources,
            type_uses,
        }
    }

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
                match ty {
                    ValType::V128 => uses.insert(Uses::V128),
                    ValType::Ref(_) => uses.insert(Uses::REFS),
                    ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64 => {}
                }
            }
            uses
        })
        .collect()
}

/// Validates bodies that follow each other; `first` is the function of the first range.
///
/// # Errors
/// The first error in byte order.
pub(crate) fn bodies(
    context: &BodyContext<'_>,
    module: &[u8],
    (first, ranges): (FuncIndex, &[Range<u32>]),
    parallelism: &Parallelism,
    scratch: &mut WorkerScratch,
) -> Result<Vec<FuncFacts>> {
    let validate_run = |run: Range<usize>, scratch: &mut WorkerScratch| {
        let mut facts = Vec::with_capacity(run.len());
        for at in run {
            let range = &ranges[at];
            let body = Body {
                // Functions are at most a million, so the sum fits.
                index: FuncIndex(first.0 + u32::try_from(at).unwrap_or(u32::MAX)),
                bytes: &module[range.start as usize..range.end as usize],
                offset: range.start,
            };
            facts.push(body::validate(context, body, scratch)?);
        }
        Ok(facts)
    };
    let pool = match parallelism {
        Parallelism::CallingThread => return validate_run(0..ranges.len(), scratch),
        Parallelism::Pool(pool) => pool,
    };
    let runs = cut(ranges, parallelism.threads());
    if runs.len() == 1 {
        return validate_run(0..ranges.len(), scratch);
    }
    let failed = AtomicUsize::new(usize::MAX);
    let results: Vec<Result<Vec<FuncFacts>>> = pool.install(|| {
        let numbered: Vec<(usize, Range<usize>)> = runs.into_iter().enumerate().collect();
        numbered
            .into_par_iter()
            .map_init(WorkerScratch::default, |scratch, (number, run)| {
                // Relaxed: the value only saves work; results come back through the pool.
                if number > failed.load(Ordering::Relaxed) {
                    return Ok(Vec::new());
                }
                let result = validate_run(run, scratch);
                if result.is_err() {
                    failed.fetch_min(number, Ordering::Relaxed);
                }
                result
            })
            .collect()
    });
    let mut facts = Vec::with_capacity(ranges.len());
    for result in results {
        facts.append(&mut result?);
    }
    Ok(facts)
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
