//! What the processor can do beyond the floor, SSE4.1.

use std::fmt;

/// A set of x86-64 extensions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CpuFeatures(u32);

impl CpuFeatures {
    /// SSE3, SSSE3 and SSE4.1: the floor, without which no engine is made.
    pub const SSE41: Self = Self(1);
    /// SSE4.2.
    pub const SSE42: Self = Self(1 << 1);
    /// POPCNT.
    pub const POPCNT: Self = Self(1 << 2);
    /// LZCNT.
    pub const LZCNT: Self = Self(1 << 3);
    /// BMI1 (TZCNT, ANDN).
    pub const BMI1: Self = Self(1 << 4);
    /// BMI2 (SHLX and the like).
    pub const BMI2: Self = Self(1 << 5);
    /// AVX.
    pub const AVX: Self = Self(1 << 6);
    /// AVX2.
    pub const AVX2: Self = Self(1 << 7);
    /// FMA.
    pub const FMA: Self = Self(1 << 8);

    /// What this machine has.
    #[must_use]
    pub fn detect() -> Self {
        let mut set = Self::default();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let rows = [
                (has!("sse3") && has!("ssse3") && has!("sse4.1"), Self::SSE41),
                (has!("sse4.2"), Self::SSE42),
                (has!("popcnt"), Self::POPCNT),
                (has!("lzcnt"), Self::LZCNT),
                (has!("bmi1"), Self::BMI1),
                (has!("bmi2"), Self::BMI2),
                (has!("avx"), Self::AVX),
                (has!("avx2"), Self::AVX2),
                (has!("fma"), Self::FMA),
            ];
            for (present, feature) in rows {
                if present {
                    set = set.with(feature);
                }
            }
        }
        set
    }

    /// Whether all of `other` is there.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The union.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The difference, for tests of the fallbacks.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for CpuFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuFeatures({:#x})", self.0)
    }
}
