//! What this process, or the processes that it waited for, used of the machine.

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use std::time::Duration;

/// Whose use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// All threads of this process.
    Own,
    /// Processes that ended and were waited for.
    Children,
}

/// User and system time.
pub(crate) fn cpu(whose: Whose) -> Duration {
    let time = usage(whose).map_or(0, |usage| {
        (usage.user_time() + usage.system_time()).num_microseconds()
    });
    Duration::from_micros(u64::try_from(time).unwrap_or(0))
}

/// The highest resident memory in KiB. Of children it is the largest one's, and never less than what this process
/// had when it started them: Linux counts that as theirs until they load their program. 0 where the system does not tell.
pub(crate) fn peak_rss_kb(whose: Whose) -> u64 {
    match whose {
        // getrusage would count the memory of the process that started this one, until its exec.
        Whose::Own => {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let number = line.map(|rest| rest.trim().trim_end_matches("kB").trim());
            number.and_then(|kb| kb.parse().ok()).unwrap_or(0)
        }
        Whose::Children => {
            usage(whose).map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0))
        }
    }
}

fn usage(whose: Whose) -> Option<Usage> {
    let who = match whose {
        Whose::Own => UsageWho::RUSAGE_SELF,
        Whose::Children => UsageWho::RUSAGE_CHILDREN,
    };
    getrusage(who).ok()
}
