//! The module that libFuzzer's bytes describe gives the same in both tiers as in an interpreter.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use std::sync::LazyLock;
use upshift_spec_tests::differential::{Oracle, Subject};

static ORACLE: LazyLock<Oracle> = LazyLock::new(Oracle::default);

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some(subject) = Subject::from_bytes(data) else {
        return Corpus::Reject;
    };
    if let Err(mismatch) = ORACLE.compare(&subject) {
        // For whoever reduces it.
        let file = std::env::temp_dir().join("upshift-mismatch.wasm");
        let written = std::fs::write(&file, subject.bytes());
        panic!("{mismatch}\nmodule: {} ({written:?})", file.display());
    }
    Corpus::Keep
});
