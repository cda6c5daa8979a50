//! All series of a source one after the other, in label order, without holding them: what a whole conversion walks.
//!
//! Indexes are sorted by labels, so the parts of a source are merged as they are read. Where an index is damaged or breaks
//! that order, or a chunk is named twice, all series are held instead, as for a selection.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rayon::prelude::*;

use super::{Member, MergedSeries, select};
use crate::labels::Labels;
use crate::loss::Ledger;
use crate::selector::{Matcher, Selector};
use crate::source::{Part, Source};
use crate::tsdb::Block;
use crate::tsdb::index::{BlockSeriesRef, Index, SeriesEntry};

/// How the series of a source that any of some selectors accepts are walked.
pub struct SeriesWalk<'a> {
    source: &'a Source,
    selectors: &'a [Selector],
    /// The candidates in each block; `None` for all of its series.
    candidates: Vec<Option<Vec<BlockSeriesRef>>>,
    /// All series, where they cannot be streamed.
    held: Option<Vec<MergedSeries>>,
}

impl<'a> SeriesWalk<'a> {
    /// Prepares a walk over what any of `selectors` accepts, or everything without one. `exclusive` is given the series
    /// where they have to be held, to take away chunks that several of them name. Damage goes to `ledger`.
    pub fn open(
        source: &'a Source,
        selectors: &'a [Selector],
        ledger: &mut Ledger,
        exclusive: impl FnOnce(Vec<MergedSeries>, &mut Ledger) -> Vec<MergedSeries>,
    ) -> SeriesWalk<'a> {
        let candidates: Vec<Option<Vec<BlockSeriesRef>>> =
            source.blocks.par_iter().map(|b| b.block.index.as_ref().and_then(|i| candidates(i, selectors))).collect();
        let mut walk = SeriesWalk { source, selectors, candidates, held: None };
        let sound = |at: usize| source.blocks.get(at).is_none_or(|b| walk.is_sound(at, &b.block));
        if !(0..source.blocks.len()).into_par_iter().all(sound) {
            let mut all: BTreeMap<Labels, MergedSeries> = BTreeMap::new();
            let everything: [&[Matcher]; 1] = [&[]];
            let asked: Vec<&[Matcher]> = match selectors {
                [] => everything.to_vec(),
                some => some.iter().map(Selector::matchers).collect(),
            };
            for matchers in asked {
                let selection = select(source, matchers);
                ledger.absorb(selection.ledger);
                all.extend(selection.series.into_iter().map(|s| (s.labels.clone(), s)));
            }
            walk.held = Some(exclusive(all.into_values().collect(), ledger));
        }
        walk
    }

    /// The series in label order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = MergedSeries> + '_> {
        if let Some(held) = &self.held {
            return Box::new(held.iter().cloned());
        }
        Box::new(Merged::new(self))
    }

    fn accepts(&self, labels: &Labels) -> bool {
        self.selectors.is_empty() || self.selectors.iter().any(|s| s.matches(labels))
    }

    /// Whether the entries of a block can be read, ascend by their labels, and name each chunk once.
    fn is_sound(&self, at: usize, block: &Block) -> bool {
        let mut last: Option<Labels> = None;
        let mut last_chunk = None;
        self.entries(at, block).all(|entry| {
            let Ok(entry) = entry else { return false };
            let chunks = entry.chunks.iter().all(|c| last_chunk.replace(c.reference).is_none_or(|l| l < c.reference));
            let ascends = last.as_ref().is_none_or(|l| *l < entry.labels);
            last = Some(entry.labels);
            chunks && ascends && !entry.odd_labels
        }) && block.index.as_ref().is_none_or(|i| i.postings_fault().is_none())
    }

    fn entries<'w>(
        &'w self,
        at: usize,
        block: &'w Block,
    ) -> Box<dyn Iterator<Item = Result<SeriesEntry, crate::raw::Fault>> + 'w> {
        let Some(index) = &block.index else { return Box::new(std::iter::empty()) };
        match self.candidates.get(at) {
            Some(Some(refs)) => Box::new(refs.iter().map(|r| index.series(*r))),
            _ => Box::new(index.walk()),
        }
    }
}

/// The series of a block that may be accepted; `None` where all are wanted or the lookup tables cannot tell.
fn candidates(index: &Index, selectors: &[Selector]) -> Option<Vec<BlockSeriesRef>> {
    if selectors.is_empty() {
        return None;
    }
    let mut all = Vec::new();
    for s in selectors {
        all.extend(index.refs(s.matchers()).ok()?);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// The parts of a source, each sorted, merged.
struct Merged<'w> {
    parts: Vec<Box<dyn Iterator<Item = (Labels, Member)> + 'w>>,
    rank: BTreeMap<Part, usize>,
    /// The next series of each part.
    heads: BinaryHeap<Reverse<Next>>,
}

struct Next {
    labels: Labels,
    part: usize,
    member: Member,
}

impl PartialEq for Next {
    fn eq(&self, other: &Next) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Next) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Next) -> std::cmp::Ordering {
        self.labels.cmp(&other.labels).then(self.part.cmp(&other.part))
    }
}

impl<'w> Merged<'w> {
    fn new(walk: &'w SeriesWalk<'_>) -> Merged<'w> {
        let source = walk.source;
        let mut parts: Vec<Box<dyn Iterator<Item = (Labels, Member)> + 'w>> = Vec::new();
        for (block, b) in source.blocks.iter().enumerate() {
            // What cannot be read was found when the walk was prepared, and then all series are held.
            let entries = walk.entries(block, &b.block).filter_map(Result::ok);
            parts.push(Box::new(entries.map(move |entry| (entry.labels.clone(), Member::Block { block, entry }))));
        }
        for (head, h) in source.heads.iter().enumerate() {
            let mut order: Vec<usize> = (0..h.head.series.len()).collect();
            order.sort_by_key(|at| h.head.series.get(*at).map(|s| &s.labels));
            parts.push(Box::new(order.into_iter().filter_map(move |position| {
                let s = h.head.series.get(position)?;
                Some((s.labels.clone(), Member::Head { head, position, pieces: s.pieces() }))
            })));
        }
        for (dataset, d) in source.datasets.iter().enumerate() {
            let series = d.dataset.series.iter().enumerate();
            parts.push(Box::new(series.map(move |(position, s)| {
                let pieces = d.dataset.pieces(&s.record);
                (s.record.labels.clone(), Member::Dataset { dataset, position, pieces })
            })));
        }
        let rank = source.merge_order().into_iter().enumerate().map(|(i, p)| (p, i)).collect();
        let accepted = |part: Box<dyn Iterator<Item = (Labels, Member)> + 'w>| {
            Box::new(part.filter(|(labels, _)| walk.accepts(labels))) as Box<dyn Iterator<Item = (Labels, Member)> + 'w>
        };
        let parts: Vec<_> = parts.into_iter().map(accepted).collect();
        let mut merged = Merged { heads: BinaryHeap::new(), rank, parts };
        (0..merged.parts.len()).for_each(|part| merged.advance(part));
        merged
    }

    fn advance(&mut self, part: usize) {
        if let Some((labels, member)) = self.parts.get_mut(part).and_then(|p| p.next()) {
            self.heads.push(Reverse(Next { labels, part, member }));
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = MergedSeries;

    fn next(&mut self) -> Option<MergedSeries> {
        let Reverse(Next { labels, part, member }) = self.heads.pop()?;
        self.advance(part);
        let mut members = vec![member];
        while self.heads.peek().is_some_and(|Reverse(next)| next.labels == labels) {
            let Reverse(Next { part, member, .. }) = self.heads.pop()?;
            self.advance(part);
            members.push(member);
        }
        members.sort_by_key(|m| self.rank.get(&m.part()).copied());
        Some(MergedSeries { labels, members })
    }
}
