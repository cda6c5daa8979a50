//! The same window at many ends, in parallel: what a dashboard's rolling availability would have shown.
//!
//! Each window costs O(log samples + resets inside) per selected series, whatever its length: first and last sample by
//! bisection, resets from a list made once.

use rayon::prelude::*;

use crate::error::Result;
use crate::promql::{PromVersion, Window, extrapolate};
use crate::sample::is_stale;
use crate::samples::LoadedSeries;
use crate::source::{Source, SumOrder};
use crate::time::{DurationMs, TimestampMs};
use crate::windows::Span;
use crate::windows::requests::{Figures, Prepared, Question, Requests, in_sum_order};
use crate::windows::semantics::Semantics;
use crate::windows::vitals::health_and_latency;

/// The most windows that one command evaluates.
pub const MAX_WINDOWS: i64 = 2_000_000;

/// One of the windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlidingWindow {
    /// Its end; its start is the window's length before.
    pub end_ms: TimestampMs,
    /// The figures that decide.
    pub figures: Figures,
}

/// A window with its further figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Detailed {
    /// The window.
    pub window: SlidingWindow,
    /// `avg_over_time` of the first health series.
    pub health: Option<f64>,
    /// The 0.95 quantile of latency in seconds.
    pub p95_seconds: Option<f64>,
}

/// All windows, newest first as evaluated; reports show them in time order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sliding {
    /// The step between ends.
    pub step_ms: DurationMs,
    /// The length of each window.
    pub length_ms: DurationMs,
    /// In time order.
    pub windows: Vec<SlidingWindow>,
    /// The lowest ratio; the earliest of equals. `None` where no window has requests.
    pub worst: Option<Detailed>,
    /// The highest ratio; the earliest of equals.
    pub best: Option<Detailed>,
    /// The window of the question itself.
    pub last: Option<Detailed>,
}

/// Evaluates the windows that end at `ends` (newest first).
pub(super) fn evaluate(
    source: &Source,
    question: &Question,
    requests: &Requests,
    semantics: &Semantics,
    ends: &[TimestampMs],
    length: DurationMs,
) -> Result<Sliding> {
    let version = semantics.version;
    let range = version.parsed_range_ms(length);
    let total = Indexed::of(&requests.total);
    let good = requests.good.as_ref().map(Indexed::of);
    let bad = requests.bad.as_ref().map(Indexed::of);
    let mut windows: Vec<SlidingWindow> = ends
        .par_iter()
        .map(|end| {
            let figures = if semantics.counted {
                requests.counted(Span { start: end.saturating_sub(length), end: *end })
            } else {
                let window = Window { end: *end, range };
                let of = |p: &Indexed<'_>| p.increase_sum(&requests.order, version, window);
                Requests::complete(of(&total), good.as_ref().map(of), bad.as_ref().map(of))
            };
            SlidingWindow { end_ms: *end, figures }
        })
        .collect();
    windows.reverse();
    let extreme = |better: fn(f64, f64) -> bool| {
        let mut found: Option<(f64, SlidingWindow)> = None;
        for w in &windows {
            if let Some(ratio) = w.figures.ratio().filter(|r| !r.is_nan())
                && found.is_none_or(|(r, _)| better(ratio, r))
            {
                found = Some((ratio, *w));
            }
        }
        found.map(|(_, w)| w)
    };
    let detail = |w: Option<SlidingWindow>| -> Result<Option<Detailed>> {
        let Some(window) = w else { return Ok(None) };
        let (health, p95_seconds) =
            health_and_latency(source, question, Window { end: window.end_ms, range }, version)?;
        Ok(Some(Detailed { window, health, p95_seconds }))
    };
    Ok(Sliding {
        step_ms: question.every.unwrap_or_default(),
        length_ms: length,
        worst: detail(extreme(|a, b| a < b))?,
        best: detail(extreme(|a, b| a > b))?,
        last: detail(windows.last().copied())?,
        windows,
    })
}

/// Series whose stale markers were taken out and whose resets were listed once.
struct Indexed<'a>(Vec<IndexedSeries<'a>>);

struct IndexedSeries<'a> {
    ts: std::borrow::Cow<'a, [TimestampMs]>,
    bits: std::borrow::Cow<'a, [u64]>,
    /// Positions whose value is below the one before, ascending.
    resets: Vec<usize>,
    series: &'a LoadedSeries,
}

impl Indexed<'_> {
    fn of(prepared: &Prepared) -> Indexed<'_> {
        Indexed(prepared.series.par_iter().map(IndexedSeries::of).collect())
    }

    /// `sum(increase(…[R]))`, the same bits as [`Prepared::exact`].
    fn increase_sum(&self, order: &SumOrder, version: PromVersion, window: Window) -> Option<f64> {
        let series = in_sum_order(order, version, window, &self.0, |s| s.series.head_reference);
        crate::promql::sum(version, series.into_iter().filter_map(|s| s.increase(version, window)))
    }
}

impl IndexedSeries<'_> {
    fn of(series: &LoadedSeries) -> IndexedSeries<'_> {
        let (ts, bits): (std::borrow::Cow<'_, [i64]>, std::borrow::Cow<'_, [u64]>) =
            if series.samples.bits.iter().any(|b| is_stale(*b)) {
                let (ts, bits): (Vec<i64>, Vec<u64>) = series.samples.iter().filter(|(_, b)| !is_stale(*b)).unzip();
                (ts.into(), bits.into())
            } else {
                ((&series.samples.ts[..]).into(), (&series.samples.bits[..]).into())
            };
        let values = bits.windows(2).enumerate();
        let resets = values
            .filter(|(_, w)| matches!(w, [a, b] if f64::from_bits(*b) < f64::from_bits(*a)))
            .map(|(i, _)| i + 1)
            .collect();
        IndexedSeries { ts, bits, resets, series }
    }

    fn increase(&self, version: PromVersion, window: Window) -> Option<f64> {
        // Resets that start timestamps tell are not among those that were listed.
        if version.start_timestamps {
            return crate::promql::increase(version, window, &self.series.samples);
        }
        let start = window.start();
        let lo = self.ts.partition_point(|t| if version.left_open() { *t <= start } else { *t < start });
        let hi = self.ts.partition_point(|t| *t <= window.end);
        if hi < lo + 2 {
            return None;
        }
        let value = |i: usize| self.bits.get(i).map(|b| f64::from_bits(*b));
        let (first, last) = (value(lo)?, value(hi - 1)?);
        let mut delta = last - first;
        let from = self.resets.partition_point(|i| *i <= lo);
        for i in self.resets.get(from..).unwrap_or_default().iter().take_while(|i| **i < hi) {
            delta += value(i - 1)?;
        }
        let (first_t, last_t) = (*self.ts.get(lo)?, *self.ts.get(hi - 1)?);
        Some(delta * extrapolate(version, window, (first_t, first), last_t, hi - lo, delta))
    }
}
