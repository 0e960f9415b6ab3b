//! Shared by the tests: modules to try, and a text form of all that is known of a module.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use upshift_module::{
    DecodeOptions, FactGatherer, FuncFacts, FuncIndex, HomeCandidate, LoopHome, Module,
    ModuleDecoder, Parallelism, Uses, ValidatedFunc,
};

/// A module in the text format, encoded; it need not be valid.
pub(crate) fn encode(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).expect("test modules are in the text format")
}

/// Whole-slice decoding on the calling thread.
pub(crate) fn decode(bytes: &[u8]) -> upshift_module::Result<Module> {
    Module::new(bytes.to_vec(), &DecodeOptions::default())
}

/// Decoding in pieces.
pub(crate) fn decode_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    options: DecodeOptions,
) -> upshift_module::Result<Module> {
    let mut decoder = ModuleDecoder::new(options);
    for piece in pieces {
        decoder.push(piece)?;
    }
    decoder.finish()
}

/// A pool of two workers.
pub(crate) fn pool() -> DecodeOptions {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    DecodeOptions {
        parallelism: Parallelism::Pool(Arc::new(pool.expect("a pool of two starts"))),
    }
}

/// The compiled examples of the repository, with their names.
pub(crate) fn examples() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let entries = std::fs::read_dir(folder).expect("the examples are there");
    let mut modules: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "wasm"))
        .map(|path| {
            let bytes = std::fs::read(&path).expect("readable");
            (path.display().to_string(), bytes)
        })
        .collect();
    modules.sort();
    assert!(modules.len() >= 6, "only {} examples", modules.len());
    modules
}

/// All that is known of a module, or what is wrong with it.
pub(crate) fn render(result: &upshift_module::Result<Module>) -> String {
    let module = match result {
        Ok(module) => module,
        Err(error) => return error.to_string(),
    };
    let mut text = format!("{:?}\n{:?}\n", module.env(), module.data_segments());
    for index in 0..u32::try_from(module.env().funcs.len()).expect("few") {
        let index = FuncIndex(index);
        let facts = module.func(index).map(gather);
        let name = module.func_name(index);
        writeln!(text, "{index:?} {name:?} {facts:?}").expect("strings grow");
    }
    text
}

/// Facts of a body.
pub(crate) fn gather(func: ValidatedFunc<'_>) -> FuncFacts {
    FactGatherer::default().gather(func).clone()
}

/// Operators of a body, one per line, with their offsets.
pub(crate) fn listing(func: ValidatedFunc<'_>) -> String {
    let mut text = String::new();
    for (offset, op) in func.ops() {
        writeln!(text, "{offset}: {op:?}").expect("strings grow");
    }
    text
}

/// Facts in a short form.
pub(crate) fn facts(facts: &FuncFacts) -> String {
    let mut text = format!(
        "operands {} locals {} calls {} in {} uses {} homes {}",
        facts.max_operands,
        facts.local_count,
        facts.call_count,
        facts.call_depth,
        uses(facts.uses),
        homes(&facts.homes),
    );
    for facts_of_loop in &facts.loops {
        let homes = loop_homes(&facts.loop_homes[facts_of_loop.homes()]);
        let calls = if facts_of_loop.calls() { " calls" } else { "" };
        write!(text, "\nloop{calls} homes {homes}").expect("strings grow");
    }
    text
}

fn homes(homes: &[HomeCandidate]) -> String {
    let list: Vec<String> = homes
        .iter()
        .map(|home| format!("{}:{}", home.local.0, home.weight))
        .collect();
    format!("[{}]", list.join(" "))
}

/// With a mark behind those that are written.
fn loop_homes(homes: &[LoopHome]) -> String {
    let list: Vec<String> = homes
        .iter()
        .map(|home| {
            let mark = if home.written { "w" } else { "" };
            format!("{}:{}{mark}", home.local.0, home.weight)
        })
        .collect();
    format!("[{}]", list.join(" "))
}

/// Flags by name.
pub(crate) const USES: &[(Uses, &str)] = &[
    (Uses::CALL, "call"),
    (Uses::MEMORY0, "memory0"),
    (Uses::OTHER_MEMORY, "memory"),
    (Uses::MEMORY_GROW, "grow"),
    (Uses::V128, "v128"),
    (Uses::REFS, "refs"),
    (Uses::LIBCALL, "libcall"),
    (Uses::GLOBAL_SET, "global"),
    (Uses::LOOP, "loop"),
];

fn uses(uses: Uses) -> String {
    let names = USES.iter().filter(|(flag, _)| uses.contains(*flag));
    let names: Vec<&str> = names.map(|(_, name)| *name).collect();
    format!("[{}]", names.join(" "))
}

/// A module with one of everything.
pub(crate) const EVERYTHING: &str = r#"(module $whole
  (type $t (func (param i32) (result i32)))
  (import "m" "f" (func $imported (type $t)))
  (import "m" "g" (global $gi i32))
  (table $tab 4 8 funcref)
  (table $ext 1 externref)
  (memory 1 2)
  (global $g (mut i32) (i32.const 7))
  (global $h i64 (i64.const -1))
  (global $r funcref (ref.func $imported))
  (global $e i32 (i32.add (global.get $gi) (i32.const 1)))
  (export "f" (func $twice))
  (export "mem" (memory 0))
  (export "tab" (table 0))
  (export "glob" (global $g))
  (start $start)
  (elem $active (table $tab) (i32.const 0) func $imported $twice)
  (elem $passive funcref (ref.func $twice) (ref.null func))
  (elem $declared declare func $start)
  (func $twice (type $t) (local i64 i64 f32)
    (loop $l (br_if $l (i32.eqz (local.get 0))) (local.set 1 (i64.const 5)))
    (i32.add (call $imported (local.get 0)) (call $imported (local.get 0))))
  (func $start
    (block (block (br_table 0 1 0 (i32.const 2))))
    (i32.store8 offset=3 (i32.const 0) (i32.load16_s (i32.const 4)))
    (global.set $g (memory.size))
    (drop (call_indirect (type $t) (i32.const 1) (i32.const 0)))
    (table.set $ext (i32.const 0) (ref.null extern))
    (drop (f64.convert_i64_u (i64.trunc_sat_f32_s (f32.const 1.5))))
    (memory.init $d (i32.const 0) (i32.const 0) (i32.const 2)))
  (data (i32.const 16) "hello")
  (data $d "passive")
)"#;

/// Small modules for tests that try every byte of each, valid and not.
pub(crate) const SMALL: &[&str] = &[
    "(module)",
    EVERYTHING,
    r#"(module (memory 1) (data (i32.const 0) "a") (data "b"))"#,
    r#"(module (func (export "a") (result i32) i64.const 1) (func i32.add))"#,
    r#"(module (func) (func (drop)) (memory 70000))"#,
    r#"(module (func (result i32) i32.const 0) (memory 1) (data (i32.const 0) "x") (data (i64.const 0) "y"))"#,
    r#"(module (func unreachable) (func local.get 3) (func call 9))"#,
];

/// Marsaglia's xorshift: the same numbers at every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("64-bit") % bound
    }
}
