//! Every example gives the native program's output, in every policy and compile mode.

use super::support::{examples, upshift};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    runs: Vec<Run>,
}

/// One recorded run; see `examples/expected.json`.
#[derive(Deserialize)]
struct Run {
    name: String,
    file: String,
    invoke: Option<String>,
    args: Vec<String>,
    dirs: Vec<Dir>,
    stdin: String,
    stdout: String,
    exit: i32,
}

#[derive(Deserialize)]
struct Dir {
    host: String,
    guest: String,
}

fn check(tier: &str, compile: &str) {
    let text = std::fs::read_to_string(examples().join("expected.json"));
    let text = text.expect("the expected outputs are recorded");
    let expected: Expected = serde_json::from_str(&text).expect("the record can be read");
    assert!(expected.runs.len() >= 6, "expected at least six examples");
    for run in expected.runs {
        let mut args: Vec<String> = ["run", "--tier", tier, "--compile", compile]
            .map(str::to_owned)
            .to_vec();
        if let Some(name) = &run.invoke {
            args.extend(["--invoke".to_owned(), name.clone()]);
        }
        for dir in &run.dirs {
            args.extend(["--dir".to_owned(), format!("{}::{}", dir.host, dir.guest)]);
        }
        args.push(run.file.clone());
        args.extend(run.args.iter().cloned());
        let found = upshift(&examples(), &args, &run.stdin);
        assert_eq!(
            found.stdout, run.stdout,
            "{} {tier} {compile}: {}",
            run.name, found.stderr
        );
        assert_eq!(
            found.code,
            Some(run.exit),
            "{} {tier} {compile}: {}",
            run.name,
            found.stderr
        );
    }
}

#[test]
fn dynamic_lazy() {
    check("dynamic", "lazy");
}

#[test]
fn dynamic_eager() {
    check("dynamic", "eager");
}

#[test]
fn eager_lazy() {
    check("eager", "lazy");
}

#[test]
fn eager_eager() {
    check("eager", "eager");
}

#[test]
fn baseline_lazy() {
    check("baseline", "lazy");
}

#[test]
fn baseline_eager() {
    check("baseline", "eager");
}

#[test]
fn optimizing_lazy() {
    check("optimizing", "lazy");
}

#[test]
fn optimizing_eager() {
    check("optimizing", "eager");
}
