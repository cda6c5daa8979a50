//! `sum` over series (`promql/engine.go: aggregation`, `util/kahansum`).

use crate::version::{PromVersion, SumRule};

/// One step of Kahan-Neumaier summation: `(sum, compensation)` after adding `inc`. From 2.54 the compensation is
/// dropped when the running total becomes infinite.
pub(super) fn neumaier(inc: f64, sum: f64, c: f64, inf_drops: bool) -> (f64, f64) {
    let t = sum + inc;
    if inf_drops && t.is_infinite() {
        (t, 0.0)
    } else if sum.abs() >= inc.abs() {
        (t, c + ((sum - t) + inc))
    } else {
        (t, c + ((inc - t) + sum))
    }
}

/// `sum` of values in series order; `None` of an empty vector.
pub fn sum(version: PromVersion, values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values = values.into_iter();
    let mut total = values.next()?;
    match version.sum_rule() {
        SumRule::Plain => {
            for v in values {
                total += v;
            }
            Some(total)
        }
        SumRule::Compensated => {
            let mut c = 0.0;
            for v in values {
                (total, c) = neumaier(v, total, c, true);
            }
            Some(total + c)
        }
    }
}
