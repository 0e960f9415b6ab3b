//! Rights: what is reported, that they only shrink, and that what is gone is refused.

use crate::guest::{
    BADF, BUFFER, CREATE, CREATING, DIR, FD_READ, FD_SEEK, FD_TELL, FD_WRITE, Guest, NOTCAPABLE,
    Open, READING, RESULT, SUCCESS, TRUNCATE,
};
use upshift_wasi::Function;

/// Every right, as bits.
const ALL: u64 = (1 << 30) - 1;

fn base(guest: &mut Guest, fd: u64) -> u64 {
    guest.fdstat(fd).unwrap().2
}

fn inheriting(guest: &mut Guest, fd: u64) -> u64 {
    guest.fdstat(fd).unwrap().3
}

/// Takes rights from a descriptor; gives the errno.
fn take(guest: &mut Guest, fd: u64, rights: u64, rights_inheriting: u64) -> u32 {
    let (_, _, base, inheriting) = guest.fdstat(fd).unwrap();
    let args = [fd, base & !rights, inheriting & !rights_inheriting];
    guest.call(Function::FdFdstatSetRights, &args)
}

#[test]
fn rights_shrink_and_never_grow() {
    let mut guest = Guest::with_dir();
    let fd = guest.open("file", CREATING);
    let before = base(&mut guest, fd);
    assert_eq!(
        before & (FD_READ | FD_WRITE | FD_SEEK),
        FD_READ | FD_WRITE | FD_SEEK
    );

    assert_eq!(
        guest.call(Function::FdFdstatSetRights, &[fd, ALL, 0]),
        NOTCAPABLE
    );
    assert_eq!(
        guest.call(Function::FdFdstatSetRights, &[fd, before, ALL]),
        NOTCAPABLE
    );
    assert_eq!(
        guest.call(Function::FdFdstatSetRights, &[fd, u64::MAX, 0]),
        NOTCAPABLE
    );
    assert_eq!(base(&mut guest, fd), before);

    assert_eq!(take(&mut guest, fd, FD_WRITE, 0), SUCCESS);
    assert_eq!(base(&mut guest, fd), before & !FD_WRITE);
    assert_eq!(
        guest.call(Function::FdFdstatSetRights, &[fd, before, 0]),
        NOTCAPABLE
    );
    assert_eq!(take(&mut guest, fd, ALL, ALL), SUCCESS);
    assert_eq!(base(&mut guest, fd), 0);
    assert_eq!(guest.call(Function::FdFdstatSetRights, &[99, 0, 0]), BADF);
}

#[test]
fn what_is_gone_is_refused_by_each_function() {
    // Function, its arguments, and the bit of the right that it needs.
    let file = |fd: u64| {
        vec![
            (Function::FdDatasync, vec![fd], 0),
            (Function::FdRead, vec![fd, 0, 0, RESULT], 1),
            (Function::FdPread, vec![fd, 0, 0, 0, RESULT], 1),
            (Function::FdPread, vec![fd, 0, 0, 0, RESULT], 2),
            (Function::FdSeek, vec![fd, 0, 0, RESULT], 2),
            (Function::FdPwrite, vec![fd, 0, 0, 0, RESULT], 2),
            (Function::FdFdstatSetFlags, vec![fd, 0], 3),
            (Function::FdSync, vec![fd], 4),
            (Function::FdTell, vec![fd, RESULT], 5),
            (Function::FdWrite, vec![fd, 0, 0, RESULT], 6),
            (Function::FdPwrite, vec![fd, 0, 0, 0, RESULT], 6),
            (Function::FdAdvise, vec![fd, 0, 0, 0], 7),
            (Function::FdAllocate, vec![fd, 0, 1], 8),
            (Function::FdFilestatGet, vec![fd, RESULT], 21),
            (Function::FdFilestatSetSize, vec![fd, 0], 22),
            (Function::FdFilestatSetTimes, vec![fd, 0, 0, 0], 23),
        ]
    };
    let mut guest = Guest::with_dir();
    for (function, args, bit) in file(4) {
        let fd = guest.open("file", CREATING);
        let args: Vec<u64> = [&[fd], &args[1..]].concat();
        guest.ok(function, &args);
        assert_eq!(take(&mut guest, fd, 1 << bit, 0), SUCCESS);
        assert_eq!(
            guest.call(function, &args),
            NOTCAPABLE,
            "{function:?} without {bit}"
        );
    }
}

/// Functions on directories, their arguments (a path of one byte is at [`BUFFER`]), and the bit of the right.
const ON_DIRECTORIES: [(Function, &[u64], u64); 17] = [
    (Function::PathCreateDirectory, &[DIR, BUFFER, 1], 9),
    (
        Function::PathOpen,
        &[DIR, 0, BUFFER, 1, CREATE, 0, 0, 0, RESULT],
        10,
    ),
    (Function::PathLink, &[DIR, 0, BUFFER, 1, DIR, BUFFER, 1], 11),
    (Function::PathLink, &[DIR, 0, BUFFER, 1, DIR, BUFFER, 1], 12),
    (
        Function::PathOpen,
        &[DIR, 0, BUFFER, 1, 0, 0, 0, 0, RESULT],
        13,
    ),
    (Function::FdReaddir, &[DIR, BUFFER, 64, 0, RESULT], 14),
    (
        Function::PathReadlink,
        &[DIR, BUFFER, 1, BUFFER, 64, RESULT],
        15,
    ),
    (Function::PathRename, &[DIR, BUFFER, 1, DIR, BUFFER, 1], 16),
    (Function::PathRename, &[DIR, BUFFER, 1, DIR, BUFFER, 1], 17),
    (Function::PathFilestatGet, &[DIR, 0, BUFFER, 1, RESULT], 18),
    (
        Function::PathOpen,
        &[DIR, 0, BUFFER, 1, TRUNCATE, 0, 0, 0, RESULT],
        19,
    ),
    (
        Function::PathFilestatSetTimes,
        &[DIR, 0, BUFFER, 1, 0, 0, 0],
        20,
    ),
    (Function::FdFilestatGet, &[DIR, RESULT], 21),
    (Function::FdFilestatSetTimes, &[DIR, 0, 0, 0], 23),
    (Function::PathSymlink, &[BUFFER, 1, DIR, BUFFER, 1], 24),
    (Function::PathRemoveDirectory, &[DIR, BUFFER, 1], 25),
    (Function::PathUnlinkFile, &[DIR, BUFFER, 1], 26),
];

#[test]
fn what_is_gone_from_a_directory_is_refused() {
    for (function, args, bit) in ON_DIRECTORIES {
        let mut guest = Guest::with_dir();
        guest.write(BUFFER, b"x");
        let errno = guest.call(function, args);
        assert_ne!(errno, NOTCAPABLE, "{function:?} with {bit}");
        guest.write(BUFFER, b"x");
        assert_eq!(take(&mut guest, DIR, 1 << bit, 0), SUCCESS);
        let errno = guest.call(function, args);
        assert_eq!(errno, NOTCAPABLE, "{function:?} without {bit}");
    }
}

#[test]
fn telling_needs_only_the_right_to_tell() {
    const CURRENT: u64 = 1;
    let mut guest = Guest::with_dir();
    let fd = guest.open("file", CREATING);
    assert_eq!(take(&mut guest, fd, FD_SEEK, 0), SUCCESS);
    guest.ok(Function::FdSeek, &[fd, 0, CURRENT, RESULT]);
    assert_eq!(
        guest.call(Function::FdSeek, &[fd, 1, CURRENT, RESULT]),
        NOTCAPABLE
    );
    assert_eq!(take(&mut guest, fd, FD_TELL, 0), SUCCESS);
    assert_eq!(
        guest.call(Function::FdSeek, &[fd, 0, CURRENT, RESULT]),
        NOTCAPABLE
    );
}

#[test]
fn children_inherit_what_a_directory_has_given_up() {
    let mut guest = Guest::with_dir();
    std::fs::write(guest.host().join("file"), "text").unwrap();
    std::fs::create_dir(guest.host().join("sub")).unwrap();
    std::fs::write(guest.host().join("sub/file"), "text").unwrap();
    assert_eq!(take(&mut guest, DIR, 0, FD_READ), SUCCESS);
    assert_eq!(inheriting(&mut guest, DIR) & FD_READ, 0);

    assert_eq!(guest.try_open(DIR, "file", READING), Err(NOTCAPABLE));
    let fd = guest.open("file", Open::default());
    assert_eq!(base(&mut guest, fd) & FD_READ, 0);
    assert_eq!(guest.fd_read(fd, 4), Err(NOTCAPABLE));

    let sub = guest.open("sub", Open::default());
    assert_eq!(inheriting(&mut guest, sub) & FD_READ, 0);
    assert_eq!(guest.try_open(sub, "file", READING), Err(NOTCAPABLE));
}

#[test]
fn closing_forgets_and_renumbering_moves() {
    let mut guest = Guest::with_dir();
    let fd = guest.open("file", CREATING);
    let other = guest.open("file", CREATING);
    assert_eq!(take(&mut guest, fd, FD_WRITE, 0), SUCCESS);

    guest.ok(Function::FdRenumber, &[fd, other]);
    assert_eq!(guest.fd_write(fd, "x"), Err(BADF));
    assert_eq!(guest.fd_write(other, "x"), Err(NOTCAPABLE));
    guest.ok(Function::FdRenumber, &[other, other]);
    assert_eq!(guest.fd_write(other, "x"), Err(NOTCAPABLE));

    let fresh = guest.open("file", CREATING);
    guest.ok(Function::FdRenumber, &[fresh, other]);
    assert_eq!(guest.fd_write(other, "x"), Ok(1));
    assert_eq!(guest.call(Function::FdRenumber, &[other, 99]), BADF);
    assert_eq!(guest.call(Function::FdRenumber, &[99, other]), BADF);
    assert_eq!(guest.fd_write(other, "x"), Ok(1));

    assert_eq!(take(&mut guest, other, FD_WRITE, 0), SUCCESS);
    guest.ok(Function::FdClose, &[other]);
    assert_eq!(guest.fd_write(other, "x"), Err(BADF));
    assert_eq!(guest.call(Function::FdClose, &[other]), BADF);
}
