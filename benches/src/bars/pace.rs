//! The plot of long loops: how fast each ran by when.

use super::reach::Pace;
use super::tiering_parts::OPTIMIZED;
use crate::report::WIDTH;
use crate::report::axes::{Frame, Scale};
use crate::report::canvas::{Anchor, Canvas, Point, Type, draw, standalone};
use crate::report::curves::legend;
use crate::report::data::View;
use crate::report::style;
use crate::stats::median;
use crate::summary::Cell;

const HEIGHT: f64 = 300.0;
/// Steps of one point.
const WINDOW: usize = 20;
/// The top of the axis, in per cent.
const TOP: f64 = 120.0;

/// A panel for each loop, of the first round.
///
/// # Errors
/// What plotters says.
pub(super) fn plot(view: &View<'_>) -> Result<String, String> {
    let space = legend(&view.engines, None);
    let count = u32::try_from(view.programs.len().max(1)).unwrap_or(1);
    let width = WIDTH / f64::from(count);
    let svg = draw((WIDTH, HEIGHT + space), |canvas| {
        legend(&view.engines, Some(canvas));
        let rows = (HEIGHT + space - 48.0, space + 26.0);
        let mut left = 0.0;
        for program in &view.programs {
            let columns = (left + 58.0, left + width - 14.0);
            panel(canvas, view, program, (columns, rows));
            left += width;
        }
    })?;
    Ok(standalone(&svg))
}

fn panel(canvas: &mut Canvas<'_>, view: &View<'_>, program: &str, (columns, rows): (Point, Point)) {
    let steps = |engine| steps(view, engine, program);
    let optimized = steps(OPTIMIZED);
    let (Some(start), Some(steady)) = (optimized.first(), Pace::of(optimized).steady()) else {
        return;
    };
    // Time for code that is compiled first, and as much again.
    let until = (start * 2.0).max(20.0);
    let frame = Frame {
        x: Scale::from_zero(until, columns),
        y: Scale::from_zero(TOP, rows),
    };
    canvas.text(
        (columns.0, rows.1 - 12.0),
        Anchor::Left,
        program,
        Type::BOLD,
    );
    frame.draw(
        canvas,
        "ms since the module was in memory",
        "of optimized speed",
        " %",
    );
    for engine in &view.engines {
        let points: Vec<Point> = speeds(steps(engine), steady)
            .take_while(|(at, _)| *at <= until)
            .map(|(at, speed)| frame.at(at, speed.min(TOP)))
            .collect();
        canvas.curve(&points, style::of(engine), 2.0);
    }
}

/// When the steps of the first round were done.
fn steps<'a>(view: &View<'a>, engine: &str, program: &str) -> &'a [f64] {
    let cell = Cell {
        engine,
        program,
        size: view.sizes.first().copied().unwrap_or(""),
    };
    let samples = view.summary.samples(cell);
    let measured = samples.first().and_then(|sample| sample.measured.as_ref());
    measured.map_or(&[], |measured| &measured.steps_ms)
}

/// The speed in each window of steps, where it begins, in per cent of the speed of a pace.
fn speeds(steps_ms: &[f64], steady: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
    let windows = steps_ms.chunks(WINDOW).filter(|window| window.len() > 1);
    windows.filter_map(move |window| {
        let pairs = window.windows(2).map(|pair| pair[1] - pair[0]);
        let pace = median(&pairs.collect::<Vec<f64>>())?;
        (pace > 0.0).then(|| (window[0], steady * 100.0 / pace))
    })
}

#[cfg(test)]
mod tests {
    use super::speeds;

    #[test]
    fn speed_is_read_off_windows() {
        let steps: Vec<f64> = (0..60).map(|step| f64::from(step) * 2.0).collect();
        let found: Vec<(f64, f64)> = speeds(&steps, 1.0).collect();
        assert_eq!(found, [(0.0, 50.0), (40.0, 50.0), (80.0, 50.0)]);
        assert_eq!(speeds(&[], 1.0).count(), 0);
    }
}
