//! How a code space is made, and how full it is.

use crate::profile::Profiler;
use rustix::process::{Resource, getrlimit};
use std::sync::Arc;
use upshift_abi::Tier;

/// How a [`CodeSpace`](crate::CodeSpace) is made.
#[derive(Clone, Debug)]
pub struct CodeSpaceOptions {
    /// Address space for entry tables and code in bytes, 1 GiB by default and at most 2 GiB. Where address space
    /// is limited (`RLIMIT_AS`) at most a sixteenth of the limit; halved until it fits.
    pub reserve_bytes: usize,
    /// Whether code is written through a second mapping of a memory file (if the system lets us); else
    /// pages are copied, changed, protected and moved into place.
    pub dual_mapping: bool,
    /// Whether the addresses of freed code are never used again, so that a stale pointer hits `int3`. For tests.
    pub quarantine: bool,
    /// Who is told where code is.
    pub profiler: Option<Arc<Profiler>>,
}

impl Default for CodeSpaceOptions {
    fn default() -> Self {
        Self {
            reserve_bytes: 1 << 30,
            dual_mapping: true,
            quarantine: false,
            profiler: None,
        }
    }
}

impl CodeSpaceOptions {
    /// What to ask for first.
    pub(super) fn effective_bytes(&self) -> usize {
        match getrlimit(Resource::As).current {
            Some(limit) => {
                let share = usize::try_from(limit / 16).unwrap_or(usize::MAX);
                self.reserve_bytes.min(share)
            }
            None => self.reserve_bytes,
        }
    }
}

/// Sizes in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CodeSpaceStats {
    /// Address space reserved for entry tables and code.
    pub reserved_bytes: usize,
    /// Pages that hold code or stubs, or held them once.
    pub committed_bytes: usize,
    /// Code and stubs that are published now.
    pub live_bytes: usize,
    /// Code published in total by the baseline tier.
    pub published_baseline_bytes: usize,
    /// Code published in total by the optimizing tier.
    pub published_optimizing_bytes: usize,
}

impl CodeSpaceStats {
    /// Bytes of code published in total by a tier.
    #[must_use]
    pub fn published_bytes(&self, tier: Tier) -> usize {
        match tier {
            Tier::Baseline => self.published_baseline_bytes,
            Tier::Optimizing => self.published_optimizing_bytes,
        }
    }
}
