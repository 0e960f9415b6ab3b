//! Everything that tier-up does, as one closed enum that statistics, traces and tests consume.
//!
//! Without a sink an event costs a few relaxed additions to the engine's counters; the clock is not
//! even read. Events of one function come in the order of its states; those of different functions
//! interleave as the threads do.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::stats::Counters;
use upshift_abi::{SiteIndex, Tier};
use upshift_module::FuncIndex;
use upshift_runtime::TierErrorKind;

/// Number of a module in its engine, in the order of loading.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ModuleId(pub u64);

/// Something that happened to a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// When, since the engine was made.
    pub at: Duration,
    /// In which module.
    pub module: ModuleId,
    /// To which function.
    pub func: FuncIndex,
    /// What.
    pub kind: EventKind,
}

/// What happened. The numbers are the steps of `docs/tiering.md`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// The module is being loaded, and the function's body is valid.
    FunctionValidated {
        /// Size of the body in the module.
        body_bytes: u32,
    },
    /// Step 1: the function's first code was made, by whichever compiler the policy names.
    FirstCompiled {
        /// By which compiler.
        tier: Tier,
        /// Size of the code.
        code_bytes: u32,
        /// Time of the compile.
        compile: Duration,
    },
    /// Step 3: the optimizing tier was asked for.
    TierRequested {
        /// Where the counter flipped; none when the policy asked.
        site: Option<SiteIndex>,
        /// Its rank in the queue, greater is sooner.
        priority: u64,
    },
    /// Step 4: a queued function flipped again and moves forward.
    PriorityRaised {
        /// Its new rank.
        priority: u64,
    },
    /// Step 5: a worker took the job.
    JobStarted {
        /// Time in the queue.
        waited: Duration,
    },
    /// Step 5: the optimizing compile succeeded.
    JobFinished {
        /// Size of the code.
        code_bytes: u32,
        /// Time of the compile.
        compile: Duration,
    },
    /// Step 5: the code holds the body of this function in place of a call. After the compile that did it.
    Inlined {
        /// The function that is called there.
        callee: FuncIndex,
    },
    /// Step 6: the code is executable and known to stack walks, but nobody can reach it yet.
    Published {
        /// By which compiler.
        tier: Tier,
        /// Size of the code.
        code_bytes: u32,
    },
    /// Step 7: the entry slot was stored; calls reach the code.
    Installed {
        /// By which compiler.
        tier: Tier,
    },
    /// Step 8: no call and no loop reaches this code any more; activations may still run in it.
    CodeRetired {
        /// Of which compiler.
        tier: Tier,
        /// Size of the code.
        code_bytes: u32,
    },
    /// Step 8: no activation ran retired code any more, and its bytes were given back.
    CodeFreed {
        /// Of which compiler.
        tier: Tier,
        /// Size of the code.
        code_bytes: u32,
    },
    /// A running loop is to be entered in the middle.
    OsrRequested {
        /// The loop.
        site: SiteIndex,
        /// Its rank in the queue, greater is sooner.
        priority: u64,
    },
    /// A worker took the job.
    OsrStarted {
        /// The loop.
        site: SiteIndex,
        /// Time in the queue.
        waited: Duration,
    },
    /// Code for that was compiled.
    OsrCompiled {
        /// The loop.
        site: SiteIndex,
        /// Size of the code.
        code_bytes: u32,
        /// Time of the compile.
        compile: Duration,
    },
    /// An activation left its baseline code for optimized code at this loop.
    OsrEntered {
        /// The loop.
        site: SiteIndex,
    },
    /// There will be no code for this loop.
    OsrRefused {
        /// The loop.
        site: SiteIndex,
        /// Why.
        kind: TierErrorKind,
    },
    /// A request or job was dropped.
    JobSkipped {
        /// Why.
        reason: SkipReason,
    },
    /// A compile or publish failed. After a first compile the next call tries again; after an
    /// optimizing one the baseline code runs on.
    Failed {
        /// By which compiler.
        tier: Tier,
        /// Why.
        kind: TierErrorKind,
    },
}

/// Why a request or job was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SkipReason {
    /// The body is larger than [`Tuning::max_body_bytes`](crate::Tuning::max_body_bytes).
    TooLarge,
    /// The pool has no thread to run it.
    NoWorker,
    /// The module was dropped while the job waited.
    ModuleDropped,
}

/// Takes events. Called on guest threads and on pool threads, also at the same time: it should
/// return soon, and must not call into the engine. A panic in it is caught, and the event is lost.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn event(&self, event: &Event);
}

/// A sink that keeps the last events.
#[derive(Debug)]
pub struct RingBuffer {
    capacity: usize,
    events: Mutex<VecDeque<Event>>,
}

impl RingBuffer {
    /// A buffer for so many events, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            events: Mutex::default(),
        }
    }

    /// A copy of what is kept, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().copied().collect()
    }

    /// Takes out what is kept, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<Event> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.drain(..).collect()
    }
}

impl EventSink for RingBuffer {
    fn event(&self, event: &Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == self.capacity {
            events.pop_front();
        }
        events.push_back(*event);
    }
}

/// Hands each event to the counters and to the sink, if there is one.
pub(crate) struct Events {
    start: Instant,
    pub(crate) counters: Counters,
    sink: Option<Arc<dyn EventSink>>,
}

impl Events {
    pub(crate) fn new(sink: Option<Arc<dyn EventSink>>) -> Self {
        Self {
            start: Instant::now(),
            counters: Counters::default(),
            sink,
        }
    }

    /// Whether somebody wants to be told.
    pub(crate) fn watched(&self) -> bool {
        self.sink.is_some()
    }

    pub(crate) fn emit(&self, module: ModuleId, func: FuncIndex, kind: EventKind) {
        self.counters.record(&kind);
        if let Some(sink) = &self.sink {
            let event = Event {
                at: self.start.elapsed(),
                module,
                func,
                kind,
            };
            // The caller owns a state of the function; unwinding would leave it there for good.
            drop(catch_unwind(AssertUnwindSafe(|| sink.event(&event))));
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for EventKind {
    /// Shape: `installed optimizing`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::FunctionValidated { body_bytes } => write!(f, "validated {body_bytes} bytes"),
            Self::FirstCompiled {
                tier, code_bytes, ..
            } => write!(f, "first-compiled {} {code_bytes} bytes", tier.name()),
            Self::TierRequested { site, priority } => match site {
                Some(site) => write!(f, "requested at site {} priority {priority}", site.0),
                None => write!(f, "requested by policy priority {priority}"),
            },
            Self::PriorityRaised { priority } => write!(f, "raised priority {priority}"),
            Self::JobStarted { .. } => f.write_str("job-started"),
            Self::JobFinished { code_bytes, .. } => write!(f, "job-finished {code_bytes} bytes"),
            Self::Inlined { callee } => write!(f, "inlined function {}", callee.0),
            Self::Published { tier, code_bytes } => {
                write!(f, "published {} {code_bytes} bytes", tier.name())
            }
            Self::Installed { tier } => write!(f, "installed {}", tier.name()),
            Self::CodeRetired { tier, code_bytes } => {
                write!(f, "retired {} {code_bytes} bytes", tier.name())
            }
            Self::CodeFreed { tier, code_bytes } => {
                write!(f, "freed {} {code_bytes} bytes", tier.name())
            }
            Self::OsrRequested { site, priority } => {
                write!(f, "osr-requested at site {} priority {priority}", site.0)
            }
            Self::OsrStarted { site, .. } => write!(f, "osr-started at site {}", site.0),
            Self::OsrCompiled {
                site, code_bytes, ..
            } => write!(f, "osr-compiled at site {} {code_bytes} bytes", site.0),
            Self::OsrEntered { site } => write!(f, "osr-entered at site {}", site.0),
            Self::OsrRefused { site, kind } => {
                write!(f, "osr-refused at site {} {kind:?}", site.0)
            }
            Self::JobSkipped { reason } => write!(f, "skipped {reason:?}"),
            Self::Failed { tier, kind } => write!(f, "failed {} {kind:?}", tier.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, EventKind, EventSink, ModuleId, RingBuffer};
    use std::time::Duration;
    use upshift_abi::Tier;
    use upshift_module::FuncIndex;

    #[test]
    fn ring_keeps_the_last_events() {
        for (capacity, kept) in [(0, 4..5), (1, 4..5), (3, 2..5), (5, 0..5), (9, 0..5)] {
            let ring = RingBuffer::new(capacity);
            for func in 0..5 {
                ring.event(&Event {
                    at: Duration::ZERO,
                    module: ModuleId(0),
                    func: FuncIndex(func),
                    kind: EventKind::Installed {
                        tier: Tier::Baseline,
                    },
                });
            }
            let funcs = |events: Vec<Event>| events.iter().map(|e| e.func.0).collect::<Vec<_>>();
            assert_eq!(funcs(ring.events()), kept.clone().collect::<Vec<_>>());
            assert_eq!(funcs(ring.take()), kept.collect::<Vec<_>>());
            assert_eq!(ring.events(), []);
        }
    }
}
