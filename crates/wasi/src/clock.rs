//! Clocks: the provider's real-time and monotonic ones, and the CPU-time ones that it does not have.

use crate::errno::{Errno, Failure};
use crate::guest;
use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
use std::time::{Duration, SystemTime};
use wasi_common::WasiClocks;

/// witx `clockid`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Clock {
    Realtime,
    /// Starts at 0 when the context is made.
    Monotonic,
    ProcessCpu,
    ThreadCpu,
}

impl Clock {
    /// The clock that a guest names.
    pub(crate) fn from_guest(id: u32) -> Result<Self, Errno> {
        match id {
            0 => Ok(Self::Realtime),
            1 => Ok(Self::Monotonic),
            2 => Ok(Self::ProcessCpu),
            3 => Ok(Self::ThreadCpu),
            _ => Err(Errno::INVAL),
        }
    }

    fn cpu(self) -> Option<ClockId> {
        match self {
            Self::Realtime | Self::Monotonic => None,
            Self::ProcessCpu => Some(ClockId::ProcessCPUTime),
            Self::ThreadCpu => Some(ClockId::ThreadCPUTime),
        }
    }

    /// Writes the resolution behind `pointer`; `None` if the provider has the clock.
    pub(crate) fn cpu_resolution(
        self,
        pointer: u32,
        memory: &mut [u8],
    ) -> Option<Result<(), Failure>> {
        let id = self.cpu()?;
        Some(write_time(memory, pointer, clock_getres(id)))
    }

    /// Writes the time behind `pointer`; `None` if the provider has the clock.
    pub(crate) fn cpu_time(self, pointer: u32, memory: &mut [u8]) -> Option<Result<(), Failure>> {
        let id = self.cpu()?;
        Some(write_time(memory, pointer, clock_gettime(id)))
    }

    /// The time of a clock that can be waited for until a point in time.
    pub(crate) fn now(self, clocks: &WasiClocks) -> Option<Duration> {
        match self {
            Self::Realtime => {
                let now = clocks.system().ok()?.now(Duration::ZERO).into_std();
                now.duration_since(SystemTime::UNIX_EPOCH).ok()
            }
            Self::Monotonic => {
                let clock = clocks.monotonic().ok()?;
                Some(
                    clock
                        .abs_clock
                        .now(Duration::ZERO)
                        .duration_since(clock.creation_time),
                )
            }
            Self::ProcessCpu | Self::ThreadCpu => None,
        }
    }
}

fn write_time(memory: &mut [u8], pointer: u32, time: Timespec) -> Result<(), Failure> {
    let time = Duration::try_from(time).map_err(|_| Errno::OVERFLOW)?;
    let nanos = u64::try_from(time.as_nanos()).map_err(|_| Errno::OVERFLOW)?;
    Ok(guest::write(memory, pointer, &nanos.to_le_bytes())?)
}
