//! What was measured: decoding the chunks of a series, applying tombstones, merging its sources.

mod chain;
mod exclusive;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::labels::Labels;
use crate::loss::{Conflict, Ledger};
use crate::sample::{Samples, is_countable};
use crate::selector::Selector;
use crate::series::{MergedSeries, Selection, full_read_order, select};
use crate::source::Source;
use crate::time::Interval;
use crate::tsdb::block::ChunkOutcome;
use crate::tsdb::chunkenc::{Encoding, claimed_samples};
use exclusive::Budget;

/// A series with its float samples inside some interval, merged from all blocks, deletions applied.
#[derive(Debug, Clone, Default)]
pub struct LoadedSeries {
    /// The identity.
    pub labels: Labels,
    /// Strictly increasing in time. May begin before the interval that was asked for.
    pub samples: Samples,
    /// What became of the chunks that were touched, by block.
    pub members: Vec<MemberCount>,
    /// Times at which samples may be missing: lost chunks and deletions. That the series is not seen there proves nothing.
    pub holes: Vec<Interval>,
    /// What was lost, deleted, doubled or contradicted.
    pub ledger: Ledger,
}

/// What became of the chunks of one series in one block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberCount {
    /// Position in [`Source::blocks`].
    pub block: usize,
    /// Float samples that were decoded, deleted ones included.
    pub floats: u64,
    /// Native histogram samples, which are no part of the float samples.
    pub histograms: u64,
    /// Samples that tombstones removed.
    pub deleted: u64,
    /// Samples of lost chunks, where the chunk still said how many.
    pub lost: u64,
    /// Lost chunks that did not say how many.
    pub lost_unknown: u64,
    /// Chunks, samples and bytes by encoding.
    pub encodings: BTreeMap<Encoding, EncodingCount>,
}

/// Chunks of one encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodingCount {
    /// Chunks.
    pub chunks: u64,
    /// Samples in them.
    pub samples: u64,
    /// Bytes of encoding and data.
    pub bytes: u64,
}

impl MemberCount {
    fn add(&mut self, encoding: Encoding, samples: u64, bytes: usize) {
        let of = self.encodings.entry(encoding).or_default();
        of.chunks += 1;
        of.samples += samples;
        of.bytes += bytes as u64;
    }
}

/// How far a load reaches back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only the interval.
    Exact,
    /// Also back to the newest countable sample at or before the interval's start, if there is one.
    WithHistory,
}

/// Everything that a selector finds, loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Series in label order; those without any sample in reach are included, empty.
    pub series: Vec<LoadedSeries>,
    /// The ledger of the selection and of every series.
    pub ledger: Ledger,
}

/// Selects and loads, series in parallel and gathered in label order.
pub fn load_all(source: &Source, selector: &Selector, interval: Interval, reach: Reach) -> Loaded {
    let Selection { series, ledger } = select(source, selector.matchers());
    load_selected(source, &series, ledger, interval, reach)
}

/// Loads series that were selected before.
pub fn load_selected(
    source: &Source,
    series: &[MergedSeries],
    mut ledger: Ledger,
    interval: Interval,
    reach: Reach,
) -> Loaded {
    let series = exclusive_chunks(source, series, &mut ledger);
    let mut loaded = load_exclusive(source, &series, interval, reach);
    if let Err(overdrawn) = &loaded {
        let rest = exclusive::without_blocks(source, &series, overdrawn, &mut ledger);
        loaded = load_exclusive(source, &rest, interval, reach);
    }
    let series = loaded.unwrap_or_default();
    for s in &series {
        ledger.absorb(s.ledger.clone());
    }
    ledger.settle();
    Loaded { series, ledger }
}

/// The series with each chunk in one of them only, for loading them one by one; a chunk that several name is a loss.
pub fn exclusive_chunks<'a>(
    source: &Source,
    series: &'a [MergedSeries],
    ledger: &mut Ledger,
) -> Cow<'a, [MergedSeries]> {
    let shared = exclusive::shared_chunks(source, series);
    if shared.is_empty() {
        return Cow::Borrowed(series);
    }
    Cow::Owned(exclusive::without(source, series, &shared, ledger))
}

/// Loads series in parallel; errs with the blocks whose chunks share bytes.
fn load_exclusive(
    source: &Source,
    series: &[MergedSeries],
    interval: Interval,
    reach: Reach,
) -> Result<Vec<LoadedSeries>, BTreeSet<usize>> {
    let reader = Reader {
        source,
        budget: Budget::of(source),
        wanted: series.iter().map(|s| &s.labels).collect(),
        order: OnceLock::new(),
    };
    let loaded = series.par_iter().map(|s| reader.load(s, interval, reach)).collect();
    let overdrawn = reader.budget.overdrawn();
    if overdrawn.is_empty() { Ok(loaded) } else { Err(overdrawn) }
}

/// Loads one series. Only chunks whose range in the index overlaps what is needed are read; where sources contradict
/// each other the whole series is read, because the rule for conflicts is that of a full read.
pub fn load(source: &Source, series: &MergedSeries, interval: Interval, reach: Reach) -> LoadedSeries {
    let loaded = load_selected(source, std::slice::from_ref(series), Ledger::default(), interval, reach);
    let Loaded { series: mut list, ledger } = loaded;
    let mut one = list.pop().unwrap_or_default();
    one.ledger.losses = ledger.losses;
    one
}

/// One load: the source and what its blocks may still give.
struct Reader<'a> {
    source: &'a Source,
    budget: Budget,
    /// The label sets of this load, and the order of their blocks in a full read, found when a conflict asks for it.
    wanted: Vec<&'a Labels>,
    order: OnceLock<BTreeMap<Labels, Vec<usize>>>,
}

impl Reader<'_> {
    fn load(&self, series: &MergedSeries, interval: Interval, reach: Reach) -> LoadedSeries {
        let mut loaded = LoadedSeries { labels: series.labels.clone(), ..LoadedSeries::default() };
        match self.merge_range(series, interval, &mut loaded) {
            Ok(samples) => loaded.samples = samples,
            Err(Conflicting) => return self.load_conflicting(series, interval, reach),
        }
        if reach == Reach::Exact {
            return loaded;
        }
        // Further back by whole chunks, those that end last first; twice as many at each step, so that a long row of stale
        // markers costs a few steps only.
        let chunks = series.members.iter().flat_map(|m| m.entry.chunks.iter());
        let mut earlier: Vec<Interval> = chunks.map(|c| c.interval()).filter(|c| c.start < interval.start).collect();
        earlier.sort_by_key(|c| (std::cmp::Reverse(c.end), c.start));
        let mut low = interval.start;
        let (mut next, mut step) = (0, 1);
        while next < earlier.len() && !has_countable_at_or_before(&loaded.samples, interval.start) {
            let batch = earlier.iter().skip(next).take(step);
            let start = batch.map(|c| c.start.min(c.end)).min().unwrap_or(low);
            (next, step) = (next + step, step * 2);
            if start >= low {
                continue;
            }
            let range = Interval::new(start, low - 1);
            low = start;
            match self.merge_range(series, range, &mut loaded) {
                Ok(mut samples) => {
                    samples.ts.append(&mut loaded.samples.ts);
                    samples.bits.append(&mut loaded.samples.bits);
                    loaded.samples = samples;
                }
                Err(Conflicting) => return self.load_conflicting(series, interval, reach),
            }
        }
        trim_history(&mut loaded.samples, interval.start);
        loaded
    }

    /// The samples of a series inside `range`, one strictly increasing column pair; errs if sources disagree.
    fn merge_range(
        &self,
        series: &MergedSeries,
        range: Interval,
        loaded: &mut LoadedSeries,
    ) -> Result<Samples, Conflicting> {
        let runs = self.read_runs(series, range, loaded);
        if self.source.roots.len() > 1
            && let Some(t_ms) = interleaved_at(self.source, &runs)
        {
            loaded.ledger.interleaved.push(Conflict { series: series.labels.clone(), t_ms });
        }
        let mut runs: Vec<Samples> = runs.into_iter().map(|(_, s)| s).filter(|s| !s.is_empty()).collect();
        runs.sort_by_key(|s| s.ts.first().copied());
        let disjoint = runs.windows(2).all(|w| matches!(w, [a, b] if a.ts.last() < b.ts.first()));
        if disjoint {
            let mut iter = runs.into_iter();
            let mut all = iter.next().unwrap_or_default();
            for mut run in iter {
                all.ts.append(&mut run.ts);
                all.bits.append(&mut run.bits);
            }
            return Ok(all);
        }
        let union = chain::union(&runs);
        if union.conflicts.is_empty() {
            loaded.ledger.duplicates += union.duplicates;
            return Ok(union.samples);
        }
        Err(Conflicting)
    }

    /// A full read: the order of sources and the choice at every tie are upstream's.
    fn load_conflicting(&self, series: &MergedSeries, interval: Interval, reach: Reach) -> LoadedSeries {
        let mut loaded = LoadedSeries { labels: series.labels.clone(), ..LoadedSeries::default() };
        let mut runs = self.read_runs(series, Interval::ALL, &mut loaded);
        let order = self.order.get_or_init(|| full_read_order(self.source, &self.wanted));
        let rank = |block: usize| {
            order.get(&series.labels).and_then(|o| o.iter().position(|b| *b == block)).unwrap_or(usize::MAX)
        };
        runs.sort_by_key(|(block, _)| rank(*block));
        let runs: Vec<Samples> = runs.into_iter().map(|(_, s)| s).collect();
        let union = chain::union(&runs);
        let served = chain::serve(&runs);
        let mut conflicts: BTreeSet<i64> = union.conflicts.into_iter().collect();
        conflicts.retain(|t| interval.contains(*t));
        loaded.ledger.duplicates += union.duplicates;
        loaded.ledger.conflicts =
            conflicts.into_iter().map(|t_ms| Conflict { series: series.labels.clone(), t_ms }).collect();
        let (lo, hi) = (served.lower_bound(interval.start), served.upper_bound(interval.end));
        let lo = if reach == Reach::WithHistory { 0 } else { lo };
        loaded.samples = Samples {
            ts: served.ts.get(lo..hi).unwrap_or_default().to_vec(),
            bits: served.bits.get(lo..hi).unwrap_or_default().to_vec(),
        };
        if reach == Reach::WithHistory {
            trim_history(&mut loaded.samples, interval.start);
        }
        loaded
    }

    /// Decodes the chunks of every member that overlap `range`, deletions applied, trimmed to `range`. Each result is
    /// strictly increasing; a member whose chunks overlap each other gives several.
    fn read_runs(&self, series: &MergedSeries, range: Interval, loaded: &mut LoadedSeries) -> Vec<(usize, Samples)> {
        let mut runs = Vec::new();
        let mut chunk_samples = Samples::default();
        for member in &series.members {
            let Some(b) = self.source.blocks.get(member.block) else {
                continue;
            };
            let block = &b.block;
            let deleted = block.tombstones.of(member.entry.reference);
            let mut run = Samples::default();
            let mut count = MemberCount { block: member.block, ..MemberCount::default() };
            for chunk in member.entry.chunks.iter().filter(|c| c.interval().overlaps(&range)) {
                if interval_at(deleted, chunk.min_time_ms).is_some_and(|d| d.contains(chunk.max_time_ms)) {
                    loaded.holes.push(chunk.sound_interval());
                    // A server drops such a chunk unread; its header is looked at for the account only.
                    if let Ok(c) = block.chunk(&member.entry, chunk) {
                        let claimed = claimed_samples(Encoding(c.encoding), c.data()).unwrap_or(0);
                        count.deleted += claimed;
                        count.add(Encoding(c.encoding), claimed, c.len + 1);
                    } else {
                        count.lost_unknown += 1;
                    }
                    continue;
                }
                chunk_samples.clear();
                let (outcome, encoding, bytes) =
                    block.decode(&member.entry, chunk, &mut chunk_samples, &mut loaded.ledger);
                let samples = match outcome {
                    ChunkOutcome::Floats(n) => n as u64,
                    ChunkOutcome::Histograms(n) => n,
                    ChunkOutcome::Lost(n) => n.unwrap_or(0),
                };
                if let Some(encoding) = encoding {
                    count.add(encoding, samples, bytes);
                }
                if !self.budget.spend(member.block, samples) {
                    return runs;
                }
                match outcome {
                    ChunkOutcome::Floats(n) => count.floats += n as u64,
                    ChunkOutcome::Histograms(n) => {
                        loaded.holes.push(chunk.sound_interval());
                        count.histograms += n;
                        continue;
                    }
                    ChunkOutcome::Lost(n) => {
                        loaded.holes.push(chunk.sound_interval());
                        count.lost += n.unwrap_or(0);
                        count.lost_unknown += u64::from(n.is_none());
                        continue;
                    }
                }
                let (lo, hi) = (chunk_samples.lower_bound(range.start), chunk_samples.upper_bound(range.end));
                let overlaps = match (run.ts.last(), chunk_samples.ts.get(lo)) {
                    (Some(last), Some(first)) => first <= last,
                    _ => false,
                };
                if overlaps {
                    loaded.ledger.notes.push(format!(
                        "{}: chunks of {} overlap inside the block; they are merged like sources",
                        block.file("index"),
                        series.labels
                    ));
                    runs.push((member.block, std::mem::take(&mut run)));
                }
                let ts = chunk_samples.ts.get(lo..hi).unwrap_or_default();
                let bits = chunk_samples.bits.get(lo..hi).unwrap_or_default();
                if touches_deletion(deleted, chunk.interval()) {
                    let cut = deleted.iter().filter(|d| d.overlaps(&chunk.interval()));
                    loaded.holes.extend(
                        cut.map(|d| Interval::new(d.start.max(chunk.min_time_ms), d.end.min(chunk.max_time_ms))),
                    );
                    for (t, v) in ts.iter().zip(bits) {
                        if is_deleted(deleted, *t) {
                            count.deleted += 1;
                        } else {
                            run.push(*t, *v);
                        }
                    }
                } else {
                    run.ts.extend_from_slice(ts);
                    run.bits.extend_from_slice(bits);
                }
            }
            runs.push((member.block, run));
            loaded.ledger.deleted += count.deleted;
            loaded.members.push(count);
        }
        runs
    }
}

fn has_countable_at_or_before(samples: &Samples, t_ms: i64) -> bool {
    samples.iter().take_while(|(t, _)| *t <= t_ms).any(|(_, bits)| is_countable(bits))
}

/// Drops what lies before the newest countable sample at or before `start`.
fn trim_history(samples: &mut Samples, start: i64) {
    let upto = samples.upper_bound(start);
    let live = samples.iter().take(upto).rposition(|(_, bits)| is_countable(bits));
    if let Some(keep) = live {
        samples.ts.drain(..keep);
        samples.bits.drain(..keep);
    }
}

struct Conflicting;

/// Parts of one server have the same timestamps wherever they cover the same time. The first time at which two merged
/// SOURCEs do not: interleaving two servers would invent counter resets.
fn interleaved_at(source: &Source, runs: &[(usize, Samples)]) -> Option<i64> {
    let origin = |block: usize| source.blocks.get(block).map(|b| b.origin);
    for (i, (block_a, a)) in runs.iter().enumerate() {
        for (block_b, b) in runs.iter().skip(i + 1) {
            if origin(*block_a) == origin(*block_b) {
                continue;
            }
            let (Some(lo), Some(hi)) = (a.ts.first().max(b.ts.first()), a.ts.last().min(b.ts.last())) else {
                continue;
            };
            let inside = |s: &Samples| s.ts.get(s.lower_bound(*lo)..s.upper_bound(*hi)).unwrap_or_default().to_vec();
            if lo > hi {
                continue;
            }
            let (x, y) = (inside(a), inside(b));
            if x != y {
                let differs = x.iter().zip(&y).find(|(p, q)| p != q).map(|(p, q)| *p.min(q));
                return Some(differs.unwrap_or(*hi));
            }
        }
    }
    None
}

/// Deleted intervals are sorted and disjoint, so the one that may hold `t` is found by bisection.
fn interval_at(deleted: &[Interval], t: i64) -> Option<&Interval> {
    deleted.get(deleted.partition_point(|d| d.end < t)).filter(|d| d.contains(t))
}

fn is_deleted(deleted: &[Interval], t: i64) -> bool {
    interval_at(deleted, t).is_some()
}

fn touches_deletion(deleted: &[Interval], chunk: Interval) -> bool {
    deleted.get(deleted.partition_point(|d| d.end < chunk.start)).is_some_and(|d| d.start <= chunk.end)
}
