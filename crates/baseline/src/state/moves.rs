//! Parallel moves between registers.
//!
//! Problem: a set of moves `dst <- src` is to happen at once, each destination once, while the machine does one after the other.
//!
//! Data: for each destination its source, and for each register the number of moves still pending that read it.
//!
//! Argument: a move whose destination nobody still reads can be done now; it frees its source by one reader. When no such
//! move is left, every pending destination is read by a pending move. There are as many pending destinations as
//! pending moves, and each move reads one register, so each pending destination is read exactly once: what is left is a set of
//! disjoint cycles. A cycle is broken by saving one destination in the scratch register of its class and letting its one reader
//! read the scratch instead; then that destination is free. Every register is visited a bounded number of times, and there are
//! at most 32, so the cost per set is constant.

use crate::isa::{Reg, RegSet};
use crate::state::value::Ty;

/// One step of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    pub(crate) ty: Ty,
    pub(crate) dst: Reg,
    pub(crate) src: Reg,
}

/// A set of moves to be resolved.
#[derive(Debug)]
pub(crate) struct Moves {
    /// What each pending destination reads.
    source: [(Reg, Ty); 32],
    readers: [u8; 32],
    pending: RegSet,
    /// Registers that are read.
    sources: RegSet,
}

impl Default for Moves {
    #[inline]
    fn default() -> Self {
        Self {
            source: [(Reg::int(0), Ty::I32); 32],
            readers: [0; 32],
            pending: RegSet::EMPTY,
            sources: RegSet::EMPTY,
        }
    }
}

impl Moves {
    /// Adds `dst <- src`. Both are of the same class; each `dst` occurs once and is not a scratch register.
    #[inline]
    pub(crate) fn add(&mut self, ty: Ty, dst: Reg, src: Reg) {
        debug_assert_eq!(dst.is_float(), src.is_float());
        debug_assert!(!self.pending.contains(dst), "one source each");
        if dst == src {
            return;
        }
        self.source[dst.index()] = (src, ty);
        self.readers[src.index()] += 1;
        self.pending.insert(dst);
        self.sources.insert(src);
    }

    /// Gives the moves in an order in which they can be done one after the other. `scratch` holds the scratch register of
    /// each class: integer, vector.
    #[inline]
    pub(crate) fn resolve(mut self, scratch: [Reg; 2], mut step: impl FnMut(Move)) {
        if self.pending.and(self.sources).is_empty() {
            // No move writes what another one reads.
            for dst in self.pending {
                let (src, ty) = self.source[dst.index()];
                step(Move { ty, dst, src });
            }
            return;
        }
        while !self.pending.is_empty() {
            self.drain_free(&mut step);
            if let Some(dst) = self.pending.first() {
                self.break_cycle(dst, scratch[usize::from(dst.is_float())], &mut step);
            }
        }
    }

    /// Does every move whose destination is not read, following chains.
    fn drain_free(&mut self, step: &mut impl FnMut(Move)) {
        for start in self.pending {
            let mut next = Some(start);
            while let Some(dst) = next.take() {
                if self.readers[dst.index()] != 0 || !self.pending.contains(dst) {
                    continue;
                }
                let (src, ty) = self.source[dst.index()];
                step(Move { ty, dst, src });
                self.pending.remove(dst);
                self.readers[src.index()] -= 1;
                next = Some(src);
            }
        }
    }

    /// Saves `dst` in the scratch register for its one reader.
    fn break_cycle(&mut self, dst: Reg, scratch: Reg, step: &mut impl FnMut(Move)) {
        let reader = self
            .pending
            .into_iter()
            .find(|reg| self.source[reg.index()].0 == dst);
        if let Some(reader) = reader {
            let (_, ty) = self.source[reader.index()];
            step(Move {
                ty,
                dst: scratch,
                src: dst,
            });
            self.source[reader.index()] = (scratch, ty);
            self.readers[dst.index()] -= 1;
            self.readers[scratch.index()] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Move, Moves};
    use crate::isa::Reg;
    use crate::state::value::Ty;

    const SCRATCH: [Reg; 2] = [Reg(11), Reg(31)];

    /// Runs the answer on a simulated register file and compares with all moves at once.
    fn check(moves: &[(u8, u8)]) {
        let mut set = Moves::default();
        let mut expected: [u32; 32] = std::array::from_fn(|i| u32::try_from(i).unwrap());
        let before = expected;
        for &(dst, src) in moves {
            let ty = if dst < 16 { Ty::I64 } else { Ty::F64 };
            set.add(ty, Reg(dst), Reg(src));
            expected[usize::from(dst)] = before[usize::from(src)];
        }
        let mut actual = before;
        let mut steps = 0;
        set.resolve(SCRATCH, |Move { dst, src, .. }| {
            actual[dst.index()] = actual[src.index()];
            steps += 1;
        });
        for scratch in SCRATCH {
            actual[scratch.index()] = before[scratch.index()];
        }
        assert_eq!(actual, expected, "{moves:?}");
        assert!(steps <= moves.len() + moves.len() / 2, "{moves:?}");
    }

    #[test]
    fn every_assignment_of_four_registers() {
        for code in 0..5_u32.pow(4) {
            let source = |i: u32| u8::try_from(code / 5_u32.pow(i) % 5).unwrap();
            let moves: Vec<(u8, u8)> = (0..4_u8).map(|i| (i, source(u32::from(i)))).collect();
            check(&moves);
        }
    }

    #[test]
    fn seeded_sets_of_both_classes() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            u8::try_from(seed % below).unwrap()
        };
        for _ in 0..20_000 {
            let mut moves = Vec::new();
            for dst in (0..11).chain(16..31) {
                if random(2) == 0 {
                    let src = if dst < 16 {
                        random(11)
                    } else {
                        16 + random(15)
                    };
                    moves.push((dst, src));
                }
            }
            check(&moves);
        }
    }
}
