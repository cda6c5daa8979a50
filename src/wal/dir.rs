//! Segments and checkpoints in the folder of a log (`tsdb/wlog/wlog.go`, `tsdb/wlog/checkpoint.go` upstream).

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::labels::printable;
use crate::tsdb::numbered::{Naming, entries, list, number};

pub use crate::tsdb::numbered::NumberedFile as SegmentFile;

const CHECKPOINT: &str = "checkpoint.";

/// What the folder of a log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogDir {
    /// Ascending by number, each number once.
    pub segments: Vec<SegmentFile>,
    /// Sentences for people: other files, missing numbers.
    pub oddities: Vec<String>,
    /// Numbers of segments whose predecessor is missing. A server refuses such a log.
    pub gap_before: Vec<u64>,
}

/// Lists the segments in `wal/`, `wbl/`, a checkpoint or a chunk snapshot. A missing folder is an empty log.
///
/// Checkpoints and the file `series_state.json`, which holds no samples, are passed over. Errs only where the operating
/// system does not let us look.
pub fn list_segments(dir: &Path) -> Result<LogDir> {
    let is_known = |name: &str| name.starts_with(CHECKPOINT) || name == "series_state.json";
    let listed = list(dir, Naming { noun: "segment", width: 8, is_known })?;
    Ok(LogDir { segments: listed.files, oddities: listed.oddities, gap_before: listed.gap_before })
}

/// A checkpoint: what was still needed of the segments up to its number, and of the checkpoint before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last segment that it replaces.
    pub number: u64,
    /// The folder with its segments.
    pub dir: PathBuf,
    /// Its name as on disk.
    pub name: String,
}

/// Lists the checkpoints in `wal/`, ascending by number, and sentences for people about what only looks like one.
///
/// The last one counts; older ones and segments up to its number are leftovers. Errs only where the operating system
/// does not let us look.
pub fn list_checkpoints(wal_dir: &Path) -> Result<(Vec<Checkpoint>, Vec<String>)> {
    let mut found = Vec::new();
    let mut notes = Vec::new();
    for (name, dir) in entries(wal_dir)? {
        let Some(rest) = name.strip_prefix(CHECKPOINT) else { continue };
        let shown = printable(&name);
        match number(rest) {
            // Upstream does not follow links here.
            _ if !std::fs::symlink_metadata(&dir).is_ok_and(|m| m.is_dir()) => {
                notes.push(format!("`{shown}` is not a folder; a server refuses to start with it"));
            }
            Some(number) => found.push(Checkpoint { number, dir, name }),
            None if rest.ends_with(".tmp") => notes.push(format!("`{shown}` was never finished")),
            None => notes.push(format!("`{shown}` is no checkpoint")),
        }
    }
    found.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    for twice in found.windows(2) {
        if let [a, b] = twice
            && a.number == b.number
        {
            notes.push(format!("checkpoint {} is there twice: `{}` and `{}`", a.number, a.name, b.name));
        }
    }
    Ok((found, notes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_have_any_padding_and_never_end_in_tmp() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["checkpoint.00000012", "checkpoint.9", "checkpoint.00000013.tmp", "checkpoint.x", "00000001"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("checkpoint.00000099"), "").unwrap();
        std::fs::write(dir.path().join("series_state.json"), "{}").unwrap();
        let (found, notes) = list_checkpoints(dir.path()).unwrap();
        assert_eq!(
            found.iter().map(|c| (c.number, &c.name[..])).collect::<Vec<_>>(),
            [(9, "checkpoint.9"), (12, "checkpoint.00000012")]
        );
        assert_eq!(
            notes,
            [
                "`checkpoint.00000013.tmp` was never finished",
                "`checkpoint.00000099` is not a folder; a server refuses to start with it",
                "`checkpoint.x` is no checkpoint",
            ]
        );
        let log = list_segments(dir.path()).unwrap();
        assert_eq!((log.segments, log.oddities), (vec![], vec!["`00000001` is not a regular file".to_owned()]));
        assert_eq!(list_checkpoints(&dir.path().join("none")).unwrap(), (vec![], vec![]));
    }
}
