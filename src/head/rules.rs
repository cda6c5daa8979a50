//! What a restarted server makes of its logs, where releases differ (`docs/format/wal.md`).

use crate::version::PromVersion;

/// The rules of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayRules {
    /// Mapped chunks under all references of a series are joined (from 3.16); before, those of the last one counted.
    pub joins_chunks: bool,
    /// The record of type 14 at the head of a checkpoint raises the cutoff (from 3.16).
    pub min_valid_time: bool,
    /// Deleting all times evicts the series (from 3.10); before, it deleted them.
    pub evicts: bool,
    /// A stale marker behind histograms becomes one of their kind (from 3.14).
    pub stale_follows_kind: bool,
    /// Whether chunks end because of their bytes, too (from 2.47); before, both kinds were cut by samples and time.
    pub cuts_by_bytes: bool,
    /// Whether a bucket that is empty in a chunk may be missing in the next histogram (from 2.55); before, that began
    /// another chunk.
    pub refills_empty_buckets: bool,
    /// Whether the out-of-order head is a source of its own in merging (up to 2.54).
    pub late_apart: bool,
    /// Whether the head is merged before the blocks (from 2.49) or behind them.
    pub head_first: bool,
    /// Whether sums run in the order of references where only the head is read (from 2.50); before, everything was
    /// sorted by labels (`storage/fanout.go`).
    pub sums_by_reference: bool,
}

impl ReplayRules {
    /// The rules of a release.
    pub fn of(version: PromVersion) -> ReplayRules {
        let from = |major, minor| version >= PromVersion::new(major, minor);
        ReplayRules {
            joins_chunks: from(3, 16),
            min_valid_time: from(3, 16),
            evicts: from(3, 10),
            stale_follows_kind: from(3, 14),
            cuts_by_bytes: from(2, 47),
            refills_empty_buckets: from(2, 55),
            late_apart: !from(2, 55),
            head_first: from(2, 49),
            sums_by_reference: from(2, 50),
        }
    }
}
