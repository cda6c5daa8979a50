//! Every checksum and every rule of every file below a root, file by file, without stopping at the first fault.
//!
//! Nothing here is read for an answer, so nothing is left out either: blocks that a server would not serve, segments that
//! a checkpoint replaced and snapshots inside a data directory are walked like all else. What a file is to a server, and
//! what each fault does to answers, is part of its findings.

#![deny(clippy::indexing_slicing)]

mod archive;
mod block;
mod chunks;
mod dataset;
mod dumps;
mod findings;
mod head_chunks;
mod index;
mod log;
mod meta;
mod relations;
mod snapshot;
mod tombstones;
mod tree;

use std::path::Path;

use rayon::prelude::*;

use crate::error::{ErrorKind, Result};
use crate::head::HeadFiles;
use crate::raw::ReadMode;
use crate::source::{OpenOptions, Place, RootKind};
use crate::tsdb::ulid::Ulid;
use crate::wal::snapshot::parse_name;

pub use findings::{FileKind, FileVerdict, Finding, State};
use log::Logs;
use tree::{Entry, Stumble, list, list_or_tell, others};

/// All verdicts on one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// One for every file, in the order of their paths; also for files that should be there.
    pub files: Vec<FileVerdict>,
}

impl Checked {
    /// How many files have that state.
    pub fn count(&self, state: State) -> usize {
        self.files.iter().filter(|f| f.state == state).count()
    }

    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().filter_map(|f| f.bytes).sum()
    }
}

/// Checks everything below a root. Errs only where the root itself cannot be listed: what cannot be read below it is a
/// finding. `options` say how files are read, and how dumps are opened, which has to go well, too.
///
/// Memory: for each index that is being walked about 60 bytes per series and 32 per chunk, for logs the labels of their
/// series; of samples one chunk per thread, and all of those of dumps.
pub fn check(place: &Place, options: &OpenOptions) -> Result<Checked> {
    let mode = options.read_mode;
    let mut files = Vec::new();
    match place.kind {
        RootKind::Block => {
            // The name of `.` is known to the place alone.
            let last = place.root.file_name().filter(|_| !place.below.is_empty());
            let name = last.map_or_else(|| place.name.clone(), |n| n.to_string_lossy().into_owned());
            let mut blocks = vec![block::walk(&place.root, "", &name, mode)];
            relations::relate(&mut blocks);
            files.extend(blocks.into_iter().flat_map(block::Walked::into_verdicts));
        }
        RootKind::Tsdb => {
            let entries = list(&place.root, "")?;
            root(entries, true, mode, &mut files);
            missing(&place.root, mode, &mut files);
        }
        RootKind::Dataset => dataset::walk(&place.root, &mut files)?,
        RootKind::Dumps => dumps::walk(&place.root, options, &mut files)?,
    }
    for file in &mut files {
        file.settle();
    }
    files.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(Checked { files })
}

/// Files of a head that must have been there, where nothing has been said about their folder.
fn missing(root: &Path, mode: ReadMode, out: &mut Vec<FileVerdict>) {
    // What cannot be listed has been said.
    let Ok(files) = HeadFiles::find(root, mode) else { return };
    for m in files.missing {
        if out.iter().any(|f| f.state == State::Bad && f.file.starts_with(&m.rel)) {
            continue;
        }
        let kind = match (m.of_any_time, m.rel.contains("checkpoint.")) {
            (true, _) => FileKind::LateLog,
            (false, true) => FileKind::Checkpoint,
            (false, false) => FileKind::Log,
        };
        let effect = "the samples that it held are in no answer";
        let finding = Finding::bad(ErrorKind::Missing, "log", "it is whole", m.detail, effect);
        let at = match out.iter().position(|f| f.file == m.rel) {
            Some(at) => at,
            None => {
                out.push(FileVerdict::new(m.rel, kind, None));
                out.len() - 1
            }
        };
        if let Some(verdict) = out.get_mut(at) {
            verdict.push(finding);
        }
    }
}

const NO_FOLDER: Stumble =
    Stumble { found: "no folder, although it has a block's name", effect: "none: a server skips it" };
const HALF_DONE: Stumble = Stumble {
    found: "part of a folder that was not finished, or is half deleted",
    effect: "none: a server deletes it, and it is not read here",
};
const NO_ULID: Stumble = Stumble {
    found: "part of a block whose folder has no ULID as its name",
    effect: "a server skips the folder, and so do answers here",
};

/// Checks a snapshot or data directory; snapshots inside it are roots of their own.
fn root(entries: Vec<Entry>, outermost: bool, mode: ReadMode, out: &mut Vec<FileVerdict>) {
    let mut blocks = Vec::new();
    let mut snapshots = Vec::new();
    let (mut wal, mut wbl, mut mapped) = (None, None, None);
    for entry in entries {
        let folder = entry.is_folder();
        match entry.name.as_str() {
            "wal" if folder => wal = Some(entry),
            "wbl" if folder => wbl = Some(entry),
            "chunks_head" if folder => mapped = Some(entry),
            "snapshots" if folder && outermost => {
                for inner in list_or_tell(&entry.path, &entry.rel, out) {
                    match inner.is {
                        tree::Is::Folder => {
                            let below = list_or_tell(&inner.path, &inner.rel, out);
                            root(below, false, mode, out);
                        }
                        _ => others(inner, None, out),
                    }
                }
            }
            name if Ulid::parse(name).is_some() && folder => blocks.push(entry),
            name if Ulid::parse(name).is_some() => others(entry, Some(NO_FOLDER), out),
            name if parse_name(name).is_some() && matches!(entry.is, tree::Is::Folder) => snapshots.push(entry),
            name if [".tmp", ".tmp-for-creation", ".tmp-for-deletion"].iter().any(|t| name.ends_with(t)) && folder => {
                others(entry, Some(HALF_DONE), out);
            }
            _ if holds_block(&entry.path) => others(entry, Some(NO_ULID), out),
            _ => others(entry, None, out),
        }
    }
    let mut walked: Vec<block::Walked> =
        blocks.par_iter().map(|e| block::walk(&e.path, &e.rel, &e.name, mode)).collect();
    relations::relate(&mut walked);
    out.extend(walked.into_iter().flat_map(block::Walked::into_verdicts));
    let logs = wal.as_ref().map(|wal| log::wal(wal, wbl.is_some(), mode, out));
    let none = Logs::default();
    if let Some(wbl) = &wbl {
        log::late(wbl, logs.as_ref().unwrap_or(&none), mode, out);
    }
    if let Some(mapped) = &mapped {
        head_chunks::walk(mapped, logs.as_ref().map(|l| &l.series), mode, out);
    }
    snapshots.sort_by_key(|s| parse_name(&s.name));
    let newest = snapshots.last().map(|s| s.name.clone());
    for s in &snapshots {
        let newer = newest.as_deref().filter(|n| *n != s.name);
        snapshot::walk(s, newer, logs.as_ref().unwrap_or(&none), mode, out);
    }
}

fn holds_block(dir: &Path) -> bool {
    dir.join("meta.json").is_file() && dir.join("index").is_file()
}
