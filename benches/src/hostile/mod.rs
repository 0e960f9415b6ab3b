//! Modules that are hard on a compiler: a hundred thousand tiny functions, one huge function, and bodies that make work
//! which is linear for ordinary code grow with something else as well (locals, nesting, operands, targets).
//!
//! They are what the bars "linear" and "lazy" of docs/baseline.md are measured with: the time and the memory that each
//! takes per byte, against [`small`](generate::small), which has the same ordinary code in small functions. Each module
//! is valid within the engine's limits, depends on nothing but the arguments, and exports a memory and a `_start`
//! that returns at once (that of `many-tiny` calls one function in a hundred).

mod generate;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use generate::{
    bare_loops, br_tables, chained_calls, deep_blocks, deep_loops, huge, locals_by_loops,
    many_tiny, small, tall_stack, wide_calls, wide_merges,
};

/// A body of a megabyte.
const MEGABYTE: usize = 1_000_000;
/// Just below the limit of 7,654,321 bytes of a body.
const NEAR_LIMIT: usize = 7_600_000;

/// Every hostile module by name; first the ordinary ones to compare with.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("small", small(MEGABYTE)),
        ("small-7m", small(NEAR_LIMIT)),
        ("many-tiny", many_tiny(100_000)),
        ("huge-1m", huge(MEGABYTE)),
        ("huge-7m", huge(NEAR_LIMIT)),
        ("locals-by-loops-1m", locals_by_loops(MEGABYTE)),
        ("locals-by-loops-7m", locals_by_loops(NEAR_LIMIT)),
        ("bare-loops-1m", bare_loops(MEGABYTE)),
        ("bare-loops-7m", bare_loops(NEAR_LIMIT)),
        ("deep-loops-1m", deep_loops(MEGABYTE)),
        ("deep-loops-7m", deep_loops(NEAR_LIMIT)),
        ("deep-blocks-1m", deep_blocks(MEGABYTE)),
        ("deep-blocks-7m", deep_blocks(NEAR_LIMIT)),
        ("tall-stack-1m", tall_stack(MEGABYTE)),
        ("tall-stack-7m", tall_stack(NEAR_LIMIT)),
        ("wide-merges-1m", wide_merges(MEGABYTE)),
        ("wide-merges-7m", wide_merges(NEAR_LIMIT)),
        ("br-tables-1m", br_tables(MEGABYTE)),
        ("br-tables-7m", br_tables(NEAR_LIMIT)),
        ("wide-calls-1m", wide_calls(MEGABYTE)),
        ("wide-calls-7m", wide_calls(NEAR_LIMIT)),
        ("chained-calls", chained_calls(10_000)),
    ]
}

/// Options of `hostile`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Directory for the modules; it is made if it is not there.
    directory: PathBuf,
    /// Only these modules.
    names: Vec<String>,
}

/// `upshift-bench hostile`.
///
/// # Errors
/// If a file cannot be written, or there is no module of a name.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let directory = &options.directory;
    fs::create_dir_all(directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    let modules = all();
    for name in &options.names {
        if !modules.iter().any(|(known, _)| known == name) {
            return Err(format!("there is no hostile module {name}"));
        }
    }
    let mut out = std::io::stdout().lock();
    for (name, bytes) in modules {
        if !options.names.is_empty() && !options.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let path = directory.join(format!("{name}.wasm"));
        fs::write(&path, &bytes)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        writeln!(out, "{}: {} bytes", path.display(), bytes.len())
            .map_err(|error| format!("standard output: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::generate;

    /// Every generator, at a size that a debug build takes quickly.
    #[test]
    fn modules_are_valid_and_about_as_large_as_asked() {
        let bytes = 100_000;
        let engine = upshift::Engine::default();
        for (name, module) in [
            ("small", generate::small(bytes)),
            ("huge", generate::huge(bytes)),
            ("locals by loops", generate::locals_by_loops(bytes)),
            ("bare loops", generate::bare_loops(bytes)),
            ("deep loops", generate::deep_loops(bytes)),
            ("deep blocks", generate::deep_blocks(bytes)),
            ("tall stack", generate::tall_stack(2 * bytes)),
            ("wide merges", generate::wide_merges(bytes)),
            ("br_tables", generate::br_tables(bytes)),
            ("wide calls", generate::wide_calls(bytes)),
            ("many tiny", generate::many_tiny(bytes / 10)),
        ] {
            let size = module.len();
            assert!(
                (bytes..6 * bytes).contains(&size),
                "{name}: {size} bytes instead of {bytes}"
            );
            let valid = upshift::Module::new(&engine, module);
            assert!(valid.is_ok(), "{name}: {:?}", valid.err());
        }
        let chained = upshift::Module::new(&engine, generate::chained_calls(10));
        assert!(chained.is_ok(), "{:?}", chained.err());
    }

    #[test]
    fn the_whole_list_keeps_to_the_limit_of_a_body() {
        for (name, module) in super::all() {
            assert!(module.len() < 7_700_000, "{name}: {}", module.len());
        }
    }
}
