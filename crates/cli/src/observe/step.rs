//! What is kept of an event: the same in memory, in a trace file, and in what is read back from one.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use upshift::{Event, EventKind, SkipReason, Tier, TierErrorKind};

/// A function: number of its module, and index.
pub(crate) type Key = (u64, u32);

/// Which compiler.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum By {
    Baseline,
    Optimizing,
}

impl By {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Baseline => Tier::Baseline.name(),
            Self::Optimizing => Tier::Optimizing.name(),
        }
    }
}

impl From<Tier> for By {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Baseline => Self::Baseline,
            Tier::Optimizing => Self::Optimizing,
        }
    }
}

/// What happened; times in microseconds, sizes in bytes. Loops are named by their site.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    FirstCompiled {
        tier: By,
        code_bytes: u32,
        compile_us: f64,
    },
    /// Without a site: by the policy.
    Requested {
        site: Option<u32>,
        priority: u64,
    },
    Raised {
        priority: u64,
    },
    Started {
        waited_us: f64,
    },
    Finished {
        code_bytes: u32,
        compile_us: f64,
    },
    Inlined {
        callee: u32,
    },
    Installed {
        tier: By,
    },
    Retired {
        tier: By,
        code_bytes: u32,
    },
    Freed {
        tier: By,
        code_bytes: u32,
    },
    OsrRequested {
        site: u32,
        priority: u64,
    },
    OsrStarted {
        site: u32,
        waited_us: f64,
    },
    OsrCompiled {
        site: u32,
        code_bytes: u32,
        compile_us: f64,
    },
    OsrEntered {
        site: u32,
    },
    OsrRefused {
        site: u32,
        why: String,
    },
    Skipped {
        why: String,
    },
    Failed {
        tier: By,
        why: String,
    },
}

/// Something that happened to a function.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Step {
    /// When, in microseconds since the engine was made.
    pub(crate) at_us: f64,
    /// On which of the recording's threads.
    pub(crate) thread: u32,
    pub(crate) func: Key,
    pub(crate) what: What,
}

/// What is known of a function besides.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct About {
    /// From the names section.
    pub(crate) name: Option<String>,
    /// Size of its body in the module; 0 if that is not known.
    pub(crate) wasm_bytes: u32,
}

/// Everything that is kept of a run.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Recording {
    /// In the order of time.
    pub(crate) steps: Vec<Step>,
    /// Names of threads.
    pub(crate) threads: Vec<String>,
    pub(crate) funcs: BTreeMap<Key, About>,
    /// Steps that there was no room for.
    pub(crate) lost: u64,
    /// When the run ended, in microseconds since the engine was made.
    pub(crate) end_us: f64,
}

impl Recording {
    /// What a function is called.
    pub(crate) fn name(&self, func: Key) -> String {
        let name = self.funcs.get(&func).and_then(|about| about.name.clone());
        name.unwrap_or_else(|| format!("func {}", func.1))
    }
}

/// Microseconds to the nanosecond.
#[expect(clippy::cast_precision_loss, reason = "2^53 ns are a hundred days")]
pub(crate) fn micros(time: std::time::Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}

/// What is kept of an event; none for those that tell nothing new.
pub(crate) fn what(event: &Event) -> Option<What> {
    Some(match event.kind {
        EventKind::FunctionValidated { .. } | EventKind::Published { .. } => return None,
        EventKind::FirstCompiled {
            tier,
            code_bytes,
            compile,
        } => What::FirstCompiled {
            tier: tier.into(),
            code_bytes,
            compile_us: micros(compile),
        },
        EventKind::TierRequested { site, priority } => What::Requested {
            site: site.map(|site| site.0),
            priority,
        },
        EventKind::PriorityRaised { priority } => What::Raised { priority },
        EventKind::JobStarted { waited } => What::Started {
            waited_us: micros(waited),
        },
        EventKind::JobFinished {
            code_bytes,
            compile,
        } => What::Finished {
            code_bytes,
            compile_us: micros(compile),
        },
        EventKind::Inlined { callee } => What::Inlined { callee: callee.0 },
        EventKind::Installed { tier } => What::Installed { tier: tier.into() },
        EventKind::CodeRetired { tier, code_bytes } => What::Retired {
            tier: tier.into(),
            code_bytes,
        },
        EventKind::CodeFreed { tier, code_bytes } => What::Freed {
            tier: tier.into(),
            code_bytes,
        },
        EventKind::JobSkipped { reason } => What::Skipped {
            why: skip_text(reason).to_owned(),
        },
        EventKind::Failed { tier, kind } => What::Failed {
            tier: tier.into(),
            why: error_text(kind).to_owned(),
        },
        EventKind::OsrRequested { .. }
        | EventKind::OsrStarted { .. }
        | EventKind::OsrCompiled { .. }
        | EventKind::OsrEntered { .. }
        | EventKind::OsrRefused { .. } => return loop_step(&event.kind),
    })
}

fn loop_step(kind: &EventKind) -> Option<What> {
    Some(match *kind {
        EventKind::OsrRequested { site, priority } => What::OsrRequested {
            site: site.0,
            priority,
        },
        EventKind::OsrStarted { site, waited } => What::OsrStarted {
            site: site.0,
            waited_us: micros(waited),
        },
        EventKind::OsrCompiled {
            site,
            code_bytes,
            compile,
        } => What::OsrCompiled {
            site: site.0,
            code_bytes,
            compile_us: micros(compile),
        },
        EventKind::OsrEntered { site } => What::OsrEntered { site: site.0 },
        EventKind::OsrRefused { site, kind } => What::OsrRefused {
            site: site.0,
            why: error_text(kind).to_owned(),
        },
        EventKind::FunctionValidated { .. }
        | EventKind::FirstCompiled { .. }
        | EventKind::TierRequested { .. }
        | EventKind::PriorityRaised { .. }
        | EventKind::JobStarted { .. }
        | EventKind::JobFinished { .. }
        | EventKind::Inlined { .. }
        | EventKind::Published { .. }
        | EventKind::Installed { .. }
        | EventKind::CodeRetired { .. }
        | EventKind::CodeFreed { .. }
        | EventKind::JobSkipped { .. }
        | EventKind::Failed { .. } => return None,
    })
}

fn skip_text(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::TooLarge => "the body is too large",
        SkipReason::NoWorker => "no thread to compile on",
        SkipReason::ModuleDropped => "the module was dropped",
    }
}

fn error_text(kind: TierErrorKind) -> &'static str {
    match kind {
        TierErrorKind::Limit => "beyond a limit of the compiler",
        TierErrorKind::Unsupported => "not covered by the compiler",
        TierErrorKind::Resource => "no room for code",
        TierErrorKind::Internal => "a bug in the compiler",
    }
}
