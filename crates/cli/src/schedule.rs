//! `--record-tiering`, `--replay-tiering` and `--tier-mask`: runs whose tier-up is written down or told beforehand.

use crate::args::RunOptions;
use crate::input;
use crate::out::err;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use upshift::{
    Config, Engine, Error, ErrorKind, Module, Schedule, ScheduleRecorder, Tier, inspect,
};

/// What is left to do at the end of a run.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    recorder: Option<ScheduleRecorder>,
    file: Option<PathBuf>,
    replayed: Option<Schedule>,
}

impl Recording {
    /// Tells the engine what the options say of schedules and masks.
    ///
    /// # Errors
    /// If a file cannot be read or written, or does not say what it should.
    pub(crate) fn new(options: &RunOptions, config: &mut Config) -> Result<Self, Error> {
        let mut recording = Self {
            file: options.record_tiering.clone(),
            ..Self::default()
        };
        if let Some(file) = &recording.file {
            // Now rather than after the run.
            std::fs::write(file, "").map_err(|e| io(file, &e))?;
        }
        if let Some(file) = &options.replay_tiering {
            let text = std::fs::read_to_string(file).map_err(|e| io(file, &e))?;
            let schedule: Schedule = text
                .parse()
                .map_err(|error| type_error(format!("{}: {error}", file.display())))?;
            config.replay_tiering(schedule.clone());
            recording.replayed = Some(schedule);
        }
        if recording.file.is_some() || recording.replayed.is_some() {
            let recorder = ScheduleRecorder::new();
            config.record_tiering(&recorder);
            recording.recorder = Some(recorder);
        }
        Ok(recording)
    }

    /// Writes the recording, and says what a replay did not come to.
    pub(crate) fn finish(&self) {
        let Some(recorder) = &self.recorder else {
            return;
        };
        let done = recorder.schedule();
        if let Some(file) = &self.file
            && let Err(error) = std::fs::write(file, done.to_string())
        {
            err(format_args!("upshift: {}", io(file, &error)));
        }
        if let Some(schedule) = &self.replayed
            && let missing = schedule.missing_in(&done)
            && let Some(first) = missing.first()
        {
            err(format_args!(
                "upshift: {} of {} steps of the schedule did not happen, the first: function {}, site {}, count {}",
                missing.len(),
                schedule.steps(),
                first.func.0,
                first.site.0,
                first.count
            ));
        }
    }
}

fn io(file: &Path, error: &std::io::Error) -> Error {
    Error::with_kind(ErrorKind::Io, format!("{}: {error}", file.display()))
}

fn type_error(message: String) -> Error {
    Error::with_kind(ErrorKind::Type, message)
}

/// What stands before `=` in a mask.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Which {
    Indices(RangeInclusive<u32>),
    Name(String),
}

/// One `FUNC=TIER` of a mask; no tier leaves the function to the policy.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Rule {
    which: Which,
    tier: Option<Tier>,
}

/// The rules of a mask in order; of several that fit the last one counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Mask(Vec<Rule>);

impl Mask {
    /// Reads `FUNC=TIER,...`, or `@FILE` with one on each line.
    ///
    /// # Errors
    /// A text that says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rules: Result<Vec<Rule>, String> = match text.strip_prefix('@') {
            None => text.split(',').map(rule).collect(),
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
                let lines = text.lines().enumerate();
                let lines = lines.map(|(i, line)| (i + 1, line.trim()));
                lines
                    .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
                    .map(|(i, line)| rule(line).map_err(|error| format!("{file}:{i}: {error}")))
                    .collect()
            }
        };
        rules.map(Self)
    }

    /// Masks functions of the module in these bytes, or gives back that it does not need them: only names do.
    ///
    /// # Errors
    /// If the module is wrong, or has no function of a name.
    pub(crate) fn apply(&self, config: &mut Config, file: &Path) -> Result<Option<Vec<u8>>, Error> {
        let named = self
            .0
            .iter()
            .any(|rule| matches!(rule.which, Which::Name(_)));
        let bytes = if named {
            Some(input::read(file)?)
        } else {
            None
        };
        let module = match &bytes {
            Some(bytes) => Some(Module::new(&Engine::default(), bytes)?),
            None => None,
        };
        let mut rules = Vec::new();
        for rule in &self.0 {
            match (&rule.which, &module) {
                (Which::Indices(indices), _) => rules.push((indices.clone(), rule.tier)),
                (Which::Name(name), Some(module)) => {
                    let funcs = inspect::funcs_by_name(module, name);
                    if funcs.is_empty() {
                        return Err(type_error(format!(
                            "--tier-mask: expected an index or a name of a function, found {name:?}"
                        )));
                    }
                    rules.extend(funcs.into_iter().map(|func| (func..=func, rule.tier)));
                }
                (Which::Name(_), None) => {}
            }
        }
        config.tier_mask(move |func| {
            let rule = rules.iter().rev().find(|(funcs, _)| funcs.contains(&func));
            rule.and_then(|&(_, tier)| tier)
        });
        Ok(bytes)
    }
}

fn rule(text: &str) -> Result<Rule, String> {
    let wrong = || format!("expected FUNC=TIER, found {text:?}");
    let (which, tier) = text.rsplit_once('=').ok_or_else(wrong)?;
    let tier = match tier.trim() {
        "baseline" => Some(Tier::Baseline),
        "optimizing" => Some(Tier::Optimizing),
        "policy" => None,
        tier => {
            return Err(format!(
                "expected baseline, optimizing or policy, found {tier:?} in {text:?}"
            ));
        }
    };
    let which = which.trim();
    if which.is_empty() {
        return Err(wrong());
    }
    let which = if which == "*" {
        Which::Indices(0..=u32::MAX)
    } else if let Ok(index) = which.parse() {
        Which::Indices(index..=index)
    } else if let Some((Ok(first), Ok(last))) = which
        .split_once('-')
        .map(|(first, last)| (first.parse(), last.parse()))
    {
        Which::Indices(first..=last)
    } else {
        Which::Name(which.to_owned())
    };
    Ok(Rule { which, tier })
}

#[cfg(test)]
mod tests {
    use super::{Mask, Rule, Which};
    use upshift::Tier;

    #[test]
    fn masks_are_read() {
        let name = |name: &str| Which::Name(name.to_owned());
        let indices = |first, last| Which::Indices(first..=last);
        let rows = [
            ("3=baseline", indices(3, 3), Some(Tier::Baseline)),
            ("3-9=optimizing", indices(3, 9), Some(Tier::Optimizing)),
            ("*=policy", indices(0, u32::MAX), None),
            ("main=optimizing", name("main"), Some(Tier::Optimizing)),
            ("a=b-c=baseline", name("a=b-c"), Some(Tier::Baseline)),
            ("4294967296=policy", name("4294967296"), None),
        ];
        for (text, which, tier) in rows {
            assert_eq!(
                Mask::parse(text),
                Ok(Mask(vec![Rule { which, tier }])),
                "{text}"
            );
        }
        assert_eq!(
            Mask::parse("1=policy,2=policy").map(|mask| mask.0.len()),
            Ok(2)
        );
        for (text, part) in [
            ("", "expected FUNC=TIER, found \"\""),
            ("=baseline", "expected FUNC=TIER"),
            ("1=baseline,", "expected FUNC=TIER, found \"\""),
            (
                "1=fast",
                "expected baseline, optimizing or policy, found \"fast\"",
            ),
            ("@missing.txt", "missing.txt: "),
        ] {
            let error = Mask::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
