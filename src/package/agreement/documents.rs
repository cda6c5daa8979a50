//! One document by itself: whether its verdict, percentages, bounds and lists follow from its own figures.

use serde_json::{Value, json};

use super::text;
use crate::evidence::{computed, registry};
use crate::labels::printable;
use crate::package::content::list;
use crate::report::python::{int, rounded};
use crate::time::{DurationMs, TimestampMs, isoformat};
use crate::verdict::Verdict;

const WEEK_MS: DurationMs = 7 * 86_400_000;
/// Figures that were computed in another order differ by less.
const NEARLY: f64 = 1e-9;

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|x| x.is_finite())
}

/// Where an availability document does not agree with itself.
pub fn availability(d: &Value) -> Vec<String> {
    let figures = computed::decided(d);
    let total = finite(&figures["total_requests"]);
    let good = finite(&figures["successful_requests"]).unwrap_or(0.0);
    let percent = total.filter(|t| *t != 0.0).map(|total| good / total * 100.0);
    let slo = &d["slo_compliance"];
    let required = finite(&slo["required_availability"]).unwrap_or(f64::NAN);
    let bounds = (finite(&d["bounds"]["worst"]), finite(&d["bounds"]["best"]));
    let verdict = match (percent, bounds) {
        (Some(percent), (Some(worst), Some(best))) if worst == best => by_bounds(percent, percent, required),
        (Some(_), (Some(worst), Some(best))) => by_bounds(worst * 100.0, best * 100.0, required),
        _ => Verdict::Unknown,
    };
    let mut out = Vec::new();
    let mut differs = |what: &str, said: &Value, found: Value| {
        if *said != found {
            out.push(format!("its {what} is {}, and its own figures give {found}", printable(&said.to_string())));
        }
    };
    if ["total_requests", "successful_requests", "error_requests"].iter().any(|key| figures[*key].is_string()) {
        // What is no finite number decides nothing.
        differs("verdict", &d["verdict"], Verdict::Unknown.name().into());
        return out;
    }
    let metrics = &d["metrics"];
    let share = percent.unwrap_or(0.0);
    differs("verdict", &d["verdict"], verdict.name().into());
    differs("meets_requirement", &slo["meets_requirement"], verdict.meets_requirement().into());
    differs("actual_availability", &slo["actual_availability"], rounded(share, 2));
    differs("availability_percent", &metrics["availability_percent"], rounded(share, 2));
    differs("margin", &slo["margin"], rounded(share - required, 2));
    for key in ["total_requests", "successful_requests", "error_requests"] {
        differs(key, &metrics[key], int(finite(&figures[key]).unwrap_or(0.0)));
    }
    let exact = &d["exact"];
    let vitals = [
        ("avg_health_status", &exact["avg_health_status"][0]["value"]),
        ("p95_latency_seconds", &exact["p95_latency_seconds"]),
    ];
    for (key, value) in vitals {
        // What JSON has no number for is null in the original's keys.
        let value = if value.is_string() { f64::NAN } else { value.as_f64().unwrap_or(0.0) };
        differs(key, &metrics[key], rounded(value, 3));
    }
    out.extend(["exact", "counted"].into_iter().filter_map(|way| odd_ratio(d, way)));
    out.extend(scraped(d));
    out.extend(parts(d));
    if let (Some(total), (Some(worst), Some(best))) = (total, bounds) {
        let (lowest, highest) = widest(d, total, good);
        let whole = list(&d["losses"]).is_empty();
        let fits = worst <= lowest + NEARLY && best >= highest - NEARLY;
        if !fits || (whole && !(nearly(worst, lowest) && nearly(best, highest))) {
            out.push(format!(
                "its bounds are {worst} and {best}, and what was not scraped gives {lowest} and {highest}"
            ));
        }
    }
    out
}

fn by_bounds(worst: f64, best: f64, required: f64) -> Verdict {
    match () {
        () if worst >= required => Verdict::Met,
        () if best < required => Verdict::NotMet,
        () => Verdict::Unknown,
    }
}

/// Where the share that was scraped is not what the gaps leave, or these are no stretches of the window.
fn scraped(d: &Value) -> Option<String> {
    let coverage = &d["coverage"];
    let targets = list(&coverage["targets"]).iter();
    if let Some(gap) = targets.chain([coverage]).find_map(|of| odd_gap(list(&of["gaps"]), &d["time_window"])) {
        return Some(gap);
    }
    let gaps: f64 = list(&coverage["gaps"]).iter().filter_map(|g| g["seconds"].as_f64()).sum();
    let at = |key: &str| registry::timestamp(&d["time_window"][key]);
    let length = at("end")?.saturating_sub(at("start")?) as f64 / 1000.0;
    let figure = |key: &str| finite(&coverage[key]).unwrap_or(f64::NAN);
    let fits = nearly(figure("ratio"), 1.0 - gaps / length) && nearly(figure("uncovered_seconds"), gaps);
    (!fits).then(|| {
        let (ratio, uncovered) = (figure("ratio"), figure("uncovered_seconds"));
        format!("its coverage is {ratio}, without {uncovered} seconds, and its gaps are {gaps} of {length} seconds")
    })
}

/// Where the share of good requests, by one way of counting, is not that of its figures.
fn odd_ratio(d: &Value, way: &str) -> Option<String> {
    let of = &d[way];
    let total = finite(&of["total_requests"]).filter(|total| *total != 0.0);
    let ratio = total.map(|total| finite(&of["successful_requests"]).unwrap_or(0.0) / total);
    let said = &of["availability_ratio"];
    let fits = match (finite(said), ratio) {
        (Some(said), Some(ratio)) => nearly(said, ratio),
        (said, ratio) => said == ratio,
    };
    (!fits).then(|| {
        format!(
            "its availability_ratio ({way}) is {}, and its figures give {}",
            printable(&said.to_string()),
            json!(ratio)
        )
    })
}

/// The first of the gaps that is not as long as it says, not inside the window, or not behind the one before.
fn odd_gap(gaps: &[Value], window: &Value) -> Option<String> {
    let at = |value: &Value| registry::timestamp(value);
    let mut from = at(&window["start"])?;
    let end = at(&window["end"])?;
    for gap in gaps {
        let (gap_start, gap_end) = (at(&gap["start"]), at(&gap["end"]));
        let fits = gap_start.zip(gap_end).is_some_and(|(a, b)| {
            from <= a && a <= b && b <= end && finite(&gap["seconds"]) == Some(b.saturating_sub(a) as f64 / 1000.0)
        });
        if !fits {
            let gap = printable(&gap.to_string());
            return Some(format!("{gap} is no gap of its window, behind the one before and as long as it says"));
        }
        from = gap_end.unwrap_or(from);
    }
    None
}

/// Where series and groups do not add up to the figures of all requests.
fn parts(d: &Value) -> Vec<String> {
    let sum = |parts: &str, key: &str| -> f64 { list(&d[parts]).iter().filter_map(|p| finite(&p[key])).sum() };
    let sums = [
        ("counted", "total_requests", "series", sum("series", "counted")),
        ("counted", "total_requests", "groups", sum("groups", "counted")),
        ("exact", "total_requests", "groups", sum("groups", "exact")),
    ];
    let wrong = sums.iter().filter_map(|(way, key, parts, sum)| {
        let said = finite(&d[*way][*key]).unwrap_or(0.0);
        (!nearly(said, *sum)).then(|| format!("its {key} ({way}) are {said}, and its {parts} are {sum} together"))
    });
    wrong.collect()
}

/// Whether two figures are one, computed in another order.
fn nearly(a: f64, b: f64) -> bool {
    (a - b).abs() <= NEARLY * a.abs().max(b.abs()).max(1.0)
}

/// The bounds of a window without losses: what was not scraped, and what cannot be dated, once failed and once served.
fn widest(d: &Value, total: f64, good: f64) -> (f64, f64) {
    let covered = finite(&d["coverage"]["ratio"]).unwrap_or(0.0);
    let unseen = if covered > 0.0 { total * (1.0 - covered) / covered } else { f64::INFINITY };
    let undatable = |key: &str| match d["semantics"]["name"] == "counted" {
        true => finite(&d["counted"]["undatable"][key]).unwrap_or(0.0),
        false => 0.0,
    };
    let (all, well) = (undatable("total_requests"), undatable("successful_requests"));
    let (more_bad, more_good) = (unseen + all - well, unseen + well);
    let worst = if more_bad.is_infinite() { 0.0 } else { good / (total + more_bad) };
    let best = if more_good.is_infinite() { 1.0 } else { (good + more_good) / (total + more_good) };
    (worst, best)
}

/// Where an updates document does not agree with itself.
pub fn updates(d: &Value) -> Vec<String> {
    let switches = list(&d["switches"]);
    let updates = list(&d["updates"]);
    let times: Vec<TimestampMs> = updates.iter().filter_map(|u| u["timestamp_ms"].as_i64()).collect();
    // The first window with the most updates, closed at both ends.
    let inside = |first: usize| {
        let end = times.get(first).map_or(0, |t| t.saturating_add(WEEK_MS));
        times.iter().skip(first).take_while(|t| **t <= end).count()
    };
    let best = (0..times.len()).rev().max_by_key(|first| inside(*first));
    let within = best.map_or(&[][..], |first| updates.get(first..first + inside(first)).unwrap_or_default());
    let of = |update: &Value| -> Vec<&Value> {
        let positions = list(&update["switches"]).iter().filter_map(|i| switches.get(i.as_u64()? as usize));
        positions.collect()
    };
    let doubtful = within.iter().filter(|u| of(u).iter().all(|s| s["undatable"] == true)).count();
    let mut out = Vec::new();
    let mut differs = |what: &str, said: &Value, found: Value| {
        if *said != found {
            out.push(format!("its {what} is {}, and its own lists give {found}", printable(&said.to_string())));
        }
    };
    let (requirement, bounds) = (&d["requirement"], &d["bounds"]);
    differs("total_switches", &d["total_switches"], switches.len().into());
    differs("actual_updates", &requirement["actual_updates"], within.len().into());
    differs("worst bound", &bounds["worst"], (within.len() - doubtful).into());
    let minimum = finite(&requirement["minimum_updates"]).unwrap_or(f64::NAN);
    let most = finite(&bounds["best"]).unwrap_or(f64::INFINITY);
    let verdict = by_bounds((within.len() - doubtful) as f64, most, minimum);
    differs("verdict", &d["verdict"], verdict.name().into());
    differs("meets_requirement", &requirement["meets_requirement"], verdict.meets_requirement().into());
    let told = |u: &Value| of(u).first().is_some_and(|s| s["timestamp_ms"] == u["timestamp_ms"]);
    let own = |u: &Value| of(u).iter().all(|s| s["to_version"] == u["to_version"]);
    let mut positions: Vec<u64> = within.iter().flat_map(|u| list(&u["switches"])).filter_map(Value::as_u64).collect();
    positions.sort_unstable();
    let counted = positions.iter().filter_map(|i| switches.get(*i as usize).cloned());
    let first = best.and_then(|first| times.get(first).copied());
    let window = json!({
        "start": first.map(isoformat),
        "end": first.map(|t| isoformat(t.saturating_add(WEEK_MS))),
        "switch_count": within.len(),
        "switches": counted.collect::<Vec<Value>>(),
    });
    if d["best_7day_window"] != window {
        out.push("its best_7day_window is not the one that its updates give".to_owned());
    }
    if let Some(update) = updates.iter().find(|u| !told(u) || !own(u)) {
        out.push(format!("its update at {} is none of its switches", text(&update["timestamp"])));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One second at the start of a gap made the data reach back to the start of the window.
    #[test]
    fn gaps_are_as_long_as_they_say_and_in_their_order() {
        let window = json!({"start": "2025-11-19T10:00:00Z", "end": "2025-11-19T12:00:00Z"});
        let gap = |a: &str, b: &str, seconds: f64| {
            let [start, end] = [a, b].map(|time| format!("2025-11-19T{time}Z"));
            json!({"start": start, "end": end, "seconds": seconds})
        };
        let (early, late) = (gap("10:00:00", "10:00:30.5", 30.5), gap("11:00:00", "12:00:00", 3600.0));
        assert_eq!(odd_gap(&[early.clone(), late.clone()], &window), None);
        for gaps in [
            vec![gap("10:00:01", "10:00:30.5", 30.5)],
            vec![late, early],
            vec![gap("09:59:59", "10:00:00", 1.0)],
            vec![gap("11:00:00", "12:00:01", 3601.0)],
            vec![json!({"start": "2025-11-19T10:00:00Z", "seconds": 0.0})],
        ] {
            assert!(odd_gap(&gaps, &window).is_some(), "{gaps:?}");
        }
    }
}
