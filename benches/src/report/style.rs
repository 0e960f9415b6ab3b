//! One colour and shape per engine, the same in every plot.
//!
//! Shapes and fills say a second time what the colours say.

use crate::engine::{Engine, JsTiers, Kind, Native, Strategy};
use upshift::{CompileMode, TierPolicy};
use upshift_plot::look::{
    BLUE, Colour, Dash, Fill, GREEN, GREY, OLIVE, ORANGE, PURPLE, SKY, Shape, Style, VERMILION,
};

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
            Ok(Kind::Upshift(..) | Kind::Counted(_)) => Self::Upshift,
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
        Ok(
            Kind::Counted(_)
            | Kind::Native(_)
            | Kind::Wasmtime(_)
            | Kind::Wasmi
            | Kind::V8(_)
            | Kind::Jsc(_),
        )
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

fn look_of(kind: Kind) -> (Colour, Shape, Fill) {
    match kind {
        Kind::Upshift(policy, mode) => {
            let colour = match policy {
                TierPolicy::Baseline => SKY,
                TierPolicy::Optimizing => BLUE,
                TierPolicy::Eager => ORANGE,
                TierPolicy::Dynamic => VERMILION,
            };
            (colour, Shape::Circle, fill_of_mode(mode))
        }
        Kind::Counted(mode) => (SKY, Shape::Square, fill_of_mode(mode)),
        Kind::Native(Native::Default) => (upshift_plot::canvas::INK, Shape::Tick, Fill::Full),
        Kind::Native(Native::Scalar) => (upshift_plot::canvas::INK, Shape::Tick, Fill::Hollow),
        Kind::Wasmtime(Strategy::Cranelift) => (GREEN, Shape::Square, Fill::Full),
        Kind::Wasmtime(Strategy::Winch) => (GREEN, Shape::Square, Fill::Hollow),
        Kind::Wasmi => (GREY, Shape::Diamond, Fill::Full),
        Kind::V8(tiers) => (PURPLE, Shape::Up, fill_of(tiers)),
        Kind::Jsc(tiers) => (OLIVE, Shape::Down, fill_of(tiers)),
    }
}

fn fill_of_mode(mode: CompileMode) -> Fill {
    match mode {
        CompileMode::Lazy => Fill::Full,
        CompileMode::Eager => Fill::Hollow,
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
