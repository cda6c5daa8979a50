//! The increments that samples prove: what auditors ask for and PromQL cannot give (`docs/windows.md`, "Counted").
//!
//! A counter's increase is read off its own samples, never extrapolated. Between neighbouring samples the difference
//! counts; where a restart between them is proven, the whole new value does; a first sample counts from 0 if the
//! series was provably born then, and else is only a baseline.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::labels::{Labels, METRIC_NAME};
use crate::loss::{Ledger, Loss};
use crate::sample::{is_countable, is_stale};
use crate::samples::{Kinds, LoadedSeries, Reach, load_all, load_in_batches};
use crate::selector::Selector;
use crate::series::{MergedSeries, select};
use crate::source::Source;
use crate::time::{DurationMs, Interval, TimestampMs};
use crate::windows::Span;
use crate::windows::targets::{Target, Targets};

/// Why a sample's whole value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// The value fell.
    Lower,
    /// `process_start_time_seconds` or a `_created` series is newer than the sample before; the start in ms.
    Started(i64),
    /// The series vanished from a successful scrape and came back.
    Returned,
}

/// A counter's samples with everything that decides how they count, prepared once for any number of windows.
#[derive(Debug, Clone, Default)]
pub struct Counter {
    /// The series.
    pub labels: Labels,
    /// Countable samples (neither stale markers nor NaN).
    ts: Vec<TimestampMs>,
    values: Vec<f64>,
    /// Positions whose whole value counts, ascending, with the proof.
    restarts: Vec<(usize, Restart)>,
    /// How the very first sample of the series counts.
    birth: Birth,
    /// Steps across a window's start that are longer than this cannot be dated.
    undatable_over_ms: Option<DurationMs>,
}

/// What is known about a series before its first sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Birth {
    /// Nothing: the first sample is a baseline.
    #[default]
    Unknown,
    /// The target was scraped successfully before, without the series.
    Scraped,
    /// The process or the child started at this time in ms.
    Started(i64),
}

/// What a counter says about one window `(start, end]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CountedWindow {
    /// The increments proven inside the window.
    pub increase: f64,
    /// The increment of a step across the window's start that is too long to be dated; 0 if there is none.
    pub undatable: f64,
    /// The value of a first sample inside the window that is only a baseline; it may hold increments of the window.
    pub baseline_inside: Option<f64>,
    /// The sample that the increase is counted from: the last one at or before start, or the first inside.
    pub baseline: Option<(TimestampMs, f64)>,
    /// The first sample inside the window.
    pub first: Option<(TimestampMs, f64)>,
    /// The last sample inside the window.
    pub last: Option<(TimestampMs, f64)>,
    /// Restarts inside the window.
    pub resets: u64,
    /// Whether the first sample inside the window was counted from 0 as the birth of the series.
    pub born: bool,
}

/// One proven rise of a counter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The first sample that shows it.
    pub t_ms: TimestampMs,
    /// The sample before, if there is one.
    pub after_ms: Option<TimestampMs>,
    /// How much it rose.
    pub amount: f64,
    /// The step reaches over the window's start and is too long to be dated.
    pub undatable: bool,
}

/// Facts about the whole source that restarts and births depend on.
#[derive(Debug)]
pub struct Proofs<'a> {
    source: &'a Source,
    targets: &'a Targets,
    selected: &'a [MergedSeries],
    /// Creation times from `_created` series by the labels of the counter without its name: `(sample time, ms)`.
    created: BTreeMap<Labels, Vec<(TimestampMs, f64)>>,
    /// Times at which losses may hold samples of any series.
    holes: Vec<Interval>,
    stale_markers: OnceLock<bool>,
}

impl<'a> Proofs<'a> {
    /// Gathers the proofs for counters that `selected` found, over `interval`. `losses` are those known so far; the ledger
    /// is that of the `_created` series.
    pub fn gather(
        source: &'a Source,
        targets: &'a Targets,
        selected: &'a [MergedSeries],
        interval: Interval,
        losses: &[Loss],
    ) -> (Proofs<'a>, Ledger) {
        let anybody = losses.iter().filter(|l| l.series.is_none());
        let holes = anybody.map(|l| l.interval.unwrap_or(Interval::ALL)).collect();
        let names: BTreeSet<String> = selected.iter().filter_map(|s| created_name(&s.labels)).collect();
        let mut created: BTreeMap<Labels, Vec<(TimestampMs, f64)>> = BTreeMap::new();
        let mut ledger = Ledger::default();
        for name in names {
            let loaded = load_all(source, &Selector::metric(&name), interval, Reach::WithHistory);
            ledger.absorb(loaded.ledger);
            for s in loaded.series {
                let seconds = s.samples.iter().filter(|(_, b)| is_countable(*b));
                let ms = seconds.map(|(t, b)| (t, f64::from_bits(b) * 1000.0));
                created.entry(s.labels.without_name()).or_default().extend(ms);
            }
        }
        (Proofs { source, targets, selected, created, holes, stale_markers: OnceLock::new() }, ledger)
    }

    /// Whether the source has any stale marker. Without any, a scrape without the series is proof by itself. Looks
    /// through the selected series first and then through all others, so it is only asked when it would decide.
    fn source_has_stale_markers(&self) -> bool {
        *self.stale_markers.get_or_init(|| {
            self.targets.targets.iter().any(|t| t.has_stale_markers)
                || has_stale_marker(self.source, self.selected)
                || has_stale_marker(self.source, &select(self.source, &[]).series)
        })
    }
}

fn has_stale_marker(source: &Source, series: &[MergedSeries]) -> bool {
    let found = load_in_batches(source, series, Interval::ALL, Kinds::Floats, |_, batch| {
        let any = batch.series.iter().any(|s| s.samples.bits.iter().any(|b| is_stale(*b)));
        if any { Err(()) } else { Ok(()) }
    });
    found.is_err()
}

impl Counter {
    /// Prepares a series that was loaded with its history.
    pub fn prepare(series: &LoadedSeries, span: Span, proofs: &Proofs<'_>) -> Counter {
        let holes = || series.holes.iter().chain(&proofs.holes);
        let target = proofs.targets.of(&series.labels);
        let created = proofs.created.get(&series.labels.without_name());
        let mut c = Counter {
            labels: series.labels.clone(),
            undatable_over_ms: target.and_then(|t| t.interval_ms).map(|i| i.saturating_mul(2)),
            ..Counter::default()
        };
        let mut stale_since: Option<TimestampMs> = None;
        // NaN counts nothing, and where it stands behind the last countable sample the series was there.
        let mut nans: Vec<TimestampMs> = Vec::new();
        for (t, bits) in series.samples.iter() {
            if is_stale(bits) {
                stale_since.get_or_insert(t);
                continue;
            }
            if !is_countable(bits) {
                stale_since = None;
                nans.push(t);
                continue;
            }
            let v = f64::from_bits(bits);
            if let (Some(before), Some(last)) = (c.ts.last().copied(), c.values.last().copied()) {
                let restart = if v < last {
                    Some(Restart::Lower)
                } else {
                    let process = target.and_then(|x| started_between(before, t, |at| x.start_known_at(at)));
                    let child = created.and_then(|list| started_between(before, t, |at| newest(list, at)));
                    // What was lost or deleted was not absent.
                    let whole = !holes().any(|h| h.overlaps(&Interval::new(before, t)));
                    let scraped_from = |from, to| whole && target.is_some_and(|x| x.scraped_in(from, to));
                    let was_absent = || {
                        let there = [before].into_iter().chain(nans.iter().copied());
                        let next = nans.iter().copied().chain([t]);
                        there.zip(next).any(|(from, to)| scraped_from(from.saturating_add(1), to))
                    };
                    match (process.max(child), stale_since) {
                        (Some(start), _) => Some(Restart::Started(start)),
                        (None, Some(marker)) => scraped_from(marker, t).then_some(Restart::Returned),
                        (None, None) => {
                            (was_absent() && !proofs.source_has_stale_markers()).then_some(Restart::Returned)
                        }
                    }
                };
                if let Some(r) = restart {
                    c.restarts.push((c.ts.len(), r));
                }
            } else {
                let start = target.and_then(|x| x.start_known_at(t)).filter(|s| *s <= t as f64);
                let child = created.and_then(|list| newest(list, t)).filter(|s| *s <= t as f64);
                let newest_start =
                    start.into_iter().chain(child).fold(None, |m: Option<f64>, s| Some(m.map_or(s, |m| m.max(s))));
                let inside = newest_start.filter(|s| *s > span.start as f64);
                // Behind a hole only scrapes between it and the sample show that the series was not there.
                let begins = nans.first().copied().unwrap_or(t);
                let hole_end = holes().filter(|h| h.start < begins).map(|h| h.end).max();
                let scraped_before = |x: &Target| match hole_end {
                    None => x.first_up_ms.is_some_and(|up| up < begins),
                    Some(end) => end < begins && x.scraped_in(end.saturating_add(1), begins),
                };
                c.birth = match inside {
                    Some(s) => Birth::Started(s as i64),
                    None if target.is_some_and(scraped_before) => Birth::Scraped,
                    None => Birth::Unknown,
                };
            }
            stale_since = None;
            nans.clear();
            c.ts.push(t);
            c.values.push(v);
        }
        c
    }

    fn at(&self, i: usize) -> Option<(TimestampMs, f64)> {
        Some((*self.ts.get(i)?, *self.values.get(i)?))
    }

    fn restart_at(&self, i: usize) -> Option<Restart> {
        self.restarts.binary_search_by_key(&i, |r| r.0).ok().and_then(|k| self.restarts.get(k)).map(|r| r.1)
    }

    /// The restarts at positions in `(from, to]`.
    fn restarts_in(&self, from: usize, to: usize) -> &[(usize, Restart)] {
        let lo = self.restarts.partition_point(|r| r.0 <= from);
        let hi = self.restarts.partition_point(|r| r.0 <= to).max(lo);
        self.restarts.get(lo..hi).unwrap_or_default()
    }

    /// Whether the step to position `i` crosses `start` and is too long to say on which side its increments lie.
    fn is_undatable(&self, i: usize, start: TimestampMs) -> bool {
        let (Some((t, _)), Some((before, _))) = (self.at(i), i.checked_sub(1).and_then(|j| self.at(j))) else {
            return false;
        };
        if before > start || t <= start {
            return false;
        }
        if matches!(self.restart_at(i), Some(Restart::Started(s)) if s >= start) {
            return false;
        }
        self.undatable_over_ms.is_some_and(|limit| t.saturating_sub(before) > limit)
    }

    /// The counter over `(start, end]`, in O(log samples + restarts inside). The increase is the last value minus what
    /// it is counted from, plus what each restart dropped, added in that order: whole numbers come out exact.
    pub fn window(&self, span: Span) -> CountedWindow {
        let lo = self.ts.partition_point(|t| *t <= span.start);
        let hi = self.ts.partition_point(|t| *t <= span.end);
        let mut w = CountedWindow { baseline: lo.checked_sub(1).and_then(|i| self.at(i)), ..CountedWindow::default() };
        let (Some(first), Some(last)) = (self.at(lo), hi.checked_sub(1).and_then(|i| self.at(i))) else {
            return w;
        };
        if lo >= hi {
            return w;
        }
        (w.first, w.last) = (Some(first), Some(last));
        let restart = self.restart_at(lo);
        let from = match w.baseline {
            None => match self.birth {
                Birth::Started(s) if s > span.start => {
                    w.born = true;
                    0.0
                }
                Birth::Scraped => {
                    w.born = true;
                    0.0
                }
                _ => {
                    w.baseline = Some(first);
                    w.baseline_inside = Some(first.1);
                    first.1
                }
            },
            Some((_, base)) => {
                let counted_from = if restart.is_some() { 0.0 } else { base };
                if self.is_undatable(lo, span.start) {
                    w.undatable = first.1 - counted_from;
                    first.1
                } else {
                    counted_from
                }
            }
        };
        w.resets = u64::from(restart.is_some());
        w.increase = last.1 - from;
        for (i, _) in self.restarts_in(lo, hi - 1) {
            w.resets += 1;
            if let Some((_, dropped)) = i.checked_sub(1).and_then(|j| self.at(j)) {
                w.increase += dropped;
            }
        }
        w
    }

    /// Every rise inside `(start, end]`, in time order; rises of 0 are left out.
    pub fn steps(&self, span: Span) -> Vec<Step> {
        let lo = self.ts.partition_point(|t| *t <= span.start);
        let hi = self.ts.partition_point(|t| *t <= span.end);
        let mut out = Vec::new();
        for i in lo..hi {
            let Some((t, v)) = self.at(i) else { continue };
            let before = i.checked_sub(1).and_then(|j| self.at(j));
            let amount = match before {
                None => match self.birth {
                    Birth::Started(s) if s > span.start => v,
                    Birth::Scraped => v,
                    _ => continue,
                },
                Some((_, last)) if self.restart_at(i).is_none() => v - last,
                Some(_) => v,
            };
            if amount != 0.0 {
                out.push(Step {
                    t_ms: t,
                    after_ms: before.map(|b| b.0),
                    amount,
                    undatable: self.is_undatable(i, span.start),
                });
            }
        }
        out
    }

    /// Every restart inside `(start, end]`: the sample before and the one whose whole value counts.
    pub fn restart_steps(&self, span: Span) -> Vec<(TimestampMs, TimestampMs)> {
        self.steps_to_restarts(span, |_| true)
    }

    /// Where the counter fell inside `(start, end]`: the sample before and the lower one.
    pub fn falls(&self, span: Span) -> Vec<(TimestampMs, TimestampMs)> {
        self.steps_to_restarts(span, |proof| proof == Restart::Lower)
    }

    fn steps_to_restarts(&self, span: Span, wanted: impl Fn(Restart) -> bool) -> Vec<(TimestampMs, TimestampMs)> {
        let restarts = self.restarts.iter().filter(|(_, proof)| wanted(*proof));
        let steps = restarts.filter_map(|(i, _)| Some((*self.ts.get(i.checked_sub(1)?)?, *self.ts.get(*i)?)));
        steps.filter(|(_, t)| span.start < *t && *t <= span.end).collect()
    }

    /// Whether losses inside `[from, to]` are bounded: samples on both sides, and no restart between them. Gives the
    /// values on both sides.
    pub fn bounded_by(&self, from: TimestampMs, to: TimestampMs) -> Option<((TimestampMs, f64), (TimestampMs, f64))> {
        let before = self.ts.partition_point(|t| *t < from).checked_sub(1)?;
        let after = self.ts.partition_point(|t| *t <= to);
        let (a, b) = (self.at(before)?, self.at(after)?);
        self.restarts_in(before, after).is_empty().then_some((a, b))
    }
}

fn newest(list: &[(TimestampMs, f64)], at: TimestampMs) -> Option<f64> {
    let n = list.partition_point(|(t, _)| *t <= at);
    n.checked_sub(1).and_then(|i| list.get(i)).map(|(_, s)| *s)
}

/// A start after the sample at `before` and not after `t`, which was not already known at `before`: a start that both
/// samples knew lies before both, whatever the target's clock says.
fn started_between(before: TimestampMs, t: TimestampMs, known_at: impl Fn(TimestampMs) -> Option<f64>) -> Option<i64> {
    let start = known_at(t)?;
    let fresh = known_at(before) != Some(start);
    (fresh && start > before as f64 && start <= t as f64).then_some(start as i64)
}

/// The name of the `_created` series that belongs to a counter, if the counter follows OpenMetrics' naming.
fn created_name(labels: &Labels) -> Option<String> {
    let name = std::str::from_utf8(labels.get(METRIC_NAME)).ok()?;
    Some(format!("{}_created", name.strip_suffix("_total")?))
}
