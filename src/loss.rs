//! [`Loss`]: samples that are not in the answer, and why. [`Ledger`] collects losses, conflicts and notes.
//!
//! "Never silently short": whatever a reader cannot use it reports here, with the file, the place and what it covers.

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::labels::Labels;
use crate::time::{Interval, rfc3339};

/// Something that could not be read, and what it may have held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// The file, relative to its SOURCE, with `/` between the parts.
    pub file: String,
    /// Byte offset in that file.
    pub offset: Option<u64>,
    /// What kind of damage.
    pub kind: ErrorKind,
    /// What was expected and what was found.
    pub detail: String,
    /// The series concerned; `None` where it cannot be told or is all of them.
    pub series: Option<Labels>,
    /// The times that the lost samples may have (both ends included); `None` where nothing bounds them.
    pub interval: Option<Interval>,
    /// How many samples, where that is known.
    pub samples: Option<u64>,
}

impl Loss {
    /// The loss as an element of JSON `losses[]`.
    pub fn to_json(&self) -> Value {
        json!({
            "file": self.file,
            "offset": self.offset,
            "kind": self.kind.name(),
            "detail": self.detail,
            "series": self.series.as_ref().map(Labels::to_json),
            "start": self.interval.map(|i| rfc3339(i.start)),
            "end": self.interval.map(|i| rfc3339(i.end)),
            "samples": self.samples,
        })
    }

    /// One line for a person.
    pub fn to_line(&self) -> String {
        let mut line = crate::labels::printable(&self.file);
        if let Some(offset) = self.offset {
            line.push_str(&format!(" at byte {offset}"));
        }
        line.push_str(&format!(": {}", crate::labels::printable(&self.detail)));
        if let Some(series) = &self.series {
            line.push_str(&format!("; series {series}"));
        }
        if let Some(interval) = &self.interval {
            line.push_str(&format!("; {interval}"));
        }
        if let Some(samples) = self.samples {
            line.push_str(&format!("; {samples} {}", if samples == 1 { "sample" } else { "samples" }));
        }
        line
    }

    /// Whether the loss may have held samples inside `window`.
    pub fn touches(&self, window: &Interval) -> bool {
        self.interval.is_none_or(|i| i.overlaps(window))
    }
}

/// A count with its noun, for sentences.
pub(crate) fn counted_noun(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Two sources that disagree about one sample; the answer uses one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The series.
    pub series: Labels,
    /// The time at which the values differ, in milliseconds.
    pub t_ms: i64,
}

/// What a reader noticed beside the samples.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// What could not be read.
    pub losses: Vec<Loss>,
    /// Where sources disagree.
    pub conflicts: Vec<Conflict>,
    /// What is worth knowing and costs no sample.
    pub notes: Vec<String>,
    /// Merged SOURCEs that cannot be parts of one server: series and the first time at which only one has a sample.
    pub interleaved: Vec<Conflict>,
    /// Samples removed by tombstones.
    pub deleted: u64,
    /// Samples that another source also had, with the same bits.
    pub duplicates: u64,
}

impl Ledger {
    /// Adds everything from `other`.
    pub fn absorb(&mut self, other: Ledger) {
        self.losses.extend(other.losses);
        self.conflicts.extend(other.conflicts);
        self.notes.extend(other.notes);
        self.interleaved.extend(other.interleaved);
        self.deleted += other.deleted;
        self.duplicates += other.duplicates;
    }

    /// Errs where merged SOURCEs turned out to be different servers.
    pub fn check_one_server(&self) -> Result<()> {
        let Some(c) = self.interleaved.iter().min() else { return Ok(()) };
        Err(Error::new(
            ErrorKind::Ambiguous,
            format!(
                "{} has other timestamps in one SOURCE than in another at {}: these are different servers",
                c.series,
                rfc3339(c.t_ms)
            ),
        )
        .hint("answer them one by one (leave out --merge); interleaving two servers would invent counter resets"))
    }

    /// Sorts and removes repetitions, so that the order of reading leaves no trace.
    pub fn settle(&mut self) {
        self.losses.sort();
        self.losses.dedup();
        self.conflicts.sort();
        self.conflicts.dedup();
        self.interleaved.sort();
        self.interleaved.dedup();
        let mut seen = std::collections::BTreeSet::new();
        self.notes.retain(|n| seen.insert(n.clone()));
    }
}
