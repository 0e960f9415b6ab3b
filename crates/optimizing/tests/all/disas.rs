//! Listings of what the compiler makes of small modules, one per category.
//!
//! `tests/disas/NAME.wat` is compiled function by function and compared with `NAME.disas`;
//! `UPSHIFT_BLESS=1 cargo test -p upshift-optimizing` rewrites the listings. A first line `;;! words` chooses:
//! `checked` (memory style), `interruption`, `final` (all functions have the code that they keep), `inlining` (with
//! limits), `clif` (show CLIF as well).

use crate::support::{Settings, TestModule};
use std::fmt::Write as _;
use std::path::Path;
use upshift_abi::InlineLimits;

/// Small bodies everywhere, somewhat larger ones in loops; functions from index 4 on are hot.
const INLINING: InlineLimits = InlineLimits {
    tiny_bytes: 12,
    small_bytes: 40,
    hot_bytes: 100,
    hot_entries: 400,
    depth: 3,
    budget_bytes: 500,
    growth_percent: 200,
    growth_bytes_min: 200,
};

/// Compiles all functions of a file and compares the listing with the blessed one.
fn check(name: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disas");
    let source = std::fs::read_to_string(directory.join(name).with_extension("wat"))
        .expect("the case exists");
    let words = source
        .lines()
        .next()
        .and_then(|line| line.strip_prefix(";;!"))
        .unwrap_or_default();
    let has = |word: &str| words.split_whitespace().any(|w| w == word);
    let settings = Settings {
        checked: has("checked"),
        interruption: has("interruption"),
        all_final: has("final"),
        inlining: has("inlining").then_some(INLINING),
    };
    let module = TestModule::new(&source);
    let mut listing = String::new();
    for func in module.funcs() {
        writeln!(listing, ";; function {}", func.index().0).expect("a String grows");
        if has("clif") {
            listing.push_str(&module.clif(func, settings));
        }
        let code = module
            .compile(func, settings)
            .expect("validated code compiles");
        crate::support::check_artefact(&code);
        crate::support::print(&mut listing, &code);
        listing.push('\n');
    }
    compare(&directory.join(name).with_extension("disas"), &listing);
}

fn compare(path: &Path, listing: &str) {
    if std::env::var_os("UPSHIFT_BLESS").is_some() {
        std::fs::write(path, listing).expect("the listing can be written");
        return;
    }
    let blessed = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        listing,
        blessed,
        "{} differs; UPSHIFT_BLESS=1 accepts the new listing",
        path.display()
    );
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        $( #[test] fn $name() { check(stringify!($name)); } )*

        #[test]
        fn every_file_is_a_case() {
            let names = [$( stringify!($name) ),*];
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disas");
            for entry in std::fs::read_dir(directory).expect("the directory exists") {
                let path = entry.expect("the directory can be read").path();
                let stem = path.file_stem().expect("a file has a name").to_string_lossy();
                assert!(names.contains(&&*stem), "{stem} is not listed in tests/all/disas.rs");
            }
        }
    };
}

cases!(
    bulk,
    call,
    control,
    convert,
    direct,
    float,
    inlining,
    int,
    interruption,
    loops,
    memory,
    memory_checked,
    memory_fixed,
    parametric,
    passes,
    reference,
    results,
    table,
    variable,
);
