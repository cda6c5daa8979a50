//! Folders whose files are named by numbers: segments of a log, head chunk files.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::labels::printable;

/// One file of a numbered sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedFile {
    /// The number in its name.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its name as on disk, whatever the zeros before the number.
    pub name: String,
    /// Its length in bytes when it was listed.
    pub len: u64,
}

/// What a folder of numbered files holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// Ascending by number, each number once.
    pub(crate) files: Vec<NumberedFile>,
    /// Sentences for people: what else is there, what is missing.
    pub(crate) oddities: Vec<String>,
    /// Numbers of files whose predecessor is missing.
    pub(crate) gap_before: Vec<u64>,
}

/// How a kind of files is named.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming {
    /// For sentences: `segment`.
    pub(crate) noun: &'static str,
    /// Digits that its writer uses at least.
    pub(crate) width: usize,
    /// Other names that belong here.
    pub(crate) is_known: fn(&str) -> bool,
}

/// Lists `dir`, which may be missing. What cannot be a file of the sequence becomes an oddity; only the operating
/// system's refusals are errors.
pub(crate) fn list(dir: &Path, naming: Naming) -> Result<Numbered> {
    let Naming { noun, width, is_known } = naming;
    let mut out = Numbered::default();
    let mut found: Vec<NumberedFile> = Vec::new();
    for (name, path) in entries(dir)? {
        let Some(number) = number(&name) else {
            if !is_known(&name) {
                out.oddities.push(format!("`{}` is no {noun}", printable(&name)));
            }
            continue;
        };
        let meta = match std::fs::metadata(&path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                out.oddities.push(format!("`{name}` is a link to nothing"));
                continue;
            }
            Err(e) => return Err(Error::io(&path, "look at it", &e)),
        };
        if !meta.is_file() {
            out.oddities.push(format!("`{name}` is not a regular file"));
            continue;
        }
        if name != format!("{number:0width$}") {
            out.oddities.push(format!("`{name}` is read as {noun} {number}, which is written {number:0width$}"));
        }
        found.push(NumberedFile { number, path, name, len: meta.len() });
    }
    // Of two names for one number the one that a writer gives comes first.
    found.sort_by_key(|f| (f.number, f.name != format!("{:0width$}", f.number)));
    for file in found {
        match out.files.last() {
            Some(last) if last.number == file.number => {
                let number = file.number;
                out.oddities.push(format!("{noun} {number} is there twice; `{}` is left out", file.name));
                continue;
            }
            Some(last) if last.number + 1 < file.number => {
                out.gap_before.push(file.number);
                out.oddities.push(match (last.number + 1, file.number - 1) {
                    (first, last) if first == last => format!("{noun} {first} is missing"),
                    (first, last) => format!("{noun}s {first} to {last} are missing"),
                });
            }
            _ => {}
        }
        out.files.push(file);
    }
    Ok(out)
}

/// Names and paths in a folder, sorted by name; none if the folder is missing.
pub(crate) fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let listed = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(|e| Error::io(dir, "list it", &e))?,
    };
    let mut out = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|e| Error::io(dir, "list it", &e))?;
        out.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    out.sort();
    Ok(out)
}

/// A number as upstream reads one from a name: decimal digits that fit into 63 bits. It also takes a sign, which no
/// writer gives.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse::<i64>().ok()?.try_into().ok())?
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::*;

    const NAMING: Naming = Naming { noun: "segment", width: 8, is_known: |n| n == "known" };

    #[test]
    fn numbers_order_files_and_all_else_is_odd() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["00000002", "00000010", "00000006", "7", "00000007", "known", "x\x1b", "+3", "-1"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        std::fs::create_dir(dir.path().join("00000011")).unwrap();
        let listed = list(dir.path(), NAMING).unwrap();
        let got: Vec<(u64, &str, u64)> = listed.files.iter().map(|f| (f.number, &f.name[..], f.len)).collect();
        assert_eq!(got, [(2, "00000002", 8), (6, "00000006", 8), (7, "00000007", 8), (10, "00000010", 8)]);
        assert_eq!(listed.gap_before, [6, 10]);
        assert_eq!(
            listed.oddities,
            [
                "`+3` is no segment",
                "`-1` is no segment",
                "`00000011` is not a regular file",
                "`7` is read as segment 7, which is written 00000007",
                "`x\\u001b` is no segment",
                "segments 3 to 5 are missing",
                "segment 7 is there twice; `7` is left out",
                "segments 8 to 9 are missing",
            ]
        );
    }

    #[test]
    fn a_missing_folder_is_empty_and_a_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(list(&dir.path().join("none"), NAMING).unwrap(), Numbered::default());
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(list(&dir.path().join("file"), NAMING).is_err());
    }

    #[test]
    fn numbers_fit_into_63_bits() {
        assert_eq!(number("9223372036854775807"), Some(i64::MAX as u64));
        for no in ["9223372036854775808", "", "1_0", "1x", "+1", "-0"] {
            assert_eq!(number(no), None, "{no}");
        }
    }
}
