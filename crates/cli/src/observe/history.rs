//! What became of each function: steps, put together.

use super::step::{By, Key, Recording, Step, What};
use std::collections::BTreeMap;
use upshift_plot::timeline::{Code, Life, Step as Point};

/// A compile, with times in microseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Compile {
    pub(crate) tier: By,
    /// When it ended.
    pub(crate) at_us: f64,
    pub(crate) took_us: f64,
    pub(crate) code_bytes: u32,
}

/// A loop that was to be entered in the middle.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Loop {
    pub(crate) requested_us: Option<f64>,
    pub(crate) compiled: Option<Compile>,
    /// How often it was entered, and when first.
    pub(crate) entries: u64,
    pub(crate) entered_us: Option<f64>,
    pub(crate) refused: Option<String>,
}

/// A function's history.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct History {
    pub(crate) func: Key,
    pub(crate) name: String,
    pub(crate) wasm_bytes: u32,
    /// When something was first heard of it.
    pub(crate) begins_us: f64,
    pub(crate) first: Option<Compile>,
    pub(crate) requested_us: Option<f64>,
    /// The greatest rank that it, or a loop of it, had in the queue.
    pub(crate) priority: u64,
    pub(crate) waited_us: Option<f64>,
    pub(crate) optimized: Option<Compile>,
    pub(crate) installed_us: Option<f64>,
    pub(crate) retired_bytes: u64,
    pub(crate) freed_bytes: u64,
    /// By site.
    pub(crate) loops: BTreeMap<u32, Loop>,
    /// Functions whose bodies its code holds, each once, and those that hold its body.
    pub(crate) inlines: Vec<Key>,
    pub(crate) inlined_into: Vec<Key>,
    /// What went wrong, and when.
    pub(crate) refused: Vec<(f64, String)>,
    /// For the picture.
    pub(crate) life: Life,
}

/// The histories of a recording, in the order in which the functions came up.
pub(crate) fn histories(recording: &Recording) -> Vec<History> {
    let mut found: BTreeMap<Key, History> = BTreeMap::new();
    let new = |func: Key, at_us: f64| {
        let name = recording.name(func);
        History {
            func,
            wasm_bytes: recording
                .funcs
                .get(&func)
                .map_or(0, |about| about.wasm_bytes),
            begins_us: at_us,
            life: Life::new(name.clone(), at_us / 1e3),
            name,
            ..History::default()
        }
    };
    for step in &recording.steps {
        let history = found
            .entry(step.func)
            .or_insert_with(|| new(step.func, step.at_us));
        history.step(step);
        if let What::Inlined { callee } = step.what {
            let callee = (step.func.0, callee);
            let history = found
                .entry(callee)
                .or_insert_with(|| new(callee, step.at_us));
            add(&mut history.inlined_into, step.func);
        }
    }
    let mut histories: Vec<History> = found.into_values().collect();
    histories.sort_by(|a, b| a.begins_us.total_cmp(&b.begins_us));
    histories
}

fn add(funcs: &mut Vec<Key>, func: Key) {
    if !funcs.contains(&func) {
        funcs.push(func);
    }
}

impl History {
    fn step(&mut self, step: &Step) {
        let at_us = step.at_us;
        if let Some(point) = point(&step.what) {
            self.life.step(at_us / 1e3, point);
        }
        match &step.what {
            What::FirstCompiled {
                tier,
                code_bytes,
                compile_us,
            } => {
                self.begins_us = self.begins_us.min(at_us - compile_us);
                self.first = Some(compile(*tier, at_us, *compile_us, *code_bytes));
            }
            What::Requested { priority, .. } => {
                self.requested_us.get_or_insert(at_us);
                self.priority = self.priority.max(*priority);
            }
            What::Raised { priority } => self.priority = self.priority.max(*priority),
            What::Started { waited_us } => self.waited_us = Some(*waited_us),
            What::Finished {
                code_bytes,
                compile_us,
            } => {
                self.optimized = Some(compile(By::Optimizing, at_us, *compile_us, *code_bytes));
            }
            What::Inlined { callee } => add(&mut self.inlines, (self.func.0, *callee)),
            What::Installed { tier } => {
                if *tier == By::Optimizing {
                    self.installed_us = Some(at_us);
                }
            }
            What::Retired { code_bytes, .. } => self.retired_bytes += u64::from(*code_bytes),
            What::Freed { code_bytes, .. } => self.freed_bytes += u64::from(*code_bytes),
            What::Skipped { why } => self.refused.push((at_us, format!("dropped: {why}"))),
            What::Failed { tier, why } => {
                self.refused
                    .push((at_us, format!("{}: {why}", tier.name())));
            }
            What::OsrRequested { .. }
            | What::OsrStarted { .. }
            | What::OsrCompiled { .. }
            | What::OsrEntered { .. }
            | What::OsrRefused { .. } => self.loop_step(at_us, &step.what),
        }
    }

    fn loop_step(&mut self, at_us: f64, what: &What) {
        match what {
            What::OsrRequested { site, priority } => {
                self.priority = self.priority.max(*priority);
                let requested = &mut self.at_loop(*site).requested_us;
                requested.get_or_insert(at_us);
            }
            What::OsrCompiled {
                site,
                code_bytes,
                compile_us,
            } => {
                let made = compile(By::Optimizing, at_us, *compile_us, *code_bytes);
                self.at_loop(*site).compiled = Some(made);
            }
            What::OsrEntered { site } => {
                let at = self.at_loop(*site);
                at.entries += 1;
                at.entered_us.get_or_insert(at_us);
            }
            What::OsrRefused { site, why } => {
                self.at_loop(*site).refused = Some(why.clone());
            }
            What::OsrStarted { .. }
            | What::FirstCompiled { .. }
            | What::Requested { .. }
            | What::Raised { .. }
            | What::Started { .. }
            | What::Finished { .. }
            | What::Inlined { .. }
            | What::Installed { .. }
            | What::Retired { .. }
            | What::Freed { .. }
            | What::Skipped { .. }
            | What::Failed { .. } => {}
        }
    }

    fn at_loop(&mut self, site: u32) -> &mut Loop {
        self.loops.entry(site).or_default()
    }
}

fn compile(tier: By, at_us: f64, took_us: f64, code_bytes: u32) -> Compile {
    Compile {
        tier,
        at_us,
        took_us,
        code_bytes,
    }
}

/// What the picture shows of a step.
fn point(what: &What) -> Option<Point> {
    let code = |tier: By| match tier {
        By::Baseline => Code::Baseline,
        By::Optimizing => Code::Optimized,
    };
    Some(match what {
        What::FirstCompiled {
            tier, compile_us, ..
        } => Point::Compiled(code(*tier), compile_us / 1e3),
        What::Requested { .. } => Point::Requested(Code::Optimized),
        What::Started { .. } => Point::Started(Code::Optimized),
        What::Finished { compile_us, .. } => Point::Compiled(Code::Optimized, compile_us / 1e3),
        What::Installed { tier } => Point::Installed(code(*tier)),
        What::OsrRequested { .. } => Point::Requested(Code::Loop),
        What::OsrStarted { .. } => Point::Started(Code::Loop),
        What::OsrCompiled { compile_us, .. } => Point::Compiled(Code::Loop, compile_us / 1e3),
        What::OsrEntered { .. } => Point::Entered,
        What::OsrRefused { .. } | What::Skipped { .. } | What::Failed { .. } => Point::Dropped,
        What::Raised { .. } | What::Inlined { .. } | What::Retired { .. } | What::Freed { .. } => {
            return None;
        }
    })
}
