//! `bars` from outside: rows, files and pages.

mod harness;

use harness::{bench, text};
use std::fs;

#[test]
fn a_row_is_measured_judged_and_put_into_a_page() {
    let here = tempfile::tempdir().expect("a directory");
    let here = here.path();
    let page = "before\n<!-- bars baseline: begin -->\n<!-- bars baseline: end -->\nafter\n";
    fs::write(here.join("page.md"), page).expect("a page");
    let output = bench(
        here,
        "bars baseline --only second-instance --samples 3 --json a.json --figures plots",
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    for part in ["second-instance", "at most 100 µs", "the first one: "] {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
    assert_eq!(
        fs::read_dir(here.join("plots")).map(Iterator::count).ok(),
        Some(0),
        "nothing to plot"
    );

    let output = bench(here, "bars baseline --from a.json --table page.md");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = fs::read_to_string(here.join("page.md")).expect("the page");
    assert!(
        page.starts_with("before\n") && page.ends_with("after\n"),
        "{page}"
    );
    let row = |name: &str| {
        let mark = format!("(`{name}`)");
        let found = page.lines().find(|line| line.contains(&mark));
        found.expect(name).to_owned()
    };
    assert!(!row("second-instance").contains("not measured"), "{page}");
    assert!(row("speed-cranelift").contains("not measured"), "{page}");
}

#[test]
fn loops_and_swaps_are_measured_in_processes_of_their_own() {
    let here = tempfile::tempdir().expect("a directory");
    let output = bench(
        here.path(),
        "bars tiering --only loop-200b,swap --samples 1 --json a.json",
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    for part in ["of optimized speed", " swaps and "] {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
    assert!(
        !told.contains("not measured") && !told.contains(" 0 swaps"),
        "{told}"
    );
}

#[test]
fn rows_are_known_by_name() {
    let here = tempfile::tempdir().expect("a directory");
    for bars in ["baseline", "tiering"] {
        let output = bench(here.path(), &format!("bars {bars} --list"));
        let listed = text(&output.stdout);
        assert!(listed.lines().count() > 10, "{listed}");
    }
    let output = bench(here.path(), "bars baseline --only speed-of-light");
    let error = text(&output.stderr);
    assert!(
        error.contains("speed-cranelift") && error.contains("\"speed-of-light\""),
        "{error}"
    );
    fs::write(here.path().join("empty.md"), "").expect("a page");
    let none = r#"{"format": 1, "parts": []}"#;
    fs::write(here.path().join("none.json"), none).expect("a file");
    let output = bench(
        here.path(),
        "bars baseline --from none.json --table empty.md",
    );
    let error = text(&output.stderr);
    assert!(error.contains("empty.md: expected a line"), "{error}");
}
