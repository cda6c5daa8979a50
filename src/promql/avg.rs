//! `avg_over_time` (`promql/functions.go: funcAvgOverTime`).

use super::sum::neumaier;
use crate::version::{AvgRule, PromVersion};

/// The mean of the values of one window in time order; `None` of an empty window.
pub fn avg_over_time(version: PromVersion, values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values = values.into_iter().peekable();
    values.peek()?;
    Some(match version.avg_rule() {
        AvgRule::Incremental => incremental(values, false),
        AvgRule::IncrementalInf => incremental(values, true),
        AvgRule::DirectTogether => direct_together(values),
        AvgRule::DirectApart => direct_apart(values),
    })
}

/// Whether an infinite mean swallows the next value unchanged.
fn swallowed(mean: f64, v: f64) -> bool {
    mean.is_infinite() && ((v.is_infinite() && (mean > 0.0) == (v > 0.0)) || (!v.is_infinite() && !v.is_nan()))
}

fn incremental(values: impl Iterator<Item = f64>, inf_drops: bool) -> f64 {
    let (mut mean, mut count, mut c) = (0.0, 0.0, 0.0);
    for v in values {
        count += 1.0;
        if swallowed(mean, v) {
            continue;
        }
        (mean, c) = neumaier(v / count - mean / count, mean, c, inf_drops);
    }
    if mean.is_infinite() { mean } else { mean + c }
}

fn direct_together(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut mean, mut count, mut c) = (0.0, 0.0, 0.0, 0.0);
    let mut by_mean = false;
    for v in values {
        count += 1.0;
        if !by_mean {
            let (new_sum, new_c) = neumaier(v, sum, c, true);
            if count == 1.0 || !f64::is_infinite(new_sum) {
                (sum, c) = (new_sum, new_c);
                continue;
            }
            by_mean = true;
            mean = sum / (count - 1.0);
            c /= count - 1.0;
        }
        if swallowed(mean, v) {
            continue;
        }
        let corrected = mean + c;
        (mean, c) = neumaier(v / count - corrected / count, mean, c, true);
    }
    if by_mean { mean + c } else { (sum + c) / count }
}

fn direct_apart(mut values: impl Iterator<Item = f64>) -> f64 {
    let mut sum = values.next().unwrap_or(f64::NAN);
    let (mut mean, mut count, mut c) = (0.0, 1.0, 0.0);
    let mut by_mean = false;
    for v in values {
        count += 1.0;
        if !by_mean {
            let (new_sum, new_c) = neumaier(v, sum, c, true);
            if !new_sum.is_infinite() {
                (sum, c) = (new_sum, new_c);
                continue;
            }
            by_mean = true;
            mean = sum / (count - 1.0);
            c /= count - 1.0;
        }
        let q = (count - 1.0) / count;
        (mean, c) = neumaier(v / count, q * mean, q * c, true);
    }
    if by_mean { mean + c } else { sum / count + c / count }
}
