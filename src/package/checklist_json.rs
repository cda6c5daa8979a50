//! DELIVERABLES_CHECKLIST.json: the original's keys, each status with its checks, then what the original could not say.
//! The schema is `docs/schema/package.schema.json`.

use serde_json::{Map, Value, json};

use crate::evidence::SUMMARY;
use crate::evidence::folder::Check;
use crate::report::provenance;
use crate::time::isoformat;

use super::checklist::{Checklist, Deliverable, Item, Status};
use super::{EVIDENCE, SCHEMA};

/// The document.
pub fn document(list: &Checklist) -> Value {
    let total = list.deliverables.len();
    let completed = list.count(Status::Complete);
    let mut doc = Map::new();
    let mut put = |key: &str, value: Value| doc.insert(key.to_owned(), value);
    put("schema", SCHEMA.into());
    put("submission_date", list.date.map(isoformat).into());
    put("submission_date_is", if list.is_submission { "submission" } else { "evaluation" }.into());
    put("deliverables", list.deliverables.iter().map(deliverable).collect());
    put(
        "summary",
        json!({
            "total_deliverables": total,
            "completed": completed,
            "completion_percentage": list.completion_percentage(),
            "pending": list.count(Status::Pending),
            "incomplete": list.count(Status::Incomplete),
        }),
    );
    put("before_submission", list.before_submission.iter().map(item).collect());
    let (name, sha256) = &list.policy;
    put("policy", json!({"name": name, "sha256": sha256}));
    put("evidence", json!({"path": format!("{EVIDENCE}/{SUMMARY}"), "sha256": list.summary_sha256}));
    let missing = list.missing.iter().map(|m| json!({"what": m.what, "why": m.why, "how_to_get_it": m.how_to_get_it}));
    put("proof", list.proof.clone().into());
    put(
        "losses",
        json!({
            "count": list.losses.as_ref().map(Vec::len),
            "in_words": list.losses_in_words(),
            "first": list.first_losses(),
        }),
    );
    put("missing", missing.collect());
    put("refused", list.refused.iter().map(|(path, why)| json!({"path": path, "why": why})).collect());
    put("tool", provenance::tool());
    Value::Object(doc)
}

fn deliverable(d: &Deliverable) -> Value {
    json!({
        "id": d.id,
        "name": d.item.name,
        "description": d.description,
        "evidence": d.evidence,
        "status": d.item.status().text(),
        "checks": checks(&d.item),
    })
}

fn item(item: &Item) -> Value {
    json!({"name": item.name, "status": item.status().text(), "checks": checks(item)})
}

fn checks(item: &Item) -> Vec<Value> {
    item.checks.iter().map(check).collect()
}

fn check(c: &Check) -> Value {
    json!({"name": c.name, "ok": c.ok, "detail": c.detail, "file": c.file})
}
