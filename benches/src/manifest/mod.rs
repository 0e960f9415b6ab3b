//! Programs as data: the manifest of the suite, and those that users bring.
//!
//! The format is described in docs/benchmarking.md; benches/workloads/suite.toml is an example.

mod list;
mod read;

pub(crate) use list::{List, list};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A program that can be measured.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// Whether it is a file that no manifest describes.
    pub(crate) lone: bool,
    /// A module in the binary or text format.
    pub(crate) module: PathBuf,
    /// C sources that the module was made from; empty if there are none.
    pub(crate) source: Vec<PathBuf>,
    /// Further flags for the C compiler.
    pub(crate) flags: Vec<String>,
    /// A native binary, instead of `source`.
    pub(crate) native: Option<PathBuf>,
    /// `int`, `float`, `stress`, `corpus` or `other`.
    pub(crate) kind: String,
    /// The benchmark it stands for.
    pub(crate) like: Option<String>,
    /// One line that says what it does.
    pub(crate) about: String,
    /// Its imports are foreign: it can be loaded, not run.
    pub(crate) compile_only: bool,
    /// Arguments, in which `{size}` stands for the name of the size.
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Directories that it may open: here, and as it sees them.
    pub(crate) dirs: Vec<(PathBuf, String)>,
    /// A file for its standard input.
    pub(crate) stdin: Option<PathBuf>,
    /// Further arguments that make it write a `.` to standard error after each step of its work; empty if it cannot.
    pub(crate) steps: Vec<String>,
    /// The names of its sizes; at least one.
    pub(crate) sizes: Vec<String>,
    /// The recorded output by size.
    pub(crate) expected: BTreeMap<String, Vec<u8>>,
}

/// The name of the size of a program that has but one.
const ONLY_SIZE: &str = "only";

impl Program {
    /// A file that no manifest describes, named by its stem: it gets no arguments and has one size.
    pub(crate) fn of_file(module: &Path) -> Self {
        let stem = module.file_stem().unwrap_or(module.as_os_str());
        Self {
            name: stem.to_string_lossy().into_owned(),
            lone: true,
            module: module.to_owned(),
            source: Vec::new(),
            flags: Vec::new(),
            native: None,
            kind: "other".to_owned(),
            like: None,
            about: String::new(),
            compile_only: false,
            args: Vec::new(),
            env: BTreeMap::new(),
            dirs: Vec::new(),
            stdin: None,
            steps: Vec::new(),
            sizes: vec![ONLY_SIZE.to_owned()],
            expected: BTreeMap::new(),
        }
    }

    /// The arguments for a size, after the name of the program.
    pub(crate) fn arguments(&self, size: &str, steps: bool) -> Vec<String> {
        let extra = if steps { self.steps.as_slice() } else { &[] };
        let all = self.args.iter().chain(extra);
        all.map(|arg| arg.replace("{size}", size)).collect()
    }
}

/// The manifest of the suite.
pub(crate) fn suite() -> PathBuf {
    of_workspace("suite.toml")
}

/// The manifest of the corpora, whose modules may not have been fetched.
pub(crate) fn corpus() -> PathBuf {
    of_workspace("corpus.toml")
}

/// In the work tree that the harness was built from or, if that is gone, in the current one.
fn of_workspace(file: &str) -> PathBuf {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("workloads")
        .join(file);
    if built_from.exists() {
        built_from
    } else {
        Path::new("benches/workloads").join(file)
    }
}

/// Reads manifests; with none, the suite's and the corpora's. Whether the modules exist is not looked at.
///
/// # Errors
/// What is wrong in which file. Names must be unique over all of them.
pub(crate) fn load(manifests: &[PathBuf]) -> Result<Vec<Program>, String> {
    let defaults = [suite(), corpus()];
    let manifests = if manifests.is_empty() {
        &defaults
    } else {
        manifests
    };
    let mut programs: Vec<(Program, &Path)> = Vec::new();
    for manifest in manifests {
        for program in read::file(manifest)? {
            if let Some((_, other)) = programs.iter().find(|(p, _)| p.name == program.name) {
                return Err(format!(
                    "{}: program {:?}: expected a name that no other program has, found it in {} too",
                    manifest.display(),
                    program.name,
                    other.display()
                ));
            }
            programs.push((program, manifest));
        }
    }
    Ok(programs.into_iter().map(|(program, _)| program).collect())
}

/// The program called `name`, or the .wasm or .wat file of that path as a program without arguments.
///
/// # Errors
/// If there is none; says which there are.
pub(crate) fn find(manifests: &[PathBuf], name: &str) -> Result<Program, String> {
    let path = Path::new(name);
    let extension = path.extension().and_then(|extension| extension.to_str());
    if matches!(extension, Some("wasm" | "wat")) {
        if !path.is_file() {
            return Err(format!("expected a module, found no file {name}"));
        }
        return Ok(Program::of_file(path));
    }
    let programs = load(manifests)?;
    if let Some(program) = programs.iter().find(|program| program.name == name) {
        return Ok(program.clone());
    }
    let names: Vec<&str> = programs.iter().map(|p| p.name.as_str()).collect();
    Err(format!(
        "expected a program (one of {}) or a .wasm or .wat file, found {name:?}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::{Program, find, load};
    use std::fs;
    use std::path::{Path, PathBuf};

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect(name);
        }
        directory
    }

    #[test]
    fn a_program_with_everything() {
        let here = directory(&[
            (
                "m.toml",
                r#"
                expected = "expected.json"
                [[program]]
                name = "a-1"
                module = "sub/a.wasm"
                source = ["a.c"]
                flags = ["-DX"]
                kind = "int"
                like = "bzip2"
                about = "one line"
                args = ["-n", "{size}.in"]
                env = { K = "V" }
                dirs = [{ host = "data", guest = "/data" }]
                stdin = "in"
                steps = ["--steps={size}"]
                sizes = ["s", "t", "u"]
                [[program]]
                name = "b"
                module = "/abs/b.wat"
                native = "b"
                expected_stdout = "b-{size}.txt"
                "#,
            ),
            (
                "expected.json",
                r#"{"about": "x", "programs": {"a-1": {"wasm_bytes": 1, "sizes": {
                "s": {"stdout": "out\n", "checksum": null}, "t": {"stdout": ""}}}}}"#,
            ),
            ("b-only.txt", "of b"),
        ]);
        let programs = load(&[here.path().join("m.toml")]).expect("good");
        let [a, b] = programs.as_slice() else {
            panic!("{programs:?}")
        };
        assert_eq!(a.module, here.path().join("sub/a.wasm"));
        assert_eq!(a.source, [here.path().join("a.c")]);
        assert_eq!(a.dirs, [(here.path().join("data"), "/data".to_owned())]);
        assert_eq!(a.stdin, Some(here.path().join("in")));
        assert_eq!(a.arguments("t", false), ["-n", "t.in"]);
        assert_eq!(a.arguments("t", true), ["-n", "t.in", "--steps=t"]);
        assert_eq!(a.expected.len(), 2);
        assert_eq!(a.expected["s"], b"out\n");
        assert_eq!(b.module, Path::new("/abs/b.wat"));
        assert_eq!((b.kind.as_str(), b.sizes.len()), ("other", 1));
        assert_eq!(b.expected["only"], b"of b");
        assert!(!a.lone && b.args.is_empty());
    }

    #[test]
    fn errors_say_where() {
        let check = |text: &str, parts: &[&str]| {
            let here = directory(&[("m.toml", text), ("e.json", "[]")]);
            let error = load(&[here.path().join("m.toml")]).expect_err(text);
            for part in ["m.toml"].iter().chain(parts) {
                assert!(error.contains(part), "{error}\nlacks {part:?}");
            }
        };
        let program =
            |rest: &str| format!("[[program]]\nname = \"p\"\nmodule = \"p.wasm\"\n{rest}\n");
        check("x = 1", &["line 1", "unknown field `x`"]);
        check(&program("argz = []"), &["line 4", "argz"]);
        check("[[program]]\nname = \"p\"", &["missing field `module`"]);
        check(&program("sizes = \"s\""), &["line 4", "sequence"]);
        check(&program("kind = \"big\""), &["\"p\": kind", "\"big\""]);
        check(&program("sizes = []"), &["\"p\": sizes", "at least one"]);
        check(
            &program("sizes = [\"s\", \"s\"]"),
            &["\"p\": sizes", "twice"],
        );
        check(
            &program("native = \"n\"\nsource = [\"s.c\"]"),
            &["\"p\": native"],
        );
        check(
            &program("expected_stdout = \"{size}.txt\""),
            &["\"p\": expected_stdout", "only.txt"],
        );
        check(&program("").replace("\"p\"", "\"P q\""), &["name", "P q"]);
        check(&(program("") + &program("")), &["\"p\"", "no other"]);
        check("expected = \"none.json\"", &["expected", "none.json"]);
        check("expected = \"e.json\"", &["expected", "e.json", "line 1"]);
    }

    #[test]
    fn programs_are_found() {
        let here = directory(&[
            (
                "m.toml",
                "[[program]]\nname = \"p\"\nmodule = \"gone.wasm\"",
            ),
            ("lone.wat", "(module)"),
        ]);
        let manifests = [here.path().join("m.toml")];
        let found = find(&manifests, "p").expect("p");
        assert_eq!(found.module, here.path().join("gone.wasm"));
        let file = here.path().join("lone.wat");
        let found = find(&manifests, file.to_str().expect("UTF-8")).expect("lone");
        assert!(found.lone && found.name == "lone" && found.module == file);
        let check = |name: &str, part: &str| {
            let error = find(&manifests, name).expect_err(name);
            assert!(error.contains(part), "{error}");
        };
        check("q", "one of p)");
        check("gone.wasm", "no file gone.wasm");
        let error = find(&[PathBuf::from("none.toml")], "p").expect_err("no manifest");
        assert!(error.contains("none.toml"), "{error}");
    }

    #[test]
    fn the_files_of_the_project_are_good() {
        let programs: Vec<Program> = load(&[super::corpus()]).expect("the corpora");
        assert!(programs.iter().all(|program| program.kind == "corpus"));
    }
}
