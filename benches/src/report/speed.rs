//! Compile speed against run time.

use super::WIDTH;
use super::axes::{Frame, Scale, exact};
use super::canvas::{Anchor, FAINT, PAPER, Point, SMALL, Type, draw};
use super::data::View;
use super::labels;
use super::page::{figure, message, missing};
use super::style;
use crate::stats::geometric_mean;
use crate::summary::Metric;

const HEIGHT: f64 = 460.0;

/// An engine: MB of WebAssembly loaded per second, and run time relative to the reference.
struct Spot<'a> {
    engine: &'a str,
    speed: f64,
    run: f64,
}

/// The section: a plot for the engines on all threads, one for those on one.
///
/// # Errors
/// What plotters says.
pub(crate) fn section(view: &View<'_>) -> Result<String, String> {
    let mut html = String::new();
    for one in [false, true] {
        let engines = view.on(one);
        // The size that shows most engines; of several the greatest, where the figures are steadier.
        let most = view.sizes.iter().map(|size| {
            let spots = engines.iter().filter_map(|engine| spot(view, engine, size));
            (*size, spots.collect::<Vec<Spot<'_>>>())
        });
        let Some((size, spots)) = most.max_by_key(|(_, spots)| spots.len()) else {
            return Ok(missing("There are no samples."));
        };
        if spots.is_empty() {
            continue;
        }
        let threads = if one { "one thread" } else { "all threads" };
        html.push_str(&message(&headline(&spots, threads)));
        let svg = plot(view, &spots, size)?;
        let alt = format!("Compile speed on {threads} against run time at size {size}");
        html.push_str(&figure(&svg, &alt));
    }
    if html.is_empty() {
        html = missing(&format!(
            "No engine has both a time to load and a run time to compare with {}.",
            view.reference
        ));
    }
    Ok(html)
}

fn spot<'a>(view: &View<'_>, engine: &'a str, size: &str) -> Option<Spot<'a>> {
    let loads = view.medians(Metric::Load, engine, size);
    let loads = loads.into_iter().filter(|(_, bytes)| *bytes > 0.0);
    // Bytes per ms are kB per s.
    let speeds: Vec<f64> = loads.map(|(load, bytes)| bytes / load / 1000.0).collect();
    let run = view
        .summary
        .mean_ratio(Metric::Run, engine, view.reference, size)?;
    Some(Spot {
        engine,
        speed: geometric_mean(&speeds)?,
        run: run.median,
    })
}

/// Which engines no other beats in both.
fn headline(spots: &[Spot<'_>], threads: &str) -> String {
    let beaten = |spot: &&Spot<'_>| {
        let better = |other: &Spot<'_>| other.speed > spot.speed && other.run < spot.run;
        !spots.iter().any(better)
    };
    let mut front: Vec<&Spot<'_>> = spots.iter().filter(beaten).collect();
    front.sort_by(|a, b| b.speed.total_cmp(&a.speed));
    let names: Vec<String> = front
        .iter()
        .map(|spot| {
            format!(
                "{} ({} MB/s, {} ×)",
                spot.engine,
                exact(spot.speed),
                exact(spot.run)
            )
        })
        .collect();
    format!(
        "Compiling on {threads}, no other engine is better in both than: {}.",
        names.join("; ")
    )
}

fn plot(view: &View<'_>, spots: &[Spot<'_>], size: &str) -> Result<String, String> {
    let room: (Point, Point) = ((64.0, 12.0), (WIDTH - 12.0, HEIGHT - 50.0));
    let pixels = (room.0.0 + 14.0, room.1.0 - 14.0);
    let x = Scale::log(spots.iter().map(|spot| spot.speed), pixels);
    let runs = spots.iter().map(|spot| spot.run);
    let y = Scale::log(runs, (room.1.1, room.0.1));
    let frame = Frame { x, y };
    draw((WIDTH, HEIGHT), |canvas| {
        let x_title = "WebAssembly loaded per second, MB/s (log; right is faster)";
        let y_title = format!(
            "run time ÷ {} at size {size} (log; down is faster)",
            view.reference
        );
        frame.draw(canvas, x_title, &y_title, "");
        let points: Vec<(Point, &str)> = spots
            .iter()
            .map(|spot| (frame.at(spot.speed, spot.run), spot.engine))
            .collect();
        let places = labels::around(&points, SMALL, room);
        for ((point, engine), place) in points.iter().zip(&places) {
            let width = super::canvas::text_width(engine, SMALL);
            let end = (point.0.clamp(place.0, place.0 + width), place.1);
            let far = (end.0 - point.0).hypot(end.1 - point.1) > 14.0;
            if far {
                canvas.line(&[*point, end], FAINT, 0.5);
            }
        }
        for ((point, engine), place) in points.iter().zip(&places) {
            // Lines to other names should not cross this one.
            let width = super::canvas::text_width(engine, SMALL);
            let corners = (
                (place.0 - 1.0, place.1 - 6.0),
                (place.0 + width, place.1 + 6.0),
            );
            canvas.bar(corners.0, corners.1, PAPER);
            canvas.mark(*point, 5.0, style::of(engine));
            canvas.text(*place, Anchor::Left, engine, Type::SMALL);
        }
    })
}
