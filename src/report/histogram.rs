//! Native histograms as text and as JSON.

use serde_json::{Value, json};

use crate::promql::format_shortest;
use crate::report::python::exact;
use crate::tsdb::chunkenc::histogram::{CUSTOM_BOUNDS, Counts, HistogramSample, Layout, ResetHint, Span};

/// A bucket: its index, its count.
type Buckets<T> = Vec<(i64, T)>;

/// As `Histogram.String` and `FloatHistogram.String` upstream print it: count, sum, and every bucket that is not empty
/// (`model/histogram`).
pub fn text(sample: &HistogramSample) -> String {
    let layout = &sample.layout;
    let double = |bits: u64| f64::from_bits(bits);
    let (count, zero, positive, negative): (String, f64, Buckets<f64>, Buckets<f64>) = match &sample.counts {
        Counts::Int { count, zero, positive, negative } => (
            count.to_string(),
            *zero as f64,
            indexed(&layout.positive_spans, positive, |n| *n as f64),
            indexed(&layout.negative_spans, negative, |n| *n as f64),
        ),
        Counts::Float { count, zero, positive, negative } => (
            format_shortest(double(*count)),
            double(*zero),
            indexed(&layout.positive_spans, positive, |n| double(*n)),
            indexed(&layout.negative_spans, negative, |n| double(*n)),
        ),
    };
    let mut out = format!("{{count:{count}, sum:{}", format_shortest(double(sample.sum)));
    for (index, n) in negative.iter().rev().filter(|(_, n)| *n != 0.0) {
        let (lower, upper) = (-bound(layout, *index), -bound(layout, index - 1));
        out.push_str(&format!(", {}", bucket(layout, *index, lower, upper, *n)));
    }
    if zero != 0.0 {
        let width = format_shortest(double(layout.zero_threshold));
        out.push_str(&format!(", [-{width},{width}]:{}", format_shortest(zero)));
    }
    for (index, n) in positive.iter().filter(|(_, n)| *n != 0.0) {
        let (lower, upper) = (bound(layout, index - 1), bound(layout, *index));
        out.push_str(&format!(", {}", bucket(layout, *index, lower, upper, *n)));
    }
    out.push('}');
    out
}

fn bucket(layout: &Layout, index: i64, lower: f64, upper: f64, count: f64) -> String {
    let custom = layout.schema == CUSTOM_BOUNDS;
    let (lower_in, upper_in) = if custom { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
    format!(
        "{}{},{}{}:{}",
        if lower_in { '[' } else { '(' },
        format_shortest(lower),
        format_shortest(upper),
        if upper_in { ']' } else { ')' },
        format_shortest(count)
    )
}

fn indexed<T, U>(spans: &[Span], counts: &[T], value: impl Fn(&T) -> U) -> Buckets<U> {
    let mut out = Vec::new();
    let (mut index, mut counts) = (0i64, counts.iter());
    for (i, span) in spans.iter().enumerate() {
        index = if i == 0 { i64::from(span.offset) } else { index.saturating_add(i64::from(span.offset)) };
        for n in counts.by_ref().take(span.length as usize) {
            out.push((index, value(n)));
            index += 1;
        }
    }
    out
}

/// The upper end of the bucket with this index (`model/histogram/generic.go: getBound`).
fn bound(layout: &Layout, index: i64) -> f64 {
    if layout.schema == CUSTOM_BOUNDS {
        return match usize::try_from(index) {
            Ok(i) => layout.custom_bounds.get(i).map_or(f64::INFINITY, |b| f64::from_bits(*b)),
            Err(_) => f64::NEG_INFINITY,
        };
    }
    let exponent = index as f64 * f64::from(-layout.schema).exp2();
    if exponent == 1024.0 { f64::MAX } else { exponent.exp2() }
}

/// Every field, exact: counts of integer histograms as numbers, doubles as numbers where JSON has them.
pub fn object(sample: &HistogramSample) -> Value {
    let layout = &sample.layout;
    let spans = |list: &[Span]| -> Value { list.iter().map(|s| json!([s.offset, s.length])).collect() };
    let double = |bits: &u64| exact(Some(f64::from_bits(*bits)));
    let list = |bits: &[u64]| -> Value { bits.iter().map(double).collect() };
    let (kind, count, zero, positive, negative) = match &sample.counts {
        Counts::Int { count, zero, positive, negative } => {
            ("int", json!(count), json!(zero), json!(positive), json!(negative))
        }
        Counts::Float { count, zero, positive, negative } => {
            ("float", double(count), double(zero), list(positive), list(negative))
        }
    };
    json!({
        "kind": kind,
        "schema": layout.schema,
        "count": count,
        "sum": double(&sample.sum),
        "zero_threshold": double(&layout.zero_threshold),
        "zero_count": zero,
        "positive_spans": spans(&layout.positive_spans),
        "positive_buckets": positive,
        "negative_spans": spans(&layout.negative_spans),
        "negative_buckets": negative,
        "custom_bounds": list(&layout.custom_bounds),
        "reset_hint": match sample.hint {
            ResetHint::Unknown => "unknown",
            ResetHint::Reset => "reset",
            ResetHint::NotReset => "not",
            ResetHint::Gauge => "gauge",
        },
    })
}
