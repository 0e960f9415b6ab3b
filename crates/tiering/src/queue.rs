//! The order of jobs: a priority queue in which a job can move forward.
//!
//! The map holds the truth, one entry per function of a module. The heap holds one slot per
//! priority that an entry ever had; a slot whose entry is gone or has moved on is thrown away when it
//! comes up. Equal priorities leave in the order in which they came. A raise must be worth it (half
//! as much again), so a job has few slots however often it is asked for.

use crate::events::ModuleId;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, hash_map};
use std::time::Instant;
use upshift_abi::SiteIndex;
use upshift_module::FuncIndex;

/// Names a job: at most one is queued per function and site.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct JobKey {
    /// The module.
    pub(crate) module: ModuleId,
    /// The function.
    pub(crate) func: FuncIndex,
    /// The loop that is to be entered, or [`SiteIndex::ENTRY`].
    pub(crate) site: SiteIndex,
}

/// A job on its way out of the queue.
#[derive(Debug)]
pub(crate) struct Taken<J> {
    /// What to do.
    pub(crate) job: J,
    /// When it was pushed.
    pub(crate) since: Instant,
    /// Its predicted time.
    pub(crate) cost_us: u32,
}

#[derive(Debug)]
struct Entry<J> {
    job: J,
    priority: u64,
    number: u64,
    cost_us: u32,
    since: Instant,
}

/// Compared field by field: priority first, then age, then (never reached) the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Slot {
    priority: u64,
    number: Reverse<u64>,
    key: JobKey,
}

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    entries: HashMap<JobKey, Entry<J>>,
    heap: BinaryHeap<Slot>,
    next_number: u64,
    cost_us: u64,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            heap: BinaryHeap::new(),
            next_number: 0,
            cost_us: 0,
        }
    }
}

impl<J> Queue<J> {
    /// Adds a job, unless there is one of this key. `cost_us` is the predicted time of the job.
    pub(crate) fn push(&mut self, key: JobKey, priority: u64, cost_us: u32, job: J) -> bool {
        let hash_map::Entry::Vacant(place) = self.entries.entry(key) else {
            return false;
        };
        let number = self.next_number;
        place.insert(Entry {
            job,
            priority,
            number,
            cost_us,
            since: Instant::now(),
        });
        self.next_number += 1;
        self.cost_us += u64::from(cost_us);
        self.heap.push(Slot {
            priority,
            number: Reverse(number),
            key,
        });
        true
    }

    /// Moves a job forward, if it is queued and the new priority is at least half as high again.
    pub(crate) fn raise(&mut self, key: JobKey, priority: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&key) else {
            return false;
        };
        if priority <= entry.priority.saturating_add(entry.priority / 2) {
            return false;
        }
        entry.priority = priority;
        self.heap.push(Slot {
            priority,
            number: Reverse(entry.number),
            key,
        });
        true
    }

    /// Takes the most urgent job.
    pub(crate) fn pop(&mut self) -> Option<Taken<J>> {
        while let Some(slot) = self.heap.pop() {
            if let hash_map::Entry::Occupied(entry) = self.entries.entry(slot.key)
                && entry.get().number == slot.number.0
                && entry.get().priority == slot.priority
            {
                let entry = entry.remove();
                self.cost_us -= u64::from(entry.cost_us);
                return Some(Taken {
                    job: entry.job,
                    since: entry.since,
                    cost_us: entry.cost_us,
                });
            }
        }
        None
    }

    /// Takes a job out of the queue.
    pub(crate) fn remove(&mut self, key: JobKey) -> Option<J> {
        let entry = self.entries.remove(&key)?;
        self.cost_us -= u64::from(entry.cost_us);
        Some(entry.job)
    }

    /// Takes all jobs of a module out of the queue.
    pub(crate) fn remove_module(&mut self, module: ModuleId) -> Vec<J> {
        let keys: Vec<JobKey> = self
            .entries
            .keys()
            .filter(|key| key.module == module)
            .copied()
            .collect();
        if keys.is_empty() {
            return Vec::new();
        }
        self.heap.retain(|slot| slot.key.module != module);
        keys.into_iter()
            .filter_map(|key| self.remove(key))
            .collect()
    }

    /// Number of jobs.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Predicted time of all jobs in microseconds.
    pub(crate) fn cost_us(&self) -> u64 {
        self.cost_us
    }
}

#[cfg(test)]
mod tests {
    use super::{JobKey, Queue};
    use crate::events::ModuleId;
    use upshift_abi::SiteIndex;
    use upshift_module::FuncIndex;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// module, function, priority, whether it is new
        Push(u64, u32, u64, bool),
        /// module, function, priority, whether it moves
        Raise(u64, u32, u64, bool),
        /// the job that comes out
        Pop(Option<(u64, u32)>),
        /// module, how many jobs it had
        Drop(u64, usize),
    }

    fn key(module: u64, func: u32) -> JobKey {
        JobKey {
            module: ModuleId(module),
            func: FuncIndex(func),
            site: SiteIndex::ENTRY,
        }
    }

    fn check(steps: &[Step]) {
        let mut queue = Queue::default();
        for (i, &step) in steps.iter().enumerate() {
            match step {
                Step::Push(module, func, priority, new) => {
                    let pushed = queue.push(key(module, func), priority, 7, (module, func));
                    assert_eq!(pushed, new, "step {i} {step:?}");
                }
                Step::Raise(module, func, priority, moves) => {
                    let raised = queue.raise(key(module, func), priority);
                    assert_eq!(raised, moves, "step {i} {step:?}");
                }
                Step::Pop(expected) => {
                    let job = queue.pop().map(|taken| taken.job);
                    assert_eq!(job, expected, "step {i} {step:?}");
                }
                Step::Drop(module, count) => {
                    let jobs = queue.remove_module(ModuleId(module));
                    assert_eq!(jobs.len(), count, "step {i} {step:?}");
                }
            }
            let length = u64::try_from(queue.len()).unwrap();
            assert_eq!(queue.cost_us(), length * 7, "step {i} {step:?}");
        }
    }

    #[test]
    fn order() {
        use Step::{Drop, Pop, Push, Raise};
        let cases: &[&[Step]] = &[
            &[Pop(None), Raise(0, 0, 1, false), Drop(0, 0)],
            // By priority, then by age.
            &[
                Push(0, 1, 5, true),
                Push(0, 2, 9, true),
                Push(0, 3, 5, true),
                Pop(Some((0, 2))),
                Pop(Some((0, 1))),
                Pop(Some((0, 3))),
                Pop(None),
            ],
            // Duplicates merge, and a key may come back later.
            &[
                Push(0, 1, 5, true),
                Push(0, 1, 50, false),
                Push(0, 2, 9, true),
                Pop(Some((0, 2))),
                Pop(Some((0, 1))),
                Pop(None),
                Push(0, 1, 1, true),
                Pop(Some((0, 1))),
            ],
            // A raise moves forward, small ones and lower ones do nothing, stale slots are skipped.
            &[
                Push(0, 1, 10, true),
                Push(0, 2, 20, true),
                Raise(0, 1, 12, false),
                Raise(0, 1, 3, false),
                Raise(0, 1, 30, true),
                Raise(0, 1, 90, true),
                Pop(Some((0, 1))),
                Push(0, 1, 15, true),
                Pop(Some((0, 2))),
                Pop(Some((0, 1))),
                Pop(None),
            ],
            // A dropped module leaves nothing behind.
            &[
                Push(0, 1, 10, true),
                Push(1, 1, 20, true),
                Raise(1, 1, 90, true),
                Push(1, 2, 5, true),
                Drop(1, 2),
                Pop(Some((0, 1))),
                Pop(None),
            ],
        ];
        for case in cases {
            check(case);
        }
    }
}
