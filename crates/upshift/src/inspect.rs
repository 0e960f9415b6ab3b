//! A look at what the compilers make, for tools: machine code that is never run.
//!
//! ```
//! use upshift::{Engine, Module, Tier, inspect};
//!
//! # fn main() -> upshift::Result<()> {
//! let module = Module::new(&Engine::default(), r#"(module (import "" "" (func)) (func $f))"#)?;
//! assert_eq!(inspect::defined_functions(&module), 1..2);
//! assert_eq!(inspect::func_name(&module, 1), Some("f"));
//! let code = inspect::machine_code(&module, 1, Tier::Baseline)?;
//! assert!(!code.text().is_empty());
//! # Ok(())
//! # }
//! ```

use crate::error::{Error, ErrorKind, Result};
use crate::module::Module;
use std::fmt;
use std::ops::Range;
use upshift_abi::{CompileOptions, CompiledFunc, RelocTarget, Tier, TrapCode};
use upshift_module::{ExportItem, FuncIndex};

/// Indices of the functions that have a body.
#[must_use]
pub fn defined_functions(module: &Module) -> Range<u32> {
    let env = module.loaded().module().env();
    env.imported_funcs..env.imported_funcs + env.defined_func_count()
}

/// Where a function's body is, as byte offsets in the module; empty for an import.
#[must_use]
pub fn body_range(module: &Module, func: u32) -> Range<usize> {
    match module.loaded().module().func(FuncIndex(func)) {
        Some(func) => {
            let start = func.body_offset() as usize;
            start..start + func.body_bytes() as usize
        }
        None => 0..0,
    }
}

/// A function's name, from the name section.
#[must_use]
pub fn func_name(module: &Module, func: u32) -> Option<&str> {
    module.loaded().module().func_name(FuncIndex(func))
}

/// Functions that are exported under this name, or have it in the name section.
#[must_use]
pub fn funcs_by_name(module: &Module, name: &str) -> Vec<u32> {
    let decoded = module.loaded().module();
    let exports = decoded.env().exports.iter();
    let mut exported = exports.filter(|export| &*export.name == name);
    if let Some(ExportItem::Func(func)) = exported.next().map(|export| export.item) {
        return vec![func.0];
    }
    let funcs = (0..).map(FuncIndex).zip(&decoded.env().funcs);
    funcs
        .filter(|&(func, _)| decoded.func_name(func) == Some(name))
        .map(|(func, _)| func.0)
        .collect()
}

/// The module in the binary format.
#[must_use]
pub fn wasm(module: &Module) -> &[u8] {
    module.loaded().module().bytes()
}

/// Compiles a function, without counters, for looking at it.
///
/// # Errors
/// Kind [`ErrorKind::Link`] if the function has no body; what the compiler says.
pub fn machine_code(module: &Module, func: u32, tier: Tier) -> Result<MachineCode> {
    let loaded = module.loaded();
    let body = loaded.module().func(FuncIndex(func)).ok_or_else(|| {
        let message = format!("expected a function with a body, found function {func}");
        Error::with_kind(ErrorKind::Link, message)
    })?;
    let mut worker = module.engine().compiler(tier).worker();
    let code = worker.compile(body, &loaded.compile_env(), &CompileOptions::default());
    let code = code.map_err(Error::from_compile)?;
    Ok(MachineCode(code))
}

/// Machine code of one function, not linked.
#[derive(Debug)]
pub struct MachineCode(CompiledFunc);

impl MachineCode {
    /// The instructions; the function's entry is the first.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.0.code[..self.0.text_bytes as usize]
    }

    /// Constants and jump tables behind the instructions.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.0.code[self.0.text_bytes as usize..]
    }

    /// What the compiler noted about the instruction at these offsets.
    #[must_use]
    pub fn notes(&self, at: Range<u32>) -> Vec<Note> {
        let code = &self.0;
        let traps = code.traps.iter().filter(|site| at.contains(&site.offset));
        let traps = traps.map(|site| Note::Trap(site.wasm_offset, site.code));
        let ends_here = |offset: u32| at.start < offset && offset <= at.end;
        let calls = code
            .calls
            .iter()
            .filter(|site| ends_here(site.return_offset));
        let calls = calls.map(|site| Note::Call(site.wasm_offset));
        let relocs = code
            .relocs
            .iter()
            .filter(|reloc| at.contains(&reloc.offset));
        let relocs = relocs.map(|reloc| match reloc.target {
            RelocTarget::EntrySlot(func) => Note::EntrySlot(func.0),
            RelocTarget::Libcall(libcall) => Note::Helper(libcall.name()),
            RelocTarget::Code(func) => Note::Code(func.0),
        });
        traps.chain(calls).chain(relocs).collect()
    }
}

/// A remark on an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Note {
    /// It may trap; the offset is that of the operator in the module.
    Trap(u32, TrapCode),
    /// It calls; the offset is that of the operator in the module.
    Call(u32),
    /// It refers to the entry slot of this function.
    EntrySlot(u32),
    /// It refers to the code of this function.
    Code(u32),
    /// It refers to this helper.
    Helper(&'static str),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap(offset, code) => write!(f, "wasm {offset:#x}: {code}"),
            Self::Call(offset) => write!(f, "wasm {offset:#x}: call"),
            Self::EntrySlot(func) => write!(f, "slot of function {func}"),
            Self::Code(func) => write!(f, "code of function {func}"),
            Self::Helper(name) => write!(f, "helper {name}"),
        }
    }
}
