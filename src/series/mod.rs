//! What exists: selecting series by matchers and joining one label set across blocks and heads.

mod order;
mod stream;

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::labels::Labels;
use crate::loss::Ledger;
use crate::selector::Matcher;
use crate::source::{Part, Source};
use crate::time::Interval;
use crate::tsdb::index::{ChunkMeta, SeriesEntry};

pub use order::full_read_order;
pub use stream::SeriesWalk;

/// One label set and every part of the source that has it.
#[derive(Debug, Clone)]
pub struct MergedSeries {
    /// The identity.
    pub labels: Labels,
    /// Its parts, in the source's merge order.
    pub members: Vec<Member>,
}

/// A series in one part of a source.
#[derive(Debug, Clone)]
pub enum Member {
    /// In a block.
    Block {
        /// Position of the block in [`Source::blocks`].
        block: usize,
        /// Its entry in that block's index.
        entry: SeriesEntry,
    },
    /// In a head.
    Head {
        /// Position of the head in [`Source::heads`].
        head: usize,
        /// Position in [`crate::head::Head::series`].
        position: usize,
        /// The times of its chunks and of what only the logs have.
        pieces: Vec<Interval>,
    },
    /// In a dataset.
    Dataset {
        /// Position of the dataset in [`Source::datasets`].
        dataset: usize,
        /// Position in [`crate::dataset::Dataset::series`].
        position: usize,
        /// The times that its row groups have of it.
        pieces: Vec<Interval>,
    },
    /// In text dumps.
    Dumps {
        /// Position of the dumps in [`Source::dumps`].
        dumps: usize,
        /// Position in [`crate::dumps::Dumps::series`].
        position: usize,
        /// The times of its samples, in pieces.
        pieces: Vec<Interval>,
    },
}

impl Member {
    /// The part.
    pub fn part(&self) -> Part {
        match self {
            Member::Block { block, .. } => Part::Block(*block),
            Member::Head { head, .. } => Part::Head(*head),
            Member::Dataset { dataset, .. } => Part::Dataset(*dataset),
            Member::Dumps { dumps, .. } => Part::Dumps(*dumps),
        }
    }

    /// The entry in the index of a block.
    pub fn entry(&self) -> Option<&SeriesEntry> {
        match self {
            Member::Block { entry, .. } => Some(entry),
            Member::Head { .. } | Member::Dataset { .. } | Member::Dumps { .. } => None,
        }
    }

    /// The times of its chunks, and of what the logs of a head have.
    pub fn pieces(&self) -> impl Iterator<Item = Interval> + '_ {
        let (chunks, pieces) = match self {
            Member::Block { entry, .. } => (entry.chunks.as_slice(), &[][..]),
            Member::Head { pieces, .. } | Member::Dataset { pieces, .. } | Member::Dumps { pieces, .. } => {
                (&[][..], pieces.as_slice())
            }
        };
        chunks.iter().map(ChunkMeta::interval).chain(pieces.iter().copied())
    }
}

impl MergedSeries {
    /// The times that its parts cover as the indexes and logs say; `None` without samples.
    pub fn interval(&self) -> Option<Interval> {
        let pieces = || self.members.iter().flat_map(Member::pieces);
        Some(Interval::new(pieces().map(|i| i.start).min()?, pieces().map(|i| i.end).max()?))
    }
}

/// The series that a selector found, in label order (bytewise name, value, then fewer labels first).
#[derive(Debug, Default)]
pub struct Selection {
    /// The series.
    pub series: Vec<MergedSeries>,
    /// Series entries that cannot be read, and other findings.
    pub ledger: Ledger,
}

/// Finds all series that satisfy `matchers`: in blocks postings first, then the entries of the candidates; in heads the
/// replayed series. No chunk is touched. Blocks are searched in parallel and gathered in order.
pub fn select(source: &Source, matchers: &[Matcher]) -> Selection {
    let found: Vec<_> =
        source.blocks.par_iter().map(|b| b.block.index.as_ref().map(|index| index.select(matchers))).collect();
    let mut merged: BTreeMap<Labels, Vec<Member>> = BTreeMap::new();
    let mut ledger = Ledger::default();
    for (i, selected) in found.into_iter().enumerate() {
        let (Some(selected), Some(b)) = (selected, source.blocks.get(i)) else {
            continue;
        };
        for fault in &selected.lost {
            ledger.losses.push(b.block.series_loss(fault));
        }
        for fault in &selected.repaired {
            ledger.notes.push(format!(
                "{} at byte {}: {fault}; all series were scanned instead, nothing is lost by it",
                b.block.file("index"),
                fault.offset
            ));
        }
        for entry in selected.series {
            if entry.odd_labels {
                ledger.notes.push(format!(
                    "{} at byte {}: the labels of {} were unsorted, repeated or empty",
                    b.block.file("index"),
                    entry.offset,
                    entry.labels
                ));
            }
            merged.entry(entry.labels.clone()).or_default().push(Member::Block { block: i, entry });
        }
    }
    for (head, h) in source.heads.iter().enumerate() {
        for (position, s) in h.head.series.iter().enumerate() {
            if matchers.iter().all(|m| m.matches(s.labels.get(m.name()))) {
                let member = Member::Head { head, position, pieces: s.pieces() };
                merged.entry(s.labels.clone()).or_default().push(member);
            }
        }
    }
    for (dataset, d) in source.datasets.iter().enumerate() {
        ledger.losses.extend(d.dataset.beyond(matchers));
        for (position, s) in d.dataset.series.iter().enumerate() {
            if matchers.iter().all(|m| m.matches(s.record.labels.get(m.name()))) {
                let member = Member::Dataset { dataset, position, pieces: d.dataset.pieces(&s.record) };
                merged.entry(s.record.labels.clone()).or_default().push(member);
            }
        }
    }
    for (dumps, d) in source.dumps.iter().enumerate() {
        for (position, s) in d.dumps.series.iter().enumerate() {
            if matchers.iter().all(|m| m.matches(s.labels.get(m.name()))) {
                let member = Member::Dumps { dumps, position, pieces: s.pieces() };
                merged.entry(s.labels.clone()).or_default().push(member);
            }
        }
    }
    let rank: BTreeMap<Part, usize> = source.merge_order().into_iter().enumerate().map(|(i, p)| (p, i)).collect();
    let in_order = |(labels, mut members): (Labels, Vec<Member>)| {
        members.sort_by_key(|m| rank.get(&m.part()).copied());
        MergedSeries { labels, members }
    };
    let series = merged.into_iter().map(in_order).collect();
    Selection { series, ledger }
}
