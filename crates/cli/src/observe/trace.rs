//! Recordings as files in Chrome's trace event format, which Perfetto opens, and back.
//!
//! Each step is one event whose `args` hold it whole, so a file can be read back without loss: compiles are complete events
//! (`X`), which begin when the compiler did, all else instants (`i`). Threads are tracks; a track of its own has the phases of
//! the run, and a counter (`C`) the length of the queue.

use super::step::{About, Key, Recording, Step, What};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// The category of steps.
const STEPS: &str = "tiering";
/// The track of the phases; those of threads come after it.
const PHASES: u32 = 1;
const FIRST_THREAD: u32 = 2;

/// A part of the run, in microseconds since the engine was made.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) from_us: f64,
    pub(crate) to_us: f64,
}

/// One event of the format.
#[derive(Serialize, Deserialize, Clone, Debug)]
struct TraceEvent {
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cat: String,
    ph: String,
    #[serde(default)]
    ts: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    tid: u32,
    /// The scope of an instant: its thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<String>,
    #[serde(default)]
    args: Value,
}

/// The file.
#[derive(Serialize, Deserialize, Debug)]
struct File {
    #[serde(rename = "displayTimeUnit", default)]
    unit: String,
    #[serde(rename = "otherData", default)]
    about: Map<String, Value>,
    #[serde(rename = "traceEvents")]
    events: Vec<TraceEvent>,
}

/// What `args` say of a step.
#[derive(Serialize, Deserialize, Debug)]
struct Args {
    module: u64,
    func: u32,
    #[serde(default)]
    function: Option<String>,
    #[serde(default)]
    wasm_bytes: u32,
    #[serde(flatten)]
    what: What,
    /// For people: the rank in the queue and the time there, of compiles that were queued. Never read.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    queue_priority: Option<u64>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    queue_waited_us: Option<f64>,
}

/// Writes a recording.
///
/// # Errors
/// Those of the writer.
pub(crate) fn write(
    out: &mut impl Write,
    recording: &Recording,
    (program, phases): (&str, &[Phase]),
) -> io::Result<()> {
    let mut events = tracks(recording, program);
    let mut timed: Vec<TraceEvent> = phases.iter().map(phase).collect();
    let mut jobs = Jobs::default();
    for step in &recording.steps {
        if let Some(length) = jobs.note(step) {
            timed.push(counter(step.at_us, length));
        }
        timed.push(event(recording, step, &mut jobs));
    }
    // Of events that begin at the same time the longer ones come first, so that others nest in them.
    timed.sort_by(|a, b| {
        let longer = b.dur.unwrap_or(0.0).total_cmp(&a.dur.unwrap_or(0.0));
        a.ts.total_cmp(&b.ts).then(longer)
    });
    events.append(&mut timed);
    let about = [
        ("program", json!(program)),
        ("upshift", json!(env!("CARGO_PKG_VERSION"))),
        ("lost_steps", json!(recording.lost)),
        ("end_us", json!(recording.end_us)),
    ];
    let about = about.map(|(key, value)| (key.to_owned(), value));
    let file = File {
        unit: "ms".to_owned(),
        about: about.into_iter().collect(),
        events,
    };
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Names of the process and its tracks.
fn tracks(recording: &Recording, program: &str) -> Vec<TraceEvent> {
    let meta = |name: &str, tid: u32, args: Value| TraceEvent {
        name: name.to_owned(),
        cat: String::new(),
        ph: "M".to_owned(),
        ts: 0.0,
        dur: None,
        pid: std::process::id(),
        tid,
        s: None,
        args,
    };
    let process = json!({ "name": format!("upshift {program}") });
    let mut events = vec![meta("process_name", PHASES, process)];
    let threads = recording.threads.iter().map(String::as_str);
    for (tid, name) in (PHASES..).zip(std::iter::once("phases").chain(threads)) {
        events.push(meta("thread_name", tid, json!({ "name": name })));
        events.push(meta("thread_sort_index", tid, json!({ "sort_index": tid })));
    }
    events
}

fn phase(phase: &Phase) -> TraceEvent {
    TraceEvent {
        name: phase.name.to_owned(),
        cat: "phase".to_owned(),
        ph: "X".to_owned(),
        ts: phase.from_us,
        dur: Some((phase.to_us - phase.from_us).max(0.0)),
        pid: std::process::id(),
        tid: PHASES,
        s: None,
        args: Value::Object(Map::new()),
    }
}

fn counter(at_us: f64, length: usize) -> TraceEvent {
    TraceEvent {
        name: "queue length".to_owned(),
        cat: "queue".to_owned(),
        ph: "C".to_owned(),
        ts: at_us,
        dur: None,
        pid: std::process::id(),
        tid: PHASES,
        s: None,
        args: json!({ "jobs": length }),
    }
}

fn event(recording: &Recording, step: &Step, jobs: &mut Jobs) -> TraceEvent {
    let took = took_us(&step.what);
    let about = recording.funcs.get(&step.func);
    let job = took.and_then(|_| jobs.done.remove(&key(step)));
    let args = Args {
        module: step.func.0,
        func: step.func.1,
        function: about.and_then(|about| about.name.clone()),
        wasm_bytes: about.map_or(0, |about| about.wasm_bytes),
        what: step.what.clone(),
        queue_priority: job.and_then(|job| job.0),
        queue_waited_us: job.and_then(|job| job.1),
    };
    TraceEvent {
        name: format!("{} {}", verb(&step.what), recording.name(step.func)),
        cat: STEPS.to_owned(),
        ph: if took.is_some() { "X" } else { "i" }.to_owned(),
        ts: (step.at_us - took.unwrap_or(0.0)).max(0.0),
        dur: took,
        pid: std::process::id(),
        tid: FIRST_THREAD.saturating_add(step.thread),
        s: took.is_none().then(|| "t".to_owned()),
        // A map of strings and numbers.
        args: serde_json::to_value(args).unwrap_or_default(),
    }
}

/// How long a compile took, for steps that are one.
fn took_us(what: &What) -> Option<f64> {
    match what {
        What::FirstCompiled { compile_us, .. }
        | What::Finished { compile_us, .. }
        | What::OsrCompiled { compile_us, .. } => Some(*compile_us),
        What::Requested { .. }
        | What::Raised { .. }
        | What::Started { .. }
        | What::Inlined { .. }
        | What::Installed { .. }
        | What::Retired { .. }
        | What::Freed { .. }
        | What::OsrRequested { .. }
        | What::OsrStarted { .. }
        | What::OsrEntered { .. }
        | What::OsrRefused { .. }
        | What::Skipped { .. }
        | What::Failed { .. } => None,
    }
}

fn verb(what: &What) -> &'static str {
    match what {
        What::FirstCompiled { tier, .. } => tier.name(),
        What::Requested { .. } => "request",
        What::Raised { .. } => "raise",
        What::Started { .. } => "start",
        What::Finished { .. } => "optimizing",
        What::Inlined { .. } => "inline into",
        What::Installed { .. } => "install",
        What::Retired { .. } => "retire",
        What::Freed { .. } => "free",
        What::OsrRequested { .. } => "request loop of",
        What::OsrStarted { .. } => "start loop of",
        What::OsrCompiled { .. } => "osr",
        What::OsrEntered { .. } => "enter loop of",
        What::OsrRefused { .. } => "refuse loop of",
        What::Skipped { .. } => "drop",
        What::Failed { .. } => "fail",
    }
}

/// A job: its function, and the loop that it is for.
type JobKey = (Key, Option<u32>);

fn key(step: &Step) -> JobKey {
    let site = match step.what {
        What::OsrRequested { site, .. }
        | What::OsrStarted { site, .. }
        | What::OsrCompiled { site, .. }
        | What::OsrEntered { site }
        | What::OsrRefused { site, .. } => Some(site),
        What::FirstCompiled { .. }
        | What::Requested { .. }
        | What::Raised { .. }
        | What::Started { .. }
        | What::Finished { .. }
        | What::Inlined { .. }
        | What::Installed { .. }
        | What::Retired { .. }
        | What::Freed { .. }
        | What::Skipped { .. }
        | What::Failed { .. } => None,
    };
    (step.func, site)
}

/// The queue, as the steps tell it.
#[derive(Default)]
struct Jobs {
    waiting: BTreeSet<JobKey>,
    /// Rank and time in the queue of jobs that were asked for.
    done: BTreeMap<JobKey, (Option<u64>, Option<f64>)>,
}

impl Jobs {
    /// Takes a step into account; gives the length of the queue if it changed.
    fn note(&mut self, step: &Step) -> Option<usize> {
        let key = key(step);
        let changed = match step.what {
            What::Requested { priority, .. } | What::OsrRequested { priority, .. } => {
                self.done.insert(key, (Some(priority), None));
                self.waiting.insert(key)
            }
            What::Raised { priority } => {
                self.done.entry(key).or_default().0 = Some(priority);
                false
            }
            What::Started { waited_us } | What::OsrStarted { waited_us, .. } => {
                self.done.entry(key).or_default().1 = Some(waited_us);
                self.waiting.remove(&key)
            }
            What::Skipped { .. } | What::OsrRefused { .. } => self.waiting.remove(&key),
            What::FirstCompiled { .. }
            | What::Finished { .. }
            | What::Inlined { .. }
            | What::Installed { .. }
            | What::Retired { .. }
            | What::Freed { .. }
            | What::OsrCompiled { .. }
            | What::OsrEntered { .. }
            | What::Failed { .. } => false,
        };
        changed.then_some(self.waiting.len())
    }
}

/// Reads a file that [`write`] wrote.
///
/// # Errors
/// If it is no such file.
pub(crate) fn read(bytes: &[u8]) -> Result<Recording, String> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let number = |key: &str| file.about.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    let mut recording = Recording {
        end_us: number("end_us"),
        lost: file
            .about
            .get("lost_steps")
            .and_then(Value::as_u64)
            .unwrap_or(0),
        ..Recording::default()
    };
    for event in file.events {
        if event.ph == "M" && event.name == "thread_name" && event.tid >= FIRST_THREAD {
            let name = event.args.get("name").and_then(Value::as_str);
            recording.threads.extend(name.map(str::to_owned));
        }
        if event.cat == STEPS {
            read_step(&mut recording, &event)?;
        }
    }
    if recording.steps.is_empty() && !file.about.contains_key("upshift") {
        return Err("no event in it is of --trace-tiering".to_owned());
    }
    recording.steps.sort_by(|a, b| a.at_us.total_cmp(&b.at_us));
    Ok(recording)
}

fn read_step(recording: &mut Recording, event: &TraceEvent) -> Result<(), String> {
    let args: Args = Args::deserialize(&event.args)
        .map_err(|error| format!("event {:?}: {error}", event.name))?;
    let func = (args.module, args.func);
    recording.funcs.entry(func).or_insert_with(|| About {
        name: args.function,
        wasm_bytes: args.wasm_bytes,
    });
    recording.steps.push(Step {
        // To the nanosecond, as it was before the subtraction.
        at_us: ((event.ts + event.dur.unwrap_or(0.0)) * 1e3).round() / 1e3,
        thread: event.tid.saturating_sub(FIRST_THREAD),
        func,
        what: args.what,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::step::{About, By, Recording, Step, What};
    use super::{Phase, read, write};
    use serde_json::Value;

    /// One of each.
    fn whats() -> Vec<What> {
        vec![
            What::FirstCompiled {
                tier: By::Baseline,
                code_bytes: 10,
                compile_us: 2.5,
            },
            What::Installed { tier: By::Baseline },
            What::OsrRequested {
                site: 1,
                priority: (1 << 62) + 5,
            },
            What::Requested {
                site: None,
                priority: 7,
            },
            What::Raised { priority: 70 },
            What::OsrStarted {
                site: 1,
                waited_us: 0.5,
            },
            What::OsrCompiled {
                site: 1,
                code_bytes: 99,
                compile_us: 1.0,
            },
            What::OsrEntered { site: 1 },
            What::Started { waited_us: 4.0 },
            What::Finished {
                code_bytes: 8,
                compile_us: 1.5,
            },
            What::Inlined { callee: 9 },
            What::Installed {
                tier: By::Optimizing,
            },
            What::Retired {
                tier: By::Baseline,
                code_bytes: 10,
            },
            What::Freed {
                tier: By::Baseline,
                code_bytes: 10,
            },
            What::OsrRefused {
                site: 2,
                why: "\"quoted\"\n".to_owned(),
            },
            What::Skipped {
                why: "x".to_owned(),
            },
            What::Failed {
                tier: By::Optimizing,
                why: "y".to_owned(),
            },
        ]
    }

    fn recording() -> Recording {
        let hot = (0, 3);
        let steps = (1..).zip(whats()).map(|(index, what)| Step {
            at_us: f64::from(index) * 8.0,
            thread: u32::from(index % 2 == 0),
            func: hot,
            what,
        });
        let about = About {
            name: Some("hot\u{7}\"<name>".to_owned()),
            wasm_bytes: 44,
        };
        Recording {
            steps: steps.collect(),
            threads: vec!["guest".to_owned(), "upshift-tier-up-0".to_owned()],
            funcs: [(hot, about)].into(),
            lost: 3,
            end_us: 500.0,
        }
    }

    fn text(recording: &Recording) -> Vec<u8> {
        let mut bytes = Vec::new();
        let phases = [Phase {
            name: "run",
            from_us: 1.0,
            to_us: 100.0,
        }];
        write(&mut bytes, recording, ("p.wasm", &phases)).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_back() {
        for recording in [recording(), Recording::default()] {
            assert_eq!(read(&text(&recording)).unwrap(), recording);
        }
    }

    #[test]
    fn perfetto_can_open_it() {
        let file: Value = serde_json::from_slice(&text(&recording())).unwrap();
        let events = file["traceEvents"].as_array().unwrap();
        let mut last = 0.0;
        for event in events {
            let phase = event["ph"].as_str().unwrap();
            assert!(!event["name"].as_str().unwrap().is_empty(), "{event}");
            assert!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
            assert!(event["args"].is_object(), "{event}");
            match phase {
                "X" => assert!(event["dur"].as_f64().unwrap() >= 0.0, "{event}"),
                "i" => assert_eq!(event["s"], "t", "{event}"),
                "C" => assert!(event["args"]["jobs"].is_u64(), "{event}"),
                "M" => continue,
                other => panic!("phase {other}"),
            }
            let ts = event["ts"].as_f64().unwrap();
            assert!(ts >= last, "{event}");
            last = ts;
        }
        let lengths = events.iter().filter(|event| event["ph"] == "C");
        let lengths: Vec<u64> = lengths
            .map(|e| e["args"]["jobs"].as_u64().unwrap())
            .collect();
        assert_eq!(lengths, [1, 2, 1, 0]);
        let compiled = events
            .iter()
            .find(|e| e["args"]["what"] == "finished")
            .unwrap();
        assert_eq!(compiled["args"]["queue_priority"], 70);
        assert_eq!(compiled["args"]["queue_waited_us"], 4.0);
        assert_eq!(compiled["args"]["func"], 3);
    }

    #[test]
    fn other_files_are_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"traceEvents":[]}"#,
            r#"{"traceEvents":[{"name":"x","ph":"i","cat":"tiering","args":{}}]}"#,
            r#"{"traceEvents":[{"name":"x","ph":"i","cat":"tiering","args":{"module":0,"func":-1,"what":"raised"}}]}"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
