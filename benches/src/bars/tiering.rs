//! The bars of docs/tiering-figures.md.

use super::reach::{Pace, reached};
use super::rows::{Bar, Figure, Row, over, worst};
use super::tiering_parts::{
    COUNTED, COUNTERS, DYNAMIC, EAGER, LOOP, MEMORY, OPTIMIZED, REF, STATICS, SWAP, SWAPPED, TEST,
    TRAIN, UNCOUNTED, UNSWAPPED,
};
use crate::report::data::View;
use crate::schema::{Measured, Sample, Stalls};
use crate::stats::{Estimate, geometric_mean_of_medians, mean, median};
use crate::summary::{Cell, Metric};

/// No program of the suite may take more than that, relative to the best static choice.
const WORST: f64 = 1.10;
/// Samples that a program over [`WORST`] is condemned by.
const ENOUGH: usize = 15;

/// The table.
pub(super) static ROWS: [Row; 23] = [
    Row {
        name: "loop-200b",
        what: "one loop of 200 bytes in `_start`: time until 0.95 of optimized speed, against 10 ms + 2 x the time of its compile (moonshot: 3 ms + 1.2 x)",
        part: &LOOP,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(1.0),
        figure: |view| long_loop(view, "loop-200b"),
    },
    Row {
        name: "loop-2kb",
        what: "the same, a loop of 2 KB",
        part: &LOOP,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(1.0),
        figure: |view| long_loop(view, "loop-2kb"),
    },
    Row {
        name: "loop-20kb",
        what: "the same, a loop of 20 KB",
        part: &LOOP,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(1.0),
        figure: |view| long_loop(view, "loop-20kb"),
    },
    Row {
        name: "total-test",
        what: "total time of the suite at test: Dynamic against the best of Baseline and Optimizing, lazy and eager",
        part: &TEST,
        unit: "x",
        bar: Bar::AtMost(0.90),
        moonshot: Some(0.75),
        figure: against_best,
    },
    Row {
        name: "worst-test",
        what: "the same, the worst program",
        part: &TEST,
        unit: "x",
        bar: Bar::SurelyAtMost(WORST),
        moonshot: None,
        figure: worst_program,
    },
    Row {
        name: "total-train",
        what: "total time of the suite at train: Dynamic against the best of Baseline and Optimizing, lazy and eager",
        part: &TRAIN,
        unit: "x",
        bar: Bar::AtMost(0.97),
        moonshot: Some(0.90),
        figure: against_best,
    },
    Row {
        name: "worst-train",
        what: "the same, the worst program",
        part: &TRAIN,
        unit: "x",
        bar: Bar::SurelyAtMost(WORST),
        moonshot: None,
        figure: worst_program,
    },
    Row {
        name: "total-ref",
        what: "total time of the suite at ref: Dynamic against the best of Baseline and Optimizing, lazy and eager",
        part: &REF,
        unit: "x",
        bar: Bar::AtMost(1.00),
        moonshot: Some(0.95),
        figure: against_best,
    },
    Row {
        name: "worst-ref",
        what: "the same, the worst program",
        part: &REF,
        unit: "x",
        bar: Bar::SurelyAtMost(WORST),
        moonshot: None,
        figure: worst_program,
    },
    Row {
        name: "v8-test",
        what: "total time at test: Dynamic against V8 as it comes",
        part: &TEST,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(0.8),
        figure: |view| ratio(view, Metric::Total, DYNAMIC, "v8"),
    },
    Row {
        name: "v8-train",
        what: "total time at train: Dynamic against V8 as it comes",
        part: &TRAIN,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(0.8),
        figure: |view| ratio(view, Metric::Total, DYNAMIC, "v8"),
    },
    Row {
        name: "v8-ref",
        what: "total time at ref: Dynamic against V8 as it comes",
        part: &REF,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(0.8),
        figure: |view| ratio(view, Metric::Total, DYNAMIC, "v8"),
    },
    Row {
        name: "jsc-test",
        what: "total time at test: Dynamic against JavaScriptCore as it comes",
        part: &TEST,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(0.8),
        figure: |view| ratio(view, Metric::Total, DYNAMIC, "jsc"),
    },
    Row {
        name: "jsc-train",
        what: "total time at train: Dynamic against JavaScriptCore as it comes",
        part: &TRAIN,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(0.8),
        figure: |view| ratio(view, Metric::Total, DYNAMIC, "jsc"),
    },
    Row {
        name: "jsc-ref",
        what: "total time at ref: Dynamic against JavaScriptCore as it comes",
        part: &REF,
        unit: "x",
        bar: Bar::AtMost(1.0),
        moonshot: Some(0.8),
        figure: |view| ratio(view, Metric::Total, DYNAMIC, "jsc"),
    },
    Row {
        name: "wasmtime-test",
        what: "total time at test: Dynamic against Cranelift in wasmtime",
        part: &TEST,
        unit: "x",
        bar: Bar::AtMost(0.40),
        moonshot: Some(0.25),
        figure: |view| ratio(view, Metric::Total, DYNAMIC, "wasmtime/cranelift"),
    },
    Row {
        name: "code-wasmtime",
        what: "run time at train of code that the optimizing tier made before the start, against the same of Cranelift in wasmtime",
        part: &TRAIN,
        unit: "x",
        bar: Bar::AtMost(0.95),
        moonshot: Some(0.80),
        figure: |view| ratio(view, Metric::Run, OPTIMIZED, "wasmtime/cranelift"),
    },
    Row {
        name: "code-native",
        what: "the same against native code (-O2)",
        part: &TRAIN,
        unit: "x",
        bar: Bar::AtMost(1.40),
        moonshot: Some(1.25),
        figure: |view| ratio(view, Metric::Run, OPTIMIZED, "native"),
    },
    Row {
        name: "code-scalar",
        what: "the same against native code without automatic vectorization",
        part: &TRAIN,
        unit: "x",
        bar: Bar::AtMost(1.20),
        moonshot: Some(1.08),
        figure: |view| ratio(view, Metric::Run, OPTIMIZED, "native/scalar"),
    },
    Row {
        name: "memory",
        what: "machine code that is left after the run, at the largest size measured: Dynamic against Eager",
        part: &MEMORY,
        unit: "x",
        bar: Bar::AtMost(0.6),
        moonshot: Some(0.4),
        figure: memory,
    },
    Row {
        name: "counters",
        what: "run time of baseline code with counters that nothing comes of, against baseline code without",
        part: &COUNTERS,
        unit: "x",
        bar: Bar::AtMost(1.03),
        moonshot: None,
        figure: |view| ratio(view, Metric::Run, COUNTED, UNCOUNTED),
    },
    Row {
        name: "counters-worst",
        what: "the same, the worst program",
        part: &COUNTERS,
        unit: "x",
        bar: Bar::SurelyAtMost(WORST),
        moonshot: None,
        figure: worst_counted,
    },
    Row {
        name: "swap",
        what: "functions swapped while eight threads run them: the longest that a thread was held up in a process",
        part: &SWAP,
        unit: "ms",
        bar: Bar::AtMost(1.0),
        moonshot: None,
        figure: swap,
    },
];

/// The cell of a program at the size of the part.
fn cell<'a>(view: &View<'a>, engine: &'a str, program: &'a str) -> Cell<'a> {
    Cell {
        engine,
        program,
        size: view.sizes.first().copied().unwrap_or(""),
    }
}

/// The geometric mean over the suite of ours divided by another.
fn ratio(view: &View<'_>, metric: Metric, ours: &str, other: &str) -> Option<Figure> {
    let size = view.sizes.first()?;
    over(
        view.summary.mean_ratio(metric, ours, other, size),
        "programs",
    )
}

/// Of the engines that stay with one compiler, the one with the least mean of totals in a program. None if one of them has no
/// figures: the best of the others would be too easy to beat.
fn best_static(view: &View<'_>, program: &str) -> Option<&'static str> {
    let of = |engine| {
        let totals = view
            .summary
            .values(Metric::Total, cell(view, engine, program));
        Some((engine, mean(&totals)?))
    };
    let means: Option<Vec<(&'static str, f64)>> = STATICS.into_iter().map(of).collect();
    let best = means?.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(best.0)
}

/// The totals of an engine in a program, divided by those of the best static choice there.
pub(super) fn to_best(view: &View<'_>, engine: &str, program: &str) -> Option<Vec<f64>> {
    let best = cell(view, best_static(view, program)?, program);
    let ratios = view
        .summary
        .ratios(Metric::Total, cell(view, engine, program), best);
    (!ratios.is_empty()).then_some(ratios)
}

fn against_best(view: &View<'_>) -> Option<Figure> {
    let programs = view.programs.iter();
    let ratios: Vec<Vec<f64>> = programs
        .filter_map(|program| to_best(view, DYNAMIC, program))
        .collect();
    over(geometric_mean_of_medians(&ratios), "programs")
}

fn worst_program(view: &View<'_>) -> Option<Figure> {
    let figures = view.programs.iter().filter_map(|program| {
        let best = best_static(view, program)?;
        let estimate = Estimate::of(&to_best(view, DYNAMIC, program)?)?;
        Some(Figure::new(estimate, format!("{program}, against {best}")))
    });
    condemned(figures.collect())
}

fn worst_counted(view: &View<'_>) -> Option<Figure> {
    let figures = view.programs.iter().filter_map(|program| {
        let cells = [COUNTED, UNCOUNTED].map(|engine| cell(view, engine, program));
        let ratios = view.summary.ratios(Metric::Run, cells[0], cells[1]);
        Some(Figure::new(Estimate::of(&ratios)?, (*program).to_owned()))
    });
    condemned(figures.collect())
}

/// The worst of those whose whole interval lies above the limit or, if there are none, the worst of all; what is
/// over the limit by its median only is told.
fn condemned(figures: Vec<Figure>) -> Option<Figure> {
    let over = |figure: &&Figure| figure.estimate.median > WORST;
    let doubtful = figures.iter().filter(over).count();
    let surely = |figure: &&Figure| figure.estimate.low > WORST;
    let sure: Vec<Figure> = figures.iter().filter(surely).cloned().collect();
    let (of, count) = (figures.len(), sure.len());
    let among = if sure.is_empty() { figures } else { sure };
    let mut figure = worst(among.into_iter())?;
    figure.of +=
        &format!("; of {of} programs {count} surely over {WORST}, {doubtful} by the median");
    if figure.estimate.count < ENOUGH {
        let found = figure.estimate.count;
        figure.of += &format!("; {found} samples, the rule asks for {ENOUGH}");
    }
    Some(figure)
}

/// How soon Dynamic is as fast as Optimizing in the same round.
fn long_loop(view: &View<'_>, program: &str) -> Option<Figure> {
    let samples = |engine| view.summary.samples(cell(view, engine, program));
    let steps = |sample: &Sample| Some(Pace::of(&sample.measured.as_ref()?.steps_ms));
    let in_round = |engine, round: u32| {
        let same = samples(engine)
            .iter()
            .find(|sample| sample.round == round)?;
        steps(same)?.steady()
    };
    let (mut near, mut far, mut times, mut compiles) = (vec![], vec![], vec![], vec![]);
    let (mut baseline, mut never) = (vec![], 0);
    for sample in samples(DYNAMIC) {
        let steady = in_round(OPTIMIZED, sample.round)?;
        if let Some(slow) = in_round(STATICS[0], sample.round) {
            baseline.push(steady / slow);
        }
        let compile = compile_ms(sample.measured.as_ref()?);
        let time = reached(&sample.measured.as_ref()?.steps_ms, steady);
        never += usize::from(time.is_none());
        // What was never reached took longer than the whole run.
        let time = time.or(sample.measured.as_ref()?.steps_ms.last().copied())?;
        near.push(time / (10.0 + 2.0 * compile));
        far.push(time / (3.0 + 1.2 * compile));
        times.push(time);
        compiles.push(compile);
    }
    let mut of = format!(
        "{:.1} ms, of which {:.1} ms compiling; baseline code runs at {:.2} of optimized speed",
        median(&times)?,
        median(&compiles)?,
        median(&baseline)?
    );
    if never > 0 {
        of += &format!("; never reached in {never} of {} runs", times.len());
    }
    Some(Figure {
        farther: Estimate::of(&far),
        ..Figure::new(Estimate::of(&near)?, of)
    })
}

/// Time in the optimizing compiler. These programs have one function, and code of it is compiled once.
fn compile_ms(measured: &Measured) -> f64 {
    measured
        .tiers
        .map_or(0.0, |tiers| tiers.optimizing.compile_ms)
}

fn memory(view: &View<'_>) -> Option<Figure> {
    let live = |engine, program| -> Option<f64> {
        let samples = view.summary.samples(cell(view, engine, program));
        let tiers = samples.first()?.measured.as_ref()?.tiers?;
        Some(f64::from(u32::try_from(tiers.code_bytes_live).ok()?))
    };
    let ratios = view.programs.iter().filter_map(|program| {
        let ratio = live(DYNAMIC, program)? / live(EAGER, program)?;
        Some(vec![ratio])
    });
    let ratios: Vec<Vec<f64>> = ratios.collect();
    let mut figure = over(geometric_mean_of_medians(&ratios), "programs")?;
    figure.of += &format!(" at size {}", view.sizes.first()?);
    Some(figure)
}

/// The longest stalls of all processes, beside those of a control without swaps.
fn swap(view: &View<'_>) -> Option<Figure> {
    let program = view.programs.first()?;
    let of = |engine| -> Vec<Stalls> {
        let samples = view.summary.samples(cell(view, engine, program)).iter();
        let stalls = samples.filter_map(|sample| sample.measured.as_ref()?.stalls);
        stalls.collect()
    };
    let longest =
        |stalls: &[Stalls], what: fn(&Stalls) -> f64| stalls.iter().map(what).collect::<Vec<f64>>();
    let greatest = |values: Vec<f64>| values.into_iter().fold(0.0, f64::max);
    let (swapped, control) = (of(SWAPPED), of(UNSWAPPED));
    let stalls = longest(&swapped, |stalls| stalls.longest_stall_ms);
    let without = longest(&control, |stalls| stalls.longest_stall_ms);
    let first = swapped.first()?;
    Some(Figure::new(
        Estimate::of(&stalls)?,
        format!(
            "{} swaps and {} calls a process; the worst of {} processes {:.2} ms; without swaps {:.2} ms, the worst {:.2} ms; with the \
             scheduler's gaps {:.0} ms",
            first.swaps,
            first.calls,
            swapped.len(),
            greatest(stalls),
            median(&without)?,
            greatest(without),
            greatest(longest(&swapped, |stalls| stalls.longest_gap_ms)),
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::{
        against_best, best_static, condemned, long_loop, memory, ratio, swap, worst_program,
    };
    use crate::bars::rows::Figure;
    use crate::report::data::View;
    use crate::schema::{RunFile, Stalls, TierCounts, Tiers};
    use crate::stats::Estimate;
    use crate::summary::Metric;
    use crate::summary::tests::run_of;

    /// Three rounds of programs with these totals of dynamic code and the four static choices.
    fn totals(programs: &[(&str, f64, [f64; 4])]) -> RunFile {
        let mut samples = Vec::new();
        for (program, dynamic, statics) in programs {
            for round in 0..3 {
                samples.push((super::DYNAMIC, *program, round, 0.0, *dynamic));
                let statics = super::STATICS.into_iter().zip(statics);
                samples.extend(
                    statics.map(|(engine, total)| (engine, *program, round, 1.0, total - 1.0)),
                );
            }
        }
        run_of(&samples)
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn the_best_static_choice_is_chosen_for_each_program() {
        let run = totals(&[
            ("a", 8.0, [10.0, 12.0, 20.0, 30.0]),
            ("b", 24.0, [40.0, 30.0, 25.0, 20.0]),
        ]);
        let view = View::new(&run, None).expect("samples");
        assert_eq!(best_static(&view, "a"), Some("upshift/baseline/lazy"));
        assert_eq!(best_static(&view, "b"), Some("upshift/optimizing/eager"));
        let mean = against_best(&view).expect("figures").estimate;
        near(mean.median, (0.8_f64 * 1.2).sqrt());
        let worst = worst_program(&view).expect("figures");
        near(worst.estimate.median, 1.2);
        assert!(
            worst.of.starts_with("b, against upshift/optimizing/eager"),
            "{}",
            worst.of
        );
        assert!(
            worst.of.contains("3 samples, the rule asks for 15"),
            "{}",
            worst.of
        );
        let total = ratio(&view, Metric::Total, super::DYNAMIC, super::OPTIMIZED);
        assert_eq!(total.map(|figure| figure.estimate.count), Some(2));
    }

    #[test]
    fn without_all_static_choices_there_is_no_figure() {
        let mut run = totals(&[("a", 8.0, [10.0, 12.0, 20.0, 30.0])]);
        run.samples
            .retain(|sample| sample.engine != super::OPTIMIZED);
        let view = View::new(&run, None).expect("samples");
        assert!(against_best(&view).is_none() && worst_program(&view).is_none());
    }

    /// Programs by median and lower end of their intervals, and which of them is shown.
    #[test]
    fn a_program_is_condemned_by_its_whole_interval() {
        let check = |programs: &[(f64, f64)], expected: usize, count: &str| {
            let figure = |(index, (median, low)): (usize, &(f64, f64))| {
                let estimate = Estimate {
                    median: *median,
                    minimum: *low,
                    low: *low,
                    high: 2.0,
                    count: 15,
                };
                Figure::new(estimate, index.to_string())
            };
            let found = condemned(programs.iter().enumerate().map(figure).collect());
            let found = found.expect("programs").of;
            assert!(
                found.starts_with(&expected.to_string()) && found.contains(count),
                "{found}"
            );
            assert!(!found.contains("asks"), "{found}");
        };
        check(&[(1.0, 0.9), (1.05, 1.0)], 1, " 0 surely over 1.1, 0 by");
        check(&[(1.3, 1.0), (1.05, 1.0)], 0, " 0 surely over 1.1, 1 by");
        check(
            &[(1.3, 1.0), (1.15, 1.12), (1.14, 1.13)],
            1,
            " 2 surely over 1.1, 3 by",
        );
    }

    /// Steps of 2 ms until `slow` ms, then of 1 ms.
    fn steps(slow: f64) -> Vec<f64> {
        let step = |time: &mut f64, _| {
            *time += if *time < slow { 2.0 } else { 1.0 };
            Some(*time)
        };
        (0..400).scan(0.0, step).collect()
    }

    #[test]
    fn loops() {
        let engines = [
            (super::DYNAMIC, 30.0),
            (super::STATICS[0], 1e9),
            (super::OPTIMIZED, 0.0),
        ];
        let samples = engines.map(|(engine, _)| (engine, "loop-2kb", 0, 0.0, 1.0));
        let mut run = run_of(&samples);
        for (sample, (_, slow)) in run.samples.iter_mut().zip(engines) {
            let measured = sample.measured.as_mut().expect("made up");
            measured.steps_ms = steps(slow);
            measured.tiers = Some(Tiers {
                optimizing: TierCounts {
                    compile_ms: 10.0,
                    ..TierCounts::default()
                },
                ..Tiers::default()
            });
        }
        let figure =
            long_loop(&View::new(&run, None).expect("samples"), "loop-2kb").expect("steps");
        near(figure.estimate.median, 30.0 / 30.0);
        near(figure.farther.expect("two rules").median, 30.0 / 15.0);
        assert!(figure.of.contains("at 0.50 of optimized"), "{}", figure.of);
    }

    #[test]
    fn memory_and_stalls() {
        let engines = [
            (super::DYNAMIC, 60, 0.4),
            (super::EAGER, 100, 0.0),
            (super::SWAPPED, 0, 0.5),
            (super::UNSWAPPED, 0, 0.25),
        ];
        let mut run = run_of(&engines.map(|(engine, ..)| (engine, "p", 0, 0.0, 1.0)));
        for (sample, (_, code_bytes_live, longest_stall_ms)) in run.samples.iter_mut().zip(engines)
        {
            let measured = sample.measured.as_mut().expect("made up");
            measured.tiers = Some(Tiers {
                code_bytes_live,
                ..Tiers::default()
            });
            measured.stalls = Some(Stalls {
                longest_stall_ms,
                ..Stalls::default()
            });
        }
        let view = View::new(&run, None).expect("samples");
        near(memory(&view).expect("code").estimate.median, 0.6);
        let stall = swap(&view).expect("stalls");
        near(stall.estimate.median, 0.5);
        assert!(stall.of.contains("without swaps 0.25 ms"), "{}", stall.of);
    }
}
