//! The availability of one window: the live script's five figures as PromQL gives them, and beside them what the
//! samples prove.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::loss::{Conflict, Loss, counted_noun};
use crate::promql::{self, PromVersion, Window};
use crate::samples::{LoadedSeries, Reach, load_all, load_selected};
use crate::selector::Selector;
use crate::series::{MergedSeries, select};
use crate::source::Source;
use crate::time::{Interval, TimestampMs};
use crate::windows::Span;
use crate::windows::counted::{CountedWindow, Proofs};
use crate::windows::instead::{self, instead};
use crate::windows::requests::{Prepared, Requests, in_sum_order, prepare};
use crate::windows::semantics::Semantics;
use crate::windows::sliding::{self, Sliding};
use crate::windows::targets::{Coverage, Targets, clocks_ahead, coverage, only_target, restarts_from_counters};
use crate::windows::vitals::{health, latency};

pub use crate::windows::requests::{Figures, GoodRule, Question};

/// Increments that cannot be dated or may hide in a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Undatable {
    /// Over all series.
    pub total: f64,
    /// Over good series.
    pub good: f64,
}

/// One group of `--by`.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The values of the grouping labels; absent ones are empty.
    pub labels: Vec<(String, String)>,
    /// `sum(increase(…))` of the group.
    pub exact: Option<f64>,
    /// Counted increments of the group.
    pub counted: f64,
}

/// One selected series in the window.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesFigures {
    /// The series.
    pub labels: Labels,
    /// Counted by its own samples.
    pub counted: CountedWindow,
    /// `increase(series[R])`.
    pub increase: Option<f64>,
}

/// Which figure a loss could change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossEffect {
    /// Good requests that may be missing; infinite where nothing bounds them.
    pub good: f64,
    /// Other requests that may be missing; infinite where nothing bounds them.
    pub bad: f64,
}

/// Everything that a report or a verdict needs.
#[derive(Debug, Clone)]
pub struct Availability {
    /// The window.
    pub span: Span,
    /// Whether the question is the recommender's, whose statuses 200 and 500 have names of their own.
    pub preset: bool,
    /// The rules and why.
    pub semantics: Semantics,
    /// By PromQL.
    pub exact: Figures,
    /// `avg_over_time` of each health series, labels without the name, in label order.
    pub health: Vec<(Labels, f64)>,
    /// The 0.95 quantile of latency in seconds; `None` without a result.
    pub p95_seconds: Option<f64>,
    /// By counted increments.
    pub counted: Figures,
    /// Increments that cannot be dated.
    pub undatable: Undatable,
    /// Groups in order of their labels.
    pub groups: Vec<Group>,
    /// Selected series in label order.
    pub series: Vec<SeriesFigures>,
    /// How much of the window was scraped.
    pub coverage: Coverage,
    /// What losses could change in the figures.
    pub loss_effect: LossEffect,
    /// Losses that touch the window.
    pub losses: Vec<Loss>,
    /// Contradictions between sources inside the window.
    pub conflicts: Vec<Conflict>,
    /// What is there instead, where the question finds nothing.
    pub instead: Vec<String>,
    /// Findings in words.
    pub warnings: Vec<String>,
    /// Findings that need no attention.
    pub notes: Vec<String>,
    /// Samples removed by tombstones in the chunks that were read.
    pub deleted: u64,
    /// Samples that another block repeated with the same bits.
    pub duplicates: u64,
    /// The same window at earlier ends.
    pub sliding: Option<Sliding>,
    /// Times of the selected series in all of the data; `None` where nothing matches.
    pub selected_interval: Option<Interval>,
}

impl Availability {
    /// The figures that decide.
    pub fn deciding(&self) -> Figures {
        if self.semantics.counted { self.counted } else { self.exact }
    }
}

/// Computes everything about the window that ends at `span.end`.
///
/// Errs where merged SOURCEs turn out to be different servers, or where two results would carry the same labels.
pub fn evaluate(source: &Source, question: &Question, span: Span, semantics: Semantics) -> Result<Availability> {
    let version = semantics.version;
    let range = version.parsed_range_ms(span.length());
    let window = Window { end: span.end, range };
    let mut ledger = source.opening_ledger();
    let mut warnings = semantics.warnings.clone();

    let selected = select(source, question.total.matchers());
    let selected_interval = joined_interval(&selected.series);
    let ends = sliding_ends(source, question, span, selected_interval)?;
    let earliest = ends.as_ref().and_then(|e| e.last()).map_or(span.start, |e| e.saturating_sub(span.length()));
    // One millisecond before the window for the closed left edge of 2.x ranges.
    let interval = Interval::new(earliest.min(window.start()), span.end);

    let total = load_selected(source, &selected.series, selected.ledger, interval, Reach::WithHistory);
    let refs: Vec<&LoadedSeries> = total.series.iter().collect();
    let wide = Span { start: earliest, end: span.end };
    let targets = Targets::load(source, &refs, wide, question.scrape_interval);
    let mut coverage = coverage(&targets, span, &refs);
    ledger.absorb(targets.ledger.clone());
    let mut request_losses: Vec<Loss> = ledger.losses.clone();
    request_losses.extend(total.ledger.losses.iter().cloned());
    let (proofs, created) = Proofs::gather(source, &targets, &selected.series, interval, &request_losses);
    ledger.absorb(created);

    let mut load_side = |selector: &Selector| {
        let loaded = load_all(source, selector, interval, Reach::WithHistory);
        request_losses.extend(loaded.ledger.losses.iter().cloned());
        ledger.absorb(loaded.ledger);
        prepare(loaded.series, wide, &proofs)
    };
    let all_of_total = check_sides(source, question, &selected.series, &mut warnings)?;
    let (good, bad) = match &question.rule {
        GoodRule::Preset { good, bad } => (Some(load_side(good)), Some(load_side(bad))),
        GoodRule::Good(good) => (Some(load_side(good)), None),
        GoodRule::Bad(bad) => (None, Some(load_side(bad))),
    };
    ledger.absorb(total.ledger);
    let requests = Requests { order: source.sum_order(), total: prepare(total.series, wide, &proofs), good, bad };

    let health = health(source, question, window, version, &mut ledger, &mut warnings)?;
    let p95_seconds = latency(source, question, window, version, &mut ledger);

    let sliding = ends
        .map(|ends| sliding::evaluate(source, question, &requests, &semantics, &ends, span.length()))
        .transpose()?;

    ledger.settle();
    ledger.check_one_server()?;

    let falls = requests.total.counters.iter().map(|c| (c.labels.clone(), c.falls(span)));
    restarts_from_counters(&mut coverage, &targets, span, falls);
    let around = Interval::new(span.start, span.end);
    let counted = requests.counted(span);
    let undatable = undatable(&requests, &question.rule, span);
    let loss_effect = loss_effect(&request_losses, question, &requests, span);
    let conflicts: Vec<Conflict> = ledger.conflicts.iter().filter(|c| around.contains(c.t_ms)).cloned().collect();
    if let Some(first) = conflicts.first() {
        warnings.push(format!(
            "{} of the window have different values in {} (first: {} at {}); the answer uses those of a full read, a server may have shown others",
            counted_noun(conflicts.len(), "sample", "samples"),
            source.overlapping(),
            first.series,
            crate::time::rfc3339(first.t_ms)
        ));
    }
    warnings.extend(clocks_ahead(&targets, span));
    let mut notes = ledger.notes;
    notes.extend(all_of_total);
    notes.extend(only_target(&coverage));
    if requests.order.by_reference(window.query_interval(version)) {
        notes.push(
            "sums run in the order of the head's series references, as a server's that answers from the head alone"
                .to_owned(),
        );
    }
    let (losses, newer) = concerning(ledger.losses, &around, question.ends_at_newest);
    warnings.extend(newer);
    let series = series_figures(&requests.total, version, window, span);
    Ok(Availability {
        span,
        preset: matches!(question.rule, GoodRule::Preset { .. }),
        exact: requests.exact(version, window),
        health,
        p95_seconds,
        counted,
        undatable,
        groups: groups(&requests, &question.by, version, window, span),
        series,
        coverage,
        loss_effect,
        losses,
        conflicts,
        instead: instead(source, &question.total, selected_interval, span),
        warnings,
        notes,
        deleted: ledger.deleted,
        duplicates: ledger.duplicates,
        sliding,
        selected_interval,
        semantics,
    })
}

/// The losses that touch the window; where its end is the newest sample that could be read, also those that may hold
/// newer ones, and a warning that says so.
pub(super) fn concerning(losses: Vec<Loss>, window: &Interval, ends_at_newest: bool) -> (Vec<Loss>, Option<String>) {
    let newer = |l: &Loss| ends_at_newest && l.interval.is_none_or(|i| i.end > window.end);
    let warning = losses.iter().find(|l| newer(l)).map(|first| {
        format!(
            "the window ends at the newest sample that could be read, and what was lost may be newer ({}); --end chooses another time",
            first.to_line()
        )
    });
    (losses.into_iter().filter(|l| l.touches(window) || newer(l)).collect(), warning)
}

/// The times that the chunks of any of the series cover, as the indexes say.
pub(super) fn joined_interval(series: &[MergedSeries]) -> Option<Interval> {
    series.iter().filter_map(MergedSeries::interval).reduce(Interval::hull)
}

/// The ends T, T - STEP, … of the windows that start at or after the first sample; T itself always.
fn sliding_ends(
    source: &Source,
    question: &Question,
    span: Span,
    selected: Option<Interval>,
) -> Result<Option<Vec<TimestampMs>>> {
    let Some(step) = question.every else {
        return Ok(None);
    };
    let up = joined_interval(&select(source, Selector::metric("up").matchers()).series);
    let first = selected.into_iter().chain(up).map(|i| i.start).min();
    let mut ends = vec![span.end];
    if let Some(first) = first {
        let room = span.start.saturating_sub(first);
        let more = if room < 0 { 0 } else { room / step };
        if more > sliding::MAX_WINDOWS {
            return Err(Error::usage(format!(
                "--every gives {more} windows; at most {} are evaluated",
                sliding::MAX_WINDOWS
            ))
            .hint("choose a longer step"));
        }
        ends.extend((1..=more).map(|k| span.end - k * step));
    }
    Ok(Some(ends))
}

/// A side must be a part of the total, else its share means nothing. One that matches nothing at all may be a slip, and one that
/// matches all of it decides the answer whatever happened, which is returned as a note.
fn check_sides(
    source: &Source,
    question: &Question,
    total: &[MergedSeries],
    warnings: &mut Vec<String>,
) -> Result<Option<String>> {
    let (flag, side, others) = match &question.rule {
        GoodRule::Preset { .. } => return Ok(None),
        GoodRule::Good(side) => ("--good", side, "bad"),
        GoodRule::Bad(side) => ("--bad", side, "good"),
    };
    let found = select(source, side.matchers()).series;
    if let Some(stray) = found.iter().find(|s| !question.total.matches(&s.labels)) {
        return Err(Error::usage(format!("{flag} selects {}, which --total does not", stray.labels)).hint(
            "good and bad requests are parts of the total: repeat its metric and matchers, and add the condition",
        ));
    }
    if found.is_empty() && !total.is_empty() {
        let words = instead::missing(source, side).join("; ");
        warnings.push(format!("{flag} matches nothing in this source: {words}"));
    }
    let is_all = !found.is_empty() && found.len() == total.len();
    Ok(is_all
        .then(|| format!("{flag} matches every series that --total matches, so that no request here can be {others}")))
}

fn series_figures(total: &Prepared, version: PromVersion, window: Window, span: Span) -> Vec<SeriesFigures> {
    let pairs = total.series.iter().zip(&total.counters);
    pairs
        .map(|(s, c)| SeriesFigures {
            labels: s.labels.clone(),
            counted: c.window(span),
            increase: promql::increase(version, window, &s.samples),
        })
        .collect()
}

fn groups(requests: &Requests, by: &[String], version: PromVersion, window: Window, span: Span) -> Vec<Group> {
    /// Increases by PromQL, and the counted sum.
    type Sums = (Vec<f64>, f64);
    let mut groups: BTreeMap<Vec<Box<[u8]>>, Sums> = BTreeMap::new();
    let total = &requests.total;
    let pairs: Vec<_> = total.series.iter().zip(&total.counters).collect();
    for (s, c) in in_sum_order(&requests.order, version, window, &pairs, |(s, _)| s.head_reference) {
        let key = by.iter().map(|name| s.labels.get(name.as_bytes()).into()).collect();
        let (exact, counted) = groups.entry(key).or_default();
        exact.extend(promql::increase(version, window, &s.samples));
        *counted += c.window(span).increase;
    }
    groups
        .into_iter()
        .map(|(key, (exact, counted))| Group {
            labels: by
                .iter()
                .zip(key)
                .map(|(name, value)| (name.clone(), String::from_utf8_lossy(&value).into_owned()))
                .collect(),
            exact: promql::sum(version, exact),
            counted,
        })
        .collect()
}

fn undatable(requests: &Requests, rule: &GoodRule, span: Span) -> Undatable {
    let of = |p: &Prepared| p.counters.iter().map(|c| c.window(span)).map(|w| w.undatable).sum::<f64>();
    let total = of(&requests.total);
    let good = match rule {
        GoodRule::Preset { .. } | GoodRule::Good(_) => requests.good.as_ref().map_or(0.0, of),
        GoodRule::Bad(_) => total - requests.bad.as_ref().map_or(0.0, of),
    };
    Undatable { total, good }
}

/// What the losses could change: nothing where a counter has samples on both sides inside the window and did not
/// restart between them, since its difference counts the lost increments too; at most the difference where one of
/// these samples lies outside the window; anything otherwise.
fn loss_effect(losses: &[Loss], question: &Question, requests: &Requests, span: Span) -> LossEffect {
    let around = Interval::new(span.start, span.end);
    let mut effect = LossEffect { good: 0.0, bad: 0.0 };
    let mut seen: Vec<&Loss> = Vec::new();
    for loss in losses.iter().filter(|l| l.touches(&around)) {
        if seen.contains(&loss) {
            continue;
        }
        seen.push(loss);
        let Some(labels) = &loss.series else {
            effect = LossEffect { good: f64::INFINITY, bad: f64::INFINITY };
            continue;
        };
        let is_good = match &question.rule {
            GoodRule::Preset { good, .. } | GoodRule::Good(good) => good.matches(labels),
            GoodRule::Bad(bad) => question.total.matches(labels) && !bad.matches(labels),
        };
        let is_bad = !is_good
            && (question.total.matches(labels) || matches!(&question.rule, GoodRule::Bad(bad) if bad.matches(labels)));
        if !is_good && !is_bad {
            continue;
        }
        let amount = requests
            .total
            .counters
            .iter()
            .find(|c| c.labels == *labels)
            .and_then(|c| loss.interval.and_then(|i| c.bounded_by(i.start, i.end)))
            .map_or(
                f64::INFINITY,
                |((from, a), (to, b))| {
                    if span.start <= from && to <= span.end { 0.0 } else { b - a }
                },
            );
        if is_good {
            effect.good += amount;
        } else {
            effect.bad += amount;
        }
    }
    effect
}
