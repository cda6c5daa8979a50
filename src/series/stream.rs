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
    /// All series, where they are few or cannot be streamed.
    held: Option<Vec<MergedSeries>>,
}

/// What a byte of an index takes when its series are held.
const HELD_PER_BYTE: u64 = 4;

/// The series of one part in label order.
type Sorted<'w> = Box<dyn Iterator<Item = (Labels, Member)> + Send + 'w>;

impl<'a> SeriesWalk<'a> {
    /// Prepares a walk over what any of `selectors` accepts, or everything without one; series that take no more than
    /// `budget` bytes are read once and held. `exclusive` is given the series where they have to be held because an index is
    /// damaged, to take away chunks that several of them name. Damage goes to `ledger`.
    pub fn open(
        source: &'a Source,
        selectors: &'a [Selector],
        budget: u64,
        ledger: &mut Ledger,
        exclusive: impl FnOnce(Vec<MergedSeries>, &mut Ledger) -> Vec<MergedSeries>,
    ) -> SeriesWalk<'a> {
        let candidates: Vec<Option<Vec<BlockSeriesRef>>> =
            source.blocks.par_iter().map(|b| b.block.index.as_ref().and_then(|i| candidates(i, selectors))).collect();
        let mut walk = SeriesWalk { source, selectors, candidates, held: None };
        let bytes: u64 = source.blocks.iter().filter_map(|b| b.block.index.as_ref()).map(Index::bytes).sum();
        let few = bytes.saturating_mul(HELD_PER_BYTE) <= budget;
        let read = |at: usize| source.blocks.get(at).map_or(Some(Vec::new()), |b| walk.sound(at, &b.block, few));
        let blocks: Option<Vec<Vec<SeriesEntry>>> = (0..source.blocks.len()).into_par_iter().map(read).collect();
        match blocks {
            Some(entries) if few => {
                let mut parts: Vec<Sorted<'_>> = Vec::new();
                for (block, entries) in entries.into_iter().enumerate() {
                    let member = move |entry: SeriesEntry| (entry.labels.clone(), Member::Block { block, entry });
                    parts.push(Box::new(entries.into_iter().map(member)));
                }
                walk.held = Some(Merged::new(&walk, parts).collect());
            }
            Some(_) => {}
            None => {
                let all = walk.select_all(ledger);
                walk.held = Some(exclusive(all, ledger));
            }
        }
        walk
    }

    /// A walk over series that were found in another way, in label order.
    pub fn of(source: &'a Source, selectors: &'a [Selector], series: Vec<MergedSeries>) -> SeriesWalk<'a> {
        SeriesWalk { source, selectors, candidates: Vec::new(), held: Some(series) }
    }

    /// The series in label order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = MergedSeries> + '_> {
        if let Some(held) = &self.held {
            return Box::new(held.iter().cloned());
        }
        let mut parts: Vec<Sorted<'_>> = Vec::new();
        for (block, b) in self.source.blocks.iter().enumerate() {
            // What cannot be read was found when the walk was prepared, and then all series are held.
            let entries = self.entries(block, &b.block).filter_map(Result::ok);
            parts.push(Box::new(entries.map(move |entry| (entry.labels.clone(), Member::Block { block, entry }))));
        }
        Box::new(Merged::new(self, parts))
    }

    fn accepts(&self, labels: &Labels) -> bool {
        self.selectors.is_empty() || self.selectors.iter().any(|s| s.matches(labels))
    }

    /// All series by selection, with everything that is wrong about them.
    fn select_all(&self, ledger: &mut Ledger) -> Vec<MergedSeries> {
        let mut all: BTreeMap<Labels, MergedSeries> = BTreeMap::new();
        let everything: [&[Matcher]; 1] = [&[]];
        let asked: Vec<&[Matcher]> = match self.selectors {
            [] => everything.to_vec(),
            some => some.iter().map(Selector::matchers).collect(),
        };
        for matchers in asked {
            let selection = select(self.source, matchers);
            ledger.absorb(selection.ledger);
            all.extend(selection.series.into_iter().map(|s| (s.labels.clone(), s)));
        }
        all.into_values().collect()
    }

    /// The entries of a block if `keep` says so, else none of them. `None` unless all can be read, ascend by their labels, and
    /// name each chunk once.
    fn sound(&self, at: usize, block: &Block, keep: bool) -> Option<Vec<SeriesEntry>> {
        let Some(index) = &block.index else { return Some(Vec::new()) };
        if index.postings_fault().is_some() {
            return None;
        }
        let mut kept = Vec::new();
        let mut last: Option<Labels> = None;
        let mut last_chunk = None;
        for entry in self.entries(at, block) {
            let entry = entry.ok()?;
            let chunks = entry.chunks.iter().all(|c| last_chunk.replace(c.reference).is_none_or(|l| l < c.reference));
            let ascends = last.replace(entry.labels.clone()).is_none_or(|l| l < entry.labels);
            if !chunks || !ascends || entry.odd_labels {
                return None;
            }
            if keep {
                kept.push(entry);
            }
        }
        Some(kept)
    }

    fn entries<'w>(
        &'w self,
        at: usize,
        block: &'w Block,
    ) -> Box<dyn Iterator<Item = Result<SeriesEntry, crate::raw::Fault>> + Send + 'w> {
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
    parts: Vec<Sorted<'w>>,
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
    /// Merges `blocks` with the heads and datasets of the source.
    fn new(walk: &'w SeriesWalk<'_>, blocks: Vec<Sorted<'w>>) -> Merged<'w> {
        let source = walk.source;
        let mut parts = blocks;
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
        for (dumps, d) in source.dumps.iter().enumerate() {
            let series = d.dumps.series.iter().enumerate();
            parts.push(Box::new(
                series.map(move |(position, s)| {
                    (s.labels.clone(), Member::Dumps { dumps, position, pieces: s.pieces() })
                }),
            ));
        }
        let accepted = |part: Sorted<'w>| -> Sorted<'w> { Box::new(part.filter(|(labels, _)| walk.accepts(labels))) };
        let parts: Vec<_> = parts.into_iter().map(accepted).collect();
        let rank = source.merge_order().into_iter().enumerate().map(|(i, p)| (p, i)).collect();
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
        // Equal label sets share their memory.
        let shared = |mut member: Member| {
            if let Member::Block { entry, .. } = &mut member {
                entry.labels = labels.clone();
            }
            member
        };
        while self.heads.peek().is_some_and(|Reverse(next)| next.labels == labels) {
            let Reverse(Next { part, member, .. }) = self.heads.pop()?;
            self.advance(part);
            members.push(shared(member));
        }
        members.sort_by_key(|m| self.rank.get(&m.part()).copied());
        Some(MergedSeries { labels, members })
    }
}
