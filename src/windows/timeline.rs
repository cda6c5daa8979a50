//! The hours of a span one by one, and the rolling window over them: what a plot of availability draws.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::error::Result;
use crate::labels::Labels;
use crate::loss::{Ledger, Loss};
use crate::promql::Window;
use crate::samples::{LoadedSeries, Reach, load_selected};
use crate::series::select;
use crate::source::Source;
use crate::time::{DurationMs, Interval, TimestampMs};
use crate::windows::Span;
use crate::windows::availability;
use crate::windows::counted::Proofs;
use crate::windows::requests::{GoodRule, Prepared, Question, prepare};
use crate::windows::semantics::Semantics;
use crate::windows::sliding::Sliding;
use crate::windows::targets::{Coverage, Targets, coverage, outages, restarts_from_counters};
use crate::windows::vitals::latency;

const HOUR_MS: DurationMs = 3_600_000;
/// Behind a loss the next sample is at most so far away, unless nothing was scraped.
const LOOKBACK_MS: DurationMs = 300_000;

/// One hour, or the part of it that lies in the span.
#[derive(Debug, Clone, PartialEq)]
pub struct Hour {
    /// `(start, end]`.
    pub span: Span,
    /// Counted increments by group, in the order of [`Timeline::groups`].
    pub requests: Vec<f64>,
    /// Counted increments of all groups; `None` where no series has a sample, or where some may be lost.
    pub total: Option<f64>,
    /// Those of good requests.
    pub good: f64,
    /// The 0.95 quantile of latency in seconds, by PromQL over the hour; `None` without a result, or where
    /// samples may be lost.
    pub p95_seconds: Option<f64>,
    /// `up` = 1 over all `up` samples of the targets; `None` without any.
    pub up_ratio: Option<f64>,
    /// Share of the hour that was scraped, 0 to 1.
    pub coverage_ratio: f64,
}

/// Everything that is drawn over time.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// The span that is drawn.
    pub span: Span,
    /// The values of the grouping labels, joined by `, `; ascending.
    pub groups: Vec<String>,
    /// In time order, cut at whole hours of UTC.
    pub hours: Vec<Hour>,
    /// Gaps, and each target's scrapes that said 0 and restarts.
    pub coverage: Coverage,
    /// Stretches that were scraped, and in which no scrape of any target said 1.
    pub outages: Vec<Interval>,
    /// The rolling window, every hour, up to `newest`.
    pub rolling: Option<Sliding>,
}

/// Computes the hours of `span`, and windows of the length `rolling_ms` that end every hour, the last one at `newest`.
pub fn evaluate(
    source: &Source,
    question: &Question,
    span: Span,
    newest: TimestampMs,
    rolling_ms: DurationMs,
    semantics: &Semantics,
) -> Result<Timeline> {
    let interval = Interval::new(span.start, span.end);
    let selected = select(source, question.total.matchers());
    let total = load_selected(source, &selected.series, selected.ledger, interval, Reach::WithHistory);
    let refs: Vec<&LoadedSeries> = total.series.iter().collect();
    let targets = Targets::load(source, &refs, span, question.scrape_interval);
    let mut coverage = coverage(&targets, span, &refs);
    let mut losses = source.opening_ledger().losses;
    losses.extend(total.ledger.losses);
    let (proofs, _) = Proofs::gather(source, &targets, &selected.series, interval, &losses);
    let requests = prepare(total.series, span, &proofs);
    let falls = requests.counters.iter().map(|c| (c.labels.clone(), c.falls(span)));
    restarts_from_counters(&mut coverage, &targets, span, falls);

    let mut positions: BTreeMap<String, usize> =
        requests.series.iter().map(|s| (group(&s.labels, &question.by), 0)).collect();
    for (i, position) in positions.values_mut().enumerate() {
        *position = i;
    }
    let hours = hours(span)
        .into_par_iter()
        .map(|hour| {
            let counted = count(&requests, question, &positions, hour);
            let window = Window { end: hour.end, range: semantics.version.parsed_range_ms(hour.length()) };
            // What a figure rests on may be lost: then there is none. What was counted during a loss shows behind it.
            let rests_on = Interval::new(hour.start.saturating_sub(LOOKBACK_MS), hour.end);
            let whole = |losses: &[Loss]| !losses.iter().any(|l| l.touches(&rests_on));
            let mut ledger = Ledger::default();
            let p95_seconds = latency(source, question, window, semantics.version, &mut ledger);
            Hour {
                total: counted.total.filter(|_| whole(&losses)),
                p95_seconds: p95_seconds.filter(|_| whole(&ledger.losses)),
                up_ratio: targets.up_ratio(hour),
                coverage_ratio: scraped(&coverage.gaps, hour),
                ..counted
            }
        })
        .collect();
    let rolling = Question { every: Some(HOUR_MS), ..question.clone() };
    let last = Span { start: newest.saturating_sub(rolling_ms), end: newest };
    Ok(Timeline {
        span,
        groups: positions.into_keys().collect(),
        hours,
        outages: outages(&targets, span),
        coverage,
        rolling: availability::evaluate(source, &rolling, last, semantics.clone())?.sliding,
    })
}

/// The span cut at whole hours of UTC.
fn hours(span: Span) -> Vec<Span> {
    let mut out = Vec::new();
    let mut start = span.start;
    while start < span.end {
        // A start just before a whole hour, for what is of that moment, makes no hour of a millisecond.
        let next = start.saturating_add(1).div_euclid(HOUR_MS).saturating_add(1).saturating_mul(HOUR_MS);
        let end = next.min(span.end);
        out.push(Span { start, end });
        start = end;
    }
    out
}

fn group(labels: &Labels, by: &[String]) -> String {
    let values: Vec<String> = by.iter().map(|name| labels.get_text(name)).collect();
    values.join(", ")
}

fn count(requests: &Prepared, question: &Question, positions: &BTreeMap<String, usize>, hour: Span) -> Hour {
    let mut counted = vec![0.0; positions.len()];
    let (mut any, mut total, mut good) = (false, 0.0, 0.0);
    for c in &requests.counters {
        let w = c.window(hour);
        any |= w.first.is_some();
        total += w.increase;
        if is_good(&question.rule, &c.labels) {
            good += w.increase;
        }
        let position = positions.get(&group(&c.labels, &question.by));
        if let Some(sum) = position.and_then(|p| counted.get_mut(*p)) {
            *sum += w.increase;
        }
    }
    let total = any.then_some(total);
    Hour { span: hour, requests: counted, total, good, p95_seconds: None, up_ratio: None, coverage_ratio: 0.0 }
}

fn is_good(rule: &GoodRule, labels: &Labels) -> bool {
    match rule {
        GoodRule::Preset { good, .. } | GoodRule::Good(good) => good.matches(labels),
        GoodRule::Bad(bad) => !bad.matches(labels),
    }
}

/// The share of `span` that lies in no gap.
fn scraped(gaps: &[Interval], span: Span) -> f64 {
    let inside = |g: &Interval| (g.end.min(span.end)).saturating_sub(g.start.max(span.start)).max(0);
    let uncovered: DurationMs = gaps.iter().map(inside).sum();
    1.0 - uncovered as f64 / span.length().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_clock() {
        let span = Span { start: HOUR_MS - 5, end: 3 * HOUR_MS };
        let edges: Vec<(i64, i64)> = hours(span).iter().map(|h| (h.start, h.end)).collect();
        assert_eq!(edges, [(HOUR_MS - 5, HOUR_MS), (HOUR_MS, 2 * HOUR_MS), (2 * HOUR_MS, 3 * HOUR_MS)]);
        let edges: Vec<i64> = hours(Span { start: HOUR_MS - 1, end: 3 * HOUR_MS }).iter().map(|h| h.start).collect();
        assert_eq!(edges, [HOUR_MS - 1, 2 * HOUR_MS]);
        assert!(hours(Span { start: 7, end: 7 }).is_empty());
        assert_eq!(hours(Span { start: -5, end: 5 }).len(), 2);
    }

    #[test]
    fn gaps_take_their_share() {
        let gaps = [Interval::new(-10, 25), Interval::new(90, 200)];
        assert_eq!(scraped(&gaps, Span { start: 0, end: 100 }), 0.65);
        assert_eq!(scraped(&gaps, Span { start: 30, end: 90 }), 1.0);
    }
}
