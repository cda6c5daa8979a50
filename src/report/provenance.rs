//! What an answer rests on: the source's blocks with their digests, and the tool.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::loss::{Conflict, Loss};
use crate::source::{Archive, Source, digest};
use crate::time::rfc3339;

/// The tool's name and version; nothing about the machine or the time.
pub fn tool() -> Value {
    json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

/// `source{name, root, blocks[], logs[]}`; `all_digests` adds the SHA-256 of every file, and of the archives that held
/// them.
pub fn source(source: &Source, all_digests: bool) -> Result<Value> {
    let mut blocks = Vec::new();
    for b in &source.blocks {
        let meta = &b.block.meta;
        let mut entry = Map::new();
        entry.insert("ulid".into(), meta.ulid.to_string().into());
        entry.insert("min_time".into(), meta.min_time_ms.into());
        entry.insert("max_time".into(), meta.max_time_ms.into());
        entry.insert("meta_sha256".into(), digest::sha256_file(&b.block.dir.join("meta.json"))?.into());
        if all_digests {
            entry.insert("files".into(), files(&b.block.dir)?);
        }
        blocks.push(Value::Object(entry));
    }
    let root = if source.below.is_empty() { Value::Null } else { source.below.as_str().into() };
    let mut logs = Vec::new();
    for h in &source.heads {
        for (path, rel, bytes) in h.head.files().list() {
            let mut entry = Map::new();
            entry.insert("path".into(), rel.into());
            entry.insert("bytes".into(), bytes.into());
            if all_digests {
                entry.insert("sha256".into(), digest::sha256_file(&path)?.into());
            }
            logs.push(Value::Object(entry));
        }
    }
    let mut document = json!({"name": source.name, "root": root, "blocks": blocks, "logs": logs});
    if all_digests && !source.archives.is_empty() {
        let archives: Result<Vec<Value>> = source.archives.iter().map(archive).collect();
        document["archives"] = archives?.into();
    }
    Ok(document)
}

fn archive(archive: &Archive) -> Result<Value> {
    let bytes = std::fs::metadata(&archive.path).map_err(|e| Error::io(&archive.path, "read it", &e))?.len();
    Ok(json!({"name": archive.name, "bytes": bytes, "sha256": digest::sha256_file(&archive.path)?}))
}

fn files(dir: &Path) -> Result<Value> {
    let list = digest::sha256_block(dir)?;
    Ok(list.into_iter().map(|(path, bytes, sha256)| json!({"path": path, "bytes": bytes, "sha256": sha256})).collect())
}

/// `losses[]`.
pub fn losses(losses: &[Loss]) -> Value {
    losses.iter().map(Loss::to_json).collect()
}

/// `conflicts{count, first}`.
pub fn conflicts(conflicts: &[Conflict]) -> Value {
    let first =
        conflicts.first().map(|c| json!({"series": c.series.to_json(), "time": rfc3339(c.t_ms), "time_ms": c.t_ms}));
    json!({"count": conflicts.len(), "first": first})
}

/// Lines about losses, at most `most` of them.
pub fn loss_lines(list: &[Loss], most: usize) -> Vec<String> {
    let mut lines: Vec<String> = list.iter().take(most).map(Loss::to_line).collect();
    if list.len() > most {
        lines.push(format!("and {} more (--format json lists all)", list.len() - most));
    }
    lines
}

/// Notes for a person, a dozen at most.
pub fn note_lines(notes: &[String]) -> Vec<String> {
    const MOST: usize = 12;
    let mut lines: Vec<String> = notes.iter().take(MOST).map(|n| crate::labels::printable(n)).collect();
    if notes.len() > MOST {
        lines.push(format!("and {} more (--format json lists all)", notes.len() - MOST));
    }
    lines
}
