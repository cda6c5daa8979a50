//! A converted dataset: the manifest's seal, every file against its digest, and the rows against the table of series.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::findings::{FileKind, FileVerdict, Finding};
use super::tree::{self, list_or_tell};
use crate::dataset::{Dataset, FileEntry, MANIFEST, Manifest, VIEWS, views_sql};
use crate::error::{ErrorKind, Result};
use crate::source::digest::sha256_file;

/// Checks the dataset in `root`, all of its shards.
pub(super) fn walk(root: &Path, out: &mut Vec<FileVerdict>) -> Result<()> {
    let folders = Dataset::folders(root)?.unwrap_or_else(|| vec![root.to_path_buf()]);
    let mut known: BTreeSet<String> = BTreeSet::new();
    let before = out.len();
    for folder in folders {
        let rel = folder.strip_prefix(root).unwrap_or(Path::new("")).to_string_lossy().into_owned();
        let place = tree::join(&rel, MANIFEST);
        known.insert(place.clone());
        let bytes = std::fs::metadata(folder.join(MANIFEST)).ok().map(|m| m.len());
        let mut verdict = FileVerdict::new(place, FileKind::Manifest, bytes);
        match Manifest::read(&folder) {
            Ok(manifest) => {
                verdict.count("files", manifest.files.len() as u64);
                known.insert(tree::join(&rel, VIEWS));
                out.push(views(&folder, tree::join(&rel, VIEWS), &manifest.partition));
                known.extend(manifest.files.iter().map(|f| tree::join(&rel, &f.path)));
                let files = manifest.files.par_iter();
                out.par_extend(
                    files.map(|entry| file(&folder.join(&entry.path), tree::join(&rel, &entry.path), entry)),
                );
            }
            Err(e) => {
                let effect = "the dataset cannot be opened, so nothing of it is in any answer";
                verdict.push(Finding::bad(
                    e.kind(),
                    "manifest",
                    "a manifest sealed with its own digest",
                    e.message(),
                    effect,
                ));
            }
        }
        out.push(verdict);
    }
    match Dataset::open(root) {
        Ok(dataset) => {
            for loss in dataset.missing_shards() {
                let mut verdict = FileVerdict::new(loss.file.clone(), FileKind::Manifest, None);
                let effect = "answers about the series that may be in it are unknown";
                verdict.push(Finding::bad(loss.kind, "shard", "it is here", &loss.detail, effect).over(loss.interval));
                out.push(verdict);
            }
            if out.iter().skip(before).all(|v| v.findings.is_empty()) {
                rows(&dataset, out);
            }
        }
        // Every sample on disk has no table of one sample per time, and rests on its digests.
        Err(e) if e.kind() == ErrorKind::Unsupported => {}
        Err(e) => {
            let refused = out.iter_mut().skip(before).filter(|v| v.kind == FileKind::Manifest);
            for verdict in refused.filter(|v| v.findings.is_empty()) {
                let effect = "no command takes the folder as a SOURCE";
                verdict.push(Finding::bad(e.kind(), "dataset", "one conversion", e.message(), effect));
            }
        }
    }
    strays(root, "", &known, out);
    Ok(())
}

/// One file against what the manifest says of it.
fn file(path: &Path, rel: String, entry: &FileEntry) -> FileVerdict {
    let bytes = std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len());
    let mut verdict = FileVerdict::new(rel, FileKind::Parquet, bytes);
    verdict.count("rows", entry.rows);
    let effect = "the rows that cannot be trusted are in no answer";
    let finding = match (bytes, sha256_file(path)) {
        (None, _) => Some(Finding::bad(ErrorKind::Missing, "file", "it is there", "nothing", effect)),
        (Some(found), _) if found != entry.bytes => {
            let expected = format!("{} bytes, as the manifest says", entry.bytes);
            Some(Finding::bad(ErrorKind::Truncated, "file", expected, format!("{found} bytes"), effect))
        }
        (_, Err(e)) => Some(Finding::unreadable(&e, effect)),
        (_, Ok(digest)) if digest != entry.sha256 => {
            let expected = format!("SHA-256 {}, as the manifest says", entry.sha256);
            Some(Finding::bad(ErrorKind::Checksum, "file", expected, digest, effect))
        }
        _ => None,
    };
    if let Some(finding) = finding {
        let (start, end) = entry.times_ms.unwrap_or((i64::MIN, i64::MAX));
        verdict.push(finding.over(Some(crate::time::Interval::new(start, end))));
    }
    verdict
}

/// The views for engines, whose text follows from the manifest.
fn views(folder: &Path, rel: String, partition: &str) -> FileVerdict {
    let bytes = std::fs::metadata(folder.join(VIEWS)).ok().filter(|m| m.is_file()).map(|m| m.len());
    let mut verdict = FileVerdict::new(rel, FileKind::Other, bytes);
    let found = match std::fs::read(folder.join(VIEWS)) {
        Ok(text) if text == views_sql(partition).as_bytes() => return verdict,
        Ok(text) => (ErrorKind::Malformed, format!("{} other bytes", text.len())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => (ErrorKind::Missing, "nothing".to_owned()),
        Err(e) => (ErrorKind::Io, crate::error::plain_io(&e)),
    };
    let effect = "none here; an engine that runs it may answer otherwise";
    verdict.push(Finding::bad(found.0, "file", "the views that are written for such a dataset", found.1, effect));
    verdict
}

/// Decodes every row and compares it with the table of series: order, times and counts.
fn rows(dataset: &Dataset, out: &mut [FileVerdict]) {
    let wanted: Vec<i64> = dataset.series.iter().map(|s| s.record.id).collect();
    let mut found: BTreeMap<i64, (u64, u64, Option<i64>)> = BTreeMap::new();
    let mut faults: Vec<(String, Finding)> = Vec::new();
    let effect = "answers may be wrong: whoever wrote the file also wrote its digest";
    for batch in dataset.groups.chunks(2 * rayon::current_num_threads()) {
        let read: Vec<_> = batch.par_iter().map(|group| group.read(&wanted)).collect();
        for (group, read) in batch.iter().zip(read) {
            let runs = match read {
                Ok(runs) => runs,
                Err(loss) => {
                    let finding = Finding::bad(loss.kind, "row group", "rows that decode", loss.detail.clone(), effect);
                    faults.push((group.file.clone(), finding.over(loss.interval)));
                    continue;
                }
            };
            for (id, run) in runs {
                let of = found.entry(id).or_default();
                (of.0, of.1) = (of.0 + run.floats.len() as u64, of.1 + run.histograms.len() as u64);
                let ascends = run.floats.ts.windows(2).all(|w| matches!(w, [a, b] if a < b));
                let behind = run.floats.ts.first().zip(of.2).is_none_or(|(first, last)| last < *first);
                if !ascends || !behind {
                    let finding = Finding::bad(
                        ErrorKind::Malformed,
                        "ts",
                        "times that ascend within a series",
                        format!("others in series {id}"),
                        effect,
                    );
                    faults.push((group.file.clone(), finding.over(run.interval())));
                }
                of.2 = run.floats.ts.last().copied().or(of.2);
            }
        }
    }
    for s in &dataset.series {
        let (samples, histograms, _) = found.get(&s.record.id).copied().unwrap_or_default();
        if (samples, histograms) != (s.record.samples, s.record.histograms) {
            let expected = format!("{} samples and {} histograms", s.record.samples, s.record.histograms);
            let has = format!("{samples} and {histograms} in the files");
            let finding = Finding::bad(ErrorKind::Malformed, "counts of a series", expected, has, effect);
            let file = |v: &&mut FileVerdict| v.file.contains("series/");
            if let Some(verdict) = out.iter_mut().find(file) {
                verdict.push(finding.of(Some(s.record.labels.clone())));
            }
        }
    }
    for (file, finding) in faults {
        if let Some(verdict) = out.iter_mut().find(|v| v.file == file) {
            verdict.push(finding);
        }
    }
}

/// Verdicts on what no manifest names.
fn strays(dir: &Path, rel: &str, known: &BTreeSet<String>, out: &mut Vec<FileVerdict>) {
    for entry in list_or_tell(dir, rel, out) {
        if entry.is_folder() && known.iter().any(|k| k.starts_with(&format!("{}/", entry.rel))) {
            strays(&entry.path, &entry.rel, known, out);
        } else if !known.contains(&entry.rel) {
            tree::others(entry, Some(UNNAMED), out);
        }
    }
}

const UNNAMED: tree::Stumble = tree::Stumble {
    found: "no manifest names it",
    effect: "none here; engines that read the folder by a pattern may take it in",
};
