//! What a row is, and when its bar is reached.

use super::parts::Part;
use crate::report::data::View;
use crate::schema::BarsFile;
use crate::stats::Estimate;

/// One line of the table.
pub(crate) struct Row {
    /// For the command line.
    pub(super) name: &'static str,
    /// What is measured, in Markdown.
    pub(super) what: &'static str,
    pub(super) part: &'static Part,
    /// Behind the figure.
    pub(super) unit: &'static str,
    pub(super) bar: Bar,
    pub(super) moonshot: Option<f64>,
    /// Reads the figure off the samples of the part.
    pub(super) figure: fn(&View<'_>) -> Option<Figure>,
}

/// Where a figure must get.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// At most that, and missed only if the whole interval lies above: for the worst of many, which noise chooses.
    SurelyAtMost(f64),
}

/// A figure, and what has to be said of it.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) estimate: Estimate,
    /// What the moonshot is compared with, if its rule is another one than the bar's.
    pub(super) farther: Option<Estimate>,
    /// Over what, or of which program.
    pub(super) of: String,
}

impl Figure {
    /// A figure that bar and moonshot are both compared with.
    pub(super) fn new(estimate: Estimate, of: String) -> Self {
        Self {
            estimate,
            farther: None,
            of,
        }
    }
}

/// A figure over several of something.
pub(super) fn over(estimate: Option<Estimate>, things: &str) -> Option<Figure> {
    let estimate = estimate?;
    let of = format!("geometric mean over {} {things}", estimate.count);
    Some(Figure::new(estimate, of))
}

/// The one with the greatest median.
pub(super) fn worst(figures: impl Iterator<Item = Figure>) -> Option<Figure> {
    figures.max_by(|a, b| a.estimate.median.total_cmp(&b.estimate.median))
}

/// How far a figure got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Moonshot,
    Reached,
    Missed,
    NotMeasured,
}

/// A row with its figure.
pub(super) struct Judged {
    pub(super) row: &'static Row,
    pub(super) figure: Option<Figure>,
    pub(super) verdict: Verdict,
}

/// The rows with what the file has for them.
pub(super) fn judge(rows: &[&'static Row], file: &BarsFile) -> Vec<Judged> {
    let judge = |row: &&'static Row| {
        let figure = view(file, row.part).and_then(|view| (row.figure)(&view));
        let verdict = figure.as_ref().map_or(Verdict::NotMeasured, |figure| {
            verdict(row.bar, row.moonshot, figure)
        });
        Judged {
            row,
            figure,
            verdict,
        }
    };
    rows.iter().map(judge).collect()
}

/// The samples of a part, if there are any.
pub(super) fn view<'a>(file: &'a BarsFile, part: &Part) -> Option<View<'a>> {
    let found = file.parts.iter().find(|known| known.name == part.name)?;
    View::new(&found.run, None).ok()
}

fn verdict(bar: Bar, moonshot: Option<f64>, figure: &Figure) -> Verdict {
    let reaches = |found: Estimate, bar: Bar| match bar {
        Bar::AtLeast(least) => found.median >= least,
        Bar::AtMost(most) => found.median <= most,
        Bar::SurelyAtMost(most) => found.low <= most,
    };
    let farther = moonshot.map(|moonshot| match bar {
        Bar::AtLeast(_) => Bar::AtLeast(moonshot),
        Bar::AtMost(_) | Bar::SurelyAtMost(_) => Bar::AtMost(moonshot),
    });
    let found = figure.farther.unwrap_or(figure.estimate);
    if farther.is_some_and(|bar| reaches(found, bar)) {
        Verdict::Moonshot
    } else if reaches(figure.estimate, bar) {
        Verdict::Reached
    } else {
        Verdict::Missed
    }
}

impl Bar {
    pub(super) fn value(self) -> f64 {
        match self {
            Self::AtLeast(value) | Self::AtMost(value) | Self::SurelyAtMost(value) => value,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::AtLeast(_) => "at least",
            Self::AtMost(_) | Self::SurelyAtMost(_) => "at most",
        }
    }
}

impl Judged {
    /// Whether the bar lies within the interval, so that the verdict may be noise.
    pub(super) fn is_close(&self) -> bool {
        let bar = self.row.bar.value();
        self.figure.as_ref().is_some_and(|figure| {
            let Estimate { low, high, .. } = figure.estimate;
            low < high && low <= bar && bar <= high
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bar, Figure, Verdict, verdict};
    use crate::stats::Estimate;

    /// Lower end, median and upper end.
    type Interval = (f64, f64, f64);

    fn estimate((low, median, high): Interval) -> Estimate {
        Estimate {
            median,
            minimum: low,
            low,
            high,
            count: 5,
        }
    }

    /// Bar, moonshot, figure, what the moonshot is compared with if that is something else, verdict.
    type Case = (Bar, Option<f64>, Interval, Option<Interval>, Verdict);

    const CASES: &[Case] = {
        use Bar::{AtLeast, AtMost, SurelyAtMost};
        use Verdict::{Missed, Moonshot, Reached};
        &[
            (AtLeast(25.0), Some(40.0), (20.0, 24.9, 30.0), None, Missed),
            (AtLeast(25.0), Some(40.0), (20.0, 25.0, 30.0), None, Reached),
            (
                AtLeast(25.0),
                Some(40.0),
                (39.0, 41.0, 44.0),
                None,
                Moonshot,
            ),
            (AtMost(1.4), Some(1.25), (1.3, 1.41, 1.5), None, Missed),
            (AtMost(1.4), Some(1.25), (1.2, 1.25, 1.3), None, Moonshot),
            (AtMost(1.4), None, (1.0, 1.0, 1.0), None, Reached),
            // The worst of many fails only if the whole interval does.
            (SurelyAtMost(1.1), None, (1.09, 1.2, 1.3), None, Reached),
            (SurelyAtMost(1.1), None, (1.11, 1.2, 1.3), None, Missed),
            (SurelyAtMost(2.5), Some(1.8), (1.7, 1.9, 2.0), None, Reached),
            // The moonshot has a rule of its own.
            (
                AtMost(1.0),
                Some(1.0),
                (0.6, 0.7, 0.8),
                Some((1.1, 1.2, 1.3)),
                Reached,
            ),
            (
                AtMost(1.0),
                Some(1.0),
                (0.4, 0.5, 0.6),
                Some((0.8, 0.9, 1.1)),
                Moonshot,
            ),
            (
                AtMost(1.0),
                Some(1.0),
                (1.0, 1.1, 1.2),
                Some((1.8, 1.9, 2.1)),
                Missed,
            ),
        ]
    };

    #[test]
    fn verdicts() {
        for &(bar, moonshot, found, farther, expected) in CASES {
            let figure = Figure {
                farther: farther.map(estimate),
                ..Figure::new(estimate(found), String::new())
            };
            assert_eq!(
                verdict(bar, moonshot, &figure),
                expected,
                "{bar:?} {found:?}"
            );
        }
    }
}
