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

    /// A thread of the model: it runs its few steps, one atomic change per step.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    struct Actor {
        role: Role,
        phase: Phase,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Role {
        /// A first call, and what its compile gives, none for a failure. Waits while busy.
        Caller(Option<Tier>),
        /// A counter flip that asks for a job.
        Flip,
        /// A worker that takes one job, and how that ends. Waits while there is none.
        Worker(Outcome),
        /// A scheduled tier-up, and how it ends.
        Now(Outcome),
        /// The queue is cleared.
        Clear,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Outcome {
        Finish,
        Fail,
        Retry,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Phase {
        Start,
        /// Compiling: it owns the function.
        Owns,
        Done,
    }

    /// The whole model: the cell, and the actors.
    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct World {
        state: FuncState,
        actors: Vec<Actor>,
    }

    /// The next phase of an actor after one step, or none when it is done or waits.
    fn step(cell: &StateCell, actor: Actor) -> Option<Phase> {
        match (actor.phase, actor.role) {
            (Phase::Start, Role::Caller(_)) => match cell.begin_first() {
                First::Mine => Some(Phase::Owns),
                First::Ready => Some(Phase::Done),
                First::Busy => None,
            },
            (Phase::Start, Role::Worker(_)) => cell.start().then_some(Phase::Owns),
            (Phase::Start, Role::Now(_)) if cell.start_now() => Some(Phase::Owns),
            (Phase::Start, Role::Flip) => {
                cell.request();
                Some(Phase::Done)
            }
            (Phase::Start, Role::Clear) => {
                cell.unqueue();
                Some(Phase::Done)
            }
            (Phase::Owns, role) => {
                match role {
                    Role::Caller(Some(tier)) => cell.finish_first(tier),
                    Role::Caller(None) => cell.fail_first(),
                    Role::Worker(Outcome::Finish) | Role::Now(Outcome::Finish) => cell.finish(),
                    Role::Worker(Outcome::Fail) | Role::Now(Outcome::Fail) => cell.fail(),
                    Role::Worker(Outcome::Retry) | Role::Now(Outcome::Retry) => cell.retry(),
                    Role::Flip | Role::Clear => unreachable!("they own nothing"),
                }
                Some(Phase::Done)
            }
            (Phase::Start, Role::Now(_)) => Some(Phase::Done),
            (Phase::Done, _) => None,
        }
    }

    /// Checks S1 and S3 on a change of the whole world.
    fn check(before: &World, after: &World) {
        let owners = |first: bool| {
            let owning = after.actors.iter().filter(|a| a.phase == Phase::Owns);
            owning
                .filter(|a| matches!(a.role, Role::Caller(_)) == first)
                .count()
        };
        let compiling_first = after.state == FuncState::CompilingFirst;
        let compiling = after.state == FuncState::Compiling;
        assert_eq!(owners(true), usize::from(compiling_first), "{after:?}");
        assert_eq!(owners(false), usize::from(compiling), "{after:?}");
        if before.state.has_code() {
            assert!(after.state.has_code(), "{before:?} -> {after:?}");
        }
        if matches!(before.state, FuncState::Optimized | FuncState::Failed) {
            assert_eq!(before.state, after.state, "final");
        }
    }

    /// Walks every interleaving and gives the states in which all is quiet.
    fn explore(roles: &[Role]) -> HashSet<FuncState> {
        let start = |&role: &Role| Actor {
            role,
            phase: Phase::Start,
        };
        let mut seen = HashSet::new();
        let mut quiet = HashSet::new();
        let mut open = vec![World {
            state: FuncState::Lazy,
            actors: roles.iter().map(start).collect(),
        }];
        while let Some(world) = open.pop() {
            if !seen.insert(world.clone()) {
                continue;
            }
            let mut moved = false;
            for i in 0..world.actors.len() {
                let cell = StateCell(AtomicU8::new(world.state as u8));
                if let Some(phase) = step(&cell, world.actors[i]) {
                    let mut next = world.clone();
                    next.actors[i].phase = phase;
                    next.state = cell.get();
                    check(&world, &next);
                    moved = true;
                    open.push(next);
                }
            }
            if !moved {
                // Nobody waits for a compile that no thread runs.
                assert!(world.state != FuncState::CompilingFirst, "{world:?}");
                assert!(world.state != FuncState::Compiling, "{world:?}");
                quiet.insert(world.state);
            }
        }
        quiet
    }

    /// Who takes part, and the states that this may end in.
    const ROWS: &[(&[Role], &[FuncState])] = {
        use FuncState::{Baseline, Failed, Lazy, Optimized, Queued};
        use Outcome::{Fail, Finish, Retry};
        use Role::{Caller, Clear, Flip, Now, Worker};
        const BASE: Role = Caller(Some(Tier::Baseline));
        const TOP: Role = Caller(Some(Tier::Optimizing));
        const BAD: Role = Caller(None);
        &[
            (&[BAD, BAD], &[Lazy]),
            (&[BASE, BAD, BASE], &[Baseline]),
            (&[TOP, BASE], &[Optimized, Baseline]),
            (
                &[BASE, BASE, Flip, Flip, Worker(Finish), Worker(Finish)],
                &[Baseline, Optimized],
            ),
            (
                &[BASE, Flip, Flip, Clear, Worker(Fail)],
                &[Baseline, Failed],
            ),
            (
                &[BASE, Flip, Flip, Worker(Retry), Worker(Finish)],
                &[Baseline, Optimized],
            ),
            (
                &[BASE, BAD, Flip, Now(Finish), Now(Fail), Clear],
                &[Baseline, Queued, Optimized, Failed],
            ),
            (
                &[
                    BASE,
                    Flip,
                    Now(Retry),
                    Worker(Finish),
                    Worker(Retry),
                    Flip,
                    Clear,
                ],
                &[Baseline, Optimized],
            ),
        ]
    };

    #[test]
    fn every_interleaving_keeps_the_invariants() {
        for (roles, expected) in ROWS {
            let quiet = explore(roles);
            for state in &quiet {
                assert!(expected.contains(state), "{roles:?} ended in {state:?}");
            }
            for state in *expected {
                assert!(quiet.contains(state), "{roles:?} never ended in {state:?}");
            }
        }
    }
}
