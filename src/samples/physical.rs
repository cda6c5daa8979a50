//! Every sample on disk with its origin: what was stored, repeated, deleted, refused, compacted or orphaned, beside what a
//! server serves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::error::Result;
use crate::head::Physical;
use crate::labels::Labels;
use crate::loss::Ledger;
use crate::selector::{Matcher, Selector};
use crate::source::Source;
use crate::tsdb::Block;
use crate::tsdb::chunkenc::{Encoding, claimed_samples};
use crate::tsdb::run::Run;

/// The samples on disk of one label set, chunk by chunk and record by record, in the order of blocks, logs, mapped chunks.
#[derive(Debug, Default)]
pub struct PhysicalSeries {
    /// The identity; empty for samples that nothing attributes.
    pub labels: Labels,
    /// Where they stand and what becomes of them.
    pub parts: Vec<Physical>,
}

/// Everything on disk that all matchers of any of `selections` and `among` accept, in label order, and what nothing
/// attributes to a series. Blocks that a server does not serve are included.
/// Holds all of it in memory: ask for what you need.
///
/// Errs where a log that could be read at opening cannot be read any more.
pub fn physical(
    source: &Source,
    selections: &[&[Matcher]],
    among: &(dyn Fn(&Labels) -> bool + Sync),
    ledger: &mut Ledger,
) -> Result<Vec<PhysicalSeries>> {
    let matches = |labels: &Labels, of: &[Matcher]| of.iter().all(|m| m.matches(labels.get(m.name())));
    let wanted = |labels: &Labels| among(labels) && selections.iter().any(|of| matches(labels, of));
    let served = source.blocks.iter().map(|b| (&b.block, "stored"));
    let blocks: Vec<(&Block, &'static str)> =
        served.chain(source.shadowed.iter().map(|s| (&s.block, "compacted"))).collect();
    let found: Vec<(Vec<Physical>, Ledger)> =
        blocks.par_iter().map(|(block, state)| of_block(block, state, selections, among)).collect();
    let mut all: BTreeMap<Labels, Vec<Physical>> = BTreeMap::new();
    for (parts, lost) in found {
        ledger.absorb(lost);
        for p in parts {
            all.entry(p.labels.clone()).or_default().push(p);
        }
    }
    for h in &source.heads {
        for p in h.head.physical(&wanted)? {
            all.entry(p.labels.clone()).or_default().push(p);
        }
    }
    Ok(all.into_iter().map(|(labels, parts)| PhysicalSeries { labels, parts }).collect())
}

/// How many samples lie on disk in blocks that a server does not serve and in heads, as their headers and records say.
pub fn physical_beside_blocks(source: &Source) -> u64 {
    let of = |block: &Block| -> u64 {
        let entries = block.index.as_ref().map(|index| index.scan().series).unwrap_or_default();
        let chunks = entries.iter().flat_map(|e| e.chunks.iter().filter_map(|c| block.chunk(e, c).ok()));
        chunks.filter_map(|c| claimed_samples(Encoding(c.encoding), c.data())).sum()
    };
    let shadowed: u64 = source.shadowed.iter().map(|s| of(&s.block)).sum();
    shadowed + source.heads.iter().map(|h| h.head.physical_samples()).sum::<u64>()
}

/// The label sets on disk that any of `selectors` accepts, with about how many samples each has; no labels stand for the
/// samples that nothing attributes.
///
/// Errs where a log that could be read at opening cannot be read any more.
pub fn physical_labels(source: &Source, selectors: &[Selector]) -> Result<BTreeMap<Labels, u64>> {
    let wanted = |labels: &Labels| selectors.is_empty() || selectors.iter().any(|s| s.matches(labels));
    let mut all: BTreeMap<Labels, u64> = BTreeMap::new();
    let blocks = source.blocks.iter().map(|b| &b.block).chain(source.shadowed.iter().map(|s| &s.block));
    for index in blocks.filter_map(|b| b.index.as_ref()) {
        for entry in index.walk().filter_map(std::result::Result::ok).filter(|e| wanted(&e.labels)) {
            *all.entry(entry.labels).or_default() += entry.chunks.len() as u64 * 120;
        }
    }
    for h in &source.heads {
        let seen: Mutex<BTreeSet<Labels>> = Mutex::default();
        let note = |labels: &Labels| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(labels.clone());
            false
        };
        let unattributed = h.head.physical(&note)?;
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        let each = h.head.physical_samples() / (seen.len() as u64).max(1);
        for labels in seen.into_iter().filter(wanted) {
            *all.entry(labels).or_default() += each;
        }
        for none in unattributed.into_iter().filter(|p| p.labels.is_empty()) {
            *all.entry(none.labels).or_default() += none.run.len() as u64;
        }
    }
    Ok(all)
}

fn of_block(
    block: &Block,
    state: &'static str,
    selections: &[&[Matcher]],
    among: &(dyn Fn(&Labels) -> bool + Sync),
) -> (Vec<Physical>, Ledger) {
    let mut ledger = Ledger::default();
    let Some(index) = &block.index else { return (Vec::new(), ledger) };
    let mut entries = BTreeMap::new();
    for matchers in selections {
        let selected = index.select(matchers);
        ledger.losses.extend(selected.lost.iter().map(|fault| block.series_loss(fault)));
        entries.extend(selected.series.into_iter().filter(|e| among(&e.labels)).map(|e| (e.offset, e)));
    }
    let mut out = Vec::new();
    for entry in entries.into_values() {
        let deleted = block.tombstones.of(entry.reference);
        for chunk in &entry.chunks {
            let mut run = Run::default();
            block.decode(&entry, chunk, true, &mut run, &mut ledger);
            let file = block.file(&format!("chunks/{}", chunk.reference.file_name()));
            let (labels, offset) = (entry.labels.clone(), chunk.reference.offset_bytes());
            out.extend(Physical { labels, reference: None, file, offset, state, run }.parted(deleted));
        }
    }
    (out, ledger)
}
