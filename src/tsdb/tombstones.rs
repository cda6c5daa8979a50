//! `tombstones`: deleted intervals per series (`tsdb/tombstones/tombstones.go` upstream, `docs/format/tombstones.md`).

use std::collections::BTreeMap;

use super::index::BlockSeriesRef;
use crate::raw::{Cursor, Fault, FaultKind, crc32c};
use crate::time::Interval;

const MAGIC: u32 = 0x0130_BA30;

/// Deleted intervals by series, merged and sorted. A missing file is the same as an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstones {
    by_series: BTreeMap<BlockSeriesRef, Vec<Interval>>,
    entries: u64,
}

impl Tombstones {
    /// Reads a tombstones file.
    pub fn parse(bytes: &[u8]) -> Result<Tombstones, Fault> {
        let mut by_series: BTreeMap<BlockSeriesRef, Vec<Interval>> = BTreeMap::new();
        let mut entries = 0;
        Tombstones::walk(bytes, |_, series, interval| {
            entries += 1;
            by_series.entry(series).or_default().push(interval);
        })?;
        for intervals in by_series.values_mut() {
            *intervals = merged(std::mem::take(intervals));
        }
        Ok(Tombstones { by_series, entries })
    }

    /// Intervals as stored. A server counts them with those joined that it finds to overlap.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Calls `visit` with every entry in stored order, unmerged, and its byte offset: magic, version 1, entries, CRC over
    /// the entries without the version byte.
    pub fn walk(bytes: &[u8], mut visit: impl FnMut(u64, BlockSeriesRef, Interval)) -> Result<(), Fault> {
        let mut header = Cursor::new(bytes, 0);
        let magic = header.u32("tombstones magic")?;
        if magic != MAGIC {
            return Err(Fault::new(
                0,
                "tombstones magic",
                FaultKind::Malformed { found: u64::from(magic), rule: "it must be 0x0130BA30" },
            ));
        }
        let version = header.u8("tombstones version")?;
        if version != 1 {
            return Err(Fault::new(4, "tombstones version", FaultKind::Unsupported { found: u64::from(version) }));
        }
        let body_len = (header.left() as u64).checked_sub(4).ok_or_else(|| {
            Fault::new(5, "tombstones", FaultKind::Truncated { wanted: 4, left: header.left() as u64 })
        })?;
        let body = header.take(body_len, "tombstones")?;
        let stored = header.u32("tombstones checksum")?;
        let computed = crc32c(body);
        if stored != computed {
            return Err(Fault::new(5 + body_len, "tombstones", FaultKind::Checksum { stored, computed }));
        }
        let mut cursor = Cursor::new(body, 5);
        while cursor.left() > 0 {
            let offset = cursor.offset();
            let series = cursor.uvarint("tombstone series")?;
            let interval = Interval::new(cursor.varint("tombstone start")?, cursor.varint("tombstone end")?);
            visit(offset, BlockSeriesRef(series), interval);
        }
        Ok(())
    }

    /// The deleted intervals of a series: sorted, disjoint, both ends included.
    pub fn of(&self, series: BlockSeriesRef) -> &[Interval] {
        self.by_series.get(&series).map_or(&[], Vec::as_slice)
    }

    /// Every series that has deletions, with its intervals, in order of the references.
    pub fn iter(&self) -> impl Iterator<Item = (BlockSeriesRef, &[Interval])> {
        self.by_series.iter().map(|(s, i)| (*s, i.as_slice()))
    }

    /// The number of merged intervals over all series.
    pub fn count(&self) -> usize {
        self.by_series.values().map(Vec::len).sum()
    }
}

/// Sorts and merges intervals that overlap or are adjacent by a millisecond; empty ones (`start > end`) vanish.
pub fn merged(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.retain(|i| i.start <= i.end);
    intervals.sort_unstable();
    let mut out: Vec<Interval> = Vec::with_capacity(intervals.len());
    for i in intervals {
        match out.last_mut() {
            Some(last) if i.start <= last.end.saturating_add(1) => last.end = last.end.max(i.end),
            _ => out.push(i),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_has_nine_bytes() {
        let bytes = [0x01, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0];
        assert_eq!(Tombstones::parse(&bytes), Ok(Tombstones::default()));
        for cut in 0..9 {
            assert!(Tombstones::parse(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn overlapping_and_adjacent_intervals_merge() {
        let i = Interval::new;
        assert_eq!(
            merged(vec![i(5, 9), i(i64::MIN, 1), i(10, 12), i(7, 8), i(3, 2), i(20, i64::MAX), i(i64::MAX, i64::MAX)]),
            vec![i(i64::MIN, 1), i(5, 12), i(20, i64::MAX)]
        );
    }
}
