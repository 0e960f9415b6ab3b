//! "Eager or lazy tier-up?", answered from the figures of one program.

use super::cell;
use crate::engine::{Engine, Kind};
use crate::report::axes::exact;
use crate::report::style::is_static;
use crate::schema::RunFile;
use crate::stats::Estimate;
use crate::summary::{Cell, Metric, Summary};
use upshift::TierPolicy;

/// The engine of ours that stays with one compiler and has the lowest median total, if any was measured.
pub(super) fn best_static<'a>(
    run: &'a RunFile,
    summary: &Summary<'_>,
    size: &str,
) -> Option<&'a str> {
    fastest(run, summary, size, is_static)
}

/// The engine with the lowest median total among those wanted.
fn fastest<'a>(
    run: &'a RunFile,
    summary: &Summary<'_>,
    size: &str,
    wanted: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let names = run.engines.iter().map(|engine| engine.name.as_str());
    let totals = names.filter(|name| wanted(name)).filter_map(|name| {
        let total = summary.estimate(Metric::Total, cell(run, name, size))?;
        Some((name, total.median))
    });
    let best = totals.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(best.0)
}

fn has_policy(engine: &str, wanted: TierPolicy) -> bool {
    match engine.parse::<Engine>().map(|engine| engine.kind) {
        Ok(Kind::Upshift(policy, _)) => policy == wanted,
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

/// The answer for a size. Lazy tier-up is the policy `dynamic`, which optimizes what is hot; eager tier-up the policy
/// `eager`, which optimizes all that runs. Each is judged by its better compile mode.
pub(super) fn answer(run: &RunFile, summary: &Summary<'_>, size: &str) -> String {
    let of = |policy| fastest(run, summary, size, |engine| has_policy(engine, policy));
    let (Some(lazy), Some(eager)) = (of(TierPolicy::Dynamic), of(TierPolicy::Eager)) else {
        return format!("Eager or lazy tier-up? At size {size} one of the two has no figures.");
    };
    let ratio = |engine, to| {
        let cells: (Cell<'_>, Cell<'_>) = (cell(run, engine, size), cell(run, to, size));
        Estimate::of(&summary.ratios(Metric::Total, cells.0, cells.1))
    };
    let mut text = "Eager or lazy tier-up? ".to_owned();
    match ratio(lazy, eager) {
        Some(found) => text.push_str(&compare(size, lazy, eager, found)),
        None => text.push_str("No samples were taken in the same round."),
    }
    if let Some(best) = best_static(run, summary, size)
        && let Some(found) = ratio(lazy, best)
    {
        let verdict = match side(found) {
            Side::Unknown => "too few samples to tell".to_owned(),
            Side::Below => "less".to_owned(),
            Side::Above => "more".to_owned(),
            Side::Even => "no difference that can be shown".to_owned(),
        };
        text.push_str(&format!(
            " Against the best static choice, {best}, {lazy} takes {} × the total{}: {verdict}.",
            exact(found.median),
            interval(found)
        ));
    }
    text
}

/// Where an interval of ratios is, seen from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Below,
    Above,
    /// It has 1 in it.
    Even,
    /// Fewer than three values: no interval.
    Unknown,
}

fn side(ratio: Estimate) -> Side {
    if ratio.count < 3 {
        Side::Unknown
    } else if ratio.high < 1.0 {
        Side::Below
    } else if ratio.low > 1.0 {
        Side::Above
    } else {
        Side::Even
    }
}

fn interval(ratio: Estimate) -> String {
    if ratio.count < 3 {
        return String::new();
    }
    format!(
        " (95 % interval {} to {})",
        exact(ratio.low),
        exact(ratio.high)
    )
}

fn compare(size: &str, lazy: &str, eager: &str, ratio: Estimate) -> String {
    let figures = format!(
        "{lazy} takes {} × the total of {eager}{}",
        exact(ratio.median),
        interval(ratio)
    );
    match side(ratio) {
        Side::Below => format!("Lazy, at size {size}, with 95 % confidence: {figures}."),
        Side::Above => format!("Eager, at size {size}, with 95 % confidence: {figures}."),
        Side::Even => format!(
            "These {} samples cannot tell at size {size}, since the interval holds 1: {figures}.",
            ratio.count
        ),
        Side::Unknown => format!(
            "{} samples are too few to tell at size {size}; at least 3 are needed: {figures}.",
            ratio.count
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{answer, best_static};
    use crate::report::tests::made_up;
    use crate::schema::RunFile;
    use crate::summary::{Summary, tests::run_of};

    fn run(rounds: &[(f64, f64)]) -> RunFile {
        let samples: Vec<(&str, &str, u32, f64, f64)> = (0..)
            .zip(rounds)
            .flat_map(|(round, (lazy, eager))| {
                [
                    ("upshift/dynamic/lazy", "program-0", round, 0.0, *lazy),
                    ("upshift/eager/lazy", "program-0", round, 0.0, *eager),
                    ("upshift/optimizing/lazy", "program-0", round, 0.0, 20.0),
                    ("upshift/baseline/lazy", "program-0", round, 0.0, 30.0),
                ]
            })
            .collect();
        let mut run = run_of(&samples);
        let engines = ["dynamic", "eager", "optimizing", "baseline"];
        let engines = engines.map(|policy| format!("upshift/{policy}/lazy"));
        let made_up = made_up(&engines, 1, &[("test", 1.0)], 1);
        run.engines = made_up.engines;
        run.programs = made_up.programs;
        run
    }

    #[test]
    fn claims_need_intervals_apart() {
        let check = |rounds: &[(f64, f64)], expected: &str| {
            let run = run(rounds);
            let summary = Summary::new(&run);
            assert_eq!(
                best_static(&run, &summary, "test"),
                Some("upshift/optimizing/lazy")
            );
            let found = answer(&run, &summary, "test");
            assert!(found.contains(expected), "{found}");
        };
        let faster = [
            (10.0, 12.0),
            (10.1, 12.0),
            (10.0, 12.2),
            (10.2, 12.1),
            (9.9, 12.0),
        ];
        check(&faster, "tier-up? Lazy, at size test, with 95 % confidence");
        check(
            &faster,
            "upshift/optimizing/lazy, upshift/dynamic/lazy takes 0.50 × the total",
        );
        check(&faster.map(|(a, b)| (b, a)), "tier-up? Eager, at size test");
        check(
            &[
                (10.0, 12.0),
                (12.0, 10.0),
                (11.0, 10.9),
                (10.9, 11.0),
                (10.0, 10.0),
            ],
            "cannot tell at size test",
        );
        check(&[(10.0, 12.0), (10.0, 12.0)], "2 samples are too few");
    }

    #[test]
    fn no_answer_without_figures() {
        let mut run = run(&[(1.0, 1.0)]);
        run.samples
            .retain(|sample| !sample.engine.contains("eager"));
        let found = answer(&run, &Summary::new(&run), "test");
        assert!(found.contains("no figures"), "{found}");
    }
}
