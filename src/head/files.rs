//! Which files make up a head: the newest checkpoint, the segments behind it, the out-of-order log, the mapped chunks.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::loss::{Ledger, Loss};
use crate::raw::{FileBytes, ReadMode};
use crate::tsdb::head_chunks;
use crate::wal::dir::{LogDir, SegmentFile, list_checkpoints, list_segments};
use crate::wal::pages::PAGE_LEN;
use crate::wal::snapshot::{SnapshotDir, list_snapshots};

/// The files of a head, found and not yet read.
#[derive(Debug, Default)]
pub struct HeadFiles {
    /// The newest checkpoint.
    pub checkpoint: Vec<LogFile>,
    /// Segments behind the checkpoint, in order. A gap in their numbers ends the list; see [`HeadFiles::beyond`].
    pub segments: Vec<LogFile>,
    /// Segments behind a gap, which a server does not reach.
    pub beyond: Vec<LogFile>,
    /// The log of out-of-order samples. A gap in the numbers ends the list, too.
    pub late: Vec<LogFile>,
    /// Its segments behind a gap.
    pub late_beyond: Vec<LogFile>,
    /// What is missing: the file or folder, and a sentence.
    pub missing: Vec<Missing>,
    /// Files of mapped chunks by number.
    pub chunks: Vec<ChunkFile>,
    /// The newest chunk snapshot. It has no samples that the log does not have, but their chunks.
    pub snapshot: Option<SnapshotDir>,
    /// Whether there is a folder `wal`; without one a server has no use for mapped chunks.
    pub has_log: bool,
    /// What is odd or cannot be read.
    pub ledger: Ledger,
}

/// A file that must have been there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The file or its folder, relative to the SOURCE.
    pub rel: String,
    /// What tells.
    pub detail: String,
    /// Whether it held samples of any time, and not only those behind the blocks.
    pub of_any_time: bool,
}

/// One segment of a log.
#[derive(Debug)]
pub struct LogFile {
    /// The number in its name.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
    /// The same relative to the SOURCE, with `/`.
    pub rel: String,
    /// Bytes.
    pub len: u64,
}

/// One file of mapped chunks, open.
#[derive(Debug)]
pub struct ChunkFile {
    /// The number in its name.
    pub number: u64,
    /// Where it is relative to the SOURCE, with `/`.
    pub rel: String,
    /// The same in the file system.
    pub path: PathBuf,
    /// Its content.
    pub bytes: FileBytes,
}

impl HeadFiles {
    /// Looks below the data directory `root`.
    pub fn find(root: &Path, mode: ReadMode) -> Result<HeadFiles> {
        let mut files = HeadFiles { has_log: root.join("wal").is_dir(), ..HeadFiles::default() };
        let wal = root.join("wal");
        let (checkpoints, notes) = list_checkpoints(&wal)?;
        files.ledger.notes.extend(notes.into_iter().map(|n| format!("wal: {n}")));
        let mut from = 0;
        if let Some((newest, older)) = checkpoints.split_last() {
            let folder = format!("wal/{}", newest.name);
            let listed = list_segments(&newest.dir)?;
            files.take_notes(&folder, &listed);
            files.checkpoint = log_files(listed.segments, &folder);
            files.check_checkpoint(&folder);
            from = newest.number + 1;
            for c in older {
                files.ledger.notes.push(format!("wal/{} is older than {} and was not read", c.name, newest.name));
            }
        }
        let listed = list_segments(&wal)?;
        files.take_notes("wal", &listed);
        let (behind, covered): (Vec<_>, Vec<_>) = listed.segments.into_iter().partition(|s| s.number >= from);
        if let (Some(first), Some(last)) = (covered.first(), covered.last()) {
            files.ledger.notes.push(format!(
                "wal: segments {} to {} went into the checkpoint and were not read again",
                first.name, last.name
            ));
        }
        let mut segments = log_files(behind, "wal");
        files.beyond = behind_a_gap(&mut segments, Some(from));
        if let Some(b) = files.beyond.first() {
            let first = segments.last().map_or(from, |s| s.number + 1);
            let last = b.number - 1;
            let detail = match (segments.is_empty(), from) {
                (true, 0) => format!("segments {first} to {last} are missing, and so is a checkpoint in their place"),
                _ => format!("segments {first} to {last} are missing, and a server does not start on that"),
            };
            files.missing.push(Missing { rel: "wal".to_owned(), detail, of_any_time: false });
        } else if segments.is_empty() && from > 0 {
            let detail = "there is no segment behind the checkpoint, and a server always has one".to_owned();
            files.missing.push(Missing { rel: "wal".to_owned(), detail, of_any_time: false });
        }
        files.segments = segments;
        let listed = list_segments(&root.join("wbl"))?;
        files.take_notes("wbl", &listed);
        files.late = log_files(listed.segments, "wbl");
        // It begins anywhere, since its segments are deleted when they went into a block.
        files.late_beyond = behind_a_gap(&mut files.late, None);
        if let (Some(a), Some(b)) = (files.late.last(), files.late_beyond.first()) {
            let (first, last) = (a.number + 1, b.number - 1);
            let detail = format!("segments {first} to {last} are missing, and a server does not start on that");
            files.missing.push(Missing { rel: "wbl".to_owned(), detail, of_any_time: true });
        }
        files.note_short_segments();
        files.open_chunks(root, mode)?;
        files.snapshot = list_snapshots(root)?.0.pop();
        let no_log = files.checkpoint.is_empty() && files.segments.is_empty() && files.beyond.is_empty();
        let others = files.late.iter().any(|f| f.len > 0) || files.chunks.iter().any(|c| c.bytes.len() > 8);
        if no_log && others && files.missing.is_empty() {
            let detail = "there is no log, without which nobody knows the series of wbl and chunks_head".to_owned();
            files.missing.push(Missing { rel: "wal".to_owned(), detail, of_any_time: false });
        }
        Ok(files)
    }

    /// A checkpoint is closed before it gets its name, so all its pages are whole.
    fn check_checkpoint(&mut self, folder: &str) {
        let beyond = behind_a_gap(&mut self.checkpoint, Some(0));
        let mut missing = |rel: &str, detail: &str| {
            self.missing.push(Missing { rel: rel.to_owned(), detail: detail.to_owned(), of_any_time: false });
        };
        if !beyond.is_empty() || self.checkpoint.is_empty() {
            missing(folder, "segments are missing");
        }
        for short in self.checkpoint.iter().filter(|f| !f.len.is_multiple_of(PAGE_LEN as u64)) {
            missing(&short.rel, "it ends inside a page, which no checkpoint does: it was cut off");
        }
    }

    /// A server that starts fills the segment of one that was killed up with nothing.
    fn note_short_segments(&mut self) {
        for (folder, log) in [("wal", &self.segments), ("wbl", &self.late)] {
            let (_, before) = log.split_last().map_or((None, &[][..]), |(last, before)| (Some(last), before));
            let names = |odd: fn(&LogFile) -> bool| {
                let names: Vec<&str> = before.iter().filter(|f| odd(f)).map(|f| f.rel.as_str()).collect();
                names.join(", ")
            };
            let empty = names(|f| f.len == 0);
            if !empty.is_empty() {
                self.ledger.notes.push(format!(
                    "{folder}: nothing is in {empty}; a server was killed there before it logged anything, or what was in it is gone"
                ));
            }
            let names = names(|f| !f.len.is_multiple_of(PAGE_LEN as u64));
            if !names.is_empty() {
                self.ledger.notes.push(format!(
                    "{folder}: the end lies inside a page of {names}; a server was killed there, or records behind were cut off"
                ));
            }
        }
    }

    fn take_notes(&mut self, folder: &str, listed: &LogDir) {
        self.ledger.notes.extend(listed.oddities.iter().map(|o| format!("{folder}: {o}")));
    }

    fn open_chunks(&mut self, root: &Path, mode: ReadMode) -> Result<()> {
        let listed = head_chunks::list_files(&root.join("chunks_head"))?;
        let folder = "chunks_head";
        self.ledger.notes.extend(listed.oddities.iter().map(|o| format!("{folder}: {o}")));
        for file in listed.files {
            let rel = format!("{folder}/{}", file.name);
            match FileBytes::open(&file.path, mode) {
                Ok(bytes) => self.chunks.push(ChunkFile { number: file.number, rel, path: file.path, bytes }),
                Err(e) if e.kind() == ErrorKind::Permission => return Err(e),
                Err(e) => self.ledger.losses.push(unreadable(rel, &e)),
            }
        }
        Ok(())
    }

    /// Whether there is anything that could hold a sample.
    pub fn is_empty(&self) -> bool {
        let logs = [&self.checkpoint, &self.segments, &self.beyond, &self.late, &self.late_beyond];
        let nothing =
            logs.iter().all(|l| l.iter().all(|f| f.len == 0)) && self.chunks.iter().all(|c| c.bytes.len() <= 8);
        nothing && self.missing.is_empty()
    }

    /// The files in the order in which they are listed in reports: where, relative to the SOURCE, bytes.
    pub fn list(&self) -> Vec<(PathBuf, String, u64)> {
        let logs = [&self.checkpoint, &self.segments, &self.beyond, &self.late, &self.late_beyond];
        let logs = logs.iter().flat_map(|l| l.iter()).map(|f| (f.path.clone(), f.rel.clone(), f.len));
        let chunks = self.chunks.iter().map(|c| (c.path.clone(), c.rel.clone(), c.bytes.len() as u64));
        logs.chain(chunks).collect()
    }

    /// Puts `name/` before every path in reports.
    pub(super) fn prefix(&mut self, name: &str) {
        let logs = [&mut self.checkpoint, &mut self.segments, &mut self.beyond, &mut self.late, &mut self.late_beyond];
        let rels = logs.into_iter().flatten().map(|f| &mut f.rel).chain(self.chunks.iter_mut().map(|c| &mut c.rel));
        rels.for_each(|rel| *rel = format!("{name}/{rel}"));
    }

    /// Bytes of all logs.
    pub fn log_bytes(&self) -> u64 {
        let logs = [&self.checkpoint, &self.segments, &self.beyond, &self.late, &self.late_beyond];
        logs.iter().flat_map(|l| l.iter()).map(|f| f.len).sum()
    }
}

/// The loss for a file that cannot be opened or read.
pub(super) fn unreadable(rel: String, error: &Error) -> Loss {
    Loss {
        file: rel,
        offset: None,
        kind: error.kind(),
        detail: format!("{}; what it holds is lost", error.message()),
        series: None,
        interval: None,
        samples: None,
    }
}

/// Splits off what lies behind the first gap in the numbers, which begin with `from` where that is known.
fn behind_a_gap(log: &mut Vec<LogFile>, from: Option<u64>) -> Vec<LogFile> {
    let mut next = from;
    let gap = log.iter().position(|f| {
        let here = next.is_some_and(|n| n != f.number);
        next = f.number.checked_add(1);
        here
    });
    gap.map(|at| log.split_off(at)).unwrap_or_default()
}

fn log_files(segments: Vec<SegmentFile>, folder: &str) -> Vec<LogFile> {
    segments
        .into_iter()
        .map(|s| LogFile { number: s.number, rel: format!("{folder}/{}", s.name), path: s.path, len: s.len })
        .collect()
}
