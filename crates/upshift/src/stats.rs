//! [`Stats`]: what an engine did so far.

use std::time::Duration;
use upshift_abi::Tier;
use upshift_runtime::CodeSpaceStats;
use upshift_tiering::TierStats;

/// A snapshot of an engine's numbers since it was made.
///
/// ```
/// use upshift::{CompileMode, Config, Engine, Module, Tier, TierPolicy};
///
/// # fn main() -> upshift::Result<()> {
/// let mut config = Config::new();
/// config.tier_policy(TierPolicy::Baseline).compile_mode(CompileMode::Eager);
/// let engine = Engine::new(&config)?;
/// let module = Module::new(&engine, "(module (func) (func))")?;
/// let stats = engine.stats();
/// assert_eq!((stats.functions, stats.tier(Tier::Baseline).functions), (2, 2));
/// assert!(!stats.validate_time.is_zero());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Functions with a body in all modules loaded so far.
    pub functions: u64,
    /// The part of loading modules that decodes and validates them, as the loading threads waited for it. The rest of
    /// [`Module::new`](crate::Module::new) makes code. Of a [`ModuleStream`](crate::ModuleStream) it is the time in its methods
    /// up to the last byte, code that they made included.
    pub validate_time: Duration,
    /// What the baseline compiler did.
    pub baseline: TierStats,
    /// What the optimizing compiler did.
    pub optimizing: TierStats,
    /// Time that guest threads spent waiting for code.
    pub lazy_compile_time: Duration,
    /// Requests for the optimizing tier.
    pub requested: u64,
    /// Requests and jobs that were dropped.
    pub skipped: u64,
    /// Times that a queued function moved forward.
    pub raised: u64,
    /// Jobs that workers took.
    pub jobs: u64,
    /// Loops for which there is optimized code that enters them in the middle; they count as functions of the
    /// optimizing compiler as well.
    pub osr_loops: u64,
    /// The code of these loops, in bytes.
    pub osr_code_bytes: u64,
    /// The time that the compiles of these loops took.
    pub osr_compile_time: Duration,
    /// Loops that the optimizing compiler refused.
    pub osr_refused: u64,
    /// Activations that left baseline code in the middle of a loop.
    pub osr_entries: u64,
    /// Times that code was replaced: of functions, and of loops.
    pub retired: u64,
    /// That code, in bytes.
    pub retired_bytes: u64,
    /// The part of it that was given back while its module was in use, in bytes.
    pub freed_bytes: u64,
    /// Jobs that wait for a worker now.
    pub queue_length: usize,
    /// Time in the queue, added over all jobs that workers took.
    pub queue_wait: Duration,
    /// Machine code in use now, in bytes.
    pub code_bytes_live: u64,
    /// Memory behind the code space now, in bytes.
    pub code_bytes_committed: u64,
}

impl Stats {
    pub(crate) fn new(tiers: upshift_tiering::Stats, code: CodeSpaceStats) -> Self {
        let bytes = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        Self {
            functions: tiers.functions,
            validate_time: Duration::ZERO,
            baseline: tiers.baseline,
            optimizing: tiers.optimizing,
            lazy_compile_time: tiers.guest_compile_time,
            requested: tiers.requests,
            skipped: tiers.skipped,
            raised: tiers.raises,
            jobs: tiers.jobs,
            osr_loops: tiers.osr_loops,
            osr_code_bytes: tiers.osr_code_bytes,
            osr_compile_time: tiers.osr_compile_time,
            osr_refused: tiers.osr_refused,
            osr_entries: tiers.osr_entries,
            retired: tiers.retired,
            retired_bytes: tiers.retired_bytes,
            freed_bytes: tiers.freed_bytes,
            queue_length: tiers.queue_len,
            queue_wait: tiers.queue_wait,
            code_bytes_live: bytes(code.live_bytes),
            code_bytes_committed: bytes(code.committed_bytes),
        }
    }

    /// The numbers of one compiler.
    #[must_use]
    pub fn tier(&self, tier: Tier) -> &TierStats {
        match tier {
            Tier::Baseline => &self.baseline,
            Tier::Optimizing => &self.optimizing,
        }
    }
}
