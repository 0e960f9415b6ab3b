//! The JSON files, on disk.

use crate::schema::FORMAT;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Reads a file that `writer`, a command of the harness, wrote.
///
/// # Errors
/// If it cannot be read, or is something else.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, writer: &str) -> Result<T, String> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{name}: cannot read: {error}"))?;
    let found: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("{name}: expected JSON: {error}"))?;
    let format = found.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(FORMAT)) {
        let found = format.map_or("none".to_owned(), |format| format.to_string());
        return Err(format!(
            "{name}: expected a file of {writer} in format {FORMAT}, found format {found}"
        ));
    }
    serde_json::from_value(found)
        .map_err(|error| format!("{name}: expected a file of {writer}: {error}"))
}

/// Writes a file so that at no time there is half of one.
///
/// # Errors
/// What the system says.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: cannot write: {error}", path.display());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    // A temporary file is for its owner alone by default; this one stays, so that the umask is to decide.
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::schema::RunFile;
    use crate::summary::tests::run_of;
    use std::path::Path;

    #[test]
    fn what_is_written_can_be_read() {
        let here = tempfile::tempdir().expect("a directory");
        let path = here.path().join("a.json");
        let run = run_of(&[("a", "p", 0, 0.1, 2.5), ("b", "p", 0, 1.0 / 3.0, -1.0)]);
        write(&path, &run).expect("written");
        write(&path, &run).expect("written again");
        let again: RunFile = read(&path, "`run`").expect("read");
        assert_eq!(format!("{run:?}"), format!("{again:?}"));
        let names = std::fs::read_dir(here.path()).expect("the directory");
        assert_eq!(names.count(), 1, "no temporary file is left");
        let error = write(Path::new("/no such/a.json"), &run).expect_err("no directory");
        assert!(
            error.starts_with("/no such/a.json: cannot write"),
            "{error}"
        );
    }

    #[test]
    fn other_files_are_refused() {
        let here = tempfile::tempdir().expect("a directory");
        let path = here.path().join("a.json");
        let check = |text: &str, part: &str| {
            std::fs::write(&path, text).expect("written");
            let error = read::<RunFile>(&path, "`run --json`").expect_err(text);
            assert!(
                error.contains("a.json: expected") && error.contains(part),
                "{error}"
            );
        };
        check("{", "JSON");
        check("[]", "found format none");
        check(r#"{"format": 99}"#, "in format 1, found format 99");
        check(r#"{"format": 1}"#, "`run --json`: missing field");
        let gone = here.path().join("b.json");
        let error = read::<RunFile>(&gone, "`run`").expect_err("no file");
        assert!(error.contains("b.json: cannot read"), "{error}");
    }
}
