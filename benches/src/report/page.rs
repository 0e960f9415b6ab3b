//! The HTML around the plots.

use std::fmt::Write as _;

/// Text with nothing in it that HTML would take for its own.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A paragraph.
pub(crate) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escape(text))
}

/// What is to be remembered of a plot.
pub(crate) fn message(text: &str) -> String {
    format!("<p class=\"message\">{}</p>\n", escape(text))
}

/// The same for several lines.
pub(crate) fn messages(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
    format!("<p class=\"message\">{}</p>\n", lines.join("<br>\n"))
}

/// Why a section is empty.
pub(crate) fn missing(text: &str) -> String {
    format!("<p class=\"missing\">{}</p>\n", escape(text))
}

/// A plot; `alt` says in words what it shows.
pub(crate) fn figure(svg: &str, alt: &str) -> String {
    let labelled = format!("<svg role=\"img\" aria-label=\"{}\"", escape(alt));
    format!(
        "<figure>\n{}</figure>\n",
        svg.replacen("<svg", &labelled, 1)
    )
}

/// Something to unfold.
pub(crate) fn details(summary: &str, content: &str) -> String {
    format!(
        "<details>\n<summary>{}</summary>\n{content}</details>\n",
        escape(summary)
    )
}

/// A table whose first column names the rows. Cells are HTML.
pub(crate) fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let mut html = "<div class=\"wide\"><table>\n<thead><tr>".to_owned();
    for cell in head {
        let _ = write!(html, "<th scope=\"col\">{cell}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let _ = if index == 0 {
                write!(html, "<th scope=\"row\">{cell}</th>")
            } else {
                write!(html, "<td>{cell}</td>")
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

/// A part of the page: its title, how to read it, and its content in HTML.
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) how: &'static str,
    pub(crate) content: String,
}

/// The whole page.
pub(crate) fn page(title: &str, top: &str, sections: &[Section]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{top}",
        title = escape(title)
    );
    html.push_str("<nav><ol>\n");
    for section in sections {
        let title = escape(section.title);
        let _ = writeln!(html, "<li><a href=\"#{}\">{title}</a></li>", section.id);
    }
    html.push_str("</ol></nav>\n");
    for (index, section) in sections.iter().enumerate() {
        let _ = write!(
            html,
            "<section id=\"{}\">\n<h2>{}. {}</h2>\n<p class=\"how\">{}</p>\n{}</section>\n",
            section.id,
            index + 1,
            escape(section.title),
            escape(section.how),
            section.content
        );
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

/// The colours of plots that [`super::canvas`] names are mapped to those of the page here.
const STYLE: &str = r##":root {
  color-scheme: light dark;
  --ink: #222; --faint: #5c5c5c; --grid: #ddd; --paper: #fff; --mark: #f3f6fa; --warn: #a33b00;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --faint: #a8a8a8; --grid: #3c3c3c; --paper: #181a1b; --mark: #23282e; --warn: #ff9a5c; }
}
@media print {
  :root { --ink: #000; --faint: #444; --grid: #ccc; --paper: #fff; --mark: #f3f6fa; --warn: #a33b00; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  nav { display: none; }
}
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0.6rem 0; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 0.2rem; border-top: 1px solid var(--grid); padding-top: 1.2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 0.3rem; }
a { color: inherit; }
.how { color: var(--faint); margin: 0 0 0.6rem; max-width: 60rem; }
.message { background: var(--mark); border-left: 4px solid #0072b2; padding: 0.4rem 0.8rem; margin: 0.6rem 0; }
.missing { font-style: italic; color: var(--faint); }
.warn { color: var(--warn); }
nav ol { columns: 2; padding-left: 1.4rem; }
figure { margin: 0.8rem 0; }
figure svg { display: block; width: 100%; height: auto; }
figure [fill="#222222"] { fill: var(--ink); } figure [stroke="#222222"] { stroke: var(--ink); }
figure [fill="#666666"] { fill: var(--faint); } figure [stroke="#666666"] { stroke: var(--faint); }
figure [fill="#DDDDDD"] { fill: var(--grid); } figure [stroke="#DDDDDD"] { stroke: var(--grid); }
figure [fill="#FFFFFF"] { fill: var(--paper); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; margin: 0.5rem 0; min-width: 70%; }
th, td { padding: 0.22rem 0.7rem 0.22rem 0; text-align: right; vertical-align: top; border-bottom: 1px solid var(--grid); }
th:first-child { text-align: left; white-space: nowrap; font-weight: 500; }
thead th { vertical-align: bottom; font-weight: 600; }
td small, th small { color: var(--faint); white-space: nowrap; font-weight: 400; display: block; }
table.facts th, table.facts td { text-align: left; }
td i { font-style: normal; color: var(--faint); font-size: 0.85em; white-space: nowrap; margin-right: 0.5em; }
.best { font-weight: 700; }
code { font-size: 0.86em; overflow-wrap: anywhere; }
details { margin: 0.6rem 0; } summary { cursor: pointer; }
"##;

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn escaped() {
        assert_eq!(
            escape("<a b=\"c\">&'"),
            "&lt;a b=&quot;c&quot;&gt;&amp;&#39;"
        );
    }
}
