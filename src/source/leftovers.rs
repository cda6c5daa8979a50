//! What lies beside the blocks of a data directory: logs, mapped head chunks, snapshots, temporary folders.

use std::path::Path;

use super::Source;
use crate::error::ErrorKind;
use crate::loss::Loss;
use crate::time::Interval;
use crate::tsdb::ulid::Ulid;

/// Hints whose blocks do not say up to when the log was compacted (`tsdb/db.go`).
const HINTS_BESIDE_THE_HEAD: [&str; 3] = ["from-out-of-order", "from-stale-series", "from-selected-series"];

/// Adds a loss for every store that this release does not read, with the times that it may cover, and a note for
/// everything else that is no data.
pub(super) fn report(root: &Path, source: &mut Source) {
    // The log holds what came after the last compaction of the head: everything from the newest end of a block that
    // the head was cut into.
    let cutoff = source
        .blocks
        .iter()
        .filter(|b| !b.block.meta.hints.iter().any(|h| HINTS_BESIDE_THE_HEAD.contains(&h.as_str())))
        .map(|b| b.block.meta.max_time_ms)
        .max();
    let newer = Some(Interval::new(cutoff.unwrap_or(i64::MIN), i64::MAX));
    for (folder, what, interval) in [
        ("wal", "the write-ahead log", newer),
        ("chunks_head", "the mapped chunks of the head", newer),
        ("wbl", "the log of out-of-order samples", None),
    ] {
        let bytes = folder_bytes(&root.join(folder));
        if bytes > 0 {
            source.ledger.losses.push(Loss {
                file: folder.to_owned(),
                offset: None,
                kind: ErrorKind::Unsupported,
                detail: format!(
                    "{what}, {bytes} bytes that this release does not read; take a snapshot, or ask about earlier times"
                ),
                series: None,
                interval,
                samples: None,
            });
        }
    }
    let Ok(entries) = std::fs::read_dir(root) else {
        return;
    };
    let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        let printable = crate::labels::printable(&name);
        if name == "snapshots" {
            let mut inside: Vec<String> = std::fs::read_dir(root.join("snapshots"))
                .map(|d| d.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
                .unwrap_or_default();
            inside.sort();
            for snapshot in inside {
                let snapshot = crate::labels::printable(&snapshot);
                source
                    .ledger
                    .notes
                    .push(format!("snapshots/{snapshot} is a snapshot of its own and was not read along"));
            }
        } else if name.ends_with(".tmp") || name.ends_with(".tmp-for-creation") || name.ends_with(".tmp-for-deletion") {
            source.ledger.notes.push(format!("{printable} is unfinished or half deleted; a server skips it"));
        } else if Ulid::parse(&name).is_some() {
            if !root.join(&name).is_dir() {
                source.ledger.notes.push(format!("{printable} has a block's name and is no folder; it was not read"));
            }
        } else if root.join(&name).join("meta.json").is_file() && root.join(&name).join("index").is_file() {
            source.ledger.notes.push(format!(
                "{printable} holds a block, but its name is no ULID; a server skips it, and so does this answer"
            ));
        } else if name.starts_with("chunk_snapshot.") {
            source.ledger.notes.push(format!("{printable} repeats what the log holds and was not read"));
        }
    }
}

/// The bytes in a folder that are more than an empty header; 0 where it is missing.
fn folder_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => folder_bytes(&e.path()),
            Ok(m) if m.len() > 8 => m.len(),
            _ => 0,
        })
        .sum()
}
