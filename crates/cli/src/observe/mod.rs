//! What tier-up did, made visible: `--stats`, `--trace-tiering`, `--profile` and `upshift tiers`.
//!
//! A [`Recorder`] is the engine's event sink and keeps [`Step`](step::Step)s. At the end of the run, however it ends, they become
//! a [`trace`] file, or [`history`] by function, which [`tiers`] prints and draws. A trace file holds every step, so `tiers` takes
//! one as well.

mod history;
mod output;
mod record;
mod stats;
mod step;
mod tiers;
mod trace;

pub(crate) use stats::print_stats;
pub(crate) use tiers::{TiersOptions, ViewOptions, tiers};

use crate::args::RunOptions;
use crate::out::err;
use crate::progress::Progress;
use clap::{Args, ValueEnum};
use output::Output;
use record::Recorder;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tiers::View;
use trace::Phase;
use upshift::{Config, Error, ErrorKind, ProfilingStrategy};

/// What is recorded of a run.
#[derive(Args, Clone, Debug)]
pub(crate) struct ObserveOptions {
    /// Write all steps of tier-up to this file, for Perfetto or `upshift tiers`.
    #[arg(long, value_name = "FILE")]
    trace_tiering: Option<PathBuf>,
    /// Tell profilers the names of functions, with their tiers.
    #[arg(long, value_enum, value_name = "FORMAT")]
    profile: Option<ProfileArg>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum ProfileArg {
    /// Write /tmp/perf-PID.map: names and addresses.
    #[value(name = "perfmap")]
    PerfMap,
    /// Write jit-PID.dump here: names, addresses, code and times.
    #[value(name = "jitdump")]
    JitDump,
}

impl ObserveOptions {
    /// Asks for what profilers need.
    pub(crate) fn profile(&self, config: &mut Config) {
        config.profiler(match self.profile {
            None => ProfilingStrategy::None,
            Some(ProfileArg::PerfMap) => ProfilingStrategy::PerfMap,
            Some(ProfileArg::JitDump) => ProfilingStrategy::JitDump,
        });
    }
}

/// Somebody who watches a run.
#[derive(Debug)]
pub(crate) struct Watch {
    recorder: Arc<Recorder>,
    /// About when the engine was made.
    epoch: Instant,
    program: String,
    trace: Option<Output>,
    view: Option<View>,
}

impl Watch {
    /// Opens what is to be written, and has the engine tell of its steps; none if nobody asks. The engine is made next.
    ///
    /// # Errors
    /// Kind `Io` if a file cannot be written.
    pub(crate) fn new(
        options: &RunOptions,
        view: Option<&ViewOptions>,
        config: &mut Config,
    ) -> Result<Option<Self>, Error> {
        let trace = &options.observe.trace_tiering;
        if view.is_none() && trace.is_none() {
            return Ok(None);
        }
        let input = options.file();
        let trace_output = trace.as_ref().map(|file| Output::open(file, input));
        let view_output = view.map(|view| View::new(view, input));
        let watch = Self {
            recorder: Arc::default(),
            epoch: Instant::now(),
            program: program(input),
            trace: trace_output.transpose()?,
            view: view_output.transpose()?,
        };
        if let (Some(trace), Some(svg)) = (trace, view.and_then(|view| view.svg.as_ref()))
            && let (Ok(one), Ok(other)) = (trace.canonicalize(), svg.canonicalize())
            && one == other
        {
            let message = format!(
                "{}: the trace and the picture cannot both go there",
                svg.display()
            );
            return Err(Error::with_kind(ErrorKind::Io, message));
        }
        config.events(Arc::<Recorder>::clone(&watch.recorder));
        Ok(Some(watch))
    }

    /// Writes and prints what was asked for. The guest has stopped, or never will.
    pub(crate) fn finish(&self, progress: &Progress) {
        let end = Instant::now();
        let since = |at: Instant| step::micros(at.saturating_duration_since(self.epoch));
        let recording = self
            .recorder
            .recording(progress.module.as_ref(), since(end));
        if let Some(trace) = &self.trace {
            let begins = progress.marks.iter();
            let ends = progress.marks.iter().skip(1).map(|mark| mark.1);
            let phases: Vec<Phase> = begins
                .zip(ends.chain([end]))
                .filter(|((name, _), _)| *name != END)
                .map(|(&(name, from), to)| Phase {
                    name,
                    from_us: since(from),
                    to_us: since(to),
                })
                .collect();
            let about = (self.program.as_str(), phases.as_slice());
            if let Err(error) = trace.write(|out| trace::write(out, &recording, about)) {
                err(format_args!("upshift: {error}"));
            }
        }
        if let Some(view) = &self.view {
            // It says itself what it could not write.
            let _ = view.show(&recording);
        }
    }
}

/// The phase after the last.
pub(crate) const END: &str = "end";

fn program(file: &Path) -> String {
    let name = file.file_name().unwrap_or(file.as_os_str());
    name.to_string_lossy().into_owned()
}
