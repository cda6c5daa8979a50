//! `chunks_head/`: every mapped chunk, and the order of each series over all files.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::findings::{FileKind, FileVerdict, Finding, several};
use super::tree::{Entry, Stumble, join, list_or_tell, others};
use crate::error::ErrorKind;
use crate::labels::Labels;
use crate::raw::{FileBytes, ReadMode};
use crate::time::Interval;
use crate::tsdb::chunkenc;
use crate::tsdb::chunks::HEADER_LEN;
use crate::tsdb::head_chunks::{self, HeadChunk, HeadSeriesRef};
use crate::tsdb::numbered;
use crate::tsdb::run::Run;

const DISCARDS: &str = "a server discards this file and all later ones and takes their samples from the log; what the log no longer has is lost";

struct File {
    verdict: FileVerdict,
    chunks: Vec<HeadChunk>,
}

/// Walks the folder. `series` are those that the logs define; `None` where there is no log.
pub(super) fn walk(
    folder: &Entry,
    series: Option<&BTreeMap<HeadSeriesRef, Labels>>,
    mode: ReadMode,
    out: &mut Vec<FileVerdict>,
) {
    let mut files: Vec<(u64, Entry)> = Vec::new();
    for entry in list_or_tell(&folder.path, &folder.rel, out) {
        match numbered::number(&entry.name) {
            Some(n) if !entry.is_folder() && !files.iter().any(|(m, _)| *m == n) => files.push((n, entry)),
            Some(_) => others(entry, Some(TWICE), out),
            None => others(entry, None, out),
        }
    }
    files.sort_by_key(|(n, _)| *n);
    for pair in files.windows(2) {
        if let [(a, _), (b, _)] = pair
            && a + 1 != *b
        {
            let mut verdict = FileVerdict::new(join(&folder.rel, &format!("{:06}", a + 1)), FileKind::HeadChunks, None);
            let found =
                if a + 2 == *b { "no file".to_owned() } else { format!("no file, and none up to {:06}", b - 1) };
            let effect = "a server does not start on that; its chunks are lost unless the log still has their samples";
            verdict.push(Finding::bad(ErrorKind::Missing, "file", "files numbered without a gap", found, effect));
            out.push(verdict);
        }
    }
    let last = files.last().map(|(n, _)| *n);
    let mut walked: Vec<File> = files
        .par_iter()
        .map(|(number, entry)| {
            let mut verdict = FileVerdict::new(entry.rel.clone(), FileKind::HeadChunks, entry.bytes());
            let chunks = match FileBytes::open(&entry.path, mode) {
                Ok(bytes) => one(&bytes, *number, last == Some(*number), series, &mut verdict),
                Err(e) => {
                    verdict.push(Finding::unreadable(&e, DISCARDS));
                    Vec::new()
                }
            };
            File { verdict, chunks }
        })
        .collect();
    order(&mut walked, series);
    for mut file in walked {
        file.verdict.settle();
        out.push(file.verdict);
    }
}

const TWICE: Stumble = Stumble {
    found: "a number that is there already, or a folder",
    effect: "a server may take it instead of the other one, or fail to open it",
};

fn one(
    bytes: &[u8],
    number: u64,
    is_last: bool,
    series: Option<&BTreeMap<HeadSeriesRef, Labels>>,
    verdict: &mut FileVerdict,
) -> Vec<HeadChunk> {
    let mut chunks = Vec::new();
    if is_last && head_chunks::is_empty_last(bytes) {
        let effect = "none: a killed server leaves such a file, and a restarted one deletes it";
        verdict.push(Finding::note("file", "it was never written to", effect));
        return chunks;
    }
    let mut at = HEADER_LEN;
    if let Err(fault) = head_chunks::check_header(bytes) {
        let effect = "a server does not start on that file; what follows was checked all the same";
        verdict.push(Finding::fault(&fault, effect));
    } else if let Some(i) = bytes.get(5..HEADER_LEN as usize).and_then(|p| p.iter().position(|b| *b != 0)) {
        let effect = "none: nobody reads these bytes";
        let finding = Finding::bad(ErrorKind::Malformed, "header", "padding of zeros", "others", effect);
        verdict.push(finding.at(5 + i as u64));
    }
    let mut run = Run::default();
    let (mut samples, mut unknown) = (0, 0u64);
    let mut strangers: BTreeSet<HeadSeriesRef> = BTreeSet::new();
    let mut broken = false;
    loop {
        match head_chunks::next(bytes, number, at) {
            Ok(None) => break,
            Ok(Some((chunk, data, end))) => {
                let labels = series.and_then(|s| s.get(&chunk.series)).cloned();
                if series.is_some() && labels.is_none() {
                    unknown += 1;
                    strangers.insert(chunk.series);
                }
                contents(&chunk, &data, labels, &mut run, verdict);
                samples += run.len() as u64;
                chunks.push(chunk);
                (at, broken) = (end, false);
            }
            Err(fault) => {
                let claim = head_chunks::claim(bytes, at);
                let end = claim.and_then(|c| c.end);
                // What it says about itself may be damaged, too; a series that the log knows speaks for it.
                let labels = claim.and_then(|c| series.and_then(|s| s.get(&c.series)).cloned());
                let times = claim.filter(|_| labels.is_some()).map(|c| c.interval);
                let finding = |effect: &str| Finding::fault(&fault, effect).at(at).of(labels.clone()).over(times);
                if !broken && is_last && is_torn(bytes, at, end) {
                    let effect = "a killed server leaves such an end; a restarted one discards the file and takes its samples from the log";
                    verdict.push(finding("").excused(effect));
                    break;
                }
                if broken {
                    // The length of the chunk before cannot be right either, so nothing tells where the next one starts.
                    let effect = format!(
                        "{DISCARDS}; {} from here on were not checked",
                        several(bytes.len() as u64 - at, "byte")
                    );
                    verdict.push(Finding::fault(&fault, effect).at(at));
                    break;
                }
                verdict.push(finding(DISCARDS));
                match end {
                    Some(end) => (at, broken) = (end, true),
                    None => break,
                }
            }
        }
    }
    verdict.count("series", chunks.iter().map(|c| c.series).collect::<BTreeSet<_>>().len() as u64);
    verdict.count("chunks", chunks.len() as u64);
    verdict.count("samples", samples);
    if unknown > 0 {
        let first = chunks.iter().find(|c| strangers.contains(&c.series));
        let found = format!(
            "{} of {} without a series record in the log",
            several(unknown, "chunk"),
            several(strangers.len() as u64, "reference")
        );
        let effect = "nobody knows their labels, so their samples are in no answer, here or on a server";
        let finding = Finding::note("series of the chunks", found, effect);
        let times = chunks.iter().filter(|c| strangers.contains(&c.series)).map(HeadChunk::interval);
        verdict.push(finding.at(first.map_or(0, |c| c.reference.offset_bytes())).over(times.reduce(Interval::hull)));
    }
    chunks
}

/// Whether the chunk at `at` was not written to its end: cut off, or zeros before its end and up to that of the file.
fn is_torn(bytes: &[u8], at: u64, end: Option<u64>) -> bool {
    let zeros = bytes.iter().rev().take_while(|b| **b == 0).count();
    let written = (bytes.len() - zeros) as u64;
    // The checksum's last bytes may be zeros themselves.
    at < written && end.is_none_or(|end| written + 4 < end)
}

fn contents(
    chunk: &HeadChunk,
    data: &crate::tsdb::chunks::ChunkSlice<'_>,
    labels: Option<Labels>,
    run: &mut Run,
    verdict: &mut FileVerdict,
) {
    let at = chunk.reference.offset_bytes();
    if let Err(fault) = chunkenc::decode(data, true, run) {
        run.clear();
        let n =
            if chunk.samples > 0 { format!(" with its {}", several(chunk.samples, "sample")) } else { String::new() };
        let effect =
            format!("the chunk{n} is lost to every answer about this series and time, unless the log still has them");
        verdict.push(Finding::fault(&fault, effect).of(labels).over(Some(chunk.interval())));
        return;
    }
    let claimed = (chunk.min_time_ms, chunk.max_time_ms);
    let (expected, found) = match run.interval() {
        Some(i) if (i.start, i.end) == claimed => return,
        Some(i) => (format!("the times of its samples, {i}"), chunk.interval().to_string()),
        None => ("a chunk with samples".to_owned(), "one without".to_owned()),
    };
    let effect = "chunks are chosen by these times, here and on a server, so answers about the time between the two miss samples";
    let over = run.interval().map_or(chunk.interval(), |i| i.hull(chunk.interval()));
    let finding = Finding::bad(ErrorKind::Malformed, "times of a chunk", expected, found, effect);
    verdict.push(finding.at(at).of(labels).over(Some(over)));
}

/// Chunks in order of one reference follow each other in time.
fn order(files: &mut [File], series: Option<&BTreeMap<HeadSeriesRef, Labels>>) {
    let mut newest: BTreeMap<HeadSeriesRef, i64> = BTreeMap::new();
    for file in files {
        for chunk in file.chunks.iter().filter(|c| !c.out_of_order) {
            let before = newest.get(&chunk.series).copied();
            if let Some(end) = before.filter(|end| *end >= chunk.min_time_ms) {
                let expected = format!("a chunk behind {}, where the one before it ends", crate::time::rfc3339(end));
                let effect = "a server discards all mapped chunks and takes their samples from the log; what the log no longer has is lost";
                let found = chunk.interval().to_string();
                let finding = Finding::bad(ErrorKind::Malformed, "order of the chunks", expected, found, effect);
                let labels = series.and_then(|s| s.get(&chunk.series)).cloned();
                file.verdict.push(finding.at(chunk.reference.offset_bytes()).of(labels).over(Some(chunk.interval())));
            }
            newest.insert(chunk.series, before.map_or(chunk.max_time_ms, |b| b.max(chunk.max_time_ms)));
        }
    }
}
