//! Whom `call_indirect`s call: what the optimizing tier inlines behind a guard.
//!
//! Baseline code leaves word of the last callee of each site; it is looked at when the function's counter flips, a few times within
//! its budget. So a site is known by samples. It has one candidate, the function that most of the samples were: one that is seen
//! less often than others gives way, and the count starts again. A wrong answer costs a failing guard per call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, TryLockError};
use upshift_module::FuncIndex;

/// A target is dominant if at least so many samples were taken, ...
const SAMPLES_MIN: u32 = 3;
/// ... and of eight at least so many were the target.
const HITS_OF_EIGHT: u64 = 7;

/// The samples of one site.
#[derive(Clone, Copy, Default, Debug)]
struct Site {
    /// None for all functions of other modules together.
    candidate: Option<FuncIndex>,
    hits: u32,
    misses: u32,
}

impl Site {
    fn note(&mut self, target: Option<FuncIndex>) {
        if self.hits > 0 && target == self.candidate {
            self.hits = self.hits.saturating_add(1);
        } else if self.misses < self.hits {
            self.misses += 1;
        } else {
            *self = Self {
                candidate: target,
                hits: 1,
                misses: 0,
            };
        }
    }

    fn dominant(self) -> Option<FuncIndex> {
        let (hits, samples) = (
            u64::from(self.hits),
            u64::from(self.hits) + u64::from(self.misses),
        );
        let enough = samples >= SAMPLES_MIN.into() && hits * 8 >= samples * HITS_OF_EIGHT;
        self.candidate.filter(|_| enough)
    }
}

/// What was seen in one module. Functions are here once they have counted up to a flip and called through a table.
#[derive(Default, Debug)]
pub(crate) struct Targets(Mutex<HashMap<FuncIndex, Vec<Site>>>);

impl Targets {
    /// Takes a sample of a function: some of its sites, and whom they called last. If another thread is in here it is lost, so
    /// that no guest waits.
    pub(crate) fn note(
        &self,
        func: FuncIndex,
        targets: &mut dyn Iterator<Item = (u32, Option<FuncIndex>)>,
    ) {
        let mut funcs = match self.0.try_lock() {
            Ok(funcs) => funcs,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        for (ordinal, target) in targets {
            let sites = funcs.entry(func).or_default();
            let at = ordinal as usize;
            if sites.len() <= at {
                sites.resize(at + 1, Site::default());
            }
            sites[at].note(target);
        }
    }

    /// Whom the site has called almost always.
    pub(crate) fn dominant(&self, func: FuncIndex, ordinal: u32) -> Option<FuncIndex> {
        let funcs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        funcs.get(&func)?.get(ordinal as usize)?.dominant()
    }
}

#[cfg(test)]
mod tests {
    use super::Targets;
    use upshift_module::FuncIndex;

    /// Samples of one site, a digit each: a function, or `-` for one of another module; and the target that they show.
    const ROWS: &[(&str, Option<u32>)] = &[
        ("", None),
        ("1", None),
        ("11", None),
        ("111", Some(1)),
        ("000", Some(0)),
        ("---", None),
        ("---1", None),
        ("1112", None),
        ("1111112", None),
        ("11111112", Some(1)),
        ("21111111", Some(1)),
        ("1-111111", Some(1)),
        ("111111112-", None),
        ("1212121212", None),
        // A new phase: the old candidate gives way when it has been missed as often as it was seen.
        ("111222", None),
        ("1112222222222222222", Some(2)),
        ("1234512345", None),
    ];

    #[test]
    fn dominance() {
        for &(samples, expected) in ROWS {
            let targets = Targets::default();
            for sample in samples.chars() {
                let target = sample.to_digit(10).map(FuncIndex);
                targets.note(FuncIndex(9), &mut [(3, target)].into_iter());
            }
            let dominant = |func, ordinal| targets.dominant(FuncIndex(func), ordinal);
            assert_eq!(dominant(9, 3), expected.map(FuncIndex), "{samples}");
            assert_eq!(
                (dominant(9, 2), dominant(9, 4), dominant(8, 3)),
                (None, None, None)
            );
        }
    }
}
