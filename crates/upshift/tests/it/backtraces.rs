//! Backtraces: names and offsets of every frame, the same in both tiers, also across nested entries.

use crate::support::{in_each_mode, instance};
use upshift::{Caller, Extern, Frame, Func, Instance, Module, Result, Store, TrapCode, inspect};

/// Opcodes (spec 5.4), to look up what is at an offset.
const UNREACHABLE: u8 = 0x00;
const IF: u8 = 0x04;
const CALL: u8 = 0x10;
const CALL_INDIRECT: u8 = 0x11;
const LOAD: u8 = 0x28;
const STORE: u8 = 0x36;
const DIV: u8 = 0x6d;
const TRUNC: u8 = 0xa8;
const PREFIX: u8 = 0xfc;

const TEXT: &str = r#"(module $traps
    (import "host" "again" (func $again (param i32)))
    (memory 1)
    (table 4 funcref)
    (elem (i32.const 1) $other $middle)
    (type $t (func (param i32) (result i32)))
    (type $v (func (param i32)))
    (func $other (param f64))
    ;; In loops, so that modes which enter loops in the middle have such frames.
    (func $leaf (param $what i32) (result i32) (loop $round
        (if (i32.eq (local.get $what) (i32.const 0)) (then unreachable))
        (if (i32.eq (local.get $what) (i32.const 1))
            (then (drop (i32.load (i32.mul (local.get $what) (i32.const 0x7fff0000))))))
        (if (i32.eq (local.get $what) (i32.const 2))
            (then (i32.store offset=0xfffffff0 (i32.const 8) (i32.const 7))))
        (if (i32.eq (local.get $what) (i32.const 3))
            (then (drop (i32.div_s (i32.const 7) (i32.sub (local.get $what) (i32.const 3))))))
        (if (i32.eq (local.get $what) (i32.const 4))
            (then (drop (call_indirect (type $t) (i32.const 0) (i32.const 1)))))
        (if (i32.eq (local.get $what) (i32.const 5))
            (then (drop (call_indirect (type $t) (i32.const 0) (local.get $what)))))
        (if (i32.eq (local.get $what) (i32.const 6))
            (then (drop (call_indirect (type $t) (i32.const 0) (i32.const 0)))))
        (if (i32.eq (local.get $what) (i32.const 7))
            (then (drop (i32.trunc_f32_s (f32.const nan)))))
        (if (i32.eq (local.get $what) (i32.const 8))
            (then (memory.fill (i32.const 65530) (i32.const 0) (i32.const 7))))
        (if (i32.eq (local.get $what) (i32.const 9))
            (then (drop (i32.div_s (i32.const 0x80000000) (i32.sub (local.get $what) (i32.const 10))))))
        (br_if $round (i32.gt_u (local.get $what) (i32.const 1000))))
        (local.get $what))
    (func $middle (param $what i32) (loop $round
        (drop (call $leaf (local.get $what)))
        (br_if $round (i32.gt_u (local.get $what) (i32.const 1000)))))
    (func $outer (export "outer") (param $what i32)
        (call_indirect (type $v) (local.get $what) (i32.const 2)))
    (func $nested (export "nested") (param $what i32)
        (call $again (local.get $what)))
    (func $down (export "down") (param i64) (result i64)
        (i64.add (call $down (i64.sub (local.get 0) (i64.const 1))) (i64.const 1)))
    (func (export "unnamed") unreachable))"#;

/// argument, code, opcode at the innermost frame's offset
const TRAPS: &[(i32, TrapCode, u8)] = &[
    (0, TrapCode::Unreachable, UNREACHABLE),
    (1, TrapCode::MemoryOutOfBounds, LOAD),
    (2, TrapCode::MemoryOutOfBounds, STORE),
    (3, TrapCode::IntegerDivideByZero, DIV),
    (4, TrapCode::IndirectCallTypeMismatch, CALL_INDIRECT),
    (5, TrapCode::UndefinedElement, CALL_INDIRECT),
    (6, TrapCode::UninitializedElement, CALL_INDIRECT),
    (7, TrapCode::BadConversionToInteger, TRUNC),
    (8, TrapCode::MemoryOutOfBounds, PREFIX),
    (9, TrapCode::IntegerOverflow, DIV),
];

/// Name, and opcode at the offset.
type Expected = (&'static str, u8);

/// Frames of a call of "outer", but for the innermost one's opcode.
fn outer(innermost: u8) -> [Expected; 3] {
    [
        ("leaf", innermost),
        ("middle", CALL),
        ("outer", CALL_INDIRECT),
    ]
}

#[track_caller]
fn check_frame(module: &Module, frame: &Frame, expected: Expected) {
    assert_eq!(frame.module_name(), Some("traps"));
    assert_eq!(frame.func_name(), Some(expected.0), "{frame}");
    let offset = frame.module_offset().expect("every operator here is known");
    let found = inspect::wasm(module)[offset as usize];
    // The optimizing tier may fold a branch around `unreachable` into one trap, where the branch was.
    if (found, expected.1) != (IF, UNREACHABLE) {
        assert_eq!(found, expected.1, "{frame}");
    }
    let body = inspect::body_range(module, frame.func_index());
    assert!(body.contains(&(offset as usize)), "{frame}");
    assert_eq!(
        frame.func_offset().map(|o| body.start + o as usize),
        Some(offset as usize)
    );
}

struct Guest {
    module: Module,
    store: Store<u32>,
    instance: Instance,
}

impl Guest {
    /// A guest whose host function enters again as often as the data says, then traps by `what`.
    fn new(engine: &upshift::Engine) -> Self {
        let module = Module::new(engine, TEXT).unwrap();
        let mut store = Store::new(engine, 0);
        let again = Func::wrap(
            &mut store,
            |mut caller: Caller<'_, u32>, what: i32| -> Result<()> {
                let left = caller.data().checked_sub(1);
                *caller.data_mut() = left.unwrap_or(0);
                let name = left.map_or("outer", |_| "nested");
                let func = caller.get_export(name).and_then(Extern::into_func);
                let func = func.expect("the export").typed::<i32, ()>(&caller)?;
                func.call(&mut caller, what)
            },
        );
        let instance = Instance::new(&mut store, &module, &[again.into()]).unwrap();
        Self {
            module,
            store,
            instance,
        }
    }

    /// Calls an export; gives why it trapped, and the frames.
    fn trap(&mut self, name: &str, what: i32) -> (TrapCode, Vec<Frame>) {
        let func = self
            .instance
            .get_typed_func::<i32, ()>(&mut self.store, name)
            .unwrap();
        let error = func.call(&mut self.store, what).unwrap_err();
        let trap = error.trap().expect("a trap");
        (trap.code(), trap.backtrace().frames().to_vec())
    }
}

#[test]
fn names_and_offsets() {
    in_each_mode(|engine| {
        let mut guest = Guest::new(engine);
        // More than once: from baseline code, then from optimized code where the mode says so.
        for _ in 0..3 {
            for &(what, code, opcode) in TRAPS {
                let (found, frames) = guest.trap("outer", what);
                assert_eq!(found, code);
                assert_eq!(frames.len(), 3, "{frames:#?}");
                for (frame, expected) in frames.iter().zip(outer(opcode)) {
                    check_frame(&guest.module, frame, expected);
                }
            }
            engine.wait_for_tier_up();
        }
    });
}

#[test]
fn nested_entries_are_in_one_backtrace() {
    in_each_mode(|engine| {
        let mut guest = Guest::new(engine);
        for depth in [0, 1, 3] {
            for &(what, code, opcode) in TRAPS {
                *guest.store.data_mut() = depth;
                let (found, frames) = guest.trap("nested", what);
                assert_eq!(found, code);
                let nested = (0..=depth).map(|_| ("nested", CALL));
                let expected: Vec<Expected> = outer(opcode).into_iter().chain(nested).collect();
                assert_eq!(frames.len(), expected.len(), "{frames:#?}");
                for (frame, expected) in frames.iter().zip(expected) {
                    check_frame(&guest.module, frame, expected);
                }
            }
        }
    });
}

#[test]
fn stack_overflow() {
    in_each_mode(|engine| {
        let mut guest = Guest::new(engine);
        let down = guest
            .instance
            .get_typed_func::<i64, i64>(&mut guest.store, "down")
            .unwrap();
        for _ in 0..2 {
            let error = down.call(&mut guest.store, 0).unwrap_err();
            let trap = error.trap().expect("a trap");
            assert_eq!(trap.code(), TrapCode::StackOverflow);
            let frames = trap.backtrace().frames();
            assert!(frames.len() > 10);
            assert!(frames.iter().all(|frame| frame.func_name() == Some("down")));
            for frame in &frames[1..] {
                check_frame(&guest.module, frame, ("down", CALL));
            }
        }
    });
}

#[test]
fn how_frames_are_written() {
    let mut store = Store::new(&crate::support::engine(), ());
    let guest = instance(
        &mut store,
        "(module $m (func $f unreachable) (func (call $f)) (func (export \"go\") (call 1)))",
        &[],
    );
    let go = guest.get_func(&mut store, "go").unwrap();
    let error = go.call(&mut store, &[], &mut []).unwrap_err();
    assert_eq!(error.to_string(), "wasm trap: unreachable");
    let text = format!("{:#}", error.trap().unwrap());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[1].contains("0: m!f @ 0x") && lines[1].contains("(function 0, +0x"),
        "{text}"
    );
    assert!(lines[2].contains("1: m!<func 1> @ 0x"), "{text}");
    // Without a name of its own, a function goes by that of its export.
    assert!(lines[3].contains("2: m!go @ 0x"), "{text}");
}
