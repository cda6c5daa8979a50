//! Reading the chunks and logged samples of a series, deletions applied.

use super::{Kinds, LoadedSeries, MemberCount, Reader};
use crate::dataset::SeriesRow;
use crate::dumps::DumpSeries;
use crate::head::HeadSeries;
use crate::loss::Conflict;
use crate::series::{Member, MergedSeries};
use crate::source::{Part, Source, SourceDataset};
use crate::time::Interval;
use crate::tsdb::Block;
use crate::tsdb::block::ChunkOutcome;
use crate::tsdb::chunkenc::{self, Encoding, claimed_samples};
use crate::tsdb::head_chunks::HeadChunk;
use crate::tsdb::index::SeriesEntry;
use crate::tsdb::run::Run;

/// The samples of one part, or of one chunk of it where chunks overlap, in strictly increasing time.
#[derive(Debug)]
pub(super) struct PartRun {
    pub part: Part,
    /// Where the chunk stands among chunks of its part that begin at the same time.
    pub rank: u64,
    /// Whether it is the newest of a head in order, which is open in memory.
    pub open: bool,
    pub run: Run,
}

/// What is read of a series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub range: Interval,
    pub kinds: Kinds,
    /// Whether every chunk of a head stands by itself, deleted samples included: a server chooses among conflicting
    /// samples chunk by chunk, and drops what is deleted from the outcome.
    pub by_chunk: bool,
}

/// All runs of a series.
#[derive(Debug, Default)]
pub(super) struct Runs {
    pub runs: Vec<PartRun>,
    /// The times of native histograms that were not decoded.
    pub passed_over: Vec<Interval>,
}

/// Samples in a chunk that a server cut.
const USUAL: usize = 120;
/// Samples that memory is set aside for before any is read: an index may claim anything.
const MOST_RESERVED: usize = 1 << 16;

/// In-order chunks of a head stand before out-of-order ones that begin at the same time (`tsdb/ooo_head_read.go`).
const LATE: u64 = 1 << 32;

/// Reads what is asked for. A part whose chunks overlap each other gives several runs.
pub(super) fn runs(reader: &Reader<'_>, series: &MergedSeries, ask: Ask, loaded: &mut LoadedSeries) -> Runs {
    let mut out = Runs::default();
    for member in &series.members {
        match member {
            Member::Block { block, entry } => {
                if let Some(b) = reader.source.blocks.get(*block) {
                    PartReader { reader, ask, loaded, out: &mut out }.block(*block, &b.block, entry);
                }
            }
            Member::Head { head, position, .. } => {
                let found = reader.source.heads.get(*head).and_then(|h| h.head.series.get(*position));
                if let Some(s) = found {
                    PartReader { reader, ask, loaded, out: &mut out }.head(*head, *position, s);
                }
            }
            Member::Dataset { dataset, position, .. } => {
                let found = reader.source.datasets.get(*dataset).and_then(|d| d.dataset.series.get(*position));
                if let Some(s) = found {
                    let alone = series.members.len() == 1;
                    PartReader { reader, ask, loaded, out: &mut out }.dataset(*dataset, s, alone);
                }
            }
            Member::Dumps { dumps, position, .. } => {
                if let Some(s) = dumped(reader.source, *dumps, *position) {
                    PartReader { reader, ask, loaded, out: &mut out }.dumps(*dumps, s);
                }
            }
        }
    }
    out
}

/// A series of dumps.
fn dumped(source: &Source, dumps: usize, position: usize) -> Option<&DumpSeries> {
    source.dumps.get(dumps)?.dumps.series.get(position)
}

/// The samples of a series that only logs have, or a dataset's row groups, without reading any: those that a batch of
/// series holds all at once.
pub fn logged(source: &Source, series: &MergedSeries) -> u64 {
    let of = |m: &Member| match m {
        Member::Block { .. } => 0,
        Member::Head { head, position, .. } => {
            let s = source.heads.get(*head).and_then(|h| h.head.series.get(*position));
            s.map_or(0, |s| s.tail.samples() + s.late.samples())
        }
        Member::Dataset { dataset, position, .. } => {
            let s = source.datasets.get(*dataset).and_then(|d| d.dataset.series.get(*position));
            s.map_or(0, |s| s.record.samples + s.record.histograms)
        }
        // They are in memory anyway, and only what is loaded is held once more.
        Member::Dumps { .. } => 0,
    };
    series.members.iter().map(of).sum()
}

/// The most samples that a series may have inside `interval`, roughly, without reading any.
pub fn at_most(source: &Source, series: &MergedSeries, interval: Interval) -> u64 {
    let of = |m: &Member| match m {
        Member::Block { entry, .. } => {
            entry.chunks.iter().filter(|c| c.interval().overlaps(&interval)).count() as u64 * 120
        }
        Member::Head { head, position, .. } => {
            let s = source.heads.get(*head).and_then(|h| h.head.series.get(*position));
            s.map_or(0, |s| {
                let chunks: u64 = s.chunks.iter().chain(&s.late_chunks).map(|c| c.samples).sum();
                chunks + s.tail.samples() + s.late.samples()
            })
        }
        Member::Dataset { dataset, position, .. } => {
            let s = source.datasets.get(*dataset).and_then(|d| d.dataset.series.get(*position));
            s.map_or(0, |s| s.record.samples + s.record.histograms)
        }
        Member::Dumps { dumps, position, .. } => dumped(source, *dumps, *position).map_or(0, |s| s.at_most(interval)),
    };
    series.members.iter().map(of).sum()
}

/// Reading one part of one series.
struct PartReader<'a, 'r> {
    reader: &'a Reader<'r>,
    ask: Ask,
    loaded: &'a mut LoadedSeries,
    out: &'a mut Runs,
}

impl PartReader<'_, '_> {
    fn block(&mut self, at: usize, block: &Block, entry: &SeriesEntry) {
        let part = Part::Block(at);
        let deleted = block.tombstones.of(entry.reference);
        let (mut run, mut chunk_run) = (Run::default(), Run::default());
        let mut count = MemberCount::new(part);
        let range = self.ask.range;
        let asked = || entry.chunks.iter().filter(|c| c.interval().overlaps(&range));
        run.floats.reserve((asked().count() * USUAL).min(MOST_RESERVED));
        for chunk in asked() {
            if interval_at(deleted, chunk.min_time_ms).is_some_and(|d| d.contains(chunk.max_time_ms)) {
                self.loaded.holes.push(chunk.sound_interval());
                // A server drops such a chunk unread; its header is looked at for the account only.
                if let Ok(c) = block.chunk(entry, chunk) {
                    let claimed = claimed_samples(Encoding(c.encoding), c.data()).unwrap_or(0);
                    count.deleted += claimed;
                    count.add(Encoding(c.encoding), claimed, c.len + 1);
                } else {
                    count.lost_unknown += 1;
                }
                continue;
            }
            let wanted = self.ask.kinds == Kinds::All;
            let (outcome, encoding, bytes) =
                block.decode(entry, chunk, wanted, &mut chunk_run, &mut self.loaded.ledger);
            if let Some(encoding) = encoding {
                let samples = match outcome {
                    ChunkOutcome::Floats(n) => n as u64,
                    ChunkOutcome::Histograms(n) => n,
                    ChunkOutcome::Lost(n) => n.unwrap_or(0),
                };
                count.add(encoding, samples, bytes);
                if !self.reader.budget.spend(at, samples) {
                    break;
                }
            }
            match outcome {
                ChunkOutcome::Floats(n) => count.floats += n as u64,
                ChunkOutcome::Histograms(n) => {
                    count.histograms += n;
                    if !wanted {
                        self.out.passed_over.push(chunk.sound_interval());
                        continue;
                    }
                }
                ChunkOutcome::Lost(n) => {
                    self.loaded.holes.push(chunk.sound_interval());
                    count.lost += n.unwrap_or(0);
                    count.lost_unknown += u64::from(n.is_none());
                    continue;
                }
            }
            count.deleted += self.apply_deletions(&mut chunk_run, deleted, chunk.interval(), false);
            let overlaps = match (run.interval(), chunk_run.interval_inside(range)) {
                (Some(before), Some(now)) => now.start <= before.end,
                _ => false,
            };
            if overlaps {
                self.loaded.ledger.notes.push(format!(
                    "{}: chunks of {} overlap inside the block; they are merged like sources",
                    block.file("index"),
                    self.loaded.labels
                ));
                self.out.runs.push(PartRun { part, rank: 0, open: false, run: std::mem::take(&mut run) });
            }
            run.extend(&chunk_run, range);
        }
        self.out.runs.push(PartRun { part, rank: 0, open: false, run });
        self.finish(count);
    }

    fn dataset(&mut self, at: usize, series: &SeriesRow, alone: bool) {
        let Some(SourceDataset { dataset, elsewhere, .. }) = self.reader.source.datasets.get(at) else { return };
        let (part, range, record) = (Part::Dataset(at), self.ask.range, &series.record);
        let mut count = MemberCount::new(part);
        let inside = |i: &&Interval| i.overlaps(&range);
        self.loaded.holes.extend(record.holes.iter().filter(inside));
        self.loaded.holes.extend(dataset.unknown(elsewhere));
        self.loaded.ledger.losses.extend(dataset.outside(range, elsewhere));
        self.loaded.ledger.losses.extend(series.losses.iter().filter(|l| l.touches(&range)).cloned());
        let conflicts = record.conflicts.iter().filter(|t| range.contains(**t));
        let conflict = |t_ms: &i64| Conflict { series: record.labels.clone(), t_ms: *t_ms };
        self.loaded.ledger.conflicts.extend(conflicts.map(conflict));
        let mut run = Run::default();
        for (group, found) in self.reader.groups.of(at, record.id, range) {
            if group.is_histograms() && self.ask.kinds == Kinds::Floats {
                // Only other parts could have a float where this one has a histogram.
                if record.histograms > 0 && !alone {
                    self.out.passed_over.push(group.times);
                }
                continue;
            }
            match found {
                Ok(None) => {}
                Ok(Some(found)) => {
                    let mut inside = Run::default();
                    inside.extend(found, range);
                    count.floats += inside.floats.len() as u64;
                    count.histograms += inside.histograms.len() as u64;
                    run.append(inside);
                }
                Err(loss) => {
                    self.loaded.holes.push(group.times);
                    self.loaded.ledger.losses.push(loss.clone());
                    count.lost_unknown += 1;
                }
            }
        }
        self.out.runs.push(PartRun { part, rank: 0, open: false, run });
        self.finish(count);
    }

    fn dumps(&mut self, at: usize, series: &DumpSeries) {
        let (part, range) = (Part::Dumps(at), self.ask.range);
        let mut count = MemberCount::new(part);
        let run = Run { floats: series.samples(range), histograms: Vec::new() };
        count.floats = run.floats.len() as u64;
        self.out.runs.push(PartRun { part, rank: 0, open: false, run });
        self.finish(count);
    }

    fn head(&mut self, at: usize, position: usize, series: &HeadSeries) {
        let Some(head) = self.reader.source.heads.get(at).map(|h| &h.head) else { return };
        let late_part = if head.rules().late_apart { Part::Late(at) } else { Part::Head(at) };
        let mut count = MemberCount::new(Part::Head(at));
        let in_order = series.chunks.iter().enumerate().map(|(i, c)| (i as u64, Part::Head(at), c));
        let late = series.late_chunks.iter().enumerate().map(|(i, c)| (LATE + i as u64, late_part, c));
        for (rank, part, chunk) in in_order.chain(late) {
            if chunk.interval().overlaps(&self.ask.range) {
                self.head_chunk(head, series, chunk, (part, rank), &mut count);
            }
        }
        let needed = [series.tail.interval, series.late.interval];
        if !needed.into_iter().flatten().any(|i| i.overlaps(&self.ask.range)) {
            return self.finish(count);
        }
        match self.reader.logs.of(at, position) {
            Some(log) => {
                let (cut_tail, cut_late) =
                    (self.is_cut(&[&log.tail]), self.is_cut(&log.late.iter().collect::<Vec<_>>()));
                let tail = if cut_tail { head.tail_chunks(series, log) } else { vec![log.tail.clone()] };
                let late = if cut_late { head.late_chunks(log) } else { log.late.clone() };
                let newest = tail.len();
                for (i, run) in tail.into_iter().enumerate() {
                    let rank = (series.chunks.len() + i) as u64;
                    let run = PartRun { part: Part::Head(at), rank, open: i + 1 == newest, run };
                    self.logged(run, &series.deleted, &mut count);
                }
                for (i, run) in late.into_iter().enumerate() {
                    let rank = LATE + (series.late_chunks.len() + i) as u64;
                    self.logged(PartRun { part: late_part, rank, open: false, run }, &series.deleted, &mut count);
                }
            }
            None => {
                // The log could be read at opening and cannot any more.
                self.loaded.holes.extend(needed.into_iter().flatten());
            }
        }
        self.finish(count);
    }

    fn head_chunk(
        &mut self,
        head: &crate::head::Head,
        series: &HeadSeries,
        chunk: &HeadChunk,
        (part, rank): (Part, u64),
        count: &mut MemberCount,
    ) {
        let wanted = self.ask.kinds == Kinds::All;
        let mut run = Run::default();
        let lost = match head.chunk(series, chunk) {
            Ok(slice) => {
                count.add(chunk.encoding, chunk.samples, slice.len + 1);
                let decoded = chunkenc::decode(&slice, wanted, &mut run);
                decoded.err().map(|f| head.chunk_loss(series, chunk, f.offset, f.error_kind(), f.to_string()))
            }
            Err(loss) => Some(*loss),
        };
        if let Some(loss) = lost {
            count.lost += chunk.samples;
            self.loaded.holes.push(chunk.interval());
            self.loaded.ledger.losses.push(loss);
            return;
        }
        if chunk.encoding.is_histogram() {
            count.histograms += chunk.samples;
            if !wanted {
                self.out.passed_over.push(chunk.interval());
                return;
            }
        } else {
            count.floats += run.floats.len() as u64;
        }
        count.deleted += self.apply_deletions(&mut run, &series.deleted, chunk.interval(), self.ask.by_chunk);
        let mut inside = Run::default();
        inside.extend(&run, self.ask.range);
        self.out.runs.push(PartRun { part, rank, open: false, run: inside });
    }

    /// Whether chunks are made of what a log has. Floats are the same without.
    fn is_cut(&self, runs: &[&Run]) -> bool {
        self.ask.by_chunk || (self.ask.kinds == Kinds::All && runs.iter().any(|r| !r.histograms.is_empty()))
    }

    /// Samples that only a log has.
    fn logged(&mut self, run: PartRun, deleted: &[Interval], count: &mut MemberCount) {
        let mut inside = Run::default();
        inside.extend(&run.run, self.ask.range);
        if let (Kinds::Floats, Some(first), Some(last)) =
            (self.ask.kinds, inside.histograms.first(), inside.histograms.last())
        {
            self.out.passed_over.push(Interval::new(first.t_ms, last.t_ms));
        }
        count.floats += inside.floats.len() as u64;
        count.histograms += inside.histograms.len() as u64;
        count.logged += inside.len() as u64;
        if self.ask.kinds == Kinds::Floats {
            inside.histograms.clear();
        }
        if let Some(interval) = inside.interval() {
            count.deleted += self.apply_deletions(&mut inside, deleted, interval, self.ask.by_chunk);
            self.out.runs.push(PartRun { run: inside, ..run });
        }
    }

    /// Drops deleted samples, or only counts them, and says how many of them lie in the range.
    fn apply_deletions(&mut self, run: &mut Run, deleted: &[Interval], of: Interval, keep: bool) -> u64 {
        if !touches_deletion(deleted, of) {
            return 0;
        }
        let cut = deleted.iter().filter(|d| d.overlaps(&of));
        self.loaded.holes.extend(cut.map(|d| Interval::new(d.start.max(of.start), d.end.min(of.end))));
        let mut inside = Run::default();
        inside.extend(run, self.ask.range);
        if !keep {
            run.retain(|t| !is_deleted(deleted, t));
        }
        let before = inside.len();
        inside.retain(|t| !is_deleted(deleted, t));
        (before - inside.len()) as u64
    }

    fn finish(&mut self, count: MemberCount) {
        self.loaded.ledger.deleted += count.deleted;
        self.loaded.members.push(count);
    }
}

/// Deleted intervals are sorted and disjoint, so the one that may hold `t` is found by bisection.
fn interval_at(deleted: &[Interval], t: i64) -> Option<&Interval> {
    deleted.get(deleted.partition_point(|d| d.end < t)).filter(|d| d.contains(t))
}

/// Whether a time is deleted.
pub(super) fn is_deleted(deleted: &[Interval], t: i64) -> bool {
    interval_at(deleted, t).is_some()
}

fn touches_deletion(deleted: &[Interval], chunk: Interval) -> bool {
    deleted.get(deleted.partition_point(|d| d.end < chunk.start)).is_some_and(|d| d.start <= chunk.end)
}
