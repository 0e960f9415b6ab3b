//! Bad pointers, lengths and numbers give an errno: no function panics, ends the guest, or takes much memory.

use crate::guest::{BUFFER, CREATING, DIR, FAULT, Guest, MEMORY, RESULT, SUCCESS};
use upshift_wasi::{Function, Output, Param, Preview1 as _, Stop, WasiCtxBuilder};

/// Numbers at which arguments break.
const ODD: [u64; 12] = [
    0,
    1,
    3,
    7,
    BUFFER,
    MEMORY - 8,
    MEMORY - 1,
    MEMORY,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff8,
    0xffff_ffff,
];

/// A small generator, so that a failure can be repeated (Knuth's MMIX constants).
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn random_arguments_never_end_the_guest() {
    let mut state = 1;
    for &function in Function::ALL {
        // Blocks for as long as the guest asks it to; its own test has its arguments.
        if matches!(function, Function::PollOneoff | Function::ProcExit) {
            continue;
        }
        let mut guest = Guest::with_dir();
        guest.open("file", CREATING);
        for round in 0..300 {
            let args: Vec<u64> = function
                .params()
                .iter()
                .map(|param| match (param, next(&mut state) % 3) {
                    (_, 0) => next(&mut state) % 8,
                    (Param::I64, 1) => u64::MAX - next(&mut state) % 3,
                    (_, _) => ODD[usize::try_from(next(&mut state)).unwrap() % ODD.len()],
                })
                .collect();
            let result = guest.try_call(function, &args);
            assert!(
                result.is_ok(),
                "round {round}: {function:?}{args:x?} gives {result:?}"
            );
        }
    }
}

#[test]
fn result_pointers_are_checked_before_anything_happens() {
    let mut guest = Guest::with_dir();
    let [path, length] = guest.path("new");
    let args = [DIR, 0, path, length, 1, 0, 0, 0, MEMORY - 3];
    assert_eq!(guest.call(Function::PathOpen, &args), FAULT);
    assert!(!guest.host().join("new").exists());

    let fd = guest.open("file", CREATING);
    let buffer = guest.path("text");
    let [iovecs, count] = guest.iovecs(&[buffer.into()]);
    assert_eq!(
        guest.call(Function::FdWrite, &[fd, iovecs, count, MEMORY]),
        FAULT
    );
    assert_eq!(std::fs::read(guest.host().join("file")).unwrap(), b"");
}

#[test]
fn huge_vectors_write_what_they_can() {
    // The whole memory as a vector of buffers, each empty or one byte at 0.
    let output = Output::new(1 << 20);
    let mut context = WasiCtxBuilder::new().stdout(&output).build().unwrap();
    let mut memory = vec![0_u64; 1 << 16];
    let mut call = |fill: u64, count: u64| {
        memory.fill(fill);
        let mut bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_le_bytes()).collect();
        let errno = context.call(Function::FdWrite, &[1, 0, count, 0x100], &mut bytes);
        (
            errno,
            u32::from_le_bytes(bytes[0x100..0x104].try_into().unwrap()),
        )
    };
    let one_byte = 1 << 32;
    assert_eq!(call(one_byte, 1 << 16), (Ok(SUCCESS), 1024));
    assert_eq!(call(one_byte, 1 << 15), (Ok(SUCCESS), 1024));
    assert_eq!(call(one_byte, 1024), (Ok(SUCCESS), 1024));
    assert_eq!(call(one_byte, 1000), (Ok(SUCCESS), 1000));
    assert_eq!(call(0, 1 << 16), (Ok(SUCCESS), 0));
    for count in [(1 << 16) + 1, 0x1fff_ffff, 0x2000_0000, 0xffff_ffff] {
        assert_eq!(call(one_byte, count).0, Ok(FAULT), "{count} buffers");
    }
}

#[test]
fn empty_buffers_in_front_of_many_do_not_hide_the_rest() {
    let output = Output::new(1 << 20);
    let mut context = WasiCtxBuilder::new().stdout(&output).build().unwrap();
    let mut memory = vec![0_u8; 1 << 17];
    // Buffer 5000 of 6000 is the first with a byte in it.
    let at = 5000 * 8;
    memory[at + 4] = 1;
    let errno = context.call(Function::FdWrite, &[1, 0, 6000, 0x1_0000], &mut memory);
    assert_eq!((errno, output.contents().len()), (Ok(SUCCESS), 1));
}

#[test]
fn the_number_of_arguments_is_checked() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    for &function in Function::ALL {
        let many = vec![RESULT; function.params().len() + 1];
        let result = guest.try_call(function, &many);
        assert!(matches!(result, Err(Stop::Trap(_))), "{function:?}");
    }
}
