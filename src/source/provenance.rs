//! What a source consists of, with digests, so that an answer names its evidence.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::{Archive, Source, SourceBlock, SourceDataset, SourceDumps, digest};
use crate::dataset::MANIFEST;
use crate::error::{Error, Result};
use crate::time::rfc3339;

impl Source {
    /// `{name, root, blocks[], logs[]}`, and `min_block_duration_ms`, `datasets[]` or `dumps[]` where there are some;
    /// `all_digests` adds the SHA-256 of every file, and of the archives that held them.
    pub fn describe(&self, all_digests: bool) -> Result<Value> {
        let blocks: Result<Vec<Value>> = self.blocks.par_iter().map(|b| block(b, all_digests)).collect();
        let logs: Vec<_> = self.heads.iter().flat_map(|h| h.head.files().list()).collect();
        let logs: Result<Vec<Value>> = logs
            .into_par_iter()
            .map(|(path, rel, bytes)| {
                let mut entry = Map::new();
                entry.insert("path".into(), rel.into());
                entry.insert("bytes".into(), bytes.into());
                if all_digests {
                    entry.insert("sha256".into(), digest::sha256_file(&path)?.into());
                }
                Ok(Value::Object(entry))
            })
            .collect();
        let root = if self.below.is_empty() { Value::Null } else { self.below.as_str().into() };
        let mut document = json!({"name": self.name, "root": root, "blocks": blocks?, "logs": logs?});
        if let Some(told) = self.heads.iter().find_map(|h| h.min_block_duration_ms) {
            document["min_block_duration_ms"] = told.into();
        }
        if !self.datasets.is_empty() {
            let datasets: Result<Vec<Value>> = self.datasets.iter().map(dataset).collect();
            document["datasets"] = datasets?.into();
        }
        if !self.dumps.is_empty() {
            let dumps: Result<Vec<Value>> = self.dumps.iter().map(|d| dumps(d, all_digests)).collect();
            document["dumps"] = dumps?.into();
        }
        if all_digests && !self.archives.is_empty() {
            let archives: Result<Vec<Value>> = self.archives.iter().map(archive).collect();
            document["archives"] = archives?.into();
        }
        Ok(document)
    }
}

fn block(b: &SourceBlock, all_digests: bool) -> Result<Value> {
    let meta = &b.block.meta;
    let mut entry = Map::new();
    entry.insert("ulid".into(), meta.ulid.to_string().into());
    entry.insert("min_time".into(), meta.min_time_ms.into());
    entry.insert("max_time".into(), meta.max_time_ms.into());
    entry.insert("meta_sha256".into(), digest::sha256_file(&b.block.dir.join("meta.json"))?.into());
    if all_digests {
        entry.insert("files".into(), files(&b.block.dir)?);
    }
    Ok(Value::Object(entry))
}

/// The manifests, whose digests are those of everything in the dataset.
fn dataset(d: &SourceDataset) -> Result<Value> {
    let manifest = |f: &crate::dataset::Folder| -> Result<Value> {
        Ok(json!({"path": f.file(MANIFEST), "sha256": digest::sha256_file(&f.dir.join(MANIFEST))?}))
    };
    let manifests: Result<Vec<Value>> = d.dataset.folders.iter().map(manifest).collect();
    let of = &d.dataset.manifest;
    Ok(json!({"dataset_id": of.dataset_id, "manifests": manifests?, "converted_from": of.source}))
}

/// How many files, of which times; each of them with all that was assumed about it where digests are asked for.
fn dumps(d: &SourceDumps, all_digests: bool) -> Result<Value> {
    let files = &d.dumps.files;
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for f in files {
        *times.entry(f.time_from.unwrap_or("timestamps")).or_default() += 1;
    }
    let bytes: u64 = files.iter().map(|f| f.bytes).sum();
    let mut entry = json!({
        "files": files.len(),
        "bytes": bytes,
        "times_from": times,
        "evaluated": d.dumps.evaluated,
        "up_assumed": d.dumps.options.assume_up,
        "interval_ms": d.dumps.options.interval_ms,
    });
    if all_digests {
        let list: Result<Vec<Value>> = files
            .par_iter()
            .map(|f| {
                let sha256 = digest::sha256_file(&f.path)?;
                Ok(json!({
                    "path": f.rel,
                    "bytes": f.bytes,
                    "sha256": sha256,
                    "form": f.form,
                    "time": f.time_ms.map(rfc3339),
                    "time_from": f.time_from,
                    "labels": f.labels.to_json(),
                    "scrapes": f.scrapes,
                    "samples": f.samples,
                }))
            })
            .collect();
        entry["list"] = list?.into();
    }
    Ok(entry)
}

fn archive(archive: &Archive) -> Result<Value> {
    let bytes = std::fs::metadata(&archive.path).map_err(|e| Error::io(&archive.path, "read it", &e))?.len();
    Ok(json!({"name": archive.name, "bytes": bytes, "sha256": digest::sha256_file(&archive.path)?}))
}

fn files(dir: &Path) -> Result<Value> {
    let list = digest::sha256_block(dir)?;
    Ok(list.into_iter().map(|(path, bytes, sha256)| json!({"path": path, "bytes": bytes, "sha256": sha256})).collect())
}
