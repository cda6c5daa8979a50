//! `promproof.model-updates/1`: the original document's keys first and unchanged, then everything it could not say.
//! The schema is `docs/schema/model-updates.schema.json`.

use serde_json::{Map, Value, json};

use crate::report::availability_json::{counted_window, coverage};
use crate::report::provenance;
use crate::time::{DurationMs, isoformat, rfc3339};
use crate::verdict::updates::Judgement;
use crate::windows::switches::{ModelSwitch, ModelUpdates};

/// The document; `source` is [`crate::source::Source::describe`].
pub fn document(u: &ModelUpdates, j: &Judgement, within_ms: DurationMs, source: Value) -> Value {
    let actual = u.best.as_ref().map_or(0, |b| b.updates.len());
    let best = match &u.best {
        None => json!({"start": null, "end": null, "switch_count": 0, "switches": []}),
        Some(b) => {
            let mut inside: Vec<usize> =
                b.updates.iter().filter_map(|i| u.updates.get(*i)).flat_map(|x| x.switches.iter().copied()).collect();
            inside.sort_unstable();
            json!({
                "start": isoformat(b.start_ms),
                "end": isoformat(b.end_ms),
                "switch_count": b.updates.len(),
                "switches": inside.iter().filter_map(|i| u.switches.get(*i)).map(switch).collect::<Vec<_>>(),
            })
        }
    };
    let within_days = within_ms as f64 / 86_400_000.0;
    let mut doc = Map::new();
    let mut put = |key: &str, value: Value| doc.insert(key.to_owned(), value);
    put("schema", "promproof.model-updates/1".into());
    put(
        "observation_period",
        json!({
            "start": isoformat(u.span.start),
            "end": isoformat(u.span.end),
            "duration_days": u.span.length().div_euclid(86_400_000),
        }),
    );
    put("total_switches", u.switches.len().into());
    put("switches", u.switches.iter().map(switch).collect());
    put("best_7day_window", best);
    put(
        "requirement",
        json!({
            "minimum_updates": j.requirement.minimum,
            "within_days": if within_days.fract() == 0.0 { Value::from(within_days as i64) } else { Value::from(within_days) },
            "actual_updates": actual,
            "meets_requirement": j.verdict.meets_requirement(),
        }),
    );
    put("verdict", j.verdict.name().into());
    put("reasons", j.reasons.clone().into());
    put("bounds", json!({"worst": j.worst, "best": j.best}));
    put("updates", updates(u));
    put("served_versions", served_versions(u));
    put("coverage", coverage(&u.coverage));
    put("losses", provenance::losses(&u.losses));
    put("conflicts", provenance::conflicts(&u.conflicts));
    put("warnings", u.warnings.clone().into());
    put("notes", u.notes.clone().into());
    let series: Vec<Value> = u
        .series
        .iter()
        .map(|s| {
            let mut m = Map::new();
            m.insert("labels".into(), s.labels.to_json());
            m.extend(counted_window(&s.counted));
            Value::Object(m)
        })
        .collect();
    put("series", series.into());
    put("semantics", json!({"name": "counted", "data": u.semantics.name(), "why": u.semantics.why}));
    put("evaluated_at_ms", u.span.end.into());
    put("source", source);
    put("tool", provenance::tool());
    Value::Object(doc)
}

/// One of `switches[]`, shared with the timeline.
pub(super) fn switch(s: &ModelSwitch) -> Value {
    json!({
        "timestamp": isoformat(s.t_ms),
        "from_version": s.from_version,
        "to_version": s.to_version,
        "timestamp_ms": s.t_ms,
        "after": s.after_ms.map(isoformat),
        "after_ms": s.after_ms,
        "replica": s.replica.to_json(),
        "undatable": s.undatable,
    })
}

/// `updates[]`, shared with the timeline.
pub(super) fn updates(u: &ModelUpdates) -> Value {
    u.updates
        .iter()
        .map(|x| json!({"timestamp": isoformat(x.t_ms), "timestamp_ms": x.t_ms, "to_version": x.to_version, "switches": x.switches}))
        .collect()
}

/// `served_versions[]`, shared with the timeline.
pub(super) fn served_versions(u: &ModelUpdates) -> Value {
    u.served
        .iter()
        .map(|s| {
            json!({
                "version": s.version,
                "replica": s.replica.to_json(),
                "start": rfc3339(s.start_ms),
                "end": rfc3339(s.end_ms),
                "duration_seconds": s.duration_ms() as f64 / 1000.0,
            })
        })
        .collect()
}
