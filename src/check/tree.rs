//! What lies in a folder, entry by entry, and verdicts on what is no data.

use std::path::{Path, PathBuf};

use super::findings::{FileKind, FileVerdict, Finding};
use crate::error::{Error, Result};
use crate::tsdb::numbered::entries;

/// One entry of a folder.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub name: String,
    /// Relative to the root that is checked, with `/`.
    pub rel: String,
    pub path: PathBuf,
    pub is: Is,
}

/// What an entry is, links followed.
#[derive(Debug, Clone)]
pub(super) enum Is {
    File(u64),
    Folder,
    /// A folder behind a link: never walked where anything may lie in it, since a loop would not end.
    LinkedFolder,
    /// Neither file nor folder.
    Special,
    Unreadable(Error),
}

impl Entry {
    pub(super) fn is_folder(&self) -> bool {
        matches!(self.is, Is::Folder | Is::LinkedFolder)
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        match self.is {
            Is::File(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The entries of a folder by name; none where it is missing.
pub(super) fn list(dir: &Path, rel: &str) -> Result<Vec<Entry>> {
    let mut out = Vec::new();
    for (name, path) in entries(dir)? {
        let linked = std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink());
        let is = match std::fs::metadata(&path) {
            Ok(m) if m.is_file() => Is::File(m.len()),
            Ok(m) if m.is_dir() && linked => Is::LinkedFolder,
            Ok(m) if m.is_dir() => Is::Folder,
            Ok(_) => Is::Special,
            Err(e) => Is::Unreadable(Error::io(&path, "look at it", &e)),
        };
        let rel = join(rel, &name);
        out.push(Entry { name, rel, path, is });
    }
    Ok(out)
}

/// A path below another one.
pub(super) fn join(rel: &str, name: &str) -> String {
    if rel.is_empty() { name.to_owned() } else { format!("{rel}/{name}") }
}

/// The entries of a folder; where it cannot be listed, a verdict on the folder itself.
pub(super) fn list_or_tell(dir: &Path, rel: &str, out: &mut Vec<FileVerdict>) -> Vec<Entry> {
    list(dir, rel).unwrap_or_else(|e| {
        let mut verdict = FileVerdict::new(rel, FileKind::Other, None);
        verdict.push(Finding::unreadable(&e, "nothing in this folder was checked"));
        out.push(verdict);
        Vec::new()
    })
}

/// Why a server does not take something for data although it looks like it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stumble {
    pub found: &'static str,
    pub effect: &'static str,
}

/// Verdicts on an entry that is no data and on everything below it. `why` becomes a note on each of its files.
pub(super) fn others(entry: Entry, why: Option<Stumble>, out: &mut Vec<FileVerdict>) {
    let mut open = vec![entry];
    while let Some(entry) = open.pop() {
        if matches!(entry.is, Is::Folder) {
            let below = list_or_tell(&entry.path, &entry.rel, out);
            open.extend(below.into_iter().rev());
            continue;
        }
        let mut verdict = FileVerdict::new(entry.rel.clone(), FileKind::Other, entry.bytes());
        match &entry.is {
            Is::LinkedFolder => verdict.push(Finding::note(
                "folder",
                "a link to a folder",
                "none: it was not followed, since no data are expected there",
            )),
            Is::Special => {
                verdict.push(Finding::note("file", "neither a file nor a folder", "none: it was not opened"))
            }
            Is::Unreadable(e) => {
                verdict.push(Finding::note("file", e.message(), "none, unless it is a part of the data"))
            }
            Is::File(_) | Is::Folder => {}
        }
        if let Some(w) = why {
            verdict.push(Finding::note("file", w.found, w.effect));
        }
        out.push(verdict);
    }
}
