//! From C to a WebAssembly module or to a native program.

use std::path::Path;
use std::process::Command;

use crate::{Outcome, process};

pub(super) const CLANG: &str = "clang-19";
/// The machine's own compiler, usually another one than [`CLANG`].
pub(super) const NATIVE_CC: &str = "cc";

/// What must be there to compile to WebAssembly, and the Debian package that has it.
const TOOLS: [(Tool, &str); 5] = [
    (Tool::Program(CLANG), "clang-19"),
    (Tool::Program("wasm-ld-19"), "lld-19"),
    (Tool::File("/usr/lib/wasm32-wasi/libc.a"), "wasi-libc"),
    (
        Tool::File("/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a"),
        "libclang-rt-19-dev-wasm32",
    ),
    (Tool::Program(NATIVE_CC), "gcc libc6-dev"),
];

/// Options of both compilers. Contracting `a * b + c` to one rounding would make
/// the two programs differ.
pub(super) const FLAGS: [&str; 6] = [
    "-std=c11",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffp-contract=off",
];

/// Options for WebAssembly only. Names of functions stay, for profiles and traces;
/// the debug information of wasi-libc goes.
pub(super) const WASM_FLAGS: [&str; 2] = ["--target=wasm32-wasi", "-Wl,--strip-debug"];

enum Tool {
    Program(&'static str),
    File(&'static str),
}

/// A program in C.
pub(super) struct Program<'p> {
    pub(super) name: &'p str,
    /// Where the compiler runs; the sources' paths are relative to it.
    pub(super) directory: &'p Path,
    pub(super) source: &'p [String],
    /// More options for both compilers.
    pub(super) flags: &'p [String],
}

impl Program<'_> {
    /// Make the module `output`; its path may be relative to the program's directory.
    ///
    /// # Errors
    /// When the compiler fails; it says why on this terminal.
    pub(super) fn to_wasm(&self, output: &Path, linker: &[&str]) -> Outcome<()> {
        println!("compiling {}", self.name);
        let mut clang = self.compiler(CLANG);
        clang.args(WASM_FLAGS).args(linker).arg("-o").arg(output);
        process::run(&mut clang)?;
        make_plain(&self.directory.join(output))
    }

    /// Make the native program `output`.
    ///
    /// # Errors
    /// When the compiler fails; it says why on this terminal.
    pub(super) fn to_native(&self, compiler: &str, output: &Path) -> Outcome<()> {
        process::run(self.compiler(compiler).arg("-o").arg(output))
    }

    fn compiler(&self, compiler: &str) -> Command {
        let mut command = Command::new(compiler);
        command
            .current_dir(self.directory)
            .args(FLAGS)
            .args(self.flags)
            .args(self.source);
        command
    }
}

/// # Errors
/// When tools are missing; the message says which packages have them.
pub(super) fn check_tools() -> Outcome<()> {
    let there = |tool: &Tool| match tool {
        Tool::Program(name) => Command::new(name).arg("--version").output().is_ok(),
        Tool::File(path) => Path::new(path).exists(),
    };
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(tool, _)| !there(tool))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "missing tools; on Debian: apt-get install {}",
            missing.join(" ")
        ))
    }
}

/// The first line of what a compiler says about itself.
///
/// # Errors
/// When it does not run.
pub(super) fn version(compiler: &str) -> Outcome<String> {
    let text = process::read(Command::new(compiler).arg("--version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Clear the executable bits that the linker sets: a module is data here.
#[cfg(unix)]
fn make_plain(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(path, permissions)
        .map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(not(unix))]
fn make_plain(_: &Path) -> Outcome<()> {
    Ok(())
}
