//! Numbers of an engine since it was made: a snapshot of counters that every event updates.

use crate::events::EventKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use upshift_abi::Tier;

/// What one compiler did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TierStats {
    /// Functions compiled.
    pub functions: u64,
    /// Code published, in bytes, in total; code that was freed since is not subtracted.
    pub code_bytes: u64,
    /// Time in the compiler, added over all threads.
    pub compile_time: Duration,
    /// Stores into entry slots.
    pub installs: u64,
    /// Compiles or publishes that failed.
    pub failures: u64,
}

/// A snapshot; the fields are read one after the other while the engine may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Functions with a body in all modules loaded so far.
    pub functions: u64,
    /// The baseline compiler.
    pub baseline: TierStats,
    /// The optimizing compiler.
    pub optimizing: TierStats,
    /// Time that guest threads spent waiting for code: first compiles, and scheduled tier-ups.
    pub guest_compile_time: Duration,
    /// Requests for the optimizing tier.
    pub requests: u64,
    /// Times that a queued function moved forward.
    pub raises: u64,
    /// Jobs that workers took.
    pub jobs: u64,
    /// Requests and jobs that were dropped.
    pub skipped: u64,
    /// Loops for which there is code that enters them in the middle. The optimizing compiler's numbers have them in.
    pub osr_loops: u64,
    /// Their code, in bytes.
    pub osr_code_bytes: u64,
    /// The time that their compiles took.
    pub osr_compile_time: Duration,
    /// Loops for which there will be no code.
    pub osr_refused: u64,
    /// Activations that left baseline code in the middle of a loop.
    pub osr_entries: u64,
    /// Times that code was replaced: of functions, and of loops.
    pub retired: u64,
    /// That code, in bytes.
    pub retired_bytes: u64,
    /// The part of it that was given back while its module was in use, in bytes.
    pub freed_bytes: u64,
    /// Time in the queue, added over all jobs that workers took.
    pub queue_wait: Duration,
    /// Jobs in the queue now.
    pub queue_len: usize,
}

impl Stats {
    /// The numbers of one compiler.
    #[must_use]
    pub fn tier(&self, tier: Tier) -> &TierStats {
        match tier {
            Tier::Baseline => &self.baseline,
            Tier::Optimizing => &self.optimizing,
        }
    }
}

#[derive(Debug, Default)]
struct TierCounters {
    functions: AtomicU64,
    code_bytes: AtomicU64,
    compile_ns: AtomicU64,
    installs: AtomicU64,
    failures: AtomicU64,
}

impl TierCounters {
    fn compiled(&self, compile: Duration) {
        add(&self.functions, 1);
        add(&self.compile_ns, nanos(compile));
    }

    fn snapshot(&self) -> TierStats {
        TierStats {
            functions: get(&self.functions),
            code_bytes: get(&self.code_bytes),
            compile_time: Duration::from_nanos(get(&self.compile_ns)),
            installs: get(&self.installs),
            failures: get(&self.failures),
        }
    }
}

/// The counters behind [`Stats`]; relaxed, since they order nothing.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    functions: AtomicU64,
    baseline: TierCounters,
    optimizing: TierCounters,
    guest_ns: AtomicU64,
    requests: AtomicU64,
    raises: AtomicU64,
    jobs: AtomicU64,
    skipped: AtomicU64,
    osr_loops: AtomicU64,
    osr_code_bytes: AtomicU64,
    osr_compile_ns: AtomicU64,
    osr_refused: AtomicU64,
    osr_entries: AtomicU64,
    retired: AtomicU64,
    retired_bytes: AtomicU64,
    freed_bytes: AtomicU64,
    queue_wait_ns: AtomicU64,
}

impl Counters {
    /// Takes an event into account.
    pub(crate) fn record(&self, kind: &EventKind) {
        match *kind {
            EventKind::FunctionValidated { .. } | EventKind::Inlined { .. } => {}
            EventKind::FirstCompiled { tier, compile, .. } => self.tier(tier).compiled(compile),
            EventKind::TierRequested { .. } => add(&self.requests, 1),
            EventKind::PriorityRaised { .. } => add(&self.raises, 1),
            EventKind::JobStarted { waited } | EventKind::OsrStarted { waited, .. } => {
                add(&self.jobs, 1);
                add(&self.queue_wait_ns, nanos(waited));
            }
            EventKind::JobFinished { compile, .. } => self.optimizing.compiled(compile),
            EventKind::Published { tier, code_bytes } => {
                add(&self.tier(tier).code_bytes, u64::from(code_bytes));
            }
            EventKind::Installed { tier } => add(&self.tier(tier).installs, 1),
            EventKind::CodeRetired { code_bytes, .. } => {
                add(&self.retired, 1);
                add(&self.retired_bytes, u64::from(code_bytes));
            }
            EventKind::CodeFreed { code_bytes, .. } => {
                add(&self.freed_bytes, u64::from(code_bytes));
            }
            EventKind::OsrRequested { .. } => add(&self.requests, 1),
            EventKind::OsrCompiled {
                compile,
                code_bytes,
                ..
            } => {
                add(&self.osr_loops, 1);
                add(&self.osr_code_bytes, u64::from(code_bytes));
                add(&self.osr_compile_ns, nanos(compile));
                self.optimizing.compiled(compile);
            }
            EventKind::OsrEntered { .. } => add(&self.osr_entries, 1),
            EventKind::OsrRefused { .. } => {
                add(&self.osr_refused, 1);
                add(&self.optimizing.failures, 1);
            }
            EventKind::JobSkipped { .. } => add(&self.skipped, 1),
            EventKind::Failed { tier, .. } => add(&self.tier(tier).failures, 1),
        }
    }

    /// A module with so many bodies was loaded.
    pub(crate) fn loaded(&self, functions: u32) {
        add(&self.functions, u64::from(functions));
    }

    /// A guest thread waited for code.
    pub(crate) fn guest_waited(&self, time: Duration) {
        add(&self.guest_ns, nanos(time));
    }

    /// Reads everything.
    pub(crate) fn snapshot(&self, queue_len: usize) -> Stats {
        Stats {
            functions: get(&self.functions),
            baseline: self.baseline.snapshot(),
            optimizing: self.optimizing.snapshot(),
            guest_compile_time: Duration::from_nanos(get(&self.guest_ns)),
            requests: get(&self.requests),
            raises: get(&self.raises),
            jobs: get(&self.jobs),
            skipped: get(&self.skipped),
            osr_loops: get(&self.osr_loops),
            osr_code_bytes: get(&self.osr_code_bytes),
            osr_compile_time: Duration::from_nanos(get(&self.osr_compile_ns)),
            osr_refused: get(&self.osr_refused),
            osr_entries: get(&self.osr_entries),
            retired: get(&self.retired),
            retired_bytes: get(&self.retired_bytes),
            freed_bytes: get(&self.freed_bytes),
            queue_wait: Duration::from_nanos(get(&self.queue_wait_ns)),
            queue_len,
        }
    }

    fn tier(&self, tier: Tier) -> &TierCounters {
        match tier {
            Tier::Baseline => &self.baseline,
            Tier::Optimizing => &self.optimizing,
        }
    }
}

fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
