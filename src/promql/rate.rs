//! `rate` and `increase` of counters (`promql/functions.go: extrapolatedRate`).

use crate::sample::{Samples, is_stale};
use crate::time::{DurationMs, Interval, TimestampMs};
use crate::version::PromVersion;

/// A range selector at an instant: `[end - range, end]` before 3.0, `(end - range, end]` from 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The evaluation instant T.
    pub end: TimestampMs,
    /// The range R, positive.
    pub range: DurationMs,
}

impl Window {
    /// The left edge, T - R; saturates at the ends of time.
    pub fn start(&self) -> TimestampMs {
        self.end.saturating_sub(self.range)
    }

    /// The times that a server asks its storage for, both ends included.
    pub fn query_interval(&self, version: PromVersion) -> Interval {
        let start = if version.left_open() { self.start().saturating_add(1) } else { self.start() };
        Interval { start, end: self.end }
    }

    /// The positions of the window's samples, stale markers still among them.
    pub fn bounds(&self, version: PromVersion, samples: &Samples) -> (usize, usize) {
        let lo =
            if version.left_open() { samples.upper_bound(self.start()) } else { samples.lower_bound(self.start()) };
        (lo, samples.upper_bound(self.end).max(lo))
    }

    /// The samples that the window selects: stale markers are left out, other NaNs stay.
    pub fn select<'a>(
        &self,
        version: PromVersion,
        samples: &'a Samples,
    ) -> impl DoubleEndedIterator<Item = (i64, f64)> + 'a {
        let (lo, hi) = self.bounds(version, samples);
        samples
            .iter()
            .skip(lo)
            .take(hi - lo)
            .filter(|(_, bits)| !is_stale(*bits))
            .map(|(t, bits)| (t, f64::from_bits(bits)))
    }

    /// Go's `Duration.Seconds`: whole seconds plus the rest in nanoseconds over 1e9.
    pub fn range_seconds(&self) -> f64 {
        let whole = self.range / 1000;
        let nanos = (self.range % 1000) * 1_000_000;
        whole as f64 + nanos as f64 / 1e9
    }
}

/// `increase(series[R])`; `None` with fewer than two samples, unless the first one says by its start timestamp that it
/// counts from inside the window.
pub fn increase(version: PromVersion, window: Window, samples: &Samples) -> Option<f64> {
    rated(version, window, samples).map(|(delta, factor)| delta * factor)
}

/// `rate(series[R])`; `None` where [`increase`] has none. Not the increase divided by the range: the factor is.
pub fn rate(version: PromVersion, window: Window, samples: &Samples) -> Option<f64> {
    rated(version, window, samples).map(|(delta, factor)| delta * (factor / window.range_seconds()))
}

/// One sample of a counter with its start timestamp, 0 where none is used.
#[derive(Debug, Clone, Copy)]
struct Point {
    t: i64,
    v: f64,
    start: i64,
}

fn rated(version: PromVersion, window: Window, samples: &Samples) -> Option<(f64, f64)> {
    let (lo, hi) = window.bounds(version, samples);
    let mut selected = (lo..hi).filter_map(|i| {
        let bits = *samples.bits.get(i)?;
        let start = if version.start_timestamps { samples.start(i) } else { 0 };
        (!is_stale(bits)).then_some(Point { t: *samples.ts.get(i)?, v: f64::from_bits(bits), start })
    });
    let first = selected.next()?;
    let mut last = first;
    let mut count = 1usize;
    let mut resets = Vec::new();
    for point in selected {
        if point.v < last.v || is_start_reset(version, last, point) {
            resets.push(last.v);
        }
        last = point;
        count += 1;
    }
    // Upstream starts from the difference of the ends and adds what each reset dropped, in this order.
    let mut delta = last.v - first.v;
    for dropped in resets {
        delta += dropped;
    }
    if first.start != 0 && first.start > window.start() && first.start < first.t {
        return Some((delta + first.v, stretch_from_start(window, first.start, (first.t, last.t), count)));
    }
    if count < 2 {
        return None;
    }
    Some((delta, extrapolate(version, window, (first.t, first.v), last.t, count, delta)))
}

/// Whether the start timestamps of two consecutive samples say that the counter began anew between them
/// (`promql/functions.go: isStartTimestampReset`).
fn is_start_reset(version: PromVersion, before: Point, now: Point) -> bool {
    if now.start == 0 || now.start >= now.t || (version.same_start_is_no_reset() && before.start == now.start) {
        return false;
    }
    match now.start.cmp(&before.t) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        // The start is the sample before: a reset for a series of deltas, whose starts are known.
        std::cmp::Ordering::Equal => before.start != 0 && before.start < before.t,
    }
}

/// The factor where the counter is known to be 0 at `start`: nothing is extrapolated to the left.
fn stretch_from_start(window: Window, start: i64, (first_t, last_t): (i64, i64), count: usize) -> f64 {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let average = if count > 1 { seconds(last_t.wrapping_sub(first_t)) / (count - 1) as f64 } else { 0.0 };
    let mut to_end = seconds(window.end.wrapping_sub(last_t));
    if to_end >= average * 1.1 {
        to_end = average / 2.0;
    }
    let sampled = seconds(last_t.wrapping_sub(start));
    ((sampled + 0.0) + to_end) / sampled
}

/// The factor by which a counter's difference is stretched to the edges of the window. `first` is the first sample,
/// `last_t` the time of the last one, `count` the number of samples (at least 2), `delta` the difference with resets.
pub fn extrapolate(
    version: PromVersion,
    window: Window,
    first: (i64, f64),
    last_t: i64,
    count: usize,
    delta: f64,
) -> f64 {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let mut to_start = seconds(first.0.wrapping_sub(window.start()));
    let mut to_end = seconds(window.end.wrapping_sub(last_t));
    let sampled = seconds(last_t.wrapping_sub(first.0));
    let average = sampled / (count - 1) as f64;
    let threshold = average * 1.1;
    let clamp = |to_start: f64| {
        if delta > 0.0 && first.1 >= 0.0 {
            let to_zero = sampled * (first.1 / delta);
            if to_zero < to_start {
                return to_zero;
            }
        }
        to_start
    };
    if version.clamp_after_threshold() {
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        to_start = clamp(to_start);
    } else {
        to_start = clamp(to_start);
        if to_start >= threshold {
            to_start = average / 2.0;
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    ((sampled + to_start) + to_end) / sampled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::NEWEST;

    #[test]
    fn the_two_orders_of_clamp_and_threshold_differ() {
        // dS >= threshold and avg/2 < dZ < threshold: 2.50 extends to the zero point, 2.51 by half an interval.
        let mut s = Samples::default();
        for (t, v) in [(30_000, 3.0f64), (40_000, 7.0), (50_000, 11.0)] {
            s.push(t, v.to_bits());
        }
        let w = Window { end: 50_000, range: 50_000 };
        let old = increase(PromVersion::new(2, 50), w, &s);
        let new = increase(PromVersion::new(2, 51), w, &s);
        assert_eq!(old, Some(8.0 * (27.5 / 20.0)));
        assert_eq!(new, Some(8.0 * (25.0 / 20.0)));
    }

    #[test]
    fn three_x_leaves_the_left_edge_out() {
        let mut s = Samples::default();
        s.push(0, 1f64.to_bits());
        s.push(15_000, 2f64.to_bits());
        let w = Window { end: 15_000, range: 15_000 };
        assert_eq!(increase(PromVersion::new(2, 55), w, &s), Some(1.0));
        assert_eq!(increase(NEWEST, w, &s), None);
    }
}
