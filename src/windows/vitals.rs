//! Health and latency beside the requests: a mean over time and a quantile of classic buckets.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::loss::Ledger;
use crate::promql::{self, Bucket, PromVersion, Window};
use crate::samples::{Reach, load_all};
use crate::source::Source;
use crate::time::Interval;
use crate::windows::requests::{Question, in_sum_order};

/// The quantile of the live script.
pub const LATENCY_QUANTILE: f64 = 0.95;

/// `avg_over_time` of every health series, in label order. Errs where two results would carry the same labels.
pub(super) fn health(
    source: &Source,
    question: &Question,
    window: Window,
    version: PromVersion,
    ledger: &mut Ledger,
    warnings: &mut Vec<String>,
) -> Result<Vec<(Labels, f64)>> {
    let Some(selector) = &question.health else {
        return Ok(Vec::new());
    };
    let loaded = load_all(source, selector, Interval::new(window.start(), window.end), Reach::Exact);
    ledger.absorb(loaded.ledger);
    let mut out: Vec<(Labels, f64)> = Vec::new();
    for s in &loaded.series {
        if let Some(v) = promql::avg_over_time(version, window.select(version, &s.samples).map(|(_, v)| v)) {
            out.push((s.labels.without_name(), v));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some([(twice, _), _]) = out.windows(2).find(|w| matches!(w, [a, b] if a.0 == b.0)) {
        return Err(Error::usage(format!("--health selects two series that differ in their name only: {twice}"))
            .hint("PromQL refuses that too; select one metric name"));
    }
    if out.len() > 1 {
        warnings.push(format!(
            "{} health series; metrics.avg_health_status is the first in label order, exact.avg_health_status has all",
            out.len()
        ));
    }
    Ok(out)
}

/// Health (the first series) and latency of another window of the same length.
pub(super) fn health_and_latency(
    source: &Source,
    question: &Question,
    window: Window,
    version: PromVersion,
) -> Result<(Option<f64>, Option<f64>)> {
    let mut ledger = Ledger::default();
    let health = health(source, question, window, version, &mut ledger, &mut Vec::new())?;
    Ok((health.first().map(|h| h.1), latency(source, question, window, version, &mut ledger)))
}

/// `histogram_quantile(0.95, sum(rate(SELECTOR[R])) by (le))`.
pub(super) fn latency(
    source: &Source,
    question: &Question,
    window: Window,
    version: PromVersion,
    ledger: &mut Ledger,
) -> Option<f64> {
    let selector = question.latency.as_ref()?;
    let loaded = load_all(source, selector, Interval::new(window.start(), window.end), Reach::Exact);
    ledger.absorb(loaded.ledger);
    // Groups keep the order of their first series, as the engine's results do.
    let mut les: Vec<&[u8]> = Vec::new();
    let mut rates: BTreeMap<&[u8], Vec<f64>> = BTreeMap::new();
    for s in in_sum_order(&source.sum_order(), version, window, &loaded.series, |s| s.head_reference) {
        if let Some(rate) = promql::rate(version, window, &s.samples) {
            let le = s.labels.get(b"le");
            let group = rates.entry(le).or_default();
            if group.is_empty() {
                les.push(le);
            }
            group.push(rate);
        }
    }
    let mut buckets = Vec::new();
    for le in les {
        let count = rates.get(le).and_then(|r| promql::sum(version, r.iter().copied()));
        if let (Some(upper_bound), Some(count)) = (promql::parse_float(le), count) {
            buckets.push(Bucket { upper_bound, count });
        }
    }
    promql::histogram_quantile(version, LATENCY_QUANTILE, buckets)
}
