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
    pub(super) part: Part,
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
    /// Over what, or of which program.
    pub(super) of: String,
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
            verdict(row.bar, row.moonshot, figure.estimate)
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
pub(super) fn view(file: &BarsFile, part: Part) -> Option<View<'_>> {
    let found = file.parts.iter().find(|known| known.name == part.name())?;
    View::new(&found.run, None).ok()
}

fn verdict(bar: Bar, moonshot: Option<f64>, found: Estimate) -> Verdict {
    let reaches = |bar: Bar| match bar {
        Bar::AtLeast(least) => found.median >= least,
        Bar::AtMost(most) => found.median <= most,
        Bar::SurelyAtMost(most) => found.low <= most,
    };
    let farther = moonshot.map(|moonshot| match bar {
        Bar::AtLeast(_) => Bar::AtLeast(moonshot),
        Bar::AtMost(_) | Bar::SurelyAtMost(_) => Bar::AtMost(moonshot),
    });
    if farther.is_some_and(reaches) {
        Verdict::Moonshot
    } else if reaches(bar) {
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
    use super::{Bar, Verdict, verdict};
    use crate::stats::Estimate;

    #[test]
    fn verdicts() {
        let check = |bar: Bar, moonshot: Option<f64>, (low, median, high), expected| {
            let found = Estimate {
                median,
                minimum: low,
                low,
                high,
                count: 5,
            };
            assert_eq!(verdict(bar, moonshot, found), expected, "{bar:?} {median}");
        };
        let least = Bar::AtLeast(25.0);
        check(least, Some(40.0), (20.0, 24.9, 30.0), Verdict::Missed);
        check(least, Some(40.0), (20.0, 25.0, 30.0), Verdict::Reached);
        check(least, Some(40.0), (39.0, 41.0, 44.0), Verdict::Moonshot);
        let most = Bar::AtMost(1.4);
        check(most, Some(1.25), (1.3, 1.41, 1.5), Verdict::Missed);
        check(most, Some(1.25), (1.2, 1.25, 1.3), Verdict::Moonshot);
        check(most, None, (1.0, 1.0, 1.0), Verdict::Reached);
        let worst = Bar::SurelyAtMost(2.5);
        check(worst, Some(1.8), (2.4, 2.6, 2.7), Verdict::Reached);
        check(worst, Some(1.8), (2.51, 2.6, 2.7), Verdict::Missed);
        check(worst, Some(1.8), (1.7, 1.9, 2.0), Verdict::Reached);
    }
}
