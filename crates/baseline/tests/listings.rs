//! Listings of generated code: each `tests/disas/*.wat` beside its expected machine code.
//!
//! `UPSHIFT_BLESS=1 cargo test -p upshift-baseline` rewrites them; read the difference before committing it. A first line
//! `;; counters` has the code count.

mod common;

use common::{Setup, compile};
use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, NasmFormatter};
use std::fmt::Write as _;
use std::path::Path;
use upshift_abi::CompiledFunc;

/// One line per instruction, with what belongs to it behind.
fn listing(func: &CompiledFunc) -> String {
    let text = &func.code[..func.text_bytes as usize];
    let mut formatter = NasmFormatter::new();
    formatter.options_mut().set_branch_leading_zeros(false);
    formatter.options_mut().set_rip_relative_addresses(true);
    let mut decoder = Decoder::with_ip(64, text, 0, DecoderOptions::NONE);
    let mut out = format!("func {} frame {}\n", func.func.0, func.frame_bytes);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        let at = u32::try_from(instruction.ip()).expect("a test");
        let end = u32::try_from(instruction.next_ip()).expect("a test");
        write!(out, "  {at:4x}  {line}").expect("a test");
        for reloc in func.relocs.iter().filter(|r| (at..end).contains(&r.offset)) {
            write!(out, "  ; {:?}", reloc.target).expect("a test");
        }
        for trap in func.traps.iter().filter(|t| t.offset == at) {
            write!(out, "  ; {:?}", trap.code).expect("a test");
        }
        out.push('\n');
    }
    out
}

/// Compares the listing of a file with the recorded one, or records it.
fn check(path: &Path) {
    let bytes = wat::parse_file(path).expect("a test");
    let mut actual = String::new();
    let text = std::fs::read_to_string(path).expect("a test");
    let counters = text.starts_with(";; counters");
    let mut setup = Setup::default();
    setup.options.counter_step = counters.then_some(0x1000);
    for func in compile(&bytes, setup) {
        actual.push_str(&listing(&func));
    }
    let expected = path.with_extension("txt");
    if std::env::var_os("UPSHIFT_BLESS").is_some() {
        std::fs::write(&expected, &actual).expect("a test");
        return;
    }
    let recorded = std::fs::read_to_string(&expected).unwrap_or_default();
    assert_eq!(recorded, actual, "{}", path.display());
}

#[test]
fn listings() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/disas");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).expect("a test") {
        let path = entry.expect("a test").path();
        if path.extension().is_some_and(|extension| extension == "wat") {
            check(&path);
            count += 1;
        }
    }
    assert!(count > 0);
}
