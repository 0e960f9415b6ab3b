//! Bodies made to be slow: the work on per-local scratch is counted, not timed.

use super::FactGatherer;
use crate::decode::DecodeOptions;
use crate::module::Module;

/// Looks at scratch per byte of module that are allowed.
const WORK_PER_BYTE: u64 = 3;

/// Fields of hostile modules.
fn hostile() -> Vec<(&'static str, String)> {
    let locals = "i32 ".repeat(50_000);
    let touch_all: String = (0..50_000)
        .map(|i| format!("(local.set {i} (i32.const 0)) "))
        .collect();
    let loops = "loop local.get 49999 drop end ".repeat(100_000);
    let nested = format!("{}{}", "loop ".repeat(20_000), "end ".repeat(20_000));
    let two_deep: String = (0..2_000)
        .map(|i| format!("loop loop local.get {i} drop (local.set {i} (i32.const 0)) end end "))
        .collect();
    vec![
        // Locals and loops that never meet cost their sum, not their product.
        (
            "locals, then nests",
            format!("(func (local {locals}) {touch_all} {loops})"),
        ),
        (
            "locals in one nest of nests",
            format!("(func (local {locals}) loop {touch_all} {loops} end)"),
        ),
        (
            "deep nest",
            format!("(func (local {locals}) local.get 0 drop {nested} {nested} {nested})"),
        ),
        (
            "locals in many nests",
            format!("(func (local {locals}) {two_deep})"),
        ),
        // Scratch of 50,000 locals is not cleared for each of many small bodies.
        (
            "many bodies",
            format!("(func (local {locals}) local.get 49999 drop)")
                + &"(func (local i32) (local.set 0 (i32.const 1)))".repeat(10_000),
        ),
    ]
}

#[test]
fn facts_are_linear() {
    for (name, fields) in hostile() {
        let bytes = wat::parse_str(format!("(module {fields})")).expect("in the text format");
        let module = Module::new(bytes.clone(), &DecodeOptions::default()).expect(name);
        let mut gatherer = FactGatherer::default();
        for func in module.funcs() {
            gatherer.gather(func);
        }
        let work = gatherer.work();
        let allowed = WORK_PER_BYTE * bytes.len() as u64;
        assert!(
            work <= allowed,
            "{name}: {work} looks for {} bytes",
            bytes.len()
        );
        assert!(work > 0, "{name}: nothing is counted");
    }
}
