//! Append mode: how files are opened, where writes go, and what truncation does.

use crate::guest::{
    APPEND, BADF, CREATE, CREATING, FD_READ, FD_WRITE, Guest, INVAL, Open, READ_WRITE, TRUNCATE,
};
use upshift_wasi::Function;

/// Opens `file`, which holds "old", writes "new" at the end and "P" at offset 1. Gives both results and
/// what the file holds then.
fn check(open: Open, expected: (Result<u32, u32>, Result<u32, u32>, &str)) {
    let mut guest = Guest::with_dir();
    let path = guest.host().join("file");
    std::fs::write(&path, "old").unwrap();
    let fd = guest.open("file", open);
    let written = guest.fd_write(fd, "new");
    let placed = guest.fd_pwrite(fd, "P", 1);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!((written, placed, text.as_str()), expected, "{open:?}");
}

#[test]
fn writes_go_where_the_flags_say() {
    let open = |oflags, rights, fdflags| Open {
        oflags,
        rights,
        fdflags,
    };
    check(open(0, FD_WRITE, 0), (Ok(3), Ok(1), "nPw"));
    check(open(0, FD_WRITE, APPEND), (Ok(3), Ok(1), "oPdnew"));
    check(open(0, READ_WRITE, APPEND), (Ok(3), Ok(1), "oPdnew"));
    check(open(CREATE, READ_WRITE, APPEND), (Ok(3), Ok(1), "oPdnew"));
    check(open(TRUNCATE, FD_WRITE, APPEND), (Ok(3), Ok(1), "nPw"));
    check(
        open(CREATE | TRUNCATE, READ_WRITE, APPEND),
        (Ok(3), Ok(1), "nPw"),
    );
    // Appending alone is not writing.
    check(open(0, FD_READ, APPEND), (Err(BADF), Err(BADF), "old"));
    check(open(0, 0, APPEND), (Err(BADF), Err(BADF), "old"));
    // Truncation alone truncates, but is not writing either.
    check(open(TRUNCATE, FD_READ, 0), (Err(BADF), Err(BADF), ""));
    check(open(TRUNCATE, 0, 0), (Err(BADF), Err(BADF), ""));
}

#[test]
fn append_is_a_flag_that_can_be_seen_set_and_cleared() {
    let mut guest = Guest::with_dir();
    let fd = guest.open(
        "file",
        Open {
            fdflags: APPEND,
            ..CREATING
        },
    );
    let flags = |guest: &mut Guest| u64::from(guest.fdstat(fd).unwrap().1);
    assert_eq!(flags(&mut guest), APPEND);
    guest.fd_write(fd, "abc").unwrap();

    guest.ok(Function::FdFdstatSetFlags, &[fd, 0]);
    assert_eq!(flags(&mut guest), 0);
    guest.fd_pwrite(fd, "X", 0).unwrap();

    guest.ok(Function::FdFdstatSetFlags, &[fd, APPEND]);
    guest.fd_pwrite(fd, "Y", 1).unwrap();
    guest.fd_write(fd, "d").unwrap();
    assert_eq!(guest.fd_pread(fd, 100, 0).as_deref(), Ok("XYcd"));
    assert_eq!(guest.fd_pwrite(fd, "Z", u64::MAX), Err(INVAL));
}
