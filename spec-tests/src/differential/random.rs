//! Numbers from a seed, and values that are likely to matter.

use super::outcome::{Kind, Value};

/// A deterministic stream of numbers (SplitMix64). A fuzzer's bytes take the place of the first ones, each of the same
/// number wherever it stands, so that a changed byte changes one choice.
pub(crate) struct Random {
    state: u64,
    bytes: std::vec::IntoIter<u8>,
}

pub(crate) const INTERESTING_I32: [i32; 14] = [
    0,
    1,
    -1,
    2,
    7,
    31,
    32,
    127,
    255,
    65535,
    i32::MAX,
    i32::MIN,
    0x1234_5678,
    -128,
];
pub(crate) const INTERESTING_I64: [i64; 14] = [
    0,
    1,
    -1,
    63,
    64,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX,
    i64::MIN,
    -0x8000_0000,
    0x7fff_ffff,
    0x1234_5678_9abc_def0,
    -128,
    1 << 52,
];
pub(crate) const INTERESTING_F32: [f32; 13] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.5,
    -3.7,
    1e10,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    2_147_483_648.0,
    1e-40,
];
pub(crate) const INTERESTING_F64: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.5,
    -3.7,
    -1e30,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    2_147_483_648.0,
    1e-310,
    9.223_372_036_854_776e18,
];

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self::of_bytes(seed, &[])
    }

    pub(crate) fn of_bytes(seed: u64, bytes: &[u8]) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1,
            bytes: Vec::from(bytes).into_iter(),
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = match self.bytes.next() {
            Some(byte) => u64::from(byte).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            None => self.state,
        };
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn next_i32(&mut self) -> i32 {
        i32::try_from(self.next().cast_signed() >> 32).expect("32 bits")
    }

    /// Any number below `limit`; 0 if that is 0.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).expect("below a u32")
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        let len = u32::try_from(len).expect("few things to choose from");
        self.below(len) as usize
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }

    pub(crate) fn value(&mut self, kind: Kind) -> Value {
        let any = self.chance(30);
        match kind {
            Kind::I32 if any => Value::I32(self.next_i32()),
            Kind::I32 => Value::I32(self.pick(&INTERESTING_I32)),
            Kind::I64 if any => Value::I64(self.next().cast_signed()),
            Kind::I64 => Value::I64(self.pick(&INTERESTING_I64)),
            Kind::F32 => Value::f32(self.pick(&INTERESTING_F32).to_bits()),
            Kind::F64 => Value::f64(self.pick(&INTERESTING_F64).to_bits()),
            Kind::Ref => Value::Ref { null: true },
        }
    }
}
