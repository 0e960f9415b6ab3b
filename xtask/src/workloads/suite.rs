//! The benchmark suite: benches/workloads/suite.toml says what to compile and run,
//! its expected.json what must come out.
//!
//! The manifest's format belongs to the benchmark harness, which checks all of it;
//! this reads only the part that building needs. A program without `source` is not
//! built here.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::compile::{self, CLANG, FLAGS, WASM_FLAGS};
use super::{Options, native_dir};
use crate::{Outcome, hash, process, repo};

pub(super) const MANIFEST: &str = "benches/workloads/suite.toml";
const DIRECTORY: &str = "benches/workloads";
const EXPECTED: &str = "benches/workloads/expected.json";

/// The C stack gets a fixed size, and an overflow of it traps at address 0
/// instead of overwriting globals.
const LINKER: [&str; 2] = ["-Wl,-z,stack-size=1048576", "-Wl,--stack-first"];

/// The part of the manifest that building needs.
#[derive(Deserialize)]
pub(super) struct Suite {
    #[serde(default)]
    program: Vec<Program>,
}

#[derive(Deserialize)]
struct Program {
    name: String,
    module: String,
    #[serde(default)]
    source: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    /// `{size}` stands for the name of the size.
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    stdin: Option<String>,
    #[serde(default = "only_size")]
    sizes: Vec<String>,
}

fn only_size() -> Vec<String> {
    vec!["only".to_owned()]
}

/// benches/workloads/expected.json.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Expected {
    about: String,
    wasm_compiler: String,
    native_compiler: String,
    /// Of both compilers.
    flags: Vec<String>,
    wasm_flags: Vec<String>,
    /// By name.
    programs: BTreeMap<String, Recorded>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Default)]
struct Recorded {
    /// Of the module, in hexadecimal.
    wasm_sha256: String,
    wasm_bytes: usize,
    /// By name of the size.
    sizes: BTreeMap<String, Printed>,
}

/// What the native program printed.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Printed {
    stdout: String,
    /// From the last line, `checksum 0123456789abcdef`, if there is one.
    checksum: Option<String>,
}

impl Suite {
    /// # Errors
    /// When the file cannot be read or says something else.
    pub(super) fn read() -> Outcome<Self> {
        toml::from_str(&repo::read(MANIFEST)?).map_err(|error| format!("{MANIFEST}: {error}"))
    }

    /// Whether there is a program of that name to build.
    pub(super) fn has(&self, name: &str) -> bool {
        self.built().any(|program| program.name == name)
    }

    fn built(&self) -> impl Iterator<Item = &Program> {
        self.program.iter().filter(|p| !p.source.is_empty())
    }
}

/// Compile the wanted programs, run them natively and record the outputs.
///
/// # Errors
/// When a program does not compile or run.
pub(super) fn build(suite: &Suite, options: &Options) -> Outcome<()> {
    let wanted: Vec<&Program> = suite.built().filter(|p| options.wants(&p.name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let native_dir = native_dir("suite")?;
    let mut expected = Expected::without_programs()?;
    if repo::root().join(EXPECTED).exists() {
        expected.take_programs(read_expected()?, suite, options)?;
    }
    for program in wanted {
        let before = expected.programs.get(&program.name);
        let now = program.record(before, &native_dir, options)?;
        expected.programs.insert(program.name.clone(), now);
        // After each: a later program's failure does not undo minutes of work.
        expected.write()?;
    }
    println!("wrote {EXPECTED}: {} programs", expected.programs.len());
    Ok(())
}

/// Compare the modules with what was recorded when they were made.
///
/// # Errors
/// When a module is not the recorded one, or an output is missing.
pub(super) fn check() -> Outcome<()> {
    let (suite, expected) = (Suite::read()?, read_expected()?);
    let mut wrong: Vec<String> = Vec::new();
    for program in suite.built() {
        match expected.programs.get(&program.name) {
            Some(recorded) => program.compare(recorded, &mut wrong)?,
            None => wrong.push(format!("{}: not in {EXPECTED}", program.name)),
        }
    }
    let gone = expected.programs.keys().filter(|name| !suite.has(name));
    wrong.extend(gone.map(|name| format!("{name}: in {EXPECTED}, but not in {MANIFEST}")));
    if wrong.is_empty() {
        println!(
            "{EXPECTED}: {} modules are the recorded ones",
            expected.programs.len()
        );
        return Ok(());
    }
    Err(format!(
        "call `cargo xtask workloads`:\n{}",
        wrong.join("\n")
    ))
}

/// Compile again, if this machine has the recorded compiler, and compare: are the
/// modules of these sources? Nothing is changed.
///
/// # Errors
/// When a program does not compile or becomes another module.
pub(super) fn check_sources() -> Outcome<()> {
    let (suite, expected) = (Suite::read()?, read_expected()?);
    let found = compile::check_tools().and_then(|()| compile::version(CLANG));
    if found.as_ref() != Ok(&expected.wasm_compiler) {
        let found = found.unwrap_or_else(|missing| missing);
        println!(
            "not compiled again: expected {}, found {found}",
            expected.wasm_compiler
        );
        return Ok(());
    }
    let (directory, fresh) = (directory(), native_dir("fresh")?);
    let mut stale = Vec::new();
    for program in suite.built() {
        let output = fresh.join(format!("{}.wasm", program.name));
        program.in_c(&directory).to_wasm(&output, &LINKER)?;
        let now = Recorded::of_module(&output)?;
        let then = expected.programs.get(&program.name);
        if then.is_none_or(|then| then.wasm_sha256 != now.wasm_sha256) {
            stale.push(program.name.as_str());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!(
        "call `cargo xtask workloads`: the sources were changed of {}",
        stale.join(", ")
    ))
}

impl Recorded {
    /// Hash and size of a module, without outputs.
    fn of_module(path: &Path) -> Outcome<Self> {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self {
            wasm_sha256: hash::sha256(&bytes),
            wasm_bytes: bytes.len(),
            sizes: BTreeMap::new(),
        })
    }
}

impl Expected {
    fn without_programs() -> Outcome<Self> {
        let owned = |flags: &[&str]| flags.iter().map(|&flag| flag.to_owned()).collect();
        let compiler = compile::version(CLANG)?;
        Ok(Self {
            about: "Written by `cargo xtask workloads` from the natively compiled programs; \
                    do not edit."
                .to_owned(),
            wasm_compiler: compiler.clone(),
            native_compiler: compiler,
            flags: owned(&FLAGS),
            wasm_flags: owned(&[&WASM_FLAGS[..], &LINKER[..]].concat()),
            programs: BTreeMap::new(),
        })
    }

    /// Keep what an earlier call recorded for programs that still are in the suite.
    ///
    /// The file names one compiler for all programs, so that another one has to
    /// build all of them.
    fn take_programs(&mut self, earlier: Self, suite: &Suite, options: &Options) -> Outcome<()> {
        let mut programs = earlier.programs;
        programs.retain(|name, _| suite.has(name));
        let here = (&self.wasm_compiler, &self.flags, &self.wasm_flags);
        let there = (&earlier.wasm_compiler, &earlier.flags, &earlier.wasm_flags);
        if here != there && programs.keys().any(|name| !options.wants(name)) {
            return Err(format!(
                "{EXPECTED} was made by other means, {there:?}, than these, {here:?}: \
                 rebuild all programs, without --only"
            ));
        }
        self.programs = programs;
        Ok(())
    }

    fn write(&self) -> Outcome<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        repo::write(EXPECTED, &(text + "\n"))
    }
}

fn read_expected() -> Outcome<Expected> {
    serde_json::from_str(&repo::read(EXPECTED)?).map_err(|error| format!("{EXPECTED}: {error}"))
}

fn directory() -> PathBuf {
    repo::root().join(DIRECTORY)
}

impl Program {
    fn record(
        &self,
        before: Option<&Recorded>,
        native_dir: &Path,
        options: &Options,
    ) -> Outcome<Recorded> {
        let native = native_dir.join(&self.name);
        let directory = directory();
        let program = self.in_c(&directory);
        program.to_wasm(Path::new(&self.module), &LINKER)?;
        program.to_native(CLANG, &native)?;
        let mut recorded = Recorded::of_module(&directory.join(&self.module))?;
        for size in &self.sizes {
            if options.wants_size(size) {
                let printed = self.run(&native, size)?;
                recorded.sizes.insert(size.clone(), printed);
            } else if let Some(before) = before
                && before.wasm_sha256 == recorded.wasm_sha256
                && let Some(printed) = before.sizes.get(size)
            {
                recorded.sizes.insert(size.clone(), printed.clone());
            }
        }
        Ok(recorded)
    }

    fn in_c<'p>(&'p self, directory: &'p Path) -> compile::Program<'p> {
        compile::Program {
            name: &self.name,
            directory,
            source: &self.source,
            flags: &self.flags,
        }
    }

    fn run(&self, native: &Path, size: &str) -> Outcome<Printed> {
        let mut command = Command::new(native);
        command
            .current_dir(directory())
            .args(self.args.iter().map(|arg| arg.replace("{size}", size)))
            .envs(&self.env)
            .stdin(self.stdin()?);
        let start = Instant::now();
        let stdout = process::output(&mut command)?;
        println!("ran {} {size}: {:.2?}", self.name, start.elapsed());
        let checksum = checksum(&stdout).map(str::to_owned);
        Ok(Printed { stdout, checksum })
    }

    fn stdin(&self) -> Outcome<Stdio> {
        let Some(file) = &self.stdin else {
            return Ok(Stdio::null());
        };
        let path = directory().join(file);
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(file.into())
    }

    /// Add to `wrong` what differs from the record.
    fn compare(&self, recorded: &Recorded, wrong: &mut Vec<String>) -> Outcome<()> {
        let name = &self.name;
        let module = Recorded::of_module(&directory().join(&self.module))?;
        if module.wasm_sha256 != recorded.wasm_sha256 || module.wasm_bytes != recorded.wasm_bytes {
            wrong.push(format!(
                "{name}: expected {} of {} bytes with SHA-256 {}, found {} bytes with {}",
                self.module,
                recorded.wasm_bytes,
                recorded.wasm_sha256,
                module.wasm_bytes,
                module.wasm_sha256
            ));
        }
        let recorded_sizes: Vec<&String> = recorded.sizes.keys().collect();
        let mut sizes: Vec<&String> = self.sizes.iter().collect();
        sizes.sort();
        if sizes != recorded_sizes {
            wrong.push(format!(
                "{name}: expected outputs at sizes {sizes:?}, found {recorded_sizes:?}"
            ));
        }
        for (size, printed) in &recorded.sizes {
            if printed.checksum.as_deref() != checksum(&printed.stdout) {
                wrong.push(format!("{name} {size}: checksum and output do not agree"));
            }
        }
        Ok(())
    }
}

/// The checksum that a program of the suite prints in its last line.
fn checksum(stdout: &str) -> Option<&str> {
    stdout.lines().last()?.strip_prefix("checksum ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_modules_are_the_recorded_ones() {
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn checksums() {
        for (stdout, found) in [
            ("a 1\nchecksum 00ff\n", Some("00ff")),
            ("checksum 00ff\nb\n", None),
            ("checksum\n", None),
            ("", None),
        ] {
            assert_eq!(checksum(stdout), found, "{stdout:?}");
        }
    }
}
