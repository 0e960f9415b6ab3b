//! `poll_oneoff`, by one call of the host's `poll`.
//!
//! The provider's version fails as a whole when one descriptor is bad or when the number of readable
//! bytes is unknown, and has no absolute real-time deadlines. Here such things become the event of
//! their subscription, and the call fails only when its arguments are malformed:
//!
//! 1. every subscription becomes a [`Wait`]: an event that is known already, a deadline, or a descriptor;
//! 2. one `poll` waits for the descriptors until the earliest deadline, not at all if an event is known;
//! 3. what is ready then becomes events, in the order of the subscriptions.

use crate::clock::Clock;
use crate::descriptors::{Descriptors, Kind};
use crate::errno::{Errno, Failure};
use crate::guest::{self, u16_at, u32_at, u64_at};
use crate::ready::Ready;
use crate::rights::Rights;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;
use rustix::io::Errno as HostErrno;
use std::time::{Duration, Instant};
use wasi_common::WasiClocks;

/// Most subscriptions of one call, so that a guest cannot exhaust the host's memory.
const SUBSCRIPTIONS_MAX: u32 = 1 << 16;
/// Bytes of a `subscription` record.
const SUBSCRIPTION_BYTES: usize = 48;
/// Bytes of an `event` record.
const EVENT_BYTES: usize = 32;
/// `eventrwflags.fd_readwrite_hangup`
const HANGUP: u16 = 1;

/// witx `eventtype`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum EventType {
    Clock,
    Read,
    Write,
}

impl EventType {
    fn from_guest(tag: u8) -> Result<Self, Errno> {
        match tag {
            0 => Ok(Self::Clock),
            1 => Ok(Self::Read),
            2 => Ok(Self::Write),
            _ => Err(Errno::INVAL),
        }
    }

    fn tag(self) -> u8 {
        match self {
            Self::Clock => 0,
            Self::Read => 1,
            Self::Write => 2,
        }
    }
}

/// How a subscription came out.
#[derive(Clone, Copy, Default)]
struct Outcome {
    error: Option<Errno>,
    bytes: u64,
    flags: u16,
}

/// What a subscription waits for.
enum Wait<'a> {
    /// Nothing.
    Known(Outcome),
    /// This long after the call began.
    Deadline(Duration),
    /// A descriptor, by its place among those that are polled.
    Descriptor(usize, &'a dyn Ready),
}

struct Subscription<'a> {
    userdata: u64,
    event_type: EventType,
    wait: Wait<'a>,
}

/// The descriptors to poll, each once: the host limits how many there are.
#[derive(Default)]
struct Polled<'a> {
    entries: Vec<(u32, BorrowedFd<'a>, PollFlags)>,
}

impl<'a> Polled<'a> {
    fn add(&mut self, fd: u32, host: BorrowedFd<'a>, flags: PollFlags) -> usize {
        if let Some(index) = self.entries.iter().position(|entry| entry.0 == fd) {
            self.entries[index].2 |= flags;
            return index;
        }
        self.entries.push((fd, host, flags));
        self.entries.len() - 1
    }

    /// Waits until a descriptor is ready or `timeout` after `start` has passed. Gives what is ready.
    fn wait(&self, start: Instant, timeout: Option<Duration>) -> Result<Vec<PollFlags>, HostErrno> {
        let mut fds: Vec<PollFd<'_>> = self
            .entries
            .iter()
            .map(|&(_, fd, flags)| PollFd::from_borrowed_fd(fd, flags))
            .collect();
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(start.elapsed()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut fds, left.as_ref()) {
                Ok(_) => return Ok(fds.iter().map(PollFd::revents).collect()),
                Err(HostErrno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The arguments of the call.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) subscriptions: u32,
    pub(crate) events: u32,
    pub(crate) count: u32,
}

/// Waits for the first of some events. Gives how many have been written.
pub(crate) fn poll_oneoff(
    clocks: &WasiClocks,
    descriptors: &Descriptors,
    request: Request,
    memory: &mut [u8],
) -> Result<u32, Failure> {
    if request.count == 0 || request.count > SUBSCRIPTIONS_MAX {
        return Err(Errno::INVAL.into());
    }
    let count = u64::from(request.count);
    guest::slice(memory, request.events, count * EVENT_BYTES as u64)?;
    let records = guest::slice(
        memory,
        request.subscriptions,
        count * SUBSCRIPTION_BYTES as u64,
    )?;

    let start = Instant::now();
    let mut polled = Polled::default();
    let subscriptions = records
        .chunks_exact(SUBSCRIPTION_BYTES)
        .map(|record| subscription(clocks, descriptors, record, &mut polled))
        .collect::<Result<Vec<_>, _>>()?;
    let timeout = timeout(&subscriptions);
    let ready = polled.wait(start, timeout)?;

    // The earliest deadline has passed if nothing else has ended the wait, whatever rounding says.
    let mut passed = start.elapsed();
    if ready.iter().all(|flags| flags.is_empty()) {
        passed = passed.max(timeout.unwrap_or_default());
    }
    let mut events = Vec::new();
    for subscription in &subscriptions {
        if let Some(outcome) = outcome(subscription, &ready, passed) {
            events.extend_from_slice(&event(subscription, outcome));
        }
    }
    guest::write(memory, request.events, &events)?;
    Ok(u32::try_from(events.len() / EVENT_BYTES).map_err(|_| Errno::OVERFLOW)?)
}

fn subscription<'a>(
    clocks: &WasiClocks,
    descriptors: &'a Descriptors,
    record: &[u8],
    polled: &mut Polled<'a>,
) -> Result<Subscription<'a>, Errno> {
    let event_type = EventType::from_guest(record[8])?;
    let wait = match event_type {
        EventType::Clock => deadline(clocks, record)?,
        EventType::Read | EventType::Write => {
            let fd = u32_at(record, 16);
            descriptor(descriptors, fd, event_type, polled).unwrap_or_else(failed)
        }
    };
    Ok(Subscription {
        userdata: u64_at(record, 0),
        event_type,
        wait,
    })
}

fn failed<'a>(errno: Errno) -> Wait<'a> {
    Wait::Known(Outcome {
        error: Some(errno),
        ..Outcome::default()
    })
}

/// Relative timeouts are the same on all clocks.
fn deadline<'a>(clocks: &WasiClocks, record: &[u8]) -> Result<Wait<'a>, Errno> {
    let clock = Clock::from_guest(u32_at(record, 16))?;
    let timeout = Duration::from_nanos(u64_at(record, 24));
    match u16_at(record, 40) {
        0 => Ok(Wait::Deadline(timeout)),
        1 => Ok(match clock.now(clocks) {
            Some(now) => Wait::Deadline(timeout.saturating_sub(now)),
            None => failed(Errno::NOTSUP),
        }),
        _ => Err(Errno::INVAL),
    }
}

fn descriptor<'a>(
    descriptors: &'a Descriptors,
    fd: u32,
    event_type: EventType,
    polled: &mut Polled<'a>,
) -> Result<Wait<'a>, Errno> {
    let (flags, right) = match event_type {
        EventType::Write => (PollFlags::OUT, Rights::FD_WRITE),
        EventType::Read | EventType::Clock => (PollFlags::IN, Rights::FD_READ),
    };
    if descriptors.lacks(fd, right | Rights::POLL_FD_READWRITE) {
        return Err(Errno::NOTCAPABLE);
    }
    let file = match descriptors.get(fd).map(|descriptor| &descriptor.kind) {
        Some(Kind::File(file)) => &**file,
        Some(Kind::Dir) | None => return Err(Errno::BADF),
    };
    Ok(match file.fd() {
        Some(host) => Wait::Descriptor(polled.add(fd, host, flags), file),
        None => Wait::Known(Outcome {
            bytes: readable(event_type, file),
            ..Outcome::default()
        }),
    })
}

fn readable(event_type: EventType, file: &dyn Ready) -> u64 {
    match event_type {
        EventType::Read => file.ready_bytes(),
        EventType::Write | EventType::Clock => 0,
    }
}

/// How long to wait at most, if there is a limit.
fn timeout(subscriptions: &[Subscription<'_>]) -> Option<Duration> {
    let limits = subscriptions
        .iter()
        .filter_map(|subscription| match subscription.wait {
            Wait::Known(_) => Some(Duration::ZERO),
            Wait::Deadline(deadline) => Some(deadline),
            Wait::Descriptor(..) => None,
        });
    limits.min()
}

/// The outcome of a subscription, if there is one yet.
fn outcome(
    subscription: &Subscription<'_>,
    ready: &[PollFlags],
    passed: Duration,
) -> Option<Outcome> {
    let (flags, file) = match subscription.wait {
        Wait::Known(outcome) => return Some(outcome),
        Wait::Deadline(deadline) => return (deadline <= passed).then(Outcome::default),
        Wait::Descriptor(index, file) => (ready[index], file),
    };
    let wanted = match subscription.event_type {
        EventType::Write => PollFlags::OUT,
        EventType::Read | EventType::Clock => PollFlags::IN,
    };
    if !flags.intersects(wanted | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return None;
    }
    let error = if flags.contains(PollFlags::NVAL) {
        Some(Errno::BADF)
    } else {
        flags.contains(PollFlags::ERR).then_some(Errno::IO)
    };
    let bytes = readable(subscription.event_type, file);
    let flags = if flags.contains(PollFlags::HUP) {
        HANGUP
    } else {
        0
    };
    Some(Outcome {
        error,
        bytes,
        flags,
    })
}

fn event(subscription: &Subscription<'_>, outcome: Outcome) -> [u8; EVENT_BYTES] {
    let mut record = [0; EVENT_BYTES];
    record[..8].copy_from_slice(&subscription.userdata.to_le_bytes());
    let error = outcome.error.map_or(0, Errno::code);
    record[8..10].copy_from_slice(&error.to_le_bytes());
    record[10] = subscription.event_type.tag();
    record[16..24].copy_from_slice(&outcome.bytes.to_le_bytes());
    record[24..26].copy_from_slice(&outcome.flags.to_le_bytes());
    record
}
