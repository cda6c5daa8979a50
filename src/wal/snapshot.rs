//! `chunk_snapshot.<segment>.<offset>/`: the open chunks of the head as a server wrote them when it stopped
//! (`tsdb/head_wal.go` upstream, `docs/format/wal.md`).
//!
//! The folder's segments have the framing of a log and records of their own. It replaces what the log holds before the
//! segment and offset in its name; the log is not shortened for it, so it says nothing that a whole log does not.

use std::path::{Path, PathBuf};

use super::HeadSeriesRef;
use super::record::{self, DeletedRecord, ExemplarRecord, HistogramKind};
use crate::error::Result;
use crate::labels::{Labels, printable};
use crate::raw::{Cursor, Fault, FaultKind};
use crate::time::Interval;
use crate::tsdb::chunkenc::Encoding;
use crate::tsdb::chunkenc::histogram::HistogramSample;
use crate::tsdb::chunks::ChunkSlice;
use crate::tsdb::numbered::{entries, number};

const PREFIX: &str = "chunk_snapshot.";

/// A chunk snapshot's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotDir {
    /// The segment in which the log goes on behind the snapshot. Where the log ends before it, the snapshot is invalid.
    pub segment: u64,
    /// The byte offset in that segment.
    pub offset: u64,
    /// Where it is.
    pub dir: PathBuf,
    /// Its name as on disk.
    pub name: String,
}

/// Segment and offset in the name of a chunk snapshot; `None` for other names.
pub fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (segment, offset) = name.strip_prefix(PREFIX)?.split_once('.')?;
    Some((number(segment)?, number(offset)?))
}

/// Lists the chunk snapshots of a data directory, ascending by segment and offset, and sentences for people about what
/// only looks like one. The last one counts. Errs only where the operating system does not let us look.
pub fn list_snapshots(data_dir: &Path) -> Result<(Vec<SnapshotDir>, Vec<String>)> {
    let mut found = Vec::new();
    let mut notes = Vec::new();
    for (name, dir) in entries(data_dir)? {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let shown = printable(&name);
        match parse_name(&name) {
            _ if !std::fs::symlink_metadata(&dir).is_ok_and(|m| m.is_dir()) => {
                notes.push(format!("`{shown}` is not a folder"));
            }
            Some((segment, offset)) => found.push(SnapshotDir { segment, offset, dir, name }),
            None if rest.ends_with(".tmp") => notes.push(format!("`{shown}` was never finished")),
            None => notes.push(format!("`{shown}` is no chunk snapshot")),
        }
    }
    found.sort_by(|a, b| (a.segment, a.offset, &a.name).cmp(&(b.segment, b.offset, &b.name)));
    Ok((found, notes))
}

/// One record of a chunk snapshot.
#[derive(Debug, Clone)]
pub enum SnapshotRecord<'a> {
    /// Type 1: a series and its open chunk.
    Series(Box<SnapshotSeries<'a>>),
    /// Type 2: all deletions of the head, unmerged.
    Tombstones(Vec<DeletedRecord>),
    /// Type 3: exemplars, as a log has them.
    Exemplars(Vec<ExemplarRecord>),
}

/// A series of the head.
#[derive(Debug, Clone)]
pub struct SnapshotSeries<'a> {
    /// What the log calls it.
    pub reference: HeadSeriesRef,
    /// Its labels, put in order.
    pub labels: Labels,
    /// Whether they had to be.
    pub odd_labels: bool,
    /// Its open chunk, if it had one.
    pub chunk: Option<SnapshotChunk<'a>>,
}

/// The open chunk of a series.
#[derive(Debug, Clone)]
pub struct SnapshotChunk<'a> {
    /// Milliseconds of its first sample, as claimed.
    pub min_time_ms: i64,
    /// Milliseconds of its last sample, as claimed.
    pub max_time_ms: i64,
    /// How its data are encoded.
    pub encoding: Encoding,
    /// Its data, ready for the decoders of [`crate::tsdb::chunkenc`]. It has no checksum of its own; offsets count from
    /// the record's start.
    pub data: ChunkSlice<'a>,
    /// The last sample, which an encoder needs to go on.
    pub last: LastValue,
}

/// The last sample of an open chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastValue {
    /// Bits of a float.
    Float(u64),
    /// A histogram; `None` where its schema is not known.
    Histogram(Option<HistogramSample>),
}

/// Decodes a record of a chunk snapshot. A server gives up the whole snapshot where this errs.
pub fn decode(record: &[u8]) -> Result<SnapshotRecord<'_>, Fault> {
    let mut cursor = Cursor::new(record, 0);
    let found = cursor.u8("type of a snapshot record")?;
    let decoded = match found {
        1 => SnapshotRecord::Series(Box::new(series(&mut cursor)?)),
        2 => SnapshotRecord::Tombstones(tombstones(&mut cursor)?),
        3 => {
            let mut out = Vec::new();
            record::exemplar_entries(&mut cursor, |e| out.push(e))?;
            SnapshotRecord::Exemplars(out)
        }
        n => {
            let kind = FaultKind::Unsupported { found: u64::from(n) };
            return Err(Fault::new(0, "type of a snapshot record", kind));
        }
    };
    if cursor.left() > 0 {
        return Err(cursor.malformed("snapshot record", cursor.left() as u64, "nothing follows its entries"));
    }
    Ok(decoded)
}

fn series<'a>(cursor: &mut Cursor<'a>) -> Result<SnapshotSeries<'a>, Fault> {
    let reference = HeadSeriesRef(cursor.u64("series")?);
    let (labels, odd_labels) = record::labels(cursor)?;
    // Once the range of the head's chunks.
    cursor.u64("unused field of a snapshot series")?;
    let chunk = match cursor.uvarint("whether there is an open chunk")? {
        0 => None,
        _ => Some(open_chunk(cursor)?),
    };
    Ok(SnapshotSeries { reference, labels, odd_labels, chunk })
}

fn open_chunk<'a>(cursor: &mut Cursor<'a>) -> Result<SnapshotChunk<'a>, Fault> {
    let min_time_ms = cursor.u64("first time of an open chunk")? as i64;
    let max_time_ms = cursor.u64("last time of an open chunk")? as i64;
    let encoding_at = cursor.offset();
    let encoding = Encoding(cursor.u8("encoding of an open chunk")?);
    let len = cursor.uvarint("length of an open chunk")?;
    let (offset, window) = (cursor.offset(), cursor.rest());
    cursor.take(len, "open chunk")?;
    let data = ChunkSlice { encoding: encoding.0, window, len: len as usize, offset, crc: 0 };
    let histogram =
        |cursor: &mut Cursor<'_>, kind| record::histogram_body(cursor, kind, max_time_ms, 0).map(LastValue::Histogram);
    let last = match encoding {
        Encoding::XOR | Encoding::XOR2 => {
            // Room for four samples, of which only the last value is still written.
            cursor.take(3 * 16 + 8, "last samples of an open chunk")?;
            LastValue::Float(cursor.u64("last value of an open chunk")?)
        }
        Encoding::HISTOGRAM | Encoding::HISTOGRAM_ST => histogram(cursor, HistogramKind::Int)?,
        Encoding::FLOAT_HISTOGRAM | Encoding::FLOAT_HISTOGRAM_ST => histogram(cursor, HistogramKind::Float)?,
        Encoding(n) => {
            let kind = FaultKind::Unsupported { found: u64::from(n) };
            return Err(Fault::new(encoding_at, "encoding of an open chunk", kind));
        }
    };
    Ok(SnapshotChunk { min_time_ms, max_time_ms, encoding, data, last })
}

/// The entries of a block's tombstones file behind its magic number, with a length before them and no checksum.
fn tombstones(cursor: &mut Cursor<'_>) -> Result<Vec<DeletedRecord>, Fault> {
    let body = cursor.string("tombstones of a snapshot")?;
    let mut entries = Cursor::new(body, cursor.offset() - body.len() as u64);
    let at = entries.offset();
    match entries.u8("tombstones version")? {
        1 => {}
        n => return Err(Fault::new(at, "tombstones version", FaultKind::Unsupported { found: u64::from(n) })),
    }
    let mut out = Vec::new();
    while entries.left() > 0 {
        let reference = HeadSeriesRef(entries.uvarint("tombstone series")?);
        let interval = Interval::new(entries.varint("tombstone start")?, entries.varint("tombstone end")?);
        out.push(DeletedRecord { reference, interval });
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot prepare its input fails")]
mod tests {
    use super::*;
    use crate::tsdb::chunkenc::histogram::Counts;
    use crate::wal::record::tests::Made;

    fn series_record(has_chunk: u64) -> Made {
        Made::of(1).u64(7).uvarint(1).string("a").string("b").u64(0).uvarint(has_chunk)
    }

    fn chunk(encoding: u8) -> Made {
        series_record(1).u64(10).u64(20).raw(&[encoding]).string("data")
    }

    fn read(made: &Made) -> SnapshotSeries<'_> {
        match decode(&made.0) {
            Ok(SnapshotRecord::Series(series)) => *series,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn names_have_a_segment_and_an_offset() {
        assert_eq!(parse_name("chunk_snapshot.000012.0000163840"), Some((12, 163_840)));
        for no in ["chunk_snapshot.1", "chunk_snapshot.1.2.tmp", "chunk_snapshot.1.2.3", "chunk_snapshot.x.1", "1.2"] {
            assert_eq!(parse_name(no), None, "{no}");
        }
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["chunk_snapshot.000012.1", "chunk_snapshot.9.3", "chunk_snapshot.9.2", "chunk_snapshot.1.2.tmp", "wal"]
        {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("chunk_snapshot.99.1"), "").unwrap();
        let (found, notes) = list_snapshots(dir.path()).unwrap();
        assert_eq!(found.iter().map(|s| (s.segment, s.offset)).collect::<Vec<_>>(), [(9, 2), (9, 3), (12, 1)]);
        assert_eq!(notes, ["`chunk_snapshot.1.2.tmp` was never finished", "`chunk_snapshot.99.1` is not a folder"]);
    }

    #[test]
    fn series_have_an_open_chunk_or_none() {
        let made = series_record(0);
        let series = read(&made);
        assert_eq!((series.reference, series.chunk.is_none()), (HeadSeriesRef(7), true));
        assert_eq!(series.labels, Labels::from_pairs([("a", "b")]));
        for encoding in [1, 4] {
            let made = chunk(encoding).raw(&[0; 56]).u64(99);
            let chunk = read(&made).chunk.unwrap();
            assert_eq!((chunk.min_time_ms, chunk.max_time_ms, chunk.encoding), (10, 20, Encoding(encoding)));
            assert_eq!((chunk.data.data(), chunk.last), (&b"data"[..], LastValue::Float(99)));
            assert_eq!(made.0.get(chunk.data.offset as usize..).unwrap().first(), Some(&b'd'));
        }
        let made = chunk(2).raw(&[0]).varint(0).u64(0).uvarint(1).uvarint(2).u64(3).raw(&[0; 4]);
        let LastValue::Histogram(Some(last)) = read(&made).chunk.unwrap().last else { unreachable!() };
        assert_eq!(
            (last.t_ms, last.counts),
            (20, Counts::Int { count: 2, zero: 1, positive: vec![], negative: vec![] })
        );
        let made = chunk(6).raw(&[0]).varint(60).u64(0).u64(1).u64(2).u64(3).raw(&[0; 4]);
        assert_eq!(read(&made).chunk.unwrap().last, LastValue::Histogram(None));
        for encoding in [0, 7, 0x81, 0xff] {
            let fault = decode(&chunk(encoding).raw(&[0; 64]).0).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Unsupported { found: u64::from(encoding) });
        }
    }

    #[test]
    fn tombstones_have_a_version_and_no_checksum() {
        let body = Made::of(1).uvarint(7).varint(-5).varint(5).uvarint(8).varint(1).varint(0).0;
        let made = Made::of(2).uvarint(body.len() as u64).raw(&body);
        let Ok(SnapshotRecord::Tombstones(found)) = decode(&made.0) else { unreachable!() };
        assert_eq!(found.first().unwrap().interval, Interval::new(-5, 5));
        assert_eq!(found.last().unwrap().interval, Interval::new(1, 0));
        let fault = decode(&Made::of(2).string("\u{2}").0).unwrap_err();
        assert_eq!((fault.offset, fault.kind), (2, FaultKind::Unsupported { found: 2 }));
    }

    #[test]
    fn records_are_read_to_their_end() {
        let exemplars = Made::of(3).u64(10).u64(50).varint(-1).varint(2).u64(7).uvarint(0);
        let body = Made::of(1).uvarint(7).varint(-5).varint(5).0;
        let stones = Made::of(2).uvarint(body.len() as u64).raw(&body);
        for made in [series_record(0), chunk(1).raw(&[0; 56]).u64(99), stones, exemplars] {
            assert!(decode(&made.0).is_ok());
            assert!(decode(&made.clone().raw(&[0]).0).is_err());
            for cut in 1..made.0.len() {
                // Exemplars may end behind their type and their head.
                let whole = made.0.first() == Some(&3) && (cut == 1 || cut == 17);
                assert_eq!(decode(made.0.get(..cut).unwrap()).is_ok(), whole, "{cut}");
            }
        }
        for unknown in [0, 4, 255] {
            assert!(matches!(decode(&[unknown]).unwrap_err().kind, FaultKind::Unsupported { .. }));
        }
        assert!(decode(&[]).is_err());
    }
}
