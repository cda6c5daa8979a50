//! `index`: every section, every series entry, every postings list, and the lists against the entries.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use rayon::prelude::*;

use super::findings::{FileVerdict, Finding, several};
use crate::error::ErrorKind;
use crate::labels::{Label, Labels, quoted};
use crate::time::Interval;
use crate::tsdb::index::walk::{self, RawSeries, TableEntry};
use crate::tsdb::index::{BlockSeriesRef, IndexVersion, Toc};

const WHOLE_BLOCK: &str = "the whole block is lost, and a server does not start on it";
const LOST_SERIES: &str =
    "one series of the block is lost; any answer about this block that it could belong to says so";
const NO_LOOKUP: &str =
    "series are found by scanning all entries, so nothing is lost here; a server does not start on it";
/// Labels longer than this are not read by anything, and not printed either.
const MAX_LABEL_BYTES: usize = 1 << 20;
/// Labels in findings may take this much; a hostile index stores a string once and names it any number of times.
const MOST_LABEL_BYTES: usize = 64 << 20;
/// Longer entries are not read again for the sake of a finding.
const MAX_ENTRY_BYTES: u64 = 4 << 20;
/// Entries that cannot be read whose labels are gathered from the lists.
const MOST_LOST: usize = 100;
/// Bytes that may lie between two parts of the file: both are aligned to at most 16.
const ALIGN: u64 = 16;

/// A chunk as a series names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkUse {
    /// Segment and offset.
    pub reference: u64,
    pub min_time_ms: i64,
    pub max_time_ms: i64,
    /// Position in [`IndexWalk::series`].
    pub series: u32,
}

impl ChunkUse {
    pub(super) fn interval(&self) -> Interval {
        Interval::new(self.min_time_ms.min(self.max_time_ms), self.max_time_ms.max(self.min_time_ms))
    }
}

/// A series entry that could be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesAt {
    /// Byte offset of the entry.
    pub offset: u64,
    /// From the earliest start to the latest end of a chunk.
    pub interval: Option<Interval>,
}

/// What a walk over an index gives to the other files of its block.
pub(super) struct IndexWalk<'a> {
    bytes: &'a [u8],
    version: IndexVersion,
    strings: Strings<'a>,
    /// By offset.
    pub series: Vec<SeriesAt>,
    /// In the order of the entries.
    pub uses: Vec<ChunkUse>,
    /// Every series entry was read.
    pub whole: bool,
    /// A server can open it.
    pub opens: bool,
    /// Entries that cannot be read, by offset, and the label pairs whose lists name them.
    lost: BTreeMap<u64, Vec<Label>>,
    label_bytes: usize,
    last_labels: Option<(u32, Option<Labels>)>,
}

/// The symbols and how they compare.
#[derive(Default)]
struct Strings<'a> {
    list: Vec<&'a [u8]>,
    /// Where each of them stands, by which version 1 names them.
    offsets: Vec<u64>,
    by_offset: bool,
    /// The place of each symbol among all, equal ones at the same place; empty where the list is in order.
    ranks: Vec<u32>,
    /// Positions in `list` by rank; empty where the list is in order.
    sorted: Vec<u32>,
}

impl<'a> Strings<'a> {
    fn position(&self, reference: u64) -> Option<usize> {
        match self.by_offset {
            true => self.offsets.binary_search(&reference).ok(),
            false => usize::try_from(reference).ok().filter(|i| *i < self.list.len()),
        }
    }

    fn get(&self, reference: u64) -> Option<&'a [u8]> {
        self.list.get(self.position(reference)?).copied()
    }

    fn rank(&self, reference: u64) -> Option<u32> {
        let at = self.position(reference)?;
        if self.ranks.is_empty() { Some(at as u32) } else { self.ranks.get(at).copied() }
    }

    fn rank_of(&self, text: &[u8]) -> Option<u32> {
        if self.sorted.is_empty() {
            return self.list.binary_search(&text).ok().map(|i| i as u32);
        }
        let at = |i: &u32| self.list.get(*i as usize).copied().unwrap_or_default();
        let found = self.sorted.binary_search_by(|i| at(i).cmp(text)).ok()?;
        self.ranks.get(*self.sorted.get(found)? as usize).copied()
    }

    fn set_ranks(&mut self) {
        if self.list.is_sorted_by(|a, b| a < b) {
            return;
        }
        let at = |i: &u32| self.list.get(*i as usize).copied().unwrap_or_default();
        let mut sorted: Vec<u32> = (0..self.list.len() as u32).collect();
        sorted.par_sort_by(|a, b| at(a).cmp(at(b)));
        let mut ranks = vec![0; self.list.len()];
        let (mut rank, mut last) = (0, None);
        for (place, i) in sorted.iter().enumerate() {
            if last.is_some_and(|l| l != at(i)) {
                rank = place as u32;
            }
            last = Some(at(i));
            if let Some(r) = ranks.get_mut(*i as usize) {
                *r = rank;
            }
        }
        (self.ranks, self.sorted) = (ranks, sorted);
    }
}

/// Walks an index to its end. What is wrong goes to `verdict`.
///
/// `range` is that of the block, for findings about series whose own times cannot be read.
pub(super) fn walk<'a>(
    bytes: &'a [u8],
    claims_v2: bool,
    range: Option<Interval>,
    verdict: &mut FileVerdict,
) -> IndexWalk<'a> {
    let mut w = IndexWalk {
        bytes,
        version: IndexVersion::V2,
        strings: Strings::default(),
        series: Vec::new(),
        uses: Vec::new(),
        whole: false,
        opens: true,
        lost: BTreeMap::new(),
        label_bytes: 0,
        last_labels: None,
    };
    match walk::header(bytes, claims_v2) {
        Ok(version) => w.version = version,
        Err(fault) => {
            w.opens = false;
            verdict.push(Finding::fault(&fault, WHOLE_BLOCK));
        }
    }
    if w.version == IndexVersion::V3 {
        let effect = "none: it is read like version 2, as servers since 2.55 do";
        verdict.push(Finding::note("index version", "3, which no server writes", effect).at(4));
    }
    let toc = match Toc::parse(bytes) {
        Ok(toc) => toc,
        Err(fault) => {
            w.opens = false;
            verdict.push(Finding::fault(&fault, WHOLE_BLOCK));
            return w;
        }
    };
    let mut extents = vec![0..walk::HEADER_LEN, Toc::start(bytes.len() as u64)..bytes.len() as u64];
    let symbols_whole = w.symbols(&toc, verdict, &mut extents);
    let mut table: Vec<TableEntry<'_>> = Vec::new();
    match walk::postings_table(bytes, toc.postings_table, |e| table.push(e)) {
        Ok(extent) => extents.push(extent),
        Err(fault) => {
            w.opens = false;
            table.clear();
            verdict.push(Finding::fault(&fault, NO_LOOKUP));
        }
    }
    let all = table.iter().find(|e| e.name.is_empty() && e.value.is_empty());
    let listed: Vec<u32> =
        all.and_then(|e| walk::postings_list(bytes, e.list).ok()).map(|(l, _)| l.collect()).unwrap_or_default();
    let pairs = w.entries(&toc, &listed, verdict, &mut extents);
    let lost_at = verdict.findings.len();
    let comparable = (w.whole && symbols_whole).then_some(pairs);
    w.postings(&table, comparable, verdict, &mut extents);
    // A list names its label pair, so the lists together name the labels of an entry that cannot be read.
    for finding in verdict.findings.iter_mut().take(lost_at) {
        if let Some(pairs) = finding.offset.and_then(|at| w.lost.get_mut(&at)) {
            finding.series = (!pairs.is_empty()).then(|| Labels::normalized(std::mem::take(pairs)).0);
            finding.interval = range;
        } else if finding.is_bad() && finding.effect == WHOLE_BLOCK {
            finding.interval = range;
        }
    }
    if verdict.state != super::State::Bad {
        w.between(&toc, extents, verdict);
    }
    verdict.count("series", w.series.len() as u64);
    verdict.count("chunks", w.uses.len() as u64);
    verdict.count("symbols", w.strings.list.len() as u64);
    verdict.count("postings_lists", table.len() as u64);
    w
}

impl<'a> IndexWalk<'a> {
    /// The labels of a series, for a finding; `None` where they cannot be read or take too much.
    pub(super) fn labels(&mut self, series: u32) -> Option<Labels> {
        if let Some((known, labels)) = &self.last_labels
            && *known == series
        {
            return labels.clone();
        }
        let labels = self.read_labels(series);
        self.last_labels = Some((series, labels.clone()));
        labels
    }

    fn read_labels(&mut self, series: u32) -> Option<Labels> {
        let at = self.series.get(series as usize)?.offset;
        if walk::claimed_length(self.bytes, at).ok()? > MAX_ENTRY_BYTES {
            return None;
        }
        let mut raw = RawSeries::default();
        raw.read(self.bytes, at).ok()?;
        let (labels, size) = self.resolve(&raw.labels)?;
        self.label_bytes += size;
        (self.label_bytes <= MOST_LABEL_BYTES).then_some(labels)
    }

    fn resolve(&self, pairs: &[(u64, u64)]) -> Option<(Labels, usize)> {
        let mut size = 0;
        let mut labels = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let (name, value) = (self.strings.get(*name)?, self.strings.get(*value)?);
            size += name.len() + value.len();
            if size > MAX_LABEL_BYTES {
                return None;
            }
            labels.push(Label { name: name.into(), value: value.into() });
        }
        Some((Labels::normalized(labels).0, size))
    }

    /// The position of the series that a reference of this index names.
    pub(super) fn position(&self, reference: BlockSeriesRef) -> Option<u32> {
        let offset = reference.offset(self.version);
        let at = self.series.binary_search_by_key(&offset, |s| s.offset).ok()?;
        // A reference that overflows could meet an entry by accident.
        (BlockSeriesRef::from_offset(offset, self.version) == reference).then_some(at as u32)
    }

    fn symbols(&mut self, toc: &Toc, verdict: &mut FileVerdict, extents: &mut Vec<Range<u64>>) -> bool {
        let strings = &mut self.strings;
        strings.by_offset = self.version == IndexVersion::V1;
        let walked = walk::symbols(self.bytes, toc.symbols, |at, text| {
            strings.offsets.push(at);
            strings.list.push(text);
        });
        match walked {
            Ok(extent) => extents.push(extent),
            Err(fault) => {
                self.opens = false;
                // Half a table would give every later series wrong labels.
                self.strings = Strings { by_offset: self.version == IndexVersion::V1, ..Strings::default() };
                verdict.push(Finding::fault(&fault, WHOLE_BLOCK));
                return false;
            }
        }
        let out_of_order = strings.list.windows(2).position(|p| matches!(p, [a, b] if a >= b));
        if let Some(at) = out_of_order.filter(|_| self.version != IndexVersion::V1) {
            let text = |i: usize| strings.list.get(i).map(|t| quoted(t.get(..64).unwrap_or(t))).unwrap_or_default();
            let finding = Finding::bad(
                ErrorKind::Malformed,
                "symbol table",
                "symbols in order, each once",
                format!("{} behind {}", text(at + 1), text(at)),
                "none here; a server may not find series by the labels that stand out of order",
            );
            verdict.push(finding.at(strings.offsets.get(at + 1).copied().unwrap_or(toc.symbols)));
        }
        strings.set_ranks();
        true
    }

    /// Walks the series section. Gives each label pair by rank with the reference of the series.
    fn entries(
        &mut self,
        toc: &Toc,
        listed: &[u32],
        verdict: &mut FileVerdict,
        extents: &mut Vec<Range<u64>>,
    ) -> Vec<(u32, u32, u32)> {
        let end = toc.end_of_series(self.bytes.len() as u64);
        let mut pairs = Vec::new();
        let mut raw = RawSeries::default();
        let mut last: Option<(Vec<(u32, u32)>, u32)> = None;
        let mut at = toc.series;
        self.whole = true;
        while at < end {
            if self.version != IndexVersion::V1 {
                at = at.next_multiple_of(ALIGN);
            }
            let claimed = walk::claimed_length(self.bytes, at);
            if at >= end || claimed == Ok(0) {
                at += 1;
                continue;
            }
            if let Err(fault) = raw.read(self.bytes, at) {
                self.whole = false;
                if self.lost.len() < MOST_LOST {
                    self.lost.insert(at, Vec::new());
                }
                let next = self.resume(at, listed, claimed.ok()).filter(|n| *n < end);
                let effect = match next {
                    Some(_) => LOST_SERIES,
                    None => {
                        "this and all later series of the block are lost; a server fails at every query that reaches them"
                    }
                };
                verdict.push(Finding::fault(&fault, effect).at(at));
                at = next.unwrap_or(end);
                continue;
            }
            if raw.extent.end > end {
                self.whole = false;
                let found = format!("an entry up to byte {}", raw.extent.end);
                let effect = "the entry reaches into the next section, so one of the two is not what it says";
                let expected = format!("series end at byte {end}");
                verdict.push(Finding::bad(ErrorKind::Malformed, "series", expected, found, effect).at(at));
            }
            extents.push(raw.extent.clone());
            let series = self.series.len() as u32;
            self.series.push(SeriesAt { offset: at, interval: None });
            self.series_labels(&raw, series, &mut last, &mut pairs, verdict);
            self.series_chunks(&raw, series, verdict);
            at = raw.extent.end;
        }
        pairs
    }

    /// Where the walk goes on behind an entry that cannot be read: at the next one that the list of all series names, or
    /// where the entry ends by its own length, which its checksum does not cover.
    fn resume(&self, at: u64, listed: &[u32], claimed: Option<u64>) -> Option<u64> {
        let offset = |r: &u32| BlockSeriesRef(u64::from(*r)).offset(self.version);
        if listed.is_sorted() && !listed.is_empty() {
            return listed.get(listed.partition_point(|r| offset(r) <= at)).map(offset);
        }
        claimed.map(|length| at + length)
    }

    fn series_labels(
        &mut self,
        raw: &RawSeries,
        series: u32,
        last: &mut Option<(Vec<(u32, u32)>, u32)>,
        pairs: &mut Vec<(u32, u32, u32)>,
        verdict: &mut FileVerdict,
    ) {
        let at = raw.extent.start;
        if raw.left > 0 {
            let effect = "none: nobody reads these bytes";
            let found = format!("{} behind it", several(raw.left, "byte"));
            verdict.push(
                Finding::bad(ErrorKind::Malformed, "series", "an entry ends with its last chunk", found, effect).at(at),
            );
        }
        let strings = &self.strings;
        let ranked: Option<Vec<(u32, u32)>> =
            raw.labels.iter().map(|(n, v)| Some((strings.rank(*n)?, strings.rank(*v)?))).collect();
        let Some(ranked) = ranked else {
            if !strings.list.is_empty() {
                self.whole = false;
                let stray = raw.labels.iter().flat_map(|(n, v)| [*n, *v]).find(|r| strings.position(*r).is_none());
                verdict.push(
                    Finding::bad(
                        ErrorKind::Malformed,
                        "label of a series",
                        "it names a symbol of the table",
                        stray.map_or_else(String::new, |s| format!("symbol {s}")),
                        LOST_SERIES,
                    )
                    .at(at),
                );
            }
            return;
        };
        let empty = |r: u64| strings.get(r).is_some_and(<[u8]>::is_empty);
        let wrong = if ranked.windows(2).any(|p| matches!(p, [a, b] if a.0 == b.0)) {
            Some(("each name once", "a name that is there twice"))
        } else if !ranked.is_sorted_by(|a, b| a.0 < b.0) {
            Some(("labels in the order of their names", "labels out of order"))
        } else if raw.labels.iter().any(|(n, _)| empty(*n)) {
            Some(("labels with names", "a label without a name"))
        } else if raw.labels.iter().any(|(_, v)| empty(*v)) {
            Some(("labels with values", "a label with an empty value"))
        } else if raw.labels.is_empty() {
            Some(("at least one label", "none"))
        } else {
            None
        };
        if let Some((expected, found)) = wrong.filter(|_| !verdict.is_full()) {
            let effect = "the series is read with its labels in order, the first of equal names, empty ones left out; a server may not find it by them";
            let finding = Finding::bad(ErrorKind::Malformed, "labels of a series", expected, found, effect).at(at);
            verdict.push(finding.of(self.labels(series)));
        }
        if let Some((before, earlier)) = last.as_ref().filter(|(before, _)| *before >= ranked)
            && !verdict.is_full()
        {
            let (expected, found) = match *before == ranked {
                true => ("each series once", "the labels of the series before"),
                false => ("series in the order of their labels", "a series that belongs before the one before it"),
            };
            let before = self.labels(*earlier).map_or_else(String::new, |l| format!(", {l}"));
            let effect = "its samples count here; a server that merges blocks by that order may answer the series twice or in pieces";
            let finding =
                Finding::bad(ErrorKind::Malformed, "order of the series", expected, format!("{found}{before}"), effect);
            verdict.push(finding.at(at).of(self.labels(series)));
        }
        match u32::try_from(BlockSeriesRef::from_offset(at, self.version).0) {
            Ok(reference) => pairs.extend(ranked.iter().map(|(n, v)| (*n, *v, reference))),
            Err(_) => {
                let effect = "no postings list can name it, so a server does not find it";
                verdict.push(
                    Finding::bad(
                        ErrorKind::Malformed,
                        "series",
                        "a place that 32 bits can name",
                        at.to_string(),
                        effect,
                    )
                    .at(at),
                );
            }
        }
        *last = Some((ranked, series));
    }

    fn series_chunks(&mut self, raw: &RawSeries, series: u32, verdict: &mut FileVerdict) {
        let mut interval: Option<Interval> = None;
        let mut before: Option<Interval> = None;
        for c in &raw.chunks {
            let sound = c.sound_interval();
            let wrong = if c.min_time_ms > c.max_time_ms {
                Some(("a chunk that ends after it starts", "one that ends before it starts".to_owned()))
            } else if before.is_some_and(|b| b.end >= sound.start) {
                let before = before.map_or_else(String::new, |b| b.to_string());
                Some(("chunks in order of time, apart from each other", format!("a chunk behind one over {before}")))
            } else {
                None
            };
            if let Some((expected, found)) = wrong
                && !verdict.is_full()
            {
                let effect = "chunks are merged like sources here; a server reads them one behind the other, so it may lose or repeat samples";
                let finding = Finding::bad(ErrorKind::Malformed, "chunks of a series", expected, found, effect);
                verdict.push(finding.at(raw.extent.start).of(self.labels(series)).over(Some(sound)));
            }
            interval = Interval::joined(interval, Some(sound));
            before = Some(before.map_or(sound, |b| if b.end > sound.end { b } else { sound }));
            self.uses.push(ChunkUse {
                reference: c.reference.0,
                min_time_ms: c.min_time_ms,
                max_time_ms: c.max_time_ms,
                series,
            });
        }
        if let Some(s) = self.series.last_mut() {
            s.interval = interval;
        }
    }

    /// Checks every list, and against the entries where all of them could be read.
    fn postings(
        &mut self,
        table: &[TableEntry<'a>],
        pairs: Option<Vec<(u32, u32, u32)>>,
        verdict: &mut FileVerdict,
        extents: &mut Vec<Range<u64>>,
    ) {
        if self.version != IndexVersion::V1
            && let Some([_, b]) =
                table.windows(2).find(|p| matches!(p, [a, b] if (a.name, a.value) >= (b.name, b.value)))
        {
            let found = pair_text(b);
            let effect = "none here; a server searches the table by order and may not find the lists";
            let expected = "label pairs in order, each once";
            verdict.push(Finding::bad(ErrorKind::Malformed, "postings table", expected, found, effect).at(b.offset));
        }
        let compared = pairs.is_some();
        let mut pairs = pairs.unwrap_or_default();
        pairs.par_sort_unstable();
        pairs.dedup();
        let every: Vec<u32> =
            self.series.iter().map(|s| BlockSeriesRef::from_offset(s.offset, self.version).0 as u32).collect();
        let mut seen: HashSet<usize> = HashSet::new();
        let mut all_seen = false;
        // Lists do not overlap in the file, so together they are no longer than it.
        let mut left = self.bytes.len() as u64 * 2;
        for e in table {
            let effect =
                "selections that need the list scan all series here, so nothing is lost; a server fails at them";
            let (list, extent) = match walk::postings_list(self.bytes, e.list) {
                Ok((list, extent)) => (list, extent),
                Err(fault) => {
                    let part = format!("{} {}", fault.field, pair_text(e));
                    verdict.push(Finding { part, ..Finding::fault(&fault, effect) });
                    continue;
                }
            };
            let Some(rest) = left.checked_sub(extent.end - extent.start) else {
                let found = "lists that overlap";
                let effect = "the lists from here on were not checked";
                let expected = "lists that fit into the file side by side";
                verdict.push(Finding::bad(ErrorKind::Malformed, "postings", expected, found, effect).at(e.offset));
                return;
            };
            left = rest;
            extents.push(extent);
            let list: Vec<u32> = list.collect();
            if let Some([_, b]) = list.windows(2).find(|p| matches!(p, [a, b] if a >= b)) {
                let found = format!("{b} behind a greater or equal one");
                let expected = "references in order, each once";
                let effect = "none here, where they are sorted; a server intersects lists by order and may lose series";
                let part = format!("postings list {}", pair_text(e));
                verdict.push(Finding::bad(ErrorKind::Malformed, part, expected, found, effect).at(e.list));
            }
            for (at, pairs) in &mut self.lost {
                let reference = BlockSeriesRef::from_offset(*at, self.version).0;
                let named = u32::try_from(reference).is_ok_and(|r| list.binary_search(&r).is_ok());
                let size = e.name.len() + e.value.len();
                if named && !e.name.is_empty() && self.label_bytes + size <= MOST_LABEL_BYTES {
                    self.label_bytes += size;
                    pairs.push(Label { name: e.name.into(), value: e.value.into() });
                }
            }
            if !compared {
                continue;
            }
            if e.name.is_empty() && e.value.is_empty() {
                all_seen = true;
                self.compare(e, &list, every.iter().copied(), verdict);
                continue;
            }
            let group = match (self.strings.rank_of(e.name), self.strings.rank_of(e.value)) {
                (Some(n), Some(v)) => {
                    let from = pairs.partition_point(|p| (p.0, p.1) < (n, v));
                    let to = pairs.partition_point(|p| (p.0, p.1) <= (n, v));
                    seen.insert(from);
                    pairs.get(from..to).unwrap_or_default()
                }
                _ => &[],
            };
            self.compare(e, &list, group.iter().map(|p| p.2), verdict);
        }
        if !compared {
            return;
        }
        if !all_seen && !every.is_empty() && self.opens {
            let effect = "all series are scanned here, so nothing is lost; a server cannot list them";
            let expected = "a list of all series";
            verdict.push(Finding::bad(ErrorKind::Missing, "postings table", expected, "none", effect));
        }
        let mut from = 0;
        while let Some(first) = pairs.get(from).filter(|_| self.opens) {
            let to = from + pairs.get(from..).unwrap_or_default().partition_point(|p| (p.0, p.1) == (first.0, first.1));
            if !seen.contains(&from) && !verdict.is_full() {
                let position = self.position(BlockSeriesRef(u64::from(first.2)));
                let found = format!("none for a label pair of {}", several((to - from) as u64, "series"));
                let effect = "selections by this pair miss the series, here and on a server";
                let finding =
                    Finding::bad(ErrorKind::Missing, "postings table", "a list for each label pair", found, effect);
                let series = position.and_then(|p| self.labels(p));
                verdict.push(
                    finding.at(position.and_then(|p| self.series.get(p as usize)).map_or(0, |s| s.offset)).of(series),
                );
            }
            from = to;
        }
    }

    fn compare(
        &mut self,
        e: &TableEntry<'_>,
        list: &[u32],
        expected: impl Iterator<Item = u32> + Clone,
        verdict: &mut FileVerdict,
    ) {
        if list.iter().copied().eq(expected.clone()) || verdict.is_full() {
            return;
        }
        let mut sorted = list.to_vec();
        sorted.sort_unstable();
        let carrying: Vec<u32> = expected.collect();
        let missing: Vec<u32> = carrying.iter().copied().filter(|r| sorted.binary_search(r).is_err()).collect();
        let extra = sorted.iter().filter(|r| carrying.binary_search(r).is_err()).count() as u64;
        if missing.is_empty() && extra == 0 {
            // The order alone, which has its own finding.
            return;
        }
        let what = if e.name.is_empty() { "all series" } else { "the series that carry the pair" };
        let found = format!(
            "{} of the {} are missing, {} do not belong there",
            missing.len(),
            several(carrying.len() as u64, "series"),
            several(extra, "entry")
        );
        let effect = match (missing.is_empty(), e.name.is_empty()) {
            (true, _) => {
                "none here, where every series is compared with the question; a server returns series that do not match"
            }
            (false, true) => {
                "all series are scanned here, so nothing is lost; a server misses the series in selections without a positive matcher"
            }
            (false, false) => "selections by this pair miss the series, here and on a server",
        };
        let series = missing.first().and_then(|r| self.position(BlockSeriesRef(u64::from(*r))));
        let series = series.and_then(|p| self.labels(p));
        let part = format!("postings list {}", pair_text(e));
        verdict.push(Finding::bad(ErrorKind::Malformed, part, what, found, effect).at(e.list).of(series));
    }

    /// Bytes that belong to nothing. Zeros align; the sections of label indices, which no reader follows, are left out.
    fn between(&self, toc: &Toc, mut extents: Vec<Range<u64>>, verdict: &mut FileVerdict) {
        let dead = [toc.label_indices..toc.postings, toc.label_index_table..toc.postings_table];
        extents.sort_by_key(|e| (e.start, e.end));
        let mut at = 0;
        for e in extents {
            if e.start > at && !dead.iter().any(|d| d.contains(&at) || d.contains(&(e.start - 1))) {
                let gap = self.bytes.get(at as usize..e.start as usize).unwrap_or_default();
                let odd = gap.iter().position(|b| *b != 0);
                if odd.is_some() || e.start - at >= ALIGN {
                    let found = several(e.start - at, "byte");
                    let effect = "none: nothing reads them; series that were taken out of the lists may lie in them";
                    let expected = "only padding between the sections";
                    let finding = Finding::bad(ErrorKind::Malformed, "unreferenced bytes", expected, found, effect);
                    verdict.push(finding.at(at + odd.unwrap_or(0) as u64));
                }
            }
            at = at.max(e.end);
        }
    }
}

fn pair_text(e: &TableEntry<'_>) -> String {
    if e.name.is_empty() && e.value.is_empty() {
        return "of all series".to_owned();
    }
    let cut = |t: &[u8]| quoted(t.get(..64).unwrap_or(t));
    let name = String::from_utf8_lossy(e.name.get(..64).unwrap_or(e.name)).into_owned();
    let identifier = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    format!("of {}={}", if identifier { name } else { cut(e.name) }, cut(e.value))
}
