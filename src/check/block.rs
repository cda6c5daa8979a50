//! One block: its files by themselves and against each other.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::findings::{FileKind, FileVerdict, Finding, several};
use super::index::{ChunkUse, IndexWalk};
use super::meta::Facts;
use super::tree::{Entry, Stumble, join, list_or_tell, others};
use super::{chunks, index, meta, tombstones};
use crate::error::ErrorKind;
use crate::raw::{FileBytes, ReadMode};
use crate::time::Interval;
use crate::tsdb::chunks::BlockChunkRef;
use crate::tsdb::meta::BlockMeta;

/// A block whose files have been walked; how it stands beside other blocks is still open.
pub(super) struct Walked {
    /// The folder's name.
    pub name: String,
    /// `Err` says why `meta.json` gives no block.
    pub meta: Result<BlockMeta, (ErrorKind, String)>,
    /// On `meta.json`.
    pub verdict: FileVerdict,
    /// On all other files.
    pub rest: Vec<FileVerdict>,
    /// Whether a server can open it.
    pub loadable: bool,
    /// Whether there is an index or a chunk.
    pub holds_data: bool,
    pub series: u64,
    pub covered: Option<Interval>,
}

/// Walks everything in `dir`.
pub(super) fn walk(dir: &Path, rel: &str, name: &str, mode: ReadMode) -> Walked {
    let mut rest = Vec::new();
    let mut found: BTreeMap<&str, Entry> = BTreeMap::new();
    for entry in list_or_tell(dir, rel, &mut rest) {
        match entry.name.as_str() {
            "meta.json" if !entry.is_folder() => found.insert("meta.json", entry),
            "index" if !entry.is_folder() => found.insert("index", entry),
            "tombstones" if !entry.is_folder() => found.insert("tombstones", entry),
            "chunks" if entry.is_folder() => found.insert("chunks", entry),
            _ => {
                others(entry, None, &mut rest);
                None
            }
        };
    }
    let bytes = |name: &str| found.get(name).and_then(Entry::bytes);
    let mut verdict = FileVerdict::new(join(rel, "meta.json"), FileKind::Meta, bytes("meta.json"));
    let meta = match found.get("meta.json") {
        Some(e) => meta::read(&e.path, &mut verdict),
        None => Err((ErrorKind::Missing, "no file".to_owned())),
    };
    let range = meta.as_ref().ok().map(BlockMeta::interval);
    let mut index_verdict = FileVerdict::new(join(rel, "index"), FileKind::Index, bytes("index"));
    let opened = match found.get("index") {
        Some(e) => FileBytes::open(&e.path, mode).map_err(|e| Finding::unreadable(&e, LOST_BLOCK)),
        None => Err(Finding::bad(ErrorKind::Missing, "file", "an index", "no file", LOST_BLOCK)),
    };
    let mut facts = Facts { deletions: Some(0), ..Facts::default() };
    let mut loadable = meta.is_ok();
    let index_bytes = match &opened {
        Ok(bytes) => Some(bytes),
        Err(finding) => {
            index_verdict.push(finding.clone().over(range));
            None
        }
    };
    let claims_v2 = meta.as_ref().is_ok_and(|m| m.version == 2);
    // What a walk over nothing says is no news where there is no index.
    let mut nobody = FileVerdict::new("", FileKind::Index, None);
    let told = if index_bytes.is_some() { &mut index_verdict } else { &mut nobody };
    let mut walk = index::walk(index_bytes.map_or(&[][..], |b| b), claims_v2, range, told);
    loadable &= walk.opens;
    if walk.whole {
        facts.counts = Some((walk.series.len() as u64, walk.uses.len() as u64));
    }
    facts.covered = walk.series.iter().filter_map(|s| s.interval).reduce(Interval::hull);
    let holds_chunks = match found.get("chunks") {
        Some(folder) => segments(folder, mode, &mut walk, &mut facts, &mut index_verdict, &mut rest, &mut loadable),
        None => {
            no_segments(&join(rel, "chunks"), &mut walk, &mut facts, &mut rest);
            false
        }
    };
    if let Some(e) = found.get("tombstones") {
        let mut verdict = FileVerdict::new(e.rel.clone(), FileKind::Tombstones, e.bytes());
        match FileBytes::open(&e.path, mode) {
            Ok(bytes) => {
                let index = index_bytes.is_some().then_some(&mut walk);
                facts.deletions = tombstones::walk(&bytes, index, range, &mut verdict);
            }
            Err(error) => {
                facts.deletions = None;
                let effect = "deletions of this block are unknown, so deleted samples may be in answers";
                verdict.push(Finding::unreadable(&error, effect));
            }
        }
        loadable &= facts.deletions.is_some();
        rest.push(verdict);
    } else if let Some(n) = meta.as_ref().ok().and_then(|m| m.stats.tombstones).filter(|n| *n > 0) {
        let mut verdict = FileVerdict::new(join(rel, "tombstones"), FileKind::Tombstones, None);
        let expected = format!("{}, as meta.json says", several(n, "deleted interval"));
        let effect = "deleted samples are in answers, here and on a server";
        verdict.push(Finding::bad(ErrorKind::Missing, "file", expected, "no file", effect));
        rest.push(verdict);
        facts.deletions = None;
    }
    if let Ok(meta) = &meta {
        meta::compare_name(meta, name, &mut verdict);
        meta::compare(meta, &facts, &mut verdict);
    }
    let holds_data = index_bytes.is_some() || holds_chunks;
    let series = walk.series.len() as u64;
    drop(walk);
    if found.contains_key("index") || meta.is_ok() || holds_chunks {
        rest.push(index_verdict);
    }
    Walked { name: name.to_owned(), meta, verdict, rest, loadable, holds_data, series, covered: facts.covered }
}

const LOST_BLOCK: &str = "the whole block is lost, and a server does not start on it";

/// Walks `chunks/`. Gives whether there is a segment.
fn segments(
    folder: &Entry,
    mode: ReadMode,
    walk: &mut IndexWalk<'_>,
    facts: &mut Facts,
    index_verdict: &mut FileVerdict,
    out: &mut Vec<FileVerdict>,
    loadable: &mut bool,
) -> bool {
    let mut uses = std::mem::take(&mut walk.uses);
    uses.par_sort_by_key(|u| u.reference);
    let mut files: BTreeMap<u64, Entry> = BTreeMap::new();
    for entry in list_or_tell(&folder.path, &folder.rel, out) {
        // What upstream's listing takes for a segment: anything that is a number.
        let number = entry.name.parse::<u64>().ok().filter(|_| !entry.name.starts_with('+'));
        match number {
            Some(n) if n > 0 && format!("{n:06}") == entry.name && !entry.is_folder() => {
                files.insert(n, entry);
            }
            Some(_) => others(entry, Some(SHIFTS), out),
            None => others(entry, None, out),
        }
    }
    let there = !files.is_empty();
    let mut next = 1;
    let segment_of = |u: &ChunkUse| u64::from(BlockChunkRef(u.reference).segment_index()) + 1;
    let mut rest: &[ChunkUse] = &uses;
    let mut take = |to: u64| -> &[ChunkUse] {
        let (taken, behind) =
            rest.split_at_checked(rest.partition_point(|u| segment_of(u) < to)).unwrap_or((rest, &[]));
        rest = behind;
        taken
    };
    for (number, entry) in &files {
        missing(&folder.rel, next..*number, take(*number), true, walk, facts, out);
        next = number + 1;
        let mut verdict = FileVerdict::new(entry.rel.clone(), FileKind::Chunks, entry.bytes());
        let uses = take(next);
        match FileBytes::open(&entry.path, mode) {
            Ok(bytes) => {
                *loadable &= chunks::header(&bytes, &mut verdict);
                let held = chunks::walk(&bytes, &entry.name, uses, walk, &mut verdict, index_verdict);
                facts.held.add(held);
            }
            Err(error) => {
                *loadable = false;
                facts.held.lost += uses.len() as u64;
                let effect = format!(
                    "{} in it are lost, and a server does not start on the block",
                    several(uses.len() as u64, "chunk")
                );
                verdict.push(about(uses, walk, Finding::unreadable(&error, effect)));
            }
        }
        verdict.settle();
        out.push(verdict);
    }
    missing(&folder.rel, next..u64::MAX, take(u64::MAX), false, walk, facts, out);
    index_verdict.settle();
    there
}

const SHIFTS: Stumble = Stumble {
    found: "a number of another form, or a folder",
    effect: "none here, where the number in a name decides; a server counts it as a segment and misreads all behind it",
};

/// A gap in the numbers of the segments, or chunks in segments behind the last one.
fn missing(
    folder: &str,
    numbers: std::ops::Range<u64>,
    uses: &[ChunkUse],
    followed: bool,
    walk: &mut IndexWalk<'_>,
    facts: &mut Facts,
    out: &mut Vec<FileVerdict>,
) {
    facts.held.lost += uses.len() as u64;
    if numbers.is_empty() || (uses.is_empty() && !followed) {
        return;
    }
    let first = match followed {
        true => numbers.start,
        false => uses.first().map_or(0, |u| u64::from(BlockChunkRef(u.reference).segment_index()) + 1),
    };
    let found = match numbers.end - numbers.start {
        n if followed && n > 1 => format!("no file, and none up to {:06}", numbers.end - 1),
        _ => "no file".to_owned(),
    };
    let shifts = match followed {
        true => "; a server counts the files instead of reading their names, so it misreads all segments behind it",
        false => "; a server fails at queries that need them",
    };
    let effect = match uses.len() {
        0 => format!("no chunk is lost{shifts}"),
        n => format!("{} are lost{shifts}", several(n as u64, "chunk")),
    };
    let mut verdict = FileVerdict::new(join(folder, &format!("{first:06}")), FileKind::Chunks, None);
    let expected = "segments numbered without a gap, as far as the index names them";
    let finding = Finding::bad(ErrorKind::Missing, "file", expected, found, effect);
    verdict.push(about(uses, walk, finding));
    out.push(verdict);
}

/// A block without `chunks/`.
fn no_segments(folder: &str, walk: &mut IndexWalk<'_>, facts: &mut Facts, out: &mut Vec<FileVerdict>) {
    let uses = std::mem::take(&mut walk.uses);
    missing(folder, 1..u64::MAX, &uses, false, walk, facts, out);
}

/// A finding about all of these chunks: over their times, and of their series if it is only one.
fn about(uses: &[ChunkUse], walk: &mut IndexWalk<'_>, finding: Finding) -> Finding {
    let interval = uses.iter().map(ChunkUse::interval).reduce(Interval::hull);
    let series = uses.first().map(|u| u.series).filter(|s| uses.iter().all(|u| u.series == *s));
    finding.over(interval).of(series.and_then(|s| walk.labels(s)))
}

impl Walked {
    /// The verdicts on all its files.
    pub(super) fn into_verdicts(mut self) -> Vec<FileVerdict> {
        self.rest.push(self.verdict);
        self.rest
    }
}
