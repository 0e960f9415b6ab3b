//! Schedules as text: one JSON object per line (`docs/tiering.md`, Record and replay).
//!
//! Reading is strict: what is not understood is an error that names its line, since a step that was passed over would make a
//! run that looks like a replay and is none.

use super::{ModuleSchedule, Schedule, ScheduleAction, ScheduleStep};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use upshift_abi::SiteIndex;
use upshift_module::FuncIndex;

/// Name of the format.
const FORMAT: &str = "upshift-tiering";
/// Version of the format; readers refuse all others.
const VERSION: u32 = 1;

/// What is wrong with a schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleError {
    line: Option<usize>,
    message: String,
}

impl ScheduleError {
    pub(crate) fn new(message: String) -> Self {
        Self {
            line: None,
            message,
        }
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "tiering schedule, line {line}: {}", self.message),
            None => write!(f, "tiering schedule: {}", self.message),
        }
    }
}

impl std::error::Error for ScheduleError {}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schedule: String,
    version: u32,
}

/// The line before a module's steps.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleLine {
    /// SHA-256 of its bytes.
    module: String,
}

/// A step.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepLine {
    func: u32,
    site: u32,
    count: u64,
    #[serde(rename = "do")]
    action: ActionWord,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ActionWord {
    Install,
    Enter,
}

impl From<ScheduleStep> for StepLine {
    fn from(step: ScheduleStep) -> Self {
        Self {
            func: step.func.0,
            site: step.site.0,
            count: step.count,
            action: match step.action {
                ScheduleAction::Install => ActionWord::Install,
                ScheduleAction::Enter => ActionWord::Enter,
            },
        }
    }
}

impl From<StepLine> for ScheduleStep {
    fn from(line: StepLine) -> Self {
        Self {
            func: FuncIndex(line.func),
            site: SiteIndex(line.site),
            count: line.count,
            action: match line.action {
                ActionWord::Install => ScheduleAction::Install,
                ActionWord::Enter => ScheduleAction::Enter,
            },
        }
    }
}

impl fmt::Display for Schedule {
    /// The text of a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = Header {
            schedule: FORMAT.to_owned(),
            version: VERSION,
        };
        write_line(f, &header)?;
        for part in &self.modules {
            let module = part.module.clone();
            write_line(f, &ModuleLine { module })?;
            for &step in &part.steps {
                write_line(f, &StepLine::from(step))?;
            }
        }
        Ok(())
    }
}

fn write_line(f: &mut fmt::Formatter<'_>, line: &impl Serialize) -> fmt::Result {
    let text = serde_json::to_string(line).map_err(|_| fmt::Error)?;
    writeln!(f, "{text}")
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Reads the text of a file. Empty lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// The first line that is none of a schedule, and what was expected there.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut reader = Reader::default();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                reader.line(line).map_err(|message| ScheduleError {
                    line: Some(i + 1),
                    message,
                })?;
            }
        }
        if reader.header {
            Ok(reader.schedule)
        } else {
            Err(ScheduleError::new(format!(
                "expected {}, found nothing",
                expected_header()
            )))
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    header: bool,
    schedule: Schedule,
    /// Steps of the module that is being read.
    seen: HashSet<ScheduleStep>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if !self.header {
            return self.header(line);
        }
        if let Ok(ModuleLine { module }) = serde_json::from_str(line) {
            let digits = module
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            if module.len() != 64 || !digits {
                return Err(format!(
                    "expected a module's SHA-256 in 64 hexadecimal digits, found {module:?}"
                ));
            }
            self.seen.clear();
            let steps = Vec::new();
            self.schedule.modules.push(ModuleSchedule { module, steps });
            return Ok(());
        }
        self.step(line)
    }

    fn header(&mut self, line: &str) -> Result<(), String> {
        let found: Result<Header, _> = serde_json::from_str(line);
        self.header = found.is_ok_and(|found| found.schedule == FORMAT && found.version == VERSION);
        if self.header {
            Ok(())
        } else {
            Err(format!("expected {}, found {line}", expected_header()))
        }
    }

    fn step(&mut self, line: &str) -> Result<(), String> {
        let step: StepLine = serde_json::from_str(line).map_err(|error| {
            format!(
                r#"expected {{"module":"..."}} or {{"func":1,"site":0,"count":2,"do":"install"}}, found {line} ({error})"#
            )
        })?;
        let step = ScheduleStep::from(step);
        let at_entry = step.site == SiteIndex::ENTRY;
        match step.action {
            ScheduleAction::Enter if at_entry => {
                return Err(
                    r#"expected the site of a loop, from 1 on, to "enter", found 0"#.into(),
                );
            }
            ScheduleAction::Install if at_entry => {}
            ScheduleAction::Enter | ScheduleAction::Install if step.count == 0 => {
                return Err("expected a count from 1 on at a loop, found 0".into());
            }
            ScheduleAction::Enter | ScheduleAction::Install => {}
        }
        let Some(module) = self.schedule.modules.last_mut() else {
            return Err(format!(
                r#"expected {{"module":"..."}} before steps, found {line}"#
            ));
        };
        if !self.seen.insert(step) {
            return Err(format!("expected each step once, found {line} again"));
        }
        module.steps.push(step);
        Ok(())
    }
}

fn expected_header() -> String {
    format!(r#"{{"schedule":"{FORMAT}","version":{VERSION}}}"#)
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    const HEAD: &str = r#"{"schedule":"upshift-tiering","version":1}"#;
    const MODULE: &str =
        r#"{"module":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0123456789abcdef0123456789abcdef"}"#;
    const STEP: &str = r#"{"func":3,"site":0,"count":17,"do":"install"}"#;

    #[test]
    fn what_is_written_is_read() {
        let loops = r#"{"func":3,"site":2,"count":90,"do":"enter"}"#;
        let first = r#"{"func":4,"site":0,"count":0,"do":"install"}"#;
        let text = format!("{HEAD}\n{MODULE}\n{STEP}\n{loops}\n{MODULE}\n{first}\n{STEP}\n");
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.steps(), 4);
        assert_eq!(schedule.to_string(), text);
        let noisy = format!("# by hand\n\n{}", text.replace('\n', "\r\n  "));
        assert_eq!(noisy.parse(), Ok(schedule));
        assert_eq!(Schedule::default().to_string(), format!("{HEAD}\n"));
    }

    #[test]
    fn missing_steps_are_told() {
        let all: Schedule = format!("{HEAD}\n{MODULE}\n{STEP}\n{MODULE}\n{STEP}\n")
            .parse()
            .unwrap();
        let half: Schedule = format!("{HEAD}\n{MODULE}\n{STEP}\n").parse().unwrap();
        assert_eq!(all.missing_in(&all), []);
        assert_eq!(half.missing_in(&all), []);
        assert_eq!(all.missing_in(&half), half.modules[0].steps);
    }

    /// What follows the header and a module, and the error.
    const ROWS: &[(&str, &str)] = &[
        ("{}", "expected {\"module\""),
        ("nonsense", "line 3: expected {\"module\""),
        (r#"{"module":"abc"}"#, "expected a module's SHA-256"),
        (
            r#"{"func":3,"site":0,"count":1,"do":"fly"}"#,
            "unknown variant `fly`, expected `install` or `enter`",
        ),
        (
            r#"{"func":3,"site":0,"do":"install"}"#,
            "missing field `count`",
        ),
        (
            r#"{"func":3,"site":0,"count":1,"do":"install","why":1}"#,
            "unknown field `why`",
        ),
        (
            r#"{"func":-1,"site":0,"count":1,"do":"install"}"#,
            "found {\"func\":-1",
        ),
        (
            r#"{"func":3,"site":0,"count":1,"do":"enter"}"#,
            "expected the site of a loop, from 1 on, to \"enter\", found 0",
        ),
        (
            r#"{"func":3,"site":1,"count":0,"do":"enter"}"#,
            "expected a count from 1 on at a loop, found 0",
        ),
        (
            r#"{"func":3,"site":1,"count":0,"do":"install"}"#,
            "expected a count from 1 on at a loop, found 0",
        ),
    ];

    #[test]
    fn errors_name_line_and_expectation() {
        let check = |text: String, line: Option<usize>, part: &str| {
            let error = text.parse::<Schedule>().unwrap_err();
            let message = error.to_string();
            assert!(message.contains(part), "{text}: {message}");
            if let Some(line) = line {
                assert!(
                    message.contains(&format!("line {line}: ")),
                    "{text}: {message}"
                );
            }
        };
        for (line, part) in ROWS {
            check(format!("{HEAD}\n{MODULE}\n{line}\n"), Some(3), part);
        }
        check(String::new(), None, "found nothing");
        check(format!("{STEP}\n"), Some(1), "expected {\"schedule\"");
        check(HEAD.replace('1', "2"), Some(1), "\"version\":1}, found");
        check(format!("{HEAD}\n{STEP}\n"), Some(2), "before steps");
        check(
            format!("{HEAD}\n{MODULE}\n{STEP}\n\n{STEP}\n"),
            Some(5),
            "expected each step once",
        );
    }
}
