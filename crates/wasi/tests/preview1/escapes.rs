//! Paths that lead out of a preopened directory are refused, by every function that takes one.

use crate::guest::{
    BUFFER, CREATING, DIR, Guest, ILSEQ, MEMORY, NAMETOOLONG, Open, PERM, READING, RESULT, SUCCESS,
};
use upshift_wasi::Function;

/// A guest whose directory has a sibling with a file, and links that lead there.
fn guest() -> (Guest, tempfile::TempDir) {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let guest = Guest::with_dir();
    let link = |target: &std::path::Path, name: &str| {
        std::os::unix::fs::symlink(target, guest.host().join(name)).unwrap();
    };
    link(outside.path(), "absolute");
    let sibling = std::path::Path::new("..").join(outside.path().file_name().unwrap());
    link(&sibling, "relative");
    std::fs::create_dir(guest.host().join("sub")).unwrap();
    (guest, outside)
}

/// A call of every function that takes a path, with a path that leads out and one that does not.
fn calls(outside: [u64; 2], inside: [u64; 2]) -> [(Function, Vec<u64>); 11] {
    let [path, length] = outside;
    let [file, file_length] = inside;
    [
        (Function::PathCreateDirectory, vec![DIR, path, length]),
        (
            Function::PathFilestatGet,
            vec![DIR, 1, path, length, BUFFER],
        ),
        (
            Function::PathFilestatSetTimes,
            vec![DIR, 1, path, length, 0, 0, 0b1010],
        ),
        (
            Function::PathLink,
            vec![DIR, 0, path, length, DIR, file, file_length],
        ),
        (
            Function::PathLink,
            vec![DIR, 0, file, file_length, DIR, path, length],
        ),
        (
            Function::PathReadlink,
            vec![DIR, path, length, BUFFER, 64, RESULT],
        ),
        (Function::PathRemoveDirectory, vec![DIR, path, length]),
        (
            Function::PathRename,
            vec![DIR, path, length, DIR, file, file_length],
        ),
        (
            Function::PathRename,
            vec![DIR, file, file_length, DIR, path, length],
        ),
        (
            Function::PathSymlink,
            vec![file, file_length, DIR, path, length],
        ),
        (Function::PathUnlinkFile, vec![DIR, path, length]),
    ]
}

#[test]
fn no_path_leads_out() {
    let (mut guest, outside) = guest();
    let absolute = outside.path().join("secret");
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    let paths = [
        absolute.to_str().unwrap().to_owned(),
        format!("../{name}/secret"),
        format!("sub/../../{name}/secret"),
        format!("./../{name}/secret"),
        "absolute/secret".to_owned(),
        "relative/secret".to_owned(),
        "/".to_owned(),
        "..".to_owned(),
        "sub/../..".to_owned(),
        "/etc/passwd".to_owned(),
    ];
    std::fs::write(guest.host().join("file"), "").unwrap();
    for path in &paths {
        for open in [READING, CREATING, Open::default()] {
            assert_eq!(guest.try_open(DIR, path, open), Err(PERM), "{path}");
        }
        let outside = guest.path(path);
        let inside = guest.path_2("file");
        for (function, args) in calls(outside, inside) {
            assert_ne!(
                guest.call(function, &args),
                SUCCESS,
                "{function:?} of {path}"
            );
        }
    }
    let kept = std::fs::read_to_string(outside.path().join("secret")).unwrap();
    assert_eq!(kept, "secret");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn links_that_lead_out_cannot_be_made() {
    let (mut guest, _outside) = guest();
    let [target, target_length] = guest.path_2("/etc/passwd");
    let [name, name_length] = guest.path("link");
    let args = [target, target_length, DIR, name, name_length];
    assert_eq!(guest.call(Function::PathSymlink, &args), PERM);

    let [target, target_length] = guest.path_2("../../../etc/passwd");
    guest.call(
        Function::PathSymlink,
        &[target, target_length, DIR, name, name_length],
    );
    assert_eq!(guest.try_open(DIR, "link", READING), Err(PERM));
}

#[test]
fn odd_paths_are_errors() {
    let (mut guest, _outside) = guest();
    for path in ["", "\0", "file\0", "sub\0/../..", "sub/\0"] {
        assert!(guest.try_open(DIR, path, READING).is_err(), "{path:?}");
    }
    for length in [256, 4095, 4096, 8000] {
        let path = "x".repeat(length);
        assert_eq!(guest.try_open(DIR, &path, READING), Err(NAMETOOLONG));
    }
    let deep = ["sub/", &"./".repeat(2000)].concat();
    assert!(guest.try_open(DIR, &deep, READING).is_ok());
    // The path would be the whole memory.
    let args = [DIR, 1, 0, MEMORY, 0, 0, 0, 0, RESULT];
    assert_eq!(guest.call(Function::PathOpen, &args), NAMETOOLONG);
    guest.write(BUFFER, b"\xff\xfe");
    let args = [DIR, 1, BUFFER, 2, 0, 0, 0, 0, RESULT];
    assert_eq!(guest.call(Function::PathOpen, &args), ILSEQ);
}
