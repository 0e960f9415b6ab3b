//! What tier-up did in one run, one row per function.

use crate::axes::{Scale, columns};
use crate::canvas::{Anchor, Canvas, FAINT, GRID, INK, Point, SMALL, TEXT, Type, draw, text_width};
use crate::look::{BLUE, Colour, Dash, Fill, GREEN, PURPLE, SKY, Shape, Style, VERMILION};
use plotters::style::RGBColor;
use std::collections::BTreeMap;

/// A longer timeline gets a logarithmic axis.
const LONG_MS: f64 = 20.0;
/// Where that axis begins.
const FIRST_MS: f64 = 0.1;
const ROW: f64 = 18.0;
const MARGIN: f64 = 14.0;
/// Half of the height of compiles, and of the code that runs.
const BAR: f64 = 5.0;
const BAND: f64 = 2.0;

/// What is compiled, or runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// The single-pass compiler's.
    Baseline,
    /// The optimizing compiler's.
    Optimized,
    /// The optimizing compiler's, to enter a running loop with.
    Loop,
}

/// Something that happened to a function.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    /// A compile ended that took so many ms.
    Compiled(Code, f64),
    /// The optimizing compiler was asked for, for the function or for a loop of it.
    Requested(Code),
    /// A worker took the job.
    Started(Code),
    /// Calls reach the code.
    Installed(Code),
    /// A running loop was entered in the middle.
    Entered,
    /// A request was dropped, or a compile failed.
    Dropped,
}

/// A point in a function's life that has a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// See [`Step::Requested`].
    Requested,
    /// See [`Step::Installed`]; of optimized code.
    Installed,
    /// See [`Step::Entered`].
    Entered,
    /// See [`Step::Dropped`].
    Dropped,
}

/// A function, with times in ms.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Life {
    /// Its name.
    pub name: String,
    /// When its first compile began.
    pub first: f64,
    /// Compiles, from when until when.
    pub compiles: Vec<(Code, f64, f64)>,
    /// From a request to the start of the job.
    pub waits: Vec<(f64, f64)>,
    /// The code that calls reach from then on.
    pub runs: Vec<(Code, f64)>,
    /// Marks.
    pub marks: Vec<(Mark, f64)>,
    pending: Option<f64>,
    pending_loop: Option<f64>,
}

impl Life {
    /// A function whose first step is then.
    #[must_use]
    pub fn new(name: String, first: f64) -> Self {
        Self {
            name,
            first,
            ..Self::default()
        }
    }

    /// Takes the next step into account.
    pub fn step(&mut self, at: f64, step: Step) {
        match step {
            Step::Compiled(code, took) => {
                self.first = self.first.min(at - took);
                self.compiles.push((code, at - took, at));
            }
            Step::Requested(code) => {
                *self.pending(code) = Some(at);
                self.marks.push((Mark::Requested, at));
            }
            Step::Started(code) => {
                if let Some(requested) = self.pending(code).take() {
                    self.waits.push((requested, at));
                }
            }
            Step::Installed(code) => {
                self.runs.push((code, at));
                if code == Code::Optimized {
                    self.marks.push((Mark::Installed, at));
                }
            }
            Step::Entered => self.marks.push((Mark::Entered, at)),
            Step::Dropped => self.marks.push((Mark::Dropped, at)),
        }
    }

    fn pending(&mut self, code: Code) -> &mut Option<f64> {
        match code {
            Code::Baseline | Code::Optimized => &mut self.pending,
            Code::Loop => &mut self.pending_loop,
        }
    }

    /// Whether the optimizing compiler made code of it.
    #[must_use]
    pub fn optimized(&self) -> bool {
        self.compiles
            .iter()
            .any(|(code, ..)| *code != Code::Baseline)
    }

    /// When the optimized code was installed.
    pub fn installed(&self) -> impl Iterator<Item = f64> {
        let installed = self.marks.iter().filter(|mark| mark.0 == Mark::Installed);
        installed.map(|(_, at)| *at)
    }

    fn last(&self) -> f64 {
        let compiles = self.compiles.iter().map(|(_, _, end)| *end);
        let waits = self.waits.iter().map(|(_, end)| *end);
        let marks = self.marks.iter().map(|(_, at)| *at);
        compiles
            .chain(waits)
            .chain(marks)
            .fold(self.first, f64::max)
    }
}

/// Puts steps, which are in the order of time, together: one life per key, by the time of their first compile.
pub fn lives<K: Ord>(
    steps: impl IntoIterator<Item = (K, f64, Step)>,
    name: impl Fn(&K) -> String,
) -> Vec<Life> {
    let mut lives: BTreeMap<K, Life> = BTreeMap::new();
    for (key, at, step) in steps {
        let name = || name(&key);
        match lives.get_mut(&key) {
            Some(life) => life.step(at, step),
            None => {
                let mut life = Life::new(name(), at);
                life.step(at, step);
                lives.insert(key, life);
            }
        }
    }
    let mut lives: Vec<Life> = lives.into_values().collect();
    lives.sort_by(|a, b| a.first.total_cmp(&b.first));
    lives
}

/// The functions worth a row: all, or those that were optimized or asked for, the earliest of them; and how many are left out.
#[must_use]
pub fn chosen(lives: Vec<Life>, most: usize) -> (Vec<Life>, usize) {
    let all = lives.len();
    if all <= most {
        return (lives, 0);
    }
    let (busy, idle): (Vec<Life>, Vec<Life>) = lives
        .into_iter()
        .partition(|life| life.optimized() || !life.waits.is_empty() || !life.marks.is_empty());
    let mut rows: Vec<Life> = busy.into_iter().chain(idle).take(most).collect();
    rows.sort_by(|a, b| a.first.total_cmp(&b.first));
    (rows, all - most)
}

/// What is drawn, and how.
#[derive(Clone, Debug)]
pub struct Timeline<'a> {
    /// From top to bottom.
    pub rows: &'a [Life],
    /// Functions that have no row.
    pub left_out: usize,
    /// The time that is zero on the axis, in ms.
    pub zero: f64,
    /// What that is: `the first event`.
    pub since: &'a str,
    /// When the run ended, in ms, if that is known: code runs until then.
    pub end: Option<f64>,
    /// Of the whole picture, in pixels.
    pub width: f64,
}

impl Timeline<'_> {
    /// The timeline as SVG; none without rows.
    ///
    /// # Errors
    /// What plotters says.
    pub fn svg(&self) -> Result<Option<String>, String> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let last = self.rows.iter().map(Life::last).fold(0.0, f64::max);
        let end = self.end.unwrap_or(last).max(last);
        let span = (end - self.zero).max(1e-3);
        let names: Vec<String> = self.rows.iter().map(|life| shorten(&life.name)).collect();
        let widths = names.iter().map(|name| text_width(name, SMALL));
        let left = widths.fold(80.0, f64::max) + 14.0;
        let count = f64::from(u32::try_from(self.rows.len()).unwrap_or(1));
        let top = 2.0 * LINE + 14.0;
        let bottom = top + 6.0 + count * ROW;
        let right = self.width - MARGIN;
        // Most of it happens in the first milliseconds: a long run would squeeze them to nothing.
        let long = span > LONG_MS;
        let x = if long {
            Scale::log([FIRST_MS, span], (left, right))
        } else {
            Scale::from_zero(span, (left, right))
        };
        let svg = draw((self.width, bottom + 62.0), |canvas| {
            legend(canvas, (left, right));
            columns(canvas, &x, (top, bottom), "");
            canvas.line(&[(left, bottom), (right, bottom)], INK, 1.0);
            for ((index, life), name) in (0_u32..).zip(self.rows).zip(&names) {
                let y = top + 3.0 + (f64::from(index) + 0.5) * ROW;
                canvas.line(&[(left, y), (right, y)], GRID, 0.5);
                canvas.text((left - 8.0, y), Anchor::Right, name, Type::SMALL);
                self.paint(canvas, life, end, (&x, y));
            }
            let log = if long { " (logarithmic)" } else { "" };
            let title = format!("ms since {}{log}", self.since);
            let middle = f64::midpoint(left, self.width);
            canvas.text((middle, bottom + 32.0), Anchor::Center, &title, Type::FAINT);
            if self.left_out > 0 {
                let note = format!("{} more functions are left out", self.left_out);
                canvas.text((left, bottom + 50.0), Anchor::Left, &note, Type::FAINT);
            }
        })?;
        Ok(Some(svg))
    }

    fn paint(&self, canvas: &mut Canvas<'_>, life: &Life, end: f64, (x, y): (&Scale, f64)) {
        let at = |time: f64| x.at(time - self.zero);
        for (index, (code, from)) in life.runs.iter().enumerate() {
            let to = life.runs.get(index + 1).map_or(end, |(_, next)| *next);
            band(canvas, (at(*from), at(to)), y, running(*code));
        }
        for (from, to) in &life.waits {
            canvas.line(&[(at(*from), y), (at(*to), y)], FAINT, 2.0);
        }
        for (code, from, to) in &life.compiles {
            // Compiles of microseconds have to be seen, too.
            let right = at(*to).max(at(*from) + 2.0);
            canvas.bar((at(*from), y - BAR), (right, y + BAR), compiling(*code));
        }
        // A loop is entered again and again: marks on one spot are one mark.
        let mut taken: BTreeMap<usize, f64> = BTreeMap::new();
        for (mark, time) in &life.marks {
            let place = at(*time);
            let (kind, style) = mark_style(*mark);
            if taken.get(&kind).is_none_or(|other| place - other >= 3.0) {
                taken.insert(kind, place);
                canvas.mark((place, y), 3.5, style);
            }
        }
    }
}

fn band(canvas: &mut Canvas<'_>, (from, to): (f64, f64), y: f64, colour: Colour) {
    canvas.bar((from, y - BAND), (to.max(from + 1.0), y + BAND), colour);
}

/// A name that fits beside its row.
fn shorten(name: &str) -> String {
    const KEEP: usize = 34;
    if name.chars().count() <= KEEP {
        return name.to_owned();
    }
    let head: String = name.chars().take(KEEP - 1).collect();
    format!("{head}…")
}

fn compiling(code: Code) -> Colour {
    match code {
        Code::Baseline => SKY,
        Code::Optimized => BLUE,
        Code::Loop => GREEN,
    }
}

/// Lighter: most of a row is this.
fn running(code: Code) -> Colour {
    match code {
        Code::Baseline => RGBColor(0xcc, 0xe8, 0xf8),
        Code::Optimized | Code::Loop => RGBColor(0x8c, 0xbc, 0xda),
    }
}

/// Its number, and how it looks.
fn mark_style(mark: Mark) -> (usize, Style) {
    match mark {
        Mark::Requested => (0, style(VERMILION, Shape::Circle, Fill::Hollow)),
        Mark::Installed => (1, style(VERMILION, Shape::Up, Fill::Full)),
        Mark::Entered => (2, style(PURPLE, Shape::Diamond, Fill::Full)),
        Mark::Dropped => (3, style(VERMILION, Shape::Square, Fill::Hollow)),
    }
}

fn style(colour: Colour, shape: Shape, fill: Fill) -> Style {
    Style {
        colour,
        shape,
        fill,
        dash: Dash::Solid,
    }
}

/// Height of a line of the legend.
const LINE: f64 = 20.0;

/// What is shown beside a word of the legend.
#[derive(Clone, Copy)]
enum Sign {
    Compile(Code),
    Run(Code),
    Wait,
    Mark(Mark),
}

const LEGEND: [(Sign, &str); 10] = [
    (Sign::Compile(Code::Baseline), "baseline compile"),
    (Sign::Compile(Code::Optimized), "optimizing compile"),
    (Sign::Compile(Code::Loop), "optimizing compile of a loop"),
    (Sign::Run(Code::Baseline), "baseline code runs"),
    (Sign::Run(Code::Optimized), "optimized code runs"),
    (Sign::Mark(Mark::Requested), "requested"),
    (Sign::Wait, "waiting"),
    (Sign::Mark(Mark::Installed), "optimized code installed"),
    (Sign::Mark(Mark::Entered), "running loop entered"),
    (Sign::Mark(Mark::Dropped), "dropped or failed"),
];

/// In as many lines as it takes, which are two.
fn legend(canvas: &mut Canvas<'_>, (left, right): (f64, f64)) {
    let (mut x, mut y) = (left, 12.0);
    for (sign, text) in LEGEND {
        let width = text_width(text, TEXT);
        if x + 20.0 + width > right && x > left {
            (x, y) = (left, y + LINE);
        }
        draw_sign(canvas, (x, y), sign);
        canvas.text((x + 20.0, y), Anchor::Left, text, Type::PLAIN);
        x += width + 36.0;
    }
}

fn draw_sign(canvas: &mut Canvas<'_>, (x, y): Point, sign: Sign) {
    match sign {
        Sign::Compile(code) => {
            canvas.bar((x, y - BAR), (x + 14.0, y + BAR), compiling(code));
        }
        Sign::Run(code) => band(canvas, (x, x + 14.0), y, running(code)),
        Sign::Wait => canvas.line(&[(x, y), (x + 14.0, y)], FAINT, 2.0),
        Sign::Mark(mark) => canvas.mark((x + 7.0, y), 4.0, mark_style(mark).1),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, LEGEND, Life, Mark, Step, Timeline, chosen, lives};

    #[test]
    fn steps_make_lives() {
        let found = lives(
            [
                (3, 1.0, Step::Compiled(Code::Baseline, 0.5)),
                (7, 2.0, Step::Compiled(Code::Baseline, 0.5)),
                (7, 2.0, Step::Installed(Code::Baseline)),
                (7, 3.0, Step::Requested(Code::Optimized)),
                (7, 3.5, Step::Requested(Code::Loop)),
                (7, 3.7, Step::Started(Code::Loop)),
                (7, 4.0, Step::Started(Code::Optimized)),
                (7, 5.0, Step::Entered),
                (7, 6.0, Step::Compiled(Code::Optimized, 2.0)),
                (7, 6.5, Step::Installed(Code::Optimized)),
                (3, 7.0, Step::Requested(Code::Optimized)),
            ],
            |func| format!("func {func}"),
        );
        let expected = Life {
            name: "func 7".to_owned(),
            first: 1.5,
            compiles: vec![(Code::Baseline, 1.5, 2.0), (Code::Optimized, 4.0, 6.0)],
            waits: vec![(3.5, 3.7), (3.0, 4.0)],
            runs: vec![(Code::Baseline, 2.0), (Code::Optimized, 6.5)],
            marks: vec![
                (Mark::Requested, 3.0),
                (Mark::Requested, 3.5),
                (Mark::Entered, 5.0),
                (Mark::Installed, 6.5),
            ],
            ..Life::default()
        };
        assert_eq!(found[1], expected);
        assert_eq!((found[0].first, found[0].pending), (0.5, Some(7.0)));
    }

    #[test]
    fn functions_that_were_optimized_come_first() {
        let life = |index: u32| {
            let code = if index % 2 == 1 {
                Code::Optimized
            } else {
                Code::Baseline
            };
            let mut life = Life::new(String::new(), f64::from(index));
            life.compiles.push((code, 0.0, 1.0));
            life
        };
        let check = |count: u32, shown: usize, left_out: usize| {
            let (rows, out) = chosen((0..count).map(life).collect(), 48);
            assert_eq!((rows.len(), out), (shown, left_out));
        };
        check(10, 10, 0);
        check(200, 48, 152);
        let (rows, _) = chosen((0..200).map(life).collect(), 48);
        assert!(rows.iter().all(Life::optimized));
    }

    #[test]
    fn strange_lives_can_be_drawn() {
        let mut lives: Vec<Life> = Vec::new();
        for (name, at) in [
            ("", 0.0),
            ("<&>\u{1f980}", -5.0),
            ("x", f64::NAN),
            ("y", 1e12),
            ("z", f64::INFINITY),
        ] {
            let mut life = Life::new(name.repeat(30), at);
            life.step(at, Step::Compiled(Code::Loop, 1e9));
            life.step(at, Step::Installed(Code::Optimized));
            life.step(at, Step::Entered);
            lives.push(life);
        }
        for rows in [&lives[..0], &lives[..1], &lives[..]] {
            for end in [None, Some(-1.0), Some(1e15), Some(f64::INFINITY)] {
                let timeline = Timeline {
                    rows,
                    left_out: 3,
                    zero: 0.0,
                    since: "the first event",
                    end,
                    width: 1040.0,
                };
                let svg = timeline.svg().unwrap();
                assert_eq!(svg.is_none(), rows.is_empty());
                let all_named = |svg: &str| LEGEND.iter().all(|(_, text)| svg.contains(text));
                assert!(svg.is_none_or(|svg| all_named(&svg)));
            }
        }
    }
}
