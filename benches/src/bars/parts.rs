//! What is measured together: engines and programs, interleaved in rounds.

use crate::available;
use crate::engine::Engine;
use crate::manifest::{self, Program};
use crate::measure::Setup;
use crate::run::{Plan, Rounds, begin};
use crate::schema::RunFile;
use std::path::Path;
use std::time::Duration;

/// Engines and programs that are measured in one interleaved run.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) engines: &'static str,
    /// The programs; modules that no manifest has are written to the directory.
    pub(super) programs: fn(&Path) -> Result<Vec<Program>, String>,
    pub(super) size: Size,
    pub(super) rounds: Count,
    pub(super) load_only: bool,
    /// Runs in one process.
    pub(super) iterations: u32,
    /// In MB per second, if modules are loaded while they arrive.
    pub(super) stream: Option<u32>,
    /// From how many threads the exports are called, instead of running the program.
    pub(super) threads: Option<u32>,
    /// Whether samples may fail, which the rows tell.
    pub(super) may_fail: bool,
}

/// At which size programs are run that have several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    /// None of them has.
    Only,
    /// Always at this one.
    Always(&'static str),
    /// At this one, if it is among those that the user wants.
    IfWanted(&'static str),
    /// At the largest that the user wants.
    Largest,
}

/// How many rounds there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Count {
    /// As many as the user wants.
    Asked,
    /// So many times that.
    Times(u32),
    /// One, since what is measured hardly varies.
    One,
}

/// What a user can change.
pub(super) struct Order<'a> {
    pub(super) samples: u32,
    /// Sizes of the suite's programs.
    pub(super) sizes: &'a [String],
    pub(super) timeout: Duration,
}

/// Sizes of the suite, the smallest first.
const SIZES: [&str; 3] = ["test", "train", "ref"];

impl Part {
    /// One run of programs that no manifest has.
    pub(super) const DEFAULT: Self = Self {
        name: "",
        engines: "",
        programs: |_| Ok(Vec::new()),
        size: Size::Only,
        rounds: Count::Asked,
        load_only: false,
        iterations: 1,
        stream: None,
        threads: None,
        may_fail: false,
    };

    /// The size that it is measured at; none if the user does not want any of it.
    pub(super) fn size<'a>(&self, wanted: &'a [String]) -> Option<&'a str> {
        match self.size {
            Size::Only => Some(SIZES[0]),
            Size::Always(size) => Some(size),
            Size::IfWanted(size) => wanted.iter().any(|other| other == size).then_some(size),
            Size::Largest => {
                let rank = |size: &&String| SIZES.iter().position(|known| known == size);
                wanted.iter().max_by_key(rank).map(String::as_str)
            }
        }
    }

    /// Takes the samples.
    ///
    /// # Errors
    /// After Ctrl-C, or if nothing of it can be measured here, or the samples cannot be written.
    pub(super) fn measure(
        &self,
        order: &Order<'_>,
        keep: &dyn Fn(&RunFile) -> Result<(), String>,
    ) -> Result<RunFile, String> {
        let scratch =
            tempfile::tempdir().map_err(|error| format!("temporary directory: {error}"))?;
        let engines = available::checked(&Engine::parse_list(self.engines)?);
        let size = self
            .size(order.sizes)
            .ok_or_else(|| format!("not at size {}", order.sizes.join(" or ")))?;
        let programs = (self.programs)(scratch.path())?;
        let plan = Plan::new(engines, programs, size, self.load_only)?;
        plan.tell_skipped();
        let mut run = begin(&plan, None)?;
        let setup = Setup {
            iterations: self.iterations,
            load_only: self.load_only,
            stream: self.stream,
            threads: self.threads,
            timeout: order.timeout,
            ..Setup::default()
        };
        let rounds = Rounds {
            setup: &setup,
            least: match self.rounds {
                Count::Asked => order.samples,
                Count::Times(times) => order.samples.saturating_mul(times),
                Count::One => 1,
            },
            time: None,
            warm_up: false,
            keep,
        };
        rounds.take(plan, &mut run)?;
        Ok(run)
    }
}

/// Programs of the suite and the corpora.
pub(super) fn listed(wanted: impl Fn(&Program) -> bool) -> Result<Vec<Program>, String> {
    let mut programs = manifest::load(&[])?;
    programs.retain(wanted);
    Ok(programs)
}

/// The programs of the suite.
pub(super) fn suite(_: &Path) -> Result<Vec<Program>, String> {
    manifest::load(&[manifest::suite()])
}

/// A program of a module that no manifest has.
pub(super) fn made(scratch: &Path, name: &str, bytes: &[u8]) -> Result<Program, String> {
    let text = !bytes.starts_with(b"\0");
    let path = scratch.join(format!("{name}.{}", if text { "wat" } else { "wasm" }));
    std::fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Program::of_file(&path))
}

#[cfg(test)]
mod tests {
    use super::{Part, Size};

    #[test]
    fn sizes() {
        let check = |size: Size, wanted: &str, expected: Option<&str>| {
            let wanted: Vec<String> = wanted.split(',').map(str::to_owned).collect();
            let part = Part {
                size,
                ..Part::DEFAULT
            };
            assert_eq!(part.size(&wanted), expected, "{size:?} of {wanted:?}");
        };
        check(Size::Only, "train", Some("test"));
        check(Size::Always("test"), "ref", Some("test"));
        check(Size::IfWanted("ref"), "test,train", None);
        check(Size::IfWanted("ref"), "test,ref", Some("ref"));
        check(Size::Largest, "train,test", Some("train"));
        check(Size::Largest, "ref,test", Some("ref"));
    }
}
