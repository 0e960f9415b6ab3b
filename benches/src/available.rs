//! Which engines can be measured on this machine, and in which version.

use crate::engine::{Engine, Kind};
use crate::native;
use crate::sample::js;

/// Why engines that are crates are not here.
pub(crate) const NO_PEERS: &str = "built without the feature `peers`";

/// As in the workspace's Cargo.toml, where a test compares them: the crates do not tell.
const WASMTIME: &str = "48.0.8";
const WASMI: &str = "2.0.0";

/// The version of an engine.
///
/// # Errors
/// Why it cannot be measured here, in a few words.
pub(crate) fn check(engine: Engine) -> Result<String, String> {
    let peer = |version: &str| {
        if cfg!(feature = "peers") {
            Ok(version.to_owned())
        } else {
            Err(NO_PEERS.to_owned())
        }
    };
    match engine.kind {
        // The engine and the harness have the version of the workspace.
        Kind::Upshift(..) | Kind::Counted(_) => Ok(env!("CARGO_PKG_VERSION").to_owned()),
        Kind::Native(_) => native::compiler_version(),
        Kind::Wasmtime(_) => peer(WASMTIME),
        Kind::Wasmi => peer(WASMI),
        Kind::V8(tiers) => js::v8(tiers, engine.one_thread)?.version(),
        Kind::Jsc(tiers) => js::jsc(tiers, engine.one_thread)?.version(),
    }
}

/// Engines, each with its version or why it is not here.
pub(crate) fn checked(engines: &[Engine]) -> Vec<(Engine, Result<String, String>)> {
    let engines = engines.iter();
    engines.map(|engine| (*engine, check(*engine))).collect()
}

/// `upshift-bench engines`.
pub(crate) fn list() -> Result<(), String> {
    use std::io::Write as _;
    let engines = Engine::all();
    let names: Vec<String> = engines.iter().map(Engine::to_string).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    for (engine, name) in engines.into_iter().zip(names) {
        let line = match check(engine) {
            Ok(version) => version,
            Err(reason) => format!("not here: {reason}"),
        };
        writeln!(out, "{name:<width$}  {line}").map_err(|e| format!("standard output: {e}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{WASMI, WASMTIME, check};

    #[test]
    fn versions_are_those_of_the_manifest() {
        let text = include_str!("../../Cargo.toml");
        let manifest: toml::Table = text.parse().expect("a manifest");
        let dependencies = &manifest["workspace"]["dependencies"];
        for (name, version) in [("wasmtime", WASMTIME), ("wasmi2", WASMI)] {
            let expected = format!("={version}");
            assert_eq!(dependencies[name]["version"].as_str(), Some(&*expected));
        }
    }

    #[test]
    fn ours_is_here() {
        let engine = "upshift/dynamic/lazy".parse().expect("an engine");
        assert_eq!(check(engine).as_deref(), Ok(env!("CARGO_PKG_VERSION")));
        if !cfg!(feature = "peers") {
            let engine = "wasmi".parse().expect("an engine");
            let reason = check(engine).expect_err("no peers");
            assert!(reason.contains("peers"), "{reason}");
        }
    }
}
