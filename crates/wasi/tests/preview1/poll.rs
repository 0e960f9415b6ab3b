//! `poll_oneoff`: deadlines, ready and bad descriptors, and what the arguments may be.

use crate::guest::{
    BADF, BUFFER, CREATING, DIR, FAULT, FD_SEEK, Guest, INVAL, MEMORY, NOTCAPABLE, NOTSUP, RESULT,
    SUCCESS,
};
use std::process::{Command, Stdio};
use upshift_wasi::{Function, WasiCtxBuilder};

const SUBSCRIPTIONS: u64 = 0x4000;
const ABSOLUTE: u16 = 1;
const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

/// Something to wait for.
#[derive(Clone, Copy)]
enum Wait {
    Clock { id: u32, timeout: u64, flags: u16 },
    Read(u64),
    Write(u64),
}

/// An event: place of its subscription, errno, type, readable bytes.
type Event = (u64, u16, u8, u64);

fn poll(guest: &mut Guest, waits: &[Wait]) -> Result<Vec<Event>, u32> {
    for (index, wait) in (0..).zip(waits) {
        let mut record = [0; 48];
        let index: u64 = index;
        record[..8].copy_from_slice(&index.to_le_bytes());
        match *wait {
            Wait::Clock { id, timeout, flags } => {
                record[8] = CLOCK;
                record[16..20].copy_from_slice(&id.to_le_bytes());
                record[24..32].copy_from_slice(&timeout.to_le_bytes());
                record[40..42].copy_from_slice(&flags.to_le_bytes());
            }
            Wait::Read(fd) | Wait::Write(fd) => {
                record[8] = if matches!(wait, Wait::Read(_)) {
                    READ
                } else {
                    WRITE
                };
                record[16..20].copy_from_slice(&u32::try_from(fd).unwrap().to_le_bytes());
            }
        }
        guest.write(SUBSCRIPTIONS + 48 * index, &record);
    }
    let args = [SUBSCRIPTIONS, BUFFER, waits.len() as u64, RESULT];
    let count = guest.size_of(Function::PollOneoff, &args, RESULT)?;
    let events = (0..u64::from(count)).map(|index| {
        let record = guest.read(BUFFER + 32 * index, 32);
        let number = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
        let errno = u16::from_le_bytes([record[8], record[9]]);
        (number(0), errno, record[10], number(16))
    });
    Ok(events.collect())
}

fn after(timeout: u64) -> Wait {
    Wait::Clock {
        id: 1,
        timeout,
        flags: 0,
    }
}

const NEVER: u64 = u64::MAX;

#[test]
fn deadlines() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    let expired = |place| (place, 0, CLOCK, 0);
    let at = |id, timeout| Wait::Clock {
        id,
        timeout,
        flags: ABSOLUTE,
    };
    let relative = |id| Wait::Clock {
        id,
        timeout: 1000,
        flags: 0,
    };
    let cases = [
        (vec![after(0)], vec![expired(0)]),
        (vec![after(1_000_000)], vec![expired(0)]),
        (vec![at(0, 1), after(NEVER)], vec![expired(0)]),
        (vec![at(1, 1), at(1, NEVER), at(0, NEVER)], vec![expired(0)]),
        (vec![after(NEVER), after(1000)], vec![expired(1)]),
        (vec![relative(0)], vec![expired(0)]),
        (vec![relative(2), after(NEVER)], vec![expired(0)]),
        // Times of the processor pass only while nothing waits.
        (
            vec![at(2, 5)],
            vec![(0, u16::try_from(NOTSUP).unwrap(), CLOCK, 0)],
        ),
        (vec![after(0); 100], (0..100).map(expired).collect()),
    ];
    for (index, (waits, expected)) in cases.into_iter().enumerate() {
        assert_eq!(poll(&mut guest, &waits), Ok(expected), "case {index}");
    }
}

#[test]
fn absolute_deadlines_are_on_the_clock_that_the_guest_reads() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    for id in [0, 1] {
        let now = |guest: &mut Guest| {
            guest.ok(Function::ClockTimeGet, &[id, 0, RESULT]);
            guest.u64_at(RESULT)
        };
        let deadline = now(&mut guest) + 2_000_000;
        let wait = Wait::Clock {
            id: u32::try_from(id).unwrap(),
            timeout: deadline,
            flags: ABSOLUTE,
        };
        assert_eq!(poll(&mut guest, &[wait]), Ok(vec![(0, 0, CLOCK, 0)]));
        assert!(now(&mut guest) >= deadline, "clock {id}");
    }
}

#[test]
fn streams_in_memory_are_ready() {
    let mut guest = Guest::new(WasiCtxBuilder::new().stdin("12345"));
    let waits = [Wait::Read(0), Wait::Write(1), after(NEVER), Wait::Write(2)];
    let expected = vec![(0, 0, READ, 5), (1, 0, WRITE, 0), (3, 0, WRITE, 0)];
    assert_eq!(poll(&mut guest, &waits), Ok(expected));
}

#[test]
fn files_are_ready_even_past_their_end() {
    let mut guest = Guest::with_dir();
    let fd = guest.open("file", CREATING);
    guest.fd_write(fd, "abc").unwrap();
    let waits = [Wait::Read(fd), Wait::Write(fd)];
    for (position, readable) in [(0, 3), (1, 2), (3, 0), (100, 0)] {
        guest.ok(Function::FdSeek, &[fd, position, 0, RESULT]);
        let expected = vec![(0, 0, READ, readable), (1, 0, WRITE, 0)];
        assert_eq!(poll(&mut guest, &waits), Ok(expected), "at {position}");
    }
}

#[test]
fn a_bad_descriptor_is_an_event_of_its_own() {
    let mut guest = Guest::with_dir();
    let fd = guest.open("file", CREATING);
    let reduced = guest.open("file", CREATING);
    guest.ok(Function::FdFdstatSetRights, &[reduced, 0, 0]);
    let waits = [
        Wait::Read(99),
        Wait::Write(fd),
        Wait::Read(DIR),
        Wait::Read(reduced),
        after(NEVER),
    ];
    let error = |place, errno| (place, u16::try_from(errno).unwrap(), READ, 0);
    let expected = vec![
        error(0, BADF),
        (1, 0, WRITE, 0),
        error(2, BADF),
        error(3, NOTCAPABLE),
    ];
    assert_eq!(poll(&mut guest, &waits), Ok(expected));
}

#[test]
fn arguments() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    let cases = [
        ([SUBSCRIPTIONS, BUFFER, 0, RESULT], INVAL),
        ([SUBSCRIPTIONS, BUFFER, 0xffff_ffff, RESULT], INVAL),
        ([SUBSCRIPTIONS, BUFFER, 60_000, RESULT], FAULT),
        ([MEMORY, BUFFER, 1, RESULT], FAULT),
        ([MEMORY - 47, BUFFER, 1, RESULT], FAULT),
        ([SUBSCRIPTIONS, MEMORY - 31, 1, RESULT], FAULT),
        ([SUBSCRIPTIONS, BUFFER, 1, MEMORY - 3], FAULT),
        ([SUBSCRIPTIONS, BUFFER, 1, RESULT], SUCCESS),
    ];
    for (args, errno) in cases {
        assert_eq!(guest.call(Function::PollOneoff, &args), errno, "{args:x?}");
    }
    let malformed = [
        Wait::Clock {
            id: 4,
            timeout: 0,
            flags: 0,
        },
        Wait::Clock {
            id: 1,
            timeout: 0,
            flags: 2,
        },
    ];
    for wait in malformed {
        assert_eq!(poll(&mut guest, &[wait]), Err(INVAL));
    }
    guest.write(SUBSCRIPTIONS + 8, &[3]);
    assert_eq!(
        guest.call(Function::PollOneoff, &[SUBSCRIPTIONS, BUFFER, 1, RESULT]),
        INVAL
    );
}

/// Set for the process that [`inherited_streams_are_ready`] starts.
const CHILD: &str = "UPSHIFT_WASI_STREAMS";
/// Its exit code when its streams are as expected.
const CHILD_CODE: i32 = 7;

/// Runs [`inherited_streams_are_ready`] in a process of its own, whose streams are given.
fn start_child(stdin: Stdio, stdout: Stdio) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "poll::inherited_streams_are_ready",
        "--nocapture",
    ]);
    command.env(CHILD, "1").stdin(stdin).stdout(stdout);
    assert_eq!(command.status().unwrap().code(), Some(CHILD_CODE));
}

/// What the child checks: files and devices are ready, and devices are no terminals.
fn check_streams() {
    let mut guest = Guest::new(WasiCtxBuilder::new().inherit_stdio());
    let waits = [Wait::Read(0), Wait::Write(1)];
    let events = poll(&mut guest, &waits).unwrap();
    let outcomes: Vec<_> = events.iter().map(|event| (event.0, event.1)).collect();
    assert_eq!(outcomes, [(0, 0), (1, 0)]);
    for fd in 0..2 {
        let (filetype, _, rights, _) = guest.fdstat(fd).unwrap();
        let pipe = 0;
        // A C library takes a character device that cannot seek for a terminal.
        assert_eq!(
            rights & FD_SEEK != 0,
            filetype != pipe,
            "stream {fd}: {rights:x}"
        );
    }
}

#[test]
fn inherited_streams_are_ready() {
    if std::env::var_os(CHILD).is_some() {
        check_streams();
        std::process::exit(CHILD_CODE);
    }
    let file = tempfile::tempfile().unwrap();
    start_child(Stdio::null(), Stdio::null());
    start_child(file.try_clone().unwrap().into(), file.into());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(writer);
    start_child(reader.into(), Stdio::null());
}
