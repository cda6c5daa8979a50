//! `promproof.timeline/1`: what the report of an evidence folder draws. The schema is `docs/schema/timeline.schema.json`.

use serde_json::{Map, Value, json};

use crate::report::availability_json::{coverage, spans};
use crate::report::updates_json::{served_versions, switch, updates};
use crate::report::{provenance, python};
use crate::time::{TimestampMs, rfc3339};
use crate::windows::semantics::Semantics;
use crate::windows::sliding::Sliding;
use crate::windows::switches::ModelUpdates;
use crate::windows::timeline::{Hour, Timeline};

/// The document. `windows` are the answers that it stands beside, `newest` the newest sample of the source, `percent` the
/// required availability.
pub fn document(
    t: &Timeline,
    u: &ModelUpdates,
    windows: Value,
    newest: TimestampMs,
    percent: f64,
    semantics: &Semantics,
) -> Value {
    let mut doc = Map::new();
    let mut put = |key: &str, value: Value| doc.insert(key.to_owned(), value);
    put("schema", "promproof.timeline/1".into());
    put("start", rfc3339(t.span.start).into());
    put("end", rfc3339(t.span.end).into());
    put("start_ms", t.span.start.into());
    put("end_ms", t.span.end.into());
    put("data_until", rfc3339(newest).into());
    put("data_until_ms", newest.into());
    put("required_percent", percent.into());
    put("windows", windows);
    put("groups", t.groups.clone().into());
    put("hours", t.hours.iter().map(hour).collect());
    put("rolling", t.rolling.as_ref().map_or(Value::Null, rolling));
    put("outages", spans(&t.outages));
    put("coverage", coverage(&t.coverage));
    put("switches", u.switches.iter().map(switch).collect());
    put("updates", updates(u));
    put("served_versions", served_versions(u));
    put("semantics", json!({"name": semantics.name(), "why": semantics.why}));
    put("tool", provenance::tool());
    Value::Object(doc)
}

fn hour(h: &Hour) -> Value {
    json!({
        "start": rfc3339(h.span.start),
        "start_ms": h.span.start,
        "end_ms": h.span.end,
        "requests": h.requests.iter().map(|r| python::exact(Some(*r))).collect::<Vec<_>>(),
        "total_requests": python::exact(h.total),
        "successful_requests": python::exact(h.total.map(|_| h.good)),
        "p95_latency_seconds": python::exact(h.p95_seconds),
        "up_ratio": python::exact(h.up_ratio),
        "coverage_ratio": python::exact(Some(h.coverage_ratio)),
    })
}

fn rolling(s: &Sliding) -> Value {
    let points: Vec<Value> = s
        .windows
        .iter()
        .map(|w| json!({"end": rfc3339(w.end_ms), "end_ms": w.end_ms, "availability_ratio": python::exact(w.figures.ratio())}))
        .collect();
    json!({
        "window_seconds": s.length_ms as f64 / 1000.0,
        "step_seconds": s.step_ms as f64 / 1000.0,
        "points": points,
    })
}
