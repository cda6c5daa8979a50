//! `promproof.availability/1`: the original document's keys first and unchanged, then everything it could not say.
//! The schema is `docs/schema/availability.schema.json`.

use serde_json::{Map, Value, json};

use crate::report::{provenance, python};
use crate::time::{Interval, isoformat, rfc3339};
use crate::verdict::availability::Judgement;
use crate::windows::availability::{Availability, Figures, SeriesFigures};
use crate::windows::counted::CountedWindow;
use crate::windows::sliding::{Detailed, Sliding, SlidingWindow};
use crate::windows::targets::Coverage;

/// The document; `source` is [`crate::source::Source::describe`].
pub fn document(a: &Availability, j: &Judgement, source: Value) -> Value {
    let figures = a.deciding();
    let percent = j.percent.unwrap_or(0.0);
    let mut doc = Map::new();
    let mut put = |key: &str, value: Value| doc.insert(key.to_owned(), value);
    put("schema", "promproof.availability/1".into());
    put(
        "time_window",
        json!({
            "start": isoformat(a.span.start),
            "end": isoformat(a.span.end),
            "duration_hours": python::rounded(a.span.length() as f64 / 3_600_000.0, 3),
        }),
    );
    put(
        "metrics",
        json!({
            "total_requests": python::int(figures.total.unwrap_or(0.0)),
            "successful_requests": python::int(figures.good.unwrap_or(0.0)),
            "error_requests": python::int(figures.bad.unwrap_or(0.0)),
            "availability_percent": python::rounded(percent, 2),
            "avg_health_status": python::rounded(a.health.first().map_or(0.0, |h| h.1), 3),
            "p95_latency_seconds": python::rounded(a.p95_seconds.unwrap_or(0.0), 3),
        }),
    );
    put(
        "slo_compliance",
        json!({
            "required_availability": j.requirement.percent,
            "actual_availability": python::rounded(percent, 2),
            "meets_requirement": j.verdict.meets_requirement(),
            "margin": python::rounded(percent - j.requirement.percent, 2),
        }),
    );
    put("verdict", j.verdict.name().into());
    put("reasons", j.reasons.clone().into());
    put(
        "bounds",
        j.bounds.map_or(
            Value::Null,
            |b| json!({"worst": python::exact(Some(b.worst)), "best": python::exact(Some(b.best))}),
        ),
    );
    let health: Vec<Value> = a
        .health
        .iter()
        .map(|(labels, v)| json!({"labels": labels.to_json(), "value": python::exact(Some(*v))}))
        .collect();
    let mut exact = figures_json(&a.exact);
    exact.insert("avg_health_status".into(), health.into());
    exact.insert("p95_latency_seconds".into(), python::exact(a.p95_seconds));
    put("exact", exact.into());
    let mut counted = figures_json(&a.counted);
    counted.insert(
        "undatable".into(),
        json!({"total_requests": python::exact(Some(a.undatable.total)), "successful_requests": python::exact(Some(a.undatable.good))}),
    );
    counted.insert("births".into(), a.series.iter().filter(|s| s.counted.born).count().into());
    counted.insert("resets".into(), a.series.iter().map(|s| s.counted.resets).sum::<u64>().into());
    put("counted", counted.into());
    let groups: Vec<Value> = a
        .groups
        .iter()
        .map(|g| {
            let labels: Map<String, Value> = g.labels.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
            json!({"labels": labels, "exact": python::exact(g.exact), "counted": python::exact(Some(g.counted))})
        })
        .collect();
    put("groups", groups.into());
    put("coverage", coverage(&a.coverage));
    put("losses", provenance::losses(&a.losses));
    put("conflicts", provenance::conflicts(&a.conflicts));
    put("warnings", a.warnings.iter().chain(&j.warnings).cloned().collect());
    put("notes", a.notes.clone().into());
    put("series", a.series.iter().map(series).collect());
    if let Some(s) = &a.sliding {
        put("windows", windows(s));
    }
    put(
        "semantics",
        json!({"name": a.semantics.name(), "exact": format!("prometheus-{}", a.semantics.version), "why": a.semantics.why}),
    );
    put("evaluated_at_ms", a.span.end.into());
    put("source", source);
    put("tool", provenance::tool());
    Value::Object(doc)
}

fn figures_json(f: &Figures) -> Map<String, Value> {
    let mut m = Map::new();
    m.insert("total_requests".into(), python::exact(f.total));
    m.insert("successful_requests".into(), python::exact(f.good));
    m.insert("error_requests".into(), python::exact(f.bad));
    m.insert("availability_ratio".into(), python::exact(f.ratio()));
    m
}

/// `[{start, end, seconds}]`.
pub(super) fn spans(list: &[Interval]) -> Value {
    list.iter()
        .map(|i| json!({"start": rfc3339(i.start), "end": rfc3339(i.end), "seconds": seconds(i.length())}))
        .collect()
}

/// `coverage{…}`, shared with model-updates.
pub(super) fn coverage(c: &Coverage) -> Value {
    let targets: Vec<Value> = c
        .targets
        .iter()
        .map(|t| {
            json!({
                "labels": t.labels.to_json(),
                "scrape_interval_seconds": t.interval_ms.map(seconds),
                "ratio": python::exact(Some(t.ratio)),
                "up_ratio": python::exact(t.up_ratio),
                "first_sample": t.first_ms.map(rfc3339),
                "last_sample": t.last_ms.map(rfc3339),
                "gaps": spans(&t.gaps),
                "downs": spans(&t.downs),
                "restarts": t.restarts.as_ref().map(|list| list.iter().map(|r| rfc3339(*r)).collect::<Vec<_>>()),
                "stale_markers": t.stale_markers,
                "longest_outage": t.longest_outage.map(|i| spans(&[i])).and_then(|v| v.get(0).cloned()),
                "longest_down": t.longest_down.map(|i| spans(&[i])).and_then(|v| v.get(0).cloned()),
            })
        })
        .collect();
    json!({
        "ratio": python::exact(Some(c.ratio)),
        "uncovered_seconds": seconds(c.uncovered_ms),
        "up_ratio": python::exact(c.up_ratio),
        "from_up": c.from_up,
        "gaps": spans(&c.gaps),
        "targets": targets,
    })
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The counted part of `series[]`, shared with model-updates.
pub(super) fn counted_window(w: &CountedWindow) -> Map<String, Value> {
    let point = |p: Option<(i64, f64)>| {
        p.map(|(t, v)| json!({"time": rfc3339(t), "time_ms": t, "value": python::exact(Some(v))}))
    };
    let mut m = Map::new();
    m.insert("baseline".into(), point(w.baseline).into());
    m.insert("first".into(), point(w.first).into());
    m.insert("last".into(), point(w.last).into());
    m.insert("resets".into(), w.resets.into());
    m.insert("births".into(), u64::from(w.born).into());
    m.insert("counted".into(), python::exact(Some(w.increase)));
    m.insert("undatable".into(), python::exact(Some(w.undatable)));
    m
}

fn series(s: &SeriesFigures) -> Value {
    let mut m = Map::new();
    m.insert("labels".into(), s.labels.to_json());
    m.extend(counted_window(&s.counted));
    m.insert("increase".into(), python::exact(s.increase));
    Value::Object(m)
}

fn windows(s: &Sliding) -> Value {
    let window = |w: &SlidingWindow| -> Map<String, Value> {
        let mut m = Map::new();
        m.insert("end".into(), rfc3339(w.end_ms).into());
        m.insert("end_ms".into(), w.end_ms.into());
        m.extend(figures_json(&w.figures));
        m
    };
    let detailed = |d: &Option<Detailed>| {
        d.as_ref().map(|d| {
            let mut m = window(&d.window);
            m.insert("start".into(), rfc3339(d.window.end_ms.saturating_sub(s.length_ms)).into());
            m.insert("avg_health_status".into(), python::exact(d.health));
            m.insert("p95_latency_seconds".into(), python::exact(d.p95_seconds));
            Value::Object(m)
        })
    };
    json!({
        "step_seconds": seconds(s.step_ms),
        "count": s.windows.len(),
        "worst": detailed(&s.worst),
        "best": detailed(&s.best),
        "last": detailed(&s.last),
        "series": s.windows.iter().map(window).collect::<Vec<_>>(),
    })
}
