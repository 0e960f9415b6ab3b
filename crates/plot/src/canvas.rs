//! Drawing on SVG, in pixels of the page.
//!
//! Drawn with plotters, at twice the size, since its SVG backend rounds coordinates to whole units.

use crate::look::{Dash, Fill, Shape, Style};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{
    Circle, DashedPathElement, Drawable, PathElement, PointCollection, Polygon,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, IntoTextStyle, RGBColor, ShapeStyle};

/// Text, axes and whatever has to stand out. The page maps this colour and the two below to its own, light or dark.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Titles of axes and remarks.
pub const FAINT: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
/// The ground.
pub const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);

/// Size of most text.
pub const TEXT: f64 = 12.0;
/// Size of text where much has to fit.
pub const SMALL: f64 = 11.0;

/// Units of the SVG for a pixel.
const UNITS: f64 = 2.0;
/// Fonts of the same widths, on which [`text_width`] relies.
const FAMILY: &str = "Arial, Helvetica, Liberation Sans, sans-serif";
/// plotters divides sizes of fonts by this.
const FONT: f64 = 1.24;

/// A position from the upper left corner.
pub type Point = (f64, f64);

/// Where a text is, seen from the point it is drawn at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// The point is in the middle of its left edge.
    Left,
    /// The point is in its middle.
    Center,
    /// The point is in the middle of its right edge.
    Right,
    /// Centred, turned by a quarter to the left.
    Upward,
}

/// How a text looks.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Type {
    /// In pixels.
    pub size: f64,
    /// Its colour.
    pub colour: RGBColor,
    /// Whether it is bold.
    pub bold: bool,
}

impl Type {
    /// Most text.
    pub const PLAIN: Self = Self {
        size: TEXT,
        colour: INK,
        bold: false,
    };
    /// Where much has to fit.
    pub const SMALL: Self = Self {
        size: SMALL,
        ..Self::PLAIN
    };
    /// Titles of axes and remarks.
    pub const FAINT: Self = Self {
        colour: FAINT,
        ..Self::SMALL
    };
    /// Titles.
    pub const BOLD: Self = Self {
        bold: true,
        ..Self::PLAIN
    };
}

/// Something to draw on.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    error: Option<String>,
}

/// An SVG of that size.
///
/// # Errors
/// What plotters says.
pub fn draw((width, height): Point, paint: impl FnOnce(&mut Canvas<'_>)) -> Result<String, String> {
    let mut svg = String::new();
    let size = (units(width).unsigned_abs(), units(height).unsigned_abs());
    let mut canvas = Canvas {
        area: SVGBackend::with_string(&mut svg, size).into_drawing_area(),
        error: None,
    };
    paint(&mut canvas);
    let presented = canvas.area.present().map_err(|error| error.to_string());
    let error = canvas.error.take();
    drop(canvas);
    match (error, presented) {
        (Some(error), _) | (None, Err(error)) => Err(format!("a plot cannot be drawn: {error}")),
        (None, Ok(())) => Ok(svg),
    }
}

/// A drawing as a file of its own, on white.
pub fn standalone(svg: &str) -> String {
    let ground = r##"<rect width="100%" height="100%" fill="#ffffff"/>"##;
    match svg.split_once('>') {
        Some((open, rest)) => format!("{open}>\n{ground}{rest}"),
        None => svg.to_owned(),
    }
}

/// About how wide a text is: there are no metrics of the font that a reader has, so this is rather too wide.
pub fn text_width(text: &str, size: f64) -> f64 {
    let narrow = |c: char| "iljtf/.,:;|'()[] ".contains(c);
    let ems = text.chars().map(|c| if narrow(c) { 0.31 } else { 0.58 });
    ems.sum::<f64>() * size
}

#[expect(clippy::cast_possible_truncation, reason = "positions on a page")]
fn units(pixels: f64) -> i32 {
    (pixels * UNITS).round().clamp(-1e6, 1e6) as i32
}

fn at((x, y): Point) -> (i32, i32) {
    (units(x), units(y))
}

impl<'b> Canvas<'b> {
    fn put<'a, E>(&mut self, element: &'a E)
    where
        &'a E: PointCollection<'a, (i32, i32)>,
        E: Drawable<SVGBackend<'b>>,
    {
        if let Err(error) = self.area.draw(element) {
            self.error.get_or_insert(error.to_string());
        }
    }

    /// A line through all points.
    pub fn line(&mut self, points: &[Point], colour: RGBColor, width: f64) {
        let points: Vec<_> = points.iter().copied().map(at).collect();
        self.put(&PathElement::new(points, stroke(colour, width)));
    }

    /// A line through all points that looks as the engine's do.
    pub fn curve(&mut self, points: &[Point], style: Style, width: f64) {
        let (dash, gap) = match style.dash {
            Dash::Solid => return self.line(points, style.colour, width),
            Dash::Dashed => (6.0, 4.0),
            Dash::Dotted => (2.0, 3.0),
        };
        let points: Vec<_> = points.iter().copied().map(at).collect();
        let style = stroke(style.colour, width);
        self.put(&DashedPathElement::new(
            points,
            units(dash),
            units(gap),
            style,
        ));
    }

    /// A filled rectangle between two corners.
    pub fn bar(&mut self, (left, top): Point, (right, bottom): Point, colour: RGBColor) {
        self.fill(
            &[(left, top), (right, top), (right, bottom), (left, bottom)],
            colour,
        );
    }

    /// A filled polygon.
    pub fn fill(&mut self, points: &[Point], colour: RGBColor) {
        let points: Vec<_> = points.iter().copied().map(at).collect();
        self.put(&Polygon::new(points, colour.filled()));
    }

    /// The mark of an engine, about `2 * radius` wide.
    pub fn mark(&mut self, center: Point, radius: f64, style: Style) {
        if style.shape == Shape::Circle {
            self.circle(center, radius, style);
        } else {
            let outline = outline(center, radius, style.shape);
            let inside = match style.fill {
                Fill::Full => style.colour,
                Fill::Hollow | Fill::Dot => PAPER,
            };
            self.fill(&outline, inside);
            let closed: Vec<Point> = outline.iter().chain(outline.first()).copied().collect();
            self.line(&closed, style.colour, 1.5);
        }
        if style.fill == Fill::Dot {
            let dot = Circle::new(at(center), units(radius * 0.35), style.colour.filled());
            self.put(&dot);
        }
    }

    fn circle(&mut self, center: Point, radius: f64, style: Style) {
        let inside = match style.fill {
            Fill::Full => style.colour,
            Fill::Hollow | Fill::Dot => PAPER,
        };
        self.put(&Circle::new(at(center), units(radius), inside.filled()));
        let ring = stroke(style.colour, 1.5);
        self.put(&Circle::new(at(center), units(radius), ring));
    }

    /// A text on one line.
    pub fn text(&mut self, point: Point, anchor: Anchor, text: &str, look: Type) {
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Right => HPos::Right,
            Anchor::Center | Anchor::Upward => HPos::Center,
        };
        let font = (FAMILY, look.size * FONT * UNITS).into_font();
        let font = match anchor {
            Anchor::Upward => font.transform(plotters::style::FontTransform::Rotate270),
            Anchor::Left | Anchor::Center | Anchor::Right => font,
        };
        let font = if look.bold {
            font.style(plotters::style::FontStyle::Bold)
        } else {
            font
        };
        let style = font.color(&look.colour);
        let style = style.pos(Pos::new(horizontal, VPos::Center));
        if let Err(error) = self
            .area
            .draw_text(text, &style.into_text_style(&self.area), at(point))
        {
            self.error.get_or_insert(error.to_string());
        }
    }
}

fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    ShapeStyle::from(&colour).stroke_width(units(width).unsigned_abs().max(1))
}

fn outline((x, y): Point, radius: f64, shape: Shape) -> Vec<Point> {
    let corners: &[Point] = match shape {
        Shape::Circle | Shape::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        Shape::Up => &[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
        Shape::Down => &[(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
        Shape::Diamond => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
        Shape::Tick => &[(-0.4, -1.2), (0.4, -1.2), (0.4, 1.2), (-0.4, 1.2)],
    };
    let place = |(dx, dy): &Point| (x + dx * radius, y + dy * radius);
    corners.iter().map(place).collect()
}
