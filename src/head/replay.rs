//! Replaying the logs into series (`tsdb/head_wal.go: loadWAL, loadWBL`): which samples a restarted server holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::mapped::{Mapped, join};
use super::rules::ReplayRules;
use super::series::{HeadSeries, LogSamples, Metadata, Outline, Unstored};
use super::units::{Entry, Unit};
use crate::labels::Labels;
use crate::sample::is_stale;
use crate::time::Interval;
use crate::tsdb::chunkenc::Encoding;
use crate::tsdb::chunkenc::histogram::{Counts, HistogramSample, ResetHint};
use crate::tsdb::head_chunks::{HeadChunk, HeadChunkRef, HeadSeriesRef};
use crate::tsdb::run::Run;
use crate::tsdb::tombstones;
use crate::wal::record::{MarkerRecord, SampleRecord, SeriesRecord};

/// References below this have a place in a table; greater ones, which only forged logs have, go through a map.
const DENSE: u64 = 1 << 24;
const NOBODY: u32 = u32::MAX;
/// Scrapes that run side by side may refuse each other's samples when they are stored, after they were logged, but not
/// samples that are as late as this.
const RACE_MS: i64 = 120_000;
/// Samples in an out-of-order buffer before it is flushed (`tsdb/db.go: DefaultOutOfOrderCapMax`).
const LATE_CAPACITY: usize = 32;

/// Samples that the logs hold and the head does not, by why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Records by type.
    pub records: BTreeMap<u8, u64>,
    /// Samples and histograms in them.
    pub samples: u64,
    /// Older than the head: blocks have them.
    pub compacted: u64,
    /// Also in a mapped chunk.
    pub mapped: u64,
    /// Not newer than the sample before: logged, and refused when they were to be stored.
    pub refused: u64,
    /// Of references that no series record explains.
    pub orphans: Outline,
    /// How many such references.
    pub orphan_references: u64,
    /// Removed with their series, which went into a block.
    pub evicted: u64,
    /// Histograms of an unknown schema.
    pub unknown_schema: u64,
    /// Bytes of the records, decompressed.
    pub bytes: u64,
}

/// A series restarted by a second record of it, which drops what was replayed before.
#[derive(Debug, Clone)]
pub(super) struct Restart {
    pub labels: Labels,
    pub dropped: Outline,
}

/// One reference that stands for two label sets.
#[derive(Debug, Clone)]
pub(super) struct Clash {
    pub reference: HeadSeriesRef,
    pub labels: [Labels; 2],
}

/// What becomes of a logged sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The head holds it.
    Stored,
    /// It is older than the head: a block should have it.
    Compacted,
    /// A mapped chunk holds it, too.
    Mapped,
    /// It was refused when it was to be stored: not newer than the one before, or its time was there already.
    Refused,
    /// No series record says whose it is.
    Orphan,
    /// A second record of its series dropped it.
    Dropped,
    /// Its series was evicted into a block.
    Evicted,
    /// A server does not come to it, because of damage before it.
    Unreached,
}

impl Fate {
    /// The word for it in reports.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Stored => "stored",
            Fate::Compacted => "compacted",
            Fate::Mapped => "mapped",
            Fate::Refused => "refused",
            Fate::Orphan => "orphan",
            Fate::Dropped => "dropped",
            Fate::Evicted => "evicted",
            Fate::Unreached => "unreached",
        }
    }
}

/// A sample as it stands in a log.
#[derive(Debug, Clone)]
pub enum Logged {
    /// A float.
    Float {
        /// Milliseconds since the epoch.
        t_ms: i64,
        /// Its value.
        bits: u64,
        /// When counting started, in milliseconds; 0 where that is not known.
        start_ms: i64,
    },
    /// A native histogram.
    Histogram(HistogramSample),
}

impl Logged {
    #[inline]
    fn of(sample: &SampleRecord) -> Logged {
        Logged::Float { t_ms: sample.t_ms, bits: sample.bits, start_ms: sample.start_ms }
    }
}

/// A logged sample, where it stands and what becomes of it.
#[derive(Debug, Clone)]
pub(super) struct LoggedRow {
    pub reference: HeadSeriesRef,
    /// Position of the file in reading order.
    pub file: usize,
    /// Where its record begins.
    pub offset: u64,
    pub fate: Fate,
    pub value: Logged,
}

/// Where the replay is, and what it cannot attribute.
#[derive(Debug, Default)]
struct Trace {
    file: usize,
    offset: u64,
    orphans: Vec<LoggedRow>,
}

/// Late samples that went into a chunk, as the log says, which is not there.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    pub chunk: HeadChunkRef,
    pub labels: Labels,
    pub samples: Outline,
}

/// The state of a replay.
pub(super) struct Replay<'a> {
    rules: ReplayRules,
    cutoff: i64,
    mapped: &'a Mapped,
    keep: &'a (dyn Fn(&Labels) -> bool + Sync),
    /// The place of a reference's series, aliases resolved; a cache of `by_reference` and `aliases`.
    dense: Vec<u32>,
    sparse: HashMap<u64, u32>,
    by_reference: HashMap<u64, u32>,
    aliases: HashMap<u64, u64>,
    by_labels: HashMap<Labels, u32>,
    series: Vec<State>,
    orphans: BTreeSet<u64>,
    late_orphans: BTreeSet<u64>,
    /// The in-order log.
    pub account: Account,
    /// The out-of-order log.
    pub late_account: Account,
    pub restarts: Vec<Restart>,
    pub clashes: Vec<Clash>,
    pub gone: Vec<Gone>,
    /// First and last time in order, and out of order (`Head.MinTime`, `Head.MinOOOTime`).
    pub times: Option<Interval>,
    pub late_times: Option<Interval>,
    /// Samples in segments that a server does not come to.
    unreached: u64,
    /// Whether another release would replay these logs to something else.
    pub depends_on_release: bool,
    /// Every logged sample of kept series and of references that nobody explains, where that was asked for.
    trace: Option<Trace>,
}

/// A series being replayed. What every sample looks at comes first.
struct State {
    /// The newest sample: later ones must be newer.
    newest: i64,
    mapped_until: i64,
    /// The newest sample that was logged, whether or not it counts.
    logged_until: i64,
    tail: Outline,
    kept: bool,
    kind: Kind,
    samples: Run,
    reference: HeadSeriesRef,
    labels: Labels,
    odd_labels: bool,
    chunks: Vec<HeadChunk>,
    late_chunks: Vec<HeadChunk>,
    /// Out-of-order buffers; the last one is open if `late_open`.
    late_runs: Vec<Run>,
    late_times: Vec<i64>,
    late_open: bool,
    late: Outline,
    /// Counts of the buffers, for clearing the open one.
    late_open_outline: Outline,
    deleted: Vec<Interval>,
    metadata: Option<Metadata>,
    unstored: Vec<Unstored>,
    gone: bool,
    /// The newest sample when a chunk snapshot was made.
    snapshot_until: Option<i64>,
    /// What the logs say of it, where that is written down; those of the open out-of-order buffer begin at `late_rows_from`.
    rows: Vec<LoggedRow>,
    late_rows_from: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Int,
    FloatHistogram,
}

impl Kind {
    fn of(encoding: Encoding) -> Kind {
        match encoding {
            Encoding::HISTOGRAM | Encoding::HISTOGRAM_ST => Kind::Int,
            Encoding::FLOAT_HISTOGRAM | Encoding::FLOAT_HISTOGRAM_ST => Kind::FloatHistogram,
            _ => Kind::Float,
        }
    }
}

impl<'a> Replay<'a> {
    /// An empty head behind `cutoff`, with the chunks that are mapped.
    pub(super) fn new(
        rules: ReplayRules,
        cutoff: i64,
        mapped: &'a Mapped,
        keep: &'a (dyn Fn(&Labels) -> bool + Sync),
    ) -> Replay<'a> {
        Replay {
            rules,
            cutoff,
            mapped,
            keep,
            dense: Vec::new(),
            sparse: HashMap::new(),
            by_reference: HashMap::new(),
            aliases: HashMap::new(),
            by_labels: HashMap::new(),
            series: Vec::new(),
            orphans: BTreeSet::new(),
            late_orphans: BTreeSet::new(),
            account: Account::default(),
            late_account: Account::default(),
            restarts: Vec::new(),
            clashes: Vec::new(),
            gone: Vec::new(),
            times: None,
            late_times: None,
            unreached: 0,
            depends_on_release: false,
            trace: None,
        }
    }

    /// Also writes down every logged sample and what becomes of it.
    pub(super) fn tracing(mut self) -> Replay<'a> {
        self.trace = Some(Trace::default());
        self
    }

    /// Names the file whose records come next.
    pub(super) fn reads(&mut self, file: usize) {
        if let Some(trace) = &mut self.trace {
            trace.file = file;
        }
    }

    /// Applies records of the write-ahead log.
    pub(super) fn apply(&mut self, unit: Unit) {
        for read in unit.records {
            *self.account.records.entry(read.kind).or_default() += 1;
            self.account.bytes += read.len;
            self.at_record(read.offset);
            match read.entry {
                Entry::Series(list) => list.into_iter().for_each(|s| self.define(s)),
                Entry::Samples(range) => {
                    self.account.samples += range.len() as u64;
                    for s in unit.samples.get(range).unwrap_or_default() {
                        let fate = self.sample(*s);
                        self.note(s.reference, fate, Logged::of(s));
                    }
                }
                Entry::Histograms(list, skipped) => {
                    self.account.samples += list.len() as u64 + skipped;
                    self.account.unknown_schema += skipped;
                    for h in list {
                        let traced = self.trace.is_some().then(|| h.sample.clone());
                        let fate = self.histogram(h.reference, h.sample);
                        if let Some(sample) = traced {
                            self.note(h.reference, fate, Logged::Histogram(sample));
                        }
                    }
                }
                Entry::Tombstones(list) => list.into_iter().for_each(|d| self.delete(d.reference, d.interval)),
                Entry::Metadata(list) => {
                    for m in list {
                        let at = self.place(m.reference.0);
                        if let Some(s) = self.series.get_mut(at as usize) {
                            s.metadata = Some(Metadata { kind: m.kind, unit: m.unit.into(), help: m.help.into() });
                        }
                    }
                }
                Entry::Markers(_) | Entry::MinValidTime(_) | Entry::Other => {}
                Entry::Foreign | Entry::Unknown => {}
            }
        }
    }

    /// Applies records of the out-of-order log. No cutoff holds for them.
    pub(super) fn apply_late(&mut self, unit: Unit) {
        for read in unit.records {
            *self.late_account.records.entry(read.kind).or_default() += 1;
            self.late_account.bytes += read.len;
            self.at_record(read.offset);
            match read.entry {
                Entry::Samples(range) => {
                    self.late_account.samples += range.len() as u64;
                    for s in unit.samples.get(range).unwrap_or_default() {
                        let fate = self.late_sample(s.reference, s.t_ms, false, |run| {
                            run.insert_float(s.t_ms, s.bits, s.start_ms)
                        });
                        self.note(s.reference, fate, Logged::of(s));
                    }
                }
                Entry::Histograms(list, skipped) => {
                    self.late_account.samples += list.len() as u64 + skipped;
                    self.late_account.unknown_schema += skipped;
                    for h in list {
                        let t = h.sample.t_ms;
                        let traced = self.trace.is_some().then(|| h.sample.clone());
                        let fate = self.late_sample(h.reference, t, true, |run| run.insert_histogram(h.sample));
                        if let Some(sample) = traced {
                            self.note(h.reference, fate, Logged::Histogram(sample));
                        }
                    }
                }
                Entry::Markers(list) => list.into_iter().for_each(|m| self.marker(m)),
                _ => {}
            }
        }
    }

    /// Only counts and writes down what a log holds that a server does not come to.
    pub(super) fn pass_over(&mut self, unit: Unit) {
        for read in unit.records {
            self.at_record(read.offset);
            match read.entry {
                Entry::Samples(range) => {
                    self.unreached += range.len() as u64;
                    for s in unit.samples.get(range).unwrap_or_default() {
                        self.note(s.reference, Fate::Unreached, Logged::of(s));
                    }
                }
                Entry::Histograms(list, skipped) => {
                    self.unreached += list.len() as u64 + skipped;
                    for h in list {
                        self.note(h.reference, Fate::Unreached, Logged::Histogram(h.sample));
                    }
                }
                _ => {}
            }
        }
    }

    /// A `min_valid_time` record, the first of a checkpoint: nothing before it is in the head.
    pub(super) fn raise_cutoff(&mut self, t_ms: i64) {
        if t_ms > self.cutoff {
            self.depends_on_release = true;
            if self.rules.min_valid_time {
                self.cutoff = t_ms;
            }
        }
    }

    /// The server stopped here and wrote its open chunks into a snapshot.
    pub(super) fn mark_snapshot(&mut self) {
        for s in &mut self.series {
            s.snapshot_until = Some(s.newest);
        }
    }

    /// Since when samples count.
    pub(super) fn cutoff(&self) -> i64 {
        self.cutoff
    }

    #[inline]
    fn place(&self, reference: u64) -> u32 {
        match self.dense.get(reference as usize) {
            Some(at) if reference < DENSE => *at,
            _ => self.sparse.get(&reference).copied().unwrap_or(NOBODY),
        }
    }

    /// Brings the cache up to date for one reference.
    fn cache(&mut self, reference: u64) {
        let target = self.aliases.get(&reference).copied().unwrap_or(reference);
        let at = self.by_reference.get(&target).copied().unwrap_or(NOBODY);
        if reference < DENSE {
            let index = reference as usize;
            if self.dense.len() <= index {
                self.dense.resize((index + 1).next_power_of_two().max(1024), NOBODY);
            }
            if let Some(slot) = self.dense.get_mut(index) {
                *slot = at;
            }
        } else {
            self.sparse.insert(reference, at);
        }
    }

    fn define(&mut self, record: SeriesRecord) {
        let reference = record.reference;
        let existing = self.by_labels.get(&record.labels).copied();
        let at = match existing {
            Some(at) => {
                if let Some(s) = self.series.get(at as usize) {
                    self.aliases.insert(reference.0, s.reference.0);
                }
                at
            }
            None => {
                let at = self.series.len() as u32;
                let kept = (self.keep)(&record.labels);
                self.series.push(State::new(reference, record.labels.clone(), record.odd_labels, kept));
                if let Some(other) = self.by_reference.insert(reference.0, at)
                    && let Some(other) = self.series.get(other as usize)
                    && !other.gone
                {
                    let labels = [other.labels.clone(), record.labels.clone()];
                    self.clashes.push(Clash { reference, labels });
                }
                self.by_labels.insert(record.labels, at);
                at
            }
        };
        self.cache(reference.0);
        self.restart(at, reference);
    }

    /// Every record of a series restarts it (`resetSeriesWithMMappedChunks`).
    fn restart(&mut self, at: u32, reference: HeadSeriesRef) {
        let of = |map: &'a BTreeMap<HeadSeriesRef, Vec<HeadChunk>>| map.get(&reference).map_or(&[][..], Vec::as_slice);
        let (chunks, late) = (of(&self.mapped.in_order), of(&self.mapped.late));
        let rules = self.rules;
        let Some(s) = self.series.get_mut(at as usize) else { return };
        if !s.chunks.is_empty() || !s.late_chunks.is_empty() {
            self.depends_on_release = true;
        }
        if rules.joins_chunks {
            s.chunks = join(&s.chunks, chunks, false);
            s.late_chunks = join(&s.late_chunks, late, true);
        } else {
            s.chunks = chunks.to_vec();
            s.late_chunks = late.to_vec();
        }
        s.mapped_until = s.chunks.last().map_or(i64::MIN, |c| c.max_time_ms);
        s.newest = s.mapped_until;
        s.kind = s.chunks.last().map_or(Kind::Float, |c| Kind::of(c.encoding));
        if s.tail.samples() > 0 {
            let dropped = std::mem::take(&mut s.tail);
            if dropped.interval.is_some_and(|i| i.end > s.mapped_until) {
                self.restarts.push(Restart { labels: s.labels.clone(), dropped });
            }
        }
        s.samples = Run::default();
        s.rows.iter_mut().filter(|r| r.fate == Fate::Stored).for_each(|r| r.fate = Fate::Dropped);
        for c in s.chunks.first().into_iter().chain(s.chunks.last()) {
            self.times = Interval::joined(self.times, Some(c.interval()));
        }
        for c in &s.late_chunks {
            self.late_times = Interval::joined(self.late_times, Some(c.interval()));
        }
    }

    fn at_record(&mut self, offset: u64) {
        if let Some(trace) = &mut self.trace {
            trace.offset = offset;
        }
    }

    /// Writes down what became of a logged sample, where that is wanted.
    #[inline]
    fn note(&mut self, reference: HeadSeriesRef, fate: Fate, value: Logged) {
        if self.trace.is_none() {
            return;
        }
        let place = self.place(reference.0);
        let Some(trace) = &mut self.trace else { return };
        let row = LoggedRow { reference, file: trace.file, offset: trace.offset, fate, value };
        match self.series.get_mut(place as usize) {
            Some(s) if s.kept => s.rows.push(row),
            Some(_) => {}
            None => trace.orphans.push(row),
        }
    }

    #[inline]
    fn sample(&mut self, sample: SampleRecord) -> Fate {
        let SampleRecord { reference, t_ms, start_ms, bits } = sample;
        if t_ms < self.cutoff {
            self.account.compacted += 1;
            return Fate::Compacted;
        }
        let at = self.place(reference.0);
        let Some(s) = self.series.get_mut(at as usize) else {
            self.account.orphans.add(t_ms, false);
            self.orphans.insert(reference.0);
            return Fate::Orphan;
        };
        s.logged(t_ms, false);
        if t_ms <= s.newest {
            if t_ms <= s.mapped_until {
                self.account.mapped += 1;
                return Fate::Mapped;
            }
            self.account.refused += 1;
            self.times = Interval::joined(self.times, Some(Interval::new(t_ms, t_ms)));
            return Fate::Refused;
        }
        if s.kind != Kind::Float {
            if is_stale(bits) {
                self.depends_on_release = true;
                if self.rules.stale_follows_kind {
                    let marker = stale_histogram(s.kind, t_ms, start_ms, bits);
                    return self.histogram(reference, marker);
                }
            }
            s.kind = Kind::Float;
        }
        s.newest = t_ms;
        s.tail.add(t_ms, false);
        self.times = Interval::joined(self.times, Some(Interval::new(t_ms, t_ms)));
        if s.kept {
            s.samples.floats.push_with_start(t_ms, bits, start_ms);
        }
        Fate::Stored
    }

    fn histogram(&mut self, reference: HeadSeriesRef, sample: HistogramSample) -> Fate {
        let t_ms = sample.t_ms;
        if t_ms < self.cutoff {
            self.account.compacted += 1;
            return Fate::Compacted;
        }
        let at = self.place(reference.0);
        let Some(s) = self.series.get_mut(at as usize) else {
            self.account.orphans.add(t_ms, true);
            self.orphans.insert(reference.0);
            return Fate::Orphan;
        };
        s.logged(t_ms, true);
        if t_ms <= s.mapped_until {
            self.account.mapped += 1;
            return Fate::Mapped;
        }
        self.times = Interval::joined(self.times, Some(Interval::new(t_ms, t_ms)));
        if t_ms <= s.newest {
            self.account.refused += 1;
            return Fate::Refused;
        }
        s.kind = match sample.counts {
            Counts::Int { .. } => Kind::Int,
            Counts::Float { .. } => Kind::FloatHistogram,
        };
        s.newest = t_ms;
        s.tail.add(t_ms, true);
        if s.kept {
            s.samples.histograms.push(sample);
        }
        Fate::Stored
    }

    fn delete(&mut self, reference: HeadSeriesRef, interval: Interval) {
        if interval == Interval::ALL {
            self.depends_on_release = true;
            if self.rules.evicts {
                return self.evict(reference);
            }
        }
        if interval.end < self.cutoff {
            return;
        }
        let at = self.place(reference.0);
        if let Some(s) = self.series.get_mut(at as usize) {
            s.deleted.push(interval);
        }
    }

    /// The whole series went into a block of its own; a later record of it starts a fresh one.
    fn evict(&mut self, reference: HeadSeriesRef) {
        let target = self.aliases.get(&reference.0).copied().unwrap_or(reference.0);
        let Some(at) = self.by_reference.remove(&target) else { return };
        let Some(s) = self.series.get_mut(at as usize) else { return };
        if self.by_labels.get(&s.labels) == Some(&at) {
            self.by_labels.remove(&s.labels);
        }
        self.account.evicted += s.tail.samples();
        let (reference, labels, kept) = (s.reference, s.labels.clone(), s.kept);
        let mut rows = std::mem::take(&mut s.rows);
        rows.iter_mut().filter(|r| r.fate == Fate::Stored).for_each(|r| r.fate = Fate::Evicted);
        *s = State { gone: true, rows, ..State::new(reference, labels, false, kept) };
        let stale: Vec<u64> = self.aliases.iter().filter(|(_, t)| **t == target).map(|(r, _)| *r).collect();
        for r in stale.into_iter().chain([target]) {
            self.cache(r);
        }
    }

    fn late_sample(
        &mut self,
        reference: HeadSeriesRef,
        t_ms: i64,
        histogram: bool,
        insert: impl FnOnce(&mut Run),
    ) -> Fate {
        let at = self.place(reference.0);
        let Some(s) = self.series.get_mut(at as usize) else {
            self.late_account.orphans.add(t_ms, histogram);
            self.late_orphans.insert(reference.0);
            return Fate::Orphan;
        };
        if !s.late_open || s.late_times.len() >= LATE_CAPACITY {
            s.late_times.clear();
            s.late_open = true;
            s.late_open_outline = Outline::default();
            s.late_rows_from = s.rows.len();
            if s.kept {
                s.late_runs.push(Run::default());
            }
        }
        let Err(position) = s.late_times.binary_search(&t_ms) else {
            self.late_account.refused += 1;
            return Fate::Refused;
        };
        s.late_times.insert(position, t_ms);
        s.late.add(t_ms, histogram);
        s.late_open_outline.add(t_ms, histogram);
        self.late_times = Interval::joined(self.late_times, Some(Interval::new(t_ms, t_ms)));
        if s.kept
            && let Some(run) = s.late_runs.last_mut()
        {
            insert(run);
        }
        Fate::Stored
    }

    /// Everything of the series up to here was flushed into a chunk; if that chunk is on disk, the buffer goes.
    fn marker(&mut self, marker: MarkerRecord) {
        if marker.chunk > self.mapped.last {
            return;
        }
        let at = self.place(marker.reference.0);
        let Some(s) = self.series.get_mut(at as usize) else {
            self.late_orphans.insert(marker.reference.0);
            return;
        };
        let of = |chunks: &BTreeMap<HeadSeriesRef, Vec<HeadChunk>>| {
            let list = chunks.get(&marker.reference).map_or(&[][..], Vec::as_slice);
            let found = list.binary_search_by_key(&marker.chunk, |c| c.reference).ok().and_then(|at| list.get(at));
            // Another chunk may lie where the one was.
            found
                .is_some_and(|c| s.late_open_outline.interval.is_none_or(|i| !s.late_open || i.overlaps(&c.interval())))
        };
        let there = marker.chunk == HeadChunkRef::default()
            || of(&self.mapped.late)
            || self.mapped.unknown.iter().any(|c| c.reference == marker.chunk);
        if !there {
            let samples = if s.late_open { s.late_open_outline } else { Outline::default() };
            self.gone.push(Gone { chunk: marker.chunk, labels: s.labels.clone(), samples });
        }
        if !s.late_open {
            return;
        }
        s.late_open = false;
        let flushed = std::mem::take(&mut s.late_open_outline);
        self.late_account.mapped += flushed.samples();
        s.late.floats -= flushed.floats;
        s.late.histograms -= flushed.histograms;
        if s.late.samples() == 0 {
            s.late.interval = None;
        }
        s.late_times.clear();
        if s.kept {
            s.late_runs.pop();
        }
        let flushed = s.rows.iter_mut().skip(s.late_rows_from);
        flushed.filter(|r| r.fate == Fate::Stored).for_each(|r| r.fate = Fate::Mapped);
    }

    /// Every logged sample of the kept series, label set by label set, and of references that nobody explains; and whose
    /// each reference is.
    pub(super) fn into_rows(self) -> (Vec<(Labels, LoggedRow)>, BTreeMap<HeadSeriesRef, Labels>) {
        let mut owners = BTreeMap::new();
        for (reference, at) in &self.by_reference {
            if let Some(s) = self.series.get(*at as usize) {
                owners.insert(HeadSeriesRef(*reference), s.labels.clone());
            }
        }
        for (alias, target) in &self.aliases {
            let at = self.by_reference.get(target).copied().unwrap_or(NOBODY);
            if let Some(s) = self.series.get(at as usize) {
                owners.insert(HeadSeriesRef(*alias), s.labels.clone());
            }
        }
        let mut rows = Vec::new();
        for s in self.series {
            rows.extend(s.rows.into_iter().map(|r| (s.labels.clone(), r)));
        }
        let orphans = self.trace.map(|t| t.orphans).unwrap_or_default();
        rows.extend(orphans.into_iter().map(|r| (Labels::default(), r)));
        (rows, owners)
    }

    /// The series that a server keeps, by reference, and the samples of those that were asked for.
    pub(super) fn finish(mut self) -> Replayed {
        self.account.orphan_references = self.orphans.len() as u64;
        self.late_account.orphan_references = self.late_orphans.len() as u64;
        let clashing: BTreeSet<Labels> = self.clashes.iter().flat_map(|c| c.labels.iter().cloned()).collect();
        let behind = |s: &State| s.chunks.last().is_some_and(|c| c.max_time_ms > s.logged_until.max(self.cutoff));
        let unlogged = self.series.iter().filter(|s| behind(s)).count() as u64;
        let mut ambiguous = Vec::new();
        let mut series: Vec<(HeadSeries, Option<LogSamples>)> = Vec::new();
        for s in self.series {
            let samples =
                s.kept.then_some(LogSamples { tail: s.samples, late: s.late_runs, cut_behind: s.snapshot_until });
            let one = HeadSeries {
                reference: s.reference,
                labels: s.labels,
                odd_labels: s.odd_labels,
                chunks: s.chunks,
                late_chunks: s.late_chunks,
                tail: s.tail,
                late: s.late,
                deleted: tombstones::merged(s.deleted),
                metadata: s.metadata,
                unstored: s.unstored,
            };
            if one.is_empty() {
                continue;
            }
            if clashing.contains(&one.labels) {
                ambiguous.push(one);
            } else {
                series.push((one, samples));
            }
        }
        series.sort_by_key(|(s, _)| s.reference);
        let (series, samples): (Vec<_>, Vec<_>) = series.into_iter().unzip();
        Replayed {
            series,
            samples,
            ambiguous,
            account: self.account,
            late_account: self.late_account,
            restarts: self.restarts,
            clashes: self.clashes,
            gone: self.gone,
            unlogged,
            unreached: self.unreached,
            times: self.times,
            late_times: self.late_times,
            cutoff: self.cutoff,
            depends_on_release: self.depends_on_release,
        }
    }
}

/// What a replay gives.
#[derive(Debug)]
pub(super) struct Replayed {
    /// By reference.
    pub series: Vec<HeadSeries>,
    /// For each of them, if it was asked for.
    pub samples: Vec<Option<LogSamples>>,
    /// Series of references that stand for several label sets; nothing tells whose samples they are.
    pub ambiguous: Vec<HeadSeries>,
    pub account: Account,
    pub late_account: Account,
    pub restarts: Vec<Restart>,
    pub clashes: Vec<Clash>,
    pub gone: Vec<Gone>,
    /// Series with mapped chunks that end behind everything that was logged of them.
    pub unlogged: u64,
    /// Samples in segments that a server does not come to.
    pub unreached: u64,
    pub times: Option<Interval>,
    pub late_times: Option<Interval>,
    pub cutoff: i64,
    pub depends_on_release: bool,
}

impl State {
    /// Keeps what was late when it was logged, and what is in no chunk although chunks go on behind it.
    #[inline]
    fn logged(&mut self, t_ms: i64, histogram: bool) {
        let late_by = self.logged_until.saturating_sub(t_ms);
        let in_a_chunk = || {
            let at = self.chunks.partition_point(|c| c.max_time_ms < t_ms);
            self.chunks.get(at).is_some_and(|c| c.min_time_ms <= t_ms)
        };
        let unmapped = t_ms <= self.mapped_until && !in_a_chunk();
        if late_by > 0 || unmapped {
            self.unstored.push(Unstored { t_ms, histogram, raced: late_by <= RACE_MS && !unmapped });
        }
        self.logged_until = self.logged_until.max(t_ms);
    }

    fn new(reference: HeadSeriesRef, labels: Labels, odd_labels: bool, kept: bool) -> State {
        State {
            newest: i64::MIN,
            mapped_until: i64::MIN,
            logged_until: i64::MIN,
            tail: Outline::default(),
            kept,
            kind: Kind::Float,
            samples: Run::default(),
            reference,
            labels,
            odd_labels,
            chunks: Vec::new(),
            late_chunks: Vec::new(),
            late_runs: Vec::new(),
            late_times: Vec::new(),
            late_open: false,
            late: Outline::default(),
            late_open_outline: Outline::default(),
            deleted: Vec::new(),
            metadata: None,
            unstored: Vec::new(),
            gone: false,
            snapshot_until: None,
            rows: Vec::new(),
            late_rows_from: 0,
        }
    }
}

/// The marker that a series of histograms ends with.
fn stale_histogram(kind: Kind, t_ms: i64, start_ms: i64, bits: u64) -> HistogramSample {
    let counts = match kind {
        Kind::FloatHistogram => Counts::Float { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() },
        Kind::Int | Kind::Float => Counts::Int { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() },
    };
    HistogramSample { t_ms, start_ms, sum: bits, hint: ResetHint::Unknown, layout: Default::default(), counts }
}
