//! `index`: symbols, series with their labels and chunks, postings (`tsdb/index/index.go` upstream,
//! `docs/format/index.md`).
//!
//! | part | module |
//! |---|---|
//! | where the sections are | `toc` |
//! | strings | `symbols` |
//! | a series' labels and chunks | `series` |
//! | label pair to series | `postings` |
//! | all of these by themselves, for checks | `walk` |

mod postings;
mod series;
mod symbols;
mod toc;
pub mod walk;

use std::collections::BTreeMap;

use crate::raw::{Cursor, Fault, FaultKind, FileBytes, crc32c};
use crate::selector::Matcher;

use postings::PostingsTable;
pub use series::{BlockSeriesRef, ChunkMeta, SeriesEntry, SeriesOutline};
use symbols::Symbols;
pub use toc::Toc;

const MAGIC: u32 = 0xBAAA_D700;

/// The layout of an index: 1 refers to strings and series by byte offset, 2 and 3 by ordinal and by offset / 16.
/// Version 3 is read like 2, as upstream does; no release writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexVersion {
    /// Written before Prometheus 2.1.
    V1,
    /// Written since Prometheus 2.1.
    V2,
    /// Accepted since 2.55, written by nobody.
    V3,
}

/// An opened index. Symbols and the table of postings are checked at opening, series and lists when they are read.
#[derive(Debug)]
pub struct Index {
    bytes: FileBytes,
    version: IndexVersion,
    toc: Toc,
    symbols: Symbols,
    postings: Result<PostingsTable, Fault>,
}

/// The series that a selection found.
#[derive(Debug, Default)]
pub struct Selected {
    /// Series whose labels match, in the order of the file.
    pub series: Vec<SeriesEntry>,
    /// Series entries that cannot be read: they may or may not have matched.
    pub lost: Vec<Fault>,
    /// Damage in lookup tables that a scan of all series made good.
    pub repaired: Vec<Fault>,
}

impl Index {
    /// Opens an index. `claims_v2` is set for blocks of meta version 2, whose header byte says 1 although the layout
    /// is that of version 2 (a bug of Prometheus 2.1, `tsdb/repair.go`).
    pub fn parse(bytes: FileBytes, claims_v2: bool) -> Result<Index, Fault> {
        let version = walk::header(&bytes, claims_v2)?;
        let toc = Toc::parse(&bytes)?;
        let symbols = Symbols::parse(&bytes, toc.symbols, version)?;
        let postings = PostingsTable::parse(&bytes, toc.postings_table);
        Ok(Index { bytes, version, toc, symbols, postings })
    }

    /// The length of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The version of the layout.
    pub fn version(&self) -> IndexVersion {
        self.version
    }

    /// The damage to the table of postings, if any; selections then scan all series.
    pub fn postings_fault(&self) -> Option<Fault> {
        self.postings.as_ref().err().copied()
    }

    /// The series at `series`, its checksum verified.
    pub fn series(&self, series: BlockSeriesRef) -> Result<SeriesEntry, Fault> {
        SeriesEntry::parse(&self.bytes, series, self.version, &self.symbols)
    }

    /// Every series in the order of the file, by walking the section itself; entries that cannot be read are faults.
    pub fn scan(&self) -> Selected {
        let mut found = Selected::default();
        let mut budget = Budget::new(&self.bytes);
        self.each_entry(|series| match self.series(series).and_then(|e| budget.spend(e)) {
            Ok(entry) => found.series.push(entry),
            Err(fault) => found.lost.push(fault),
        })
        .unwrap_or_else(|fault| found.lost.push(fault));
        found
    }

    /// Calls `visit` with every series entry in the order of the file, labels left aside, checksums verified.
    /// Costs one pass over the series section and no memory. An `Err` from the walk itself means that what follows in
    /// the section cannot be found.
    pub fn outline(&self, mut visit: impl FnMut(Result<SeriesOutline, Fault>)) -> Result<(), Fault> {
        self.each_entry(|series| visit(SeriesOutline::parse(&self.bytes, series, self.version)))
    }

    /// Every series in the order of the file, one at a time; ends behind the first entry whose end cannot be found.
    pub fn walk(&self) -> impl Iterator<Item = Result<SeriesEntry, Fault>> + '_ {
        let mut offset = Some(self.toc.series);
        std::iter::from_fn(move || match self.next_entry(offset?) {
            Ok(Some((series, behind))) => {
                offset = Some(behind);
                Some(self.series(series))
            }
            Ok(None) => None,
            Err(fault) => {
                offset = None;
                Some(Err(fault))
            }
        })
    }

    fn each_entry(&self, mut visit: impl FnMut(BlockSeriesRef)) -> Result<(), Fault> {
        let mut offset = self.toc.series;
        while let Some((series, behind)) = self.next_entry(offset)? {
            visit(series);
            offset = behind;
        }
        Ok(())
    }

    /// The first series entry at or behind `offset`, and where it ends.
    fn next_entry(&self, mut offset: u64) -> Result<Option<(BlockSeriesRef, u64)>, Fault> {
        let end = self.toc.end_of_series(self.bytes.len() as u64);
        while offset < end {
            if self.version != IndexVersion::V1 {
                offset = offset.next_multiple_of(16);
            }
            if offset >= end {
                break;
            }
            match series::entry_length(&self.bytes, offset)? {
                0 => offset += 1,
                length if offset + length <= end => {
                    return Ok(Some((BlockSeriesRef::from_offset(offset, self.version), offset + length)));
                }
                length => {
                    let left = end - offset;
                    let kind = FaultKind::Truncated { wanted: length, left };
                    return Err(Fault::new(offset, "series", kind));
                }
            }
        }
        Ok(None)
    }

    /// The references in the list of all series, in stored order; `None` where the index has no such list. `Err` where
    /// the lookup tables are damaged.
    pub fn all_postings(&self) -> Result<Option<Vec<u32>>, Fault> {
        match &self.postings {
            Ok(table) => table.all(&self.bytes),
            Err(fault) => Err(*fault),
        }
    }

    /// From now on all series are scanned: the lookup tables contradict them.
    pub fn distrust_postings(&mut self, fault: Fault) {
        self.postings = Err(fault);
    }

    /// The series that satisfy all `matchers`. Postings narrow the candidates; the labels of every candidate are then
    /// checked against every matcher. Damaged postings cost time, not series: all series are scanned instead.
    pub fn select(&self, matchers: &[Matcher]) -> Selected {
        let table = match &self.postings {
            Ok(table) => table,
            Err(fault) => return self.select_by_scan(matchers, *fault),
        };
        let candidates = match self.candidates(table, matchers) {
            Ok(refs) => refs,
            Err(fault) => return self.select_by_scan(matchers, fault),
        };
        let mut found = Selected::default();
        let mut budget = Budget::new(&self.bytes);
        for series in candidates {
            match self.series(series).and_then(|e| budget.spend(e)) {
                Ok(entry) => {
                    if matchers.iter().all(|m| m.matches(entry.labels.get(m.name()))) {
                        found.series.push(entry);
                    }
                }
                Err(fault) => found.lost.push(fault),
            }
        }
        found
    }

    /// The series that may satisfy all `matchers`, by the lookup tables alone. `Err` where those are damaged.
    pub fn refs(&self, matchers: &[Matcher]) -> Result<Vec<BlockSeriesRef>, Fault> {
        self.candidates(self.postings.as_ref().map_err(|fault| *fault)?, matchers)
    }

    fn select_by_scan(&self, matchers: &[Matcher], fault: Fault) -> Selected {
        let mut found = self.scan();
        found.series.retain(|e| matchers.iter().all(|m| m.matches(e.labels.get(m.name()))));
        found.repaired.push(fault);
        found
    }

    fn candidates(&self, table: &PostingsTable, matchers: &[Matcher]) -> Result<Vec<BlockSeriesRef>, Fault> {
        let mut narrowed: Option<Vec<u32>> = None;
        for m in matchers.iter().filter(|m| !m.matches(b"")) {
            let list = table.union(&self.bytes, m.name(), |value| m.matches(value))?;
            narrowed = Some(match narrowed {
                None => list,
                Some(kept) => intersection(&kept, &list),
            });
        }
        let refs = match narrowed {
            Some(refs) => refs,
            None => table.union(&self.bytes, b"", |value| value.is_empty())?,
        };
        Ok(refs.into_iter().map(|r| BlockSeriesRef(u64::from(r))).collect())
    }

    /// The number of series per value of a label, from the postings; `None` where they are damaged.
    pub fn value_counts(&self, name: &[u8]) -> Option<BTreeMap<Vec<u8>, u64>> {
        self.postings.as_ref().ok()?.value_counts(&self.bytes, name).ok()
    }
}

/// Bounds the labels of one selection. Strings are stored once and named by number, so a hostile index of a megabyte
/// could stand for terabytes of labels; real ones hold a few times their own size.
struct Budget {
    left: u64,
}

impl Budget {
    fn new(bytes: &[u8]) -> Budget {
        Budget { left: (64 << 20) + 64 * bytes.len() as u64 }
    }

    fn spend(&mut self, entry: SeriesEntry) -> Result<SeriesEntry, Fault> {
        let size = entry.labels.iter().map(|l| (l.name.len() + l.value.len()) as u64).sum();
        match self.left.checked_sub(size) {
            Some(left) => {
                self.left = left;
                Ok(entry)
            }
            None => {
                let rule = "all labels together may have 64 times the size of the index";
                let kind = FaultKind::Malformed { found: size, rule };
                Err(Fault::new(entry.offset, "labels of a series", kind))
            }
        }
    }
}

fn intersection(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut out = Vec::new();
    let (mut x, mut y) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(i), Some(j)) = (x.peek(), y.peek()) {
        match i.cmp(j) {
            std::cmp::Ordering::Less => drop(x.next()),
            std::cmp::Ordering::Greater => drop(y.next()),
            std::cmp::Ordering::Equal => {
                out.push(**i);
                x.next();
                y.next();
            }
        }
    }
    out
}

/// A section: `u32` length, content, CRC of the content. The length itself is not covered, so it is only trusted after
/// the checksum has matched.
fn section<'a>(bytes: &'a [u8], offset: u64, field: &'static str) -> Result<Cursor<'a>, Fault> {
    let mut cursor = at(bytes, offset, field)?;
    let length = cursor.u32(field)?;
    let content_at = cursor.offset();
    let content = cursor.take(u64::from(length), field)?;
    let stored = cursor.u32(field)?;
    let computed = crc32c(content);
    if stored != computed {
        return Err(Fault::new(offset, field, FaultKind::Checksum { stored, computed }));
    }
    Ok(Cursor::new(content, content_at))
}

fn at<'a>(bytes: &'a [u8], offset: u64, field: &'static str) -> Result<Cursor<'a>, Fault> {
    match usize::try_from(offset).ok().and_then(|o| bytes.get(o..)) {
        Some(rest) => Ok(Cursor::new(rest, offset)),
        None => {
            let left = bytes.len() as u64;
            Err(Fault::new(offset, field, FaultKind::Truncated { wanted: offset, left }))
        }
    }
}
