//! Keeps events while the guest runs.

use super::step::{About, Key, Recording, Step, What, micros, what};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use upshift::{Event, EventKind, EventSink, Module, inspect};

/// So many steps are kept: a program that runs for days must not fill the memory with them.
const STEPS_MAX: usize = 1 << 20;

/// The sink of a run that is watched.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    steps: Vec<Step>,
    threads: HashMap<ThreadId, u32>,
    names: Vec<String>,
    wasm_bytes: BTreeMap<Key, u32>,
    lost: u64,
}

impl EventSink for Recorder {
    fn event(&self, event: &Event) {
        let func = (event.module.0, event.func.0);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let EventKind::FunctionValidated { body_bytes } = event.kind {
            kept.wasm_bytes.insert(func, body_bytes);
        }
        let Some(what) = what(event) else { return };
        if kept.steps.len() >= STEPS_MAX {
            kept.lost += 1;
            return;
        }
        let thread = kept.thread();
        kept.steps.push(Step {
            at_us: micros(event.at),
            thread,
            func,
            what,
        });
    }
}

impl Kept {
    /// The number of this thread.
    fn thread(&mut self) -> u32 {
        let thread = thread::current();
        if let Some(number) = self.threads.get(&thread.id()) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name = match thread.name() {
            None | Some("main") => "guest".to_owned(),
            Some(name) => name.to_owned(),
        };
        self.names.push(name);
        self.threads.insert(thread.id(), number);
        number
    }
}

impl Recorder {
    /// What was kept so far; names come from the module, if it was loaded.
    pub(crate) fn recording(&self, module: Option<&Module>, end_us: f64) -> Recording {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut steps = kept.steps.clone();
        // Threads take the clock before the lock.
        steps.sort_by(|a, b| a.at_us.total_cmp(&b.at_us));
        let mut funcs = BTreeMap::new();
        for key in steps.iter().flat_map(named) {
            funcs.entry(key).or_insert_with(|| About {
                name: module
                    .and_then(|module| inspect::func_name(module, key.1))
                    .map(str::to_owned),
                wasm_bytes: kept.wasm_bytes.get(&key).copied().unwrap_or(0),
            });
        }
        Recording {
            end_us: steps.last().map_or(end_us, |step| step.at_us.max(end_us)),
            steps,
            threads: kept.names.clone(),
            funcs,
            lost: kept.lost,
        }
    }
}

/// The functions that a step is about.
fn named(step: &Step) -> impl Iterator<Item = Key> {
    let callee = if let What::Inlined { callee } = step.what {
        Some((step.func.0, callee))
    } else {
        None
    };
    std::iter::once(step.func).chain(callee)
}
