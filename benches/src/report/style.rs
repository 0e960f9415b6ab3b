//! One colour and shape per engine, the same in every plot.
//!
//! The colours are those of Okabe and Ito, which readers who confuse red and green can tell apart; its yellow is darker here,
//! since it is for lines on white. Shapes and fills say the same a second time.

use crate::engine::{Engine, JsTiers, Kind, Native, Strategy};
use plotters::style::RGBColor;
use upshift::{CompileMode, TierPolicy};

/// Baseline code, also in the timeline.
pub(crate) const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
/// Optimized code, also in the timeline.
pub(crate) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
pub(crate) const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
const OLIVE: RGBColor = RGBColor(0xa8, 0x95, 0x00);
const GREY: RGBColor = RGBColor(0x88, 0x88, 0x88);

/// How an engine looks in plots.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Style {
    pub(crate) colour: RGBColor,
    pub(crate) shape: Shape,
    pub(crate) fill: Fill,
    pub(crate) dash: Dash,
}

/// The outline of a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    Circle,
    Square,
    Up,
    Down,
    Diamond,
    Tick,
}

/// The inside of a mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fill {
    Full,
    Hollow,
    Dot,
}

/// Of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

/// Which engines stand together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Group {
    /// Ours.
    Upshift,
    /// Wasmtime, wasmi, native code and engines that this version does not know.
    Other,
    /// V8 and JavaScriptCore.
    Browser,
}

impl Group {
    pub(crate) const ALL: [Self; 3] = [Self::Upshift, Self::Other, Self::Browser];

    /// The group of an engine, by its name.
    pub(crate) fn of(engine: &str) -> Self {
        match engine.parse::<Engine>().map(|engine| engine.kind) {
            Ok(Kind::Upshift(..)) => Self::Upshift,
            Ok(Kind::V8(_) | Kind::Jsc(_)) => Self::Browser,
            Ok(Kind::Native(_) | Kind::Wasmtime(_) | Kind::Wasmi) | Err(_) => Self::Other,
        }
    }

    /// The title of a panel that shows it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Upshift => "Upshift",
            Self::Other => "Native, Wasmtime, wasmi",
            Self::Browser => "V8, JavaScriptCore",
        }
    }
}

/// Whether the engine always runs the code of one compiler: what tier-up has to be measured against.
pub(crate) fn is_static(engine: &str) -> bool {
    match engine.parse::<Engine>().map(|engine| engine.kind) {
        Ok(Kind::Upshift(policy, _)) => match policy {
            TierPolicy::Baseline | TierPolicy::Optimizing => true,
            TierPolicy::Eager | TierPolicy::Dynamic => false,
        },
        Ok(Kind::Native(_) | Kind::Wasmtime(_) | Kind::Wasmi | Kind::V8(_) | Kind::Jsc(_))
        | Err(_) => false,
    }
}

/// How an engine looks, by its name.
pub(crate) fn of(engine: &str) -> Style {
    let parsed = engine.parse::<Engine>();
    let (colour, shape, fill) = parsed.map_or((GREY, Shape::Circle, Fill::Dot), |engine| {
        look_of(engine.kind)
    });
    let dash = match fill {
        Fill::Full => Dash::Solid,
        Fill::Hollow => Dash::Dashed,
        Fill::Dot => Dash::Dotted,
    };
    Style {
        colour,
        shape,
        fill,
        dash,
    }
}

fn look_of(kind: Kind) -> (RGBColor, Shape, Fill) {
    match kind {
        Kind::Upshift(policy, mode) => {
            let colour = match policy {
                TierPolicy::Baseline => SKY,
                TierPolicy::Optimizing => BLUE,
                TierPolicy::Eager => ORANGE,
                TierPolicy::Dynamic => VERMILION,
            };
            let fill = match mode {
                CompileMode::Lazy => Fill::Full,
                CompileMode::Eager => Fill::Hollow,
            };
            (colour, Shape::Circle, fill)
        }
        Kind::Native(Native::Default) => (super::canvas::INK, Shape::Tick, Fill::Full),
        Kind::Native(Native::Scalar) => (super::canvas::INK, Shape::Tick, Fill::Hollow),
        Kind::Wasmtime(Strategy::Cranelift) => (GREEN, Shape::Square, Fill::Full),
        Kind::Wasmtime(Strategy::Winch) => (GREEN, Shape::Square, Fill::Hollow),
        Kind::Wasmi => (GREY, Shape::Diamond, Fill::Full),
        Kind::V8(tiers) => (PURPLE, Shape::Up, fill_of(tiers)),
        Kind::Jsc(tiers) => (OLIVE, Shape::Down, fill_of(tiers)),
    }
}

fn fill_of(tiers: JsTiers) -> Fill {
    match tiers {
        JsTiers::Default => Fill::Full,
        JsTiers::Baseline => Fill::Hollow,
        JsTiers::Optimizing => Fill::Dot,
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::engine::Engine;

    #[test]
    fn no_two_engines_look_the_same() {
        let engines = Engine::all();
        for one in &engines {
            for other in engines.iter().filter(|other| *other != one) {
                assert_ne!(
                    of(&one.to_string()),
                    of(&other.to_string()),
                    "{one} {other}"
                );
            }
        }
    }
}
