//! All figures of every engine, program and size.

use super::{Grid, View, figure, interval, or_dash};
use crate::summary::{Cell, Metric};

pub(super) fn text(view: &View<'_>) -> String {
    let titles = ["program", "size", "engine"];
    let times = ["total ms", "load ms", "run ms", "run", "total"];
    let mut time = Grid::new(3, &[&titles[..], &times[..]].concat());
    let others = [
        "process ms",
        "warm ms",
        "CPU ms",
        "RSS MiB",
        "code KiB",
        "samples",
    ];
    let mut other = Grid::new(3, &[&titles[..], &others[..]].concat());
    let mut before: Option<Cell<'_>> = None;
    for cell in view.cells() {
        let again = before.is_some_and(|b| (b.program, b.size) == (cell.program, cell.size));
        before = Some(cell);
        time.row([head(cell, again), times_of(view, cell)].concat());
        other.row([head(cell, again), others_of(view, cell)].concat());
    }
    format!(
        "\nMedians; run and total once more relative to {}, with 95 % intervals\n\n{}\n{}",
        view.reference,
        time.text(),
        other.text()
    )
}

/// The columns that say which cell it is; program and size only where they change.
fn head(cell: Cell<'_>, again: bool) -> Vec<String> {
    let (program, size) = if again {
        ("", "")
    } else {
        (cell.program, cell.size)
    };
    [program, size, cell.engine].map(str::to_owned).to_vec()
}

fn times_of(view: &View<'_>, cell: Cell<'_>) -> Vec<String> {
    if view.summary.problem(cell).is_some() {
        return vec!["bad".to_owned()];
    }
    let plain =
        [Metric::Total, Metric::Load, Metric::Run].map(|metric| median(view, metric, cell, 1.0));
    let ratios =
        [Metric::Run, Metric::Total].map(|metric| or_dash(view.ratio(metric, cell), interval));
    [plain.to_vec(), ratios.to_vec()].concat()
}

fn others_of(view: &View<'_>, cell: Cell<'_>) -> Vec<String> {
    if view.summary.problem(cell).is_some() {
        return vec!["bad".to_owned()];
    }
    let mut columns: Vec<String> = [
        (Metric::Process, 1.0),
        (Metric::Warm, 1.0),
        (Metric::Cpu, 1.0),
        (Metric::PeakRss, 1024.0),
        (Metric::CodeBytes, 1024.0),
    ]
    .into_iter()
    .map(|(metric, unit)| median(view, metric, cell, unit))
    .collect();
    columns.push(view.summary.samples(cell).len().to_string());
    columns
}

fn median(view: &View<'_>, metric: Metric, cell: Cell<'_>, unit: f64) -> String {
    or_dash(view.summary.estimate(metric, cell), |e| {
        figure(e.median / unit)
    })
}
