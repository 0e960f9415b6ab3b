//! Every interleaving of small groups of threads over the real state cell, queue and table of loops.
//!
//! A thread of the model runs the steps of `module_tiers.rs`, `jobs.rs`, this module's parent and `scheduled.rs`: between any two of them, which
//! are one atomic change or one hold of one lock each, all other threads may run. The explorer walks the tree of all orders; a world is
//! made anew by repeating the steps that lead to it, and one that was seen is not walked twice. `state.rs` has a smaller one of the cell alone.
//!
//! Invariants, checked after each step:
//! * S1 and S3 of `state.rs`; in a recorded run a function that the background is done with owns itself until its next visit.
//! * Q1. A queued job of the function means `Queued`, one of a loop that the loop is in flight. No job is pushed twice.
//! * L1. A function has at most one loop in flight, and as many loops as are counted. `Ready` and `Refused` are final.
//!
//! When nobody can go on: nothing is owned, nothing in flight or queued without its job, and no worker waits beside a job.

use super::{Loops, Slot};
use crate::events::ModuleId;
use crate::queue::{JobKey, Queue};
use crate::state::{First, FuncState, StateCell};
use crate::testing::code;
use crate::tests::{World, options};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use upshift_abi::{CodeKind, LoopState, SiteIndex, Tier};
use upshift_module::FuncIndex;
use upshift_runtime::LoopEntry;

const FUNC: FuncIndex = FuncIndex(1);
const LOOPS: [u32; 2] = [1, 2];

/// How a compile ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Outcome {
    Finish,
    Fail,
    /// No room.
    Retry,
    /// The background of a recorded run: finished, but only measured.
    Measure,
}

/// Who takes part.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Role {
    /// A first call, and what its compile gives, none for a failure.
    Call(Option<Tier>),
    /// A counter flips at this site, with the budget used up; whether the pool has a thread.
    Flip(u32, bool),
    /// A worker takes one job.
    Worker(Outcome),
    /// A scheduled install.
    Install(Outcome),
    /// A scheduled entering of this loop.
    Enter(u32, Outcome),
    /// A visit of a recorded run, at this site.
    Visit(u32, Outcome),
}

/// Where a thread of the model is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum At {
    Start,
    Request,
    BeginLoop,
    Push(u32),
    Undo(u32),
    Started,
    /// It owns `CompilingFirst` or `Compiling`.
    Owns,
    /// It compiles this loop; whether as a scheduled one, which has its turn.
    OwnsLoop(u32, bool),
    MarkLoop(u32),
    BeginTurn(u32),
    EndTurn(u32),
    Done,
}

/// What the threads share.
struct Shared {
    cell: StateCell,
    queue: Queue<u32>,
    /// What is in the queue, in the order of pushing.
    queued: Vec<u32>,
    loops: Loops,
    loops_max: usize,
    entry: Arc<LoopEntry>,
    ready: bool,
    loops_ready: BTreeSet<u32>,
    turn: bool,
}

fn key(site: u32) -> (FuncIndex, SiteIndex) {
    (FUNC, SiteIndex(site))
}

fn job(site: u32) -> JobKey {
    JobKey {
        module: ModuleId(0),
        func: FUNC,
        site: SiteIndex(site),
    }
}

impl Shared {
    fn slot(&self, site: u32) -> Option<char> {
        self.loops.slots.get(&key(site)).map(|slot| match slot {
            Slot::InFlight => 'i',
            Slot::Ready(..) => 'r',
            Slot::Refused => 'x',
        })
    }

    /// Ends the compile of a function.
    fn finish(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Finish => self.cell.finish(),
            Outcome::Fail => self.cell.fail(),
            Outcome::Retry => self.cell.retry(),
            Outcome::Measure => self.ready = true,
        }
    }

    /// Ends the compile of a loop.
    fn finish_loop(&mut self, site: u32, outcome: Outcome) -> At {
        let slot = match outcome {
            Outcome::Finish => Some(Slot::Ready(Arc::clone(&self.entry), 0)),
            Outcome::Fail => Some(Slot::Refused),
            Outcome::Retry | Outcome::Measure => None,
        };
        self.loops.end(key(site), slot);
        if outcome == Outcome::Measure {
            At::MarkLoop(site)
        } else {
            At::Done
        }
    }

    /// One step of a thread; none if it is done or must wait.
    fn step(&mut self, role: Role, at: At) -> Option<At> {
        match at {
            At::Start => self.start(role),
            At::Request => Some(if self.cell.request() {
                At::Push(0)
            } else {
                At::Done
            }),
            At::BeginLoop => Some(self.begin_loop(role)),
            At::Push(site) => {
                let priority = if site == 0 { 1 } else { super::PRIORITY };
                assert!(self.queue.push(job(site), priority, 1, site), "one job");
                self.queued.push(site);
                let thread = !matches!(role, Role::Flip(_, false));
                Some(if thread { At::Done } else { At::Undo(site) })
            }
            At::Undo(site) => self.undo(site),
            At::Started => Some(if self.cell.start() {
                At::Owns
            } else {
                At::Done
            }),
            At::Owns => {
                match role {
                    Role::Call(Some(tier)) => self.cell.finish_first(tier),
                    Role::Call(None) => self.cell.fail_first(),
                    Role::Worker(outcome) | Role::Install(outcome) | Role::Visit(_, outcome) => {
                        self.finish(outcome);
                    }
                    Role::Flip(..) | Role::Enter(..) => unreachable!("{role:?}"),
                }
                Some(At::Done)
            }
            At::OwnsLoop(site, turn) => {
                let (Role::Worker(outcome) | Role::Enter(_, outcome) | Role::Visit(_, outcome)) =
                    role
                else {
                    unreachable!("{role:?}")
                };
                let next = self.finish_loop(site, outcome);
                Some(if turn { At::EndTurn(site) } else { next })
            }
            At::MarkLoop(site) => {
                self.loops_ready.insert(site);
                Some(At::Done)
            }
            At::BeginTurn(_) if self.turn => None,
            At::BeginTurn(site) => {
                self.turn = true;
                let begun = self.loops.begin(key(site), usize::MAX);
                Some(if begun {
                    At::OwnsLoop(site, true)
                } else {
                    At::EndTurn(site)
                })
            }
            At::EndTurn(_) => {
                self.turn = false;
                Some(At::Done)
            }
            At::Done => None,
        }
    }

    /// A flip in a loop that nothing is known of.
    fn begin_loop(&mut self, role: Role) -> At {
        let (Role::Flip(site, _) | Role::Visit(site, _)) = role else {
            unreachable!("{role:?}")
        };
        if self.loops.begin(key(site), self.loops_max) {
            At::Push(site)
        } else if self.loops.in_flight(FUNC) {
            At::Done
        } else {
            At::Request
        }
    }

    fn start(&mut self, role: Role) -> Option<At> {
        // All but calls come from baseline code, or from a queue that it filled.
        let state = self.cell.get();
        if !state.has_code() && !matches!(role, Role::Call(_)) {
            return None;
        }
        Some(match role {
            Role::Call(_) => match self.cell.begin_first() {
                First::Mine => At::Owns,
                First::Ready => At::Done,
                First::Busy => return None,
            },
            Role::Flip(site, _) => self.flip(site, state),
            Role::Worker(_) => {
                let site = self.queue.pop()?.job;
                self.queued.retain(|&queued| queued != site);
                if site == 0 {
                    At::Started
                } else {
                    At::OwnsLoop(site, false)
                }
            }
            Role::Install(_) if self.cell.start_now() => At::Owns,
            Role::Install(_) => At::Done,
            Role::Enter(site, _) => At::BeginTurn(site),
            Role::Visit(..) if std::mem::take(&mut self.ready) => At::Owns,
            Role::Visit(0, _) => self.flip(0, state),
            Role::Visit(site, _) if self.loops_ready.remove(&site) => At::BeginTurn(site),
            Role::Visit(site, _) => self.flip(site, state),
        })
    }

    /// What a flip does, by what it reads first.
    fn flip(&mut self, site: u32, state: FuncState) -> At {
        match state {
            FuncState::Baseline if site == 0 => At::Request,
            FuncState::Baseline | FuncState::Optimized | FuncState::Failed if site > 0 => {
                match self.slot(site) {
                    None => At::BeginLoop,
                    Some('x') if state == FuncState::Baseline => At::Request,
                    Some(_) => At::Done,
                }
            }
            FuncState::Queued => {
                self.queue.raise(job(0), 9);
                At::Done
            }
            FuncState::Lazy
            | FuncState::CompilingFirst
            | FuncState::Baseline
            | FuncState::Compiling
            | FuncState::Optimized
            | FuncState::Failed => At::Done,
        }
    }

    /// No thread could be started: the work is taken back.
    fn undo(&mut self, site: u32) -> Option<At> {
        if self.queue.remove(job(site)).is_some() {
            self.queued.retain(|&queued| queued != site);
            return Some(At::Undo(site));
        }
        if site == 0 {
            self.cell.unqueue();
        } else {
            self.loops.end(key(site), Some(Slot::Refused));
        }
        Some(At::Done)
    }
}

/// A group of threads.
struct Group {
    roles: &'static [Role],
    loops_max: usize,
    entry: Arc<LoopEntry>,
}

/// Tells worlds apart.
type Digest = (
    Vec<At>,
    FuncState,
    Vec<u32>,
    [Option<char>; 2],
    bool,
    BTreeSet<u32>,
    bool,
);

impl Group {
    /// The world after these steps, each of the thread of this number; none if the last one has to wait.
    fn after(&self, path: &[usize]) -> Option<(Shared, Vec<At>)> {
        let mut shared = Shared {
            cell: StateCell::new(),
            queue: Queue::default(),
            queued: Vec::new(),
            loops: Loops::default(),
            loops_max: self.loops_max,
            entry: Arc::clone(&self.entry),
            ready: false,
            loops_ready: BTreeSet::new(),
            turn: false,
        };
        let mut at = vec![At::Start; self.roles.len()];
        for &thread in path {
            at[thread] = shared.step(self.roles[thread], at[thread])?;
        }
        Some((shared, at))
    }

    fn digest(&self, shared: &Shared, at: &[At]) -> Digest {
        (
            at.to_vec(),
            shared.cell.get(),
            shared.queued.clone(),
            LOOPS.map(|site| shared.slot(site)),
            shared.ready,
            shared.loops_ready.clone(),
            shared.turn,
        )
    }

    fn check(&self, path: &[usize], shared: &Shared, at: &[At]) {
        let state = shared.cell.get();
        let context = || format!("{:?} {path:?} {at:?} {state:?}", self.roles);
        let owners = |first: bool| {
            let threads = self.roles.iter().zip(at);
            threads
                .filter(|(role, at)| **at == At::Owns && matches!(role, Role::Call(_)) == first)
                .count()
        };
        let compiling = usize::from(state == FuncState::Compiling);
        assert_eq!(
            owners(true),
            usize::from(state == FuncState::CompilingFirst),
            "{}",
            context()
        );
        assert_eq!(
            owners(false) + usize::from(shared.ready),
            compiling,
            "{}",
            context()
        );
        assert_eq!(shared.queue.len(), shared.queued.len(), "{}", context());
        for &site in &shared.queued {
            let fits = match site {
                0 => state == FuncState::Queued,
                _ => shared.slot(site) == Some('i'),
            };
            assert!(fits, "job of {site}: {}", context());
        }
        let in_flight = LOOPS
            .iter()
            .filter(|&&site| shared.slot(site) == Some('i'))
            .count();
        let (count, busy) = shared.loops.funcs.get(&FUNC).copied().unwrap_or_default();
        assert_eq!(in_flight, usize::from(busy), "{}", context());
        assert_eq!(count, shared.loops.slots.len(), "{}", context());
    }

    /// What must never be taken back by a step.
    fn check_change(&self, path: &[usize], before: &Digest, after: &Digest) {
        let context = || format!("{:?} {path:?} {before:?} {after:?}", self.roles);
        assert!(!before.1.has_code() || after.1.has_code(), "{}", context());
        if matches!(before.1, FuncState::Optimized | FuncState::Failed) {
            assert_eq!(before.1, after.1, "{}", context());
        }
        for (before, after) in before.3.iter().zip(&after.3) {
            let kept = !matches!(before, Some('r' | 'x')) || before == after;
            assert!(kept, "{}", context());
        }
    }

    fn check_quiet(&self, path: &[usize], shared: &Shared, at: &[At]) {
        let context = || format!("{:?} {path:?} {at:?}", self.roles);
        let state = shared.cell.get();
        assert!(state != FuncState::CompilingFirst, "{}", context());
        assert!(
            state != FuncState::Compiling || shared.ready,
            "{}",
            context()
        );
        assert!(
            state != FuncState::Queued || shared.queued.contains(&0),
            "{}",
            context()
        );
        for site in LOOPS {
            let waits = shared.slot(site) == Some('i');
            assert!(!waits || shared.queued.contains(&site), "{}", context());
        }
        let idle = |(role, at): (&Role, &At)| matches!(role, Role::Worker(_)) && *at == At::Start;
        let idle = state.has_code() && self.roles.iter().zip(at).any(idle);
        assert!(!idle || shared.queued.is_empty(), "{}", context());
        assert!(!shared.turn, "{}", context());
    }

    /// Walks every interleaving; gives the states, and the slots of both loops, in which all is quiet, and the number of worlds.
    fn explore(&self) -> (BTreeSet<String>, usize) {
        let mut seen = HashSet::new();
        let mut quiet = BTreeSet::new();
        let mut open = vec![Vec::new()];
        while let Some(path) = open.pop() {
            let (shared, at) = self.after(&path).expect("it was walked before");
            let digest = self.digest(&shared, &at);
            if !seen.insert(digest.clone()) {
                continue;
            }
            self.check(&path, &shared, &at);
            let mut moved = false;
            for thread in 0..self.roles.len() {
                let mut next = path.clone();
                next.push(thread);
                if let Some((shared, at)) = self.after(&next) {
                    self.check_change(&next, &digest, &self.digest(&shared, &at));
                    moved = true;
                    open.push(next);
                }
            }
            if !moved {
                self.check_quiet(&path, &shared, &at);
                let slots = LOOPS.map(|site| shared.slot(site).unwrap_or('-'));
                let state = format!("{:?}", shared.cell.get());
                quiet.insert(format!("{state}:{}", slots.iter().collect::<String>()));
            }
        }
        (quiet, seen.len())
    }
}

/// Code for a loop, which the model only passes around.
fn loop_entry() -> Arc<LoopEntry> {
    let world = World::new(options(crate::TierPolicy::Dynamic));
    let site = SiteIndex(1);
    let mut compiled = code(FUNC, Tier::Optimizing, 1);
    compiled.kind = CodeKind::Osr(site);
    let published = world.loaded.publish(&compiled).unwrap();
    let state = LoopState {
        site,
        code_bytes: 1,
        result_pointer: None,
        locals: Vec::new(),
        operands: Vec::new(),
        heights: Vec::new(),
        saved: Vec::new(),
    };
    world.loaded.adopt_loop_entry(published, state).unwrap()
}

/// Who takes part, for how many loops there may be code, and how it may end: the state, and per loop `-` unknown, `i` in flight,
/// `r` ready, `x` refused. Some ends are only those of groups with too few workers or visits.
const ROWS: &[(&[Role], usize, &str)] = {
    use Outcome::{Fail, Finish, Measure, Retry};
    use Role::{Call, Enter, Flip, Install, Visit, Worker};
    const BASE: Role = Call(Some(Tier::Baseline));
    &[
        // A flip at the entry and one in a loop.
        (
            &[
                BASE,
                BASE,
                Flip(0, true),
                Flip(1, true),
                Worker(Finish),
                Worker(Finish),
            ],
            8,
            "Optimized:-- Optimized:r-",
        ),
        // Two loops: one at a time; and code for one at most.
        (
            &[
                BASE,
                Flip(1, true),
                Flip(2, true),
                Worker(Finish),
                Worker(Fail),
            ],
            8,
            "Baseline:-r Baseline:-x Baseline:r- Baseline:rx Baseline:x- Baseline:xr",
        ),
        (
            &[
                BASE,
                Flip(1, true),
                Flip(2, true),
                Flip(2, true),
                Worker(Finish),
                Worker(Retry),
            ],
            1,
            "Baseline:-- Baseline:-r Baseline:r- Queued:-r Queued:r-",
        ),
        // No room, and another try.
        (
            &[
                BASE,
                Flip(0, true),
                Flip(0, true),
                Flip(1, true),
                Worker(Retry),
                Worker(Finish),
                Worker(Retry),
            ],
            8,
            "Baseline:-- Baseline:r- Optimized:--",
        ),
        // The pool has no thread.
        (
            &[
                Call(None),
                BASE,
                Flip(0, false),
                Flip(1, false),
                Flip(0, false),
            ],
            8,
            "Baseline:-- Baseline:x-",
        ),
        // Schedules: two installs, and enterings of the same and of another loop.
        (
            &[
                BASE,
                Install(Finish),
                Install(Retry),
                Enter(1, Finish),
                Enter(1, Finish),
                Enter(2, Fail),
            ],
            8,
            "Baseline:rx Optimized:rx",
        ),
        // A schedule beside a queue, as when a module's flips and schedules meet.
        (
            &[
                BASE,
                Flip(0, true),
                Flip(1, true),
                Install(Fail),
                Enter(1, Finish),
                Worker(Finish),
                Worker(Finish),
            ],
            8,
            "Failed:r- Optimized:r-",
        ),
        // A recorded run: the background measures, visits install.
        (
            &[
                BASE,
                Visit(0, Finish),
                Visit(0, Finish),
                Visit(0, Finish),
                Worker(Measure),
                Worker(Measure),
            ],
            8,
            "Compiling:-- Optimized:--",
        ),
        (
            &[
                BASE,
                Visit(1, Finish),
                Visit(1, Retry),
                Visit(1, Finish),
                Visit(0, Finish),
                Worker(Measure),
                Worker(Measure),
            ],
            8,
            "Baseline:-- Baseline:i- Baseline:r- Compiling:-- Compiling:i- Compiling:r- Optimized:-- Optimized:i- Optimized:r- Queued:-- Queued:i- Queued:r-",
        ),
        (
            &[
                BASE,
                Visit(1, Finish),
                Visit(2, Finish),
                Visit(1, Finish),
                Visit(2, Finish),
                Worker(Measure),
                Worker(Fail),
            ],
            8,
            "Baseline:-- Baseline:-r Baseline:-x Baseline:ix Baseline:r- Baseline:rx Baseline:x- Baseline:xi Baseline:xr Compiling:-x Compiling:ix Compiling:x- Compiling:xi Optimized:-x Optimized:ix Optimized:x- Optimized:xi Queued:-x Queued:ix Queued:rx Queued:x- Queued:xi Queued:xr",
        ),
    ]
};

#[test]
fn every_interleaving_keeps_the_invariants() {
    let entry = loop_entry();
    for &(roles, loops_max, expected) in ROWS {
        let group = Group {
            roles,
            loops_max,
            entry: Arc::clone(&entry),
        };
        let (quiet, worlds) = group.explore();
        let found = quiet.into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(found, expected, "{roles:?}, {worlds} worlds");
    }
}
