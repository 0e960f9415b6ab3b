//! Columns of text, and figures as people read them.

use crate::stats::Estimate;

/// A table whose columns are as wide as they must be.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    rows: Vec<Vec<String>>,
    /// How many columns are flush left; the others are flush right.
    left: usize,
}

impl Grid {
    /// With the titles of the columns.
    pub(crate) fn new(left: usize, titles: &[&str]) -> Self {
        let titles = titles.iter().map(|title| (*title).to_owned()).collect();
        Self {
            rows: vec![titles],
            left,
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there are only titles.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The lines of the table.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| {
                if column < self.left {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let line = cells.collect::<Vec<String>>().join("  ");
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// Three digits or more, as milliseconds, MiB and KiB need them.
pub(crate) fn figure(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A ratio, to a hundredth as long as it is small.
pub(crate) fn ratio(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value >= 0.1 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

/// A ratio with its interval, if there are values enough for one.
pub(crate) fn interval(estimate: Estimate) -> String {
    let Estimate {
        median, low, high, ..
    } = estimate;
    if low < high {
        format!("{} [{}-{}]", ratio(median), ratio(low), ratio(high))
    } else {
        ratio(median)
    }
}

/// A value, or a dash.
pub(crate) fn or_dash<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or("-".to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::{Grid, figure, interval, ratio};
    use crate::stats::Estimate;

    #[test]
    fn columns() {
        let mut grid = Grid::new(1, &["a", "bb", ""]);
        assert!(grid.is_empty());
        grid.row(vec!["xyz".to_owned(), "1".to_owned()]);
        assert_eq!(grid.text(), "a    bb\nxyz   1\n");
    }

    #[test]
    fn figures() {
        let check = |value: f64, plain: &str, as_ratio: &str| {
            assert_eq!(
                (figure(value).as_str(), ratio(value).as_str()),
                (plain, as_ratio)
            );
        };
        check(0.01234, "0.012", "0.012");
        check(1.234, "1.23", "1.23");
        check(12.34, "12.3", "12.3");
        check(1234.5, "1234", "1234");
        let check = |values: &[f64], expected: &str| {
            assert_eq!(interval(Estimate::of(values).expect("values")), expected);
        };
        check(&[1.0, 1.5, 2.0], "1.50 [1.00-2.00]");
        check(&[1.0, 2.0], "1.50");
    }
}
