//! `upshift objdump`: a function's wasm beside the machine code of each tier.

use crate::args::{DumpTier, ObjdumpOptions};
use crate::input::read;
use crate::out::out;
use iced_x86::{Decoder, DecoderOptions, Formatter as _, Instruction, NasmFormatter};
use std::fmt::Write as _;
use upshift::inspect::{MachineCode, Note};
use upshift::{Config, Engine, Error, ErrorKind, Module, Tier};

/// Prints the listing on standard output.
pub(crate) fn objdump(options: &ObjdumpOptions) -> Result<(), Error> {
    let engine = Engine::new(Config::new().interruption(false))?;
    let module = Module::from_vec(&engine, read(&options.file)?)?;
    let defined = upshift::inspect::defined_functions(&module);
    let funcs = match options.func {
        None => defined,
        Some(func) if defined.contains(&func) => func..func + 1,
        Some(func) => {
            let message = format!(
                "expected a function with a body, {} to {}, found {func}",
                defined.start,
                defined.end.saturating_sub(1)
            );
            return Err(Error::with_kind(ErrorKind::Link, message));
        }
    };
    let wasm = WasmText::new(&module);
    for func in funcs {
        out(&listing(&module, &wasm, func, options.tier)?)?;
    }
    Ok(())
}

fn listing(module: &Module, wasm: &WasmText, func: u32, tier: DumpTier) -> Result<String, Error> {
    let body = upshift::inspect::body_range(module, func);
    let name = upshift::inspect::func_name(module, func).unwrap_or("unnamed");
    let mut text = format!("function {func} {name}, {} bytes of wasm\n", body.len());
    for (offset, line) in wasm.lines(&body) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{offset:>8x}  {line}");
    }
    let tiers: &[Tier] = match tier {
        DumpTier::Baseline => &[Tier::Baseline],
        DumpTier::Optimizing => &[Tier::Optimizing],
        DumpTier::Both => &[Tier::Baseline, Tier::Optimizing],
    };
    for &tier in tiers {
        let code = upshift::inspect::machine_code(module, func, tier)?;
        let _ = writeln!(
            text,
            "\n{}: {} bytes of instructions, {} of data",
            tier.name(),
            code.text().len(),
            code.data().len()
        );
        disassemble(&code, &mut text);
    }
    text.push('\n');
    Ok(text)
}

/// One line per instruction, with what the compiler noted: the operator's offset at calls and traps, and targets of relocs.
fn disassemble(code: &MachineCode, text: &mut String) {
    let mut decoder = Decoder::with_ip(64, code.text(), 0, DecoderOptions::NONE);
    let mut formatter = NasmFormatter::new();
    let mut instruction = Instruction::default();
    let mut line = String::new();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        line.clear();
        formatter.format(&instruction, &mut line);
        let start = instruction.ip32();
        let notes: Vec<String> = code
            .notes(start..instruction.next_ip32())
            .iter()
            .map(Note::to_string)
            .collect();
        let _ = if notes.is_empty() {
            writeln!(text, "{start:>8x}  {line}")
        } else {
            writeln!(text, "{start:>8x}  {line:<40} ; {}", notes.join(", "))
        };
    }
}

/// The module's text with the offset of each line.
struct WasmText {
    lines: Vec<(usize, String)>,
}

impl WasmText {
    /// Prints the module; where the printer fails (it has limits of its own) there are no lines.
    fn new(module: &Module) -> Self {
        let mut storage = String::new();
        let printer = wasmprinter::Config::new();
        let mut lines = Vec::new();
        if let Ok(printed) = printer.offsets_and_lines(upshift::inspect::wasm(module), &mut storage)
        {
            for (offset, line) in printed {
                let offset = offset.and_then(|offset| usize::try_from(offset).ok());
                lines.extend(offset.map(|offset| (offset, line.trim_end().to_owned())));
            }
        }
        Self { lines }
    }

    fn lines(&self, body: &std::ops::Range<usize>) -> impl Iterator<Item = (usize, &str)> {
        let start = self
            .lines
            .partition_point(|(offset, _)| *offset < body.start);
        let end = self.lines.partition_point(|(offset, _)| *offset < body.end);
        self.lines[start..end.max(start)]
            .iter()
            .map(|(offset, line)| (*offset, line.as_str()))
    }
}
