//! Where a run happened.

use crate::schema::Machine;
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

/// The fingerprint of this machine, now. What cannot be found out is left empty.
pub(crate) fn here() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = ["ostype", "osrelease"].map(|file| read(&format!("/proc/sys/kernel/{file}")));
    Machine {
        cpu: field(&read("/proc/cpuinfo"), "model name").to_owned(),
        cores: available_parallelism().map_or(1, usize::from),
        memory_kb: first_number(field(&read("/proc/meminfo"), "MemTotal")).unwrap_or(0),
        os: kernel.map(|part| part.trim().to_owned()).join(" "),
        load: first_number(&read("/proc/loadavg")).unwrap_or(0.0),
        commit: commit().unwrap_or_default(),
    }
}

/// One line for people.
pub(crate) fn describe(machine: &Machine) -> String {
    let commit = match machine.commit.get(..12) {
        Some(short) if machine.commit.ends_with('+') => format!("{short}+"),
        Some(short) => short.to_owned(),
        None => "unknown".to_owned(),
    };
    format!(
        "{}, {} cores, {} MiB, {}, load {:.2}, commit {commit}",
        machine.cpu,
        machine.cores,
        machine.memory_kb / 1024,
        machine.os,
        machine.load,
    )
}

/// What stands behind `name:` in the first line that begins with it.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let mut values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value.trim())
    });
    values.next().unwrap_or("")
}

fn first_number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.split_whitespace().next()?.parse().ok()
}

/// The commit of the work tree of the harness, with `+` if something was changed since.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-C", env!("CARGO_MANIFEST_DIR")])
            .args(arguments)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if clean { commit } else { commit + "+" })
}

#[cfg(test)]
mod tests {
    use super::{describe, field, first_number, here};

    #[test]
    fn fields() {
        let text = "processor\t: 0\nmodel name\t: A: b\nmodel name\t: C\nMemTotal:  17 kB\n";
        assert_eq!(field(text, "model name"), "A: b");
        assert_eq!(first_number(field(text, "MemTotal")), Some(17));
        assert_eq!(field(text, "none"), "");
        assert_eq!(first_number::<u64>("x"), None);
    }

    #[test]
    fn this_machine() {
        let machine = here();
        assert!(machine.cores > 0 && machine.memory_kb > 0 && !machine.os.trim().is_empty());
        assert!(describe(&machine).contains("cores"));
    }
}
