//! `wal/`, `wbl/` and checkpoints: every fragment, record and entry, and the series records of all files together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::findings::{FileKind, FileVerdict, Finding, several};
use super::tree::{Entry, Is, Stumble, join, list_or_tell, others};
use crate::error::ErrorKind;
use crate::labels::{Labels, printable};
use crate::raw::{Fault, FaultKind, FileBytes, ReadMode};
use crate::tsdb::numbered;
use crate::wal::record::{self, types};
use crate::wal::{HeadSeriesRef, RawRecord, Records};

/// A record may be as long as this when decompressed. Real ones have a few megabytes.
pub(super) const MAX_RECORD: u64 = 1 << 28;
/// A segment may unfold to this many times its bytes, and the first bytes to that: real ones reach 5.
pub(super) const MAX_RATIO: u64 = 64;
pub(super) const FREE_BYTES: u64 = 1 << 26;

const CHECKPOINT: &str = "checkpoint.";

/// What the logs of a root say beyond themselves.
#[derive(Debug, Default)]
pub(super) struct Logs {
    /// The series that any record defines.
    pub series: BTreeMap<HeadSeriesRef, Labels>,
    /// The highest number of a segment.
    pub last: Option<u64>,
}

/// A numbered file of a log.
pub(super) struct Numbered {
    pub number: u64,
    pub rel: String,
    pub path: PathBuf,
    pub bytes: Option<u64>,
}

/// The role of a segment in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Behind the newest checkpoint.
    Live,
    /// Replaced by the newest checkpoint, or part of an older one.
    Replaced,
    /// Part of the newest checkpoint.
    Checkpoint,
    /// Of the log of out-of-order samples.
    Late,
}

/// One segment, walked.
struct Segment {
    role: Role,
    verdict: FileVerdict,
    /// Where a server stops reading.
    stops: Vec<Stop>,
    series: Vec<(u64, HeadSeriesRef, Labels)>,
    /// Samples per reference.
    used: BTreeMap<HeadSeriesRef, u64>,
}

struct Stop {
    fault: Fault,
    /// What a killed server leaves at the end of its last segment.
    tail: bool,
    /// A server does not notice.
    passed_over: bool,
    /// Bytes behind it that nobody can read.
    left: u64,
}

/// Walks `wal/` with its checkpoints. `has_late` tells whether there is a log of out-of-order samples beside it.
pub(super) fn wal(folder: &Entry, has_late: bool, mode: ReadMode, out: &mut Vec<FileVerdict>) -> Logs {
    let mut checkpoints: Vec<(u64, Entry)> = Vec::new();
    let mut rest = Vec::new();
    for entry in list_or_tell(&folder.path, &folder.rel, out) {
        match entry.name.strip_prefix(CHECKPOINT) {
            None => rest.push(entry),
            Some(after) => match numbered::number(after) {
                Some(n) if matches!(entry.is, Is::Folder) => checkpoints.push((n, entry)),
                _ if after.ends_with(".tmp") => others(entry, Some(UNFINISHED), out),
                _ => others(entry, Some(NO_CHECKPOINT), out),
            },
        }
    }
    checkpoints.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    let newest = checkpoints.last().map(|(n, _)| *n);
    let mut files: Vec<(Role, FileKind, bool, Numbered)> = Vec::new();
    let last_checkpoint = checkpoints.len().saturating_sub(1);
    for (i, (_, entry)) in checkpoints.iter().enumerate() {
        let role = if i == last_checkpoint { Role::Checkpoint } else { Role::Replaced };
        let listed = list_or_tell(&entry.path, &entry.rel, out);
        let segments = numbered_files(listed, &entry.rel, FileKind::Checkpoint, out);
        gaps(&segments, &entry.rel, FileKind::Checkpoint, out);
        files.extend(segments.into_iter().map(|s| (role, FileKind::Checkpoint, false, s)));
    }
    let segments = numbered_files(rest, &folder.rel, FileKind::Log, out);
    gaps(&segments, &folder.rel, FileKind::Log, out);
    let from = newest.map_or(0, |n| n + 1);
    if let Some(first) = segments.first().filter(|s| s.number > from) {
        let behind = newest.map_or_else(|| "without a checkpoint".to_owned(), |n| format!("behind checkpoint {n}"));
        missing(
            from..first.number,
            &format!("a log that begins with segment {from} {behind}"),
            &folder.rel,
            FileKind::Log,
            out,
        );
    }
    let last = segments.last().map(|s| s.number);
    for s in segments {
        let role = if s.number < from { Role::Replaced } else { Role::Live };
        files.push((role, FileKind::Log, Some(s.number) == last, s));
    }
    let mut walked: Vec<(bool, Segment)> =
        files.into_par_iter().map(|(role, kind, is_last, file)| (is_last, segment(&file, role, kind, mode))).collect();
    let mut series = BTreeMap::new();
    for (_, s) in &mut walked {
        define(s, &mut series);
    }
    let mut cut: Option<String> = None;
    for (is_last, mut s) in walked {
        strangers(&mut s, &series);
        if s.role == Role::Replaced {
            let checkpoint = newest.map_or_else(String::new, |n| n.to_string());
            let effect = "none: it is not read, here or on a server, which deletes it";
            let found = format!("checkpoint {checkpoint} replaced it");
            s.verdict.push(Finding::note("file", found, effect));
        }
        if let Some(before) = cut.as_ref().filter(|_| s.role == Role::Live) {
            let effect = "a restarted server deletes this segment, and its samples are in no answer";
            let found = format!("{before} is damaged before it");
            s.verdict.push(Finding::note("file", found, effect));
        }
        let effect = match s.role {
            Role::Checkpoint => "a server does not start on a damaged checkpoint; what follows in it is lost".to_owned(),
            Role::Replaced => "none: the newest checkpoint replaced this file, and nobody reads it again".to_owned(),
            Role::Live | Role::Late if has_late => {
                "a restarted server cuts the log here: what follows in this segment and all later ones are lost; that start serves nothing of the out-of-order log".to_owned()
            }
            Role::Live | Role::Late => {
                "a restarted server cuts the log here: what follows in this segment and all later ones are lost".to_owned()
            }
        };
        let stopped = tell(&mut s, is_last, &effect);
        if stopped && s.role == Role::Live {
            cut.get_or_insert_with(|| s.verdict.file.clone());
        }
        s.verdict.settle();
        out.push(s.verdict);
    }
    Logs { series, last }
}

/// Walks `wbl/`.
pub(super) fn late(folder: &Entry, logs: &Logs, mode: ReadMode, out: &mut Vec<FileVerdict>) {
    let entries = list_or_tell(&folder.path, &folder.rel, out);
    let segments = numbered_files(entries, &folder.rel, FileKind::LateLog, out);
    gaps(&segments, &folder.rel, FileKind::LateLog, out);
    let last = segments.last().map(|s| s.number);
    let walked: Vec<(bool, Segment)> = segments
        .into_par_iter()
        .map(|file| (Some(file.number) == last, segment(&file, Role::Late, FileKind::LateLog, mode)))
        .collect();
    let mut cut: Option<String> = None;
    for (is_last, mut s) in walked {
        strangers(&mut s, &logs.series);
        if let Some(before) = &cut {
            let effect = "a restarted server deletes this segment, and its samples are in no answer";
            let found = format!("{before} is damaged before it");
            s.verdict.push(Finding::note("file", found, effect));
        }
        let effect = "a restarted server cuts the log here: what follows in this segment and all later ones are lost";
        if tell(&mut s, is_last, effect) {
            cut.get_or_insert_with(|| s.verdict.file.clone());
        }
        s.verdict.settle();
        out.push(s.verdict);
    }
}

const UNFINISHED: Stumble =
    Stumble { found: "part of a checkpoint that was never finished", effect: "none: a server deletes it" };
const NO_CHECKPOINT: Stumble = Stumble {
    found: "no folder with a number behind `checkpoint.`",
    effect: "none here; a server refuses to start on a file of that name",
};
const MISNAMED: Stumble = Stumble {
    found: "a number of another form, one that is there already, or a folder",
    effect: "its records are in no answer; a server looks for the other name, or fails to open it",
};

/// The files that are named by numbers, ascending; verdicts on all other entries.
pub(super) fn numbered_files(
    entries: Vec<Entry>,
    folder: &str,
    kind: FileKind,
    out: &mut Vec<FileVerdict>,
) -> Vec<Numbered> {
    let mut found: BTreeMap<u64, Entry> = BTreeMap::new();
    for entry in entries {
        let Some(number) = numbered::number(&entry.name) else {
            others(entry, None, out);
            continue;
        };
        let written = entry.name == format!("{number:08}");
        if entry.is_folder() || (!written && found.contains_key(&number)) {
            others(entry, Some(MISNAMED), out);
        } else if let Some(other) = found.insert(number, entry) {
            others(other, Some(MISNAMED), out);
        }
    }
    let files = found.into_iter().map(|(number, e)| {
        let bytes = e.bytes();
        Numbered { number, rel: e.rel, path: e.path, bytes }
    });
    let files: Vec<Numbered> = files.collect();
    for file in &files {
        if file.rel != join(folder, &format!("{:08}", file.number)) {
            let mut verdict = FileVerdict::new(join(folder, &format!("{:08}", file.number)), kind, None);
            let effect = "its records are read here; a server looks for the name with eight digits and does not start";
            let found = format!("`{}`", printable(&file.rel));
            verdict.push(Finding::bad(ErrorKind::Missing, "file", "files named by eight digits", found, effect));
            out.push(verdict);
        }
    }
    files
}

fn gaps(files: &[Numbered], folder: &str, kind: FileKind, out: &mut Vec<FileVerdict>) {
    for pair in files.windows(2) {
        if let [a, b] = pair
            && a.number + 1 != b.number
        {
            missing(a.number + 1..b.number, "segments numbered without a gap", folder, kind, out);
        }
    }
}

fn missing(numbers: std::ops::Range<u64>, expected: &str, folder: &str, kind: FileKind, out: &mut Vec<FileVerdict>) {
    let mut verdict = FileVerdict::new(join(folder, &format!("{:08}", numbers.start)), kind, None);
    let found = match numbers.end - numbers.start {
        1 => "no file".to_owned(),
        _ => format!("no file, and none up to {:08}", numbers.end - 1),
    };
    let effect = "what was in it is lost, and a server does not start on a log with a gap";
    verdict.push(Finding::bad(ErrorKind::Missing, "file", expected, found, effect));
    out.push(verdict);
}

/// Counts of what a log holds.
#[derive(Debug, Default)]
struct Counts {
    records: u64,
    series: u64,
    samples: u64,
    histograms: u64,
    deletions: u64,
    exemplars: u64,
    metadata: u64,
    markers: u64,
    /// Records of types that are not known or do not belong here: how many, the first of them, its type.
    foreign: Option<(u64, u64, u8)>,
    unknown_schema: u64,
}

fn segment(file: &Numbered, role: Role, kind: FileKind, mode: ReadMode) -> Segment {
    let mut s = Segment {
        role,
        verdict: FileVerdict::new(file.rel.clone(), kind, file.bytes),
        stops: Vec::new(),
        series: Vec::new(),
        used: BTreeMap::new(),
    };
    let bytes = match FileBytes::open(&file.path, mode) {
        Ok(bytes) => bytes,
        Err(e) => {
            s.verdict.push(Finding::unreadable(&e, "what it holds is lost, and a server does not start on it"));
            return s;
        }
    };
    let mut counts = Counts::default();
    let mut buffer = Vec::new();
    let mut budget = (bytes.len() as u64).saturating_mul(MAX_RATIO).saturating_add(FREE_BYTES);
    let mut records = Records::new(&bytes).limit(MAX_RECORD);
    for read in records.by_ref() {
        let raw = match read {
            Ok(raw) => raw,
            Err(f) => {
                let left = (bytes.len() as u64).saturating_sub(f.fault.offset);
                s.stops.push(Stop { fault: f.fault, tail: f.tail, passed_over: false, left });
                break;
            }
        };
        counts.records += 1;
        let decoded = entries(&raw, &mut buffer, &mut s, &mut counts).and_then(|unfolded| {
            budget = budget.checked_sub(unfolded).ok_or_else(|| {
                let rule = "a log unfolds to at most 64 times its bytes";
                Fault::new(0, "records", FaultKind::Malformed { found: unfolded, rule })
            })?;
            Ok(())
        });
        if let Err(f) = decoded {
            let fault = Fault::new(raw.offset, f.field, f.kind);
            s.stops.push(Stop { fault, tail: false, passed_over: false, left: 0 });
            if budget == 0 || f.field == "records" {
                break;
            }
        }
    }
    if let Some(at) = records.unfinished() {
        let kind = FaultKind::Malformed { found: 0, rule: "a record goes on until its last fragment" };
        let fault = Fault::new(at, "rest of a record", kind);
        s.stops.push(Stop { fault, tail: true, passed_over: true, left: 0 });
    }
    if let Some((n, at, found)) = counts.foreign {
        let effect = "none: a server passes over them; a release that knows the type may not";
        let found = format!("{} of types that do not belong here, the first of type {found}", several(n, "record"));
        s.verdict.push(Finding::note("records", found, effect).at(at));
    }
    if counts.unknown_schema > 0 {
        let found = several(counts.unknown_schema, "histogram");
        let effect = "they are in no answer; a server of a release that does not know the schema leaves them out, too";
        s.verdict.push(Finding::bad(ErrorKind::Unsupported, "histograms", "schemas that are known", found, effect));
    }
    let v = &mut s.verdict;
    v.count("records", counts.records);
    v.count("series", counts.series);
    v.count("samples", counts.samples);
    for (what, n) in [
        ("histograms", counts.histograms),
        ("deletions", counts.deletions),
        ("exemplars", counts.exemplars),
        ("metadata", counts.metadata),
        ("markers", counts.markers),
    ] {
        if n > 0 {
            v.count(what, n);
        }
    }
    s
}

/// Reads the entries of one record. Gives its length when decompressed.
fn entries(raw: &RawRecord<'_>, buffer: &mut Vec<u8>, s: &mut Segment, counts: &mut Counts) -> Result<u64, Fault> {
    let bytes = raw.decompress(buffer)?;
    let found = bytes.first().copied().unwrap_or(0);
    let foreign = match found {
        types::SERIES | types::TOMBSTONES | types::METADATA | types::EXEMPLARS => s.role == Role::Late,
        types::MMAP_MARKERS => s.role != Role::Late,
        types::MIN_VALID_TIME => s.verdict.kind != FileKind::Checkpoint || raw.offset != 0,
        _ => types::name(found).is_none(),
    };
    if foreign {
        let (n, ..) = counts.foreign.get_or_insert((0, raw.offset, found));
        *n += 1;
    }
    match found {
        types::SERIES => {
            let mut out = Vec::new();
            record::series(bytes, &mut out)?;
            counts.series += out.len() as u64;
            for one in out {
                if one.odd_labels && !s.verdict.is_full() {
                    let effect =
                        "the series is read with its labels in order, the first of equal names, empty ones left out";
                    let expected = "labels in the order of their names, each once, none empty";
                    let part = format!("series record of reference {}", one.reference.0);
                    let finding = Finding::bad(ErrorKind::Malformed, part, expected, "others", effect);
                    s.verdict.push(finding.at(raw.offset).of(Some(one.labels.clone())));
                }
                s.series.push((raw.offset, one.reference, one.labels));
            }
        }
        types::SAMPLES | types::SAMPLES_V2 => {
            let used = &mut s.used;
            counts.samples += record::for_each_sample(bytes, |one| *used.entry(one.reference).or_default() += 1)?;
        }
        _ if types::ALL_HISTOGRAMS.contains(&found) => {
            let mut out = Vec::new();
            counts.unknown_schema += record::histograms(bytes, &mut out)?;
            counts.histograms += out.len() as u64;
            for one in out {
                *s.used.entry(one.reference).or_default() += 1;
            }
        }
        other => {
            let n = record::check(bytes)?;
            match other {
                types::TOMBSTONES => counts.deletions += n,
                types::EXEMPLARS => counts.exemplars += n,
                types::METADATA => counts.metadata += n,
                types::MMAP_MARKERS => counts.markers += n,
                _ => {}
            }
        }
    }
    Ok(bytes.len() as u64)
}

/// Adds the series of a segment to those known; a reference that stands for two label sets is bad.
fn define(s: &mut Segment, known: &mut BTreeMap<HeadSeriesRef, Labels>) {
    for (at, reference, labels) in std::mem::take(&mut s.series) {
        match known.get(&reference) {
            None => {
                known.insert(reference, labels);
            }
            Some(first) if *first != labels && !s.verdict.is_full() => {
                let part = format!("series record of reference {}", reference.0);
                let effect = "nothing tells whose samples they are; servers since 3.14 serve neither series";
                let expected = format!("{first}, as it was defined before");
                let finding = Finding::bad(ErrorKind::Malformed, part, expected, "another series", effect);
                s.verdict.push(finding.at(at).of(Some(labels)));
            }
            Some(_) => {}
        }
    }
}

/// Samples whose reference no series record defines.
fn strangers(s: &mut Segment, known: &BTreeMap<HeadSeriesRef, Labels>) {
    let strange = || s.used.iter().filter(|(r, _)| !known.contains_key(r));
    let (references, samples) = (strange().count() as u64, strange().map(|(_, n)| n).sum::<u64>());
    if references > 0 {
        let found =
            format!("{} of {} without a series record", several(samples, "sample"), several(references, "reference"));
        let effect = "nobody knows their labels, so they are in no answer, here or on a server";
        s.verdict.push(Finding::note("series of the samples", found, effect));
    }
}

/// Turns the places where a server stops into findings. Tells whether there is one that cuts the log.
fn tell(s: &mut Segment, is_last: bool, effect: &str) -> bool {
    let mut cuts = false;
    for stop in std::mem::take(&mut s.stops) {
        let torn = is_last && stop.tail && s.role != Role::Checkpoint;
        let finding = if torn {
            let effect = match stop.passed_over {
                true => "a killed server leaves such an end, and a restarted one passes over it",
                false => "a killed server leaves such an end, and a restarted one cuts it off",
            };
            Finding::fault(&stop.fault, "").excused(effect)
        } else if stop.passed_over && s.role != Role::Replaced {
            Finding::fault(&stop.fault, "the record is lost: a server passes over it without a word")
        } else if stop.left > 0 {
            let left = several(stop.left, "byte");
            Finding::fault(&stop.fault, format!("{effect}; {left} from here on could not be walked"))
        } else {
            Finding::fault(&stop.fault, effect)
        };
        cuts |= !stop.passed_over;
        s.verdict.push(finding);
    }
    cuts
}
