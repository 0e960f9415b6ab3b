//! `cargo xtask corpus`: fetch the large programs that are not committed.
//!
//! xtask/corpus.toml pins each package by version and SHA-256. `npm` fetches it,
//! `tar` unpacks it below corpus-cache/, and a stamp file with the hash makes the
//! next call a no-op. docs/corpus.md says how to run what is there.
//!
//! A package is put together below corpus-cache/downloads/ and moved to its place
//! when it is complete; so what is in its place is always whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::{Outcome, hash, process, repo};

const LIST: &str = "xtask/corpus.toml";
const CACHE: &str = "corpus-cache";
const STAMP: &str = ".stamp";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    package: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    /// Name on the npm registry.
    name: String,
    version: String,
    /// Of the packed package, in hexadecimal.
    sha256: String,
    /// Directory below corpus-cache/.
    directory: String,
    /// Files to keep, as they are called in the package.
    files: Vec<String>,
    /// Archives inside the package to unpack.
    #[serde(default)]
    archives: Vec<Archive>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive {
    /// As it is called in the package.
    file: String,
    /// Directory to unpack it into, below the package's own.
    into: String,
}

/// Fetch the packages of these names or directories, or all.
///
/// # Errors
/// When a name is unknown, `npm` or `tar` is missing or fails, or a hash is not
/// the pinned one.
pub(crate) fn run(names: &[String]) -> Outcome<()> {
    let corpus = Corpus::read()?;
    if let Some(name) = names.iter().find(|name| !corpus.has(name)) {
        let known: Vec<&str> = corpus.package.iter().map(|p| &*p.directory).collect();
        return Err(format!(
            "expected one of {}, found {name}",
            known.join(", ")
        ));
    }
    let cache = repo::root().join(CACHE);
    for package in &corpus.package {
        if !names.is_empty() && !names.iter().any(|name| package.is_called(name)) {
            continue;
        }
        if package.is_complete(&cache.join(&package.directory)) {
            println!("{CACHE}/{}: up to date", package.directory);
            continue;
        }
        package.fetch(&cache)?;
        println!(
            "{CACHE}/{}: fetched {} {}",
            package.directory, package.name, package.version
        );
    }
    Ok(())
}

impl Corpus {
    fn read() -> Outcome<Self> {
        toml::from_str(&repo::read(LIST)?).map_err(|error| format!("{LIST}: {error}"))
    }

    fn has(&self, name: &str) -> bool {
        self.package.iter().any(|package| package.is_called(name))
    }
}

impl Package {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.directory == name
    }

    /// Changes with everything that decides what is unpacked.
    fn stamp(&self) -> String {
        let archives: Vec<String> = self
            .archives
            .iter()
            .map(|a| format!("{} -> {}", a.file, a.into))
            .collect();
        format!(
            "{}\n{}\n{}\n",
            self.sha256,
            self.files.join(" "),
            archives.join(" ")
        )
    }

    fn is_complete(&self, directory: &Path) -> bool {
        let stamp = fs::read_to_string(directory.join(STAMP)).unwrap_or_default();
        let files = self.files.iter().map(|file| base_name(file));
        let unpacked = self.archives.iter().map(|archive| archive.into.as_str());
        stamp == self.stamp()
            && files
                .chain(unpacked)
                .all(|name| directory.join(name).exists())
    }

    fn fetch(&self, cache: &Path) -> Outcome<()> {
        let downloads = cache.join("downloads").join(&self.directory);
        // What an interrupted call left.
        remove(&downloads)?;
        create(&downloads)?;
        let fetched = self.fetch_into(&downloads, &cache.join(&self.directory));
        let removed = remove(&downloads);
        fetched.and(removed)
    }

    fn fetch_into(&self, downloads: &Path, place: &Path) -> Outcome<()> {
        let tarball = self.download(downloads)?;
        self.check(&tarball)?;
        let whole = downloads.join("whole");
        create(&whole)?;
        for file in &self.files {
            unpack(&tarball, &whole, Some(file))?;
        }
        for archive in &self.archives {
            unpack(&tarball, downloads, Some(&archive.file))?;
            let into = whole.join(&archive.into);
            create(&into)?;
            unpack(&downloads.join(base_name(&archive.file)), &into, None)?;
        }
        let stamp = whole.join(STAMP);
        fs::write(&stamp, self.stamp()).map_err(|error| format!("{}: {error}", stamp.display()))?;
        remove(place)?;
        fs::rename(&whole, place).map_err(|error| format!("{}: {error}", place.display()))
    }

    fn download(&self, into: &Path) -> Outcome<PathBuf> {
        let package = format!("{}@{}", self.name, self.version);
        let mut npm = Command::new("npm");
        npm.current_dir(into)
            .args(["pack", "--loglevel=error", &package]);
        let printed = process::read(&mut npm).map_err(|error| {
            format!("{error}\n{package} was not fetched: this needs npm and a network")
        })?;
        Ok(into.join(printed.lines().last().unwrap_or_default().trim()))
    }

    /// The hash is checked before anything is unpacked.
    fn check(&self, tarball: &Path) -> Outcome<()> {
        let bytes = fs::read(tarball).map_err(|error| format!("{}: {error}", tarball.display()))?;
        let found = hash::sha256(&bytes);
        if found == self.sha256 {
            return Ok(());
        }
        Err(format!(
            "{} {}: expected SHA-256 {}, found {found}",
            self.name, self.version, self.sha256
        ))
    }
}

fn create(directory: &Path) -> Outcome<()> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))
}

/// Remove a directory, if it is there.
fn remove(directory: &Path) -> Outcome<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", directory.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Unpack one file of an archive, without its directories, or all of it with them.
fn unpack(archive: &Path, into: &Path, file: Option<&String>) -> Outcome<()> {
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(into);
    if let Some(file) = file {
        let depth = file.matches('/').count();
        tar.arg(format!("--strip-components={depth}")).arg(file);
    }
    process::run(&mut tar)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Manifest {
        program: Vec<Program>,
    }

    #[derive(Deserialize)]
    struct Program {
        module: String,
    }

    #[test]
    fn the_list_is_well_formed() {
        for package in &Corpus::read().unwrap().package {
            assert_eq!(package.sha256.len(), 64, "{}", package.name);
            assert!(
                package.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{}",
                package.name
            );
        }
    }

    #[test]
    fn the_benchmark_corpus_is_what_is_fetched() {
        let packages = Corpus::read().unwrap().package;
        let fetched: Vec<String> = packages
            .iter()
            .flat_map(|p| p.files.iter().map(move |f| (p, base_name(f))))
            .map(|(p, file)| format!("../../{CACHE}/{}/{file}", p.directory))
            .collect();
        let manifest = repo::read("benches/workloads/corpus.toml").unwrap();
        let manifest: Manifest = toml::from_str(&manifest).unwrap();
        for Program { module } in &manifest.program {
            assert!(fetched.contains(module), "{module} is not fetched");
        }
    }

    #[test]
    fn base_names() {
        for (path, name) in [("package/gen/a.wasm", "a.wasm"), ("a", "a"), ("a/", "")] {
            assert_eq!(base_name(path), name, "{path}");
        }
    }
}
