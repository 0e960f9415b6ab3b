//! The engines that can be compared, by the names of the command line.
//!
//! A name is a family, then what distinguishes the configuration, then `@1` if compiling is to happen
//! on one thread: `upshift/dynamic/lazy`, `wasmtime/cranelift@1`, `v8/liftoff`, `native`.

use std::fmt;
use std::str::FromStr;
use upshift::{CompileMode, TierPolicy};

/// One engine in one configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Engine {
    pub(crate) kind: Kind,
    /// Whether it compiles on one thread only.
    pub(crate) one_thread: bool,
}

/// Which engine, and how it compiles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    /// Ours, in the process of the sample.
    Upshift(TierPolicy, CompileMode),
    /// Ours: baseline code that counts as under [`TierPolicy::Dynamic`], and nothing that comes of it. What counting costs.
    Counted(CompileMode),
    /// The program compiled for this machine by a C compiler, or the binary that the manifest names.
    Native(Native),
    /// Wasmtime, in the process of the sample.
    Wasmtime(Strategy),
    /// The interpreter wasmi, in the process of the sample.
    Wasmi,
    /// V8, in a `node` process.
    V8(JsTiers),
    /// JavaScriptCore, in a `jsc` or `bun` process.
    Jsc(JsTiers),
}

/// How a native program is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Native {
    /// `-O2`.
    Default,
    /// `-O2` without automatic vectorization, which WebAssembly compiled without SIMD has no means to do.
    Scalar,
}

/// The compilers of Wasmtime.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Strategy {
    Cranelift,
    Winch,
}

/// Which tiers of a browser's engine may run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum JsTiers {
    /// As it comes.
    Default,
    /// Liftoff; BBQ.
    Baseline,
    /// TurboFan; OMG.
    Optimizing,
}

/// The names of every configuration, without `@1`.
const NAMES: [(&str, Kind); 21] = [
    (
        "upshift/dynamic/lazy",
        Kind::Upshift(TierPolicy::Dynamic, CompileMode::Lazy),
    ),
    (
        "upshift/dynamic/eager",
        Kind::Upshift(TierPolicy::Dynamic, CompileMode::Eager),
    ),
    (
        "upshift/eager/lazy",
        Kind::Upshift(TierPolicy::Eager, CompileMode::Lazy),
    ),
    (
        "upshift/eager/eager",
        Kind::Upshift(TierPolicy::Eager, CompileMode::Eager),
    ),
    (
        "upshift/baseline/lazy",
        Kind::Upshift(TierPolicy::Baseline, CompileMode::Lazy),
    ),
    (
        "upshift/baseline/eager",
        Kind::Upshift(TierPolicy::Baseline, CompileMode::Eager),
    ),
    (
        "upshift/optimizing/lazy",
        Kind::Upshift(TierPolicy::Optimizing, CompileMode::Lazy),
    ),
    (
        "upshift/optimizing/eager",
        Kind::Upshift(TierPolicy::Optimizing, CompileMode::Eager),
    ),
    ("upshift/counted/lazy", Kind::Counted(CompileMode::Lazy)),
    ("upshift/counted/eager", Kind::Counted(CompileMode::Eager)),
    ("native", Kind::Native(Native::Default)),
    ("native/scalar", Kind::Native(Native::Scalar)),
    ("wasmtime/cranelift", Kind::Wasmtime(Strategy::Cranelift)),
    ("wasmtime/winch", Kind::Wasmtime(Strategy::Winch)),
    ("wasmi", Kind::Wasmi),
    ("v8", Kind::V8(JsTiers::Default)),
    ("v8/liftoff", Kind::V8(JsTiers::Baseline)),
    ("v8/turbofan", Kind::V8(JsTiers::Optimizing)),
    ("jsc", Kind::Jsc(JsTiers::Default)),
    ("jsc/bbq", Kind::Jsc(JsTiers::Baseline)),
    ("jsc/omg", Kind::Jsc(JsTiers::Optimizing)),
];

impl Engine {
    /// Every configuration, on all threads.
    pub(crate) fn all() -> Vec<Self> {
        let all_threads = |(_, kind)| Self {
            kind,
            one_thread: false,
        };
        NAMES.into_iter().map(all_threads).collect()
    }

    /// The engines of a list like `upshift,native,wasmtime/winch@1`. Besides the names of single configurations
    /// the names of families stand for all their configurations: `upshift`, `wasmtime`, `v8-all`, `jsc-all`, `peers`
    /// (all but ours) and `all`, also with `@1`. None of them has `upshift/counted`, which nobody would run. Each comes once, in the
    /// order of the list.
    ///
    /// # Errors
    /// Says which name is unknown, and which there are.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut engines: Vec<Self> = Vec::new();
        for name in text.split(',').map(str::trim) {
            for engine in Self::parse_group(name)? {
                if !engines.contains(&engine) {
                    engines.push(engine);
                }
            }
        }
        Ok(engines)
    }

    fn parse_group(text: &str) -> Result<Vec<Self>, String> {
        let (name, one_thread) = split_threads(text);
        let of_family = |wanted: fn(Kind) -> bool| -> Vec<Self> {
            let kinds = NAMES.into_iter().map(|(_, kind)| kind);
            let kinds = kinds.filter(|kind| wanted(*kind));
            kinds.map(|kind| Self { kind, one_thread }).collect()
        };
        Ok(match name {
            "all" => of_family(|kind| !matches!(kind, Kind::Counted(_))),
            "peers" => of_family(|kind| !matches!(kind, Kind::Upshift(..) | Kind::Counted(_))),
            "upshift" => of_family(|kind| matches!(kind, Kind::Upshift(..))),
            "wasmtime" => of_family(|kind| matches!(kind, Kind::Wasmtime(_))),
            "v8-all" => of_family(|kind| matches!(kind, Kind::V8(_))),
            "jsc-all" => of_family(|kind| matches!(kind, Kind::Jsc(_))),
            _ => vec![text.parse()?],
        })
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, one_thread) = split_threads(text);
        match NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, kind)) => Ok(Self {
                kind: *kind,
                one_thread,
            }),
            None => {
                let known = NAMES.map(|(name, _)| name).join(", ");
                Err(format!(
                    "expected an engine (one of {known}; with @1 for one compile thread), found {text:?}"
                ))
            }
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| *kind == self.kind);
        let (name, _) = name.expect("every kind has a row in NAMES");
        let threads = if self.one_thread { "@1" } else { "" };
        write!(f, "{name}{threads}")
    }
}

fn split_threads(text: &str) -> (&str, bool) {
    match text.strip_suffix("@1") {
        Some(name) => (name, true),
        None => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::Engine;

    #[test]
    fn names() {
        let check = |list: &str, expected: &str| {
            let engines = Engine::parse_list(list).expect(list);
            let names: Vec<String> = engines.iter().map(Engine::to_string).collect();
            assert_eq!(names.join(" "), expected);
        };
        check("native", "native");
        check("v8@1,v8/liftoff, v8-all", "v8@1 v8/liftoff v8 v8/turbofan");
        check("upshift/counted/lazy", "upshift/counted/lazy");
        check("wasmtime@1", "wasmtime/cranelift@1 wasmtime/winch@1");
        for engine in Engine::all() {
            assert_eq!(engine.to_string().parse(), Ok(engine));
        }
        for group in ["all", "upshift", "peers"] {
            let engines = Engine::parse_list(group).expect(group);
            assert!(
                engines
                    .iter()
                    .all(|engine| !engine.to_string().contains("counted"))
            );
        }
        let error = Engine::parse_list("native,v9").expect_err("v9");
        assert!(
            error.contains("found \"v9\"") && error.contains("v8/liftoff"),
            "{error}"
        );
    }
}
