//! What went wrong, and what was not measured.

use super::data::View;
use super::page::escape;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The section.
pub(crate) fn section(view: &View<'_>) -> String {
    let mut html = String::new();
    let skipped = view.run.engines.iter().filter_map(|engine| {
        let why = engine.skipped.as_deref()?;
        Some(format!("{} was skipped: {why}", engine.name))
    });
    list(&mut html, "Engines that were not measured", skipped);
    // One cause often spoils many cells.
    let mut causes: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (cell, message) in view.summary.problems() {
        let place = format!("{} ({})", cell.program, cell.size);
        causes
            .entry((cell.engine, message))
            .or_default()
            .push(place);
    }
    let wrong = causes
        .iter()
        .map(|((engine, message), places)| format!("{engine}: {}: {message}", places.join(", ")));
    list(
        &mut html,
        "Wrong or failed, and therefore in no figure of this page",
        wrong,
    );
    let unchecked = unchecked(view);
    list(
        &mut html,
        "Programs whose output was not checked, since none is recorded",
        unchecked.into_iter(),
    );
    if html.is_empty() {
        html = "<p>None: every engine was measured, and every output is the recorded one.</p>\n"
            .to_owned();
    }
    html
}

fn unchecked(view: &View<'_>) -> Vec<String> {
    let samples = view.run.samples.iter();
    let unchecked = samples.filter(|sample| sample.outcome == crate::schema::Outcome::Unchecked);
    let mut names: Vec<String> = unchecked
        .map(|sample| format!("{} ({})", sample.program, sample.size))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn list(html: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    let _ = write!(html, "<h3>{}</h3>\n<ul>\n", escape(title));
    for item in items {
        let _ = writeln!(html, "<li>{}</li>", escape(&item));
    }
    html.push_str("</ul>\n");
}
