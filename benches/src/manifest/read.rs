//! What stands in one manifest.

use super::{ONLY_SIZE, Program};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const KINDS: [&str; 5] = ["int", "float", "stress", "corpus", "other"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    expected: Option<PathBuf>,
    #[serde(default)]
    program: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    module: PathBuf,
    #[serde(default)]
    source: Vec<PathBuf>,
    #[serde(default)]
    flags: Vec<String>,
    native: Option<PathBuf>,
    kind: Option<String>,
    like: Option<String>,
    #[serde(default)]
    about: String,
    #[serde(default)]
    compile_only: bool,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    dirs: Vec<Directory>,
    stdin: Option<PathBuf>,
    #[serde(default)]
    steps: Vec<String>,
    sizes: Option<Vec<String>>,
    expected_stdout: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Directory {
    host: PathBuf,
    guest: String,
}

/// The part of the file of recorded outputs that says what a program prints.
#[derive(Deserialize, Default)]
struct Expected {
    programs: BTreeMap<String, ExpectedProgram>,
}

#[derive(Deserialize)]
struct ExpectedProgram {
    sizes: BTreeMap<String, ExpectedSize>,
}

#[derive(Deserialize)]
struct ExpectedSize {
    stdout: String,
}

/// The programs of a manifest.
///
/// # Errors
/// What is wrong, with the file, the program and the key.
pub(super) fn file(path: &Path) -> Result<Vec<Program>, String> {
    let at = |message: String| format!("{}: {message}", path.display());
    let text = fs::read_to_string(path).map_err(|error| at(format!("cannot read: {error}")))?;
    let manifest: Manifest = toml::from_str(&text).map_err(|error| at(error.to_string()))?;
    let base = path.parent().unwrap_or(Path::new(""));
    let expected = match &manifest.expected {
        Some(file) => {
            recorded(&base.join(file)).map_err(|error| at(format!("expected: {error}")))?
        }
        None => Expected::default(),
    };
    let mut programs: Vec<Program> = Vec::new();
    for entry in manifest.program {
        let name = entry.name.clone();
        let wrong = |(key, message): Wrong| at(format!("program {name:?}: {key}: {message}"));
        entry.check().map_err(wrong)?;
        programs.push(entry.program(base, &expected).map_err(wrong)?);
    }
    Ok(programs)
}

/// A key and what is wrong with its value.
type Wrong = (&'static str, String);

fn recorded(path: &Path) -> Result<Expected, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| format!("{}: cannot read: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

impl Entry {
    fn check(&self) -> Result<(), Wrong> {
        let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if self.name.is_empty() || !self.name.chars().all(in_name) {
            let message = format!(
                "expected letters a-z, digits, - and _, found {:?}",
                self.name
            );
            return Err(("name", message));
        }
        if let Some(kind) = self.kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
            let message = format!("expected one of {}, found {kind:?}", KINDS.join(", "));
            return Err(("kind", message));
        }
        if self.native.is_some() && !self.source.is_empty() {
            let message = "expected either a native binary or C sources, found both";
            return Err(("native", message.to_owned()));
        }
        let mut seen = BTreeSet::new();
        for size in self.sizes.iter().flatten() {
            if size.is_empty() || size.contains([',', '/']) {
                let message = format!("expected a name without , and /, found {size:?}");
                return Err(("sizes", message));
            }
            if !seen.insert(size) {
                return Err(("sizes", format!("found {size:?} twice")));
            }
        }
        if self.sizes.as_ref().is_some_and(Vec::is_empty) {
            return Err(("sizes", "expected at least one, found none".to_owned()));
        }
        Ok(())
    }

    fn program(self, base: &Path, recorded: &Expected) -> Result<Program, Wrong> {
        let sizes = self.sizes.unwrap_or_else(|| vec![ONLY_SIZE.to_owned()]);
        let mut expected: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for size in &sizes {
            let output = match &self.expected_stdout {
                Some(file) => {
                    let path = base.join(file.replace("{size}", size));
                    let output = fs::read(&path).map_err(|error| {
                        let message = format!("{}: cannot read: {error}", path.display());
                        ("expected_stdout", message)
                    })?;
                    Some(output)
                }
                None => {
                    let sizes = recorded.programs.get(&self.name).map(|p| &p.sizes);
                    let recorded = sizes.and_then(|sizes| sizes.get(size));
                    recorded.map(|size| size.stdout.clone().into_bytes())
                }
            };
            if let Some(output) = output {
                expected.insert(size.clone(), output);
            }
        }
        let dirs = self.dirs.into_iter();
        Ok(Program {
            name: self.name,
            lone: false,
            module: base.join(self.module),
            source: self.source.iter().map(|file| base.join(file)).collect(),
            flags: self.flags,
            native: self.native.map(|file| base.join(file)),
            kind: self.kind.unwrap_or_else(|| "other".to_owned()),
            like: self.like,
            about: self.about,
            compile_only: self.compile_only,
            args: self.args,
            env: self.env,
            dirs: dirs.map(|dir| (base.join(dir.host), dir.guest)).collect(),
            stdin: self.stdin.map(|file| base.join(file)),
            steps: self.steps,
            sizes,
            expected,
        })
    }
}
