//! The page of made-up runs: everything on it, well-formed, nothing from elsewhere.
//!
//! To look at the pages: `UPSHIFT_BENCH_PAGES=DIR cargo test -p upshift-bench report` writes them there.

use crate::engine::Engine;
use crate::schema::{
    EngineInfo, Iteration, Measured, Outcome, ProgramInfo, RunFile, Sample, SizeInfo, TierEvent,
    TierEventKind, Timeline, WarmupFile,
};
use crate::summary::tests::run_of;
use crate::warmup::curves::tests::curve;

/// A number between 0 and 1 that looks random and is always the same for the same text.
fn noise(text: &str) -> f64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let hash = (hash ^ (hash >> 15)).wrapping_mul(0x85eb_ca6b);
    f64::from(hash ^ (hash >> 13)) / f64::from(u32::MAX)
}

/// `(run relative to native, load in ms)` of an engine.
fn speeds(engine: &str) -> (f64, f64) {
    let family = engine.trim_end_matches("@1");
    let one = if family == engine { 1.0 } else { 1.8 };
    let (run, load) = match family {
        "native" => (1.0, 0.0),
        "native/scalar" => (1.1, 0.0),
        "wasmi" => (22.0, 0.3),
        "wasmtime/winch" | "v8/liftoff" | "jsc/bbq" => (2.8, 1.2),
        "upshift/baseline/eager" => (2.6, 0.9),
        "upshift/baseline/lazy" => (2.6, 0.2),
        "upshift/dynamic/lazy" | "upshift/eager/lazy" => (1.5, 0.2),
        _ => (1.35, 25.0),
    };
    (run, load * one)
}

fn sample(engine: &str, program: &str, (size, native): (&str, f64), round: u32) -> Sample {
    let (run, load) = speeds(engine);
    let of_program = 0.6 + noise(&format!("{engine}{program}"));
    let of_round = 1.0 + 0.06 * noise(&format!("{engine}{program}{size}{round}"));
    let run_ms = native * run * of_program * of_round;
    let load_ms = load * of_round;
    let native_code = engine.starts_with("native");
    Sample {
        engine: engine.to_owned(),
        program: program.to_owned(),
        size: size.to_owned(),
        round,
        process_ms: run_ms + load_ms + 3.0,
        outcome: Outcome::Verified,
        checksum: None,
        measured: Some(Measured {
            load_ms,
            iterations: vec![Iteration {
                run_ms,
                ..Iteration::default()
            }],
            code_bytes: (!native_code && engine != "wasmi").then_some(if run > 2.0 {
                90_000
            } else {
                50_000
            }),
            peak_rss_kb: if native_code { 2_000 } else { 22_000 },
            cpu_ms: run_ms + load_ms,
            ..Measured::default()
        }),
    }
}

/// A run of made-up figures.
pub(crate) fn made_up(
    engines: &[String],
    programs: usize,
    sizes: &[(&str, f64)],
    rounds: u32,
) -> RunFile {
    let names: Vec<String> = (0..programs)
        .map(|index| format!("program-{index}"))
        .collect();
    let mut run = run_of(&[]);
    run.started_unix = 1_790_000_000;
    run.command = vec!["run".to_owned(), "--engines=all".to_owned()];
    run.engines = engines
        .iter()
        .map(|name| EngineInfo {
            name: name.clone(),
            version: "1.0".to_owned(),
            skipped: None,
        })
        .collect();
    run.programs = names
        .iter()
        .map(|name| ProgramInfo {
            name: name.clone(),
            kind: "int".to_owned(),
            like: None,
            wasm_bytes: 24_000,
            wasm_sha256: String::new(),
            sizes: sizes
                .iter()
                .map(|(size, _)| SizeInfo {
                    name: (*size).to_owned(),
                    expected_checksum: None,
                })
                .collect(),
        })
        .collect();
    for round in 0..rounds {
        for size in sizes {
            for program in &names {
                let samples = engines
                    .iter()
                    .map(|engine| sample(engine, program, *size, round));
                run.samples.extend(samples);
            }
        }
    }
    run
}

fn event(at_ms: f64, func: u32, kind: TierEventKind) -> TierEvent {
    TierEvent {
        at_ms,
        func,
        name: Some(format!("<function number {func} of the program>")),
        kind,
    }
}

/// The steps of a loop that is entered in the middle.
fn entered(start: f64, func: u32) -> [TierEvent; 5] {
    let compiled = TierEventKind::OsrCompiled {
        site: 1,
        compile_ms: 1.2,
        code_bytes: 300,
    };
    [
        event(start + 0.5, func, TierEventKind::OsrRequested { site: 1 }),
        event(start + 0.8, func, TierEventKind::OsrStarted { site: 1 }),
        event(start + 2.0, func, compiled),
        event(start + 2.3, func, TierEventKind::OsrEntered { site: 1 }),
        event(start + 5.0, func, TierEventKind::OsrEntered { site: 1 }),
    ]
}

fn timeline(functions: u32) -> Timeline {
    let mut events = Vec::new();
    for func in 0..functions {
        let start = 3.0 + f64::from(func) * 0.4;
        let first = TierEventKind::FirstCompiled {
            optimizing: false,
            compile_ms: 0.1,
            code_bytes: 900,
        };
        events.push(event(start, func, first));
        let installed = TierEventKind::Installed { optimizing: false };
        events.push(event(start, func, installed));
        if func % 5 == 0 {
            events.extend(entered(start, func));
        }
        if func % 3 == 0 {
            let wait = 1.0 + f64::from(func % 7);
            events.push(event(start + 1.0, func, TierEventKind::Requested));
            events.push(event(start + 1.0 + wait, func, TierEventKind::JobStarted));
            let finished = TierEventKind::JobFinished {
                compile_ms: 2.5,
                code_bytes: 600,
            };
            events.push(event(start + 3.5 + wait, func, finished));
            let installed = TierEventKind::Installed { optimizing: true };
            events.push(event(start + 3.7 + wait, func, installed));
        }
    }
    Timeline {
        engine: "upshift/dynamic/lazy".to_owned(),
        program: "program-0".to_owned(),
        size: "train".to_owned(),
        events,
    }
}

/// A warm-up of made-up figures.
pub(crate) fn made_up_warmup() -> WarmupFile {
    let run = run_of(&[]);
    WarmupFile {
        format: run.format,
        started_unix: 0,
        command: Vec::new(),
        machine: run.machine,
        program: "program-0".to_owned(),
        size: "train".to_owned(),
        curves: vec![
            curve("upshift/baseline/lazy", 1.0, 100, 1.0),
            curve("upshift/optimizing/lazy", 45.0, 0, 1.0),
            curve("upshift/optimizing/eager", 60.0, 0, 1.0),
            curve("upshift/eager/lazy", 2.0, 12, 1.02),
            curve("upshift/dynamic/lazy", 1.0, 18, 1.03),
        ],
        timeline: Some(timeline(90)),
    }
}

fn all_engines() -> Vec<String> {
    Engine::all().iter().map(Engine::to_string).collect()
}

/// Every opened element is closed, in order.
fn assert_well_formed(html: &str) {
    const EMPTY: [&str; 2] = ["meta", "br"];
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag
            .split_once('>')
            .unwrap_or_else(|| panic!("no end: {tag}"));
        let name = tag.split([' ', '\n', '/']).find(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| panic!("no name: {tag}"));
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !(tag.starts_with('!') || tag.ends_with('/') || EMPTY.contains(&name)) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

fn check(name: &str, runs: Vec<RunFile>, warmups: &[WarmupFile], expected: &[&str]) {
    let html = super::html(runs, warmups, &["a<b.json".to_owned()], None).expect(name);
    if let Ok(directory) = std::env::var("UPSHIFT_BENCH_PAGES") {
        let path = std::path::Path::new(&directory).join(format!("{name}.html"));
        std::fs::write(path, &html).expect("UPSHIFT_BENCH_PAGES is a directory");
    }
    assert_well_formed(&html);
    assert!(!html.contains("<script"));
    assert!(html.contains("a&lt;b.json"));
    let elsewhere = html.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !elsewhere.contains("http") && !elsewhere.contains("url("),
        "{name}"
    );
    for text in expected {
        assert!(html.contains(text), "{name}: {text}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf "), "{name}");
}

#[test]
fn everything() {
    let mut engines = all_engines();
    engines.extend(
        [
            "upshift/optimizing/eager@1",
            "upshift/baseline/eager@1",
            "wasmtime/cranelift@1",
        ]
        .map(str::to_owned),
    );
    let sizes = [("test", 40.0), ("train", 900.0), ("ref", 9000.0)];
    let mut run = made_up(&engines, 24, &sizes, 5);
    run.samples[3].outcome = Outcome::Wrong("line 1: expected <1>, found <2>".to_owned());
    run.engines.push(EngineInfo {
        name: "jsc/<b>".to_owned(),
        version: String::new(),
        skipped: Some("neither jsc nor bun was found".to_owned()),
    });
    let mut expected: Vec<&str> = engines.iter().map(String::as_str).collect();
    expected.extend([
        "program-0",
        "program-23",
        "expected &lt;1&gt;, found &lt;2&gt;",
        "jsc/&lt;b&gt; was skipped",
        "&lt;function number 0 of the",
        "Size ref: the best that tiers up",
        "compiling on one thread",
    ]);
    check("everything", vec![run], &[made_up_warmup()], &expected);
}

#[test]
fn little() {
    let engines = ["native", "upshift/dynamic/lazy"].map(str::to_owned);
    let run = made_up(&engines, 1, &[("test", 40.0)], 1);
    let expected = [
        "nothing to compare tiering with",
        "No warm-up was given",
        "No events were given",
        "None: every engine",
    ];
    check("little", vec![run], &[], &expected);
}

#[test]
fn one_size() {
    let run = made_up(&all_engines(), 6, &[("test", 40.0)], 3);
    check("one-size", vec![run], &[], &["Only one size was measured"]);
}

#[test]
fn only_failures() {
    let run = run_of(&[("a", "p<", 0, 1.0, -1.0), ("b", "p<", 0, 1.0, -1.0)]);
    let expected = ["b: p&lt; (test): line 1", "No program ran both"];
    check("failures", vec![run], &[], &expected);
}

#[test]
fn warmup_alone() {
    let mut file = made_up_warmup();
    file.curves[0].problem = Some("sample 1: <failed>".to_owned());
    let expected = [
        "No file of `run --json` was given",
        "sample 1: &lt;failed&gt;",
    ];
    check("warmup", vec![], &[file], &expected);
}

#[test]
fn files_are_merged() {
    let part = |engines: &[&str]| {
        let engines: Vec<String> = engines.iter().map(|name| (*name).to_owned()).collect();
        made_up(&engines, 2, &[("test", 40.0)], 3)
    };
    let check = |one: RunFile, other: RunFile, rounds: u32| {
        let (all, remarks) = super::data::merge(vec![one, other]).expect("two runs");
        assert!(remarks.is_empty());
        let last = all.samples.iter().map(|sample| sample.round).max();
        assert_eq!(last, Some(rounds - 1));
    };
    check(part(&["native"]), part(&["wasmi"]), 3);
    check(part(&["native"]), part(&["native", "wasmi"]), 6);
    let mut elsewhere = part(&["wasmi"]);
    elsewhere.machine.cores = 96;
    let (_, remarks) = super::data::merge(vec![part(&["native"]), elsewhere]).expect("two runs");
    assert!(remarks[0].contains("different machines"));
}

#[test]
fn bad_references() {
    let run = made_up(&["native".to_owned()], 1, &[("test", 40.0)], 1);
    let error =
        super::html(vec![run], &[], &[], Some("wasmi")).expect_err("wasmi was not measured");
    assert!(
        error.contains("native") && error.contains("wasmi"),
        "{error}"
    );
    let error = super::html(vec![run_of(&[])], &[], &[], None).expect_err("no samples");
    assert!(error.contains("no samples"), "{error}");
}
