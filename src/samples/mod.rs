//! What was measured: decoding the chunks of a series, applying deletions, merging its parts.

mod chain;
mod exclusive;
mod groups;
mod logs;
mod physical;
mod read;
mod unstored;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::labels::Labels;
use crate::loss::{Conflict, Ledger};
use crate::sample::{Samples, is_countable};
use crate::selector::Selector;
use crate::series::{Member, MergedSeries, Selection, full_read_order, select};
use crate::source::{Part, Source};
use crate::time::Interval;
use crate::tsdb::chunkenc::Encoding;
use crate::tsdb::chunkenc::histogram::{HistogramSample, ResetHint};
use crate::tsdb::run::Run;
use exclusive::Budget;
use groups::Groups;
use logs::Logs;

pub use exclusive::losses as overdrawn_losses;
pub use read::{at_most, logged};

pub use physical::{PhysicalSeries, physical, physical_beside_blocks, physical_labels};

/// A series with its samples inside some interval, merged from all parts, deletions applied.
#[derive(Debug, Clone, Default)]
pub struct LoadedSeries {
    /// The identity.
    pub labels: Labels,
    /// Floats, strictly increasing in time. May begin before the interval that was asked for.
    pub samples: Samples,
    /// Native histograms, strictly increasing in time; empty unless they were asked for.
    pub histograms: Vec<HistogramSample>,
    /// The reference in the head, where a head has the series: the order of sums that a head serves alone.
    pub head_reference: Option<u64>,
    /// What became of the chunks that were touched, by part.
    pub members: Vec<MemberCount>,
    /// Times at which samples may be missing: lost chunks and deletions. That the series is not seen there proves nothing.
    pub holes: Vec<Interval>,
    /// What was lost, deleted, doubled or contradicted.
    pub ledger: Ledger,
}

/// What became of the samples of one series in one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberCount {
    /// The part; [`Part::Head`] also for the out-of-order samples of a head.
    pub part: Part,
    /// Float samples that were read, deleted ones included.
    pub floats: u64,
    /// Native histogram samples, which are no part of the float samples.
    pub histograms: u64,
    /// Samples that only the logs of a head have; they count among floats and histograms, too.
    pub logged: u64,
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
    /// Nothing yet.
    pub fn new(part: Part) -> MemberCount {
        MemberCount {
            part,
            floats: 0,
            histograms: 0,
            logged: 0,
            deleted: 0,
            lost: 0,
            lost_unknown: 0,
            encodings: BTreeMap::new(),
        }
    }

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

/// Which samples are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// Floats; native histograms are counted only.
    Floats,
    /// Floats and native histograms.
    All,
}

/// Everything that a selector finds, loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Series in label order; those without any sample in reach are included, empty.
    pub series: Vec<LoadedSeries>,
    /// The ledger of the selection and of every series.
    pub ledger: Ledger,
}

/// Selects and loads floats, series in parallel and gathered in label order.
pub fn load_all(source: &Source, selector: &Selector, interval: Interval, reach: Reach) -> Loaded {
    let Selection { series, ledger } = select(source, selector.matchers());
    load_selected(source, &series, ledger, interval, reach)
}

/// Loads the floats of series that were selected before.
pub fn load_selected(
    source: &Source,
    series: &[MergedSeries],
    ledger: Ledger,
    interval: Interval,
    reach: Reach,
) -> Loaded {
    load_kinds(source, series, ledger, interval, reach, Kinds::Floats)
}

/// Loads series that were selected before.
pub fn load_kinds(
    source: &Source,
    series: &[MergedSeries],
    mut ledger: Ledger,
    interval: Interval,
    reach: Reach,
    kinds: Kinds,
) -> Loaded {
    let series = exclusive_chunks(source, series, &mut ledger);
    let sweep = Sweep::new(source, kinds);
    let mut loaded = sweep.batch(&series, interval, reach, &mut ledger).load_all();
    let overdrawn = sweep.overdrawn();
    if !overdrawn.is_empty() {
        let rest = exclusive::without_blocks(source, &series, &overdrawn, &mut ledger);
        loaded = Sweep::new(source, kinds).batch(&rest, interval, reach, &mut ledger).load_all();
    }
    for s in &loaded {
        ledger.absorb(s.ledger.clone());
    }
    ledger.settle();
    Loaded { series: loaded, ledger }
}

/// The series with each chunk in one of them only, for loading them in batches; a chunk that several name is a loss.
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

/// Samples that are held at once by those who go through everything: 16 bytes each.
pub const BATCH: u64 = 1 << 24;

/// Loads all of the series in batches of bounded size, in order, and hands each batch on with the position of its first
/// series. The logs of a head are read once per batch, so batches are as large as [`BATCH`] allows and not smaller.
pub fn load_in_batches<E>(
    source: &Source,
    series: &[MergedSeries],
    interval: Interval,
    kinds: Kinds,
    mut visit: impl FnMut(usize, Loaded) -> Result<(), E>,
) -> Result<(), E> {
    let mut from = 0;
    while from < series.len() {
        let (mut to, mut samples) = (from, 0u64);
        while let Some(s) = series.get(to)
            && (to == from || samples < BATCH)
        {
            samples = samples.saturating_add(read::at_most(source, s, interval));
            to += 1;
        }
        let batch = series.get(from..to).unwrap_or_default();
        visit(from, load_kinds(source, batch, Ledger::default(), interval, Reach::Exact, kinds))?;
        from = to;
    }
    Ok(())
}

/// Loading many series of a source, batch after batch.
pub struct Sweep<'a> {
    source: &'a Source,
    kinds: Kinds,
    budget: Budget,
}

impl<'a> Sweep<'a> {
    /// Begins with nothing loaded.
    pub fn new(source: &'a Source, kinds: Kinds) -> Sweep<'a> {
        Sweep { source, kinds, budget: Budget::of(source) }
    }

    /// Prepares to load `series`, whose chunks are each in one of them only: reads what their logs have. `interval` is where
    /// their samples will be asked for.
    pub fn batch<'b>(
        &'b self,
        series: &'b [MergedSeries],
        interval: Interval,
        reach: Reach,
        ledger: &mut Ledger,
    ) -> Batch<'b> {
        let logs = Logs::fetch(self.source, series, interval, reach, ledger);
        let groups = Groups::open(self.source, series, interval, self.kinds);
        let wanted = series.iter().map(|s| &s.labels).collect();
        let reader = Reader {
            source: self.source,
            logs,
            groups,
            kinds: self.kinds,
            budget: &self.budget,
            wanted,
            order: OnceLock::new(),
        };
        Batch { reader, series, interval, reach }
    }

    /// The blocks whose chunks gave more samples than their bytes can hold. What was loaded of them is not to be used.
    pub fn overdrawn(&self) -> BTreeSet<usize> {
        self.budget.overdrawn()
    }
}

/// Series that are being loaded, on any thread.
pub struct Batch<'a> {
    reader: Reader<'a>,
    series: &'a [MergedSeries],
    interval: Interval,
    reach: Reach,
}

impl Batch<'_> {
    /// The series at `position`, over `interval`, which lies inside that of the batch.
    pub fn load(&self, position: usize, interval: Interval) -> LoadedSeries {
        let Some(series) = self.series.get(position) else { return LoadedSeries::default() };
        let mut loaded = self.reader.load(series, interval, self.reach);
        unstored::report(self.reader.source, series, interval, self.reader.kinds, &mut loaded);
        loaded
    }

    fn load_all(&self) -> Vec<LoadedSeries> {
        (0..self.series.len()).into_par_iter().map(|at| self.load(at, self.interval)).collect()
    }
}

/// Loads the floats of one series. Only chunks whose range in the index overlaps what is needed are read; where parts
/// contradict each other the whole series is read, because the rule for conflicts is that of a full read. The logs of a
/// head are read again if they have the series and it was not wanted at opening: load several series at once where you can.
pub fn load(source: &Source, series: &MergedSeries, interval: Interval, reach: Reach) -> LoadedSeries {
    let loaded = load_selected(source, std::slice::from_ref(series), Ledger::default(), interval, reach);
    let Loaded { series: mut list, ledger } = loaded;
    let mut one = list.pop().unwrap_or_default();
    one.ledger.losses = ledger.losses;
    one
}

/// The reference of a series in the head, where a head has it.
pub fn head_reference(source: &Source, series: &MergedSeries) -> Option<u64> {
    series.members.iter().find_map(|m| match m {
        Member::Head { head, position, .. } => Some(source.heads.get(*head)?.head.series.get(*position)?.reference.0),
        Member::Dataset { dataset, position, .. } => {
            source.datasets.get(*dataset)?.dataset.series.get(*position)?.record.head_reference
        }
        Member::Block { .. } | Member::Dumps { .. } => None,
    })
}

/// One load: the source and what its parts may still give.
struct Reader<'a> {
    source: &'a Source,
    logs: Logs<'a>,
    groups: Groups<'a>,
    kinds: Kinds,
    budget: &'a Budget,
    /// The label sets of this load, and the order of their parts in a full read, found when a conflict asks for it.
    wanted: Vec<&'a Labels>,
    order: OnceLock<BTreeMap<Labels, Vec<Part>>>,
}

impl Reader<'_> {
    fn load(&self, series: &MergedSeries, interval: Interval, reach: Reach) -> LoadedSeries {
        let mut loaded = LoadedSeries {
            labels: series.labels.clone(),
            head_reference: head_reference(self.source, series),
            ..LoadedSeries::default()
        };
        let mut all = match self.merge_range(series, interval, &mut loaded) {
            Ok(run) => run,
            Err(Conflicting) => return self.load_conflicting(series, interval, reach),
        };
        // Further back by whole chunks, those that end last first; twice as many at each step, so that a long row of stale
        // markers costs a few steps only.
        if reach == Reach::WithHistory {
            let pieces = series.members.iter().flat_map(Member::pieces);
            let mut earlier: Vec<Interval> = pieces.filter(|c| c.start < interval.start).collect();
            earlier.sort_by_key(|c| (std::cmp::Reverse(c.end), c.start));
            let mut low = interval.start;
            let (mut next, mut step) = (0, 1);
            while next < earlier.len() && !has_countable_at_or_before(&all.floats, interval.start) {
                let batch = earlier.iter().skip(next).take(step);
                let start = batch.map(|c| c.start.min(c.end)).min().unwrap_or(low);
                (next, step) = (next + step, step * 2);
                if start >= low {
                    continue;
                }
                let range = Interval::new(start, low - 1);
                low = start;
                match self.merge_range(series, range, &mut loaded) {
                    Ok(mut run) => {
                        run.append(all);
                        all = run;
                    }
                    Err(Conflicting) => return self.load_conflicting(series, interval, reach),
                }
            }
            trim_history(&mut all.floats, interval.start);
        }
        self.keep(&mut loaded, all);
        loaded
    }

    /// What was deleted from a series in a head.
    fn deleted_in_head(&self, series: &MergedSeries, part: Part) -> &[Interval] {
        let (Part::Head(of) | Part::Late(of)) = part else { return &[] };
        let found = series.members.iter().find_map(|m| match m {
            Member::Head { head, position, .. } if *head == of => self.source.heads.get(of)?.head.series.get(*position),
            _ => None,
        });
        found.map_or(&[], |s| &s.deleted)
    }

    fn keep(&self, loaded: &mut LoadedSeries, run: Run) {
        loaded.samples = run.floats;
        if self.kinds == Kinds::All {
            loaded.histograms = run.histograms;
        }
    }

    /// The samples of a series inside `range` in strictly increasing time; errs if parts disagree.
    fn merge_range(
        &self,
        series: &MergedSeries,
        range: Interval,
        loaded: &mut LoadedSeries,
    ) -> Result<Run, Conflicting> {
        let ask = read::Ask { range, kinds: self.kinds, by_chunk: false };
        let read = read::runs(self, series, ask, loaded);
        if self.source.roots.len() > 1
            && let Some(t_ms) = interleaved_at(self.source, &read.runs)
        {
            loaded.ledger.interleaved.push(Conflict { series: series.labels.clone(), t_ms });
        }
        let mut pieces: Vec<read::PartRun> = read.runs.into_iter().filter(|r| !r.run.is_empty()).collect();
        pieces.sort_by_key(|r| r.run.interval().map(|i| i.start));
        forget_hints(&mut pieces);
        let runs: Vec<Run> = pieces.into_iter().map(|r| r.run).collect();
        let disjoint = runs.windows(2).all(|w| match w {
            [a, b] => a.interval().map(|i| i.end) < b.interval().map(|i| i.start),
            _ => true,
        });
        // A histogram that was not decoded may stand where another part has a float: who wins depends on both.
        let hidden = read
            .passed_over
            .iter()
            .any(|p| runs.iter().any(|r| r.floats.lower_bound(p.start) < r.floats.upper_bound(p.end)));
        if hidden {
            return Err(Conflicting);
        }
        if disjoint {
            let samples: usize = runs.iter().map(|r| r.floats.len()).sum();
            let mut runs = runs.into_iter();
            let mut all = runs.next().unwrap_or_default();
            all.floats.reserve(samples - all.floats.len());
            runs.for_each(|run| all.append(run));
            return Ok(all);
        }
        // The hint of a histogram depends on who was read before it.
        if runs.iter().any(|r| !r.histograms.is_empty()) {
            return Err(Conflicting);
        }
        let floats: Vec<&Samples> = runs.iter().map(|r| &r.floats).collect();
        let union = chain::union(&floats);
        if union.conflicts.is_empty() {
            loaded.ledger.duplicates += union.duplicates;
            return Ok(Run { floats: union.samples, histograms: Vec::new() });
        }
        Err(Conflicting)
    }

    /// A full read: the order of parts and the choice at every tie are upstream's.
    fn load_conflicting(&self, series: &MergedSeries, interval: Interval, reach: Reach) -> LoadedSeries {
        let mut loaded = LoadedSeries {
            labels: series.labels.clone(),
            head_reference: head_reference(self.source, series),
            ..LoadedSeries::default()
        };
        let ask = read::Ask { range: Interval::ALL, kinds: Kinds::All, by_chunk: true };
        let read = read::runs(self, series, ask, &mut loaded);
        let order = self.order.get_or_init(|| full_read_order(self.source, &self.wanted));
        let rank = |part: Part| {
            order.get(&series.labels).and_then(|o| o.iter().position(|p| *p == part)).unwrap_or(usize::MAX)
        };
        let without = |part: Part, run: &mut Run| {
            let deleted = self.deleted_in_head(series, part);
            if !deleted.is_empty() {
                run.retain(|t| !read::is_deleted(deleted, t));
            }
        };
        let visible: Vec<Cow<'_, Run>> = read
            .runs
            .iter()
            .map(|r| match self.deleted_in_head(series, r.part) {
                [] => Cow::Borrowed(&r.run),
                _ => {
                    let mut run = r.run.clone();
                    without(r.part, &mut run);
                    Cow::Owned(run)
                }
            })
            .collect();
        let (duplicates, mut conflicts) = chain::disagreements(visible.iter().map(Cow::as_ref));
        drop(visible);
        let mut parts: BTreeMap<(usize, Part), Vec<read::PartRun>> = BTreeMap::new();
        for r in read.runs {
            parts.entry((rank(r.part), r.part)).or_default().push(r);
        }
        let runs: Vec<Run> = parts
            .into_iter()
            .map(|((_, part), runs)| {
                let mut run = chain::part(part, runs);
                without(part, &mut run);
                run
            })
            .collect();
        let served = chain::serve(&runs);
        conflicts.retain(|t| interval.contains(*t));
        loaded.ledger.duplicates += duplicates;
        loaded.ledger.conflicts =
            conflicts.into_iter().map(|t_ms| Conflict { series: series.labels.clone(), t_ms }).collect();
        let from = if reach == Reach::WithHistory { i64::MIN } else { interval.start };
        let mut run = Run::default();
        run.extend(&served, Interval { start: from, end: interval.end });
        if reach == Reach::WithHistory {
            trim_history(&mut run.floats, interval.start);
        }
        self.keep(&mut loaded, run);
        loaded
    }
}

/// Where several parts are merged, a server does not say whether a histogram was reset since one of another part, not
/// even of the first one.
fn forget_hints(pieces: &mut [read::PartRun]) {
    let several = pieces.windows(2).any(|w| matches!(w, [a, b] if a.part != b.part));
    let mut before = None;
    for piece in pieces.iter_mut().filter(|_| several) {
        let first_float = piece.run.floats.ts.first().copied();
        if before.replace(piece.part) != Some(piece.part)
            && let Some(h) = piece.run.histograms.first_mut()
            && first_float.is_none_or(|t| h.t_ms < t)
            && h.hint != ResetHint::Gauge
        {
            h.hint = ResetHint::Unknown;
        }
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
        samples.drop_front(keep);
    }
}

struct Conflicting;

/// Parts of one server have the same timestamps wherever they cover the same time. The first time at which two merged
/// SOURCEs do not: interleaving two servers would invent counter resets.
fn interleaved_at(source: &Source, runs: &[read::PartRun]) -> Option<i64> {
    let origin = |part: Part| match part {
        Part::Block(i) => source.blocks.get(i).map(|b| b.origin),
        Part::Head(i) | Part::Late(i) => source.heads.get(i).map(|h| h.origin),
        Part::Dataset(i) => source.datasets.get(i).map(|d| d.origin),
        Part::Dumps(i) => source.dumps.get(i).map(|d| d.origin),
    };
    for (i, a) in runs.iter().enumerate() {
        for b in runs.iter().skip(i + 1) {
            if origin(a.part) == origin(b.part) {
                continue;
            }
            let (a, b) = (&a.run.floats, &b.run.floats);
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
