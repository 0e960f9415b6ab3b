//! Who may depend on whom: the arrows of docs/architecture.md.
//!
//! Arrows between our own crates are an allow list, which must name every
//! member. Dependencies from outside are free but for the families that belong
//! to one layer: a compiler library in the runtime would be an arrow that went
//! around the list.

use serde::Deserialize;

use super::Problem;
use crate::{Outcome, process, repo};

/// A member of the workspace and the members it may depend on, also in tests.
const ARROWS: [(&str, &[&str]); 14] = [
    ("upshift-module", &[]),
    ("upshift-abi", &["upshift-module"]),
    ("upshift-baseline", &["upshift-module", "upshift-abi"]),
    ("upshift-optimizing", &["upshift-module", "upshift-abi"]),
    ("upshift-runtime", &["upshift-module", "upshift-abi"]),
    (
        "upshift-tiering",
        &["upshift-module", "upshift-abi", "upshift-runtime"],
    ),
    (
        "upshift",
        &[
            "upshift-module",
            "upshift-abi",
            "upshift-baseline",
            "upshift-optimizing",
            "upshift-runtime",
            "upshift-tiering",
        ],
    ),
    ("upshift-wasi", &["upshift"]),
    ("upshift-wast", &["upshift"]),
    ("upshift-plot", &[]),
    (
        "upshift-cli",
        &["upshift", "upshift-plot", "upshift-wasi", "upshift-wast"],
    ),
    (
        "upshift-bench",
        &["upshift", "upshift-plot", "upshift-wasi"],
    ),
    (
        "upshift-spec-tests",
        &["upshift", "upshift-wasi", "upshift-wast"],
    ),
    ("xtask", &[]),
];

/// Outside packages (by the start of their name) and the only members that may
/// use them outside tests. This keeps Cranelift and dynasm out of the public
/// API, addresses out of upshift-module, and the system out of the compilers.
const HOMES: [(&str, &[&str]); 9] = [
    ("cranelift-", &["upshift-optimizing"]),
    ("dynasm", &["upshift-baseline", "upshift-runtime"]),
    ("wasmparser", &["upshift-module"]),
    ("region", &["upshift-runtime"]),
    (
        "libc",
        &[
            "upshift-runtime",
            "upshift",
            "upshift-wasi",
            "upshift-cli",
            "upshift-bench",
        ],
    ),
    (
        "rustix",
        &[
            "upshift-runtime",
            "upshift-tiering",
            "upshift",
            "upshift-wasi",
            "upshift-cli",
            "upshift-bench",
        ],
    ),
    ("wasi-common", &["upshift-wasi"]),
    ("wiggle", &["upshift-wasi"]),
    ("wasmtime", &["upshift-bench"]),
];

const FEATURES_MAX: usize = 5;

/// A member of the workspace, as `cargo metadata` tells it.
#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    dependencies: Vec<Dependency>,
    features: std::collections::BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// None, "dev" or "build".
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// The members of the workspace.
///
/// # Errors
/// When `cargo metadata` fails.
pub(super) fn read_packages() -> Outcome<Vec<Package>> {
    let mut cargo = repo::cargo();
    cargo.args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ]);
    let text = process::read(&mut cargo)?;
    let metadata: Metadata =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(metadata.packages)
}

pub(super) fn check(packages: &[Package]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in packages {
        match ARROWS.iter().find(|(name, _)| *name == package.name) {
            Some((_, allowed)) => check_arrows(package, allowed, &mut problems),
            None => problems.push(at_manifest(
                package,
                "expected a row in ARROWS of xtask's tidy, found none",
            )),
        }
        let features = package
            .features
            .keys()
            .filter(|name| *name != "default")
            .count();
        if features > FEATURES_MAX {
            let message = format!("expected at most {FEATURES_MAX} features, found {features}");
            problems.push(at_manifest(package, &message));
        }
    }
    for (name, _) in ARROWS {
        if !packages.iter().any(|package| package.name == name) {
            problems.push(Problem::new(
                "Cargo.toml",
                0,
                format!("expected the member {name}, found none"),
            ));
        }
    }
    problems
}

fn check_arrows(package: &Package, allowed: &[&str], problems: &mut Vec<Problem>) {
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let ours = ARROWS.iter().any(|(member, _)| *member == name);
        // A crate's tests may use the crate itself with other features.
        if ours && name != package.name && !allowed.contains(&name) {
            let message = format!("expected dependencies among {allowed:?}, found {name}");
            problems.push(at_manifest(package, &message));
        }
        let home = HOMES.iter().find(|(family, _)| name.starts_with(family));
        if let Some((family, homes)) = home
            && dependency.kind.as_deref() != Some("dev")
            && !homes.contains(&package.name.as_str())
        {
            let message = format!("expected {family}* only in {homes:?}, found {name}");
            problems.push(at_manifest(package, &message));
        }
    }
}

fn at_manifest(package: &Package, message: &str) -> Problem {
    Problem::new(
        "Cargo.toml",
        0,
        format!("package {}: {message}", package.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)], features: usize) -> Package {
        Package {
            name: name.to_owned(),
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency {
                    name: (*name).to_owned(),
                    kind: kind.map(str::to_owned),
                })
                .collect(),
            features: (0..features)
                .map(|i| (format!("f{i}"), Vec::new()))
                .collect(),
        }
    }

    /// All members without dependencies, with `changed` in its place.
    fn workspace(changed: Package) -> Vec<Package> {
        let mut packages: Vec<Package> = ARROWS
            .iter()
            .map(|(name, _)| package(name, &[], 0))
            .collect();
        packages.retain(|package| package.name != changed.name);
        packages.push(changed);
        packages
    }

    #[test]
    fn arrows_point_down() {
        let cases: &[(&str, &str, Option<&str>, usize)] = &[
            ("upshift-abi", "upshift-module", None, 0),
            ("upshift-module", "upshift-abi", None, 1),
            ("upshift-baseline", "upshift-optimizing", None, 1),
            ("upshift-optimizing", "upshift-baseline", Some("dev"), 1),
            ("upshift-baseline", "upshift-runtime", Some("dev"), 1),
            ("upshift-runtime", "upshift-baseline", None, 1),
            ("upshift-tiering", "upshift-optimizing", Some("dev"), 1),
            ("upshift-tiering", "upshift-runtime", None, 0),
            ("upshift", "upshift-baseline", None, 0),
            ("upshift", "upshift-wasi", None, 1),
            ("upshift", "cranelift-codegen", None, 1),
            ("upshift-optimizing", "cranelift-codegen", None, 0),
            ("upshift-optimizing", "dynasmrt", None, 1),
            ("upshift-module", "libc", None, 1),
            ("upshift-module", "libc", Some("dev"), 0),
            ("upshift-cli", "upshift-module", None, 1),
            ("upshift-cli", "upshift-cli", Some("dev"), 0),
            ("upshift-unknown", "serde", None, 1),
        ];
        for (name, dependency, kind, expected) in cases {
            let found = check(&workspace(package(name, &[(dependency, *kind)], 0)));
            assert_eq!(found.len(), *expected, "{name} -> {dependency}: {found:?}");
        }
    }

    #[test]
    fn features_are_few() {
        for (features, expected) in [(0, 0), (5, 0), (6, 1)] {
            assert_eq!(
                check(&workspace(package("upshift", &[], features))).len(),
                expected
            );
        }
    }

    #[test]
    fn a_missing_member_is_a_problem() {
        let mut packages = workspace(package("upshift", &[], 0));
        packages.retain(|package| package.name != "upshift-wast");
        assert_eq!(check(&packages).len(), 1);
    }
}
