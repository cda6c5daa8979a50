//! `promproof.inspect/1`: what a SOURCE holds. The schema is `docs/schema/inspect.schema.json`.

use serde_json::{Map, Value, json};

use crate::report::availability_json::coverage;
use crate::report::provenance;
use crate::source::Source;
use crate::time::rfc3339;
use crate::windows::inventory::{Inventory, encodings};

/// The document; `provenance_source` is [`crate::source::Source::describe`].
pub fn document(source: &Source, inventory: &Inventory, provenance_source: Value) -> Value {
    let count = |n: Option<u64>| n.map_or(Value::Null, Value::from);
    let encoding_list = |list: &std::collections::BTreeMap<
        crate::tsdb::chunkenc::Encoding,
        crate::samples::EncodingCount,
    >|
     -> Value {
        list.iter()
            .map(|(e, n)| json!({"encoding": e.0, "name": e.name(), "chunks": n.chunks, "samples": n.samples, "bytes": n.bytes}))
            .collect()
    };
    let blocks: Vec<Value> = source
        .blocks
        .iter()
        .zip(&inventory.blocks)
        .map(|(b, account)| {
            let meta = &b.block.meta;
            json!({
                "ulid": meta.ulid.to_string(),
                "directory": b.block.rel,
                "start": rfc3339(meta.min_time_ms),
                "end": rfc3339(meta.max_time_ms),
                "min_time": meta.min_time_ms,
                "max_time": meta.max_time_ms,
                "level": meta.level,
                "sources": meta.sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "parents": meta.parents.iter().map(|p| p.ulid.to_string()).collect::<Vec<_>>(),
                "hints": meta.hints,
                "claimed": {
                    "samples": count(meta.stats.samples),
                    "float_samples": count(meta.stats.float_samples),
                    "histogram_samples": count(meta.stats.histogram_samples),
                    "series": count(meta.stats.series),
                    "chunks": count(meta.stats.chunks),
                    "tombstones": count(meta.stats.tombstones),
                },
                "found": {
                    "float_samples": account.count.floats,
                    "histogram_samples": account.count.histograms,
                    "deleted_samples": account.count.deleted,
                    "lost_samples": account.count.lost,
                    "lost_chunks_of_unknown_size": account.count.lost_unknown,
                    "series": account.series,
                    "chunks": account.chunks,
                    "tombstones": b.block.tombstones.count(),
                    "segment_bytes": b.block.segment_bytes(),
                },
                "encodings": encoding_list(&account.count.encodings),
                "disagreements": account.disagreements,
            })
        })
        .collect();
    let heads: Vec<Value> = source
        .heads
        .iter()
        .zip(&inventory.heads)
        .map(|(h, account)| {
            let head = &h.head;
            let log = |a: &crate::head::Account| {
                json!({
                    "records": a.records.iter().map(|(kind, n)| json!({"type": kind, "count": n})).collect::<Vec<_>>(),
                    "samples": a.samples,
                    "compacted": a.compacted,
                    "mapped": a.mapped,
                    "refused": a.refused,
                    "orphans": a.orphans.samples(),
                    "evicted": a.evicted,
                })
            };
            json!({
                "start": head.interval().map(|i| rfc3339(i.start)),
                "end": head.interval().map(|i| rfc3339(i.end)),
                "cutoff": (head.cutoff != i64::MIN).then(|| rfc3339(head.cutoff)),
                "series": account.series,
                "mapped_chunks": account.chunks,
                "float_samples": account.count.floats,
                "histogram_samples": account.count.histograms,
                "logged_samples": account.count.logged,
                "deleted_samples": account.count.deleted,
                "lost_samples": account.count.lost,
                "encodings": encoding_list(&account.count.encodings),
                "log": log(&head.account),
                "late_log": log(&head.late_account),
            })
        })
        .collect();
    let mut doc = Map::new();
    let mut put = |key: &str, value: Value| doc.insert(key.to_owned(), value);
    put("schema", "promproof.inspect/1".into());
    put("start", inventory.interval.map(|i| rfc3339(i.start)).into());
    put("end", inventory.interval.map(|i| rfc3339(i.end)).into());
    put("series", inventory.series.into());
    put("float_samples", inventory.served.into());
    put("histogram_samples", inventory.histograms.into());
    put("deleted_samples", inventory.ledger.deleted.into());
    put("duplicate_samples", inventory.ledger.duplicates.into());
    put("encodings", encoding_list(&encodings(inventory)));
    put("physical_samples", inventory.physical.into());
    put("blocks", blocks.into());
    put("heads", heads.into());
    let datasets: Vec<Value> = source
        .datasets
        .iter()
        .zip(&inventory.datasets)
        .map(|(d, account)| {
            let m = &d.dataset.manifest;
            json!({
                "dataset_id": m.dataset_id,
                "layout": m.layout,
                "partition": m.partition,
                "semantics": m.semantics,
                "start": m.start_ms.map(rfc3339),
                "end": m.end_ms.map(rfc3339),
                "matches": m.matches,
                "shards": m.shard.map_or(1, |s| s.count),
                "shards_here": d.dataset.folders.len(),
                "series": account.series,
                "float_samples": account.count.floats,
                "histogram_samples": account.count.histograms,
            })
        })
        .collect();
    put("datasets", datasets.into());
    let dumps: Vec<Value> = source
        .dumps
        .iter()
        .zip(&inventory.dumps)
        .map(|(d, account)| {
            let files: Vec<Value> = d
                .dumps
                .files
                .iter()
                .map(|f| {
                    json!({
                        "path": f.rel,
                        "bytes": f.bytes,
                        "form": f.form,
                        "time": f.time_ms.map(rfc3339),
                        "time_from": f.time_from,
                        "labels": f.labels.to_json(),
                        "scrapes": f.scrapes,
                        "float_samples": f.samples,
                    })
                })
                .collect();
            json!({
                "evaluated": d.dumps.evaluated,
                "series": account.series,
                "float_samples": account.count.floats,
                "files": files,
            })
        })
        .collect();
    put("dumps", dumps.into());
    let shadowed: Vec<Value> =
        source.shadowed.iter().map(|s| json!({"ulid": s.ulid.to_string(), "directory": s.rel, "why": s.why})).collect();
    put("shadowed_blocks", shadowed.into());
    let metrics: Vec<Value> = inventory
        .metrics
        .iter()
        .map(|m| json!({"name": m.name, "series": m.series, "samples": m.samples, "bytes": m.bytes}))
        .collect();
    put("metrics", metrics.into());
    put("coverage", inventory.coverage.as_ref().map_or(Value::Null, coverage));
    put("server", inventory.semantics.as_ref().map_or(Value::Null, |s| json!({"semantics": s.name(), "why": s.why})));
    put("losses", provenance::losses(&inventory.ledger.losses));
    put("conflicts", provenance::conflicts(&inventory.ledger.conflicts));
    put("notes", inventory.ledger.notes.clone().into());
    put("source", provenance_source);
    put("tool", provenance::tool());
    Value::Object(doc)
}
