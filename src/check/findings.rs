//! [`FileVerdict`]: what a check says about one file, finding by finding.

use crate::error::{Error, ErrorKind};
use crate::labels::Labels;
use crate::raw::{Fault, FaultKind};
use crate::time::Interval;

/// More findings than this about one file are counted and not kept: a hostile file could hold any number.
const MOST_FINDINGS: usize = 10_000;

/// What a file is to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// The archive that everything else came out of.
    Archive,
    /// `meta.json` of a block.
    Meta,
    /// `index` of a block.
    Index,
    /// A segment in `chunks/` of a block.
    Chunks,
    /// `tombstones` of a block.
    Tombstones,
    /// A segment of the write-ahead log.
    Log,
    /// A segment of a checkpoint of that log.
    Checkpoint,
    /// A segment of the log of out-of-order samples.
    LateLog,
    /// A file in `chunks_head/`.
    HeadChunks,
    /// A segment of a chunk snapshot.
    ChunkSnapshot,
    /// `manifest.json` of a dataset or of dumps.
    Manifest,
    /// A Parquet file of a dataset.
    Parquet,
    /// A text dump.
    Dump,
    /// Everything else: no data, or none that a server reads.
    Other,
}

impl FileKind {
    /// All kinds, in the order in which they are summed up.
    pub const ALL: [FileKind; 14] = [
        FileKind::Archive,
        FileKind::Meta,
        FileKind::Index,
        FileKind::Chunks,
        FileKind::Tombstones,
        FileKind::Log,
        FileKind::Checkpoint,
        FileKind::LateLog,
        FileKind::HeadChunks,
        FileKind::ChunkSnapshot,
        FileKind::Manifest,
        FileKind::Parquet,
        FileKind::Dump,
        FileKind::Other,
    ];

    /// The kind in words.
    pub fn name(self) -> &'static str {
        match self {
            FileKind::Meta => "meta.json",
            FileKind::Index => "index",
            FileKind::Chunks => "chunk segment",
            FileKind::Tombstones => "tombstones",
            FileKind::Log => "log segment",
            FileKind::Checkpoint => "checkpoint segment",
            FileKind::LateLog => "out-of-order log segment",
            FileKind::HeadChunks => "head chunks",
            FileKind::ChunkSnapshot => "chunk snapshot segment",
            FileKind::Manifest => "manifest",
            FileKind::Parquet => "Parquet file",
            FileKind::Dump => "text dump",
            FileKind::Archive => "archive",
            FileKind::Other => "other",
        }
    }

    /// The kind as one word, as used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            FileKind::Meta => "meta",
            FileKind::Index => "index",
            FileKind::Chunks => "chunks",
            FileKind::Tombstones => "tombstones",
            FileKind::Log => "log",
            FileKind::Checkpoint => "checkpoint",
            FileKind::LateLog => "late_log",
            FileKind::HeadChunks => "head_chunks",
            FileKind::ChunkSnapshot => "chunk_snapshot",
            FileKind::Manifest => "manifest",
            FileKind::Parquet => "parquet",
            FileKind::Dump => "dump",
            FileKind::Archive => "archive",
            FileKind::Other => "other",
        }
    }
}

/// The verdict on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Every rule holds.
    Good,
    /// Every rule holds that a stopped or killed server keeps, and there is something to know.
    Noted,
    /// A rule is broken.
    Bad,
}

impl State {
    /// One lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            State::Good => "good",
            State::Noted => "noted",
            State::Bad => "bad",
        }
    }
}

/// One thing about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind of damage; `None` for a note, which is none.
    pub kind: Option<ErrorKind>,
    /// Byte offset in the file, where there is one.
    pub offset: Option<u64>,
    /// The part of the file.
    pub part: String,
    /// The rule that is broken, or what should be there; `None` in a note about what breaks none.
    pub expected: Option<String>,
    /// What is there.
    pub found: String,
    /// The series concerned; `None` where it cannot be told or is all of them.
    pub series: Option<Labels>,
    /// The times concerned, both ends included; `None` where nothing bounds them.
    pub interval: Option<Interval>,
    /// What it does to answers.
    pub effect: String,
}

impl Finding {
    /// A broken rule.
    pub(super) fn bad(
        kind: ErrorKind,
        part: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
        effect: impl Into<String>,
    ) -> Finding {
        Finding { kind: Some(kind), expected: Some(expected.into()), ..Finding::note(part, found, effect) }
    }

    /// Something to know.
    pub(super) fn note(part: impl Into<String>, found: impl Into<String>, effect: impl Into<String>) -> Finding {
        Finding {
            kind: None,
            offset: None,
            part: part.into(),
            expected: None,
            found: found.into(),
            series: None,
            interval: None,
            effect: effect.into(),
        }
    }

    /// What a decoder says.
    pub(super) fn fault(fault: &Fault, effect: impl Into<String>) -> Finding {
        let (expected, found) = match fault.kind {
            FaultKind::Truncated { wanted, left } => (format!("{wanted} bytes"), format!("{left} bytes left")),
            FaultKind::VarintOverflow => ("a varint of at most 64 bits".to_owned(), "a longer one".to_owned()),
            FaultKind::Checksum { stored, computed } => {
                (format!("checksum {stored:08x} as stored"), format!("{computed:08x} over the bytes"))
            }
            FaultKind::Malformed { found, rule } => (rule.to_owned(), found.to_string()),
            FaultKind::Unsupported { found } => {
                ("a version or encoding that this release reads".to_owned(), found.to_string())
            }
        };
        Finding::bad(fault.error_kind(), fault.field, expected, found, effect).at(fault.offset)
    }

    /// The same as a note: what a killed server leaves.
    pub(super) fn excused(self, effect: impl Into<String>) -> Finding {
        Finding { kind: None, effect: effect.into(), ..self }
    }

    /// What the operating system says.
    pub(super) fn unreadable(error: &Error, effect: impl Into<String>) -> Finding {
        Finding::bad(error.kind(), "file", "it can be read", error.message(), effect)
    }

    /// The same with its place in the file.
    pub(super) fn at(mut self, offset: u64) -> Finding {
        self.offset = Some(offset);
        self
    }

    /// The same about a series.
    pub(super) fn of(mut self, series: Option<Labels>) -> Finding {
        self.series = series;
        self
    }

    /// The same about these times.
    pub(super) fn over(mut self, interval: Option<Interval>) -> Finding {
        self.interval = interval;
        self
    }

    /// Whether a rule is broken.
    pub fn is_bad(&self) -> bool {
        self.kind.is_some()
    }
}

/// One file and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVerdict {
    /// The path relative to the root that was checked, with `/` between the parts.
    pub file: String,
    /// What it is.
    pub kind: FileKind,
    /// Its length; `None` where it is not there or not a file.
    pub bytes: Option<u64>,
    /// The worst finding.
    pub state: State,
    /// What was found, by place in the file.
    pub findings: Vec<Finding>,
    /// Findings beyond the number that is kept.
    pub omitted: u64,
    /// What was walked, and how many of it.
    pub counts: Vec<(&'static str, u64)>,
}

impl FileVerdict {
    /// A verdict without findings.
    pub(super) fn new(file: impl Into<String>, kind: FileKind, bytes: Option<u64>) -> FileVerdict {
        FileVerdict {
            file: file.into(),
            kind,
            bytes,
            state: State::Good,
            findings: Vec::new(),
            omitted: 0,
            counts: Vec::new(),
        }
    }

    /// Adds a finding.
    pub(super) fn push(&mut self, finding: Finding) {
        self.state = self.state.max(if finding.is_bad() { State::Bad } else { State::Noted });
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.findings.push(finding);
        }
    }

    /// Whether further findings are only counted; then nobody needs to make their text.
    pub(super) fn is_full(&self) -> bool {
        self.findings.len() >= MOST_FINDINGS
    }

    /// Says how many of something were walked.
    pub(super) fn count(&mut self, what: &'static str, n: u64) {
        self.counts.push((what, n));
    }

    /// Puts the findings in the order of the file.
    pub(super) fn settle(&mut self) {
        self.findings.sort_by_key(|f| f.offset);
    }
}

/// `1 chunk`, `2 chunks`: a number with its noun.
pub(super) fn several(n: u64, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {}", plural(one)),
    }
}

fn plural(one: &str) -> String {
    match one {
        "series" => one.to_owned(),
        "entry" => "entries".to_owned(),
        other => format!("{other}s"),
    }
}
