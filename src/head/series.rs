//! [`HeadSeries`]: one series of the head as a restarted server has it.

use crate::labels::Labels;
use crate::time::Interval;
use crate::tsdb::head_chunks::{HeadChunk, HeadSeriesRef};
use crate::tsdb::run::Run;

/// A series with everything that was replayed into it.
#[derive(Debug, Clone)]
pub struct HeadSeries {
    /// The reference under which it was created.
    pub reference: HeadSeriesRef,
    /// The identity.
    pub labels: Labels,
    /// Whether its labels were unsorted, repeated or empty.
    pub odd_labels: bool,
    /// Mapped chunks of samples that came in order, by time.
    pub chunks: Vec<HeadChunk>,
    /// Mapped chunks of out-of-order samples, by place on disk; they may overlap anything.
    pub late_chunks: Vec<HeadChunk>,
    /// What the log has behind the mapped chunks.
    pub tail: Outline,
    /// What the out-of-order log has behind its mapped chunks.
    pub late: Outline,
    /// Deleted times, sorted and disjoint.
    pub deleted: Vec<Interval>,
    /// What the log says about the metric.
    pub metadata: Option<Metadata>,
    /// What the in-order log has and the head may not have in order. It came out of order, or something is missing.
    pub unstored: Vec<Unstored>,
}

/// A logged sample that need not be in the head in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unstored {
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    /// Whether it is a native histogram.
    pub histogram: bool,
    /// Whether it came so little too late that it may have been refused and not stored at all.
    pub raced: bool,
}

/// How many samples some store holds, and over which time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outline {
    /// Float samples.
    pub floats: u64,
    /// Native histograms.
    pub histograms: u64,
    /// First and last time.
    pub interval: Option<Interval>,
}

impl Outline {
    pub(super) fn add(&mut self, t_ms: i64, histogram: bool) {
        if histogram {
            self.histograms += 1;
        } else {
            self.floats += 1;
        }
        self.interval = Interval::joined(self.interval, Some(Interval::new(t_ms, t_ms)));
    }

    /// All samples.
    pub fn samples(&self) -> u64 {
        self.floats + self.histograms
    }
}

/// Type, unit and help of a metric as the log has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The type by its number in the log.
    pub kind: u8,
    /// The unit.
    pub unit: Vec<u8>,
    /// The help text.
    pub help: Vec<u8>,
}

/// The samples of one series that only the logs have.
#[derive(Debug, Clone, Default)]
pub struct LogSamples {
    /// In order, behind the mapped chunks.
    pub tail: Run,
    /// Out-of-order buffers in the order in which they were filled; they may overlap each other and everything else.
    pub late: Vec<Run>,
    /// Behind this time a new chunk begins: that of the newest sample in a chunk snapshot.
    pub cut_behind: Option<i64>,
}

impl HeadSeries {
    /// The times that its samples may have, one interval per chunk or store.
    pub fn pieces(&self) -> Vec<Interval> {
        let chunks = self.chunks.iter().chain(&self.late_chunks).map(HeadChunk::interval);
        chunks.chain(self.tail.interval).chain(self.late.interval).collect()
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.late_chunks.is_empty() && self.tail.samples() == 0 && self.late.samples() == 0
    }
}
