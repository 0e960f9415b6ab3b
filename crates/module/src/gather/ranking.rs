//! The best locals of each register class.

use std::cmp::Reverse;

use crate::facts::{HomeCandidate, LoopHome};
use crate::types::LocalIndex;

/// A local with a weight.
pub(super) trait Candidate: Copy {
    fn local(&self) -> LocalIndex;
    fn weight(&self) -> u32;
}

impl Candidate for HomeCandidate {
    fn local(&self) -> LocalIndex {
        self.local
    }

    fn weight(&self) -> u32 {
        self.weight
    }
}

impl Candidate for LoopHome {
    fn local(&self) -> LocalIndex {
        self.local
    }

    fn weight(&self) -> u32 {
        self.weight
    }
}

/// The best locals of each register class so far.
#[derive(Debug)]
pub(super) struct Ranking<C> {
    ints: Vec<C>,
    floats: Vec<C>,
}

impl<C> Default for Ranking<C> {
    fn default() -> Self {
        Self {
            ints: Vec::new(),
            floats: Vec::new(),
        }
    }
}

impl<C: Candidate> Ranking<C> {
    /// Offers a local, of which `most` of a class are kept.
    pub(super) fn offer(&mut self, candidate: C, most: usize, is_float: impl FnOnce() -> bool) {
        let weight = candidate.weight();
        if !(admits(&self.ints, most, weight) || admits(&self.floats, most, weight)) {
            return;
        }
        let list = if is_float() {
            &mut self.floats
        } else {
            &mut self.ints
        };
        if !admits(list, most, weight) {
            return;
        }
        if list.len() == most {
            list.pop();
        }
        let at = list.partition_point(|other| rank(other) < rank(&candidate));
        list.insert(at, candidate);
    }

    /// Appends both classes, each best first, and starts anew.
    pub(super) fn take_into(&mut self, out: &mut Vec<C>) {
        out.append(&mut self.ints);
        out.append(&mut self.floats);
    }

    /// Appends both classes together, best first, and starts anew.
    pub(super) fn take_sorted_into(&mut self, out: &mut Vec<C>) {
        let start = out.len();
        self.take_into(out);
        out[start..].sort_unstable_by_key(rank);
    }

    pub(super) fn clear(&mut self) {
        self.ints.clear();
        self.floats.clear();
    }
}

/// Sort key: heavier first, then by index.
fn rank<C: Candidate>(candidate: &C) -> (Reverse<u32>, LocalIndex) {
    (Reverse(candidate.weight()), candidate.local())
}

/// Whether a local of this weight may enter the list. Of equal weights the one that was used first stays.
fn admits<C: Candidate>(list: &[C], most: usize, weight: u32) -> bool {
    list.len() < most || list.last().is_none_or(|last| last.weight() < weight)
}
