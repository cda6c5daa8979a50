//! `promproof.check/1`: a verdict on every file. The schema is `docs/schema/check.schema.json`.

use serde_json::{Map, Value, json};

use crate::check::{Checked, FileVerdict, Finding, State};
use crate::labels::Labels;
use crate::report::provenance;
use crate::source::Place;
use crate::time::rfc3339;

/// The document.
pub fn document(place: &Place, checked: &Checked) -> Value {
    let root = if place.below.is_empty() { Value::Null } else { place.below.as_str().into() };
    json!({
        "schema": "promproof.check/1",
        "totals": {
            "files": checked.files.len(),
            "bytes": checked.bytes(),
            "good": checked.count(State::Good),
            "noted": checked.count(State::Noted),
            "bad": checked.count(State::Bad),
        },
        "files": checked.files.iter().map(file).collect::<Vec<_>>(),
        "source": {"name": place.name, "root": root},
        "tool": provenance::tool(),
    })
}

fn file(v: &FileVerdict) -> Value {
    let counts: Map<String, Value> = v.counts.iter().map(|(what, n)| ((*what).to_owned(), (*n).into())).collect();
    json!({
        "file": v.file,
        "kind": v.kind.word(),
        "bytes": v.bytes,
        "state": v.state.name(),
        "counts": counts,
        "findings": v.findings.iter().map(finding).collect::<Vec<_>>(),
        "findings_omitted": v.omitted,
    })
}

fn finding(f: &Finding) -> Value {
    json!({
        "state": if f.is_bad() { State::Bad.name() } else { State::Noted.name() },
        "kind": f.kind.map(|k| k.name()),
        "offset": f.offset,
        "part": f.part,
        "expected": f.expected,
        "found": f.found,
        "series": f.series.as_ref().map(Labels::to_json),
        "start": f.interval.map(|i| rfc3339(i.start)),
        "end": f.interval.map(|i| rfc3339(i.end)),
        "effect": f.effect,
    })
}
