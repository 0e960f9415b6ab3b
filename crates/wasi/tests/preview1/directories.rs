//! Directory listings: contents, cookies, truncated buffers, and what lies between the fields.

use crate::guest::{BADF, BUFFER, CREATING, DIR, DIRECTORY, Guest, MEMORY, NOTDIR, Open, RESULT};
use std::collections::BTreeMap;
use upshift_wasi::Function;

/// An entry: cookie of the next one, type, name.
type Entry = (u64, u8, String);

/// One `fd_readdir` into a buffer that holds 0xff before; gives the bytes used.
fn readdir(guest: &mut Guest, length: u64, cookie: u64) -> Vec<u8> {
    let filled = vec![0xff; usize::try_from(length).unwrap()];
    guest.write(BUFFER, &filled);
    guest.ok(Function::FdReaddir, &[DIR, BUFFER, length, cookie, RESULT]);
    let used = guest.u32_at(RESULT).into();
    guest.read(BUFFER, used)
}

/// Parses whole entries, and checks that all padding is zero.
fn parse(mut bytes: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while bytes.len() >= 24 {
        let (header, rest) = bytes.split_at(24);
        assert_eq!(header[21..], [0; 3], "padding");
        let length = u32::from_le_bytes(header[16..20].try_into().unwrap());
        let Some((name, rest)) = rest.split_at_checked(length as usize) else {
            break;
        };
        let next = u64::from_le_bytes(header[..8].try_into().unwrap());
        entries.push((next, header[20], String::from_utf8(name.to_vec()).unwrap()));
        bytes = rest;
    }
    entries
}

fn guest() -> Guest {
    let mut guest = Guest::with_dir();
    for name in ["a", "bb", "a longer name.txt"] {
        guest.open(name, CREATING);
    }
    std::fs::create_dir(guest.host().join("sub")).unwrap();
    guest
}

#[test]
fn a_listing_has_every_entry_and_zero_padding() {
    let mut guest = guest();
    let entries = parse(&readdir(&mut guest, 0x1000, 0));
    let types: BTreeMap<&str, u8> = entries
        .iter()
        .map(|(_, kind, name)| (name.as_str(), *kind))
        .collect();
    let expected = [
        (".", 3),
        ("..", 3),
        ("a", 4),
        ("a longer name.txt", 4),
        ("bb", 4),
        ("sub", 3),
    ];
    assert_eq!(types, expected.into());
}

#[test]
fn cookies_continue_a_listing() {
    let mut guest = guest();
    let all = parse(&readdir(&mut guest, 0x1000, 0));
    let mut cookie = 0;
    let mut again = Vec::new();
    // Room for one or two entries at a time.
    loop {
        let entries = parse(&readdir(&mut guest, 64, cookie));
        let Some(last) = entries.last() else { break };
        cookie = last.0;
        again.extend(entries);
    }
    assert_eq!(again, all);
    assert!(readdir(&mut guest, 64, 1 << 40).is_empty());
    assert!(readdir(&mut guest, 64, u64::MAX).is_empty());
}

#[test]
fn truncated_entries_fill_the_buffer_without_host_bytes() {
    let mut guest = guest();
    for length in 0..100 {
        let bytes = readdir(&mut guest, length, 0);
        assert_eq!(bytes.len() as u64, length, "a short buffer must be full");
        parse(&bytes);
        // "." comes first: a header of 24 bytes and one byte of name.
        for index in (21..24).chain(46..49) {
            assert_eq!(
                bytes.get(index).copied().unwrap_or(0),
                0,
                "byte {index} of {length}"
            );
        }
    }
}

#[test]
fn only_directories_have_listings() {
    let mut guest = guest();
    let file = guest.open("a", CREATING);
    let cases = [(file, BADF), (0, BADF), (99, BADF)];
    for (fd, errno) in cases {
        assert_eq!(
            guest.call(Function::FdReaddir, &[fd, BUFFER, 64, 0, RESULT]),
            errno
        );
    }
    let as_dir = Open {
        oflags: DIRECTORY,
        ..Open::default()
    };
    assert_eq!(guest.try_open(DIR, "a", as_dir), Err(NOTDIR));
    assert_eq!(guest.try_open(file, "a", Open::default()), Err(NOTDIR));
    let sub = guest.open("sub", as_dir);
    guest.ok(
        Function::FdReaddir,
        &[sub, BUFFER, MEMORY - BUFFER, 0, RESULT],
    );
    let used = guest.u32_at(RESULT).into();
    assert_eq!(parse(&guest.read(BUFFER, used)).len(), 2);
}

#[test]
fn preopened_directories_say_their_name() {
    let mut guest = guest();
    guest.ok(Function::FdPrestatGet, &[DIR, RESULT]);
    assert_eq!(
        (guest.read(RESULT, 1), guest.u32_at(RESULT + 4)),
        (vec![0], 5)
    );
    guest.ok(Function::FdPrestatDirName, &[DIR, BUFFER, 5]);
    assert_eq!(guest.read(BUFFER, 5), b"/work");
    assert_eq!(guest.call(Function::FdPrestatGet, &[DIR + 1, RESULT]), BADF);
}
