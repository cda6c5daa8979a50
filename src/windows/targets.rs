//! Targets and coverage: which scrapes happened, which said 0, and which are missing.
//!
//! Gap, down and stale are three things: no sample arrived; a sample said 0; a marker was written.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::labels::{Labels, METRIC_NAME};
use crate::loss::Ledger;
use crate::sample::{Samples, is_stale};
use crate::samples::{Kinds, LoadedSeries, Reach, load_all, load_in_batches};
use crate::selector::Selector;
use crate::series::{MergedSeries, select};
use crate::source::Source;
use crate::time::{DurationMs, Interval, TimestampMs, human_duration};
use crate::windows::Span;

/// `up` samples this long after a window's end still say that the end was covered.
const LOOK_AHEAD_MS: DurationMs = 3_600_000;

/// What is scraped: job and instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TargetId {
    /// The label `job`.
    pub job: Box<[u8]>,
    /// The label `instance`.
    pub instance: Box<[u8]>,
}

impl TargetId {
    /// The target that a series came from.
    pub fn of(labels: &Labels) -> TargetId {
        TargetId { job: labels.get(b"job").into(), instance: labels.get(b"instance").into() }
    }

    /// `job/instance` for people.
    pub fn display(&self) -> String {
        let text = |b: &[u8]| crate::labels::printable(&String::from_utf8_lossy(b));
        match (self.job.is_empty(), self.instance.is_empty()) {
            (true, true) => "(no job, no instance)".to_owned(),
            (false, true) => text(&self.job),
            (true, false) => text(&self.instance),
            (false, false) => format!("{} {}", text(&self.job), text(&self.instance)),
        }
    }

    fn is_empty(&self) -> bool {
        self.job.is_empty() && self.instance.is_empty()
    }
}

/// One target with what is known of its scrapes.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// All labels of its `up` series without the name, or of the first selected series where there is no `up`.
    pub labels: Labels,
    /// Its `up` samples, from the last one before the window to shortly after it; stale markers are among them.
    pub up: Samples,
    /// Whether `up` is really there; else the times are those of the selected series.
    pub has_up: bool,
    /// The most frequent spacing of its scrapes.
    pub interval_ms: Option<DurationMs>,
    /// The first time in all of the data at which `up` was 1.
    pub first_up_ms: Option<TimestampMs>,
    /// Whether its `up` has a stale marker anywhere in the data.
    pub has_stale_markers: bool,
    /// `process_start_time_seconds`: `(sample time, start in ms)`, ascending.
    pub starts: Vec<(TimestampMs, f64)>,
}

impl Target {
    /// The newest process start known at `t`.
    pub fn start_known_at(&self, t: TimestampMs) -> Option<f64> {
        let n = self.starts.partition_point(|(at, _)| *at <= t);
        n.checked_sub(1).and_then(|i| self.starts.get(i)).map(|(_, s)| *s)
    }

    /// Whether a sample of [`Target::up`] says that the target answered: that `up` is 1, or without `up` that it is there.
    fn answered(&self, value: f64) -> bool {
        !self.has_up || value == 1.0
    }

    /// Whether a successful scrape (`up` = 1) lies in `[from, before)`.
    pub fn scraped_in(&self, from: TimestampMs, before: TimestampMs) -> bool {
        let lo = self.up.lower_bound(from);
        let hi = self.up.lower_bound(before).max(lo);
        self.has_up && self.up.bits.get(lo..hi).unwrap_or_default().iter().any(|b| f64::from_bits(*b) == 1.0)
    }
}

/// The targets of a question and what was noticed while loading them.
#[derive(Debug, Default)]
pub struct Targets {
    /// In order of their labels.
    pub targets: Vec<Target>,
    /// The ledger of the loads.
    pub ledger: Ledger,
    by_id: BTreeMap<TargetId, Vec<usize>>,
}

impl Targets {
    /// Loads `up` and `process_start_time_seconds` of the targets that `selected` came from. Where no selected series
    /// has a job or an instance, all targets count.
    pub fn load(source: &Source, selected: &[&LoadedSeries], span: Span, interval: Option<DurationMs>) -> Targets {
        let found = select(source, Selector::metric("up").matchers());
        let mut all = Targets::default();
        all.ledger.absorb(found.ledger);
        let everything = selected.iter().all(|s| TargetId::of(&s.labels).is_empty());
        let candidates = index_by_id(found.series.iter().map(|s| &s.labels));
        let mut wanted: Vec<usize> = if everything {
            (0..found.series.len()).collect()
        } else {
            selected
                .iter()
                .filter_map(|s| best_match(&candidates, &s.labels, |i| found.series.get(i).map(|u| &u.labels)))
                .collect()
        };
        wanted.sort_unstable();
        wanted.dedup();
        // A restart between a sample before the window and one inside is proven by scrapes between them, so `up` is kept as
        // far back as the selected series reach.
        let history = selected.iter().filter_map(|s| s.samples.ts.first()).min().copied().unwrap_or(span.start);
        // The scrape interval and the first scrape are facts about all of the data, so that every window of a source
        // sees the same; only what the window needs is kept.
        let chosen: Vec<MergedSeries> = wanted.iter().filter_map(|i| found.series.get(*i)).cloned().collect();
        // Evaluations at even steps repeat a sample for up to 5 minutes: nothing says when there was a scrape.
        let evaluated = source.dumps.iter().any(|d| d.dumps.evaluated);
        let spacing = |ts: &[TimestampMs]| most_frequent_spacing(ts).filter(|_| !evaluated);
        let target = |mut up: LoadedSeries| {
            let mut target = Target {
                labels: up.labels.without_name(),
                has_up: true,
                first_up_ms: up.samples.iter().find(|(_, b)| f64::from_bits(*b) == 1.0).map(|(t, _)| t),
                has_stale_markers: up.samples.bits.iter().any(|b| is_stale(*b)),
                interval_ms: interval.or_else(|| spacing(&up.samples.ts)),
                ..Target::default()
            };
            keep_for_window(&mut up.samples, history.min(span.start), span.end);
            target.up = up.samples;
            target
        };
        let _ = load_in_batches(source, &chosen, Interval::ALL, Kinds::Floats, |_, batch| {
            all.ledger.absorb(batch.ledger);
            let targets: Vec<Target> = batch.series.into_par_iter().map(target).collect();
            all.targets.extend(targets);
            Ok::<(), std::convert::Infallible>(())
        });
        if all.targets.is_empty() {
            all.targets = from_selected(selected, interval, spacing);
        }
        all.targets.sort_by(|a, b| a.labels.cmp(&b.labels));
        all.by_id = index_by_id(all.targets.iter().map(|t| &t.labels));
        all.load_starts(source, Interval::new(history.min(span.start), span.end));
        all
    }

    fn load_starts(&mut self, source: &Source, interval: Interval) {
        let selector = Selector::metric("process_start_time_seconds");
        let starts = load_all(source, &selector, interval, Reach::WithHistory);
        self.ledger.absorb(starts.ledger);
        for s in starts.series {
            let at = best_match(&self.by_id, &s.labels, |i| self.targets.get(i).map(|t| &t.labels));
            if let Some(target) = at.and_then(|i| self.targets.get_mut(i)) {
                let live = s.samples.iter().filter(|(_, b)| !is_stale(*b));
                target.starts.extend(live.map(|(t, b)| (t, f64::from_bits(b) * 1000.0)));
                target.starts.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            }
        }
    }

    /// The target that a series came from: of the targets with its job and instance the one with the most labels in
    /// common and none that differs, since a scraped series carries its target's labels.
    pub fn of(&self, labels: &Labels) -> Option<&Target> {
        best_match(&self.by_id, labels, |i| self.targets.get(i).map(|t| &t.labels)).and_then(|i| self.targets.get(i))
    }

    /// `up` = 1 over all `up` samples of the targets inside `span`; `None` without any.
    pub fn up_ratio(&self, span: Span) -> Option<f64> {
        let (mut ups, mut scrapes) = (0u64, 0u64);
        for target in self.targets.iter().filter(|t| t.has_up) {
            let (lo, hi) = (target.up.upper_bound(span.start), target.up.upper_bound(span.end));
            for bits in target.up.bits.get(lo..hi).unwrap_or_default().iter().filter(|b| !is_stale(**b)) {
                scrapes += 1;
                ups += u64::from(f64::from_bits(*bits) == 1.0);
            }
        }
        (scrapes > 0).then(|| ups as f64 / scrapes as f64)
    }

    /// The longest scrape interval of any target.
    pub fn longest_interval(&self) -> Option<DurationMs> {
        self.targets.iter().filter_map(|t| t.interval_ms).max()
    }
}

/// Cuts `up` to what a window needs: from the last sample at or before `start` to shortly after `end`.
fn keep_for_window(up: &mut Samples, start: TimestampMs, end: TimestampMs) {
    let from = up.upper_bound(start).saturating_sub(1);
    let to = up.upper_bound(end.saturating_add(LOOK_AHEAD_MS));
    up.truncate(to);
    up.drop_front(from.min(to));
    up.ts.shrink_to_fit();
    up.bits.shrink_to_fit();
}

/// Without `up`, the selected series of one job and instance stand for their target's scrapes.
fn from_selected(
    selected: &[&LoadedSeries],
    interval: Option<DurationMs>,
    spacing: impl Fn(&[TimestampMs]) -> Option<DurationMs>,
) -> Vec<Target> {
    let mut targets: BTreeMap<TargetId, Target> = BTreeMap::new();
    for s in selected {
        let target = targets.entry(TargetId::of(&s.labels)).or_default();
        target.labels = s.labels.filtered(|n| n == b"job" || n == b"instance");
        target.up = merge_times(std::mem::take(&mut target.up), live_only(&s.samples));
    }
    targets.into_values().map(|t| Target { interval_ms: interval.or_else(|| spacing(&t.up.ts)), ..t }).collect()
}

fn index_by_id<'a>(labels: impl Iterator<Item = &'a Labels>) -> BTreeMap<TargetId, Vec<usize>> {
    let mut index: BTreeMap<TargetId, Vec<usize>> = BTreeMap::new();
    for (i, l) in labels.enumerate() {
        index.entry(TargetId::of(l)).or_default().push(i);
    }
    index
}

fn best_match<'a>(
    index: &BTreeMap<TargetId, Vec<usize>>,
    series: &Labels,
    labels_of: impl Fn(usize) -> Option<&'a Labels>,
) -> Option<usize> {
    let candidates = index.get(&TargetId::of(series))?;
    // How many labels are equal; none may differ, but relabelling may have taken target labels off the series.
    let shared = |target: &Labels| -> Option<usize> {
        target.iter().filter(|l| *l.name != *METRIC_NAME).try_fold(0, |n, l| match series.get(&l.name) {
            v if v == l.value.as_ref() => Some(n + 1),
            [] => Some(n),
            _ => None,
        })
    };
    let fitting = candidates.iter().filter_map(|i| Some((shared(labels_of(*i)?)?, *i)));
    fitting.max_by_key(|(shared, i)| (*shared, std::cmp::Reverse(*i))).map(|(_, i)| i)
}

/// The most frequent difference between neighbours; of equally frequent ones the smallest.
pub fn most_frequent_spacing(ts: &[TimestampMs]) -> Option<DurationMs> {
    let mut counts: BTreeMap<DurationMs, usize> = BTreeMap::new();
    let (mut run, mut length) = (0, 0usize);
    for d in ts.windows(2).filter_map(|w| match w {
        [a, b] => Some(b.wrapping_sub(*a)),
        _ => None,
    }) {
        if d != run {
            *counts.entry(run).or_default() += length;
            (run, length) = (d, 0);
        }
        length += 1;
    }
    *counts.entry(run).or_default() += length;
    let positive = counts.iter().filter(|(d, n)| **d > 0 && **n > 0);
    positive.max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).map(|(d, _)| *d)
}

fn live_only(samples: &Samples) -> Samples {
    let mut out = Samples::default();
    for (t, bits) in samples.iter().filter(|(_, b)| !is_stale(*b)) {
        out.push(t, bits);
    }
    out
}

fn merge_times(a: Samples, b: Samples) -> Samples {
    if a.is_empty() {
        return b;
    }
    if b.is_empty() {
        return a;
    }
    let mut pairs: Vec<(i64, u64)> = a.iter().chain(b.iter()).collect();
    pairs.sort_by_key(|p| p.0);
    pairs.dedup_by_key(|p| p.0);
    let (ts, bits) = pairs.into_iter().unzip();
    Samples::new(ts, bits)
}

/// How much of a window was scraped.
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    /// Share of the window covered by the union over all targets, 0 to 1.
    pub ratio: f64,
    /// Uncovered milliseconds of the union.
    pub uncovered_ms: DurationMs,
    /// `up` = 1 over all `up` samples in the window; `None` without any.
    pub up_ratio: Option<f64>,
    /// Whether `up` was there; else coverage was judged by the selected series themselves.
    pub from_up: bool,
    /// Stretches that no target covers.
    pub gaps: Vec<Interval>,
    /// Each target by itself.
    pub targets: Vec<TargetCoverage>,
}

/// Coverage of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetCoverage {
    /// The target.
    pub labels: Labels,
    /// Scrape interval.
    pub interval_ms: Option<DurationMs>,
    /// Share of the window covered by its own scrapes.
    pub ratio: f64,
    /// `up` = 1 over all its `up` samples in the window.
    pub up_ratio: Option<f64>,
    /// First sample in the window.
    pub first_ms: Option<TimestampMs>,
    /// Last sample in the window.
    pub last_ms: Option<TimestampMs>,
    /// Stretches without scrapes.
    pub gaps: Vec<Interval>,
    /// Stretches of scrapes that said 0, from the first to the last of each.
    pub downs: Vec<Interval>,
    /// Restarts of the process inside the window: by `process_start_time_seconds`, or where there is none by counters
    /// that fell; `None` where neither tells.
    pub restarts: Option<Vec<TimestampMs>>,
    /// Stale markers in its `up` and in the selected series inside the window.
    pub stale_markers: u64,
    /// The longest stretch not covered by a scrape that said 1; without `up`, by the selected series. `None` where all is covered.
    pub longest_outage: Option<Interval>,
    /// The longest stretch that was scraped, and in which no scrape said 1. `None` where there is none, and without `up`.
    pub longest_down: Option<Interval>,
}

/// A single target, in words: whoever has several replicas would miss the others.
pub fn only_target(coverage: &Coverage) -> Option<String> {
    let mut scraped = coverage.targets.iter().filter(|t| t.first_ms.is_some());
    let (Some(only), None) = (scraped.next(), scraped.next()) else { return None };
    Some(format!(
        "only one target was scraped, {}; if the service has more replicas, their requests are in no figure: add the data of the server that scrapes them, with --merge",
        TargetId::of(&only.labels).display()
    ))
}

/// A clock that is less ahead than this is not worth a word.
const CLOCK_MS: f64 = 60_000.0;

/// Targets whose clocks are far ahead, in words: a process cannot start after it was scraped. One that is behind looks like
/// a process that started earlier.
pub fn clocks_ahead(targets: &Targets, span: Span) -> Vec<String> {
    let ahead = targets.targets.iter().filter_map(|target| {
        let inside = target.starts.iter().filter(|(at, _)| span.start < *at && *at <= span.end);
        let most = inside.map(|(at, start)| start - *at as f64).fold(0.0, f64::max);
        (most > CLOCK_MS).then(|| (TargetId::of(&target.labels), most))
    });
    let words = ahead.map(|(id, most)| {
        format!(
            "{} says that its process started {} after a scrape of it, so its clock is that far ahead or more; all times here are the server's: set its clock, and compare times of its logs and responses with that in mind",
            id.display(),
            human_duration(most as DurationMs)
        )
    });
    words.collect()
}

/// Coverage of `span`: the union of `[t - 1.5 interval, t]` over all `up` samples, 0 or 1.
pub fn coverage(targets: &Targets, span: Span, selected: &[&LoadedSeries]) -> Coverage {
    let mut all_covered = Vec::new();
    let mut per_target = Vec::new();
    let (mut ups, mut scrapes) = (0u64, 0u64);
    for target in &targets.targets {
        let covered = covered_by(target, span, |_| true);
        all_covered.extend(covered.iter().copied());
        let inside: Vec<(i64, u64)> = target.up.iter().filter(|(t, _)| span.start < *t && *t <= span.end).collect();
        let live: Vec<(i64, f64)> =
            inside.iter().filter(|(_, b)| !is_stale(*b)).map(|(t, b)| (*t, f64::from_bits(*b))).collect();
        let up = live.iter().filter(|(_, v)| *v == 1.0).count() as u64;
        if target.has_up {
            ups += up;
            scrapes += live.len() as u64;
        }
        let answered = covered_by(target, span, |v| target.answered(v));
        let gaps = complement(&covered, span);
        let down = complement(&joined([answered.as_slice(), &gaps].concat()), span);
        let stale_selected = selected
            .iter()
            .filter(|s| targets.of(&s.labels).is_some_and(|t| t.labels == target.labels))
            .flat_map(|s| s.samples.iter())
            .filter(|(t, b)| span.start < *t && *t <= span.end && is_stale(*b))
            .count();
        per_target.push(TargetCoverage {
            labels: target.labels.clone(),
            interval_ms: target.interval_ms,
            ratio: share(&covered, span),
            up_ratio: (target.has_up && !live.is_empty()).then(|| up as f64 / live.len() as f64),
            first_ms: live.first().map(|(t, _)| *t),
            last_ms: live.last().map(|(t, _)| *t),
            gaps,
            downs: if target.has_up { downs(&live) } else { Vec::new() },
            restarts: (!target.starts.is_empty()).then(|| restarts(target, span)),
            stale_markers: (inside.len() - live.len() + stale_selected) as u64,
            longest_outage: longest(complement(&answered, span)),
            longest_down: longest(down),
        });
    }
    let covered = joined(all_covered);
    let gaps = complement(&covered, span);
    Coverage {
        ratio: share(&covered, span),
        uncovered_ms: gaps.iter().map(Interval::length).fold(0, i64::saturating_add),
        up_ratio: (scrapes > 0).then(|| ups as f64 / scrapes as f64),
        from_up: targets.targets.iter().any(|t| t.has_up),
        gaps,
        targets: per_target,
    }
}

/// The longest stretch, of equally long ones the first.
fn longest(stretches: Vec<Interval>) -> Option<Interval> {
    stretches.into_iter().max_by(|a, b| a.length().cmp(&b.length()).then(b.start.cmp(&a.start)))
}

/// The stretches of `span` that were scraped, and in which no scrape of any target said 1. What was not scraped is a gap.
pub fn outages(targets: &Targets, span: Span) -> Vec<Interval> {
    let covered = |counts: fn(&Target, f64) -> bool| {
        targets.targets.iter().flat_map(move |t| covered_by(t, span, |value| counts(t, value)))
    };
    let gaps = complement(&joined(covered(|_, _| true).collect()), span);
    complement(&joined(covered(Target::answered).chain(gaps).collect()), span)
}

/// Adds restarts from counters that fell while no `process_start_time_seconds` was known yet: `falls` gives the sample before
/// and the lower one by target. Children that fall at different scrapes, since each shows up with its first increment,
/// are one restart where one time explains them: the fewest times that lie in every step. A step over the start of `span` that
/// is longer than two scrape intervals proves none inside.
pub fn restarts_from_counters(
    coverage: &mut Coverage,
    targets: &Targets,
    span: Span,
    falls: impl Iterator<Item = (Labels, Vec<(TimestampMs, TimestampMs)>)>,
) {
    let mut by_target: BTreeMap<Labels, Vec<(TimestampMs, TimestampMs)>> = BTreeMap::new();
    for (labels, steps) in falls {
        if let Some(target) = targets.of(&labels) {
            let usual = target.interval_ms.unwrap_or(0).saturating_mul(2);
            let is_inside = |(before, t): &(TimestampMs, TimestampMs)| *before > span.start || t - before <= usual;
            let is_unknown = |(before, _): &(TimestampMs, TimestampMs)| target.start_known_at(*before).is_none();
            let steps = steps.into_iter().filter(|step| is_inside(step) && is_unknown(step));
            by_target.entry(target.labels.clone()).or_default().extend(steps);
        }
    }
    for target in &mut coverage.targets {
        let Some(steps) = by_target.get_mut(&target.labels) else { continue };
        steps.sort_by_key(|(before, t)| (*t, *before));
        let mut times: Vec<TimestampMs> = Vec::new();
        for (before, t) in steps {
            if times.last().is_none_or(|last| last <= before) {
                times.push(*t);
            }
        }
        let all = target.restarts.get_or_insert_default();
        all.append(&mut times);
        all.sort_unstable();
        all.dedup();
    }
}

/// The parts of `span` covered by a target's samples that `counts` accepts, joined. Ends are instants, not milliseconds
/// of their own: `[a, b]` covers `b - a`.
fn covered_by(target: &Target, span: Span, counts: impl Fn(f64) -> bool) -> Vec<Interval> {
    let Some(interval) = target.interval_ms else {
        return Vec::new();
    };
    let reach = interval.saturating_add(interval / 2);
    let mut parts = Vec::new();
    for (t, bits) in target.up.iter().filter(|(_, b)| !is_stale(*b)) {
        if !counts(f64::from_bits(bits)) {
            continue;
        }
        let part = Interval::new(t.saturating_sub(reach).max(span.start), t.min(span.end));
        if part.start < part.end {
            parts.push(part);
        }
    }
    joined(parts)
}

fn joined(mut parts: Vec<Interval>) -> Vec<Interval> {
    parts.sort();
    let mut out: Vec<Interval> = Vec::new();
    for p in parts {
        match out.last_mut() {
            Some(last) if p.start <= last.end => last.end = last.end.max(p.end),
            _ => out.push(p),
        }
    }
    out
}

fn complement(covered: &[Interval], span: Span) -> Vec<Interval> {
    let mut out = Vec::new();
    let mut at = span.start;
    for c in covered {
        if c.start > at {
            out.push(Interval::new(at, c.start));
        }
        at = at.max(c.end);
    }
    if at < span.end {
        out.push(Interval::new(at, span.end));
    }
    out
}

fn share(covered: &[Interval], span: Span) -> f64 {
    let ms: i64 = covered.iter().map(Interval::length).fold(0, i64::saturating_add);
    if span.length() <= 0 { 0.0 } else { ms as f64 / span.length() as f64 }
}

fn downs(live: &[(i64, f64)]) -> Vec<Interval> {
    let mut out: Vec<Interval> = Vec::new();
    let mut open: Option<Interval> = None;
    for (t, v) in live {
        if *v == 0.0 {
            match &mut open {
                Some(i) => i.end = *t,
                None => open = Some(Interval::new(*t, *t)),
            }
        } else {
            out.extend(open.take());
        }
    }
    out.extend(open);
    out
}

/// Process starts that `process_start_time_seconds` shows inside the window, by the time of the sample that shows them.
fn restarts(target: &Target, span: Span) -> Vec<TimestampMs> {
    let mut out = Vec::new();
    for w in target.starts.windows(2) {
        if let [(_, before), (t, after)] = w
            && after > before
            && span.start < *t
            && *t <= span.end
        {
            out.push(*t);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(ts: &[i64], values: &[f64], interval: i64) -> Target {
        Target {
            up: Samples::new(ts.to_vec(), values.iter().map(|v| v.to_bits()).collect()),
            has_up: true,
            interval_ms: Some(interval),
            ..Target::default()
        }
    }

    #[test]
    fn the_mode_of_spacings_ignores_jitter_and_outages() {
        let mode = most_frequent_spacing;
        assert_eq!(mode(&[0, 30, 60, 97, 127, 500, 530]), Some(30));
        assert_eq!(mode(&[5]), None);
        assert_eq!(mode(&[0, 10, 30]), Some(10), "ties go to the smaller");
    }

    #[test]
    fn children_that_fall_one_after_the_other_are_one_restart() {
        let labels = Labels::from_pairs([("job", "a"), ("instance", "b")]);
        let targets = Targets {
            by_id: index_by_id([&labels].into_iter()),
            targets: vec![Target { labels: labels.clone(), ..Target::default() }],
            ledger: Ledger::default(),
        };
        let mut c = coverage(&targets, Span { start: 0, end: 100 }, &[]);
        let falls = vec![(10, 20), (10, 45), (60, 70), (5, 15)];
        restarts_from_counters(&mut c, &targets, Span { start: 0, end: 100 }, std::iter::once((labels, falls)));
        assert_eq!(c.targets[0].restarts, Some(vec![15, 70]));
    }

    /// A start time that was scraped in the last part of a window hid the restarts of the first part.
    #[test]
    fn counters_tell_of_restarts_before_start_times_are_known() {
        let starts = vec![(60, 55.0), (70, 55.0), (80, 75.0)];
        let target = Target { starts, ..target(&[30, 40, 50, 60, 70, 80], &[1.0; 6], 10) };
        let labels = target.labels.clone();
        let targets =
            Targets { by_id: index_by_id([&labels].into_iter()), targets: vec![target], ledger: Ledger::default() };
        let span = Span { start: 0, end: 100 };
        let mut c = coverage(&targets, span, &[]);
        let falls = vec![(30, 40), (50, 60), (60, 70), (70, 80)];
        restarts_from_counters(&mut c, &targets, span, std::iter::once((labels, falls)));
        assert_eq!(c.targets[0].restarts, Some(vec![40, 60, 80]));
    }

    /// A sparse counter that fell somewhere around the start of a window was a restart inside it.
    #[test]
    fn a_long_fall_over_the_start_proves_no_restart_inside() {
        let target = target(&[30, 40, 50, 60], &[1.0; 4], 10);
        let labels = target.labels.clone();
        let targets =
            Targets { by_id: index_by_id([&labels].into_iter()), targets: vec![target], ledger: Ledger::default() };
        for (fall, restarts) in [((5, 60), vec![]), ((25, 35), vec![35]), ((31, 60), vec![60])] {
            let span = Span { start: 30, end: 100 };
            let mut c = coverage(&targets, span, &[]);
            restarts_from_counters(&mut c, &targets, span, std::iter::once((labels.clone(), vec![fall])));
            assert_eq!(c.targets[0].restarts, Some(restarts), "{fall:?}");
        }
    }

    /// An outage was counted over time that was never scraped, even in the future.
    #[test]
    fn time_that_was_not_scraped_is_no_time_down() {
        let target = target(&[10, 20, 30, 60, 70], &[1.0, 0.0, 0.0, 0.0, 1.0], 10);
        let targets = Targets {
            by_id: index_by_id([&target.labels].into_iter()),
            targets: vec![target],
            ledger: Ledger::default(),
        };
        let c = coverage(&targets, Span { start: 0, end: 500 }, &[]);
        let of = &c.targets[0];
        assert_eq!(of.longest_outage, Some(Interval::new(70, 500)));
        assert_eq!(of.longest_down, Some(Interval::new(10, 30)));
        assert_eq!(outages(&targets, Span { start: 0, end: 500 }), [Interval::new(10, 30), Interval::new(45, 55)]);
    }

    #[test]
    fn a_scrape_covers_one_and_a_half_intervals_before_it() {
        let span = Span { start: 0, end: 100 };
        let t = target(&[10, 20, 50, 105], &[1.0, 0.0, 1.0, 1.0], 10);
        let covered = covered_by(&t, span, |_| true);
        assert_eq!(covered, [Interval::new(0, 20), Interval::new(35, 50), Interval::new(90, 100)]);
        assert_eq!(complement(&covered, span), [Interval::new(20, 35), Interval::new(50, 90)]);
        assert_eq!(share(&covered, span), 0.45);
        assert_eq!(downs(&[(1, 0.0), (2, 0.0), (3, 1.0), (4, 0.0)]), [Interval::new(1, 2), Interval::new(4, 4)]);
    }
}
