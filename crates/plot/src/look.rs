//! Colours and marks.
//!
//! The colours are those of Okabe and Ito, which readers who confuse red and green can tell apart; its yellow is darker here,
//! since it is for lines on white.

use plotters::style::RGBColor;

/// A colour.
pub type Colour = RGBColor;

/// Baseline code.
pub const SKY: Colour = RGBColor(0x56, 0xb4, 0xe9);
/// Optimized code.
pub const BLUE: Colour = RGBColor(0x00, 0x72, 0xb2);
/// Another of the set.
pub const ORANGE: Colour = RGBColor(0xe6, 0x9f, 0x00);
/// Marks in timelines.
pub const VERMILION: Colour = RGBColor(0xd5, 0x5e, 0x00);
/// Code for loops, in timelines.
pub const GREEN: Colour = RGBColor(0x00, 0x9e, 0x73);
/// Another of the set.
pub const PURPLE: Colour = RGBColor(0xcc, 0x79, 0xa7);
/// Another of the set.
pub const OLIVE: Colour = RGBColor(0xa8, 0x95, 0x00);
/// What is in no group.
pub const GREY: Colour = RGBColor(0x88, 0x88, 0x88);

/// How a thing looks in plots.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Style {
    /// Of line and mark.
    pub colour: Colour,
    /// Of its mark.
    pub shape: Shape,
    /// Of its mark.
    pub fill: Fill,
    /// Of its line.
    pub dash: Dash,
}

/// The outline of a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A ring.
    Circle,
    /// A square.
    Square,
    /// A triangle that points up.
    Up,
    /// A triangle that points down.
    Down,
    /// A square on its corner.
    Diamond,
    /// A short upright bar.
    Tick,
}

/// The inside of a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// In its colour.
    Full,
    /// In that of the paper.
    Hollow,
    /// Hollow with a dot.
    Dot,
}

/// Of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dash {
    /// Without gaps.
    Solid,
    /// Long dashes.
    Dashed,
    /// Short ones.
    Dotted,
}
