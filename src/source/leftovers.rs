//! What lies beside the blocks and the head of a data directory: snapshots, temporary folders, other people's files.

use std::path::Path;

use super::Source;
use crate::error::ErrorKind;
use crate::loss::Loss;
use crate::tsdb::ulid::Ulid;

/// Adds a note for everything that is no data or no part of these data.
pub(super) fn report(root: &Path, source: &mut Source) {
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
            misnamed_block(&root.join(&name), &name, source);
        } else if name.starts_with("chunk_snapshot.") {
            source.ledger.notes.push(format!("{printable} repeats what the log holds and was not read"));
        }
    }
}

/// A block in a folder whose name is no ULID: a server skips it. What it holds is lost, unless the same block is served
/// under its own name or went into another one.
fn misnamed_block(dir: &Path, name: &str, source: &mut Source) {
    let said = "holds a block, but its name is no ULID; a server skips it, and so does this answer";
    let Ok(meta) = super::read_meta(dir) else {
        source.ledger.notes.push(format!("{} {said}", crate::labels::printable(name)));
        return;
    };
    let served = source.blocks.iter().map(|b| &b.block.meta);
    let known = served.clone().any(|m| m.ulid == meta.ulid || m.compaction_parents().contains(&meta.ulid));
    if known || source.shadowed.iter().any(|s| s.ulid == meta.ulid) {
        source
            .ledger
            .notes
            .push(format!("{} {said}; its samples are in a block that is served", crate::labels::printable(name)));
        return;
    }
    source.ledger.losses.push(Loss {
        file: format!("{name}/meta.json"),
        offset: None,
        kind: ErrorKind::Missing,
        detail: format!("the folder {said}; rename a copy of it to {} to have it read", meta.ulid),
        series: None,
        interval: Some(meta.interval()),
        samples: meta.stats.samples,
    });
}
