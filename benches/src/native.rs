//! Programs compiled for this machine.
//!
//! A binary lies in target/bench-native under a name with a hash of all that it was made from: the sources with
//! the headers that they include, the options, and the compiler.

use crate::engine::Native;
use crate::manifest::Program;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Compilers by preference; the suite's modules are made by the first.
const COMPILERS: [&str; 3] = ["clang-19", "clang", "cc"];

/// The options of every program; fused multiplication would make other results than WebAssembly.
const FLAGS: [&str; 3] = ["-std=c11", "-O2", "-ffp-contract=off"];

/// Names that clang and gcc both know.
const SCALAR_FLAGS: [&str; 2] = ["-fno-tree-vectorize", "-fno-tree-slp-vectorize"];

/// Bytes of the hash that go into a name.
const HASH_BYTES: usize = 8;

/// The native binary of a program: the one that the manifest names, or one made from its sources, if that was not
/// done before, by clang-19, clang or cc.
///
/// # Errors
/// If there is neither, or the compiler fails.
pub(crate) fn binary(program: &Program, native: Native) -> Result<PathBuf, String> {
    if let Some(binary) = &program.native {
        return match native {
            Native::Default => Ok(binary.clone()),
            Native::Scalar => Err(format!(
                "{}: its native binary is given, and cannot be made without vectors",
                program.name
            )),
        };
    }
    if program.source.is_empty() {
        return Err(format!(
            "{}: expected C sources or a native binary in the manifest, found neither",
            program.name
        ));
    }
    let build = Build::new(program, native)?;
    if let Some(binary) = build.made()? {
        return Ok(binary);
    }
    build.make()
}

/// The first line that the compiler says of its version.
///
/// # Errors
/// If there is no compiler.
pub(crate) fn compiler_version() -> Result<String, String> {
    let compiler = compiler()?;
    let output = Command::new(&compiler).arg("--version").output();
    let output = output.map_err(|e| format!("{}: {e}", compiler.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next();
    line.map(|line| line.trim().to_owned())
        .ok_or_else(|| format!("{}: expected a version, found nothing", compiler.display()))
}

fn compiler() -> Result<PathBuf, String> {
    on_path(&COMPILERS).ok_or_else(|| format!("no C compiler ({}) here", COMPILERS.join(", ")))
}

/// The first of these programs that is in a directory of `PATH`.
pub(crate) fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let in_path = |name: &&str| {
        let mut candidates = std::env::split_paths(&path).map(|dir| dir.join(name));
        candidates.find(|candidate| candidate.is_file())
    };
    names.iter().find_map(in_path)
}

/// What a binary is made from.
struct Build {
    name: String,
    compiler: PathBuf,
    flags: Vec<String>,
    sources: Vec<PathBuf>,
    /// Of the compiler, the options and the paths of the sources.
    command_hash: String,
    directory: PathBuf,
}

impl Build {
    fn new(program: &Program, native: Native) -> Result<Self, String> {
        let compiler = compiler()?;
        let scalar: &[&str] = match native {
            Native::Default => &[],
            Native::Scalar => &SCALAR_FLAGS,
        };
        let fixed = FLAGS.iter().chain(scalar).map(|&flag| flag.to_owned());
        // Options of the linker are for the one of WebAssembly.
        let own = program
            .flags
            .iter()
            .filter(|flag| !flag.starts_with("-Wl,"));
        let flags: Vec<String> = fixed.chain(own.cloned()).collect();

        let mut hash = Sha256::new();
        let mut add = |text: &str| hash.update([text.as_bytes(), b"\0"].concat());
        // Asking it for its version would take longer than many a program.
        let real = fs::canonicalize(&compiler).map_err(|e| at(&compiler, &e))?;
        let metadata = fs::metadata(&real).map_err(|e| at(&real, &e))?;
        add(&real.to_string_lossy());
        add(&format!(
            "{} {:?}",
            metadata.len(),
            metadata.modified().ok()
        ));
        flags.iter().for_each(|flag| add(flag));
        for source in &program.source {
            add(&source.to_string_lossy());
        }
        let name: String = program
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        Ok(Self {
            name,
            compiler,
            flags,
            sources: program.source.clone(),
            command_hash: hex(hash),
            directory: directory(),
        })
    }

    /// The list of the sources and headers that the last build read, one a line.
    fn inputs_file(&self) -> PathBuf {
        let Self {
            name, command_hash, ..
        } = self;
        self.directory.join(format!("{name}-{command_hash}.inputs"))
    }

    /// The binary, if it was made from what is there now.
    fn made(&self) -> Result<Option<PathBuf>, String> {
        let Ok(list) = fs::read_to_string(self.inputs_file()) else {
            return Ok(None);
        };
        let inputs: Vec<PathBuf> = list.lines().map(PathBuf::from).collect();
        // A header that is gone need not be missed by the sources.
        if inputs.iter().any(|input| !input.is_file()) {
            return Ok(None);
        }
        let binary = self.path(&inputs)?;
        Ok(binary.is_file().then_some(binary))
    }

    /// Where the binary made from these files belongs.
    fn path(&self, inputs: &[PathBuf]) -> Result<PathBuf, String> {
        let mut hash = Sha256::new();
        hash.update(&self.command_hash);
        for input in inputs {
            hash.update(fs::read(input).map_err(|e| at(input, &e))?);
            hash.update(b"\0");
        }
        Ok(self.directory.join(format!("{}-{}", self.name, hex(hash))))
    }

    fn make(&self) -> Result<PathBuf, String> {
        fs::create_dir_all(&self.directory).map_err(|e| at(&self.directory, &e))?;
        let inputs = self.inputs()?;
        let binary = self.path(&inputs)?;
        // Another process may be at it: whoever comes last puts the same file there.
        let temporary = tempfile::Builder::new()
            .prefix(&self.name)
            .tempdir_in(&self.directory)
            .map_err(|e| at(&self.directory, &e))?;
        let output = temporary.path().join("binary");
        let mut command = Command::new(&self.compiler);
        command.args(&self.flags).args(&self.sources);
        command.arg("-o").arg(&output).arg("-lm");
        self.compile(command)?;
        fs::rename(&output, &binary).map_err(|e| at(&binary, &e))?;

        let list: Vec<String> = inputs.iter().map(|i| i.display().to_string()).collect();
        let list_file = temporary.path().join("inputs");
        fs::write(&list_file, list.join("\n")).map_err(|e| at(&list_file, &e))?;
        fs::rename(&list_file, self.inputs_file()).map_err(|e| at(&self.inputs_file(), &e))?;
        Ok(binary)
    }

    /// The sources and the headers that they include, but those of the system.
    fn inputs(&self) -> Result<Vec<PathBuf>, String> {
        let mut command = Command::new(&self.compiler);
        command.args(&self.flags).arg("-MM").args(&self.sources);
        let rules = self.compile(command)?;
        let mut inputs = prerequisites(&rules);
        inputs.sort();
        inputs.dedup();
        Ok(inputs)
    }

    /// Runs the compiler; gives its standard output.
    fn compile(&self, mut command: Command) -> Result<String, String> {
        let failed = |e: std::io::Error| at(&self.compiler, &e);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let mut text = String::new();
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_to_string(&mut text).map_err(failed)?;
        }
        // Not `Child::wait`: what a process that was waited for has used is added to what the program uses, that this
        // process may measure next. It is left to the end of this process.
        let id = i32::try_from(child.id()).map_err(|e| e.to_string())?;
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(Pid::from_raw(id)), flags) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(text),
            Ok(status) => Err(format!(
                "{}: {} failed: {status:?}",
                self.name,
                self.compiler.display()
            )),
            Err(error) => Err(failed(error.into())),
        }
    }
}

/// What the rules of a makefile, as compilers write them, say that their targets are made from.
fn prerequisites(rules: &str) -> Vec<PathBuf> {
    let joined = rules.replace("\\\n", " ");
    let mut found = Vec::new();
    for rule in joined.lines() {
        let Some((_, files)) = rule.split_once(": ") else {
            continue;
        };
        // A space in a name has a backslash.
        let files = files.replace("\\ ", "\0");
        let files = files.split_whitespace().map(|file| file.replace('\0', " "));
        found.extend(files.map(PathBuf::from));
    }
    found
}

/// In the target directory of the work tree that the harness was built from or, if that is gone, of the current one.
fn directory() -> PathBuf {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = built_from.filter(|root| root.join("Cargo.toml").exists());
    root.unwrap_or(Path::new(""))
        .join("target")
        .join("bench-native")
}

fn hex(hash: Sha256) -> String {
    let bytes = hash.finalize();
    let digits = bytes.iter().take(HASH_BYTES);
    digits.map(|byte| format!("{byte:02x}")).collect()
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::{binary, prerequisites};
    use crate::engine::Native;
    use crate::manifest::Program;
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn rules_of_makefiles() {
        let check = |rules: &str, expected: &[&str]| {
            let expected: Vec<&Path> = expected.iter().map(Path::new).collect();
            assert_eq!(prerequisites(rules), expected, "{rules}");
        };
        check("a.o: a.c\n", &["a.c"]);
        check("a.o: a.c b.h \\\n  ../c/d.h\n", &["a.c", "b.h", "../c/d.h"]);
        check(
            "a.o: a.c\nb.o: b\\ c.c \\\n d.h\n",
            &["a.c", "b c.c", "d.h"],
        );
        check("", &[]);
    }

    #[test]
    fn a_program_is_made_again_when_a_header_changes() {
        if super::compiler().is_err() {
            // Nothing to check on a machine without a compiler.
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let source = dir.path().join("p q.c");
        let main = "#include \"n.h\"\nint main(void) { return NUMBER; }\n";
        std::fs::write(&source, main).expect("a source");
        let mut program = Program::of_file(Path::new("native-test.wasm"));
        program.source = vec![source];
        let check = |number: u8, native: Native| {
            let header = format!("#define NUMBER {number}\n");
            std::fs::write(dir.path().join("n.h"), header).expect("a header");
            let made = binary(&program, native).expect("a binary");
            let again = binary(&program, native).expect("a binary");
            assert_eq!(made, again);
            let status = Command::new(&made).status().expect("it runs");
            assert_eq!(status.code(), Some(i32::from(number)));
            made
        };
        let three = check(3, Native::Default);
        let four = check(4, Native::Default);
        let scalar = check(4, Native::Scalar);
        assert!(three != four && four != scalar);
        assert_eq!(check(3, Native::Default), three);
        for file in [three, four, scalar] {
            std::fs::remove_file(file).expect("it was there");
        }
    }

    #[test]
    fn errors() {
        let check = |program: &Program, native: Native, expected: &str| {
            let error = binary(program, native).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        let mut program = Program::of_file(Path::new("p.wasm"));
        check(&program, Native::Default, "expected C sources or");
        program.source = vec!["no/such/file.c".into()];
        check(&program, Native::Default, "p: ");
        program.native = Some("b".into());
        check(&program, Native::Scalar, "without vectors");
        assert_eq!(
            binary(&program, Native::Default).as_deref(),
            Ok(Path::new("b"))
        );
    }
}
