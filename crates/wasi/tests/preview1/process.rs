//! Exit codes, signals, arguments, environment and random numbers.

use crate::guest::{BUFFER, FAULT, Guest, INVAL, MEMORY, NOSYS, RESULT, RESULT_2, SUCCESS};
use upshift::ErrorKind;
use upshift_wasi::{ExitStatus, Function, Stop, WasiCtxBuilder};

#[test]
fn every_exit_code_reaches_the_host() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    for code in (0..=255).chain([256, 0xffff_ffff]) {
        let stop = guest.try_call(Function::ProcExit, &[code.into()]);
        assert_eq!(stop, Err(Stop::Exit(code)));
        assert_eq!(ExitStatus::new(code).code().cast_unsigned(), code);
    }
}

#[test]
fn signals_are_not_supported() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    for (signal, errno) in [
        (0, NOSYS),
        (6, NOSYS),
        (30, NOSYS),
        (31, INVAL),
        (0xffff_ffff, INVAL),
    ] {
        assert_eq!(
            guest.call(Function::ProcRaise, &[signal]),
            errno,
            "signal {signal}"
        );
    }
    guest.ok(Function::SchedYield, &[]);
}

/// The strings that a guest gets by a pair of functions.
fn strings(guest: &mut Guest, sizes: Function, get: Function) -> Vec<String> {
    guest.ok(sizes, &[RESULT, RESULT_2]);
    let count: u64 = guest.u32_at(RESULT).into();
    let bytes: u64 = guest.u32_at(RESULT_2).into();
    guest.ok(get, &[RESULT, BUFFER]);
    let starts: Vec<u64> = (0..count)
        .map(|index| guest.u32_at(RESULT + 4 * index).into())
        .collect();
    let text = guest.read(BUFFER, bytes);
    let strings = starts.iter().map(|start| {
        let rest = &text[usize::try_from(start - BUFFER).unwrap()..];
        let end = rest.iter().position(|&byte| byte == 0).unwrap();
        String::from_utf8(rest[..end].to_vec()).unwrap()
    });
    strings.collect()
}

#[test]
fn arguments_and_environment() {
    let mut builder = WasiCtxBuilder::new();
    builder.arg("program").args(["", "two words", "ä"]);
    builder.env("A", "old").env("B", "").env("A", "1=2");
    let mut guest = Guest::new(&mut builder);
    let args = strings(&mut guest, Function::ArgsSizesGet, Function::ArgsGet);
    assert_eq!(args, ["program", "", "two words", "ä"]);
    let env = strings(&mut guest, Function::EnvironSizesGet, Function::EnvironGet);
    assert_eq!(env, ["B=", "A=1=2"]);

    // Twenty bytes of text, four pointers.
    for function in [Function::ArgsGet, Function::EnvironGet] {
        for args in [
            [MEMORY - 1, BUFFER],
            [RESULT, MEMORY - 1],
            [0xffff_ffff, BUFFER],
            [RESULT, 0xffff_ffff],
        ] {
            assert_eq!(guest.call(function, &args), FAULT, "{function:?}{args:x?}");
        }
    }
}

#[test]
fn strings_that_guests_cannot_get_are_refused() {
    let kind = |builder: &mut WasiCtxBuilder| builder.build().err().map(|error| error.kind());
    let bad = Some(ErrorKind::Type);
    assert_eq!(kind(WasiCtxBuilder::new().arg("a\0b")), bad);
    assert_eq!(kind(WasiCtxBuilder::new().env("a\0b", "")), bad);
    assert_eq!(kind(WasiCtxBuilder::new().env("a", "\0")), bad);
    assert_eq!(kind(WasiCtxBuilder::new().env("a=b", "")), bad);
    assert_eq!(kind(WasiCtxBuilder::new().arg("a=b").env("a", "=")), None);
    let missing = WasiCtxBuilder::new()
        .preopened_dir("/does/not/exist", "/")
        .err();
    assert_eq!(missing.map(|error| error.kind()), Some(ErrorKind::Io));
}

#[test]
fn random_bytes() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    let bytes = MEMORY - BUFFER;
    guest.ok(Function::RandomGet, &[BUFFER, bytes]);
    let first = guest.read(BUFFER, bytes);
    guest.ok(Function::RandomGet, &[BUFFER, bytes]);
    assert_ne!(first, guest.read(BUFFER, bytes));
    let zeros = first.iter().filter(|&&byte| byte == 0).count() as u64;
    assert!(zeros < bytes / 64, "{zeros} of {bytes} bytes are zero");
    let cases = [
        (BUFFER, 0, SUCCESS),
        (BUFFER, bytes + 1, FAULT),
        (BUFFER, 0xffff_ffff, FAULT),
        (MEMORY, 1, FAULT),
    ];
    for (pointer, length, errno) in cases {
        assert_eq!(guest.call(Function::RandomGet, &[pointer, length]), errno);
    }
}
