//! Clocks: all four have a resolution and advance.

use crate::guest::{FAULT, Guest, INVAL, MEMORY, RESULT};
use upshift_wasi::{Function, WasiCtxBuilder};

#[test]
fn every_clock_has_a_resolution_and_advances() {
    let mut guest = Guest::new(&mut WasiCtxBuilder::new());
    for id in 0..4 {
        guest.ok(Function::ClockResGet, &[id, RESULT]);
        let resolution = guest.u64_at(RESULT);
        assert!(
            (1..=1_000_000_000).contains(&resolution),
            "clock {id}: {resolution}"
        );
        let mut time = || {
            guest.ok(Function::ClockTimeGet, &[id, 0, RESULT]);
            guest.u64_at(RESULT)
        };
        let start = time();
        // Reading clocks takes time on every clock.
        let advanced = (0..1_000_000).any(|_| time() > start);
        assert!(advanced, "clock {id} stands still at {start}");
    }
    for function in [Function::ClockResGet, Function::ClockTimeGet] {
        let args: &[u64] = if function == Function::ClockResGet {
            &[4, RESULT]
        } else {
            &[4, 0, RESULT]
        };
        assert_eq!(guest.call(function, args), INVAL);
    }
    assert_eq!(
        guest.call(Function::ClockTimeGet, &[2, 0, MEMORY - 4]),
        FAULT
    );
}
