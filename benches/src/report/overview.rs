//! The table of means, and where and how they were measured.

use super::axes::{exact, figure, time};
use super::data::View;
use super::page::{details, escape, message, missing, table};
use crate::schema::RunFile;
use crate::stats::{Estimate, geometric_mean};
use crate::summary::{Metric, Unit};
use std::fmt::Write as _;

/// What the table shows, with the unit of the means.
const COLUMNS: [(Metric, &str); 5] = [
    (Metric::Total, "total"),
    (Metric::Run, "run"),
    (Metric::Load, "load"),
    (Metric::PeakRss, "peak RSS"),
    (Metric::CodeBytes, "code"),
];

/// Where and how, as a table of facts.
pub(crate) fn facts(run: &RunFile, files: &[String], remarks: &[String]) -> String {
    let machine = &run.machine;
    let rounds = run.samples.iter().map(|sample| sample.round).max();
    let mut rows = vec![
        (
            "Machine",
            format!(
                "{}, {} logical processors, {} GiB of memory, {}",
                machine.cpu,
                machine.cores,
                figure(kib(machine.memory_kb) / 1024.0 / 1024.0),
                machine.os
            ),
        ),
        (
            "Measured",
            format!(
                "{}; {} samples in {} rounds; load average {} at the start",
                date(run.started_unix),
                run.samples.len(),
                rounds.map_or(0, |last| last + 1),
                figure(machine.load)
            ),
        ),
        (
            "Command",
            format!("upshift-bench {}", run.command.join(" ")),
        ),
    ];
    if !machine.commit.is_empty() {
        rows.push(("Commit", machine.commit.clone()));
    }
    rows.push(("Files", files.join(", ")));
    let mut html = "<table class=\"facts\"><tbody>\n".to_owned();
    for (name, value) in rows {
        let value = escape(&value);
        let value = if name == "Command" {
            format!("<code>{value}</code>")
        } else {
            value
        };
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>"
        );
    }
    html.push_str("</tbody></table>\n");
    for remark in remarks {
        let _ = writeln!(html, "<p class=\"warn\">{}</p>", escape(remark));
    }
    html.push_str(&versions(run));
    html
}

fn versions(run: &RunFile) -> String {
    let measured = run.engines.iter().filter(|engine| engine.skipped.is_none());
    let rows: Vec<Vec<String>> = measured
        .map(|engine| vec![escape(&engine.name), escape(&engine.version)])
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = ["Engine", "Version"].map(str::to_owned);
    details("Versions of the engines", &table(&head, &rows))
}

/// The section: for each size a table, for each number of compile threads a part of it.
pub(crate) fn section(view: &View<'_>) -> String {
    let mut html = String::new();
    for (index, size) in view.sizes.iter().rev().enumerate() {
        let mut tables = String::new();
        for one in [false, true] {
            let engines = view.tried(one, size);
            if engines.is_empty() {
                continue;
            }
            let threads = if one { "one thread" } else { "all threads" };
            let _ = writeln!(
                tables,
                "<h3>Size {}, compiling on {threads}</h3>",
                escape(size)
            );
            tables.push_str(&of_size(view, &engines, size));
        }
        if index == 0 {
            html.push_str(&message(&headline(view, size)));
            html.push_str(&tables);
        } else {
            html.push_str(&details(&format!("The same at size {size}"), &tables));
        }
    }
    if html.is_empty() {
        html = missing("There are no samples.");
    }
    html
}

fn headline(view: &View<'_>, size: &str) -> String {
    let totals = view.engines.iter().filter_map(|engine| {
        let ratio = view
            .summary
            .mean_ratio(Metric::Total, engine, view.reference, size)?;
        let native = engine.starts_with("native") || *engine == view.reference;
        (!native).then_some((*engine, ratio))
    });
    match totals.min_by(|a, b| a.1.median.total_cmp(&b.1.median)) {
        Some((engine, ratio)) => format!(
            "Lowest total time at size {size} besides {}: {engine}, {} × {}{}.",
            view.reference,
            exact(ratio.median),
            view.reference,
            if ratio.low < ratio.high {
                let (low, high) = (exact(ratio.low), exact(ratio.high));
                format!(" (95 % interval {low} to {high})")
            } else {
                String::new()
            }
        ),
        None => format!(
            "At size {size} nothing can be compared with {}.",
            view.reference
        ),
    }
}

fn of_size(view: &View<'_>, engines: &[&str], size: &str) -> String {
    let references = COLUMNS.map(|(metric, _)| view.reference_for(metric, size));
    let mut head = vec!["Engine".to_owned()];
    for ((_, name), reference) in COLUMNS.iter().zip(references) {
        let below = reference.map_or("–".to_owned(), |reference| {
            format!("÷ {}", escape(reference))
        });
        head.push(format!("{name}<small>{below}</small>"));
    }
    head.push("programs".to_owned());
    let ratio = |engine: &str| {
        let ratios = COLUMNS
            .iter()
            .zip(references)
            .map(|((metric, _), reference)| {
                view.summary.mean_ratio(*metric, engine, reference?, size)
            });
        ratios.collect::<Vec<Option<Estimate>>>()
    };
    let ratios: Vec<Vec<Option<Estimate>>> = engines.iter().map(|engine| ratio(engine)).collect();
    let best: Vec<f64> = (0..COLUMNS.len())
        .map(|column| {
            let values = ratios.iter().filter_map(|row| row[column]);
            values
                .map(|ratio| ratio.median)
                .fold(f64::INFINITY, f64::min)
        })
        .collect();
    let rows = engines.iter().zip(&ratios).map(|(engine, ratios)| {
        let mut row = vec![escape(engine)];
        for ((column, ratio), best) in COLUMNS.iter().zip(ratios).zip(&best) {
            let mean = mean(view, column.0, engine, size);
            row.push(cell(*ratio, *best, &mean));
        }
        let programs = view.medians(Metric::Load, engine, size).len();
        let programs = programs.max(view.medians(Metric::Run, engine, size).len());
        row.push(programs.to_string());
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    table(&head, &rows)
}

fn cell(ratio: Option<Estimate>, best: f64, mean: &str) -> String {
    let Some(ratio) = ratio else {
        return if mean.is_empty() {
            "–".to_owned()
        } else {
            format!("–<small>{mean}</small>")
        };
    };
    let class = if ratio.median <= best {
        " class=\"best\""
    } else {
        ""
    };
    let interval = if ratio.low < ratio.high {
        format!("<i>{} to {}</i>", exact(ratio.low), exact(ratio.high))
    } else {
        String::new()
    };
    format!(
        "{interval}<span{class}>{}</span><small>{mean}</small>",
        exact(ratio.median)
    )
}

/// The geometric mean of the values themselves, with its unit.
fn mean(view: &View<'_>, metric: Metric, engine: &str, size: &str) -> String {
    let values = view.medians(metric, engine, size);
    let values: Vec<f64> = values.into_iter().map(|(value, _)| value).collect();
    let Some(mean) = geometric_mean(&values) else {
        return String::new();
    };
    match metric.unit() {
        Unit::Milliseconds => time(mean),
        unit @ (Unit::Mebibytes | Unit::Kibibytes) => {
            format!("{} {}", figure(mean / unit.scale()), unit.name())
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
fn kib(value: u64) -> f64 {
    value as f64
}

/// Seconds since 1970 as date and time, UTC.
pub(crate) fn date(seconds: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut days = seconds / 86_400;
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!(
        "{year}-{month:02}-{:02} {hour:02}:{minute:02} UTC",
        days + 1
    )
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates() {
        let check = |seconds: u64, expected: &str| assert_eq!(date(seconds), expected);
        check(0, "1970-01-01 00:00 UTC");
        check(951_782_399, "2000-02-28 23:59 UTC");
        check(951_782_400, "2000-02-29 00:00 UTC");
        check(1_798_761_600, "2027-01-01 00:00 UTC");
    }
}
