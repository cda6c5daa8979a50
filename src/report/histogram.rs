//! Native histograms as text and as JSON.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::promql::format_shortest;
use crate::report::python::exact;
use crate::tsdb::chunkenc::histogram::{CUSTOM_BOUNDS, Counts, FINEST, HistogramSample, Layout, ResetHint, Span};

/// Buckets that are not empty: index and count as Go prints it.
type Buckets = Vec<(i64, String)>;

/// As `Histogram.String` and `FloatHistogram.String` upstream print it: count, sum, and every bucket that is not empty
/// (`model/histogram`). Histograms with custom bounds have no zero bucket; where one counts all the same, upstream panics.
pub fn text(sample: &HistogramSample) -> String {
    let layout = &sample.layout;
    let double = |bits: u64| format_shortest(f64::from_bits(bits));
    let (count, zero, positive, negative) = match &sample.counts {
        Counts::Int { count, zero, positive, negative } => {
            let shown = |n: &i64| (*n != 0).then(|| (*n as u64).to_string());
            (
                count.to_string(),
                (*zero != 0).then(|| zero.to_string()),
                filled(&layout.positive_spans, positive, shown),
                filled(&layout.negative_spans, negative, shown),
            )
        }
        Counts::Float { count, zero, positive, negative } => {
            let shown = |n: &u64| (f64::from_bits(*n) != 0.0).then(|| double(*n));
            (
                double(*count),
                shown(zero),
                filled(&layout.positive_spans, positive, shown),
                filled(&layout.negative_spans, negative, shown),
            )
        }
    };
    let mut out = format!("{{count:{count}, sum:{}", double(sample.sum));
    for (index, n) in negative.iter().rev() {
        let (lower, upper) = (-bound(layout, *index), -bound(layout, index.saturating_sub(1)));
        out.push_str(&bucket(layout, *index, lower, upper, n));
    }
    if let Some(n) = zero {
        let width = f64::from_bits(layout.zero_threshold);
        out.push_str(&format!(", [{},{}]:{n}", format_shortest(-width), format_shortest(width)));
    }
    for (index, n) in &positive {
        let (lower, upper) = (bound(layout, index.saturating_sub(1)), bound(layout, *index));
        out.push_str(&bucket(layout, *index, lower, upper, n));
    }
    out.push('}');
    out
}

fn bucket(layout: &Layout, index: i64, lower: f64, upper: f64, count: &str) -> String {
    let custom = layout.schema == CUSTOM_BOUNDS;
    let (lower_in, upper_in) = if custom { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
    format!(
        ", {}{},{}{}:{count}",
        if lower_in { '[' } else { '(' },
        format_shortest(lower),
        format_shortest(upper),
        if upper_in { ']' } else { ')' },
    )
}

fn filled<T>(spans: &[Span], counts: &[T], shown: impl Fn(&T) -> Option<String>) -> Buckets {
    let mut out = Vec::new();
    let (mut index, mut counts) = (0i64, counts.iter());
    for span in spans {
        index = index.saturating_add(i64::from(span.offset));
        for n in counts.by_ref().take(span.length as usize) {
            out.extend(shown(n).map(|n| (index, n)));
            index = index.saturating_add(1);
        }
    }
    out
}

/// The upper end of the bucket with this index (`model/histogram/generic.go: getBound`).
fn bound(layout: &Layout, index: i64) -> f64 {
    match layout.schema {
        CUSTOM_BOUNDS => match usize::try_from(index) {
            Ok(i) => layout.custom_bounds.get(i).map_or(f64::INFINITY, |b| f64::from_bits(*b)),
            Err(_) => f64::NEG_INFINITY,
        },
        schema if schema < 0 => power(0.5, index.saturating_mul(1 << schema.unsigned_abs().min(9)).saturating_add(1)),
        schema => {
            let schema = schema.min(FINEST);
            let fraction = (index & ((1 << schema) - 1)) << (FINEST - schema);
            let fraction = usize::try_from(fraction).ok().and_then(|i| fractions().get(i)).copied().unwrap_or(0.5);
            power(fraction, (index >> schema) + 1)
        }
    }
}

/// `fraction`, from 0.5 on and below 1, times two to the `exponent`. The bound above the greatest double is that double,
/// so that only infinities lie beyond it.
fn power(fraction: f64, exponent: i64) -> f64 {
    let two_to = |n: i64| f64::from_bits(((n + 1023) as u64) << 52);
    match exponent - 1 {
        1024 if fraction == 0.5 => f64::MAX,
        1024.. => f64::INFINITY,
        n @ -1022..1024 => fraction * 2.0 * two_to(n),
        // Subnormal: the one multiplication that rounds is the last.
        n @ -1075..-1022 => fraction * 2.0 * two_to(n + 53) * two_to(-53),
        _ => 0.0,
    }
}

/// The bounds from 0.5 to 1 of the finest schema; coarser ones have every second of them, every fourth and so on. They are
/// not the doubles next to 2^(i/256 - 1): upstream reckoned each schema's odd ones from the even ones with its factor
/// 2^(2^-schema), and these are the doubles that this gives.
fn fractions() -> &'static [f64] {
    static FRACTIONS: OnceLock<Vec<f64>> = OnceLock::new();
    FRACTIONS.get_or_init(|| {
        let mut root = 2f64;
        (1..=FINEST).fold(vec![0.5], |coarser, schema| {
            root = root.sqrt();
            // Go's Exp2 gives the square root of two one unit too low, the finer roots exactly.
            let factor = if schema == 1 { root.next_down() } else { root };
            coarser.iter().flat_map(|even| [*even, even * factor]).collect()
        })
    })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn layout(schema: i32) -> Layout {
        Layout { schema, ..Layout::default() }
    }

    fn sample(layout: Layout, sum: f64, counts: Counts) -> HistogramSample {
        let (hint, layout) = (ResetHint::Unknown, Arc::new(layout));
        HistogramSample { t_ms: 0, start_ms: 0, sum: sum.to_bits(), hint, layout, counts }
    }

    #[test]
    fn bounds_are_the_doubles_of_the_library() {
        // `schema index bits`, from Bucket.Upper in model/histogram of v3.16.0.
        let golden = include_str!("../../tests/it/golden/histogram-bounds.txt");
        let lines: Vec<&str> = golden.lines().filter(|l| !l.starts_with('#')).collect();
        assert!(lines.len() > 511);
        for line in lines {
            let fields: Vec<&str> = line.split(' ').collect();
            let [schema, index, bits] = fields[..] else { unreachable!() };
            let upper = bound(&layout(schema.parse().unwrap_or(99)), index.parse().unwrap_or(-1));
            assert_eq!(format!("{:016x}", upper.to_bits()), bits, "{line}");
        }
    }

    #[test]
    fn counts_are_printed_as_the_numbers_that_they_are() {
        let spans = vec![Span { offset: 0, length: 2 }];
        let shown = Layout { positive_spans: spans.clone(), negative_spans: spans, ..layout(0) };
        let counts = Counts::Int {
            count: u64::MAX,
            zero: (1 << 53) + 1,
            positive: vec![9_007_199_254_740_993, 0],
            negative: vec![1, 1_000_000],
        };
        assert_eq!(
            text(&sample(Layout { zero_threshold: 0.001f64.to_bits(), ..shown.clone() }, 1e6, counts)),
            "{count:18446744073709551615, sum:1e+06, [-2,-1):1000000, [-1,-0.5):1, [-0.001,0.001]:9007199254740993, (0.5,1]:9007199254740993}"
        );
        let bits = |list: &[f64]| list.iter().map(|v| v.to_bits()).collect();
        let counts = Counts::Float {
            count: 1e21f64.to_bits(),
            zero: 2.5f64.to_bits(),
            positive: bits(&[1e6, f64::NAN]),
            negative: bits(&[-0.0, 0.1]),
        };
        assert_eq!(
            text(&sample(shown, f64::NEG_INFINITY, counts)),
            "{count:1e+21, sum:-Inf, [-2,-1):0.1, [-0,0]:2.5, (0.5,1]:1e+06, (1,2]:NaN}"
        );
    }

    #[test]
    fn custom_buckets_and_nothing_at_all() {
        let bounds = [0.5f64, 1.0].map(f64::to_bits).to_vec();
        let spans = vec![Span { offset: 0, length: 3 }];
        let custom = Layout { custom_bounds: bounds, positive_spans: spans, ..layout(CUSTOM_BOUNDS) };
        let counts = Counts::Int { count: 6, zero: 0, positive: vec![1, 2, 3], negative: vec![] };
        assert_eq!(text(&sample(custom, 2.5, counts)), "{count:6, sum:2.5, [-Inf,0.5]:1, (0.5,1]:2, (1,+Inf]:3}");
        let stale = f64::from_bits(crate::sample::STALE_NAN_BITS);
        let counts = Counts::Float { count: 0, zero: 0, positive: vec![], negative: vec![] };
        assert_eq!(text(&sample(Layout::default(), stale, counts)), "{count:0, sum:NaN}");
    }
}
