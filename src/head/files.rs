//! Which files make up a head: the newest checkpoint, the segments behind it, the out-of-order log, the mapped chunks.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::loss::{Ledger, Loss};
use crate::raw::{FileBytes, ReadMode};
use crate::tsdb::head_chunks;
use crate::wal::dir::{LogDir, SegmentFile, list_checkpoints, list_segments};
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
    /// The log of out-of-order samples.
    pub late: Vec<LogFile>,
    /// Files of mapped chunks by number.
    pub chunks: Vec<ChunkFile>,
    /// The newest chunk snapshot. It has no samples that the log does not have, but their chunks.
    pub snapshot: Option<SnapshotDir>,
    /// Whether there is a folder `wal`; without one a server has no use for mapped chunks.
    pub has_log: bool,
    /// What is odd or cannot be read.
    pub ledger: Ledger,
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
        let reached = segments.windows(2).position(|w| matches!(w, [a, b] if a.number + 1 != b.number));
        if let Some(at) = reached {
            files.beyond = segments.split_off(at + 1);
        }
        files.segments = segments;
        let listed = list_segments(&root.join("wbl"))?;
        files.take_notes("wbl", &listed);
        files.late = log_files(listed.segments, "wbl");
        files.open_chunks(root, mode)?;
        files.snapshot = list_snapshots(root)?.0.pop();
        Ok(files)
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
        let logs = [&self.checkpoint, &self.segments, &self.beyond, &self.late];
        logs.iter().all(|l| l.iter().all(|f| f.len == 0)) && self.chunks.iter().all(|c| c.bytes.len() <= 8)
    }

    /// The files in the order in which they are listed in reports: where, relative to the SOURCE, bytes.
    pub fn list(&self) -> Vec<(PathBuf, String, u64)> {
        let logs = [&self.checkpoint, &self.segments, &self.beyond, &self.late];
        let logs = logs.iter().flat_map(|l| l.iter()).map(|f| (f.path.clone(), f.rel.clone(), f.len));
        let chunks = self.chunks.iter().map(|c| (c.path.clone(), c.rel.clone(), c.bytes.len() as u64));
        logs.chain(chunks).collect()
    }

    /// Puts `name/` before every path in reports.
    pub(super) fn prefix(&mut self, name: &str) {
        let logs = [&mut self.checkpoint, &mut self.segments, &mut self.beyond, &mut self.late];
        let rels = logs.into_iter().flatten().map(|f| &mut f.rel).chain(self.chunks.iter_mut().map(|c| &mut c.rel));
        rels.for_each(|rel| *rel = format!("{name}/{rel}"));
    }

    /// Bytes of all logs.
    pub fn log_bytes(&self) -> u64 {
        let logs = [&self.checkpoint, &self.segments, &self.beyond, &self.late];
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

fn log_files(segments: Vec<SegmentFile>, folder: &str) -> Vec<LogFile> {
    segments
        .into_iter()
        .map(|s| LogFile { number: s.number, rel: format!("{folder}/{}", s.name), path: s.path, len: s.len })
        .collect()
}
