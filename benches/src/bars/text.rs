//! The table, on a terminal and in a page.

use super::rows::{Judged, Verdict};
use crate::report::write;
use crate::schema::{BarsFile, RunFile};
use crate::stats::Estimate;
use crate::table::grid::{Grid, ratio};
use std::fmt::Write as _;
use std::path::Path;

/// The table as columns.
pub(super) fn terminal(judged: &[Judged]) -> String {
    let titles = ["row", "figure", "95 %", "bar", "moonshot", "reached"];
    let mut grid = Grid::new(1, &titles);
    let mut notes = String::new();
    for one in judged {
        let cells = cells(one);
        let mut row = vec![one.row.name.to_owned()];
        row.extend(cells);
        grid.row(row);
        let of = one
            .figure
            .as_ref()
            .map(|figure| format!(" ({})", figure.of));
        let of = of.unwrap_or_default();
        let _ = writeln!(notes, "  {}: {}{of}", one.row.name, one.row.what);
    }
    format!("{}\n{notes}", grid.text())
}

/// Figure, interval, bar, moonshot, verdict.
fn cells(one: &Judged) -> Vec<String> {
    let row = one.row;
    let with_unit = |value: &str| match row.unit {
        "x" => format!("{value}x"),
        unit => format!("{value} {unit}"),
    };
    let dash = || "-".to_owned();
    let estimate = one.figure.as_ref().map(|figure| figure.estimate);
    vec![
        estimate.map_or_else(dash, |e| with_unit(&ratio(e.median))),
        estimate.and_then(interval).unwrap_or_else(dash),
        format!("{} {}", row.bar.words(), with_unit(&short(row.bar.value()))),
        row.moonshot
            .map_or_else(dash, |value| with_unit(&short(value))),
        verdict(one).to_owned(),
    ]
}

fn interval(estimate: Estimate) -> Option<String> {
    let Estimate { low, high, .. } = estimate;
    (low < high).then(|| format!("{} to {}", ratio(low), ratio(high)))
}

/// A bar has the digits that it was set with.
fn short(value: f64) -> String {
    format!("{value}")
}

fn verdict(one: &Judged) -> &'static str {
    match (one.verdict, one.is_close()) {
        (Verdict::Moonshot, _) => "moonshot",
        (Verdict::Reached, false) => "yes",
        (Verdict::Reached, true) => "yes, within noise",
        (Verdict::Missed, false) => "no",
        (Verdict::Missed, true) => "no, within noise",
        (Verdict::NotMeasured, _) => "not measured",
    }
}

/// The table in Markdown, with what was measured where and by which command.
pub(super) fn markdown((name, page): (&str, &str), judged: &[Judged], file: &BarsFile) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}\n", provenance(file));
    text += "| what | figure | 95 % interval | bar | moonshot | reached | of |\n|---|---|---|---|---|---|---|\n";
    for one in judged {
        let of = one.figure.as_ref().map_or("", |figure| &figure.of);
        let cells = cells(one).join(" | ");
        let _ = writeln!(
            text,
            "| {} (`{}`) | {cells} | {of} |",
            one.row.what, one.row.name
        );
    }
    let _ = write!(
        text,
        "\n```\ncargo xtask corpus\ncargo run --release -p upshift-bench --features peers -- bars {name} --json {name}.json \
         --table {page} --figures docs/figures\n```\n"
    );
    text
}

/// One paragraph: machine, commits, engines.
fn provenance(file: &BarsFile) -> String {
    let runs: Vec<&RunFile> = file.parts.iter().map(|part| &part.run).collect();
    let machines = unique(runs.iter().map(|run| {
        let machine = &run.machine;
        format!("{}, {} cores, {}", machine.cpu, machine.cores, machine.os)
    }));
    let commits = unique(runs.iter().map(|run| {
        let commit = &run.machine.commit;
        let short = commit.get(..7).unwrap_or("unknown");
        let changed = if commit.ends_with('+') {
            " with changes"
        } else {
            ""
        };
        format!("{short}{changed}")
    }));
    let engines = runs.iter().flat_map(|run| &run.engines);
    let known = engines.clone().filter(|engine| engine.skipped.is_none());
    let versions = unique(known.filter_map(|engine| {
        let family = engine.name.split('/').next().unwrap_or(&engine.name);
        match family {
            "upshift" => None,
            "wasmtime" => Some(format!("wasmtime {}", engine.version)),
            _ => Some(engine.version.clone()),
        }
    }));
    let skipped = unique(
        engines
            .filter(|engine| engine.skipped.is_some())
            .map(|engine| engine.name.clone()),
    );
    let mut text = format!(
        "Measured at commit {} on {} ({}).",
        commits.join(", "),
        machines.join("; "),
        versions.join(", ")
    );
    if !skipped.is_empty() {
        let _ = write!(text, " Not here, and not measured: {}.", skipped.join(", "));
    }
    text
}

fn unique(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for word in words {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    seen
}

/// Puts the table between the marks of a page.
///
/// # Errors
/// If the page cannot be read or written, or has no marks.
pub(super) fn put(path: &Path, name: &str, table: &str) -> Result<(), String> {
    let page = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: cannot read: {error}", path.display()))?;
    let new = between(&page, name, table).ok_or_else(|| {
        let [begin, end] = marks(name);
        format!(
            "{}: expected a line {begin:?} and one {end:?} after it, found none",
            path.display()
        )
    })?;
    write(path, &new)
}

fn marks(name: &str) -> [String; 2] {
    ["begin", "end"].map(|side| format!("<!-- bars {name}: {side} -->"))
}

fn between(page: &str, name: &str, table: &str) -> Option<String> {
    let [begin, end] = marks(name);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = "a\n<!-- bars b: begin -->\nold\n<!-- bars b: end -->\nz\n";
        let once = between(page, "b", "new\n").expect("marks");
        assert_eq!(
            once,
            "a\n<!-- bars b: begin -->\n\nnew\n\n<!-- bars b: end -->\nz\n"
        );
        assert_eq!(between(&once, "b", "new\n"), Some(once));
        assert_eq!(between(page, "c", "new"), None);
        assert_eq!(between("<!-- bars b: begin -->", "b", "new"), None);
    }
}
