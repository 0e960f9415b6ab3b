//! The state of one function, and who may change it.
//!
//! ```text
//!             begin_first          finish_first(Baseline)        request
//!      Lazy ---------------> CompilingFirst -----------> Baseline -----> Queued
//!       ^                      |         |                ^  ^  |           |
//!       +------fail_first------+         |                |  |  |start_now  |start
//!                   finish_first(Optimizing)     unqueue--+  |  v           v
//!                                        |      (from Queued)|  Compiling <-+
//!                                        v                   |   |    |   |
//!                                    Optimized <---finish----|---+    |   +--fail--> Failed
//!                                                            +--retry-+
//! ```
//!
//! Invariants:
//! * S1. Every change is one compare-and-swap from the state it starts at, so of several threads
//!   that try the same one exactly one succeeds, and that one owns the work: whoever moved the cell
//!   to `CompilingFirst` or `Compiling` is the only thread that compiles the function in that tier.
//! * S2. The entry slot is stored before the state that says so (release), and the state is read
//!   (acquire) before the slot is trusted: who sees `Baseline` or later finds code in the slot.
//! * S3. Tiers never go down: `Optimized` and `Failed` are final, and nothing leads from a state with
//!   code back to `Lazy` or `CompilingFirst`.

use std::sync::atomic::{AtomicU8, Ordering};
use upshift_abi::Tier;

/// Where a function is on its way up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum FuncState {
    /// No code yet; the entry slot holds the lazy stub.
    Lazy,
    /// A thread makes the first code; others wait.
    CompilingFirst,
    /// Baseline code runs.
    Baseline,
    /// Baseline code runs, and a job is in the queue.
    Queued,
    /// Baseline code runs, and a worker compiles the function in the optimizing tier.
    Compiling,
    /// Optimized code runs.
    Optimized,
    /// Baseline code runs for good: the optimizing tier does not want the function.
    Failed,
}

impl FuncState {
    const ALL: [Self; 7] = [
        Self::Lazy,
        Self::CompilingFirst,
        Self::Baseline,
        Self::Queued,
        Self::Compiling,
        Self::Optimized,
        Self::Failed,
    ];

    /// Whether the entry slot holds compiled code.
    #[must_use]
    pub fn has_code(self) -> bool {
        match self {
            Self::Lazy | Self::CompilingFirst => false,
            Self::Baseline | Self::Queued | Self::Compiling | Self::Optimized | Self::Failed => {
                true
            }
        }
    }
}

/// What a call of a function without code has to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum First {
    /// The caller compiles, and must end with `finish_first` or `fail_first`.
    Mine,
    /// Another thread compiles; wait and ask again.
    Busy,
    /// There is code already.
    Ready,
}

/// The state of one function as threads share it.
#[derive(Debug)]
pub(crate) struct StateCell(AtomicU8);

impl StateCell {
    /// A function without code.
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(FuncState::Lazy as u8))
    }

    /// The state now.
    pub(crate) fn get(&self) -> FuncState {
        FuncState::ALL[usize::from(self.0.load(Ordering::Acquire))]
    }

    /// Asks for the right to make the first code.
    pub(crate) fn begin_first(&self) -> First {
        if self.change(FuncState::Lazy, FuncState::CompilingFirst) {
            First::Mine
        } else if self.get().has_code() {
            First::Ready
        } else {
            First::Busy
        }
    }

    /// The first code is installed.
    pub(crate) fn finish_first(&self, tier: Tier) {
        let to = match tier {
            Tier::Baseline => FuncState::Baseline,
            Tier::Optimizing => FuncState::Optimized,
        };
        let owned = self.change(FuncState::CompilingFirst, to);
        debug_assert!(owned, "S1: only the owner ends a first compile");
    }

    /// The first compile failed; the next call tries again.
    pub(crate) fn fail_first(&self) {
        let owned = self.change(FuncState::CompilingFirst, FuncState::Lazy);
        debug_assert!(owned, "S1: only the owner ends a first compile");
    }

    /// Asks for the right to put a job into the queue.
    pub(crate) fn request(&self) -> bool {
        self.change(FuncState::Baseline, FuncState::Queued)
    }

    /// The job could not be queued, or left the queue without being run.
    pub(crate) fn unqueue(&self) -> bool {
        self.change(FuncState::Queued, FuncState::Baseline)
    }

    /// A worker took the job.
    pub(crate) fn start(&self) -> bool {
        self.change(FuncState::Queued, FuncState::Compiling)
    }

    /// A scheduled tier-up starts without a queue.
    pub(crate) fn start_now(&self) -> bool {
        self.change(FuncState::Baseline, FuncState::Compiling)
    }

    /// Optimized code is installed.
    pub(crate) fn finish(&self) {
        let owned = self.change(FuncState::Compiling, FuncState::Optimized);
        debug_assert!(owned, "S1: only the owner ends an optimizing compile");
    }

    /// The optimizing tier refused the function for good.
    pub(crate) fn fail(&self) {
        let owned = self.change(FuncState::Compiling, FuncState::Failed);
        debug_assert!(owned, "S1: only the owner ends an optimizing compile");
    }

    /// The optimizing tier had no room; a later flip asks again.
    pub(crate) fn retry(&self) {
        let owned = self.change(FuncState::Compiling, FuncState::Baseline);
        debug_assert!(owned, "S1: only the owner ends an optimizing compile");
    }

    fn change(&self, from: FuncState, to: FuncState) -> bool {
        self.0
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{First, FuncState, StateCell};
    use std::collections::HashSet;
    use std::sync::atomic::AtomicU8;
    use upshift_abi::Tier;

    /// A thread of the model: each runs its few steps, one atomic change per step.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Actor {
        /// A first call; `tier` is what its compile gives, none a failure. Waits while busy.
        Caller {
            tier: Option<Tier>,
            owns: bool,
            done: bool,
        },
        /// A counter flip that asks for a job.
        Flip { done: bool },
        /// A worker that takes one job; `outcome` is how it ends. Waits while there is none.
        Worker {
            outcome: Outcome,
            owns: bool,
            done: bool,
        },
        /// A scheduled tier-up.
        Now {
            outcome: Outcome,
            owns: bool,
            done: bool,
        },
        /// The queue is cleared.
        Clear { done: bool },
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Outcome {
        Finish,
        Fail,
        Retry,
    }

    /// The whole model: the cell, and the actors.
    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct World {
        state: FuncState,
        actors: Vec<Actor>,
    }

    fn end(cell: &StateCell, outcome: Outcome) {
        match outcome {
            Outcome::Finish => cell.finish(),
            Outcome::Fail => cell.fail(),
            Outcome::Retry => cell.retry(),
        }
    }

    /// One step of an actor, or none when it is done or waits.
    fn step(cell: &StateCell, actor: Actor) -> Option<Actor> {
        match actor {
            Actor::Caller {
                tier, owns: true, ..
            } => {
                match tier {
                    Some(tier) => cell.finish_first(tier),
                    None => cell.fail_first(),
                }
                Some(Actor::Caller {
                    tier,
                    owns: false,
                    done: true,
                })
            }
            Actor::Caller {
                tier, done: false, ..
            } => match cell.begin_first() {
                First::Mine => Some(Actor::Caller {
                    tier,
                    owns: true,
                    done: false,
                }),
                First::Ready => Some(Actor::Caller {
                    tier,
                    owns: false,
                    done: true,
                }),
                First::Busy => None,
            },
            Actor::Flip { done: false } => {
                cell.request();
                Some(Actor::Flip { done: true })
            }
            Actor::Worker {
                outcome,
                owns: true,
                ..
            } => {
                end(cell, outcome);
                Some(Actor::Worker {
                    outcome,
                    owns: false,
                    done: true,
                })
            }
            Actor::Worker {
                outcome,
                done: false,
                ..
            } => cell.start().then_some(Actor::Worker {
                outcome,
                owns: true,
                done: false,
            }),
            Actor::Now {
                outcome,
                owns: true,
                ..
            } => {
                end(cell, outcome);
                Some(Actor::Now {
                    outcome,
                    owns: false,
                    done: true,
                })
            }
            Actor::Now {
                outcome,
                done: false,
                ..
            } => {
                let owns = cell.start_now();
                Some(Actor::Now {
                    outcome,
                    owns,
                    done: !owns,
                })
            }
            Actor::Clear { done: false } => {
                cell.unqueue();
                Some(Actor::Clear { done: true })
            }
            Actor::Caller { .. }
            | Actor::Flip { .. }
            | Actor::Worker { .. }
            | Actor::Now { .. }
            | Actor::Clear { .. } => None,
        }
    }

    /// Checks S1 and S3 on a change of the whole world.
    fn check(before: &World, after: &World) {
        let first = |w: &World| {
            w.actors
                .iter()
                .filter(|a| matches!(a, Actor::Caller { owns: true, .. }))
                .count()
        };
        let optimizing = |w: &World| {
            w.actors
                .iter()
                .filter(|a| {
                    matches!(
                        a,
                        Actor::Worker { owns: true, .. } | Actor::Now { owns: true, .. }
                    )
                })
                .count()
        };
        assert_eq!(
            first(after),
            usize::from(after.state == FuncState::CompilingFirst)
        );
        assert_eq!(
            optimizing(after),
            usize::from(after.state == FuncState::Compiling)
        );
        if before.state.has_code() {
            assert!(after.state.has_code(), "{before:?} -> {after:?}");
        }
        if matches!(before.state, FuncState::Optimized | FuncState::Failed) {
            assert_eq!(before.state, after.state, "final");
        }
    }

    /// Walks every interleaving and gives the states in which all is quiet.
    fn explore(actors: Vec<Actor>) -> HashSet<FuncState> {
        let mut seen = HashSet::new();
        let mut quiet = HashSet::new();
        let mut open = vec![World {
            state: FuncState::Lazy,
            actors,
        }];
        while let Some(world) = open.pop() {
            if !seen.insert(world.clone()) {
                continue;
            }
            let mut moved = false;
            for i in 0..world.actors.len() {
                let cell = StateCell(AtomicU8::new(world.state as u8));
                if let Some(actor) = step(&cell, world.actors[i]) {
                    let mut next = world.clone();
                    next.actors[i] = actor;
                    next.state = cell.get();
                    check(&world, &next);
                    moved = true;
                    open.push(next);
                }
            }
            if !moved {
                // Nobody waits for a first compile that no thread runs.
                assert!(world.state != FuncState::CompilingFirst, "{world:?}");
                assert!(world.state != FuncState::Compiling, "{world:?}");
                quiet.insert(world.state);
            }
        }
        quiet
    }

    const fn caller(tier: Option<Tier>) -> Actor {
        Actor::Caller {
            tier,
            owns: false,
            done: false,
        }
    }

    const fn worker(outcome: Outcome) -> Actor {
        Actor::Worker {
            outcome,
            owns: false,
            done: false,
        }
    }

    const fn now(outcome: Outcome) -> Actor {
        Actor::Now {
            outcome,
            owns: false,
            done: false,
        }
    }

    #[test]
    fn every_interleaving_keeps_the_invariants() {
        use FuncState::{Baseline, Failed, Lazy, Optimized, Queued};
        const BASE: Actor = caller(Some(Tier::Baseline));
        const FLIP: Actor = Actor::Flip { done: false };
        const CLEAR: Actor = Actor::Clear { done: false };
        let rows: &[(&[Actor], &[FuncState])] = &[
            (&[caller(None), caller(None)], &[Lazy]),
            (&[BASE, caller(None), BASE], &[Baseline]),
            (
                &[caller(Some(Tier::Optimizing)), BASE],
                &[Optimized, Baseline],
            ),
            (
                &[
                    BASE,
                    BASE,
                    FLIP,
                    FLIP,
                    worker(Outcome::Finish),
                    worker(Outcome::Finish),
                ],
                &[Baseline, Optimized],
            ),
            (
                &[BASE, FLIP, FLIP, CLEAR, worker(Outcome::Fail)],
                &[Baseline, Queued, Failed],
            ),
            (
                &[
                    BASE,
                    FLIP,
                    FLIP,
                    worker(Outcome::Retry),
                    worker(Outcome::Finish),
                ],
                &[Baseline, Optimized],
            ),
            (
                &[
                    BASE,
                    caller(None),
                    FLIP,
                    now(Outcome::Finish),
                    now(Outcome::Fail),
                    CLEAR,
                ],
                &[Baseline, Queued, Optimized, Failed],
            ),
            (
                &[
                    BASE,
                    FLIP,
                    now(Outcome::Retry),
                    worker(Outcome::Finish),
                    worker(Outcome::Retry),
                    FLIP,
                    CLEAR,
                ],
                &[Baseline, Queued, Optimized],
            ),
        ];
        for (actors, expected) in rows {
            let quiet = explore(actors.to_vec());
            for state in &quiet {
                assert!(expected.contains(state), "{actors:?} ended in {state:?}");
            }
            for state in *expected {
                assert!(quiet.contains(state), "{actors:?} never ended in {state:?}");
            }
        }
    }
}
