//! Which bytes of an area are taken: best fit over coalesced free ranges, and a frontier.
//!
//! Everything below the frontier is either taken or in `by_start`; ranges in there never touch each other
//! or the frontier. Units are bytes; sizes are whole granules.

use std::collections::{BTreeMap, BTreeSet};

/// Sizes and starts are multiples of this.
pub(super) const GRANULE_BYTES: usize = 16;

/// How many free ranges an allocation looks at before it takes fresh bytes.
const PROBES_MAX: usize = 8;

/// An allocator of ranges of `0..end`.
#[derive(Debug)]
pub(super) struct RangeAllocator {
    by_start: BTreeMap<usize, usize>,
    by_size: BTreeSet<(usize, usize)>,
    frontier: usize,
    high_water: usize,
    end: usize,
}

impl RangeAllocator {
    /// All of `0..end` is free.
    pub(super) fn new(end: usize) -> Self {
        Self {
            by_start: BTreeMap::new(),
            by_size: BTreeSet::new(),
            frontier: 0,
            high_water: 0,
            end,
        }
    }

    /// One past the last byte that was ever handed out.
    pub(super) fn high_water(&self) -> usize {
        self.high_water
    }

    /// Takes `bytes` (rounded up to granules) at a multiple of `align`, reusing freed bytes where they fit.
    pub(super) fn allocate(&mut self, bytes: usize, align: usize) -> Option<usize> {
        let bytes = bytes.max(1).checked_next_multiple_of(GRANULE_BYTES)?;
        let align = align.max(GRANULE_BYTES);
        self.reuse(bytes, align)
            .or_else(|| self.extend(bytes, align))
    }

    fn reuse(&mut self, bytes: usize, align: usize) -> Option<usize> {
        let fits = |&&(size, start): &&(usize, usize)| {
            start.next_multiple_of(align) + bytes <= start + size
        };
        let &(size, start) = self
            .by_size
            .range((bytes, 0)..)
            .take(PROBES_MAX)
            .find(fits)?;
        self.remove(start, size);
        let at = start.next_multiple_of(align);
        self.insert(start, at - start);
        self.insert(at + bytes, start + size - (at + bytes));
        Some(at)
    }

    fn extend(&mut self, bytes: usize, align: usize) -> Option<usize> {
        let at = self.frontier.checked_next_multiple_of(align)?;
        let end = at.checked_add(bytes).filter(|&end| end <= self.end)?;
        let gap = self.frontier;
        self.frontier = end;
        self.high_water = self.high_water.max(end);
        self.insert(gap, at - gap);
        Some(at)
    }

    /// Gives a range back that `allocate` gave for as many bytes.
    pub(super) fn free(&mut self, start: usize, bytes: usize) {
        let (mut start, mut size) = (start, bytes.max(1).next_multiple_of(GRANULE_BYTES));
        debug_assert!(start + size <= self.frontier, "freed what was never taken");
        if let Some((&before, &before_size)) = self.by_start.range(..start).next_back() {
            debug_assert!(before + before_size <= start, "freed twice");
            if before + before_size == start {
                self.remove(before, before_size);
                start = before;
                size += before_size;
            }
        }
        if let Some(&after_size) = self.by_start.get(&(start + size)) {
            self.remove(start + size, after_size);
            size += after_size;
        }
        if start + size == self.frontier {
            self.frontier = start;
        } else {
            self.insert(start, size);
        }
    }

    fn insert(&mut self, start: usize, size: usize) {
        if size != 0 {
            self.by_start.insert(start, size);
            self.by_size.insert((size, start));
        }
    }

    fn remove(&mut self, start: usize, size: usize) {
        self.by_start.remove(&start);
        self.by_size.remove(&(size, start));
    }
}

#[cfg(test)]
mod tests {
    use super::{GRANULE_BYTES, RangeAllocator};

    /// A small generator of numbers (xorshift), so that the test is the same every time.
    struct Numbers(u64);
    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % limit
        }
    }

    #[test]
    fn never_overlaps_and_coalesces() {
        let end = 1 << 20;
        let mut ranges = RangeAllocator::new(end);
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut live: Vec<(usize, usize)> = Vec::new();
        for _ in 0..20_000 {
            if live.len() > 200 || (!live.is_empty() && numbers.below(3) == 0) {
                let (start, bytes) = live.swap_remove(numbers.below(live.len()));
                ranges.free(start, bytes);
                continue;
            }
            let bytes = 1 + numbers.below(3000);
            let align = GRANULE_BYTES << numbers.below(3);
            let start = ranges.allocate(bytes, align).expect("there is room");
            assert_eq!(start % align, 0);
            assert!(start + bytes <= end);
            for &(other, size) in &live {
                assert!(start + bytes <= other || other + size <= start, "overlap");
            }
            live.push((start, bytes));
        }
        for (start, bytes) in live {
            ranges.free(start, bytes);
        }
        assert_eq!(ranges.frontier, 0, "everything is one free range again");
        assert!(ranges.by_start.is_empty() && ranges.by_size.is_empty());
    }

    #[test]
    fn full_is_none() {
        let mut ranges = RangeAllocator::new(64);
        assert_eq!(ranges.allocate(48, 16), Some(0));
        assert_eq!(ranges.allocate(32, 16), None);
        assert_eq!(ranges.allocate(16, 16), Some(48));
        assert_eq!(ranges.allocate(usize::MAX, 16), None);
        ranges.free(0, 48);
        assert_eq!(ranges.allocate(33, 32), Some(0));
    }
}
