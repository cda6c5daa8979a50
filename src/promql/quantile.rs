//! `histogram_quantile` on classic buckets (`promql/quantile.go: BucketQuantile`).

use crate::gosort;
use crate::version::PromVersion;

/// A cumulative bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The bound `le`.
    pub upper_bound: f64,
    /// Observations up to it.
    pub count: f64,
}

/// The `q` quantile of buckets in the order of their series, or NaN where PromQL gives NaN. Buckets whose `le` does
/// not parse have been left out already; a bound of NaN is dropped here where the release does so.
///
/// `None` only when no bucket is left, which has no result at all.
pub fn histogram_quantile(version: PromVersion, q: f64, mut buckets: Vec<Bucket>) -> Option<f64> {
    if version.drops_nan_bound() {
        buckets.retain(|b| !b.upper_bound.is_nan());
    }
    if buckets.is_empty() {
        return None;
    }
    if q.is_nan() {
        return Some(f64::NAN);
    } else if q < 0.0 {
        return Some(f64::NEG_INFINITY);
    } else if q > 1.0 {
        return Some(f64::INFINITY);
    }
    gosort::sort_by(&mut buckets, |a, b| {
        a.upper_bound.partial_cmp(&b.upper_bound).unwrap_or(std::cmp::Ordering::Equal)
    });
    if buckets.last().is_none_or(|b| b.upper_bound != f64::INFINITY) {
        return Some(f64::NAN);
    }
    let mut buckets = coalesce(&buckets);
    if version.tolerant_buckets() {
        level_small_differences(&mut buckets);
    } else {
        running_maximum(&mut buckets);
    }
    Some(interpolate(q, &buckets))
}

/// Buckets of equal bounds are one bucket.
fn coalesce(buckets: &[Bucket]) -> Vec<Bucket> {
    let mut out: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for b in buckets {
        match out.last_mut() {
            Some(last) if last.upper_bound == b.upper_bound => last.count += b.count,
            _ => out.push(*b),
        }
    }
    out
}

/// Up to 2.48: counts never decrease.
fn running_maximum(buckets: &mut [Bucket]) {
    let Some((first, rest)) = buckets.split_first() else {
        return;
    };
    let (mut max, after) = (first.count, rest.len());
    let from = buckets.len() - after;
    for b in buckets.iter_mut().skip(from) {
        if b.count > max {
            max = b.count;
        } else if b.count < max {
            b.count = max;
        }
    }
}

/// From 2.49: decreases are levelled, and so are differences of 1e-12 relative in either direction.
fn level_small_differences(buckets: &mut [Bucket]) {
    let Some((first, rest)) = buckets.split_first_mut() else {
        return;
    };
    let mut previous = first.count;
    for b in rest {
        if b.count == previous {
            continue;
        }
        if almost_equal(previous, b.count) || b.count < previous {
            b.count = previous;
            continue;
        }
        previous = b.count;
    }
}

/// `util/almost` with the tolerance of buckets.
fn almost_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

fn interpolate(q: f64, buckets: &[Bucket]) -> f64 {
    let [inner @ .., last] = buckets else {
        return f64::NAN;
    };
    let Some(second_highest) = inner.last() else {
        return f64::NAN;
    };
    if last.count == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * last.count;
    // Go's sort.Search: the same bisection, whatever NaN counts do to the order.
    let (mut lo, mut hi) = (0, inner.len());
    while lo < hi {
        let mid = (lo + hi) / 2;
        if inner.get(mid).is_some_and(|b| b.count >= rank) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    let Some(bucket) = inner.get(lo) else {
        return second_highest.upper_bound;
    };
    match lo.checked_sub(1).and_then(|i| inner.get(i)) {
        None if bucket.upper_bound <= 0.0 => bucket.upper_bound,
        None => 0.0 + (bucket.upper_bound - 0.0) * (rank / bucket.count),
        Some(below) => {
            let count = bucket.count - below.count;
            rank -= below.count;
            below.upper_bound + (bucket.upper_bound - below.upper_bound) * (rank / count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::NEWEST;

    fn buckets(of: &[(f64, f64)]) -> Vec<Bucket> {
        of.iter().map(|(upper_bound, count)| Bucket { upper_bound: *upper_bound, count: *count }).collect()
    }

    #[test]
    fn edges_of_the_definition() {
        let q = |b: &[(f64, f64)]| histogram_quantile(NEWEST, 0.5, buckets(b));
        assert_eq!(q(&[]), None);
        assert!(q(&[(1.0, 5.0)]).unwrap().is_nan(), "no +Inf bucket");
        assert!(q(&[(f64::INFINITY, 5.0)]).unwrap().is_nan(), "only +Inf");
        assert!(q(&[(1.0, 0.0), (f64::INFINITY, 0.0)]).unwrap().is_nan(), "nothing observed");
        assert_eq!(q(&[(1.0, 0.0), (f64::INFINITY, 9.0)]), Some(1.0), "all in the last bucket");
        assert_eq!(q(&[(f64::INFINITY, 10.0), (2.0, 8.0), (1.0, 2.0)]), Some(1.5), "unsorted");
        assert_eq!(q(&[(-1.0, 9.0), (f64::INFINITY, 10.0)]), Some(-1.0), "first bound not positive");
        assert_eq!(q(&[(1.0, 4.0), (1.0, 4.0), (f64::INFINITY, 8.0)]), Some(0.5), "equal bounds add up");
        assert_eq!(q(&[(f64::NAN, 4.0)]), None, "3.16 drops NaN bounds");
    }

    #[test]
    fn a_nan_total_gives_the_second_highest_bound() {
        assert_eq!(
            histogram_quantile(NEWEST, 0.5, buckets(&[(1.0, 2.0), (2.0, 3.0), (f64::INFINITY, f64::NAN)])),
            Some(2.0)
        );
    }
}
