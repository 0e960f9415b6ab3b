//! Every threshold of tier-up, each with its default. Nothing here changes what a program computes.
//!
//! `docs/tiering.md` says which measurements the defaults come from; `budget.rs` and `load.rs` are the arithmetic on them.
//! As text they are `key = value`, by serde; keys that are left out keep their defaults.

use serde::{Deserialize, Serialize};
use upshift_abi::InlineLimits;

/// The thresholds of an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// Budget in percent of the predicted cost of the optimizing compile, when the compile has a core of its own.
    pub budget_percent: u32,
    /// Factor on budgets when the compile takes the time of the guest, since no core is idle. In between, in between.
    pub busy_factor: u32,
    /// Percentage of the time that the queued compiles will take which is added to a budget, at most doubling it.
    pub queue_percent: u32,
    /// Time that may be spent on compiling in the background, in percent of the time that passes, per worker, when
    /// cores are idle. A function that would exceed it waits.
    pub compile_share_percent: u32,
    /// The same for all workers together when no core is idle.
    pub busy_share_percent: u32,
    /// How much of that time may be saved up, in microseconds: what an engine starts with.
    pub compile_burst_us: u32,
    /// Predicted cost of an optimizing compile, the part that each function pays, in microseconds.
    pub compile_fixed_us: u32,
    /// Predicted cost of an optimizing compile per byte of the body, in nanoseconds.
    pub compile_ns_per_byte: u32,
    /// Time that baseline code spends per visit of a site, whatever lies between them, in picoseconds.
    pub run_ps_per_visit: u32,
    /// Time that baseline code spends per byte between two sites, in picoseconds, in a body without loops.
    pub run_ps_per_byte: u32,
    /// The same in a body with loops, where small ones are visited more often than large ones.
    pub loop_ps_per_byte: u32,
    /// At most so many bytes of a body are thought to run between two sites: big bodies branch.
    pub visit_bytes_max: u32,
    /// Bodies above this many bytes count as large and must be hotter by [`Self::large_factor`].
    pub large_body_bytes: u32,
    /// Factor on the budget of large bodies.
    pub large_factor: u32,
    /// Bodies above this many bytes stay in the baseline tier, but for the policy Optimizing.
    pub max_body_bytes: u32,
    /// Whether running loops are entered in the middle.
    pub osr: bool,
    /// For how many of its loops a function may have code that enters it there.
    pub osr_loops_max: usize,
    /// Whether optimized code takes in the bodies of callees.
    pub inlining: bool,
    /// Bodies up to this many bytes are inlined wherever they are called.
    pub inline_tiny_bytes: u32,
    /// Bodies up to this many bytes are inlined where the call is in a loop or the callee is hot.
    pub inline_small_bytes: u32,
    /// Bodies up to this many bytes are inlined where both are true.
    pub inline_hot_bytes: u32,
    /// Entries from which on a callee is hot.
    pub inline_hot_entries: u64,
    /// Inlined bodies around a call, at most.
    pub inline_depth: u32,
    /// Bytes of all bodies that one function takes in, at most.
    pub inline_budget_bytes: u32,
    /// The same but for tiny ones, in percent of the function's own body.
    pub inline_growth_percent: u32,
    /// Bytes that small functions may take in even so.
    pub inline_growth_bytes_min: u32,
    /// For tests: takes some function of the right type for the target of a `call_indirect` of which nothing is known.
    pub inline_guesses: bool,
    /// Time between two visits of the slow path of a loop whose function is queued or being
    /// compiled, in microseconds.
    pub poll_us: u32,
    /// The same in percent of the time that the compiles before it and its own will take, if that is more.
    pub poll_percent: u32,
    /// Longest time between two visits of the slow path when the host may interrupt, in microseconds.
    pub interrupt_us: u32,
    /// Time that baseline code may spend on one byte of a body, in picoseconds: what [`Self::interrupt_us`] reckons with.
    pub interrupt_ps_per_byte: u32,
    /// Most sites between two visits of the slow path when the host may interrupt and the body calls
    /// helpers, each of which may take long (a fill of a whole memory).
    pub interrupt_helper_visits: u32,
    /// Bytes of bodies that a thread takes at a time when all functions are compiled ahead.
    pub chunk_bytes: u32,
    /// How many idle baseline workers are kept for the next first call.
    pub kept_workers: usize,
    /// Stack of pool threads in bytes.
    pub pool_stack_bytes: usize,
    /// Threads that compile in the background at most; none derives it from
    /// [`TieringOptions::threads`](crate::TieringOptions::threads).
    pub compile_threads: Option<usize>,
    /// Niceness that they add to that of the process, 0 to 19.
    pub compile_nice: u8,
    /// How long such a thread waits for work before it ends and gives its memory back, in milliseconds.
    pub compile_idle_ms: u32,
}

impl Tuning {
    /// What an engine has unless it is told otherwise.
    pub const DEFAULT: Self = Self {
        budget_percent: 100,
        busy_factor: 5,
        queue_percent: 25,
        compile_share_percent: 100,
        busy_share_percent: 15,
        compile_burst_us: 20_000,
        compile_fixed_us: 150,
        compile_ns_per_byte: 1_200,
        run_ps_per_visit: 1_500,
        run_ps_per_byte: 50,
        loop_ps_per_byte: 20,
        visit_bytes_max: 2_000,
        large_body_bytes: 100_000,
        large_factor: 4,
        max_body_bytes: 1 << 20,
        osr: true,
        osr_loops_max: 8,
        inlining: true,
        inline_tiny_bytes: 24,
        inline_small_bytes: 80,
        inline_hot_bytes: 240,
        inline_hot_entries: 100,
        inline_depth: 4,
        inline_budget_bytes: 12_000,
        inline_growth_percent: 100,
        inline_growth_bytes_min: 300,
        inline_guesses: false,
        poll_us: 50,
        poll_percent: 5,
        interrupt_us: 4_000,
        interrupt_ps_per_byte: 250,
        interrupt_helper_visits: 64,
        chunk_bytes: 32 << 10,
        kept_workers: 2,
        pool_stack_bytes: 8 << 20,
        compile_threads: None,
        compile_nice: 0,
        compile_idle_ms: 100,
    };

    /// What an optimizing compile may inline.
    pub(crate) fn inline_limits(&self) -> InlineLimits {
        if !self.inlining {
            return InlineLimits::OFF;
        }
        InlineLimits {
            tiny_bytes: self.inline_tiny_bytes,
            small_bytes: self.inline_small_bytes,
            hot_bytes: self.inline_hot_bytes,
            hot_entries: self.inline_hot_entries,
            depth: self.inline_depth,
            budget_bytes: self.inline_budget_bytes,
            growth_percent: self.inline_growth_percent,
            growth_bytes_min: self.inline_growth_bytes_min,
        }
    }

    /// The same with everything inlined that can be, as far as the size of functions stays sane, for tests.
    #[must_use]
    pub fn inline_all(self) -> Self {
        Self {
            inlining: true,
            inline_tiny_bytes: 1_000,
            inline_small_bytes: 4_000,
            inline_hot_bytes: 4_000,
            inline_hot_entries: 0,
            inline_depth: 8,
            inline_budget_bytes: 20_000,
            inline_growth_percent: 1_000,
            inline_growth_bytes_min: 10_000,
            inline_guesses: true,
            ..self
        }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self::DEFAULT
    }
}
