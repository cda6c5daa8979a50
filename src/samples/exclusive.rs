//! Bounds against forged indexes: every chunk belongs to one series, and a block holds at most so many samples as its
//! bytes allow. Without these a small file could be multiplied into any amount of memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ErrorKind;
use crate::loss::{Ledger, Loss};
use crate::series::{Member, MergedSeries};
use crate::source::Source;
use crate::tsdb::chunks::BlockChunkRef;

/// A chunk by the positions of its series, its member and itself.
type Place = (usize, usize, usize);

/// The chunks that an earlier series, or the same one, names already. Valid data costs one comparison per chunk.
pub(super) fn shared_chunks(source: &Source, series: &[MergedSeries]) -> BTreeSet<Place> {
    let places = || {
        series.iter().enumerate().flat_map(|(s, x)| {
            x.members.iter().enumerate().flat_map(move |(m, member)| {
                let (block, chunks) = match member {
                    Member::Block { block, entry } => (*block, entry.chunks.as_slice()),
                    Member::Head { .. } | Member::Dataset { .. } | Member::Dumps { .. } => (0, &[][..]),
                };
                chunks.iter().enumerate().map(move |(c, chunk)| (block, chunk.reference, (s, m, c)))
            })
        })
    };
    // Writers append: the references of one series ascend, and those of the next series follow.
    let mut last: Vec<Option<BlockChunkRef>> = vec![None; source.blocks.len()];
    let ascending = places().all(|(block, reference, _)| match last.get_mut(block) {
        Some(last) => last.replace(reference).is_none_or(|l| l < reference),
        None => true,
    });
    if ascending {
        return BTreeSet::new();
    }
    let mut list: Vec<(usize, BlockChunkRef, Place)> = places().collect();
    list.sort_unstable();
    let again = list.windows(2).filter_map(|w| match w {
        [(b, r, _), (block, reference, place)] if b == block && r == reference => Some(*place),
        _ => None,
    });
    again.collect()
}

/// The series without the chunks at `shared`, each of which becomes a loss.
pub(super) fn without(
    source: &Source,
    series: &[MergedSeries],
    shared: &BTreeSet<Place>,
    ledger: &mut Ledger,
) -> Vec<MergedSeries> {
    let mut kept = series.to_vec();
    // From the back, so that the positions of the others stay.
    for (s, m, c) in shared.iter().rev() {
        let Some(of) = kept.get_mut(*s) else { continue };
        let labels = of.labels.clone();
        let Some(Member::Block { block, entry }) = of.members.get_mut(*m) else { continue };
        if *c >= entry.chunks.len() {
            continue;
        }
        let chunk = entry.chunks.remove(*c);
        let Some(b) = source.blocks.get(*block) else { continue };
        ledger.losses.push(Loss {
            file: b.block.file(&format!("chunks/{}", chunk.reference.file_name())),
            offset: Some(chunk.reference.offset_bytes()),
            kind: ErrorKind::Malformed,
            detail: "the index gives this chunk to another series, too, or twice to this one; it is used once"
                .to_owned(),
            series: Some(labels),
            interval: Some(chunk.sound_interval()),
            samples: None,
        });
    }
    kept
}

/// The samples that the chunks of each block may give in one load. Two bits is the least that one takes, and a load reads
/// a chunk at most a few times (for its history, and again behind a conflict), so more than sixteen per byte means that
/// chunks share bytes.
#[derive(Debug)]
pub(super) struct Budget(Vec<(u64, AtomicU64)>);

impl Budget {
    pub(super) fn of(source: &Source) -> Budget {
        let limit = |bytes: u64| bytes.saturating_mul(16);
        Budget(source.blocks.iter().map(|b| (limit(b.block.segment_bytes()), AtomicU64::new(0))).collect())
    }

    /// Spends samples of a block; false if it gave more than it can hold.
    pub(super) fn spend(&self, block: usize, samples: u64) -> bool {
        self.0
            .get(block)
            .is_none_or(|(limit, spent)| spent.fetch_add(samples, Ordering::Relaxed).saturating_add(samples) <= *limit)
    }

    /// The blocks that gave more than they can hold, whatever the order of reading.
    pub(super) fn overdrawn(&self) -> BTreeSet<usize> {
        let over = self.0.iter().enumerate().filter(|(_, (limit, spent))| spent.load(Ordering::Relaxed) > *limit);
        over.map(|(i, _)| i).collect()
    }
}

/// What is lost with blocks that are overdrawn.
pub fn losses(source: &Source, overdrawn: &BTreeSet<usize>) -> Vec<Loss> {
    let blocks = overdrawn.iter().filter_map(|i| source.blocks.get(*i));
    let loss = |b: &crate::source::SourceBlock| {
        Loss {
        file: b.block.file("index"),
        offset: None,
        kind: ErrorKind::Malformed,
        detail: "the chunks that it names hold more samples than the segments have room for, so they share bytes; the block is not used".to_owned(),
        series: None,
        interval: b.block.covered.or(Some(b.block.meta.interval())),
        samples: None,
    }
    };
    blocks.map(loss).collect()
}

/// The series without the blocks that are overdrawn, each of which becomes a loss.
pub(super) fn without_blocks(
    source: &Source,
    series: &[MergedSeries],
    overdrawn: &BTreeSet<usize>,
    ledger: &mut Ledger,
) -> Vec<MergedSeries> {
    ledger.losses.extend(losses(source, overdrawn));
    let mut kept = series.to_vec();
    for s in &mut kept {
        s.members.retain(|m| !matches!(m, Member::Block { block, .. } if overdrawn.contains(block)));
    }
    kept
}
