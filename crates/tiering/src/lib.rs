//! When a function moves up a tier: policies, counters, queue, background pool, events.
//!
//! One [`TierManager`] per engine makes one [`ModuleTiers`] per module. The runtime calls it through
//! [`TierSink`](upshift_runtime::TierSink) when a function without code is called and when a counter
//! flips; it compiles through [`Compiler`](upshift_abi::Compiler), and has the runtime publish and
//! install what comes back. No instruction, register or address is known here. `docs/tiering.md`
//! tells the story in numbered steps.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod ahead;
mod arriving;
mod budget;
mod compile;
mod events;
mod first;
mod jobs;
mod load;
mod manager;
mod module_tiers;
mod osr;
mod policy;
mod pool;
mod profile;
mod queue;
mod reclaim;
mod schedule;
mod scheduled;
mod state;
mod stats;
mod targets;
mod tuning;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use arriving::Arriving;
pub use events::{Event, EventKind, EventSink, ModuleId, RingBuffer, SkipReason};
pub use manager::TierManager;
pub use module_tiers::ModuleTiers;
pub use policy::{CompileMode, TierMask, TierPolicy, TieringOptions};
pub use schedule::{
    ModuleSchedule, Schedule, ScheduleAction, ScheduleError, ScheduleRecorder, ScheduleStep,
};
pub use state::FuncState;
pub use stats::{Stats, TierStats};
pub use tuning::Tuning;
