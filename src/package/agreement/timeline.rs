//! A document beside the timeline, which is of the same data and a longer time: gaps, restarts, and when targets were down.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evidence::{computed, registry};
use crate::labels::printable;
use crate::package::content::{list, longest_interval};
use crate::time::{DurationMs, TimestampMs, rfc3339};

/// Twice the longest expected time between scrapes, in milliseconds: what lies at the edges of any window. `None` where none is
/// known.
fn edge(coverage: &Value) -> Option<DurationMs> {
    longest_interval(coverage).map(|seconds| (seconds * 2000.0) as DurationMs)
}

/// Where nothing was scraped behind the newest sample, and the gaps do not say so.
pub fn silence(document: &Value, (start, end): (TimestampMs, TimestampMs), newest: TimestampMs) -> Option<String> {
    let coverage = &document["coverage"];
    let usual = edge(coverage)?;
    if end.saturating_sub(newest) <= usual {
        return None;
    }
    let at = |gap: &Value, key: &str| registry::timestamp(&gap[key]);
    let is_told = |gap: &Value| {
        at(gap, "start").is_some_and(|gap_start| gap_start <= newest.max(start).saturating_add(usual))
            && at(gap, "end").is_some_and(|gap_end| gap_end >= end)
    };
    let told = list(&coverage["gaps"]).last().is_some_and(is_told);
    (!told).then(|| format!("the data go until {}, and no gap of it reaches from there to its end", rfc3339(newest)))
}

/// Where a document says something else than the timeline about the same time. `asked` has its start and end.
pub fn beside(document: &Value, asked: &Value, timeline: &Value) -> Vec<String> {
    let mut out = restarts(document, timeline);
    out.extend(downs(document, asked, timeline));
    let required = &document["slo_compliance"]["required_availability"];
    if required.is_number() && timeline["required_percent"].as_f64() != required.as_f64() {
        out.push(format!("it requires {required}%, and {} {}%", computed::TIMELINE, timeline["required_percent"]));
    }
    out
}

/// Times of the timeline that are not the milliseconds beside them.
pub fn times(timeline: &Value) -> Vec<String> {
    let hours = list(&timeline["hours"]).iter().map(|hour| (hour, "start"));
    let points = list(&timeline["rolling"]["points"]).iter().map(|point| (point, "end"));
    let own = ["start", "end", "data_until"].map(|key| (timeline, key));
    let wrong = own.into_iter().chain(hours).chain(points).find(|(of, key)| {
        let ms = of[format!("{key}_ms")].as_i64();
        ms.is_none_or(|ms| of[*key] != rfc3339(ms))
    });
    let said = wrong.map(|(of, key)| {
        format!("{key} is {}, and {key}_ms is {}", printable(&of[key].to_string()), of[format!("{key}_ms")])
    });
    said.into_iter().collect()
}

/// The targets of a document, each with what the timeline says about it.
fn targets<'a>(document: &'a Value, timeline: &'a Value) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let others = list(&timeline["coverage"]["targets"]);
    let of = |target: &'a Value| Some((target, others.iter().find(|t| t["labels"] == target["labels"])?));
    list(&document["coverage"]["targets"]).iter().filter_map(of)
}

/// Where counters tell of a restart, and no start time, sparse ones may do so this much later in one document than in another.
const LATER_MS: DurationMs = 2 * 3_600_000;

/// Restarts of a target that the timeline does not have.
fn restarts(document: &Value, timeline: &Value) -> Vec<String> {
    let at = |value: &Value| registry::timestamp(value);
    let mut out = Vec::new();
    for (target, other) in targets(document, timeline) {
        let Some((here, there)) = target["restarts"].as_array().zip(other["restarts"].as_array()) else { continue };
        let known: Vec<TimestampMs> = there.iter().filter_map(at).collect();
        let is_known = |t: &TimestampMs| known.iter().any(|k| (t.saturating_sub(LATER_MS)..=*t).contains(k));
        for t in here.iter().filter_map(at).filter(|t| !is_known(t)) {
            let labels = printable(&target["labels"].to_string());
            out.push(format!(
                "a restart of {labels} at {} is only here, and not in {}",
                rfc3339(t),
                computed::TIMELINE
            ));
        }
    }
    out
}

/// The targets that were down at other times by the timeline. A stretch goes from its first scrape to its last one; one that an
/// edge of the window cuts, from the first scrape of the window or to the last one.
fn downs(document: &Value, asked: &Value, timeline: &Value) -> Vec<String> {
    let at = |value: &Value| registry::timestamp(value);
    let Some((start, end)) = at(&asked["start"]).zip(at(&asked["end"])) else { return Vec::new() };
    let stretches = |of: &Value| -> BTreeSet<(TimestampMs, TimestampMs)> {
        list(&of["downs"]).iter().filter_map(|down| at(&down["start"]).zip(at(&down["end"]))).collect()
    };
    let mut out = Vec::new();
    for (target, other) in targets(document, timeline) {
        let Some((first, last)) = at(&target["first_sample"]).zip(at(&target["last_sample"])) else { continue };
        let is_inside = |t: TimestampMs| start < t && t <= end;
        let cut = |(a, b): (TimestampMs, TimestampMs)| {
            let touches = is_inside(a) || is_inside(b) || (a <= start && b > end);
            touches.then(|| (if is_inside(a) { a } else { first }, if is_inside(b) { b } else { last }))
        };
        let expected: BTreeSet<(TimestampMs, TimestampMs)> = stretches(other).into_iter().filter_map(cut).collect();
        if let Some((a, b)) = stretches(target).symmetric_difference(&expected).next() {
            let labels = printable(&target["labels"].to_string());
            let (a, b) = (rfc3339(*a), rfc3339(*b));
            out.push(format!(
                "{labels} was down from {a} to {b} either here or in {}, and not in both",
                computed::TIMELINE
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An emptied list of restarts made a hot swap of each of them.
    #[test]
    fn restarts_are_those_of_the_timeline() {
        let document =
            |restarts: Value| json!({"coverage": {"targets": [{"labels": {"instance": "a"}, "restarts": restarts}]}});
        let told = |here: Value, there: Value| restarts(&document(here), &document(there));
        let [eleven, noon] = ["2025-11-19T11:00:00Z", "2025-11-19T12:00:00Z"];
        assert_eq!(told(json!([noon]), json!([noon])), Vec::<String>::new());
        assert_eq!(told(json!([noon]), json!([eleven])), Vec::<String>::new(), "seen later by a sparse counter");
        assert_eq!(told(Value::Null, json!([noon])), Vec::<String>::new());
        assert_eq!(told(json!([]), json!([noon])), Vec::<String>::new());
        for there in [json!([]), json!(["2025-11-19T09:00:00Z"]), json!(["2025-11-19T12:30:00Z"])] {
            assert_eq!(told(json!([noon]), there).len(), 1);
        }
    }

    /// Emptied lists of downs made services run at the edges of both windows.
    #[test]
    fn downs_are_those_of_the_timeline() {
        let day = |hours: &str| format!("2025-11-19T{hours}:00Z");
        let of = |downs: &[(&str, &str)]| {
            let downs: Vec<Value> = downs.iter().map(|(a, b)| json!({"start": day(a), "end": day(b)})).collect();
            json!({"coverage": {"targets": [{
                "labels": {"instance": "a"}, "first_sample": day("10:01"), "last_sample": day("11:59"), "downs": downs
            }]}})
        };
        let asked = json!({"start": day("10:00"), "end": day("12:00")});
        let told = |here: &[(&str, &str)], there: &[(&str, &str)]| downs(&of(here), &asked, &of(there)).len();
        for (here, there) in [
            (&[][..], &[("08:00", "09:00"), ("12:01", "13:00")][..]),
            (&[("10:30", "10:40")], &[("10:30", "10:40")]),
            (&[("10:01", "10:05"), ("11:50", "11:59")], &[("09:00", "10:05"), ("11:50", "13:00")]),
            (&[("10:01", "11:59")], &[("09:00", "13:00")]),
        ] {
            assert_eq!(told(here, there), 0, "{here:?} {there:?}");
        }
        for (here, there) in [
            (&[][..], &[("10:30", "10:40")][..]),
            (&[], &[("09:00", "13:00")]),
            (&[], &[("11:50", "13:00")]),
            (&[("11:50", "11:51")], &[("11:50", "13:00")]),
            (&[("10:30", "10:40")], &[]),
            (&[("10:30", "10:39")], &[("10:30", "10:40")]),
        ] {
            assert_eq!(told(here, there), 1, "{here:?} {there:?}");
        }
    }

    /// One gap moved away from the end made a window whole that the data do not reach to its end.
    #[test]
    fn behind_the_newest_sample_there_is_a_gap() {
        let (newest, end) = (1_763_553_600_000, 1_763_553_600_000 + 4 * 3_600_000);
        let with = |gap: Value| {
            let gaps: Vec<Value> = gap.is_object().then_some(gap).into_iter().collect();
            json!({"coverage": {"targets": [{"scrape_interval_seconds": 60.0}], "gaps": gaps}})
        };
        let honest = with(json!({"start": rfc3339(newest), "end": rfc3339(end)}));
        assert_eq!(silence(&honest, (0, end), newest), None);
        assert_eq!(silence(&honest, (newest, end), newest - 86_400_000), None, "a window behind all data");
        for forged in [
            with(json!({"start": rfc3339(newest - 86_400_000), "end": rfc3339(end - 86_400_000)})),
            with(json!({"start": rfc3339(end - 60_000), "end": rfc3339(end)})),
            with(Value::Null),
        ] {
            assert!(silence(&forged, (0, end), newest).is_some(), "{forged}");
            assert_eq!(silence(&forged, (0, newest + 120_000), newest), None);
        }
    }
}
