//! What exists: selecting series by matchers and joining one label set across blocks.

mod order;

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::labels::Labels;
use crate::loss::Ledger;
use crate::selector::Matcher;
use crate::source::Source;
use crate::time::Interval;
use crate::tsdb::index::SeriesEntry;

pub use order::full_read_order;

/// One label set and every block that has it.
#[derive(Debug, Clone)]
pub struct MergedSeries {
    /// The identity.
    pub labels: Labels,
    /// The blocks, in the source's merge order.
    pub members: Vec<Member>,
}

/// A series in one block.
#[derive(Debug, Clone)]
pub struct Member {
    /// Position of the block in [`Source::blocks`].
    pub block: usize,
    /// Its entry in that block's index.
    pub entry: SeriesEntry,
}

impl MergedSeries {
    /// The times that the chunks cover as the indexes say; `None` without chunks.
    pub fn interval(&self) -> Option<Interval> {
        let chunks = || self.members.iter().flat_map(|m| m.entry.chunks.iter());
        let start = chunks().map(|c| c.min_time_ms).min()?;
        let end = chunks().map(|c| c.max_time_ms).max()?;
        Some(Interval::new(start, end))
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

/// Finds all series that satisfy `matchers`: postings first, then the entries of the candidates. No chunk is touched.
/// Blocks are searched in parallel and gathered in order.
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
            merged.entry(entry.labels.clone()).or_default().push(Member { block: i, entry });
        }
    }
    let series = merged.into_iter().map(|(labels, members)| MergedSeries { labels, members }).collect();
    Selection { series, ledger }
}
