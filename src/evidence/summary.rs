//! EVIDENCE_SUMMARY.json: the original's keys, then every file, gap and check. The schema is `docs/schema/evidence.schema.json`.

use serde_json::{Map, Value, json};

use crate::report::provenance;
use crate::selector::Selector;
use crate::time::{TimestampMs, isoformat};

use super::Options;
use super::computed::{Answer, command_again};
use super::folder::Folder;

/// Its name.
pub const NAME: &str = "EVIDENCE_SUMMARY.json";

/// What its `schema` says.
pub const SCHEMA: &str = "promproof.evidence/1";

/// The original's lists, and the folder that each is about.
const LISTS: [(&str, &str); 7] = [
    ("availability_reports", "availability/"),
    ("model_update_verification", "model_updates/"),
    ("api_samples", "api_samples/"),
    ("model_registry_info", "model_registry/"),
    ("git_history", "git_history/"),
    ("system_info", "system_info/"),
    ("logs", "logs/"),
];

/// `evidence_collected`: the original's lists of these files.
pub fn lists<'a>(files: impl Iterator<Item = &'a str> + Clone) -> Value {
    let list = |(key, below): &(&str, &str)| {
        let paths: Vec<&str> = files.clone().filter(|p| p.starts_with(below)).collect();
        ((*key).to_owned(), paths.into())
    };
    Value::Object(LISTS.iter().map(list).collect())
}

/// What the service's metrics are called.
fn metrics(options: &Options) -> Value {
    let name = |selector: &Selector| selector.metric_name();
    let (requests, switches) = (&options.requests, &options.switches);
    json!({
        "requests": name(&requests.total),
        "requests_by": requests.by,
        "latency": requests.latency.as_ref().and_then(name),
        "health": requests.health.as_ref().and_then(name),
        "switches": name(&switches.switches),
        "version_info": name(&switches.version_info),
    })
}

pub fn document(
    folder: &Folder,
    answers: &[Answer],
    options: &Options,
    evaluated: TimestampMs,
    words: &str,
    source: Value,
) -> Value {
    let mut doc = Map::new();
    let mut put = |key: &str, value: Value| doc.insert(key.to_owned(), value);
    put("schema", SCHEMA.into());
    put("collection_timestamp", isoformat(evaluated).into());
    put("evidence_collected", lists(folder.files.iter().map(|f| f.path.as_str())));
    put("submission", options.submission.map(isoformat).into());
    put("windows_are", words.into());
    put("windows", answers.iter().map(|a| a.entry.clone()).collect());
    put("command", command_again(options).into());
    put("metrics", metrics(options));
    let files = folder.files.iter().map(|f| {
        json!({
            "path": f.path,
            "bytes": f.bytes,
            "sha256": f.sha256,
            "source": f.source,
            "kind": f.kind.name(),
            "command": f.command,
        })
    });
    put("files", files.collect());
    let missing =
        folder.missing.iter().map(|m| json!({"what": m.what, "why": m.why, "how_to_get_it": m.how_to_get_it}));
    put("missing", missing.collect());
    let checks = folder.checks.iter().map(|c| json!({"name": c.name, "ok": c.ok, "detail": c.detail, "file": c.file}));
    put("checks", checks.collect());
    let unused = folder.unused.iter().map(|(path, why)| json!({"path": path, "why": why}));
    put("unused", unused.collect());
    put("source", source);
    put("tool", provenance::tool());
    Value::Object(doc)
}
