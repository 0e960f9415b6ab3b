//! Standard streams in memory, and ordinary files.

use crate::guest::{
    BADF, BUFFER, CREATE, CREATING, EXCLUSIVE, EXIST, Guest, INVAL, ISDIR, NOENT, NOSPC, Open,
    READING, RESULT, SPIPE,
};
use std::time::{Duration, SystemTime};
use upshift_wasi::{Function, Output, WasiCtxBuilder};

#[test]
fn streams_in_memory() {
    let stdout = Output::new(8);
    let stderr = Output::new(100);
    let mut guest = Guest::new(
        WasiCtxBuilder::new()
            .stdin("hello")
            .stdout(&stdout)
            .stderr(&stderr),
    );
    assert_eq!(guest.fd_read(0, 3).as_deref(), Ok("hel"));
    assert_eq!(guest.fd_read(0, 100).as_deref(), Ok("lo"));
    assert_eq!(guest.fd_read(0, 100).as_deref(), Ok(""));
    assert_eq!(guest.fd_write(1, "out"), Ok(3));
    assert_eq!(guest.fd_write(2, "err"), Ok(3));
    assert_eq!(guest.fd_write(1, "too long"), Ok(5));
    assert_eq!(guest.fd_write(1, "more"), Err(NOSPC));
    assert_eq!(guest.fd_write(1, ""), Ok(0));
    assert_eq!(
        (stdout.contents(), stderr.contents()),
        (b"outtoo l".to_vec(), b"err".to_vec())
    );
    assert_eq!(guest.fd_write(0, "x"), Err(BADF));
    assert_eq!(guest.fd_read(1, 1), Err(BADF));
    assert_eq!(guest.call(Function::FdSeek, &[1, 0, 0, RESULT]), SPIPE);
}

#[test]
fn streams_that_lead_nowhere() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    assert_eq!(guest.fd_read(0, 1).as_deref(), Ok(""));
    assert_eq!(guest.fd_write(1, "gone"), Ok(4));
    assert_eq!(guest.fd_write(2, "gone"), Ok(4));
}

#[test]
fn files_are_written_read_and_sought() {
    let mut guest = Guest::with_dir();
    assert_eq!(guest.try_open(3, "file", READING), Err(NOENT));
    let fd = guest.open("file", CREATING);
    assert_eq!(guest.fd_write(fd, "0123456789"), Ok(10));
    // Offset, whence, result.
    let end: u64 = 2;
    let back = (-3_i64).cast_unsigned();
    let seeks = [
        (4, 0, Ok(4)),
        (2, 1, Ok(6)),
        (back, end, Ok(7)),
        (back, 0, Err(INVAL)),
        (0, 3, Err(INVAL)),
    ];
    for (offset, whence, expected) in seeks {
        let errno = guest.call(Function::FdSeek, &[fd, offset, whence, RESULT]);
        let result = if errno == 0 {
            Ok(guest.u64_at(RESULT))
        } else {
            Err(errno)
        };
        assert_eq!(result, expected, "seek {offset} {whence}");
    }
    assert_eq!(guest.fd_read(fd, 100).as_deref(), Ok("789"));
    assert_eq!(guest.fd_pread(fd, 2, 1).as_deref(), Ok("12"));
    assert_eq!(guest.fd_pread(fd, 2, u64::MAX), Err(INVAL));
    guest.ok(Function::FdFilestatSetSize, &[fd, 4]);
    guest.ok(Function::FdFilestatGet, &[fd, BUFFER]);
    assert_eq!(
        (guest.read(BUFFER + 16, 1), guest.u64_at(BUFFER + 32)),
        (vec![4], 4)
    );
    assert_eq!(
        guest.call(Function::FdFilestatSetSize, &[fd, u64::MAX]),
        INVAL
    );

    let exclusive = Open {
        oflags: CREATE | EXCLUSIVE,
        ..CREATING
    };
    assert_eq!(guest.try_open(3, "file", exclusive), Err(EXIST));
    assert_eq!(guest.try_open(3, ".", CREATING), Err(ISDIR));
    assert_eq!(guest.fd_read(3, 1), Err(BADF));
}

#[test]
fn space_is_allocated() {
    let mut guest = Guest::with_dir();
    let fd = guest.open("file", CREATING);
    let reading = guest.open(
        "file",
        Open {
            oflags: CREATE,
            ..READING
        },
    );
    // Descriptor, offset, length, errno, size after it.
    let cases = [
        (fd, 0, 100, 0, 100),
        (fd, 10, 10, 0, 100),
        (fd, 90, 20, 0, 110),
        (fd, 0, 0, INVAL, 110),
        (fd, u64::MAX, 1, INVAL, 110),
        (fd, 0, u64::MAX, INVAL, 110),
        (reading, 0, 200, BADF, 110),
        (1, 0, 200, BADF, 110),
        (3, 0, 200, BADF, 110),
    ];
    for (fd, offset, length, errno, size) in cases {
        let args = [fd, offset, length];
        assert_eq!(guest.call(Function::FdAllocate, &args), errno, "{args:x?}");
        let file = std::fs::metadata(guest.host().join("file")).unwrap();
        assert_eq!(file.len(), size, "{args:x?}");
    }
}

#[test]
fn times_before_1970_are_unknown() {
    let mut guest = Guest::with_dir();
    let fd = guest.open("file", CREATING);
    let old = SystemTime::UNIX_EPOCH - Duration::from_secs(1000);
    let host = std::fs::File::options()
        .write(true)
        .open(guest.host().join("file"))
        .unwrap();
    host.set_times(
        std::fs::FileTimes::new()
            .set_accessed(old)
            .set_modified(old),
    )
    .unwrap();
    guest.ok(Function::FdFilestatGet, &[fd, BUFFER]);
    assert_eq!(
        (guest.u64_at(BUFFER + 40), guest.u64_at(BUFFER + 48)),
        (0, 0)
    );
    let [path, length] = guest.path("file");
    guest.ok(Function::PathFilestatGet, &[3, 0, path, length, BUFFER]);
    assert_eq!(
        (guest.u64_at(BUFFER + 40), guest.u64_at(BUFFER + 48)),
        (0, 0)
    );
}

#[test]
fn times_are_set() {
    let mut guest = Guest::with_dir();
    let fd = guest.open("file", CREATING);
    let (set_both, set_and_now) = (0b0101, 0b0011);
    guest.ok(
        Function::FdFilestatSetTimes,
        &[fd, 1_000_000_007, 2_000_000_011, set_both],
    );
    guest.ok(Function::FdFilestatGet, &[fd, BUFFER]);
    assert_eq!(
        (guest.u64_at(BUFFER + 40), guest.u64_at(BUFFER + 48)),
        (1_000_000_007, 2_000_000_011)
    );
    assert_eq!(
        guest.call(Function::FdFilestatSetTimes, &[fd, 1, 1, set_and_now]),
        INVAL
    );
    // The last time that a guest can name, in the year 2554.
    let errno = guest.call(
        Function::FdFilestatSetTimes,
        &[fd, u64::MAX, u64::MAX, set_both],
    );
    assert!(errno == 0 || errno == INVAL, "{errno}");
    guest.ok(Function::FdFilestatGet, &[fd, BUFFER]);
}
