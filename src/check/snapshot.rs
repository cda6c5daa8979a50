//! `chunk_snapshot.<segment>.<offset>/`: every record, and every open chunk in it.

use rayon::prelude::*;

use super::findings::{FileKind, FileVerdict, Finding, several};
use super::log::{FREE_BYTES, Logs, MAX_RATIO, MAX_RECORD, Numbered, numbered_files};
use super::tree::{Entry, list_or_tell};
use crate::error::ErrorKind;
use crate::raw::{Fault, FileBytes, ReadMode};
use crate::time::Interval;
use crate::tsdb::chunkenc;
use crate::tsdb::run::Run;
use crate::wal::Records;
use crate::wal::snapshot::{self, SnapshotRecord, SnapshotSeries, parse_name};

const GIVES_UP: &str = "a server gives up the snapshot and replays the log instead, so nothing is lost while the log is whole; here it is not read at all";

/// Walks one snapshot; `newer` is the name of one that replaces it.
pub(super) fn walk(folder: &Entry, newer: Option<&str>, logs: &Logs, mode: ReadMode, out: &mut Vec<FileVerdict>) {
    let entries = list_or_tell(&folder.path, &folder.rel, out);
    let segments = numbered_files(entries, &folder.rel, FileKind::ChunkSnapshot, out);
    let stale = parse_name(&folder.name).is_some_and(|(segment, _)| logs.last.is_none_or(|last| last < segment));
    let mut walked: Vec<FileVerdict> = segments.par_iter().map(|file| one(file, mode)).collect();
    for verdict in &mut walked {
        let effect = "none: a server replays the log instead";
        if let Some(newer) = newer {
            verdict.push(Finding::note("file", format!("{newer} is newer"), effect));
        } else if stale {
            verdict.push(Finding::note("file", "the log ends before the segment in its name", effect));
        }
        verdict.settle();
    }
    out.append(&mut walked);
}

fn one(file: &Numbered, mode: ReadMode) -> FileVerdict {
    let mut verdict = FileVerdict::new(file.rel.clone(), FileKind::ChunkSnapshot, file.bytes);
    let bytes = match FileBytes::open(&file.path, mode) {
        Ok(bytes) => bytes,
        Err(e) => {
            verdict.push(Finding::unreadable(&e, GIVES_UP));
            return verdict;
        }
    };
    let (mut records, mut series, mut chunks, mut samples) = (0, 0, 0, 0);
    let mut budget = (bytes.len() as u64).saturating_mul(MAX_RATIO).saturating_add(FREE_BYTES);
    let mut buffer = Vec::new();
    let mut run = Run::default();
    let mut read = Records::new(&bytes).limit(MAX_RECORD);
    for raw in read.by_ref() {
        let raw = match raw {
            Ok(raw) => raw,
            Err(f) => {
                let left = several((bytes.len() as u64).saturating_sub(f.fault.offset), "byte");
                let effect = format!("{GIVES_UP}; {left} from here on could not be walked");
                verdict.push(Finding::fault(&f.fault, effect));
                break;
            }
        };
        records += 1;
        let unfolded = match raw.decompress(&mut buffer) {
            Ok(unfolded) => unfolded,
            Err(fault) => {
                verdict.push(Finding::fault(&fault, GIVES_UP).at(raw.offset));
                continue;
            }
        };
        match budget.checked_sub(unfolded.len() as u64) {
            Some(left) => budget = left,
            None => {
                let expected = format!("a log unfolds to at most {MAX_RATIO} times its bytes");
                verdict.push(Finding::bad(ErrorKind::Malformed, "records", expected, "more", GIVES_UP).at(raw.offset));
                break;
            }
        }
        match snapshot::decode(unfolded) {
            Ok(SnapshotRecord::Series(s)) => {
                series += 1;
                chunks += u64::from(s.chunk.is_some());
                samples += open_chunk(&s, raw.offset, &mut run, &mut verdict);
            }
            Ok(SnapshotRecord::Tombstones(_) | SnapshotRecord::Exemplars(_)) => {}
            Err(fault) => verdict.push(Finding::fault(&fault, GIVES_UP).at(raw.offset)),
        }
    }
    if let Some(at) = read.unfinished() {
        let finding = Finding::bad(ErrorKind::Truncated, "rest of a record", "its last fragment", "zeros", GIVES_UP);
        verdict.push(finding.at(at));
    }
    verdict.count("records", records);
    verdict.count("series", series);
    verdict.count("chunks", chunks);
    verdict.count("samples", samples);
    verdict
}

/// Decodes the open chunk of a series. Gives the number of its samples.
fn open_chunk(s: &SnapshotSeries<'_>, at: u64, run: &mut Run, verdict: &mut FileVerdict) -> u64 {
    if s.odd_labels {
        let expected = "labels in the order of their names, each once, none empty";
        let finding = Finding::bad(ErrorKind::Malformed, "labels of a series", expected, "others", GIVES_UP);
        verdict.push(finding.at(at).of(Some(s.labels.clone())));
    }
    let Some(chunk) = &s.chunk else { return 0 };
    let claimed = Interval::new(chunk.min_time_ms, chunk.max_time_ms);
    if let Err(fault) = chunkenc::decode(&chunk.data, true, run) {
        let fault = Fault::new(at, fault.field, fault.kind);
        verdict.push(Finding::fault(&fault, GIVES_UP).of(Some(s.labels.clone())).over(Some(claimed)));
        return 0;
    }
    if run.interval() != Some(claimed) {
        let expected =
            run.interval().map_or_else(|| "samples".to_owned(), |i| format!("the times of its samples, {i}"));
        let finding =
            Finding::bad(ErrorKind::Malformed, "times of an open chunk", expected, claimed.to_string(), GIVES_UP);
        verdict.push(finding.at(at).of(Some(s.labels.clone())).over(Some(claimed)));
    }
    run.len() as u64
}
