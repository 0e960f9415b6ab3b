//! Where the repository is and which files belong to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::{DirEntry, WalkDir};

use crate::{Outcome, process};

/// Directories at the top that hold products, not sources; as in .gitignore.
const IGNORED: [&str; 3] = ["target", "corpus-cache", ".git"];

/// A file of the repository.
pub(crate) struct Source {
    /// From the root, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("xtask is a directory of the repository")
        .to_path_buf()
}

/// The cargo that runs this chore.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// # Errors
/// When the file cannot be read; the message names it.
pub(crate) fn read(path: &str) -> Outcome<String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}

/// # Errors
/// When the file cannot be written; the message names it.
pub(crate) fn write(path: &str, text: &str) -> Outcome<()> {
    fs::write(root().join(path), text).map_err(|error| format!("{path}: {error}"))
}

/// Paths of all files of the repository, sorted: what git tracks or would
/// track, or without git everything but products.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn files() -> Outcome<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listing = process::read(&mut git).unwrap_or_default();
    let mut paths: Vec<String> = listing
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    // No git, no repository, or one that contains this directory but ignores it.
    if paths.is_empty() {
        paths = walk()?;
    }
    // git still lists what was just deleted.
    paths.retain(|path| root().join(path).is_file());
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn walk() -> Outcome<Vec<String>> {
    let root = root();
    let kept = |entry: &DirEntry| {
        entry.depth() != 1 || !IGNORED.iter().any(|name| entry.file_name() == *name)
    };
    let mut paths = Vec::new();
    for entry in WalkDir::new(&root).into_iter().filter_entry(kept) {
        let entry = entry.map_err(|error| error.to_string())?;
        if entry.file_type().is_file() {
            let path = entry
                .path()
                .strip_prefix(&root)
                .expect("a walk stays below its root");
            paths.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(paths)
}

/// All text files of the repository; what is no UTF-8 is left out.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn sources() -> Outcome<Vec<Source>> {
    let mut sources = Vec::new();
    for path in files()? {
        let bytes = match fs::read(root().join(&path)) {
            Ok(bytes) => bytes,
            // Another process may delete files while this one reads them.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{path}: {error}")),
        };
        if let Ok(text) = String::from_utf8(bytes)
            && !text.contains('\0')
        {
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}
