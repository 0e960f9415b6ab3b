//! Dots in rows: a row is a program or an engine, a dot the figure of an engine with its interval.

use super::axes::{Scale, columns};
use super::canvas::{Anchor, Canvas, FAINT, GRID, INK, Point, SMALL, TEXT, Type, draw, text_width};
use super::style;

/// The figure of an engine in a row.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Dot {
    pub(crate) engine: String,
    pub(crate) value: f64,
    /// Its 95 % interval.
    pub(crate) interval: (f64, f64),
}

/// A row of every panel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Label {
    pub(crate) text: String,
    /// The row sums the others up.
    pub(crate) bold: bool,
}

/// Rows of dots over one axis.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    /// The unit of the axis.
    pub(crate) axis: String,
    /// The dots of each row.
    pub(crate) rows: Vec<Vec<Dot>>,
    /// Where a vertical line says "as fast as the reference".
    pub(crate) reference: Option<f64>,
    /// The engines to explain above the panel; none where the rows are the engines.
    pub(crate) legend: Vec<String>,
    /// Whether to write the value beside its dot.
    pub(crate) figures: bool,
}

const MARK: f64 = 4.0;
const GAP: f64 = 18.0;
const LEGEND_LINE: f64 = 17.0;
/// Height of axis figures and title.
const BELOW: f64 = 46.0;

/// Draws panels side by side; with `same_scale`, all have one.
///
/// # Errors
/// What plotters says.
pub(crate) fn plot(
    width: f64,
    labels: &[Label],
    panels: &[Panel],
    same_scale: bool,
) -> Result<String, String> {
    // Bold text is wider.
    let size = |label: &Label| if label.bold { TEXT * 1.15 } else { TEXT };
    let widths = labels
        .iter()
        .map(|label| text_width(&label.text, size(label)));
    let left = widths.fold(40.0, f64::max) + 12.0;
    let count = f64::from(u32::try_from(panels.len().max(1)).unwrap_or(1));
    let panel_width = (width - left - GAP * count) / count;
    let lines = panels.iter().map(|panel| legend_lines(panel, panel_width));
    let legend = lines.max().unwrap_or(0);
    let top = 26.0 + f64::from(legend) * LEGEND_LINE;
    let most = panels.iter().flat_map(|panel| &panel.rows).map(Vec::len);
    let most = f64::from(u32::try_from(most.max().unwrap_or(1)).unwrap_or(1));
    let row = (12.0 + most * 2.5).clamp(22.0, 44.0);
    let rows = f64::from(u32::try_from(labels.len()).unwrap_or(u32::MAX));
    let bottom = top + rows * row + 6.0;
    let everything = panels.iter().flat_map(values);
    let common = Scale::log(everything, (0.0, 1.0));
    draw((width, bottom + BELOW), |canvas| {
        paint_labels(canvas, labels, (left - 10.0, width), top, row);
        let mut from = left;
        for panel in panels {
            let room = if panel.figures { 70.0 } else { 0.0 };
            let pixels = (from, from + panel_width - room);
            let scale = if same_scale {
                common.moved(pixels)
            } else {
                Scale::log(values(panel), pixels)
            };
            paint(canvas, panel, &scale, (pixels, (top, bottom)), row);
            from += panel_width + GAP;
        }
    })
}

fn values(panel: &Panel) -> impl Iterator<Item = f64> + '_ {
    let dots = panel.rows.iter().flatten();
    let ends = dots.flat_map(|dot| [dot.value, dot.interval.0, dot.interval.1]);
    ends.chain(panel.reference)
}

fn paint_labels(
    canvas: &mut Canvas<'_>,
    labels: &[Label],
    (right, width): (f64, f64),
    top: f64,
    row: f64,
) {
    let mut y = top;
    for (index, label) in labels.iter().enumerate() {
        let look = if label.bold { Type::BOLD } else { Type::PLAIN };
        if index > 0 && label.bold {
            canvas.line(&[(0.0, y), (width, y)], FAINT, 1.0);
        } else {
            canvas.line(&[(right + 10.0, y), (width, y)], GRID, 0.5);
        }
        canvas.text((right, y + row / 2.0), Anchor::Right, &label.text, look);
        y += row;
    }
}

fn paint(
    canvas: &mut Canvas<'_>,
    panel: &Panel,
    scale: &Scale,
    ((left, right), (top, bottom)): (Point, Point),
    row: f64,
) {
    canvas.text((left, 12.0), Anchor::Left, &panel.title, Type::BOLD);
    paint_legend(canvas, panel, (left, right));
    columns(canvas, scale, (top, bottom), "");
    canvas.line(&[(left, bottom), (right, bottom)], INK, 1.0);
    if let Some(reference) = panel.reference {
        let x = scale.at(reference);
        canvas.line(&[(x, top), (x, bottom)], INK, 1.0);
    }
    let middle = f64::midpoint(left, right);
    canvas.text(
        (middle, bottom + 32.0),
        Anchor::Center,
        &panel.axis,
        Type::FAINT,
    );
    for (index, dots) in (0_u32..).zip(&panel.rows) {
        let middle = top + (f64::from(index) + 0.5) * row;
        paint_row(canvas, panel, dots, (scale, middle), row);
    }
}

fn paint_row(
    canvas: &mut Canvas<'_>,
    panel: &Panel,
    dots: &[Dot],
    (scale, middle): (&Scale, f64),
    row: f64,
) {
    let count = f64::from(u32::try_from(dots.len()).unwrap_or(1));
    let apart = ((row - 2.5 * MARK) / (count - 1.0).max(1.0)).min(5.0);
    let mut y = middle - apart * (count - 1.0) / 2.0;
    for dot in dots {
        let look = style::of(&dot.engine);
        let (low, high) = (scale.at(dot.interval.0), scale.at(dot.interval.1));
        canvas.line(&[(low, y), (high, y)], look.colour, 1.5);
        canvas.mark((scale.at(dot.value), y), MARK, look);
        if panel.figures {
            let text = super::axes::exact(dot.value);
            let at = (high.max(scale.at(dot.value)) + 9.0, y);
            canvas.text(at, Anchor::Left, &text, Type::SMALL);
        }
        y += apart;
    }
}

/// In how many columns the legend fits into a panel.
fn legend_columns(panel: &Panel, width: f64) -> u32 {
    let widths = panel.legend.iter().map(|name| text_width(name, SMALL));
    let widest = widths.fold(1.0, f64::max) + 18.0;
    if widest * 2.0 <= width { 2 } else { 1 }
}

fn legend_lines(panel: &Panel, width: f64) -> u32 {
    let count = u32::try_from(panel.legend.len()).unwrap_or(0);
    count.div_ceil(legend_columns(panel, width))
}

fn paint_legend(canvas: &mut Canvas<'_>, panel: &Panel, (left, right): (f64, f64)) {
    let columns = legend_columns(panel, right - left);
    let width = (right - left) / f64::from(columns);
    for (index, engine) in (0_u32..).zip(&panel.legend) {
        let x = left + f64::from(index % columns) * width;
        let y = 30.0 + f64::from(index / columns) * LEGEND_LINE;
        canvas.mark((x + 6.0, y), MARK, style::of(engine));
        canvas.text((x + 16.0, y), Anchor::Left, engine, Type::SMALL);
    }
}
